"""The request of `dmtrack bench`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Final, get_args

from dmtrack.config import Backend, PrecisionChoice, chosen
from dmtrack.errors import ConfigError
from dmtrack.options import Option, make_exact
from dmtrack.video.frame import Modality

MOST_TARGETS: Final = 100
_FEWEST_FRAMES: Final = 2


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What to measure: every combination of these."""

    rgb: Annotated[Path | None, Option("RGB", "Your own recording. Default: a synthetic one.")] = None
    aux: Annotated[Path | None, Option("AUX", "Its second stream.")] = None
    modality: Annotated[Modality | None, Option("--modality", "What AUX measures.")] = None
    presets: Annotated[
        tuple[str, ...],
        Option("--preset", "tiny, base, or what --weights takes; repeatable.", metavar="NAME"),
    ] = ("tiny", "base")
    backends: Annotated[
        tuple[Backend, ...],
        Option(
            "--backend",
            "Library that runs the network; repeatable.",
            metavar="|".join(get_args(Backend)),
            parse=partial(chosen, "backend", literal=Backend),
        ),
    ] = ("auto",)
    precisions: Annotated[
        tuple[PrecisionChoice, ...],
        Option(
            "--precision",
            "Number format of the network; repeatable.",
            metavar="|".join(get_args(PrecisionChoice)),
            parse=partial(chosen, "precision", literal=PrecisionChoice),
        ),
    ] = ("auto",)
    device: Annotated[str, Option("--device", "auto, cpu, cuda:0 or mps.", metavar="NAME")] = "auto"
    frames: Annotated[int, Option("--frames", "Most frames per measurement.", "N", least=_FEWEST_FRAMES)] = (
        100
    )
    targets: tuple[int, ...] = (1, 10)  # how many at once

    def __post_init__(self) -> None:
        make_exact(self)
        if not self.targets or not all(1 <= count <= MOST_TARGETS for count in self.targets):
            raise ConfigError(f"numbers of targets are from 1 to {MOST_TARGETS}", where="--targets")
