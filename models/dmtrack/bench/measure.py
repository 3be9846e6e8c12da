"""Measures tracking speed for every choice of weights, backend, precision and number of targets."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import torch

from dmtrack.bench.request import BenchRequest
from dmtrack.bench.stages import LIMIT_S, BenchClip, Boxes, Stages, make_clip, measure_stages, open_clip
from dmtrack.config import PRESETS, Backend, Precision, model_preset
from dmtrack.errors import CheckpointError, ConfigError, DmtrackError
from dmtrack.network.backend import choose_backend, choose_device, choose_precision
from dmtrack.network.model import DMTrack
from dmtrack.network.weights.checkpoint import save_weights
from dmtrack.network.weights.data_folder import DATA_DIR_VARIABLE
from dmtrack.network.weights.file import WeightsMeta
from dmtrack.network.weights.store import find_weights
from dmtrack.output.record import RECORD, read_run_json
from dmtrack.run.pipeline import load_tracker
from dmtrack.video.frame import Modality

COMMAND_SHARE: Final = 3
"""The command gets this many times the frames and time of the stages, because it also starts and ends."""
EXACT: Final = ("torch", "fp32")  # backend and precision of exact mode
_FEWEST_FRAMES: Final = 2


class BenchError(DmtrackError):
    """The measured program failed."""


@dataclass(frozen=True, slots=True)
class CommandSpeed:
    """The speed of one `dmtrack track` command."""

    start_up_s: float  # from the start of the process until tracking begins
    fps: float  # frames a second from then on, annotated video included
    peak_mb: float | None  # peak memory of the process in MiB; None where the system does not say


@dataclass(frozen=True, slots=True)
class Drift:
    """Distance of boxes from the exact ones: of each box, that of the edge that is furthest off."""

    mean_px: float  # mean over all targets and frames
    largest_px: float
    frames: int  # number of frames compared

    @classmethod
    def between(cls, found: Boxes, exact: Boxes) -> Self:
        """Compare the frames that both have."""
        frames = list(zip(found, exact, strict=False))
        pairs = [(a, b) for boxes, truth in frames for a, b in zip(boxes, truth, strict=True)]
        apart = edge_distances(*(np.array([box.xywh for box in one]) for one in zip(*pairs, strict=True)))
        return cls(float(apart.mean()), float(apart.max()), len(frames))


def edge_distances(found: npt.NDArray[np.float64], exact: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the distance of the edge that is furthest off, `(N,)` px, of boxes `(N, 4)` x, y, w, h."""
    corners = [
        np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1) for boxes in (found, exact)
    ]
    return np.asarray(np.abs(corners[0] - corners[1]).max(axis=1), np.float64)


@dataclass(frozen=True, slots=True)
class BenchChoice:
    """One combination, with `auto` resolved."""

    preset: str
    backend: Backend
    precision: Precision
    device: str
    targets: int

    @property
    def is_exact(self) -> bool:
        """Whether this is exact mode, to which the others are compared."""
        return (self.backend, self.precision) == EXACT


