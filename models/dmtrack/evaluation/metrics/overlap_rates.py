"""Mean overlap, average overlap and success rates of one pass: for any folder of boxes.

Source: Huang et al., "GOT-10k", TPAMI 2021 (AO, SR at 0.5 and 0.75: all frames but the given ones, pooled).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dmtrack.evaluation.overlap import Floats, iou_per_frame


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
