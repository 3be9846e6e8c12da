"""What one run of `dmtrack track` is asked to do, as values: its inputs, its network, its outputs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from dmtrack.config import ModelConfig, TrackerConfig
from dmtrack.datasets.recording import Recording, open_recording
from dmtrack.output.draw import Layout
from dmtrack.tracking.start import TargetStart
from dmtrack.video.aux_encoder import AuxNorm
from dmtrack.video.frame import Modality
from dmtrack.video.position import Position
from dmtrack.video.streams import OnMissing, PairingOptions
from dmtrack_cli import results_folder
from dmtrack_cli.options import Losing, Network, Pairing, Picture
from dmtrack_cli.pick.choice import PICK_TIMEOUT_S
from dmtrack_cli.pick.drawing import PickKind
from dmtrack_cli.sensor_options import Counts, SideTimes


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is read, how the streams are paired, and where the boxes come from."""

    rgb: Path
    aux: Path | None = None
    modality: Modality | None = None
    start: Position | None = None
    end: Position | None = None
    pairing: Pairing = field(default_factory=Pairing)
    times: SideTimes = field(default_factory=SideTimes)
    counts: Counts = field(default_factory=Counts)
    boxes: tuple[str, ...] = ()
    box_files: tuple[Path, ...] = ()
    pick: PickKind = PickKind.AUTO
    pick_timeout_s: float = PICK_TIMEOUT_S

    @property
    def pairing_options(self) -> PairingOptions:
        """How the streams are opened and matched, side files included.

        Raises:
            ConfigError: An option is out of range.
        """
        return self.times.applied_to(self.pairing.options)

    def resolved(self) -> tuple[Inputs, Recording | None]:
        """Put the streams of a data-set folder in its place, where RGB is one.

        Raises:
            InputError: The folder is incomplete, or holds several recordings.
        """
        recording = None if self.aux is not None else open_recording(self.rgb)
        if recording is None:
            return self, None
        clip, modality = recording.clip, self.modality or recording.modality
        return replace(self, rgb=clip.rgb, aux=clip.second, modality=modality), recording


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the network runs on."""

    device: str = "auto"
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Outputs:
    """What is written, and where."""

    folder: Path
    picture: Picture = field(default_factory=Picture)
    overwrite: bool = False

    @property
    def names(self) -> list[str]:
        """The files of the run, the record last."""
        video = [] if self.picture.shown is None else [results_folder.VIDEO]
        return [
            *video,
            results_folder.MOT,
            results_folder.TABLE,
            results_folder.SCORES,
            results_folder.RECORD,
        ]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that one run is asked to do."""

    inputs: Inputs
    outputs: Outputs
    network: Network = field(default_factory=Network)
    losing: Losing = field(default_factory=Losing)
    hardware: Hardware = field(default_factory=Hardware)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The resolved configuration, as it stands in `run.json`."""

    targets: tuple[TargetStart, ...]
    boxes_from: str
    modality: Modality | None
    modality_from: str | None
    start: str | None
    end: str | None
    stop_when_lost_s: Fraction | None
    layout: Layout | None
    model: ModelConfig
    tracker: TrackerConfig
    weights_files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Clocks:
    """How the times of the two streams were related."""

    sync: str | None
    offset_s: Fraction
    max_skew_s: Fraction | None
    on_missing: OnMissing
    rate_ratio: Fraction
    rgb_times: Path | None
    aux_times: Path | None


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How the second stream's counts became pictures, as it stands in `run.json`."""

    aux_norm: AuxNorm
    aux_range: str | None
    depth_scale_mm: Fraction | None