@dataclass(frozen=True, slots=True)
class BenchRow:
    """The measurements of one combination."""

    choice: BenchChoice
    made_up_weights: bool  # whether weights are random numbers, because the real ones are not installed
    stages_ms: Stages
    network_fps: float  # frames a second of the tracker alone
    command: CommandSpeed  # the whole program
    # Peak memory of the GPU during the stages, in MiB; None on a CPU
    gpu_peak_mb: float | None
    # Distance from the boxes of exact mode; None in exact mode itself, and for made-up weights, whose boxes
    # follow nothing
    drift: Drift | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, those of the choice first."""
        choice = asdict(self.choice)
        return choice | {name: value for name, value in asdict(self).items() if name != "choice"}


@dataclass(frozen=True, slots=True)
class BenchReport:
    """The measurements, and the recording they were made on."""

    clip: BenchClip
    rows: tuple[BenchRow, ...]  # one for each combination that can be computed
    left_out: tuple[str, ...]  # why the others were left out


def bench(request: BenchRequest, progress: Callable[[str], None] = lambda _: None) -> BenchReport:
    """Measure each stage of tracking, the whole command, and the drift of the boxes from exact mode.

    `InputError`: the recording cannot be read; `CheckpointError`: weights are missing or damaged;
    `ConfigError`: the device does not exist, or no combination can be computed; `BenchError`: the program
    failed.
    """
    clip = None if request.rgb is None else open_clip(request.rgb, request.aux, request.modality)
    choices, left_out = _possible(request)
    # Windows cannot delete a network that OpenVINO has memory-mapped.
    with TemporaryDirectory(prefix="dmtrack-bench-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        clip = clip or make_clip(folder, COMMAND_SHARE * request.frames, max(request.targets))
        session = _Session(clip, request.frames, folder)
        rows = []
        for choice in choices:
            rows.append(session.measure(choice))
            progress(f"measured {choice.preset}, {choice.targets} targets …")
    return BenchReport(clip, tuple(rows), left_out)


def _possible(request: BenchRequest) -> tuple[list[BenchChoice], tuple[str, ...]]:
    """Return the combinations that can be computed, and why others cannot; `ConfigError` if none can."""
    device = choose_device(request.device)
    possible: list[BenchChoice] = []
    problems: dict[str, ConfigError] = {}
    for preset, backend, asked, targets in itertools.product(
        request.presets, request.backends, request.precisions, request.targets
    ):
        try:
            computed_by = choose_backend(backend, asked, device)
            precision = choose_precision(asked, device, computed_by)
        except ConfigError as error:
            problems[str(error)] = error
        else:
            possible.append(BenchChoice(preset, computed_by, precision, str(device), targets))
    if not possible:
        raise next(iter(problems.values()))
    return possible, tuple(problems)


@dataclass(frozen=True, slots=True)
class _Session:
    """Measures several choices on the same recording."""

    clip: BenchClip
    frames: int  # most frames in a measurement
    folder: Path  # for random weights and networks converted from them
    # Boxes of exact mode by weights and number of targets, tracked when first needed
    exact: dict[tuple[str, int], Boxes] = field(default_factory=dict)

    def measure(self, choice: BenchChoice) -> BenchRow:
        """Measure the stages, the drift and the command."""
        weights = self._weights(choice.preset)
        made_up = weights != choice.preset
        # Networks converted from made-up weights are deleted with them.
        with _data_folder(self.folder if made_up else None):
            stages, boxes, gpu_mb = self._stages(choice, weights, (choice.backend, choice.precision))
            return BenchRow(
                choice,
                made_up_weights=made_up,
                stages_ms=stages,
                network_fps=1e3 / stages.step,
                command=_run_track([*self._words(choice, stages), "--weights", weights]),
                gpu_peak_mb=gpu_mb,
                drift=None if made_up else self._drift(choice, weights, boxes),
            )

    def _weights(self, preset: str) -> str:
        """Return the value for `--weights`; a preset that is not installed gets random numbers."""
        try:
            find_weights(preset, self.clip.modality)
        except CheckpointError:
            if preset not in PRESETS:
                raise
            return str(made_up_weights(self.folder, preset, self.clip.modality))
        return preset

    def _stages(
        self, choice: BenchChoice, weights: str, mode: tuple[Backend, Precision]
    ) -> tuple[Stages, Boxes, float | None]:
        """Return times, boxes, and the peak memory of the GPU in MiB; None on a CPU."""
        backend, precision = mode
        on_cuda = choice.device.startswith("cuda")
        if on_cuda:
            torch.cuda.reset_peak_memory_stats(choice.device)
        tracker = load_tracker(
            weights, self.clip.modality, device=choice.device, precision=precision, backend=backend
        )
        stages, boxes = measure_stages(self.clip, tracker, choice.targets, self.frames)
        return stages, boxes, torch.cuda.max_memory_allocated(choice.device) / (1 << 20) if on_cuda else None

    def _drift(self, choice: BenchChoice, weights: str, boxes: Boxes) -> Drift | None:
        key = choice.preset, choice.targets
        if choice.is_exact:
            self.exact[key] = boxes
            return None
        if key not in self.exact:
            self.exact[key] = self._stages(choice, weights, EXACT)[1]
        return Drift.between(boxes, self.exact[key])

    def _words(self, choice: BenchChoice, stages: Stages) -> Iterator[str]:
        """Yield the arguments of the command: inputs, boxes, device, and for how many frames."""
        clip, most = self.clip, int(COMMAND_SHARE * LIMIT_S * 1e3 / stages.total)
        yield from (str(stream) for stream in (clip.rgb, clip.aux) if stream is not None)
        yield from () if clip.modality is None else ("--modality", clip.modality)
        yield from (f"--box={','.join(map(str, box.xywh))}" for box in clip.boxes(choice.targets))
        yield from ("--end", str(max(_FEWEST_FRAMES, min(COMMAND_SHARE * self.frames, most))))
        yield from ("--device", choice.device, "--precision", choice.precision)
        yield from ("--backend", choice.backend)


def made_up_weights(folder: Path, preset: str, modality: Modality | None) -> Path:
    """Write random weights, the same each time, unless they exist; return their file."""
    path = folder / f"{preset}.safetensors"
    if not path.exists():
        config = model_preset(preset, modality)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            tensors = DMTrack(config, with_adapters=modality is not None).state_dict()
        meta = WeightsMeta(
            config=config,
            kind="foundation" if modality is None else "full",
            modality=modality,
            source_name="random numbers",
        )
        save_weights(path, tensors, meta)
    return path


@contextmanager
def _data_folder(folder: Path | None) -> Iterator[None]:
    """Use this data folder instead of the user's, also in child processes; None changes nothing."""
    before = dict(os.environ)
    if folder is not None:
        os.environ[DATA_DIR_VARIABLE] = str(folder)
    try:
        yield
    finally:
        os.environ.pop(DATA_DIR_VARIABLE, None)
        os.environ.update(before)


def _run_track(words: Sequence[str]) -> CommandSpeed:
    """Run `dmtrack track` with these arguments in a process of its own; `BenchError` with its message."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch:  # it may be written to still
        folder, said = Path(scratch) / "out", Path(scratch) / "said.txt"
        command = [sys.executable, "-m", "dmtrack_cli", "track", *words, "-o", str(folder)]
        with said.open("w", encoding="utf-8") as complaints:
            begin = time.perf_counter()
            process = subprocess.Popen(  # noqa: S603 - this program itself
                [*command, "--progress", "json"],
                stdout=subprocess.PIPE,
                stderr=complaints,
                encoding="utf-8",
            )
            start_up_s, peak_mb = _watched(process, begin)
        if process.returncode:
            lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise BenchError(f"dmtrack track failed: {lines[-1] if lines else 'it says nothing'}")
        speed = read_run_json(folder / RECORD)["speed"]
        return CommandSpeed(start_up_s, float(speed["whole_fps"]), peak_mb)


def _watched(process: subprocess.Popen[str], begin: float) -> tuple[float, float | None]:
    """Wait for the end; return seconds until the first line of output, and the peak memory in MiB."""
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    with process.stdout as lines:
        lines.readline()
        start_up_s = time.perf_counter() - begin
        for _ in lines:
            pass
    if not hasattr(os, "wait4"):
        process.wait()
        return start_up_s, None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, others KiB
    return start_up_s, usage.ru_maxrss * unit / (1 << 20)
