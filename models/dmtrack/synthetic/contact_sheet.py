"""Contact sheets: many training samples in one picture, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from dmtrack.synthetic.sample import TrainingSample
from dmtrack.synthetic.sprite import Image

_BOX_RGB = (0, 255, 0)
_HIDDEN_RGB = (255, 0, 0)
_GAP_PX = 3


def contact_sheet(samples: Sequence[TrainingSample], columns: int = 6) -> Image:
    """Return a `(H, W, 3)` RGB picture of all samples.

    Each sample is its templates in a column beside its search crop, the box green, or red when the
    target is hidden. A pair shows the colour stream and, right of it, the second stream.
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
    search = sample.search[..., channels].copy()
    size = search.shape[0]
    cx, cy, w, h = (sample.box_cxcywh * size).tolist()
    corners = np.rint([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]).astype(int).tolist()
    cv2.rectangle(search, corners[:2], corners[2:], _BOX_RGB if sample.visible else _HIDDEN_RGB, 1)
    count = len(sample.templates)
    side = size // max(count, 2)
    column = np.zeros((size, side, 3), np.uint8)
    for k, template in enumerate(sample.templates):
        column[k * side : (k + 1) * side] = cv2.resize(template[..., channels], (side, side))
    return np.hstack([column, search])
