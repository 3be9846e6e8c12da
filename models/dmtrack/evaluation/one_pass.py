"""One-pass evaluation: the first box is given, the tracker runs once, nothing is restarted."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dmtrack.datasets.sequence import Sequence
from dmtrack.errors import DatasetError
from dmtrack.evaluation.overlap import iou_per_frame, mean_iou
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox
from dmtrack.video.frame import FramePair, Modality
from dmtrack.video.pairing import open_pair
from dmtrack.video.position import Position

Floats = npt.NDArray[np.float64]


class PairTracker(Protocol):
    """What is evaluated: anything that follows boxes through frame pairs."""

    def initialize(self, pair: FramePair, boxes: collections.abc.Sequence[Box]) -> tuple[TrackedBox, ...]:
        """Take the targets of the first frame."""

    def update(self, pair: FramePair) -> tuple[TrackedBox, ...]:
        """Find all targets in the next frame."""


TrackerFactory = Callable[[Modality | None], PairTracker]
"""Makes a fresh tracker for a second stream of that modality (None: there is none)."""


@dataclass(frozen=True, slots=True, eq=False)
class OnePassResult:
    """What one run over a sequence gave; row `t` belongs to frame `t` of the sequence.

    Attributes:
        boxes: `(T, 4)` float64 `x, y, w, h`; NaN before the start and where a frame could not be read.
        scores: `(T,)` float64, NaN in the same rows.
        ious: `(T,)` float64, NaN where there is no truth to compare with or tracking had not begun; 0
            where a frame could not be read.
        mean_iou: Mean of `ious`. The start frame counts (as 1), as in the benchmarks.
        start_frame: 0-based index of the frame whose box was given.
    """

    boxes: Floats
    scores: Floats
    ious: Floats
    mean_iou: float
    start_frame: int

    @property
    def mean_iou_after_start(self) -> float:
        """Mean of `ious` without the frame whose box was given.

        Raises:
            ValueError: No later frame has a true box.
        """
        return mean_iou(self.ious[self.start_frame + 1 :])


def one_pass(
    tracker_factory: TrackerFactory, sequence: Sequence, *, max_frames: int | None = None
) -> OnePassResult:
    """Run a fresh tracker over a sequence, from its first known box to its end.

    Args:
        tracker_factory: Called once.
        sequence: The recording and its ground truth.
        max_frames: Stop after so many tracked frames, the start frame included; later frames are not
            scored. None runs to the end.

    Raises:
        DatasetError: A stream ends before the ground truth, or cannot be read from one place.
        VideoError: A stream cannot be opened.
        DecodeError: A stream is damaged beyond its bound.
        PairingError: The streams share no time.
    """
    start = sequence.start_frame
    end = len(sequence) if max_frames is None else min(len(sequence), start + max_frames)
    boxes = np.full((len(sequence), 4), np.nan)
    scores = np.full(len(sequence), np.nan)
    tracker = tracker_factory(sequence.modality)
    last = -1
    for frame, pair in _pairs(sequence, start, end):
        if last < 0 and frame != start:
            raise DatasetError(f"start frame {start} cannot be read", where=sequence.name)
        tracked = tracker.initialize(pair, [sequence.start_box]) if frame == start else tracker.update(pair)
        boxes[frame], scores[frame] = tracked[0].box.xywh, tracked[0].score
        last = frame
    if last < end - 1:
        raise DatasetError(
            f"the recording ends after frame {last}, but there are {len(sequence)} rows of ground truth",
            where=sequence.name,
        )
    ious = iou_per_frame(boxes, sequence.boxes)
    ious[~sequence.visible] = np.nan
    ious[:start] = ious[end:] = np.nan
    return OnePassResult(boxes, scores, ious, mean_iou(ious), start)


def _pairs(sequence: Sequence, start: int, end: int) -> Iterator[tuple[int, FramePair]]:
    """Yield the pairs from frame `start` up to and without `end`, each with its frame in the sequence."""
    rgb, aux = sequence.sources()
    offset = sequence.source_start()
    first, stop = Position(index=offset + start), Position(index=offset + end)
    with open_pair(rgb, aux, modality=sequence.modality, start=first, end=stop) as pairs:
        for pair in pairs:
            yield pair.rgb.index - offset, pair
