"""Precision, recall and F-score of trackers that say how sure they are (DepthTrack, VOT-RGBD 2019-2021).

A frame is reported when its confidence reaches a threshold. Precision is the mean overlap of reported frames,
recall that of frames in which the target is visible; the best F-score over the thresholds is quoted.

Source: Lukezic et al., "Performance Evaluation Methodology for Long-Term Single-Object Tracking", IEEE
Transactions on Cybernetics 2020; Yan et al., "DepthTrack", ICCV 2021. Details the papers leave open are as
vot-toolkit 0.9.0 gives them: its numbers are kept with our tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dmtrack.datasets.annotations import Annotation
from dmtrack.evaluation.metric import Curve, Metric, padded, track_boxes
from dmtrack.evaluation.multistart import bounded_ious
from dmtrack.evaluation.overlap import Floats
from dmtrack.evaluation.tracker_files import Track


@dataclass(frozen=True, slots=True, eq=False)
class ConfidentFrames:
    """What is scored of a sequence, one row a frame.

    Attributes:
        ious: `(N,)`, 0 where the target is absent.
        confidence: `(N,)` finite.
        visible: `(N,)` bool: the target is there.
    """

    ious: Floats
    confidence: Floats
    visible: npt.NDArray[np.bool_]


class PrecisionRecall(NamedTuple):
    """Best F-score, and the precision and recall that give it."""

    precision: float
    recall: float
    f_score: float


def confident_frames(ious: npt.ArrayLike, confidence: npt.ArrayLike) -> ConfidentFrames:
    """Return the frames of a sequence as the toolkit scores them.

    The first one, which was given, is kept with overlap 0 and confidence 0.

    Args:
        ious: `(N,)`, NaN where the target is absent (`dmtrack.evaluation.multistart.bounded_ious`).
        confidence: `(N,)`; a value that is not known (NaN) is 0.

    Source: vot-toolkit 0.9.0 (measured: `tests/unit/vot_toolkit_facts.json`).
    """
    overlap = np.array(ious, np.float64)
    sure = np.nan_to_num(np.array(confidence, np.float64), nan=0.0)
    visible = ~np.isnan(overlap)
    overlap[~visible] = 0.0
    overlap[:1] = sure[:1] = 0.0
    return ConfidentFrames(overlap, sure, visible)


def confidence_thresholds(scores: npt.ArrayLike, count: int = 100) -> Floats:
    """Return falling thresholds that split the scores evenly, from infinity to minus infinity.

    Args:
        scores: Of all frames of all sequences; NaN is left out.
        count: How many; fewer scores give fewer.

    Source: Lukezic et al. 2020, section 3.2 (thresholds from the sorted scores).
    """
    values = np.asarray(scores, np.float64)
    values = np.sort(values[~np.isnan(values)])[::-1]
    inner = count - 2
    if len(values) > inner:
        step = len(values) // inner
        values = values[np.round(np.linspace(step, len(values) - step, inner)).astype(np.int64)]
    return np.concatenate(([math.inf], values, [-math.inf]))


def precision_recall_curve(frames: ConfidentFrames, thresholds: Floats) -> tuple[Floats, Floats]:
    """Return precision and recall at each threshold; precision is 1 where nothing is reported.

    Source: Lukezic et al. 2020, equations 1 and 2.
    """
    order = np.argsort(-frames.confidence, kind="stable")
    ranked = -frames.confidence[order]
    overlap = np.concatenate(([0.0], np.cumsum(frames.ious[order])))
    count = np.searchsorted(ranked, -thresholds, side="right")
    precision = np.divide(overlap[count], count, out=np.ones(len(count)), where=count > 0)
    visible = int(frames.visible.sum())
    return precision, overlap[count] / visible if visible else np.zeros(len(count))


def mean_curve(sequences: Sequence[ConfidentFrames], thresholds: Floats) -> tuple[Floats, Floats]:
    """Return precision and recall at each threshold, mean over the sequences.

    Source: Lukezic et al. 2020, section 3.2.
    """
    curves = [precision_recall_curve(frames, thresholds) for frames in sequences]
    precision = np.mean([curve[0] for curve in curves], axis=0)
    recall = np.mean([curve[1] for curve in curves], axis=0)
    return precision, recall


def best_f_score(sequences: Sequence[ConfidentFrames], thresholds: Floats) -> PrecisionRecall:
    """Return the best F-score over the thresholds, with its precision and recall.

    Source: Lukezic et al. 2020, equation 3; Yan et al. 2021, section 3.3.
    """
    precision, recall = mean_curve(sequences, thresholds)
    total = precision + recall
    f_score = np.divide(2 * precision * recall, total, out=np.zeros(len(total)), where=total > 0)
    best = int(np.argmax(f_score))
    return PrecisionRecall(float(precision[best]), float(recall[best]), float(f_score[best]))


class LongTerm(Metric[ConfidentFrames]):
    """Precision, recall and F-score over confidence thresholds: DepthTrack."""

    columns = ("F-score", "Pr", "Re")
    ranked_by = "F-score"
    is_additive = False
    wants_confidence = True

    def part(self, annotation: Annotation, tracks: Sequence[Track]) -> ConfidentFrames:
        """Return overlaps and confidences; without confidences every frame is reported."""
        track, frames = tracks[0], len(annotation)
        rows = padded(track_boxes(track, annotation.truth), frames)
        ious = bounded_ious(rows, annotation.truth, annotation.picture_size())
        confidence = np.full(frames, np.nan)
        given = np.ones(len(track)) if track.confidence is None else track.confidence
        confidence[: min(frames, len(given))] = given[:frames]
        return confident_frames(ious, confidence)

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
        return confidence_thresholds(scores)
