"""How long each stage of tracking takes, one after the other in this process: medians over frames."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from dmtrack.config import ModelConfig, TrackerConfig
from dmtrack.geometry.box import Box
from dmtrack.geometry.crop import Crop
from dmtrack.network.head import HeadOutput
from dmtrack.network.store import ResolvedWeights
from dmtrack.output.draw import Layout, compose_result
from dmtrack.output.video import VideoWriter
from dmtrack.pipeline import Precision, tracker_for
from dmtrack.tracking.response import choose_peak, hann_window
from dmtrack.tracking.result import FrameResult
from dmtrack.video.frame import FramePair
from dmtrack.video.pairing import open_pair
from dmtrack_cli.bench_clip import BenchClip

WARM_UP: int = 3
"""Steps that are not counted: buffers are made, and a GPU compiles."""


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
    def step_ms(self) -> float:
        """The whole step of the tracker."""
        return self.crop + self.network + self.post


@dataclass(slots=True)
class _Timings:
    """Milliseconds of single frames."""

    decode: list[float] = field(default_factory=list)
    crop: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)
    draw: list[float] = field(default_factory=list)
    encode: list[float] = field(default_factory=list)


def measure_stages(
    clip: BenchClip,
    weights: ResolvedWeights,
    place: tuple[str, Precision],
    targets: int,
    *,
    scratch: Path,
    frames: int,
    limit_s: float,
) -> Stages:
    """Track `clip` step by step.

    Args:
        clip: The recording; at least two frames of it are tracked.
        weights: What tracks.
        place: Device and precision.
        targets: How many targets.
        scratch: A folder for the video.
        frames: Most frames to track.
        limit_s: Frames after this time are left out.

    Raises:
        InputError: The recording cannot be read.
    """
    device, precision = place
    tracker = tracker_for(weights, device, precision)
    boxes = clip.boxes(targets)
    timings = _Timings()
    writer = VideoWriter(scratch / "stages.mp4", overwrite=True)
    begin = time.perf_counter()
    with open_pair(clip.rgb, clip.aux, modality=clip.modality) as pairs:
        rest = iter(pairs)
        tracker.initialize(next(rest), boxes)
        done = 0
        while done < frames + WARM_UP and (done <= WARM_UP or time.perf_counter() - begin < limit_s):
            pair = _timed(timings.decode, lambda: next(rest, None))
            if pair is None:
                timings.decode.pop()
                break
            found = tracker.update(pair)
            done += 1
            timings.step.append(tracker.infer_ms)
            _timed(timings.crop, lambda p=pair, f=found: _crops(p, [t.box for t in f], weights))  # type: ignore[misc]
            result = FrameResult(pair, found, tracker.infer_ms)
            picture = _timed(timings.draw, lambda r=result: compose_result(r, Layout.SIDE))  # type: ignore[misc]
            rgb = pair.rgb
            _timed(timings.encode, lambda q=picture, f=rgb: writer.write(q, f.pts, f.time_base))  # type: ignore[misc]
    writer.close()
    post = _post_ms(weights.model.config, weights.tracker_config, targets, device)
    crop, step = _median(timings.crop), _median(timings.step)
    return Stages(
        decode=_median(timings.decode),
        crop=crop,
        network=max(0.0, step - crop - post),
        post=post,
        draw=_median(timings.draw),
        encode=_median(timings.encode),
    )
