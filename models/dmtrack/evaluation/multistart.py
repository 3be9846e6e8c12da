"""Accuracy, robustness and expected average overlap of runs that start at many anchors (VOT).

A run starts at an anchor frame and goes forward to the end or backward to the beginning, whichever is longer,
without restarts. It fails once the overlap stays at or below the threshold for `grace` frames in a row in
which the target is visible.

Source: Kristan et al., "The Eighth Visual Object Tracking VOT2020 Challenge Results", ECCV workshops 2020,
section 2.1; VOT-RGBD2022 (interval 115 to 755). Details that the paper leaves open (first frame, rounding,
weights, frames after the end of a run) follow vot-toolkit 0.9.0, whose numbers are kept with our tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dmtrack.datasets.annotations import Annotation
from dmtrack.evaluation.metric import Curve, Metric, padded, track_boxes
from dmtrack.evaluation.overlap import Floats, iou_per_frame, is_box
from dmtrack.evaluation.tracker_files import Track


@dataclass(frozen=True, slots=True)
class MultiStartConvention:
    """The choices of a multi-start benchmark; the defaults are those of VOT-RGBD2022."""

    threshold: float = 0.1  # an overlap of this or less is a miss
    grace: int = 10  # this many misses in a row are a failure, which counts from the first of them
    low: int = 115  # first length of the interval of EAO, in frames
    high: int = 755  # last length of that interval


@dataclass(frozen=True, slots=True, eq=False)
class AnchorRun:
    """One run, with rows in the order of tracking."""

    ious: Floats  # `(N,)`; 0 in the first frame, which was given, and where the target is absent
    tracked: int  # frames before the failure; N without one
    failed: bool  # whether it failed


@dataclass(frozen=True, slots=True, eq=False)
class AnchoredSequence:
    """All runs of a sequence, and its number of frames (its weight in robustness)."""

    runs: tuple[AnchorRun, ...]
    frames: int


def anchor_run(
    pred: npt.ArrayLike,
    truth: npt.ArrayLike,
    convention: MultiStartConvention,
    size: tuple[int, int] | None = None,
) -> AnchorRun:
    """Compare a run with the truth; `ValueError`: the shapes differ.

    `pred` are `(N, 4)` boxes from the anchor on, in the order of tracking; the first is ignored. `truth` is
    `(N, 4)` in the same order, NaN where the target is absent. `size` is width and height of the pictures in
    px, to which both are clipped; None does not clip.

    Source: VOT2020 results paper, section 2.1.
    """
    ious = bounded_ious(pred, truth, size)
    present = ~np.isnan(ious)
    ious = np.where(present, ious, 0.0)
    ious[:1] = 0.0
    left = convention.grace
    for frame in range(len(ious)):
        if present[frame] and ious[frame] <= convention.threshold:
            left -= 1
            if left == 0:
                return AnchorRun(ious, frame + 1 - convention.grace, failed=True)
        else:
            left = convention.grace
    return AnchorRun(ious, len(ious), failed=False)


def bounded_ious(pred: npt.ArrayLike, truth: npt.ArrayLike, size: tuple[int, int] | None) -> Floats:
    """Return `(N,)` IoUs, NaN where there is no truth.

    Left, top, width and height are first rounded to whole pixels, and boxes clipped to the picture.

    Source: vot-toolkit 0.9.0 (measured: `tests/unit/vot_toolkit_facts.json`).
    """
    boxes = [np.asarray(one, np.float64) for one in (pred, truth)]
    known = is_box(boxes[1])
    boxes = [np.round(one) for one in boxes]
    if size is not None:
        boxes = [_within(one, size) for one in boxes]
    ious = iou_per_frame(*boxes)
    ious[known & np.isnan(ious)] = 0.0
    return ious


def eao_curve(sequences: Sequence[AnchoredSequence], high: int) -> Floats:
    """Return the expected average overlap of runs of 1, 2, .. `high` frames, `(high,)`; 0 if none is so long.

    A failed run counts in all lengths, with overlap 0 from the failure on; any other counts up to its own
    length. The first frame, which was given, is left out of the averages.

    Source: Kristan et al., "The Visual Object Tracking VOT2015 Challenge Results", section 3.2; VOT2020
    results paper, section 2.1.
    """
    total, runs = np.zeros(high), np.zeros(high)
    for run in (run for sequence in sequences for run in sequence.runs):
        means = _running_means(run, high)
        total[1 : len(means) + 1] += means
        runs[1 : len(means) + 1] += 1
    return np.divide(total, runs, out=np.zeros(high), where=runs > 0)


def _running_means(run: AnchorRun, high: int) -> Floats:
    """Return the mean overlap of the first 1, 2, .. frames after the given one."""
    ious = run.ious.copy()
    ious[run.tracked :] = 0.0
    means: Floats = np.cumsum(ious[1:]) / np.arange(1, len(ious))
    if run.failed and len(ious) < high:
        # From the end of the run on the toolkit's divisor is one less.
        rest = np.arange(len(ious), high)
        means = np.concatenate((means, ious.sum() / np.maximum(rest - 1, 1)))
    return means[: high - 1]


def _within(boxes: Floats, size: tuple[int, int]) -> Floats:
    limit = np.array(size, np.float64)
    first = np.clip(boxes[:, :2], 0.0, limit)
    last = np.clip(boxes[:, :2] + boxes[:, 2:], 0.0, limit)
    return np.hstack((first, last - first))


class MultiStart(Metric[AnchoredSequence]):
    """EAO, accuracy and robustness of anchored runs: VOT-RGBD2022."""

    columns = ("EAO", "A", "R")
    ranked_by = "EAO"
    is_additive = False

    convention = MultiStartConvention()

    def part(self, annotation: Annotation, tracks: Sequence[Track]) -> AnchoredSequence:
        """Compare the run of every anchor; a missing run counts as failed in its first frame."""
        size = annotation.picture_size()
        truth = annotation.truth  # below, `shown` has its rows in the order of each run
        shown = [truth[at:] if at >= 0 else truth[~at::-1] for at in anchors_of(annotation)]
        runs = tuple(self._run(frames, track, size) for frames, track in zip(shown, tracks, strict=True))
        return AnchoredSequence(runs, len(annotation))

    def _run(self, truth: Floats, track: Track, size: tuple[int, int] | None) -> AnchorRun:
        if not len(track):
            return AnchorRun(np.zeros(len(truth)), 0, failed=True)
        rows = padded(track_boxes(track, truth), len(truth))
        return anchor_run(rows, truth, self.convention, size)

    def figures(self, parts: Sequence[AnchoredSequence]) -> tuple[float, ...]:
        """Return EAO, accuracy and robustness.

        EAO is the mean of its curve over the interval. Accuracy is the mean overlap before failures over all
        runs; robustness the share of frames before failures, with sequences weighted by their length.

        Source: VOT2020 results paper, section 2.1.
        """
        curve = eao_curve(parts, self.convention.high)[self.convention.low :]
        eao = float(curve.mean()) if len(curve) else float("nan")
        runs = [run for part in parts for run in part.runs]
        tracked = sum(run.tracked for run in runs)
        overlap = sum(float(run.ious[: run.tracked].sum()) for run in runs)
        shares = [
            sum(run.tracked for run in part.runs) / sum(len(run.ious) for run in part.runs) for part in parts
        ]
        robustness = float(np.average(shares, weights=[part.frames for part in parts]))
        return (eao, overlap / tracked if tracked else 0.0, robustness)

    def curves(self, parts: Sequence[AnchoredSequence]) -> tuple[Curve, ...]:
        """Return the EAO curve."""
        y = eao_curve(parts, self.convention.high)
        x = np.arange(len(y), dtype=np.float64)
        eao = self.figures(parts)[0]
        return (Curve("expected_overlap", "frames", "expected average overlap", x[1:], y[1:], eao),)


def anchors_of(annotation: Annotation) -> tuple[int, ...]:
    """Return the anchors: `f` for a forward run from frame `f`, its bit inverse `~f` for a backward one."""
    if annotation.anchors is None:
        return (0,)
    frames = np.flatnonzero(annotation.anchors)
    return tuple(int(frame) if annotation.anchors[frame] > 0 else ~int(frame) for frame in frames)
