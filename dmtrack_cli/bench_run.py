"""What `dmtrack bench` measures: every choice of weights, precision and number of targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from dmtrack.config import PRESETS, model_preset
from dmtrack.errors import CheckpointError
from dmtrack.network.backend import network_for
from dmtrack.network.checkpoint import WeightsMeta, save_weights
from dmtrack.network.model import DMTrack
from dmtrack.network.store import ResolvedWeights, resolve_weights
from dmtrack.pipeline import PrecisionChoice
from dmtrack.tracking.device import choose_device, choose_precision
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Modality
from dmtrack_cli.bench_clip import BenchClip
from dmtrack_cli.bench_command import CommandSpeed, run_track
from dmtrack_cli.bench_stages import Effort, Stages, measure_stages

COMMAND_SHARE: Final = 1.5
"""The command gets this many times the frames that the stages were measured on."""

_FEWEST_FRAMES: Final = 2


@dataclass(frozen=True, slots=True)
class Choice:
    """What is measured in one row."""

    preset: str
    precision: PrecisionChoice
    device: str
    targets: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One row.

    Attributes:
        preset: Name of the weights.
        made_up_weights: Whether they are random numbers, because the real ones are not there.
        precision: What the network computed in.
        device: Where.
        targets: How many at once.
        stages_ms: Stages one after the other.
        network_fps: Frames a second of the tracker alone.
        command: The whole program.
        gpu_peak_mb: Most memory of the device while the stages were measured, in MiB; None on a CPU.
    """

    preset: str
    made_up_weights: bool
    precision: str
    device: str
    targets: int
    stages_ms: Stages
    network_fps: float
    command: CommandSpeed
    gpu_peak_mb: float | None


class WeightsFinder:
    """Finds weights by name; a preset that is not there gets random numbers, saved for the command.

    Args:
        folder: Where random weights are written.
        modality: What the second stream measures.
    """

    def __init__(self, folder: Path, modality: Modality | None) -> None:
        self._folder = folder
        self._modality = modality

    def find(self, preset: str) -> tuple[ResolvedWeights, str, bool]:
        """Return the weights, what to call them on the command line, and whether they are made up.

        Raises:
            CheckpointError: They are missing, and no preset has that name.
        """
        try:
            return resolve_weights(preset, self._modality), preset, False
        except CheckpointError:
            if preset not in PRESETS:
                raise
        path = self._made_up(preset)
        return resolve_weights(path, self._modality), str(path), True

    def _made_up(self, preset: str) -> Path:
        path = self._folder / f"{preset}.safetensors"
        if not path.exists():
            config = model_preset(preset, self._modality)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                tensors = DMTrack(config, with_adapters=self._modality is not None).state_dict()
            meta = WeightsMeta(
                config=config,
                kind="foundation" if self._modality is None else "full",
                modality=self._modality,
                source_name="random numbers",
            )
            save_weights(path, tensors, meta)
        return path


def measure(clip: BenchClip, choices: Sequence[Choice], effort: Effort, folder: Path) -> Iterator[Measured]:
    """Measure one choice after the other.

    Raises:
        InputError: The recording cannot be read.
        CheckpointError: Weights are missing or damaged.
        ConfigError: The device or the precision is not there.
        BenchError: The program failed.
    """
    finder = WeightsFinder(folder, clip.modality)
    for choice in choices:
        yield _measure_one(clip, choice, effort, finder)


def _measure_one(clip: BenchClip, choice: Choice, effort: Effort, finder: WeightsFinder) -> Measured:
    weights, name, made_up = finder.find(choice.preset)
    device = choose_device(choice.device)
    precision = choose_precision(choice.precision, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    tracker = Tracker(network_for(weights, precision, device), weights.tracker_config)
    stages = measure_stages(clip, tracker, weights, choice.targets, effort)
    gpu_mb = torch.cuda.max_memory_allocated(device) / (1 << 20) if device.type == "cuda" else None
    del tracker
    frames = max(_FEWEST_FRAMES, min(effort.frames, int(COMMAND_SHARE * effort.limit_s * 1e3 / stages.total)))
    words = [str(clip.rgb), *([] if clip.aux is None else [str(clip.aux)])]
    words += [] if clip.modality is None else ["--modality", clip.modality]
    words += [f"--box={','.join(map(str, box.xywh))}" for box in clip.boxes(choice.targets)]
    words += ["--weights", name, "--device", str(device), "--precision", precision, "--end", str(frames)]
    return Measured(
        preset=choice.preset,
        made_up_weights=made_up,
        precision=precision,
        device=str(device),
        targets=choice.targets,
        stages_ms=stages,
        network_fps=1e3 / stages.step,
        command=run_track(words),
        gpu_peak_mb=gpu_mb,
    )
