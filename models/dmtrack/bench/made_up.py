"""What `dmtrack bench` tracks: a made-up recording of two streams, or the person's own, and boxes in it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

from dmtrack.geometry.box import Box
from dmtrack.video.frame import Modality
from dmtrack.video.pairing import open_pair

WIDTH, HEIGHT, RATE = 640, 480, 30
_TARGET_SHARE: Final = Fraction(1, 10)
"""Side of a target, as a share of the shorter side of the frame."""

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class BenchClip:
    """A recording and what is measured on it.

    Attributes:
        rgb: The first stream.
        aux: The second one, if there is one.
        modality: What it measures.
        size: Width and height of the first in px.
        made_up: Whether it was generated.
    """

    rgb: Path
    aux: Path | None
    modality: Modality | None
    size: tuple[int, int]
    made_up: bool

    def boxes(self, count: int) -> tuple[Box, ...]:
        """Return boxes spread over the first frame; in a made-up recording there is a target in each."""
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
    """Look at the person's own recording.

    Raises:
        InputError: It cannot be opened or paired.
        ConfigError: The modality cannot be told.
    """
    with open_pair(rgb, aux, modality=modality) as pairs:
        info = pairs.rgb_info
        return BenchClip(rgb, aux, pairs.modality, (info.width, info.height), made_up=False)


def make_clip(folder: Path, frames: int, targets: int) -> BenchClip:
    """Write an RGB and a thermal video of textured squares that move over a textured ground.

    Args:
        folder: Where to write.
        frames: How many.
        targets: How many squares.
    """
    rng = np.random.default_rng(0)
    ground = _texture(rng, WIDTH, HEIGHT)
    boxes = target_boxes(targets, WIDTH, HEIGHT)
    textures = [_texture(rng, round(box.w), round(box.h), fine=True) for box in boxes]
    rgb, aux = folder / "rgb.mp4", folder / "thermal.mp4"
    with av.open(str(rgb), "w") as colour, av.open(str(aux), "w") as grey:
        streams = (_stream(colour), _stream(grey))
        for number in range(frames):
            picture = ground.copy()
            for place, texture, box in zip(itertools.count(), textures, boxes, strict=False):
                shift = 10 * math.sin(number / 12 + place), 8 * math.cos(number / 15 + place)
                x, y = round(box.x + shift[0]), round(box.y + shift[1])
                picture[y : y + texture.shape[0], x : x + texture.shape[1]] = texture
            heat = np.asarray(cv2.cvtColor(255 - picture, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
            colour.mux(streams[0].encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            grey.mux(streams[1].encode(av.VideoFrame.from_ndarray(heat, format="gray")))
        colour.mux(streams[0].encode(None))
        grey.mux(streams[1].encode(None))
    return BenchClip(rgb, aux, Modality.THERMAL, (WIDTH, HEIGHT), made_up=True)


def _stream(container: av.container.OutputContainer) -> VideoStream:
    options = {"preset": "ultrafast", "crf": "20"}
    stream = container.add_stream("libx264", rate=RATE, options=options)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    return stream


def _texture(rng: np.random.Generator, width: int, height: int, *, fine: bool = False) -> Picture:
    cell = 6 if fine else 40
    low, high = (60, 255) if fine else (40, 150)
    coarse = rng.integers(low, high, (max(2, height // cell), max(2, width // cell), 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
