"""`TrainingSample`: the output of every source of samples, and a contact sheet of many.

Its boxes are as people draw them and as a tracker believes them: not exactly the tight box of the target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.errors import ConfigError
from dmtrack.geometry.box import Box
from dmtrack.synthetic.textures import Image
from dmtrack.video.frame import Modality

_BOX_RGB = (0, 255, 0)
_HIDDEN_RGB = (255, 0, 0)
_GAP_PX = 3
#: Standard deviations of the log size, and of the centre as a share of the size.
_HABIT_SIZE, _HABIT_CENTRE = 0.14, 0.06
_LARGEST_HABIT = 0.35
#: Standard deviation of each edge of an annotated box, in px and at most as a share of the box's side.
_EDGE_PX, _EDGE_SHARE = 0.8, 0.1
#: Share of recent templates that have drifted, and standard deviation of the drift as a share of the size.
DRIFTED_SHARE, DRIFT = 0.1, 0.35


@dataclass(frozen=True, slots=True)
class SampleShape:
    """What samples of all sources have in common; factors and jitters are published (specification 4)."""

    template_size: int = 96  # side z of a template in px
    search_size: int = 192  # side x of the search crop in px
    templates: int = 2  # number T: the first is the initial frame, the others precede the search frame
    # Second stream of the pairs; None for one stream of three channels
    modality: Modality | None = None
    template_factor: float = 2.0  # template side over `sqrt(w h)` of the box
    search_factor: float = 4.0  # search side over `sqrt(w h)` of the jittered box
    # The centre of the search region moves by `centre_jitter * sqrt(w h) * (u - 0.5)` along each axis
    centre_jitter: float = 3.0
    scale_jitter: float = 0.25  # its width and height are multiplied by `exp(scale_jitter * n)`

    def __post_init__(self) -> None:
        if self.templates < 1:
            raise ConfigError(f"a sample needs at least one template, not {self.templates}")
        if min(self.template_size, self.search_size) < 16:
            raise ConfigError(f"crops of {self.template_size} and {self.search_size} px are too small")


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """T templates, one search crop, and the place of the target in it."""

    # `(T, z, z, C)` uint8, oldest first; C is 3 for one stream, 6 for a pair (RGB first)
    templates: npt.NDArray[np.uint8]
    # `(T, 4)` float32 centre and size of the box around which each template was cut, as fractions of the
    # template's side: given for the first, believed for the others
    template_boxes: npt.NDArray[np.float32]
    search: npt.NDArray[np.uint8]  # `(x, x, C)` uint8
    # `(4,)` float32 centre and size of the target as fractions of the search crop's side
    box_cxcywh: npt.NDArray[np.float32]
    visible: bool  # False if the target is hidden or gone; then the box says where it would be
    skipped: tuple[str, ...] = ()  # why earlier samples could not be made


# --- contact sheet -------------------------------------------------------------------------------


def contact_sheet(samples: Sequence[TrainingSample], columns: int = 6) -> Image:
    """Return a `(H, W, 3)` RGB picture of all samples.

    Each sample shows its templates in a column beside its search crop, each with its box: green, or red if
    the target is hidden. A pair shows the RGB stream and, to its right, the second stream.
    """
    tiles = [_tile(sample) for sample in samples]
    blank = np.full_like(tiles[0], 255)
    rows = []
    for start in range(0, len(tiles), columns):
        row = tiles[start : start + columns]
        rows.append(np.hstack(row + [blank] * (columns - len(row))))
    return np.vstack(rows)


def _tile(sample: TrainingSample) -> Image:
    streams = [slice(c, c + 3) for c in range(0, sample.search.shape[2], 3)]
    panels = [_panel(sample, channels) for channels in streams]
    return np.asarray(
        cv2.copyMakeBorder(
            np.hstack(panels), 0, _GAP_PX, 0, _GAP_PX, cv2.BORDER_CONSTANT, value=(255, 255, 255)
        )
    )


def _panel(sample: TrainingSample, channels: slice) -> Image:
    """Return one stream of a sample: templates in a column, then the search crop."""
    size = sample.search.shape[0]
    search = _with_box(sample.search[..., channels], sample.box_cxcywh, shown=sample.visible)
    count = len(sample.templates)
    side = size // max(count, 2)
    column = np.zeros((size, side, 3), np.uint8)
    for k, (template, box) in enumerate(zip(sample.templates, sample.template_boxes, strict=True)):
        small = np.asarray(cv2.resize(template[..., channels], (side, side)), np.uint8)
        column[k * side : (k + 1) * side] = _with_box(small, box)
    return np.hstack([column, search])


def _with_box(picture: Image, box_cxcywh: npt.NDArray[np.float32], *, shown: bool = True) -> Image:
    """Return a copy of the picture with a box, given as fractions of its side."""
    drawn = picture.copy()
    cx, cy, w, h = (box_cxcywh * drawn.shape[0]).tolist()
    corners = np.rint([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]).astype(int).tolist()
    cv2.rectangle(drawn, corners[:2], corners[2:], _BOX_RGB if shown else _HIDDEN_RGB, 1)
    return drawn


# --- boxes --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AnnotationHabit:
    """How one annotator draws boxes: loose, tight or shifted, in the same way throughout a sequence.

    A tracker is given one such box and judged by the others, so it must follow the given box, not its own
    idea of where a thing ends.
    """

    dx: float = 0.0  # shift of the centre as a share of the width
    dy: float = 0.0  # shift of the centre as a share of the height
    log_w: float = 0.0  # natural logarithm of the factor on the width
    log_h: float = 0.0  # natural logarithm of the factor on the height

    @classmethod
    def draw(cls, rng: np.random.Generator, share: float) -> AnnotationHabit:
        """Draw a habit; with probability `1 - share` it is the tight box."""
        spread = np.array((_HABIT_CENTRE, _HABIT_CENTRE, _HABIT_SIZE, _HABIT_SIZE))
        values = np.clip(spread * rng.standard_normal(4), -_LARGEST_HABIT, _LARGEST_HABIT)
        return cls(*values.tolist()) if rng.random() < share else cls()

    def of(self, tight: Box) -> Box:
        """Return the annotator's box for a target with the tight box `tight`."""
        return Box.from_cxcywh(
            tight.cx + self.dx * tight.w,
            tight.cy + self.dy * tight.h,
            tight.w * math.exp(self.log_w),
            tight.h * math.exp(self.log_h),
        )


def annotated(box: Box, rng: np.random.Generator) -> Box:
    """Return the box with a person's error in one frame: about a pixel at each edge, less on tiny things."""
    spread = np.minimum(_EDGE_PX, _EDGE_SHARE * np.array((box.w, box.h, box.w, box.h)))
    x1, y1, x2, y2 = (np.array(box.xyxy) + spread * np.clip(rng.standard_normal(4), -2, 2)).tolist()
    return Box(x1, y1, x2 - x1, y2 - y1)


def believed(box: Box, rng: np.random.Generator, spread: float) -> Box:
    """Return a tracker's box for a target with the true box `box`.

    `spread` is the standard deviation, along each axis, of the centre as a share of the size, and of the log
    size.
    """
    dx, dy, log_w, log_h = (spread * rng.standard_normal(4)).tolist()
    return AnnotationHabit(dx, dy, log_w, log_h).of(box)


def template_spread(rng: np.random.Generator, *, first: bool, usual: float) -> float:
    """Return the `spread` of `believed` for a template: small for the first, sometimes large for others."""
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
