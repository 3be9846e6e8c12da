"""`Box`: an axis-aligned rectangle in pixels of the full RGB frame."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dmtrack.errors import BoxError
from dmtrack.numbers import real, shown

_MOST_FRAMES: Final = 4
"""No box is wider or higher than this many frames: the crops around it would not fit into memory."""
_LARGEST_SHOWN: Final = 1e15
_PIXELS: Final = "boxes are x,y,w,h in pixels of the RGB stream"


class BoxFormat(StrEnum):
    """The meaning of a box's four numbers: a corner and a size, two corners, or a centre and a size."""

    XYWH = "xywh"
    XYXY = "xyxy"
    CXCYWH = "cxcywh"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in float pixels: top left corner `x, y`, size `w, h > 0`.

    Pixel coordinates count from 0; the right edge is `x + w` (no "+1").

    Raises:
        BoxError: A value is not finite, or the size is not positive.
    """

    x: float
    y: float
    w: float
    h: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(v) for v in (self.x, self.y, self.w, self.h)):
            raise BoxError(f"box {self} holds a value that is not finite")
        if self.w <= 0 or self.h <= 0:
            raise BoxError(f"box {self} has no area", hint="width and height must be above 0")

    def __str__(self) -> str:
        """Return `x,y,w,h` with at most two decimals; huge numbers in exponent form."""
        return ",".join(
            f"{v:.2f}".rstrip("0").rstrip(".") if abs(v) < _LARGEST_SHOWN else f"{v:g}" for v in self.xywh
        )

    @property
    def xywh(self) -> tuple[float, float, float, float]:
        """`(x, y, w, h)` in pixels."""
        return (self.x, self.y, self.w, self.h)

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """`(x1, y1, x2, y2)` in pixels."""
        return (self.x, self.y, self.x + self.w, self.y + self.h)

    @property
    def cx(self) -> float:
        """Horizontal centre in pixels."""
        return self.x + 0.5 * self.w

    @property
    def cy(self) -> float:
        """Vertical centre in pixels."""
        return self.y + 0.5 * self.h

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.w * self.h

    @classmethod
    def from_cxcywh(cls, cx: float, cy: float, w: float, h: float) -> Box:
        """Build a box from its centre and size, in pixels."""
        return cls(cx - 0.5 * w, cy - 0.5 * h, w, h)

    def moved(self, dx: float, dy: float) -> Box:
        """Return the box moved by (dx, dy) pixels."""
        return Box(self.x + dx, self.y + dy, self.w, self.h)

    @classmethod
    def parse(cls, text: str) -> Box:
        """Read `x,y,w,h` separated by commas, blanks, tabs or semicolons.

        Raises:
            BoxError: There are not exactly four finite numbers, or the size is not positive.
        """
        words = [word for word in re.split(r"[\s,;]+", text.strip()) if word]
        if len(words) != 4:
            raise BoxError(
                f"a box needs four numbers, got {len(words)} in {shown(text)}",
                hint="write x,y,w,h in pixels, for example 10,20,30,40",
            )
        try:
            x, y, w, h = (real(word) for word in words)
        except ValueError:
            raise BoxError(
                f"{shown(text)} is not four numbers", hint="write x,y,w,h in pixels, for example 10,20,30,40"
            ) from None
        return cls(x, y, w, h)

    def read_as(self, order: BoxFormat, width: int, height: int) -> Box:
        """Return the box if its four numbers are in another order, in a `width` x `height` frame.

        If none of the numbers is above 1, they are shares of the frame.

        Raises:
            BoxError: The second of two corners is not to the right of and below the first.
        """
        x, y, w, h = self.xywh
        if max(self.xywh) <= 1:
            x, y, w, h = x * width, y * height, w * width, h * height
        if order is BoxFormat.XYXY:
            return Box(x, y, w - x, h - y)
        return Box.from_cxcywh(x, y, w, h) if order is BoxFormat.CXCYWH else Box(x, y, w, h)

    def share_inside(self, width: int, height: int) -> float:
        """Return how much of the area lies in a `width` x `height` frame, in [0, 1]."""
        x1, y1, x2, y2 = self.xyxy
        inside = (min(x2, width) - max(x1, 0.0), min(y2, height) - max(y1, 0.0))
        return max(0.0, inside[0]) * max(0.0, inside[1]) / self.area

    def iou(self, other: Box) -> float:
        """Return intersection over union with `other`, in [0, 1]."""
        ax1, ay1, ax2, ay2 = self.xyxy
        bx1, by1, bx2, by2 = other.xyxy
        inter_w = min(ax2, bx2) - max(ax1, bx1)
        inter_h = min(ay2, by2) - max(ay1, by1)
        if inter_w <= 0 or inter_h <= 0:
            return 0.0
        inter = inter_w * inter_h
        return inter / (self.area + other.area - inter)

    def require_inside(self, width: int, height: int) -> Box:
        """Return this box if it lies in a `width` x `height` frame.

        Raises:
            BoxError: Less than one pixel of the box lies inside the frame, or it is far larger than the
            frame.
        """
        x1, y1, x2, y2 = self.xyxy
        if min(x2, width) - max(x1, 0.0) < 1 or min(y2, height) - max(y1, 0.0) < 1:
            raise BoxError(
                f"box {self} lies outside the {width}x{height} frame",
                hint=_PIXELS,
            )
        if self.w > _MOST_FRAMES * width or self.h > _MOST_FRAMES * height:
            raise BoxError(
                f"box {self} is more than {_MOST_FRAMES} times as wide or high as the {width}x{height} frame",
                hint=_PIXELS,
            )
        return self

    def clipped(self, width: int, height: int, margin_px: float = 10.0) -> Box:
        """Clip to the frame so that at least `margin_px` of each side remains.

        Source: specification 3.4, step 6 (the published clipping).
        """
        x1, y1, x2, y2 = self.xyxy
        x1 = min(max(0.0, x1), width - margin_px)
        x2 = min(max(margin_px, x2), float(width))
        y1 = min(max(0.0, y1), height - margin_px)
        y2 = min(max(margin_px, y2), float(height))
        return Box(x1, y1, max(margin_px, x2 - x1), max(margin_px, y2 - y1))
