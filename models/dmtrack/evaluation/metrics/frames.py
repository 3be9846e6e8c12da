"""Distances of predicted and true boxes, frame by frame, and shares of frames within thresholds.

Boxes are `(N, 4)` float64 `x, y, w, h` in pixels. Nothing here judges whether a row is a box: what is not
comparable is NaN, and NaN is within no threshold.

Source: inputs-and-metrics 5; LasHeR and RGBT234 evaluation scripts (definitions).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dmtrack.evaluation.overlap import as_boxes

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def centre_error(pred: npt.ArrayLike, truth: npt.ArrayLike) -> Floats:
    """Return the Euclidean distance of the centres in pixels.

    Args:
        pred: `(N, 4)`.
        truth: `(N, 4)`.

    Source: Wu et al., "Online Object Tracking: A Benchmark", CVPR 2013 (precision plot).
    """
    dx, dy = _offsets(pred, truth)
    return np.hypot(dx, dy)


def normalised_error(pred: npt.ArrayLike, truth: npt.ArrayLike) -> Floats:
    """Return the distance of the centres, in x over the true width and in y over the true height.

    Args:
        pred: `(N, 4)`.
        truth: `(N, 4)`; a size of zero gives infinity or NaN.

    Source: Mueller et al., "TrackingNet", ECCV 2018 (normalised precision).
    """
    dx, dy = _offsets(pred, truth)
    size = as_boxes(truth)[:, 2:]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.hypot(dx / size[:, 0], dy / size[:, 1])


def count_within(errors: Floats, thresholds: Floats, *, strict: bool = False) -> Counts:
    """Count the frames whose error is at most each threshold.

    Args:
        errors: `(N,)`; NaN is within no threshold.
        thresholds: `(T,)`.
        strict: The error must be below the threshold.

    Returns:
        `(T,)` counts.

    Source: Wu et al., CVPR 2013 (precision plot).
    """
    known = np.sort(errors[~np.isnan(errors)])
    return np.searchsorted(known, thresholds, side="left" if strict else "right")


def count_above(ious: Floats, thresholds: Floats, *, strict: bool = True) -> Counts:
    """Count the frames whose IoU is above each threshold.

    Args:
        ious: `(N,)`; NaN is above no threshold.
        thresholds: `(T,)`.
        strict: Otherwise an IoU of just the threshold counts too.

    Returns:
        `(T,)` counts.

    Source: Wu et al., CVPR 2013 (success plot).
    """
    known = np.sort(ious[~np.isnan(ious)])
    return len(known) - np.searchsorted(known, thresholds, side="right" if strict else "left")


def _offsets(pred: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[Floats, Floats]:
    predicted, true = as_boxes(pred), as_boxes(truth)
    if predicted.shape != true.shape:
        raise ValueError(f"{len(predicted)} predicted boxes, but {len(true)} true ones")
    moved = predicted[:, :2] + predicted[:, 2:] / 2 - true[:, :2] - true[:, 2:] / 2
    return moved[:, 0], moved[:, 1]
