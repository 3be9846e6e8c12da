"""`Metric`: how one benchmark turns the results on a sequence into a part, and parts into figures."""

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

    name: str  # of the plot: precision, success and so on; also its file's name
    x_label: str  # what runs along the horizontal axis
    y_label: str  # what runs along the vertical axis
    x: Floats  # `(T,)`
    y: Floats  # `(T,)` in [0, 1]
    figure: float  # the one number that the plot's legend gives


class Metric(ABC, Generic[Part]):
    """The figures of a benchmark."""

    columns: tuple[str, ...]  # names of the figures, each in [0, 1]
    ranked_by: str  # the column that orders trackers
    is_additive: bool = True  # each figure of a set is the mean of those of its sequences, by `weight`
    wants_confidence: bool = False  # results without confidences are worth less
    step: int = 1  # every how many frames the ground truth has a row
    # The sequence ends where results do, rather than being missed from there on
    cuts_short_results: bool = False

    @property
    def ranking_column(self) -> int:
        """Which of the figures orders trackers."""
        return self.columns.index(self.ranked_by)

    @abstractmethod
    def part(self, annotation: Annotation, tracks: Sequence[Track]) -> Part:
        """Return what is kept of one sequence; `ValueError` where they cannot be compared."""

    @abstractmethod
    def figures(self, parts: Sequence[Part]) -> tuple[float, ...]:
        """Return the figures of a set of sequences, in the order of `columns`."""

    @abstractmethod
    def curves(self, parts: Sequence[Part]) -> tuple[Curve, ...]:
        """Return the lines of a set of sequences, one a plot."""

    def remark(self, annotations: Sequence[Annotation]) -> str:
        """Say what of the truth counts otherwise than a reader of the figures expects; empty: nothing."""
        return ""

    def weight(self, part: Part) -> float:
        """Return what a sequence weighs among others, where the figures are additive."""
        return 1.0


def with_given(track: Track, truth: Floats) -> Floats:
    """Return the rows of a track, those that were given filled from the truth."""
    given = np.flatnonzero(track.given[: len(truth)])
    if not len(given) or track.rows.shape[1] != truth.shape[1]:
        return track.rows
    rows = track.rows.copy()
    rows[given] = truth[given]
    return rows


def track_boxes(track: Track, truth: Floats) -> Floats:
    """Return `(N, 4)` boxes of a track, those that were given filled from the truth."""
    return boxes_of(with_given(track, truth), "bounding")


def padded(rows: Floats, frames: int) -> Floats:
    """Return `(frames, 4)`: the rows, cut or followed by NaN."""
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
