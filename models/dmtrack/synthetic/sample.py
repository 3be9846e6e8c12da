"""`TrainingSample`: what every source of samples draws, and a picture of many of them to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.errors import ConfigError
from dmtrack.video.frame import Modality

Image = npt.NDArray[np.uint8]

_BOX_RGB = (0, 255, 0)
_HIDDEN_RGB = (255, 0, 0)
_GAP_PX = 3


@dataclass(frozen=True, slots=True)
class SampleShape:
    """What samples of every source have in common. The factors and jitters are published (specification 4).

    Attributes:
        template_size: Side z of a template in px.
        search_size: Side x of the search crop in px.
        templates: Number T: the first is the initial frame, the others precede the search frame.
        modality: Second stream of the pairs; None for one stream of three channels.
        template_factor: Template side over `sqrt(w h)` of the box.
        search_factor: Search side over `sqrt(w h)` of the jittered box.
        centre_jitter: The centre of the search moves by `centre_jitter * sqrt(w h) * (u - 0.5)` an axis.
        scale_jitter: Its width and height are multiplied by `exp(scale_jitter * n)`.
    """

    template_size: int = 96
    search_size: int = 192
    templates: int = 2
    modality: Modality | None = None
    template_factor: float = 2.0
    search_factor: float = 4.0
    centre_jitter: float = 3.0
    scale_jitter: float = 0.25

    def __post_init__(self) -> None:
        if self.templates < 1:
            raise ConfigError(f"a sample needs at least one template, not {self.templates}")
        if min(self.template_size, self.search_size) < 16:
            raise ConfigError(f"crops of {self.template_size} and {self.search_size} px are too small")


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """T templates, one search crop, and where the target is in it.

    Attributes:
        templates: `(T, z, z, C)` uint8, oldest first; C is 3 for one stream, 6 for a pair (RGB first).
        template_boxes: `(T, 4)` float32 centre and size of the box that each template was cut around, as
            fractions of the template's side: given for the first, believed for the others.
        search: `(x, x, C)` uint8.
        box_cxcywh: `(4,)` float32 centre and size of the target as fractions of the search crop's side.
        visible: False when the target is hidden or gone; then the box says where it would be.
        skipped: Why samples that were drawn before this one could not be made.
    """

    templates: npt.NDArray[np.uint8]
    template_boxes: npt.NDArray[np.float32]
    search: npt.NDArray[np.uint8]
    box_cxcywh: npt.NDArray[np.float32]
    visible: bool
    skipped: tuple[str, ...] = ()


def contact_sheet(samples: Sequence[TrainingSample], columns: int = 6) -> Image:
    """Return a `(H, W, 3)` RGB picture of all samples.

    Each sample is its templates in a column beside its search crop, each with its box: green, or red
    when the target is hidden. A pair shows the colour stream and, right of it, the second stream.
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
    """Return one stream of a sample: templates under each other, then the search crop."""
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
