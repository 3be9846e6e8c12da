"""Precision, normalised precision and success, with each benchmark's way of counting.

The benchmarks share the curves (centre distance, overlap) and differ in everything around them. A
`Convention` names every choice that changes a number; the constants follow the benchmarks' own scripts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from dmtrack.datasets.annotations import Annotation
from dmtrack.errors import counted
from dmtrack.evaluation.metric import Corners, Curve, Metric, boxes_of, padded, with_given
from dmtrack.evaluation.overlap import (
    Counts,
    Floats,
    centre_error,
    count_above,
    count_within,
    is_box,
    normalised_error,
    raw_iou,
)
from dmtrack.evaluation.tracker_files import Track

_NORMALISED_AT: Final = 0.2
_LABELS: Final = {
    "precision": ("centre error (px)", "precision"),
    "normalised_precision": ("normalised centre error", "precision"),
    "success": ("overlap", "success"),
}
"""Labels of the two axes of each curve."""


@dataclass(frozen=True, slots=True)
class Convention:
    """Everything that a benchmark decides between the boxes and its numbers."""

    # With two ground truths: use the main stream's, or the better match in each frame
    truths: Literal["main", "better"] = "main"
    pooled: bool = False  # weigh all frames the same, instead of all sequences
    given_first: bool = True  # replace row 1 of the results by the ground truth
    # Rows of ground truth with a value that is not positive. `penalised`: error and overlap are -1, a hit in
    # precision and a miss in success. `scored`: the formulas are applied to the row as it is.
    invalid_truth: Literal["penalised", "scored"] = "penalised"
    # Invalid rows of results: replaced by the row before, or misses
    invalid_result: Literal["repeated", "missed"] = "repeated"
    # Results with fewer rows than the truth: missing frames are misses, or the sequence ends there
    short_result: Literal["missed", "cut"] = "missed"
    # Rows of eight numbers: their bounding box, or points 1, 2, 3 rounded to whole pixels
    corners: Corners = "bounding"
    # Frames flagged absent count neither as hit nor as miss, but stay in the divisor
    remove_absent: bool = False
    step: int = 1  # the ground truth has a row every `step` frames
    precision_px: float = 20.0  # the error in pixels at which precision is quoted
    strict_precision: bool = False  # an error must be below the threshold, not at most
    precision_end_px: float = 50.0  # the last of 51 thresholds of precision, from 0 on
    normalised: bool = False  # quote normalised precision (at 0.2) too
    # Number of overlap thresholds (to be exceeded), evenly from 0 to 1
    success_thresholds: int = 21
    # The figure of a success curve: the mean of its points, or the area by trapezoids
    area: Literal["mean", "trapezoid"] = "mean"

    @property
    def thresholds(self) -> dict[str, Floats]:
        """Thresholds of each curve that the benchmark quotes, by the curve's name."""
        normalised = {"normalised_precision": np.linspace(0.0, 0.5, 51)} if self.normalised else {}
        return {
            "precision": np.linspace(0.0, self.precision_end_px, 51),
            **normalised,
            "success": np.linspace(0.0, 1.0, self.success_thresholds),
        }


LASHER: Final = Convention(normalised=True)
"""LasHeR: PR, NPR and SR.

Source: Li et al., "LasHeR", TIP 2022, and its evaluation toolkit; inputs-and-metrics 5.
"""

RGBT234: Final = Convention(
    truths="better",
    given_first=False,
    invalid_truth="scored",
    invalid_result="missed",
    short_result="cut",
    corners="rounded",
)
"""RGBT234: MPR and MSR over two ground truths.

Source: Li et al., "RGB-T Object Tracking: Benchmark and Baseline", PR 2019; inputs-and-metrics 5.
"""

RGBT210: Final = RGBT234
"""RGBT210: as RGBT234; a single ground truth counts for both.

Source: Li et al., "Weighted Sparse Representation Regularized Graph Learning for RGB-T Object Tracking",
ACM MM 2017.
"""

GTOT: Final = Convention(
    truths="better",
    pooled=True,
    given_first=False,
    invalid_truth="scored",
    invalid_result="missed",
    short_result="cut",
    corners="rounded",
    precision_px=5.0,
    strict_precision=True,
    precision_end_px=25.0,
    success_thresholds=51,
    area="trapezoid",
)
"""GTOT: MPR at 5 px and MSR, all frames pooled.

Source: Li et al., "Learning Collaborative Sparse Representation for Grayscale-Thermal Tracking", TIP 2016;
inputs-and-metrics 5.
"""

