"""Mean overlap, average overlap and success rates of one pass: for any folder of boxes.

Source: Huang et al., "GOT-10k", TPAMI 2021 (AO, SR at 0.5 and 0.75: all frames but the given ones, pooled).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.datasets.annotations import Annotation
from dmtrack.evaluation.metric import Curve, Metric, padded, track_boxes
from dmtrack.evaluation.overlap import Floats, iou_per_frame, is_box
from dmtrack.evaluation.tracker_files import Track

_SUCCESS_POINTS: Final = 101


def scored_ious(pred: npt.ArrayLike, truth: npt.ArrayLike, present: npt.ArrayLike | None = None) -> Floats:
    """Return the `(K,)` IoUs of the frames with a true box; missing rows are misses.

    `pred` is `(N, 4)`, its first row counts as given, with IoU 1; `truth` is `(T, 4)`, NaN or without area
    where there is no target; `present` is `(T,)` bool, False where the target is flagged absent.

    Source: Huang et al. 2021, section 4.1.
    """
    true = np.asarray(truth, np.float64)
    ious = iou_per_frame(padded(np.asarray(pred, np.float64), len(true)), true)
    if present is not None:
        ious[~np.asarray(present, bool)[: len(ious)]] = np.nan
    scored = ious[~np.isnan(ious)]
    scored[:1] = 1.0
    return scored


class OverlapRate(Metric[Floats]):
    """Mean IoU, average overlap and success rates: for data sets without figures of their own."""

    columns = ("mean IoU", "AO", "SR50", "SR75")
    ranked_by = "mean IoU"
    is_additive = False

    def part(self, annotation: Annotation, tracks: Sequence[Track]) -> Floats:
        """Return the IoUs of the scored frames."""
        rows = track_boxes(tracks[0], annotation.truth)
        present = annotation.present
        if present is not None and len(present) != len(annotation):
            present = None
        begin = _first_box(annotation.truth, present)
        shown = rows[begin:] if len(rows) > len(annotation) - begin else rows
        scored = scored_ious(shown, annotation.truth[begin:], None if present is None else present[begin:])
        if not len(scored):
            raise ValueError("no frame has a true box")
        return scored

    def figures(self, parts: Sequence[Floats]) -> tuple[float, ...]:
        """Return mean IoU, AO, SR50 and SR75.

        Mean IoU is the mean over sequences and counts the given first frame as 1. The others leave it out and
        weigh all frames the same.

        Source: Huang et al. 2021, section 4.1; the mean IoU is that of `dmtrack evaluate --run`.
        """
        mean_iou = float(np.mean([part.mean() for part in parts]))
        later = np.concatenate([part[1:] for part in parts])
        if not len(later):
            return (mean_iou, *(float("nan"),) * 3)
        return (mean_iou, float(later.mean()), float((later > 0.5).mean()), float((later > 0.75).mean()))

    def curves(self, parts: Sequence[Floats]) -> tuple[Curve, ...]:
        """Return the success curve over all frames but the given ones."""
        ious = np.concatenate([part[1:] for part in parts])
        x = np.linspace(0, 1, _SUCCESS_POINTS)
        y = np.array([(ious > threshold).mean() if len(ious) else np.nan for threshold in x])
        return (Curve("success", "overlap", "success", x, y, self.figures(parts)[0]),)


def _first_box(truth: Floats, present: npt.NDArray[np.bool_] | None) -> int:
    known = is_box(truth)
    if present is not None:
        known &= present
    return int(np.argmax(known))
