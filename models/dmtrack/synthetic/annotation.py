"""Boxes as people draw them and as a tracker believes them: not quite the tight box of the target."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dmtrack.geometry.box import Box

#: Standard deviation of the log size and, as a share of the size, of the centre.
_HABIT_SIZE, _HABIT_CENTRE = 0.14, 0.06
_LARGEST_HABIT = 0.35
#: Standard deviation of each edge of an annotated box, in px and at most as a share of the box's side.
_EDGE_PX, _EDGE_SHARE = 0.8, 0.1
#: Share of recent templates that have drifted, and how far: standard deviation in shares of the size.
DRIFTED_SHARE, DRIFT = 0.1, 0.35


@dataclass(frozen=True, slots=True)
class AnnotationHabit:
    """How one annotator draws boxes: loose, cut, or off, in the same way through a whole sequence.

    A tracker is given one such box and judged by the others, so it must follow the given box, not its
    own idea of where a thing ends.

    Attributes:
        dx: Shift of the centre as a share of the width.
        dy: Shift of the centre as a share of the height.
        log_w: Natural logarithm of the factor on the width.
        log_h: Natural logarithm of the factor on the height.
    """

    dx: float = 0.0
    dy: float = 0.0
    log_w: float = 0.0
    log_h: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator, share: float) -> AnnotationHabit:
        """Draw a habit; with probability `1 - share` it is the tight box."""
        spread = np.array((_HABIT_CENTRE, _HABIT_CENTRE, _HABIT_SIZE, _HABIT_SIZE))
        values = np.clip(spread * rng.standard_normal(4), -_LARGEST_HABIT, _LARGEST_HABIT)
        return cls(*values.tolist()) if rng.random() < share else cls()

    def of(self, tight: Box) -> Box:
        """Return the box that the annotator draws around what `tight` bounds."""
        return Box.from_cxcywh(
            tight.cx + self.dx * tight.w,
            tight.cy + self.dy * tight.h,
            tight.w * math.exp(self.log_w),
            tight.h * math.exp(self.log_h),
        )


def annotated(box: Box, rng: np.random.Generator) -> Box:
    """Return the box as a person draws it in one frame: a pixel off at each edge, which tiny things feel."""
    spread = np.minimum(_EDGE_PX, _EDGE_SHARE * np.array((box.w, box.h, box.w, box.h)))
    x1, y1, x2, y2 = (np.array(box.xyxy) + spread * np.clip(rng.standard_normal(4), -2, 2)).tolist()
    return Box(x1, y1, x2 - x1, y2 - y1)


def believed(box: Box, rng: np.random.Generator, spread: float) -> Box:
    """Return the box that a tracker has when `box` is right.

    Args:
        box: The right one.
        rng: What is drawn with.
        spread: Standard deviation of the centre, as a share of the size, and of the log size, an axis.
    """
    dx, dy, log_w, log_h = (spread * rng.standard_normal(4)).tolist()
    return AnnotationHabit(dx, dy, log_w, log_h).of(box)


def template_spread(rng: np.random.Generator, *, first: bool, usual: float) -> float:
    """Return the `spread` of `believed` for a template: little for the first, at times much for others."""
    if first:
        return 0.3 * usual
    return DRIFT if rng.random() < DRIFTED_SHARE else usual


def in_square(box: Box, left_px: float, top_px: float, side_px: float) -> npt.NDArray[np.float32]:
    """Return centre and size of `box` as fractions of a square: `(4,)` float32 cx, cy, w, h."""
    placed = ((box.cx - left_px) / side_px, (box.cy - top_px) / side_px, box.w / side_px, box.h / side_px)
    return np.array(placed, np.float32)


def flipped(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return boxes `(..., 4)` (cx, cy, w, h as fractions) of a picture flipped left to right."""
    turned = boxes.copy()
    turned[..., 0] = 1 - turned[..., 0]
    return turned
