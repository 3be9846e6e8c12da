"""`EventReader`: the events of one file, in order, checked against the sensor and the clock.

Events that cannot be right (outside the sensor, or from the past) are dropped and counted; where they come
without end, reading stops. What was yielded before stays valid.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import DecodeError
from dmtrack.video.events.batch import EventBatch, Times, Triggers
from dmtrack.video.events.formats import ColumnOptions, open_stream
from dmtrack.video.events.stream import Chunk, Damage, EventStream, Size
from dmtrack.video.source import ClosedOnExit

MAX_CONSECUTIVE_DAMAGED: Final = 1000
"""So many events in a row that cannot be right end the reading: nothing after them can be trusted."""
MAX_JITTER_US: Final = 1000
"""Sensors read out pixels slightly out of order: a stamp no further back than this is lifted to the last."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EventInfo:
    """What an event file says about itself, before its events are read.

    Attributes:
        path: The file.
        format: Its format, for people.
        size: Width and height of the sensor, where the file says so.
        notes: What had to be assumed, a sentence each.
        frame_times: Times of the frames of another camera on the clock of the events, if they are in it.
    """

    path: Path
    format: str
    size: Size | None
    notes: tuple[str, ...] = ()
    frame_times: Times | None = None


@dataclass(frozen=True, slots=True)
class EventTotals:
    """What is in a file, or was so far.

    Attributes:
        events: How many.
        first_us: Time of the first one, or None without any.
        last_us: Time of the last one.
        x_max: Highest column.
        y_max: Highest row.
        positive: How many of them were brighter.
        triggers: Edges on the trigger input.
    """

    events: int = 0
    first_us: int | None = None
    last_us: int | None = None
    x_max: int = 0
    y_max: int = 0
    positive: int = 0
    triggers: int = 0

    @property
    def duration_s(self) -> float:
        """Seconds from the first event to the last."""
        return 0.0 if self.first_us is None or self.last_us is None else (self.last_us - self.first_us) / 1e6

    def with_events(self, batch: EventBatch) -> EventTotals:
        """Return the totals with some more events."""
        if len(batch) == 0:
            return self
        return replace(
            self,
            events=self.events + len(batch),
            first_us=int(batch.t[0]) if self.first_us is None else self.first_us,
            last_us=int(batch.t[-1]),
            x_max=max(self.x_max, int(batch.x.max())),
            y_max=max(self.y_max, int(batch.y.max())),
            positive=self.positive + int(np.count_nonzero(batch.p)),
        )


class EventReader(ClosedOnExit):
    """The events of a file, read once from front to back in memory that does not grow.

    Args:
        path: An event file.
        options: What a person says about files that do not say it themselves.
        size: Width and height of the sensor; None takes what the file says.

    Raises:
        VideoError: There is no such file, or it is empty.
        FormatError: It is of no known format.
        DecodeError: Its header is damaged.
        ConfigError: An optional library is missing, or an option is invalid.
    """

    def __init__(self, path: Path, options: ColumnOptions | None = None, *, size: Size | None = None) -> None:
        self._stream: EventStream = open_stream(path, options or ColumnOptions())
        self.info = EventInfo(
            path, self._stream.format, size or self._stream.size, self._stream.notes, self._stream.frame_times
        )
        self._guard = _Guard(path, self.info.size)
        self._triggers: list[Triggers] = []
        self.totals = EventTotals()

    @property
    def damaged(self) -> int:
        """Records lost or dropped so far."""
        return self._guard.damaged

    @property
    def triggers(self) -> Triggers:
        """Edges on the trigger input, as far as the file was read."""
        return Triggers.joined(self._triggers)

    def __iter__(self) -> Iterator[EventBatch]:
        """Yield the events, some at a time, in order of time. Works once.

        Raises:
            DecodeError: The file is damaged, from the byte the message names on.
        """
        for chunk in self._stream.chunks:
            if chunk.triggers is not None:
                self._triggers.append(chunk.triggers)
                self.totals = replace(self.totals, triggers=self.totals.triggers + len(chunk.triggers))
            for batch in self._guard.passed(chunk):
                self.totals = self.totals.with_events(batch)
                yield batch

    def close(self) -> None:
        """Close the file. Doing so twice is harmless."""
        close = getattr(self._stream.chunks, "close", None)
        if close is not None:
            close()


def measure(path: Path, options: ColumnOptions | None = None) -> EventTotals:
    """Read a file once to find out what is in it, such as the size of a sensor that no header states.

    Raises:
        InputError: It cannot be opened.
        DecodeError: It is damaged before its first event.
    """
    with EventReader(path, options) as reader:
        try:
            for _ in reader:
                pass
        except DecodeError:
            if not reader.totals.events:
                raise
        return reader.totals


