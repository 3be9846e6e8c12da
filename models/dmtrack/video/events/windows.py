"""Cutting a stream of events into windows of time, in order, keeping no more than is still needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from dmtrack.errors import InputError
from dmtrack.video.events.batch import EventBatch
from dmtrack.video.events.options import EventOptions

OPEN_END: Final = 1 << 62
"""A time in microseconds that is after every event."""


@dataclass(frozen=True, slots=True)
class Window:
    """From `start_us` up to and without `end_us`, on the clock of the events."""

    start_us: int
    end_us: int


class WindowCutter:
    """Gives the events of windows that never move back.

    Where the file is damaged, the window there still gets the events before the damage; the next one is
    the error.

    Args:
        batches: The events, in order of time.
        options: Which events belong to a window.
    """

    def __init__(self, batches: Iterable[EventBatch], options: EventOptions) -> None:
        self._batches = iter(batches)
        self._options = options
        self._kept: deque[EventBatch] = deque()
        self._kept_events = 0
        self._last_us: int | None = None
        self._error: InputError | None = None
        self._is_drained = False

    def advance(self, window: Window) -> None:
        """Forget what lies before a window that is not wanted, without looking at its events.

        Raises:
            InputError: The file is damaged before the window.
        """
        self._raise_error()
        self._read_until(window.end_us)
        self._forget(window)

    def cut(self, window: Window) -> EventBatch:
        """Return the events that belong to a window.

        Raises:
            InputError: The file is damaged before the window.
        """
        self._raise_error()
        if self._options.window_us is not None:
            window = Window(window.start_us, window.start_us + self._options.window_us)
        self._read_until(window.end_us)
        self._forget(window)
        parts = [part for batch in self._kept if len(part := _before(batch, window.end_us))]
        events = EventBatch.joined(parts)
        if self._options.count is not None:
            return events[max(0, len(events) - self._options.count) :]
        return _from(events, window.start_us)

    def has_from(self, time_us: int) -> bool:
        """Return whether there are events at or after a time that windows have not passed yet."""
        while not self._is_drained and (self._last_us is None or self._last_us < time_us):
            self._read_until(time_us)
        self._raise_error()
        return self._last_us is not None and self._last_us >= time_us

    def _read_until(self, end_us: int) -> None:
        while not self._is_drained and (self._last_us is None or self._last_us < end_us):
            try:
                batch = next(self._batches, None)
            except InputError as error:
                self._error, batch = error, None
            if batch is None:
                self._is_drained = True
            elif len(batch):
                self._kept.append(batch)
                self._kept_events += len(batch)
                self._last_us = int(batch.t[-1])

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _forget(self, window: Window) -> None:
        """Drop whole batches that no window from this one on needs."""
        while self._kept and self._is_spent(self._kept[0], window):
            self._kept_events -= len(self._kept.popleft())

    def _is_spent(self, batch: EventBatch, window: Window) -> bool:
        if self._options.count is None:
            return int(batch.t[-1]) < window.start_us
        ahead = sum(len(kept) - len(_before(kept, window.end_us)) for kept in self._kept)
        return self._kept_events - len(batch) - ahead >= self._options.count and batch.t[-1] < window.end_us


def _before(events: EventBatch, end_us: int) -> EventBatch:
    if len(events) == 0 or int(events.t[-1]) < end_us:
        return events
    return events[: int(np.searchsorted(events.t, end_us))]


def _from(events: EventBatch, start_us: int) -> EventBatch:
    if len(events) == 0 or int(events.t[0]) >= start_us:
        return events
    return events[int(np.searchsorted(events.t, start_us)) :]


def by_count(batches: Iterable[EventBatch], count: int) -> Iterator[EventBatch]:
    """Yield every `count` events in turn; what is left at the end is yielded too.

    Raises:
        InputError: The file is damaged; what came before has been yielded.
    """
    kept: list[EventBatch] = []
    total = 0
    try:
        for batch in batches:
            kept.append(batch)
            total += len(batch)
            if total < count:
                continue
            events = EventBatch.joined(kept)
            whole = total // count * count
            kept, total = [events[whole:]], total - whole
            for begin in range(0, whole, count):
                yield events[begin : begin + count]
    except InputError:
        if total:
            yield EventBatch.joined(kept)
        raise
    if total:
        yield EventBatch.joined(kept)
