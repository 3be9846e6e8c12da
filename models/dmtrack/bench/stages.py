"""How long each stage of tracking takes, one after the other in this process: medians over frames."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import torch

from dmtrack.bench.made_up import BenchClip
from dmtrack.config import ModelConfig, TrackerConfig
from dmtrack.drawing.draw import Layout, compose_result
from dmtrack.drawing.video import VideoWriter
from dmtrack.errors import DecodeError
from dmtrack.geometry.box import Box
from dmtrack.geometry.crop import Crop
from dmtrack.network.head import HeadOutput
from dmtrack.tracking.response import choose_peak, hann_window
from dmtrack.tracking.result import FrameResult, TrackedBox
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import FramePair
from dmtrack.video.pairing import open_pair

Boxes = Sequence[Sequence[Box]]
"""Of all targets in each frame, from the second frame of the recording on."""
_WARM_UP: Final = 3
"""Frames beyond those asked for."""
_POST_ROUNDS: Final = 20


@dataclass(frozen=True, slots=True)
class Stages:
    """Milliseconds a frame, medians.

    Attributes:
        decode: Both streams read, paired and encoded to six channels.
        crop: The search regions cut out of the frame.
        network: The tracker's step without `crop` and `post`.
        post: From maps to boxes.
        draw: The annotated picture.
        encode: H.264.
    """

    decode: float
    crop: float
    network: float
    post: float
    draw: float
    encode: float

    @property
    def step(self) -> float:
        """The whole step of the tracker."""
        return self.crop + self.network + self.post

    @property
    def total(self) -> float:
        """All stages one after the other."""
        return self.decode + self.step + self.draw + self.encode


class _Stopwatch:
    """Collects times by name; the first half of each does not count: buffers and programs are made."""

    def __init__(self) -> None:
        self._ms: defaultdict[str, list[float]] = defaultdict(list)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self._ms[name].append((time.perf_counter() - begin) * 1e3)

    def has(self, name: str) -> bool:
        return bool(self._ms[name])

    def median(self, name: str) -> float:
        times = self._ms[name]
        return statistics.median(times[len(times) // 2 :])


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: at most so many frames, and no second one is begun after so many seconds."""

    frames: int
    limit_s: float


def measure_stages(clip: BenchClip, tracker: Tracker, targets: int, effort: Effort) -> tuple[Stages, Boxes]:
    """Track stage by stage, with the video written to a temporary file; return times and boxes.

    Raises:
        InputError: The recording cannot be read, or has a single frame.
    """
    watch = _Stopwatch()
    boxes: list[list[Box]] = []
    with open_pair(clip.rgb, clip.aux, modality=clip.modality) as pairs, TemporaryDirectory() as scratch:
        rest = iter(pairs)
        tracker.initialize(next(rest), clip.boxes(targets))
        writer = VideoWriter(Path(scratch) / "annotated.mp4")
        begin = time.perf_counter()
        for done in range(effort.frames + _WARM_UP):
            if done and time.perf_counter() - begin > effort.limit_s:
                break
            with watch("decode"):
                pair = next(rest, None)
            if pair is None:
                break
            found = _measure_frame(watch, pair, tracker, writer)
            boxes.append([target.box for target in found])
        writer.close()
    if not watch.has("step"):
        raise DecodeError("has a single frame", where=clip.rgb, hint="give a longer recording")
    crop, post = watch.median("crop"), _post_ms(tracker.config, tracker.network.config, targets)
    stages = Stages(
        decode=watch.median("decode"),
        crop=crop,
        network=max(0.0, watch.median("step") - crop - post),
        post=post,
        draw=watch.median("draw"),
        encode=watch.median("encode"),
    )
    return stages, boxes


def _measure_frame(
    watch: _Stopwatch, pair: FramePair, tracker: Tracker, writer: VideoWriter
) -> tuple[TrackedBox, ...]:
    with watch("step"):
        found = tracker.update(pair)
    with watch("crop"):
        size, factor = tracker.network.config.search_size, tracker.config.search_factor
        crops = [Crop.around(target.box, factor, size) for target in found]
        tracker.cropper.cut(pair.image, crops)
        if tracker.network.device.type == "cuda":
            torch.cuda.synchronize(tracker.network.device)
    with watch("draw"):
        picture = compose_result(FrameResult(pair, found, tracker.infer_ms), Layout.SIDE)
    with watch("encode"):
        writer.write(picture, pair.rgb.pts, pair.rgb.time_base)
    return found


def _post_ms(config: TrackerConfig, model: ModelConfig, targets: int) -> float:
    """Return how long it takes to choose cells of made-up maps, on the CPU."""
    watch, side = _Stopwatch(), model.search_grid
    generator = torch.Generator().manual_seed(0)
    maps = [torch.rand(targets, channels, side, side, generator=generator) for channels in (1, 2, 2, 1)]
    output = HeadOutput(*maps)
    window, before = hann_window(side, torch.device("cpu")), torch.full((targets, 2), 0.25)
    with torch.inference_mode():
        for _ in range(_POST_ROUNDS):
            with watch("post"):
                choose_peak(output, window, before, config).boxes_cxcywh_norm.tolist()
    return watch.median("post")
