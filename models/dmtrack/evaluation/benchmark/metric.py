"""`Metric`: how one benchmark turns the results on a sequence into a part, and parts into figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from dmtrack.boxes.tracks import Track
from dmtrack.datasets.annotations import Annotation
from dmtrack.evaluation.overlap import Floats

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A line of a plot.

    Attributes:
        name: Of the plot: precision, success and so on; also its file's name.
        x_label: What runs along the horizontal axis.
        y_label: What runs along the vertical axis.
        x: `(T,)`.
        y: `(T,)` in [0, 1].
        figure: The one number that the plot's legend gives.
    """

    name: str
    x_label: str
    y_label: str
    x: Floats
    y: Floats
    figure: float


class Metric(ABC, Generic[Part]):
    """The figures of a benchmark.

    Attributes:
        columns: Names of the figures, each in [0, 1].
        ranked_by: The column that orders trackers.
        is_additive: Each figure of a set is the mean of those of its sequences, by `weight`.
    """

    columns: tuple[str, ...]
    ranked_by: str
    is_additive: bool = True

    @abstractmethod
    def part(self, annotation: Annotation, tracks: Sequence[Track]) -> Part:
        """Return what is kept of one sequence.

        Args:
            annotation: The truth.
            tracks: The results: one, or one an anchor in their order.

        Raises:
            ValueError: They cannot be compared.
        """

    @abstractmethod
    def figures(self, parts: Sequence[Part]) -> tuple[float, ...]:
        """Return the figures of a set of sequences, in the order of `columns`."""

    @abstractmethod
    def curves(self, parts: Sequence[Part]) -> tuple[Curve, ...]:
        """Return the lines of a set of sequences, one a plot."""

    def weight(self, part: Part) -> float:
        """Return what a sequence weighs among others, where the figures are additive."""
        return 1.0
