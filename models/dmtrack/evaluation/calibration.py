"""Does the score say whether the box is right?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def roc_auc(scores: npt.ArrayLike, hits: npt.ArrayLike) -> float:
    """Return the area under the ROC curve: the chance that a hit scores above a miss, ties one half.

    Args:
        scores: `(N,)` finite.
        hits: `(N,)` bool.

    Returns:
        A value in [0, 1]; NaN when there are only hits or only misses.
    """
    values = np.asarray(scores, np.float64)
    good = np.asarray(hits, bool)
    if good.all() or not good.any():
        return float("nan")
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[where]
    hit_count = int(good.sum())
    above = ranks[good].sum() - hit_count * (hit_count + 1) / 2
    return float(above / (hit_count * (len(good) - hit_count)))