VTUAV: Final = replace(RGBT234, step=10)
"""VTUAV: MPR and MSR of every tenth frame.

Source: Zhang et al., "Visible-Thermal UAV Tracking", CVPR 2022, and `calcPlotErr_TPR.m`, `plot_ST.m` of its
toolkit (definitions).
"""

VISEVENT: Final = Convention(remove_absent=True)
"""VisEvent: PR and SR without the frames in which the target is absent.

Source: Wang et al., "VisEvent", IEEE Transactions on Cybernetics 2023, and its toolkit; inputs-and-metrics 5.
"""


@dataclass(frozen=True, slots=True, eq=False)
class FrameScores:
    """One row for each scored frame; -1 and NaN as the convention demands."""

    errors_px: Floats  # `(N,)` distance of the centres
    normalised: Floats  # `(N,)` the same over the size of the true box
    ious: Floats  # `(N,)`
    frames: int  # the divisor of the counts; at least N


@dataclass(frozen=True, slots=True, eq=False)
class SequenceCounts:
    """Number of frames of a sequence within each threshold, by curve; `frames` is the divisor."""

    counts: Mapping[str, Counts]
    frames: int


def frame_scores(
    rows: npt.ArrayLike,
    truths: Sequence[npt.ArrayLike],
    convention: Convention,
    present: npt.NDArray[np.bool_] | None = None,
) -> FrameScores:
    """Compare the rows of a result file with the ground truth of a sequence.

    `rows` are `(N, 4)` or `(N, 8)` numbers as in the file; `truths` are one or two ground truths `(T, 4)` as
    in the data set (lengths may differ); `present` is `(T,)`, False where the target is flagged absent, None:
    always present. `ValueError`: other shapes, or fewer flags than frames.

    Source: the scripts named at the constants above.
    """
    boxes = boxes_of(rows, convention.corners)
    chosen = [np.asarray(one, np.float64) for one in truths][: 1 if convention.truths == "main" else None]
    frames = min(len(one) for one in chosen)
    boxes = _sampled(boxes, frames, convention.step)[:frames]
    if convention.short_result == "cut":
        frames = min(frames, len(boxes))
    chosen = [one[:frames] for one in chosen]
    boxes = _repaired(boxes, chosen[0], convention)
    errors, normalised, ious = _compared(boxes, chosen)
    if convention.invalid_truth == "penalised":
        invalid = ~(chosen[0] > 0).all(axis=1)
        errors[invalid] = normalised[invalid] = ious[invalid] = -1.0
    if convention.remove_absent and present is not None:
        if len(present) < frames:
            raise ValueError(f"{len(present)} flags of presence, but {frames} frames")
        kept = present[:frames]
        errors, normalised, ious = errors[kept], normalised[kept], ious[kept]
    return FrameScores(errors, normalised, ious, frames)


def sequence_counts(scores: FrameScores, convention: Convention) -> SequenceCounts:
    """Count the frames within each threshold of the convention.

    Source: Wu et al., "Online Object Tracking: A Benchmark", CVPR 2013.
    """
    errors = {"precision": scores.errors_px, "normalised_precision": scores.normalised}
    counts = {
        name: count_above(scores.ious, at)
        if name == "success"
        else count_within(errors[name], at, strict=convention.strict_precision)
        for name, at in convention.thresholds.items()
    }
    return SequenceCounts(counts, scores.frames)


def curve(counts: Sequence[Counts], frames: Sequence[int], *, pooled: bool) -> Floats:
    """Return the share of frames within each threshold: mean over sequences, or over all frames if `pooled`.

    `counts` are one `(T,)` for each sequence, `frames` their divisors.

    Source: GTOT toolkit (pooled), LasHeR and RGBT234 toolkits (mean over sequences).
    """
    table, lengths = np.asarray(counts, np.float64), np.asarray(frames, np.float64)
    if pooled:
        total: Floats = table.sum(axis=0) / lengths.sum()
        return total
    shares: Floats = (table / lengths[:, None]).mean(axis=0)
    return shares


def _sampled(boxes: Floats, frames: int, step: int) -> Floats:
    """Take every `step`-th row, unless there is already one row for each annotated frame."""
    return boxes if step == 1 or len(boxes) <= frames else boxes[::step]


def _repaired(boxes: Floats, truth: Floats, convention: Convention) -> Floats:
    """Return `(T, 4)`: first row given and invalid rows repeated, if so agreed; missing rows NaN."""
    whole = padded(boxes, len(truth))
    if convention.given_first and len(whole):
        whole[0] = truth[0]
    if convention.invalid_result == "repeated":
        valid = is_box(whole)
        valid[:1] = True
        last = np.maximum.accumulate(np.where(valid, np.arange(len(whole)), 0))
        last[len(boxes) :] = np.arange(len(boxes), len(whole))
        whole = whole[last]
    return whole


