"""Do rows look like corners, `x1,y1,x2,y2`, where `x,y,w,h` is expected?"""

from __future__ import annotations

from typing import Final

import numpy as np

from dmtrack.boxes.tracks import RowOrder, in_order
from dmtrack.evaluation.overlap import Floats, is_box, raw_iou

_FITS: Final = 0.5
_LOOKED_AT: Final = 5


def corner_like(rows: Floats, truth: Floats) -> bool | None:
    """Return whether the first rows fit the truth as corners and not as they are; None if nobody can tell.

    Args:
        rows: `(N, 4)` of a result file; the first is usually the box that was given.
        truth: `(T, 4)` x, y, w, h.
    """
    if rows.ndim != len("hw") or rows.shape[1] != truth.shape[1]:
        return None
    frames = min(len(rows), len(truth), _LOOKED_AT)
    shown, true = rows[:frames], truth[:frames]
    known = is_box(true) & np.isfinite(shown).all(axis=1)
    if not known.any():
        return None
    as_size = np.nanmean(raw_iou(shown[known], true[known]))
    as_corners = np.nanmean(raw_iou(in_order(shown[known], RowOrder.XYXY), true[known]))
    return bool(as_size < _FITS < as_corners)
