"""`Segment`: the stretch between two keyframes of a target.

Each is tracked on its own, so that results depend on the keyframes alone, and not on the order in which they
were given. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from dmtrack.tracking.start import Keyframe, TargetStart

MOST_SHOWN: Final = 3
"""Most keyframes of a target that the network sees as templates at once: the nearest ones in time."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the recording in which one target is followed from one keyframe."""

    target_id: int  # from 1
    # First frame: that of its keyframe, or the end of an absence, from which the target is searched
    first: int
    end: int | None  # first frame after it; None where it lasts to the end of the recording
    known: tuple[TargetStart, ...]  # the keyframes whose boxes show the target, in order of time
    # The newest box keyframe up to `first`: the one at `first`, unless the target is searched from there
    last_seen: TargetStart
    # The keyframe at `end`, if it is a box from which to track backward too; else None
    closing: TargetStart | None = None

    def is_part_of(self, other: Segment) -> bool:
        """Return whether the other segment, already tracked, gives the same boxes for this one."""
        if self == other:
            return True
        ends = self.end is not None and (other.end is None or self.end <= other.end)
        return ends and self.closing is None and replace(other, end=self.end) == self

    def holds(self, frame_index: int) -> bool:
        """Return whether a frame lies in it."""
        return self.first <= frame_index and (self.end is None or frame_index < self.end)

    @property
    def opens_with_box(self) -> bool:
        """Whether its first frame has a given box."""
        return self.last_seen.frame_index == self.first


def segments_of(keyframes: Iterable[Keyframe]) -> list[Segment]:
    """Cut the recording at keyframes, given in any order, into segments in order of target and time."""
    by_id = sorted(keyframes, key=lambda key: (key.target_id, key.frame_index or 0))
    return [
        segment
        for _, group in groupby(by_id, key=lambda key: key.target_id)
        for segment in _of_one_target(list(group))
    ]


def _of_one_target(keys: Sequence[Keyframe]) -> Iterator[Segment]:
    boxes = [key for key in keys if isinstance(key, TargetStart)]
    last_seen = None
    for key, following in zip(keys, [*keys[1:], None], strict=True):
        end = None if following is None else following.frame_index
        closing = following if isinstance(following, TargetStart) and following.back else None
        if isinstance(key, TargetStart):
            first, last_seen = key.frame_index or 0, key
        elif key.until is None or last_seen is None:
            continue
        else:
            first = key.until
        if end is None or first < end:
            shown = [box for box in boxes if box.back or (box.frame_index or 0) <= first]
            yield Segment(key.target_id, first, end, _nearest(shown, first), last_seen, closing)


def _nearest(boxes: Sequence[TargetStart], frame: int) -> tuple[TargetStart, ...]:
    """Return the boxes nearest in time to a frame, in order of time."""
    nearest = sorted(boxes, key=lambda key: abs((key.frame_index or 0) - frame))[:MOST_SHOWN]
    return tuple(sorted(nearest, key=lambda key: key.frame_index or 0))