class _Guard:
    """Keeps back events that cannot be right, counts them, and ends the reading when they do not end."""

    def __init__(self, path: Path, size: Size | None) -> None:
        self.damaged = 0
        self._path = path
        self._size = size
        self._latest: int | None = None
        self._in_a_row = 0
        self._run_offset = 0
        self._has_warned = False

    def passed(self, chunk: Chunk) -> Iterator[EventBatch]:
        """Yield the events of a chunk that can be right.

        Raises:
            DecodeError: `MAX_CONSECUTIVE_DAMAGED` in a row cannot.
        """
        if chunk.damage is not None:
            self._count(chunk.damage)
        events = chunk.events
        if len(events) == 0:
            return
        outside = self._outside(events)
        lowest = self._lowest_times(events.t, outside)
        is_late = None if lowest is None else events.t < lowest - MAX_JITTER_US
        bad = _either(outside, is_late)
        if bad is not None:
            yield from self._without(bad, outside, lowest, chunk)
            return
        if lowest is not None:
            events = replace(events, t=lowest)
        self._in_a_row = 0
        self._latest = int(events.t[-1])
        yield events

    def _outside(self, events: EventBatch) -> npt.NDArray[np.bool_] | None:
        if self._size is None:
            return None
        width, height = self._size
        if int(events.x.max()) < width and int(events.y.max()) < height:
            return None
        return (events.x >= width) | (events.y >= height)

    def _lowest_times(self, t: Times, outside: npt.NDArray[np.bool_] | None) -> Times | None:
        """Return the latest time up to each event, or None where time never falls."""
        begins_late = self._latest is not None and t[0] < self._latest
        if not begins_late and outside is None and not (t[1:] < t[:-1]).any():
            return None
        begin = t[0] if self._latest is None else self._latest
        usable = t if outside is None else np.where(outside, begin, t)
        return np.maximum(np.maximum.accumulate(usable), begin)

    def _without(
        self,
        bad: npt.NDArray[np.bool_],
        outside: npt.NDArray[np.bool_] | None,
        lowest: Times | None,
        chunk: Chunk,
    ) -> Iterator[EventBatch]:
        events = chunk.events
        if lowest is not None:
            events = replace(events, t=np.maximum(events.t, lowest))
        first = int(np.argmax(bad))
        what = self._what(chunk.events, first, is_outside=outside is not None and bool(outside[first]))
        end = self._end_of_trust(bad, chunk.offset_of)
        good = events[:end][~bad[:end]]
        self._count(Damage(what, chunk.offset_of(first), int(bad[:end].sum())))
        if len(good):
            self._latest = int(good.t[-1])
            yield good
        if end < len(bad):
            raise DecodeError(
                f"from byte {self._run_offset} on, {MAX_CONSECUTIVE_DAMAGED} events in a row "
                f"cannot be right ({what})",
                where=self._path,
                hint="the file is damaged from there on, or of another format than its name and begin say",
            )

    def _end_of_trust(self, bad: npt.NDArray[np.bool_], offset_of: Callable[[int], int]) -> int:
        """Return how many events may be taken until too many bad ones have come in a row."""
        good_places = np.flatnonzero(~bad)
        before = np.concatenate(([-1 - self._in_a_row], good_places))  # the good one before each run
        runs = np.diff(np.append(before, len(bad))) - 1
        too_long = np.flatnonzero(runs >= MAX_CONSECUTIVE_DAMAGED)
        begin = int(before[too_long[0] if len(too_long) else -1]) + 1
        self._in_a_row = int(runs[-1])
        if 0 <= begin < len(bad):
            self._run_offset = offset_of(begin)
        return begin + MAX_CONSECUTIVE_DAMAGED - 1 if len(too_long) else len(bad)

    def _what(self, events: EventBatch, index: int, *, is_outside: bool) -> str:
        if is_outside and self._size is not None:
            width, height = self._size
            return f"event at ({events.x[index]}, {events.y[index]}) outside the {width}x{height} sensor"
        return f"time runs backwards to {events.t[index]} us"

    def _count(self, damage: Damage) -> None:
        self.damaged += damage.count
        level = logging.INFO if self._has_warned else logging.WARNING
        self._has_warned = True
        _LOGGER.log(level, "%s: %s, at byte %d", self._path, damage.what, damage.offset)


def _either(
    first: npt.NDArray[np.bool_] | None, second: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_] | None:
    """Return where one or the other is true, or None where neither ever is."""
    both = first if second is None else second if first is None else first | second
    return both if both is not None and bool(both.any()) else None