def _compared(boxes: Floats, truths: Sequence[Floats]) -> tuple[Floats, Floats, Floats]:
    """Return error, normalised error and IoU, each frame's best over the ground truths."""
    errors = np.stack([centre_error(boxes, truth) for truth in truths])
    normalised = np.stack([normalised_error(boxes, truth) for truth in truths])
    ious = np.stack([raw_iou(boxes, truth) for truth in truths])
    return np.fmin.reduce(errors), np.fmin.reduce(normalised), np.fmax.reduce(ious)


class PrecisionSuccess(Metric[SequenceCounts]):
    """Precision and success under a convention: LasHeR, RGBT234, RGBT210, GTOT, VTUAV, VisEvent.

    `columns` are the names of precision, normalised precision (if quoted) and success.
    """

    def __init__(self, convention: Convention, columns: tuple[str, ...]) -> None:
        self.convention = convention
        self.columns = columns
        self.ranked_by = columns[-1]
        self.step = convention.step
        self.cuts_short_results = convention.short_result == "cut"

    def part(self, annotation: Annotation, tracks: Sequence[Track]) -> SequenceCounts:
        """Count the frames within the thresholds."""
        truths, present, rows = _from_first_appearance(annotation, with_given(tracks[0], annotation.truth))
        return sequence_counts(frame_scores(rows, truths, self.convention, present), self.convention)

    def figures(self, parts: Sequence[SequenceCounts]) -> tuple[float, ...]:
        """Return precision, normalised precision if quoted, and success."""
        return tuple(line.figure for line in self.curves(parts))

    def curves(self, parts: Sequence[SequenceCounts]) -> tuple[Curve, ...]:
        """Return the precision curve, the normalised precision curve if quoted, and the success curve."""
        frames, pooled = [part.frames for part in parts], self.convention.pooled
        lines = []
        for name, x in self.convention.thresholds.items():
            y = curve([part.counts[name] for part in parts], frames, pooled=pooled)
            lines.append(Curve(name, *_LABELS[name], x, y, self._figure(name, x, y)))
        return tuple(lines)

    def _figure(self, name: str, x: Floats, y: Floats) -> float:
        """Return the figure of a curve.

        Source: LasHeR and RGBT234 toolkits (mean of 21 points); GTOT toolkit (trapezoids).
        """
        if name != "success":
            at = self.convention.precision_px if name == "precision" else _NORMALISED_AT
            return float(y[int(np.argmin(np.abs(x - at)))])
        if self.convention.area == "mean":
            return float(y.mean())
        return float((y[1:] + y[:-1]).sum() / 2 / (len(y) - 1))

    def remark(self, annotations: Sequence[Annotation]) -> str:
        """Return a warning about frames with invalid truth, if the convention gives them -1."""
        if self.convention.invalid_truth != "penalised":
            return ""
        lacking = 0
        for annotation in annotations:
            (truth, *_), present, _ = _from_first_appearance(annotation, annotation.truth)
            none = ~np.all(truth > 0, axis=1)
            if self.convention.remove_absent and present is not None and len(present) == len(none):
                none &= present
            lacking += int(np.count_nonzero(none))
        if not lacking:
            return ""
        hits = " and ".join(self.columns[:-1])
        return (
            f"{counted(lacking, 'true box')} with a value of 0 or less, or none: hits of {hits}, misses of "
            f"{self.columns[-1]}, as the benchmark's own script counts them; --benchmark ope does not"
        )

    def weight(self, part: SequenceCounts) -> float:
        """Return the number of frames if frames are pooled, else 1."""
        return float(part.frames) if self.convention.pooled else 1.0


def _from_first_appearance(
    annotation: Annotation, rows: Floats
) -> tuple[tuple[Floats, ...], npt.NDArray[np.bool_] | None, Floats]:
    """Drop the frames before the target first appears (VisEvent) from truths, flags and, if as long, rows.

    Source: inputs-and-metrics 5 (sequences that begin with an absent target are trimmed).
    """
    truths, flags = annotation.truths, annotation.present
    if flags is None or not flags.any():
        return truths, None, rows
    begin = int(np.argmax(flags))
    frames = len(flags)
    trimmed = tuple(truth[begin:] if len(truth) == frames else truth for truth in truths)
    return trimmed, flags[begin:][: len(trimmed[0])], rows[begin:] if len(rows) >= frames else rows
