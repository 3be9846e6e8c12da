"""What the second stream is worth: every degradation of RGB with every choice of streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from dmtrack.errors import DatasetError
from dmtrack.evaluation.clips import ClipFigures, ClipFolder, TrackerFor
from dmtrack.evaluation.degradation import Degradation, Streams

#: Rows and columns of the table, in order.
KINDS: Sequence[Degradation] = tuple(Degradation)
VIEWS: Sequence[Streams] = tuple(Streams)


@dataclass(frozen=True, slots=True)
class RobustnessCell:
    """How all two-stream targets were followed under one degradation, with one choice of streams."""

    kind: Degradation
    streams: Streams
    figures: tuple[ClipFigures, ...]

    @property
    def mean_iou(self) -> float:
        """Mean over the targets."""
        return float(np.mean([clip.mean_iou for clip in self.figures]))


def robustness(clips: ClipFolder, tracker_for: TrackerFor) -> Iterator[RobustnessCell]:
    """Track every target with two streams once a cell; yield the cells row by row.

    Args:
        clips: Clips of one stream are left out.
        tracker_for: Makes a tracker for the streams shown: None is one stream.

    Raises:
        DatasetError: No clip has two streams.
    """
    pairs = clips.with_two_streams()
    if not pairs.clips:
        raise DatasetError("no clip has two streams", hint="robustness compares one stream with two")
    for kind, streams in product(KINDS, VIEWS):
        yield RobustnessCell(kind, streams, tuple(pairs.track(tracker_for, streams=streams, kind=kind)))


def by_place(cells: Sequence[RobustnessCell]) -> Mapping[tuple[Degradation, Streams], float]:
    """Return the mean IoU by row and column."""
    return {(cell.kind, cell.streams): cell.mean_iou for cell in cells}
