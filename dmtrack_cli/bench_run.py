"""What `dmtrack bench` measures: every choice of weights, backend, precision and number of targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch

from dmtrack.config import PRESETS, model_preset
from dmtrack.errors import CheckpointError
from dmtrack.network.backend import Backend, choose_device, choose_precision, network_for, onnx_precision
from dmtrack.network.fast.kernels import Precision
from dmtrack.network.model import DMTrack
from dmtrack.network.weights.checkpoint import WeightsMeta, save_weights
from dmtrack.network.weights.store import ResolvedWeights, resolve_weights
from dmtrack.tracking.cropping import cropper_for
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Modality
from dmtrack_cli.bench_clip import BenchClip
from dmtrack_cli.bench_command import CommandSpeed, run_track
from dmtrack_cli.bench_drift import Boxes, Drift, ExactBoxes
from dmtrack_cli.bench_stages import Effort, Stages, measure_stages

COMMAND_SHARE: Final = 3
"""The command gets this many times the frames of the stages, and of their time: it also starts and ends."""

EXACT: Final = ("torch", "fp32")
"""Backend and precision of exact mode."""
_FEWEST_FRAMES: Final = 2


@dataclass(frozen=True, slots=True)
class Choice:
    """What is measured in one row."""

    preset: str
    backend: Backend
    precision: Literal["auto"] | Precision
    device: str
    targets: int

    def check(self) -> None:
        """Refuse what cannot be computed, before anything is measured.

        Raises:
            ConfigError: The backend is not installed, or does not run like that; or the device is not there.
        """
        device = choose_device(self.device)
        precision = choose_precision(self.precision, device, self.backend)
        if self.backend == "onnxruntime":
            onnx_precision(precision, device)


@dataclass(frozen=True, slots=True)
class Measured:
    """One row.

    Attributes:
        preset: Name of the weights.
        made_up_weights: Whether they are random numbers, because the real ones are not there.
        backend: What computed the network.
        precision: What the network computed in.
        device: Where.
        targets: How many at once.
        stages_ms: Stages one after the other.
        network_fps: Frames a second of the tracker alone.
        command: The whole program.
        gpu_peak_mb: Most memory of the device while the stages were measured, in MiB; None on a CPU.
        drift: How far boxes are from exact mode; None in exact mode itself, and for made-up weights, whose
            boxes follow nothing.
    """

    preset: str
    made_up_weights: bool
    backend: Backend
    precision: str
    device: str
    targets: int
    stages_ms: Stages
    network_fps: float
    command: CommandSpeed
    gpu_peak_mb: float | None
    drift: Drift | None

    @property
    def is_exact(self) -> bool:
        """Whether this is exact mode, which the others are compared with."""
        return (self.backend, self.precision) == EXACT


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
    bench = _Bench(clip, effort, folder)
    for choice in choices:
        yield bench.measure(choice)


class _Bench:
    """Measures one choice after the other on the same recording."""

    def __init__(self, clip: BenchClip, effort: Effort, folder: Path) -> None:
        self._clip = clip
        self._effort = effort
        self._folder = folder
        self._finder = WeightsFinder(folder, clip.modality)
        self._exact = ExactBoxes(clip, effort)

    def measure(self, choice: Choice) -> Measured:
        """Measure the stages, the drift and the command."""
        weights, name, made_up = self._finder.find(choice.preset)
        # What is exported of made-up weights goes when they go.
        data_folder = self._folder if made_up else None
        device = choose_device(choice.device)
        precision = choose_precision(choice.precision, device, choice.backend)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        network = network_for(weights, precision, device, choice.backend, folder=data_folder)
        tracker = Tracker(network, weights.tracker_config, cropper=cropper_for(device, choice.backend))
        run = measure_stages(self._clip, tracker, weights, choice.targets, self._effort)
        gpu_mb = torch.cuda.max_memory_allocated(device) / (1 << 20) if device.type == "cuda" else None
        del tracker, network
        words = [*self._words(choice.targets, run.stages), "--weights", name, "--device", str(device)]
        words += ["--backend", choice.backend, "--precision", precision]
        return Measured(
            preset=choice.preset,
            made_up_weights=made_up,
            backend=choice.backend,
            precision=precision,
            device=str(device),
            targets=choice.targets,
            stages_ms=run.stages,
            network_fps=1e3 / run.stages.step,
            command=run_track(words, data_folder),
            gpu_peak_mb=gpu_mb,
            drift=None if made_up else self._drift(weights, device, (choice.backend, precision), run.boxes),
        )

    def _drift(
        self, weights: ResolvedWeights, device: torch.device, mode: tuple[str, str], boxes: Boxes
    ) -> Drift | None:
        if mode == EXACT:
            self._exact.keep(weights, boxes)
            return None
        return Drift.between(boxes, self._exact.of(weights, len(boxes[0]), device))

    def _words(self, targets: int, stages: Stages) -> Iterator[str]:
        """Yield what the command tracks, and for how many frames."""
        clip, effort = self._clip, self._effort
        most = int(COMMAND_SHARE * effort.limit_s * 1e3 / stages.total)
        yield from (str(stream) for stream in (clip.rgb, clip.aux) if stream is not None)
        yield from () if clip.modality is None else ("--modality", clip.modality)
        yield from (f"--box={','.join(map(str, box.xywh))}" for box in clip.boxes(targets))
        yield from ("--end", str(max(_FEWEST_FRAMES, min(COMMAND_SHARE * effort.frames, most))))
