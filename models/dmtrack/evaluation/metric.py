"""`Metric`: turns the results on each sequence into a part, and parts into the figures of a benchmark."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from dmtrack.datasets.annotations import Annotation
from dmtrack.evaluation.overlap import Floats
from dmtrack.evaluation.tracker_files import Track

Part = TypeVar("Part")
Corners = Literal["bounding", "rounded"]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A line of a plot."""

    name: str  # of the plot and its file: precision, success and so on
    x_label: str
    y_label: str
    x: Floats  # `(T,)`
    y: Floats  # `(T,)` in [0, 1]
    figure: float  # the number shown in the legend


class Metric(ABC, Generic[Part]):
    """The figures of a benchmark."""

    columns: tuple[str, ...]  # names of the figures, each in [0, 1]
    ranked_by: str  # the column that ranks trackers
    is_additive: bool = True  # each figure is the mean over the sequences, weighted by `weight`
    wants_confidence: bool = False  # whether results without confidences are at a disadvantage
    step: int = 1  # the ground truth has a row every `step` frames
    # Whether a sequence ends where its results end; else the missing frames are misses
    cuts_short_results: bool = False

    @property
    def ranking_column(self) -> int:
        """Index of the figure that ranks trackers."""
        return self.columns.index(self.ranked_by)

    @abstractmethod
    def part(self, annotation: Annotation, tracks: Sequence[Track]) -> Part:
        """Return what `figures` needs of a sequence; `ValueError` if results and truth do not compare."""

    @abstractmethod
    def figures(self, parts: Sequence[Part]) -> tuple[float, ...]:
        """Return the figures of a set of sequences, in the order of `columns`."""

    @abstractmethod
    def curves(self, parts: Sequence[Part]) -> tuple[Curve, ...]:
        """Return the curves over a set of sequences, one per plot."""

    def remark(self, annotations: Sequence[Annotation]) -> str:
        """Return a warning if some ground truth counts in an unexpected way; else an empty text."""
        return ""

    def weight(self, part: Part) -> float:
        """Return the weight of a sequence in the mean, if the figures are additive."""
        return 1.0


def with_given(track: Track, truth: Floats) -> Floats:
    """Return the rows of a track, with given boxes that the file omits filled from the truth."""
    given = np.flatnonzero(track.given[: len(truth)])
    if not len(given) or track.rows.shape[1] != truth.shape[1]:
        return track.rows
    rows = track.rows.copy()
    rows[given] = truth[given]
    return rows


def track_boxes(track: Track, truth: Floats) -> Floats:
    """Return `(N, 4)` boxes of a track, with given boxes that the file omits filled from the truth."""
    return boxes_of(with_given(track, truth), "bounding")


def padded(rows: Floats, frames: int) -> Floats:
    """Return `(frames, 4)`: the rows, cut or padded with NaN."""
    whole = np.full((frames, 4), np.nan)
    whole[: min(frames, len(rows))] = rows[:frames]
    return whole


def boxes_of(rows: npt.ArrayLike, corners: Corners) -> Floats:
    """Return rows of 4 or 8 numbers as `(N, 4)` boxes.

    Source: RGBT234 and GTOT toolkits (`corner2rect`: points 1, 2, 3, rounded half away from zero).
    """
    values = np.asarray(rows, np.float64)
    if values.ndim == 2 and values.shape[1] == 4:
        return values
    if values.ndim != 2 or values.shape[1] != 8:
        raise ValueError(f"rows have the shape {values.shape}, not (N, 4) or (N, 8)")
    if corners == "rounded":
        x, y = values[:, 0], values[:, 1]
        box = np.stack((x, y, values[:, 2] - x, values[:, 5] - y), axis=1)
        rounded: Floats = np.sign(box) * np.floor(np.abs(box) + 0.5)
        return rounded
    xs, ys = values[:, 0::2], values[:, 1::2]
    return np.stack((xs.min(1), ys.min(1), np.ptp(xs, axis=1), np.ptp(ys, axis=1)), axis=1)
