"""`TargetStart`: where, when and under which id the following of a target begins. No torch here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

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
