"""`TargetStart`: where, when and under which id the following of a target begins. No torch here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from dmtrack.errors import BoxError
from dmtrack.geometry.box import Box


@dataclass(frozen=True, slots=True)
class TargetStart:
    """A box that is given, not found.

    Attributes:
        box: Pixels of the full RGB frame.
        target_id: From 1; kept in every output.
        frame_index: 0-based index of the RGB frame that shows the box; None is the first frame of the run.

    Raises:
        BoxError: The id is below 1, or the index below 0.
    """

    box: Box
    target_id: int
    frame_index: int | None = None

    def __post_init__(self) -> None:
        if self.target_id < 1:
            raise BoxError(f"target id {self.target_id} is below 1")
        if self.frame_index is not None and self.frame_index < 0:
            raise BoxError(f"target {self.target_id} starts at frame {self.frame_index}, below 0")

    def is_due(self, frame_index: int) -> bool:
        """Return whether the target starts at the frame `frame_index` or before it."""
        return self.frame_index is None or self.frame_index <= frame_index


def free_ids(taken: Collection[int]) -> Iterator[int]:
    """Yield 1, 2, … without the ids that are taken."""
    return (number for number in count(1) if number not in taken)


Target = Box | TargetStart | Sequence[float]
"""A target as a caller may give it: the last is `x, y, w, h` in pixels."""


Targets = Box | TargetStart | Sequence[float] | Sequence[Target] | npt.NDArray[Any]
"""Several targets, or a single one; an array holds four numbers, or a row of them a target."""


def as_targets(targets: Targets) -> tuple[Box | TargetStart, ...]:
    """Make boxes of numbers; a single box, or its four numbers, will do for one target.

    Raises:
        BoxError: Something is neither a box nor four numbers.
    """
    if isinstance(targets, np.ndarray):
        targets = targets.tolist()
    if isinstance(targets, Box | TargetStart):
        return (targets,)
    if targets and isinstance(targets[0], int | float):
        return (_box(targets),)
    return tuple(one if isinstance(one, Box | TargetStart) else _box(one) for one in targets)


def _box(numbers: object) -> Box:
    try:
        x, y, w, h = (float(number) for number in numbers)  # type: ignore[attr-defined]  # else TypeError
    except (TypeError, ValueError):
        raise BoxError(f"{numbers!r} is no box", hint="a box is x, y, w, h in pixels") from None
    return Box(x, y, w, h)


def numbered(targets: Sequence[Box | TargetStart]) -> tuple[TargetStart, ...]:
    """Give every plain box the lowest id that is free, in the order given, and the first frame.

    Raises:
        BoxError: Two targets have the same id.
    """
    taken: set[int] = set()
    for target in targets:
        if isinstance(target, TargetStart):
            if target.target_id in taken:
                raise BoxError(f"target id {target.target_id} is given twice")
            taken.add(target.target_id)
    ids = free_ids(taken)
    return tuple(TargetStart(target, next(ids)) if isinstance(target, Box) else target for target in targets)
