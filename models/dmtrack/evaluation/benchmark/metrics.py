"""The metrics of the benchmarks: array functions of `dmtrack.evaluation.metrics` behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.boxes.tracks import Track
from dmtrack.datasets.annotations import Annotation
from dmtrack.evaluation.benchmark.metric import Curve, Metric
from dmtrack.evaluation.metrics.convention import Convention, Corners
from dmtrack.evaluation.metrics.longterm import (
    ConfidentFrames,
    LongTermConvention,
    best_f_score,
    confidence_thresholds,
    confident_frames,
    mean_curve,
)
from dmtrack.evaluation.metrics.multistart import (
    AnchoredSequence,
    AnchorRun,
    MultiStartConvention,
    accuracy,
    anchor_run,
    bounded_ious,
    eao_curve,
    expected_average_overlap,
    robustness,
)
from dmtrack.evaluation.metrics.overlap_rates import OverlapConvention, overlap_rates, scored_ious
from dmtrack.evaluation.metrics.precision_success import (
    SequenceCounts,
    area_under,
    boxes_of,
    curve,
    frame_scores,
    normalised_rate,
    precision_rate,
    sequence_counts,
)
from dmtrack.evaluation.overlap import Floats

_SUCCESS_POINTS: Final = 101


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

    def part(self, annotation: Annotation, tracks: Sequence[Track]) -> SequenceCounts:
        """Count the frames within the thresholds."""
        truths, present, rows = _begun(annotation, with_given(tracks[0], annotation.truth))
        return sequence_counts(frame_scores(rows, truths, self.convention, present), self.convention)

    def figures(self, parts: Sequence[SequenceCounts]) -> tuple[float, ...]:
        """Return precision, normalised precision where quoted, and success."""
        precision, normalised, success = self._shares(parts)
        found = [precision_rate(precision, self.convention)]
        if self.convention.normalised:
            found.append(normalised_rate(normalised, self.convention))
        return (*found, area_under(success, self.convention.area))

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


class OverlapRate(Metric[Floats]):
    """Mean IoU, average overlap and success rates: for data sets without figures of their own."""

    columns = ("mean IoU", "AO", "SR50", "SR75")
    ranked_by = "mean IoU"
    is_additive = False

    def __init__(self, convention: OverlapConvention | None = None) -> None:
        self.convention = convention or OverlapConvention()

    def part(self, annotation: Annotation, tracks: Sequence[Track]) -> Floats:
        """Return the overlaps of scored frames."""
        rows = boxes_of(with_given(tracks[0], annotation.truth), Corners.BOUNDING)
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


class LongTerm(Metric[ConfidentFrames]):
    """Precision, recall and F-score over confidence thresholds: DepthTrack."""

    columns = ("F-score", "Pr", "Re")
    ranked_by = "F-score"
    is_additive = False

    def __init__(
        self, convention: LongTermConvention | None = None, overlap: MultiStartConvention | None = None
    ) -> None:
        self.convention = convention or LongTermConvention()
        self.overlap = overlap or MultiStartConvention()

    def part(self, annotation: Annotation, tracks: Sequence[Track]) -> ConfidentFrames:
        """Return overlaps and confidences; without confidences every frame is reported."""
        track, frames = tracks[0], len(annotation)
        rows = _padded(boxes_of(with_given(track, annotation.truth), Corners.BOUNDING), frames)
        ious = bounded_ious(rows, annotation.truth, self.overlap, annotation.picture_size())
        confidence = np.full(frames, np.nan)
        given = np.ones(len(track)) if track.confidence is None else track.confidence
        confidence[: min(frames, len(given))] = given[:frames]
        return confident_frames(ious, confidence, self.convention)

    def figures(self, parts: Sequence[ConfidentFrames]) -> tuple[float, ...]:
        """Return the best F-score, and its precision and recall."""
        best = best_f_score(parts, self._thresholds(parts))
        return (best.f_score, best.precision, best.recall)

    def curves(self, parts: Sequence[ConfidentFrames]) -> tuple[Curve, ...]:
        """Return precision over recall."""
        precision, recall = mean_curve(parts, self._thresholds(parts))
        return (Curve("precision_recall", "recall", "precision", recall, precision, self.figures(parts)[0]),)

    def _thresholds(self, parts: Sequence[ConfidentFrames]) -> Floats:
        scores = np.concatenate([part.confidence for part in parts])
        return confidence_thresholds(scores, self.convention.thresholds)


class MultiStart(Metric[AnchoredSequence]):
    """EAO, accuracy and robustness of anchored runs: VOT-RGBD2022."""

    columns = ("EAO", "A", "R")
    ranked_by = "EAO"
    is_additive = False

    def __init__(self, convention: MultiStartConvention | None = None) -> None:
        self.convention = convention or MultiStartConvention()

    def part(self, annotation: Annotation, tracks: Sequence[Track]) -> AnchoredSequence:
        """Compare the run of every anchor; one without frames failed at once."""
        size = annotation.picture_size()
        shown = [shown_frames(annotation, anchor) for anchor in anchors_of(annotation)]
        runs = tuple(self._run(frames, track, size) for frames, track in zip(shown, tracks, strict=True))
        return AnchoredSequence(runs, len(annotation))

    def _run(self, truth: Floats, track: Track, size: tuple[int, int] | None) -> AnchorRun:
        if not len(track):
            return AnchorRun(np.zeros(len(truth)), 0, failed=True)
        rows = _padded(boxes_of(with_given(track, truth), Corners.BOUNDING), len(truth))
        return anchor_run(rows, truth, self.convention, size)

    def figures(self, parts: Sequence[AnchoredSequence]) -> tuple[float, ...]:
        """Return EAO, accuracy and robustness."""
        return (expected_average_overlap(parts, self.convention), accuracy(parts), robustness(parts))

    def curves(self, parts: Sequence[AnchoredSequence]) -> tuple[Curve, ...]:
        """Return the EAO curve."""
        y = eao_curve(parts, self.convention.high)
        x = np.arange(len(y), dtype=np.float64)
        eao = self.figures(parts)[0]
        return (Curve("expected_overlap", "frames", "expected average overlap", x[1:], y[1:], eao),)


def anchors_of(annotation: Annotation) -> tuple[int, ...]:
    """Return the anchors: `f` where a run starts at frame `f` forwards, its bit inverse `~f` backwards."""
    if annotation.anchors is None:
        return (0,)
    frames = np.flatnonzero(annotation.anchors)
    return tuple(int(frame) if annotation.anchors[frame] > 0 else ~int(frame) for frame in frames)


def shown_frames(annotation: Annotation, anchor: int) -> Floats:
    """Return the truth in the order in which the run of an anchor shows the frames."""
    return annotation.truth[anchor:] if anchor >= 0 else annotation.truth[~anchor::-1]


def with_given(track: Track, truth: Floats) -> Floats:
    """Return the rows of a track, those that were given filled from the truth."""
    given = np.flatnonzero(track.given[: len(truth)])
    if not len(given) or track.rows.shape[1] != truth.shape[1]:
        return track.rows
    rows = track.rows.copy()
    rows[given] = truth[given]
    return rows


def _padded(rows: Floats, frames: int) -> Floats:
    whole = np.full((frames, 4), np.nan)
    whole[: min(frames, len(rows))] = rows[:frames]
    return whole


def _first_box(truth: Floats, present: npt.NDArray[np.bool_] | None) -> int:
    known = np.isfinite(truth).all(axis=1) & (truth[:, 2:] > 0).all(axis=1)
    if present is not None:
        known &= present
    return int(np.argmax(known))


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
