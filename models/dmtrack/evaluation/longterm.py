"""Precision, recall and F-score of trackers with confidences (DepthTrack, VOT-RGBD 2019-2021).

A frame is reported if its confidence reaches a threshold. Precision is the mean IoU of reported frames,
recall that of frames in which the target is visible; the best F-score over the thresholds is quoted.

Source: Lukezic et al., "Performance Evaluation Methodology for Long-Term Single-Object Tracking", IEEE
Transactions on Cybernetics 2020; Yan et al., "DepthTrack", ICCV 2021. Details that the papers leave open
follow vot-toolkit 0.9.0, whose numbers are kept with our tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dmtrack.datasets.annotations import Annotation
from dmtrack.evaluation.metric import Curve, Metric, padded, track_boxes
from dmtrack.evaluation.multistart import bounded_ious
from dmtrack.evaluation.overlap import Floats
from dmtrack.evaluation.tracker_files import Track


@dataclass(frozen=True, slots=True, eq=False)
class ConfidentFrames:
    """The scored data of a sequence, one row a frame."""

    ious: Floats  # `(N,)`, 0 where the target is absent
    confidence: Floats  # `(N,)` finite
    visible: npt.NDArray[np.bool_]  # `(N,)` bool: the target is there


def confidence_thresholds(scores: npt.ArrayLike, count: int = 100) -> Floats:
    """Return falling thresholds that split the scores evenly, from infinity to minus infinity.

    `scores` are those of all frames of all sequences, NaN is left out. There are `count` thresholds, or one
    for each score if there are fewer.

    Source: Lukezic et al. 2020, section 3.2 (thresholds from the sorted scores).
    """
    values = np.asarray(scores, np.float64)
    values = np.sort(values[~np.isnan(values)])[::-1]
    inner = count - 2
    if len(values) > inner:
        step = len(values) // inner
        values = values[np.round(np.linspace(step, len(values) - step, inner)).astype(np.int64)]
    return np.concatenate(([math.inf], values, [-math.inf]))


def mean_curve(sequences: Sequence[ConfidentFrames], thresholds: Floats) -> tuple[Floats, Floats]:
    """Return precision and recall at each threshold, as means over the sequences.

    Precision is 1 where nothing is reported.

    Source: Lukezic et al. 2020, equations 1 and 2, section 3.2.
    """
    precisions, recalls = [], []
    for frames in sequences:
        order = np.argsort(-frames.confidence, kind="stable")
        overlap = np.concatenate(([0.0], np.cumsum(frames.ious[order])))
        count = np.searchsorted(-frames.confidence[order], -thresholds, side="right")
        precisions.append(np.divide(overlap[count], count, out=np.ones(len(count)), where=count > 0))
        visible = int(frames.visible.sum())
        recalls.append(overlap[count] / visible if visible else np.zeros(len(count)))
    return np.mean(precisions, axis=0), np.mean(recalls, axis=0)


class LongTerm(Metric[ConfidentFrames]):
    """Precision, recall and F-score over confidence thresholds: DepthTrack."""

    columns = ("F-score", "Pr", "Re")
    ranked_by = "F-score"
    is_additive = False
    wants_confidence = True

    def part(self, annotation: Annotation, tracks: Sequence[Track]) -> ConfidentFrames:
        """Return IoUs and confidences; in results without confidences every frame is reported.

        An unknown confidence is 0, and so are IoU and confidence of the first frame, which was given.

        Source: vot-toolkit 0.9.0.
        """
        track, frames = tracks[0], len(annotation)
        rows = padded(track_boxes(track, annotation.truth), frames)
        ious = bounded_ious(rows, annotation.truth, annotation.picture_size())
        visible = ~np.isnan(ious)
        ious[~visible] = 0.0
        given = np.ones(len(track)) if track.confidence is None else track.confidence
        confidence = np.zeros(frames)
        confidence[: len(given[:frames])] = np.nan_to_num(given[:frames], nan=0.0)
        ious[:1] = confidence[:1] = 0.0  # as measured in the toolkit: `tests/unit/vot_toolkit_facts.json`
        return ConfidentFrames(ious, confidence, visible)

    def figures(self, parts: Sequence[ConfidentFrames]) -> tuple[float, ...]:
        """Return the best F-score over the thresholds, and its precision and recall.

        Source: Lukezic et al. 2020, equation 3; Yan et al. 2021, section 3.3.
        """
        precision, recall = mean_curve(parts, self._thresholds(parts))
        total = precision + recall
        f_score = np.divide(2 * precision * recall, total, out=np.zeros(len(total)), where=total > 0)
        best = int(np.argmax(f_score))
        return (float(f_score[best]), float(precision[best]), float(recall[best]))

    def curves(self, parts: Sequence[ConfidentFrames]) -> tuple[Curve, ...]:
        """Return precision over recall."""
        precision, recall = mean_curve(parts, self._thresholds(parts))
        return (Curve("precision_recall", "recall", "precision", recall, precision, self.figures(parts)[0]),)

    def _thresholds(self, parts: Sequence[ConfidentFrames]) -> Floats:
        scores = np.concatenate([part.confidence for part in parts])
        return confidence_thresholds(scores)
