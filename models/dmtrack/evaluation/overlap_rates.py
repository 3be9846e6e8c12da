"""Mean overlap, average overlap and success rates of one pass: for any folder of boxes.

Source: Huang et al., "GOT-10k", TPAMI 2021 (AO, SR at 0.5 and 0.75: all frames but the given ones, pooled).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dmtrack.datasets.annotations import Annotation
from dmtrack.evaluation.metric import Curve, Metric, track_boxes
from dmtrack.evaluation.overlap import Floats, iou_per_frame
from dmtrack.evaluation.tracker_files import Track

_SUCCESS_POINTS: Final = 101


@dataclass(frozen=True, slots=True)
class OverlapConvention:
    """The choices of one-pass figures.

    Attributes:
        skip_first: AO and SR leave out the first frame, which was given. The mean IoU counts it, as 1.
        pooled: AO and SR weigh all frames the same, rather than all sequences.
    """

    skip_first: bool = True
    pooled: bool = True


class OverlapRates(NamedTuple):
    """Figures of a set of sequences, in [0, 1]."""

    mean_iou: float
    average_overlap: float
    success_50: float
    success_75: float


def scored_ious(pred: npt.ArrayLike, truth: npt.ArrayLike, present: npt.ArrayLike | None = None) -> Floats:
    """Return the overlaps of the frames whose true box is known; rows that lack are misses.

    Args:
        pred: `(N, 4)`; the first row is taken as given and counts as 1.
        truth: `(T, 4)`, NaN or without area where there is no target.
        present: `(T,)` bool, False where the target is flagged absent.

    Returns:
        `(K,)` float64, the given frame first.

    Source: Huang et al. 2021, section 4.1.
    """
    true = np.asarray(truth, np.float64)
    boxes = np.full(true.shape, np.nan)
    rows = np.asarray(pred, np.float64)[: len(true)]
    boxes[: len(rows)] = rows
    ious = iou_per_frame(boxes, true)
    if present is not None:
        ious[~np.asarray(present, bool)[: len(ious)]] = np.nan
    scored = ious[~np.isnan(ious)]
    scored[:1] = 1.0
    return scored


def overlap_rates(ious: Sequence[Floats], convention: OverlapConvention | None = None) -> OverlapRates:
    """Return the figures of sequences.

    Args:
        ious: Of `scored_ious`, one array a sequence, none empty.
        convention: See there.

    Source: Huang et al. 2021, section 4.1; the mean IoU is that of `dmtrack evaluate --run`.
    """
    convention = convention or OverlapConvention()
    mean_iou = float(np.mean([one.mean() for one in ious]))
    later = [one[1:] if convention.skip_first else one for one in ious]
    parts = [np.concatenate(later)] if convention.pooled else later
    parts = [part for part in parts if len(part)]
    if not parts:
        return OverlapRates(mean_iou, *(float("nan"),) * 3)
    average = float(np.mean([part.mean() for part in parts]))
    success = [float(np.mean([(part > threshold).mean() for part in parts])) for threshold in (0.5, 0.75)]
    return OverlapRates(mean_iou, average, *success)


class OverlapRate(Metric[Floats]):
    """Mean IoU, average overlap and success rates: for data sets without figures of their own."""

    columns = ("mean IoU", "AO", "SR50", "SR75")
    ranked_by = "mean IoU"
    is_additive = False

    def __init__(self, convention: OverlapConvention | None = None) -> None:
        self.convention = convention or OverlapConvention()

    def part(self, annotation: Annotation, tracks: Sequence[Track]) -> Floats:
        """Return the overlaps of scored frames."""
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
        """Return mean IoU, AO, SR50 and SR75."""
        return tuple(overlap_rates(parts, self.convention))

    def curves(self, parts: Sequence[Floats]) -> tuple[Curve, ...]:
        """Return the success curve of all later frames."""
        ious = np.concatenate([part[1:] if self.convention.skip_first else part for part in parts])
        x = np.linspace(0, 1, _SUCCESS_POINTS)
        y = np.array([(ious > threshold).mean() if len(ious) else np.nan for threshold in x])
        return (Curve("success", "overlap", "success", x, y, self.figures(parts)[0]),)


def _first_box(truth: Floats, present: npt.NDArray[np.bool_] | None) -> int:
    known = np.isfinite(truth).all(axis=1) & (truth[:, 2:] > 0).all(axis=1)
    if present is not None:
        known &= present
    return int(np.argmax(known))
