"""Rising time stamps, whatever a file says: one bad stamp does not move those after it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median_low
from typing import Final, Generic, TypeVar

_Item = TypeVar("_Item")
_AHEAD: Final = 8
"""So many stamps ahead are read to tell a bad one from a pause, or from a clock that restarts."""
_REORDERED: Final = 32  # a codec moves a frame by at most so many places
_BESIDE: Final = 4  # soon after a frame, a codec stores another at most so many steps from it
_FEW: Final = 10  # if fewer than one stamp in so many falls, no codec reordered them


class RisingStamps(Generic[_Item]):
    """Iterates over `(stamp, frame)`, each stamp later than the previous one.

    A single stamp that is ahead of the following ones, or behind the previous one, is bad: its frame is put
    evenly between its neighbours. If all following stamps go back too, the clock has restarted, and the times
    continue from there. Pauses stay.

    `items` are frames in order of presentation with their stamps, None without one. `step` is the claimed
    usual distance of two stamps; `last` is the stamp before the first frame. `moved` counts the frames so far
    with no stamp or a bad one, `restarts` those of the clock.
    """

    def __init__(self, items: Iterator[tuple[int | None, _Item]], step: int, last: int | None = None) -> None:
        self._items = items
        self._usual = max(1, step)
        self._waiting: deque[tuple[int | None, _Item]] = deque()
        self._shift = 0
        self._last = last
        self.moved = self.restarts = 0

    def __iter__(self) -> Iterator[tuple[int, _Item]]:
        return self

    def __next__(self) -> tuple[int, _Item]:
        """Return the next frame's stamp and the frame."""
        stamp, item = self._waiting.popleft() if self._waiting else next(self._items)
        if self._last is None:
            self._last = self._first(stamp)
            self.moved += self._last != stamp
            return self._last, item
        before = self._last
        self._last = self._following(before, None if stamp is None else stamp + self._shift)
        if stamp is not None and self._last == stamp + self._shift:
            self._usual = self._last - before
        self.moved += stamp is None or self._last != stamp + self._shift
        return self._last, item

    def _first(self, stamp: int | None) -> int:
        after = self._stamps_ahead(2)
        if stamp is not None and (len(after) < 2 or not after[0] < after[1] < stamp):
            return stamp
        return after[0] - min(self._usual, after[1] - after[0]) if len(after) > 1 else 0

    def _following(self, last: int, stamp: int | None) -> int:
        if stamp is not None and 0 < stamp - last <= 2 * self._usual:
            return stamp
        ahead = self._stamps_ahead(_AHEAD)
        limit = None if stamp is None or stamp <= last else stamp
        later = [place for place, one in enumerate(ahead) if one > last and (limit is None or one < limit)]
        if limit is not None and not later:
            return limit  # a pause
        if later and not self._begins_anew(last, stamp, ahead):
            between = (ahead[later[0]] - last) // (later[0] + 2)
            return last + max(1, min(self._usual, between))
        if stamp is not None:
            is_behind = stamp + self._usual <= last
            self.restarts += is_behind
            self.moved += not is_behind
            self._shift += last + self._usual - stamp
        return last + self._usual

    def _begins_anew(self, last: int, stamp: int | None, ahead: Sequence[int]) -> bool:
        """Return whether `stamp` goes back and the following ones continue evenly from it."""
        if stamp is None or stamp > last or ahead[0] > last:
            return False
        return all(0 < later - one <= 2 * self._usual for one, later in pairwise([stamp, *ahead]))

    def _stamps_ahead(self, count: int) -> list[int]:
        while len(self._waiting) < count:
            item = next(self._items, None)
            if item is None:
                break
            self._waiting.append(item)
        found = [stamp for stamp, _ in self._waiting if stamp is not None]
        return [stamp + self._shift for stamp in found[:count]]


def presented(stamps: Sequence[int], step: int | None = None) -> list[int]:
    """Turn the stamps of packets, in decoding order, into those of their frames: rising.

    `step` is the usual distance of two stamps; None takes the median.
    """
    if step is None:
        steps = [abs(later - earlier) for earlier, later in pairwise(stamps) if later != earlier]
        step = median_low(steps) if steps else 1
    falls = sum(later < earlier for earlier, later in pairwise(stamps))
    ordered = _in_order(stamps, step) if falls * _FEW > len(stamps) else stamps
    return [stamp for stamp, _ in RisingStamps(((stamp, None) for stamp in ordered), step)]


def _in_order(stamps: Sequence[int], step: int) -> list[int]:
    """Sort reordered stamps, each run of one clock by itself; bring a lone stamp far ahead back first."""
    runs: list[list[int]] = [[]]
    for place, stamp in enumerate(stamps):
        near = runs[-1][-_REORDERED:]
        top, after = max(near, default=stamp), stamps[place + 1 : place + 1 + _REORDERED]
        if top - stamp > _REORDERED * step and all(one < top for one in after):
            runs.append([])
        far = stamp - _REORDERED * step
        is_alone = far > top and any(top < one < far for one in after)
        is_alone &= all(abs(one - stamp) > _BESIDE * step for one in after)  # else it follows a pause
        runs[-1].append(top + step if is_alone else stamp)
    return [stamp for run in runs for stamp in sorted(run)]
