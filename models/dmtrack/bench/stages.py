"""How long each stage of tracking takes, one after the other in this process: medians over frames.

The recording is a made-up one of two streams, or the user's own, with boxes spread over it.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import torch

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
from dmtrack.video.frame import FramePair, Modality
from dmtrack.video.pairing import open_pair

WIDTH, HEIGHT, RATE = 640, 480, 30
LIMIT_S: Final = 4.0  # for measuring the stages of each row; the command takes about as long, plus its start
_TARGET_SHARE: Final = Fraction(1, 10)  # side of a target, as a share of the shorter side of the frame
_WARM_UP: Final = 3
"""Additional frames that do not count: a program is compiled for each length of the memory."""
_FEWEST: Final = 3  # fewest frames that count, however long they take, if the recording has them
_POST_REPEATS: Final = 20

Picture = npt.NDArray[np.uint8]
Boxes = Sequence[Sequence[Box]]  # of all targets in each frame, from the second frame of the recording on


@dataclass(frozen=True, slots=True)
class BenchClip:
    """The recording that is measured."""

    rgb: Path
    aux: Path | None
    modality: Modality | None  # of `aux`
    size: tuple[int, int]  # width and height of `rgb` in px
    made_up: bool  # whether it was generated

    def boxes(self, count: int) -> tuple[Box, ...]:
        """Return boxes spread over the first frame; in a made-up recording each holds a target."""
        return target_boxes(count, *self.size)


def target_boxes(count: int, width: int, height: int) -> tuple[Box, ...]:
    """Return `count` square boxes on a grid over a frame."""
    side = float(min(width, height) * _TARGET_SHARE)
    columns = math.ceil(math.sqrt(count * width / height))
    rows = math.ceil(count / columns)
    places = itertools.islice(itertools.product(range(rows), range(columns)), count)
    return tuple(
        Box((column + 0.5) * width / columns - side / 2, (row + 0.5) * height / rows - side / 2, side, side)
        for row, column in places
    )


def open_clip(rgb: Path, aux: Path | None, modality: Modality | None) -> BenchClip:
    """Open the user's own recording.

    `InputError`: it cannot be opened or paired; `ConfigError`: the modality cannot be determined.
    """
    with open_pair(rgb, aux, modality=modality) as pairs:
        info = pairs.rgb_info
        return BenchClip(rgb, aux, pairs.modality, (info.width, info.height), made_up=False)


def make_clip(folder: Path, frames: int, targets: int) -> BenchClip:
    """Write an RGB and a thermal video of textured squares that move over a textured ground."""
    rng = np.random.default_rng(0)
    ground = _texture(rng, WIDTH, HEIGHT)
    boxes = target_boxes(targets, WIDTH, HEIGHT)
    textures = [_texture(rng, round(box.w), round(box.h), fine=True) for box in boxes]
    rgb, aux = folder / "rgb.mp4", folder / "thermal.mp4"
    colour, grey = VideoWriter(rgb), VideoWriter(aux)
    for number in range(frames):
        picture = ground.copy()
        for place, (texture, box) in enumerate(zip(textures, boxes, strict=True)):
            x = round(box.x + 10 * math.sin(number / 12 + place))
            y = round(box.y + 8 * math.cos(number / 15 + place))
            picture[y : y + texture.shape[0], x : x + texture.shape[1]] = texture
        colour.write(picture, number, Fraction(1, RATE))
        heat = np.asarray(cv2.cvtColor(255 - picture, cv2.COLOR_RGB2GRAY), np.uint8)
        grey.write(np.repeat(heat[..., None], 3, axis=2), number, Fraction(1, RATE))
    colour.close()
    grey.close()
    return BenchClip(rgb, aux, Modality.THERMAL, (WIDTH, HEIGHT), made_up=True)


def _texture(rng: np.random.Generator, width: int, height: int, *, fine: bool = False) -> Picture:
    cell = 6 if fine else 40
    low, high = (60, 255) if fine else (40, 150)
    coarse = rng.integers(low, high, (max(2, height // cell), max(2, width // cell), 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


# --- stages -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stages:
    """Median milliseconds a frame."""

    decode: float  # both streams read, paired and encoded to six channels
    crop: float  # the search regions cut out of the frame
    network: float  # the tracker's step without `crop` and `post`
    post: float  # from maps to boxes
    draw: float  # the annotated picture
    encode: float  # H.264

    @property
    def step(self) -> float:
        """The whole step of the tracker."""
        return self.crop + self.network + self.post

    @property
    def total(self) -> float:
        """All stages one after the other."""
        return self.decode + self.step + self.draw + self.encode


class _Stopwatch:
    """Collects times by name; the first half of each is dropped as warm-up."""

    def __init__(self) -> None:
        self.ms: defaultdict[str, list[float]] = defaultdict(list)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.ms[name].append((time.perf_counter() - begin) * 1e3)

    def median(self, name: str) -> float:
        times = self.ms[name]
        return statistics.median(times[len(times) // 2 :])


def measure_stages(clip: BenchClip, tracker: Tracker, targets: int, frames: int) -> tuple[Stages, Boxes]:
    """Track stage by stage, with the video written to a temporary file; return times and boxes.

    At most `frames` frames are measured, and beyond the first few none starts after `LIMIT_S`. `InputError`:
    the recording cannot be read, or has a single frame.
    """
    watch = _Stopwatch()
    boxes: list[list[Box]] = []
    with (
        open_pair(clip.rgb, clip.aux, modality=clip.modality) as pairs,
        TemporaryDirectory() as scratch,
        closing(VideoWriter(Path(scratch) / "annotated.mp4")) as writer,
    ):
        rest = iter(pairs)
        tracker.initialize(next(rest), clip.boxes(targets))
        begin = time.perf_counter()
        for done in range(-_WARM_UP, frames):
            if done == 0:
                begin = time.perf_counter()
            if done >= _FEWEST and time.perf_counter() - begin > LIMIT_S:
                break
            with watch("decode"):
                pair = next(rest, None)
            if pair is None:
                break
            found = _measure_frame(watch, pair, tracker, writer)
            boxes.append([target.box for target in found])
    if not watch.ms["step"]:
        raise DecodeError("has a single frame", where=clip.rgb, hint="give a longer recording")
    decode, crop, draw, encode = map(watch.median, ("decode", "crop", "draw", "encode"))
    post = _post_ms(tracker.config, tracker.network.config, targets)
    return Stages(decode, crop, max(0.0, watch.median("step") - crop - post), post, draw, encode), boxes


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
            torch.cuda.synchronize(str(tracker.network.device))
    with watch("draw"):
        picture = compose_result(FrameResult(pair, found, tracker.infer_ms), Layout.SIDE)
    with watch("encode"):
        writer.write(picture, pair.rgb.pts, pair.rgb.time_base)
    return found


def _post_ms(config: TrackerConfig, model: ModelConfig, targets: int) -> float:
    """Return the milliseconds that choosing cells takes on the CPU, with random maps."""
    watch, side = _Stopwatch(), model.search_grid
    generator = torch.Generator().manual_seed(0)
    maps = [torch.rand(targets, channels, side, side, generator=generator) for channels in (1, 2, 2, 1)]
    output = HeadOutput(*maps)
    window, before = torch.from_numpy(hann_window(side)), torch.full((targets, 2), 0.25)
    with torch.inference_mode():
        for _ in range(_POST_REPEATS):
            with watch("post"):
                choose_peak(output, window, before, config).boxes_cxcywh_norm.tolist()
    return watch.median("post")
