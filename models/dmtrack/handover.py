"""`Handover`: a short, bounded queue between two threads, one of which works ahead of the other."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final, Generic, TypeVar

ROOM_BYTES: Final = 64 << 20
MOST_WAITING: Final = 4  # enough to even out how long pictures take; more would only cost memory

_Item = TypeVar("_Item")


class Finished(Exception):  # noqa: N818 - it is no error
    """Nothing more will come."""


def room_for(item_bytes: int) -> int:
    """Return how many items of a size may wait: a few, and of very large ones a single one."""
    return max(1, min(MOST_WAITING, ROOM_BYTES // max(1, item_bytes)))


class Handover(Generic[_Item]):
    """Hands items from one thread to another, in order; whoever is ahead waits for the other.

    Either side may end it: `finish` says that nothing more comes, and what waits is still taken; `abandon`
    says that nothing more is wanted, and what waits is dropped.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[_Item] = deque()
        self._finished = False
        self._abandoned = False
        self._error: BaseException | None = None

    def put(self, item: _Item, room: int = MOST_WAITING) -> bool:
        """Add an item once fewer than `room` wait, and return whether it is wanted at all."""
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or len(self._waiting) < room)
            if self._abandoned:
                return False
            self._waiting.append(item)
            self._changed.notify_all()
            return True

    def take(self) -> _Item:
        """Return the next item, once there is one.

        `Finished`: nothing more comes; `BaseException`: what `finish` was given, once everything before it
        was taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._finished or self._abandoned)
            if not self._waiting:
                error, self._error = self._error, None
                raise error or Finished
            item = self._waiting.popleft()
            self._changed.notify_all()
            return item

    def finish(self, error: BaseException | None = None) -> None:
        """Say that nothing more comes, and why, if that is not the usual end."""
        with self._changed:
            self._finished, self._error = True, error
            self._changed.notify_all()

    def abandon(self) -> None:
        """Say that nothing more is wanted, and drop what waits."""
        with self._changed:
            self._abandoned = True
            self._waiting.clear()
            self._changed.notify_all()
