"""Precision, normalised precision and success of one sequence and of many, under a `Convention`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.datasets.annotations import Annotation
from dmtrack.evaluation.convention import (
    Area,
    Convention,
)
from dmtrack.evaluation.metric import Curve, Metric, boxes_of, with_given
from dmtrack.evaluation.overlap import (
    Counts,
    Floats,
    centre_error,
    count_above,
    count_within,
    normalised_error,
    raw_iou,
)
from dmtrack.evaluation.tracker_files import Track

_NORMALISED_AT: Final = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class FrameScores:
    """One row a scored frame; -1 and NaN as the convention wants them.

    Attributes:
        errors_px: `(N,)` distance of the centres.
        normalised: `(N,)` the same over the size of the true box.
        ious: `(N,)`.
        frames: What the counts are divided by; not less than N.
    """

    errors_px: Floats
    normalised: Floats
    ious: Floats
    frames: int


@dataclass(frozen=True, slots=True, eq=False)
class SequenceCounts:
    """How many frames of a sequence are within each threshold; `frames` is the divisor."""

    precision: Counts
    normalised: Counts
    success: Counts
    frames: int


def frame_scores(
    rows: npt.ArrayLike,
    truths: Sequence[npt.ArrayLike],
    convention: Convention,
    present: npt.NDArray[np.bool_] | None = None,
) -> FrameScores:
    """Compare the rows of a result file with the ground truth of a sequence.

    Args:
        rows: `(N, 4)` or `(N, 8)` numbers as the file has them.
        truths: One or two ground truths `(T, 4)`, rows as the data set has them (lengths may differ).
        convention: What the benchmark does.
        present: `(T,)` False where the target is flagged absent; None is always present.

    Raises:
        ValueError: The shapes are not these, or there are fewer flags than frames.

    Source: the scripts named at the constants of `dmtrack.evaluation.convention`.
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
    return SequenceCounts(
        count_within(scores.errors_px, convention.errors_px, strict=convention.strict_precision),
        count_within(scores.normalised, convention.normalised_errors, strict=convention.strict_precision),
        count_above(scores.ious, convention.overlaps),
        scores.frames,
    )


def curve(counts: Sequence[Counts], frames: Sequence[int], *, pooled: bool) -> Floats:
    """Return the share of frames within each threshold: mean over sequences, or over all frames.

    Args:
        counts: One `(T,)` a sequence.
        frames: The divisor of each.
        pooled: Frames weigh the same, not sequences.

    Source: GTOT toolkit (pooled), LasHeR and RGBT234 toolkits (mean over sequences).
    """
    table, lengths = np.asarray(counts, np.float64), np.asarray(frames, np.float64)
    if pooled:
        total: Floats = table.sum(axis=0) / lengths.sum()
        return total
    shares: Floats = (table / lengths[:, None]).mean(axis=0)
    return shares


def area_under(success: Floats, area: Area) -> float:
    """Return the one number of a success curve.

    Source: LasHeR and RGBT234 toolkits (mean of 21 points); GTOT toolkit (trapezoids).
    """
    if area == "mean":
        return float(success.mean())
    return float((success[1:] + success[:-1]).sum() / 2 / (len(success) - 1))


def quoted(precision: Floats, thresholds: Floats, at: float) -> float:
    """Return a precision curve at the threshold that is quoted.

    Source: the scripts named at the constants of `dmtrack.evaluation.convention`.
    """
    return float(precision[int(np.argmin(np.abs(thresholds - at)))])


def _sampled(boxes: Floats, frames: int, step: int) -> Floats:
    """Take every `step`-th row, unless there is a row for each annotated frame already."""
    return boxes if step == 1 or len(boxes) <= frames else boxes[::step]


def _repaired(boxes: Floats, truth: Floats, convention: Convention) -> Floats:
    """Return `(T, 4)`: the first row given, invalid rows replaced, missing ones NaN."""
    whole = np.full(truth.shape, np.nan)
    whole[: len(boxes)] = boxes
    if convention.given_first and len(whole):
        whole[0] = truth[0]
    if convention.invalid_result == "repeated":
        valid = np.isfinite(whole).all(axis=1) & (whole[:, 2:] > 0).all(axis=1)
        valid[:1] = True
        last = np.maximum.accumulate(np.where(valid, np.arange(len(whole)), 0))
        last[len(boxes) :] = np.arange(len(boxes), len(whole))
        whole = whole[last]
    return whole


