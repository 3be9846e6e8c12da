"""Overlap of predicted and true boxes, as plain array functions.

Conventions: boxes are `x, y, w, h` in pixels; areas are continuous (no "+1"); a frame without a true box
(NaN, or a size that is not positive) is NaN in the result and left out of every mean; a frame with a true box
but no usable prediction counts as 0.

Source: inputs-and-metrics 5.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def iou_per_frame(pred: npt.ArrayLike, truth: npt.ArrayLike) -> Floats:
    """Return intersection over union, frame by frame.

    Args:
        pred: `(N, 4)` predicted boxes; NaN or an empty box is a miss.
        truth: `(N, 4)` true boxes; NaN or an empty box excludes the frame.

    Returns:
        `(N,)` float64 in [0, 1], NaN where there is no true box.

    Raises:
        ValueError: The shapes differ or are not `(N, 4)`.
    """
    predicted, true = _rows_of_both(pred, truth)
    iou = np.where(is_box(predicted), raw_iou(predicted, true), 0.0)
    iou[~is_box(true)] = np.nan
    return iou


def raw_iou(pred: npt.ArrayLike, truth: npt.ArrayLike) -> Floats:
    """Return `(N,)` intersection over union of `(N, 4)` rows, without checking that they are boxes.

    NaN where a row has NaN, or where both rows are empty. Negative sizes are put into the formula as they
    are; benchmarks that score such rows define how they count.
    """
    predicted, true = _rows_of_both(pred, truth)
    (x, y, w, h), (u, v, s, t) = predicted.T, true.T
    width = np.minimum(x + w, u + s) - np.maximum(x, u)
    height = np.minimum(y + h, v + t) - np.maximum(y, v)
    intersection = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        iou: Floats = np.minimum(intersection / (w * h + s * t - intersection), 1.0)
    return iou


def is_box(boxes: Floats) -> npt.NDArray[np.bool_]:
    """Return `(N,)` bool: whether each row of `(N, 4)` is a finite box with a positive size."""
    whole: npt.NDArray[np.bool_] = np.all(np.isfinite(boxes), axis=1)
    filled: npt.NDArray[np.bool_] = np.all(boxes[:, 2:] > 0, axis=1)
    return whole & filled


def mean_iou(ious: npt.ArrayLike) -> float:
    """Return the mean of `iou_per_frame` over frames with a true box; `ValueError` if there is none."""
    values = np.asarray(ious, np.float64)
    scored = values[~np.isnan(values)]
    if scored.size == 0:
        raise ValueError("no frame has a true box")
    return float(scored.mean())


def centre_error(pred: npt.ArrayLike, truth: npt.ArrayLike) -> Floats:
    """Return the Euclidean distance, `(N,)`, of the centres of boxes, `(N, 4)`, in pixels.

    Source: Wu et al., "Online Object Tracking: A Benchmark", CVPR 2013 (precision plot).
    """
    dx, dy = _offsets(pred, truth)
    return np.hypot(dx, dy)


def normalised_error(pred: npt.ArrayLike, truth: npt.ArrayLike) -> Floats:
    """Return the distance of the centres, with x divided by the true width and y by the true height.

    Both are `(N, 4)`; a true size of zero gives infinity or NaN.

    Source: Mueller et al., "TrackingNet", ECCV 2018 (normalised precision).
    """
    dx, dy = _offsets(pred, truth)
    size = np.asarray(truth, np.float64)[:, 2:]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.hypot(dx / size[:, 0], dy / size[:, 1])


def count_within(errors: Floats, thresholds: Floats, *, strict: bool = False) -> Counts:
    """Return the number of frames whose error is at most each threshold, `(T,)`.

    `errors` are `(N,)`, NaN is within none; `thresholds` are `(T,)`; `strict`: below, not at most.

    Source: Wu et al., CVPR 2013 (precision plot).
    """
    known = np.sort(errors[~np.isnan(errors)])
    return np.searchsorted(known, thresholds, side="left" if strict else "right")


def count_above(ious: Floats, thresholds: Floats) -> Counts:
    """Return the number of frames whose IoU is above each threshold, `(T,)`.

    `ious` are `(N,)`, NaN is above none; `thresholds` are `(T,)`.

    Source: Wu et al., CVPR 2013 (success plot).
    """
    known = np.sort(ious[~np.isnan(ious)])
    return len(known) - np.searchsorted(known, thresholds, side="right")


def _rows_of_both(pred: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[Floats, Floats]:
    predicted, true = np.asarray(pred, np.float64), np.asarray(truth, np.float64)
    for boxes in (predicted, true):
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"boxes have the shape {boxes.shape}, not (N, 4)")
    if predicted.shape != true.shape:
        raise ValueError(f"{len(predicted)} predicted boxes, but {len(true)} true ones")
    return predicted, true


def _offsets(pred: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[Floats, Floats]:
    predicted, true = _rows_of_both(pred, truth)
    moved = predicted[:, :2] + predicted[:, 2:] / 2 - true[:, :2] - true[:, 2:] / 2
    return moved[:, 0], moved[:, 1]
