"""Square crops around a box: the only place that maps frame <-> crop.

`Sampling` holds the arithmetic of `Crop.cut` with OpenCV as tables, for devices where OpenCV does not run:
the same half-pixel centres, the same 11-bit weights, and black outside the frame and on its last column and
row.

Source: specification 3.2 (the published crop, including the column it loses at the border).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.errors import BoxError
from dmtrack.geometry.box import Box

WHOLE_WEIGHT: Final = 1 << 11  # the weights of two neighbours add up to this

_Integers = npt.NDArray[np.int64]
_Picture = TypeVar("_Picture", bound=npt.NDArray[Any])


def rectangle(
    picture: _Picture, left: int, top: int, width: int, height: int, blank: int | tuple[int, int, int] = 0
) -> _Picture:
    """Return a `width` x `height` part of a picture from a pixel on; outside the picture it is `blank`."""
    inside = picture[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    if inside.shape[:2] == (height, width):
        return cast(_Picture, inside)
    whole = np.full((height, width, *picture.shape[2:]), blank, picture.dtype)
    y, x = max(0, -top), max(0, -left)
    whole[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return cast(_Picture, whole)


@dataclass(frozen=True, slots=True)
class Crop:
    """A square of the frame, resized to `size_px`."""

    cx: float  # horizontal centre in frame pixels, not rounded
    cy: float  # vertical centre in frame pixels, not rounded
    side_px: int  # side of the square in frame pixels, a whole number
    size_px: int  # side of the crop in crop pixels

    def __post_init__(self) -> None:
        if self.side_px < 1 or self.size_px < 1:
            raise BoxError(f"a crop of {self.side_px} px is too small")

    @classmethod
    def around(cls, box: Box, factor: float, size_px: int) -> Crop:
        """Cut `factor` times the square root of the box's area, centred on the box."""
        side_px = math.ceil(math.sqrt(box.w * box.h) * factor)
        return cls(box.cx, box.cy, side_px, size_px)

    @property
    def left_px(self) -> int:
        """First column in frame pixels; rounds half to even, as published."""
        return round(self.cx - 0.5 * self.side_px)

    @property
    def top_px(self) -> int:
        """First row in frame pixels; rounds half to even, as published."""
        return round(self.cy - 0.5 * self.side_px)

    def cut(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Cut the square from `image` `(H, W, C)` uint8 and resize it to `(size, size, C)`.

        What lies outside the frame is black. A crop that touches the last column or row loses that
        column or row to black: the published code does so, and trained weights expect it.
        """
        inside = rectangle(image[:-1, :-1], self.left_px, self.top_px, self.side_px, self.side_px)
        resized = cv2.resize(np.ascontiguousarray(inside), (self.size_px, self.size_px))
        return resized.reshape(self.size_px, self.size_px, image.shape[2]).astype(np.uint8, copy=False)

    def from_frame(self, box: Box) -> tuple[float, float, float, float]:
        """Map a box in frame pixels to `(cx, cy, w, h)` as fractions of the crop side; undoes `to_frame`."""
        side = float(self.side_px)
        return (0.5 + (box.cx - self.cx) / side, 0.5 + (box.cy - self.cy) / side, box.w / side, box.h / side)

    def to_frame(self, cx: float, cy: float, w: float, h: float) -> Box:
        """Map a box given as fractions of the crop side to frame pixels.

        The centre is taken relative to the unrounded centre of the crop, as published: up to half a
        pixel of bias.
        """
        half = 0.5 * self.side_px
        return Box.from_cxcywh(
            self.cx - half + cx * self.side_px,
            self.cy - half + cy * self.side_px,
            w * self.side_px,
            h * self.side_px,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """The frame pixels and weights that make each pixel of B crops of one size."""

    rows: tuple[int, int]  # the rows of the frame that the crops read: first, and past the last; at least one
    columns: tuple[int, int]  # the columns likewise
    # `(2, 2, 2, B, size)` int32. First axis: down, along. Second: index, counted from the first row or column
    # read, and weight, 0 for black. Third: the two neighbours.
    tables: npt.NDArray[np.int32]

    @classmethod
    def of(cls, crops: Sequence[Crop], width: int, height: int) -> Sampling:
        """Return the tables of crops, at least one and all of one size, in a `width` x `height` frame."""
        sides = np.array([crop.side_px for crop in crops])
        index, weight = _neighbours(sides, crops[0].size_px)
        rows, down = _on_frame(index + np.array([c.top_px for c in crops])[:, None], weight, height)
        columns, along = _on_frame(index + np.array([c.left_px for c in crops])[:, None], weight, width)
        return cls(rows, columns, np.stack((down, along)))


def _neighbours(sides: _Integers, size: int) -> tuple[_Integers, _Integers]:
    """Return the two nearest positions in a square, and their weights: `(2, B, size)` each.

    Positions are rounded to float32 as OpenCV does, which decides some weights.
    """
    scale = 1 / (size / sides[:, None])
    position = ((np.arange(size) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(position)
    second_weight = position - first
    weight = np.stack((np.float32(1) - second_weight, second_weight)) * np.float32(WHOLE_WEIGHT)
    index = np.stack((first, first + 1)).astype(np.int64)
    return index.clip(0, sides[:, None] - 1), np.rint(weight).astype(np.int64)


def _on_frame(
    index: _Integers, weight: _Integers, length: int
) -> tuple[tuple[int, int], npt.NDArray[np.int32]]:
    """Return the range of pixels read along an axis of the frame, and its table `(2, 2, B, size)`."""
    black = (index < 0) | (index >= length - 1)
    low = min(max(int(index.min()), 0), length - 1)
    high = max(min(int(index.max()) + 1, length), low + 1)
    table = np.stack((index.clip(low, high - 1) - low, np.where(black, 0, weight)))
    return (low, high), table.astype(np.int32)