def _compared(boxes: Floats, truths: Sequence[Floats]) -> tuple[Floats, Floats, Floats]:
    """Return error, normalised error and IoU: in each frame the best over the ground truths."""
    errors = np.stack([centre_error(boxes, truth) for truth in truths])
    normalised = np.stack([normalised_error(boxes, truth) for truth in truths])
    ious = np.stack([raw_iou(boxes, truth) for truth in truths])
    return np.fmin.reduce(errors), np.fmin.reduce(normalised), np.fmax.reduce(ious)


class PrecisionSuccess(Metric[SequenceCounts]):
    """Precision and success under a convention: LasHeR, RGBT234, RGBT210, GTOT, VTUAV, VisEvent.

    Args:
        convention: What the benchmark does.
        columns: Names of precision, normalised precision (where quoted) and success.
    """

    def __init__(self, convention: Convention, columns: tuple[str, ...]) -> None:
        self.convention = convention
        self.columns = columns
        self.ranked_by = columns[-1]
        self.step = convention.step
        self.cuts_short_results = convention.short_result == "cut"

    def part(self, annotation: Annotation, tracks: Sequence[Track]) -> SequenceCounts:
        """Count the frames within the thresholds."""
        truths, present, rows = _begun(annotation, with_given(tracks[0], annotation.truth))
        return sequence_counts(frame_scores(rows, truths, self.convention, present), self.convention)

    def figures(self, parts: Sequence[SequenceCounts]) -> tuple[float, ...]:
        """Return precision, normalised precision where quoted, and success."""
        precision, normalised, success = self._shares(parts)
        convention = self.convention
        found = [quoted(precision, convention.errors_px, convention.precision_px)]
        if convention.normalised:
            found.append(quoted(normalised, convention.normalised_errors, _NORMALISED_AT))
        return (*found, area_under(success, convention.area))

    def curves(self, parts: Sequence[SequenceCounts]) -> tuple[Curve, ...]:
        """Return the precision, the normalised precision where quoted, and the success curve."""
        convention = self.convention
        precision, normalised, success = self._shares(parts)
        figures = self.figures(parts)
        lines = [
            Curve("precision", "centre error (px)", "precision", convention.errors_px, precision, figures[0])
        ]
        if convention.normalised:
            x = convention.normalised_errors
            label = "normalised centre error"
            lines.append(Curve("normalised_precision", label, "precision", x, normalised, figures[1]))
        lines.append(Curve("success", "overlap", "success", convention.overlaps, success, figures[-1]))
        return tuple(lines)

    def weight(self, part: SequenceCounts) -> float:
        """Return the number of frames where all frames are pooled."""
        return float(part.frames) if self.convention.pooled else 1.0

    def _shares(self, parts: Sequence[SequenceCounts]) -> tuple[Floats, Floats, Floats]:
        frames, pooled = [part.frames for part in parts], self.convention.pooled
        return (
            curve([part.precision for part in parts], frames, pooled=pooled),
            curve([part.normalised for part in parts], frames, pooled=pooled),
            curve([part.success for part in parts], frames, pooled=pooled),
        )


def _begun(
    annotation: Annotation, rows: Floats
) -> tuple[tuple[Floats, ...], npt.NDArray[np.bool_] | None, Floats]:
    """Drop the frames before the target first appears (VisEvent), from the truth and what is as long as it.

    Source: inputs-and-metrics 5 (sequences that begin with an absent target are trimmed).
    """
    truths, flags = annotation.truths, annotation.present
    if flags is None or not flags.any():
        return truths, None, rows
    begin = int(np.argmax(flags))
    frames = len(flags)
    trimmed = tuple(truth[begin:] if len(truth) == frames else truth for truth in truths)
    return trimmed, flags[begin:][: len(trimmed[0])], rows[begin:] if len(rows) >= frames else rows
