"""`open_events`: the events of one file of any format, in order, checked against the sensor and the clock.

Wrong events (outside the sensor, or back in time) are dropped and counted; too many in a row end the reading.
Events yielded before stay valid.
"""

from __future__ import annotations

import logging
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import DecodeError, FormatError, VideoError, translated
from dmtrack.video.container.bag import is_bag
from dmtrack.video.events import hdf5
from dmtrack.video.events.aedat import open_aedat3, open_aedat4
from dmtrack.video.events.arrays import open_npy, open_npz
from dmtrack.video.events.bag_events import open_bag_events
from dmtrack.video.events.event_batch import Chunk, Damage, EventBatch, OpenedEvents, Size, Times
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.events.event_stream import open_event_stream
from dmtrack.video.events.hdf5 import open_hdf5
from dmtrack.video.events.prophesee import open_dat, open_raw
from dmtrack.video.events.text import looks_like_table, open_text
from dmtrack.video.source import ClosedOnExit

KNOWN_FORMATS: Final = (
    "Prophesee RAW (EVT2, EVT2.1, EVT3) and DAT, AEDAT 3.1 and 4.0, HDF5, Event Stream (.es), "
    ".npy, .npz, .csv and .txt, ROS bags"
)
MAX_CONSECUTIVE_DAMAGED: Final = 1000
"""So many wrong events in a row end the reading: nothing after them can be trusted."""
MAX_JITTER_US: Final = 1000
"""Sensors read out pixels slightly out of order: a stamp at most this far back is raised to the latest."""
MAX_SIDE: Final = 4096  # no event sensor is wider or higher
_MAX_OUTSIDE_SHARE: Final = 0.01
_HINT_SIZE: Final = "are the columns others (--columns)? --event-size says the size"
_HINT_CONVERT: Final = "convert it to .csv or .npy with columns t, x, y, p"
_TEXT_SUFFIXES: Final = (".csv", ".txt")
_HEAD_BYTES: Final = 256

_LOGGER = logging.getLogger(__name__)

Counts = npt.NDArray[np.int64]
Opener = Callable[[Path, EventOptions], OpenedEvents]


@dataclass(frozen=True, slots=True)
class EventTotals:
    """Totals of a file, or of what was read so far."""

    events: int = 0  # number of events
    first_us: int | None = None  # time of the first event, None without any
    last_us: int | None = None  # time of the last event
    positive: int = 0  # events of positive polarity
    triggers: int = 0  # edges on the trigger input

    @property
    def duration_s(self) -> float:
        """Seconds from the first event to the last."""
        return 0.0 if self.first_us is None or self.last_us is None else (self.last_us - self.first_us) / 1e6

    def with_events(self, batch: EventBatch) -> EventTotals:
        """Return the totals with a further batch of at least one event."""
        return replace(
            self,
            events=self.events + len(batch),
            first_us=int(batch.t[0]) if self.first_us is None else self.first_us,
            last_us=int(batch.t[-1]),
            positive=self.positive + int(np.count_nonzero(batch.p)),
        )


def is_event_file(path: Path) -> bool:
    """Return whether a file is an event file, by its first bytes or its name; False if unreadable."""
    try:
        return path.is_file() and _opener(path) is not None
    except OSError:
        return False


def open_events(path: Path, options: EventOptions | None = None) -> EventReader:
    """Open an event file of any known format, recognised by its first bytes, else by its name.

    `options` state what the file itself does not. `VideoError`: there is no such file, or it is empty;
    `FormatError`: its format is unknown; `DecodeError`: its header is damaged; `ConfigError`: an optional
    library is missing.
    """
    options = options or EventOptions()
    if not path.exists():
        raise VideoError("no such file", where=path, hint="check the path")
    if not path.is_file() and not is_bag(path):
        raise VideoError("this is no file", where=path)
    try:
        if path.stat().st_size == 0:
            raise VideoError("the file is empty", where=path)
        opener = open_bag_events if is_bag(path) else _opener(path)
    except PermissionError as error:
        raise VideoError("no permission to read it", where=path) from error
    if opener is None:
        raise FormatError("this is no known event file", where=path, hint=f"known are {KNOWN_FORMATS}")
    with translated(DecodeError, "the event file cannot be read", where=path):
        return EventReader(path, opener(path, options), options.size)


def coordinate_counts(path: Path, options: EventOptions) -> tuple[Counts, Counts]:
    """Read a file once and count its events by column and by row, to find the size of its sensor.

    The counts are `(MAX_SIDE,)` int64 each, not all 0. `FormatError`: over 1 % of the events lie outside the
    largest sensor; `DecodeError`: the file is damaged before its first event, or has none.
    """
    columns, rows = np.zeros(MAX_SIDE, np.int64), np.zeros(MAX_SIDE, np.int64)
    with open_events(path, replace(options, size=(MAX_SIDE, MAX_SIDE))) as reader:
        reader.guard.is_quiet = True
        try:
            for batch in reader:
                columns += np.bincount(batch.x, minlength=MAX_SIDE)
                rows += np.bincount(batch.y, minlength=MAX_SIDE)
        except DecodeError:
            if not reader.totals.events:
                raise
        outside, events = reader.guard.outside, reader.totals.events
        if outside is not None and outside.count > _MAX_OUTSIDE_SHARE * (events + outside.count):
            raise FormatError(f"{outside.what}, at byte {outside.offset}", where=path, hint=_HINT_SIZE)
        if not events:
            raise DecodeError("it holds no event", where=path)
    return columns, rows


def _opener(path: Path) -> Opener | None:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    suffix = path.suffix.lower()
    for magic, opener in _BY_MAGIC:
        if head.startswith(magic):
            return opener
    if head.startswith(b"% ") and suffix not in _TEXT_SUFFIXES:
        is_dat = suffix == ".dat" or head.startswith(b"% Data file containing")
        return _without_options(open_dat if is_dat else open_raw)
    if suffix == ".npz":
        return open_npz
    if suffix in _TEXT_SUFFIXES and head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return _open_utf16
    if suffix in _TEXT_SUFFIXES and looks_like_table(head):
        return open_text
    return _open_nmnist if suffix == ".bin" else None


def _without_options(open_path: Callable[[Path], OpenedEvents]) -> Opener:
    return lambda path, _: open_path(path)


def _open_aedat2(path: Path, _: EventOptions) -> OpenedEvents:
    raise FormatError("this is AEDAT 2.0, which is not read", hint=f"{_HINT_CONVERT} (jAER writes text)")


def _open_nmnist(path: Path, _: EventOptions) -> OpenedEvents:
    raise FormatError("a .bin file, as of N-MNIST, is not read", hint=_HINT_CONVERT)


def _open_utf16(path: Path, _: EventOptions) -> OpenedEvents:
    raise FormatError("this is text in UTF-16, which is not read", hint='save it as "CSV UTF-8"')


_BY_MAGIC: Final[tuple[tuple[bytes, Opener], ...]] = (
    (b"#!AER-DAT4", _without_options(open_aedat4)),
    (b"#!AER-DAT3", _without_options(open_aedat3)),
    (b"#!AER-DAT2", _open_aedat2),
    (b"Event Stream", _without_options(open_event_stream)),
    (hdf5.MAGIC, open_hdf5),
    (b"\x93NUMPY", open_npy),
)


class EventReader(ClosedOnExit):
    """The events of a file, read once from front to back in bounded memory; see `open_events`.

    `format` is its name for people; `size` is width and height of the sensor, None if not stated; `notes` are
    assumptions, one sentence each; `frame_times` are times of another camera's frames on the events' clock,
    if the file has them; `totals` count what was read so far.
    """

    def __init__(self, path: Path, opened: OpenedEvents, size: Size | None = None) -> None:
        self.path = path
        self.format = opened.format
        self.size = size or opened.size
        if self.size is not None and not all(0 < side <= MAX_SIDE for side in self.size):
            raise FormatError(f"a sensor of {self.size[0]}x{self.size[1]} pixels: no side is over {MAX_SIDE}")
        self.notes = opened.notes
        self.frame_times = opened.frame_times
        self.totals = EventTotals()
        self._chunks = opened.chunks
        self.guard = _Guard(path, self.size)

    @property
    def damaged(self) -> int:
        """Records lost or dropped so far."""
        return self.guard.damaged

    def __iter__(self) -> Iterator[EventBatch]:
        """Yield the events in batches, in order of time. Works once.

        `DecodeError`: the file is damaged; the message says from where on.
        """
        while True:
            with translated(DecodeError, self._failed, where=self.path):
                chunk = next(self._chunks, None)
            if chunk is None:
                return
            self.totals = replace(self.totals, triggers=self.totals.triggers + chunk.triggers)
            for batch in self.guard.passed(chunk):
                self.totals = self.totals.with_events(batch)
                yield batch

    def close(self) -> None:
        """Close the file. Doing so twice is harmless."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()

    def _failed(self) -> str:
        return f"the {self.format} file is damaged after event {self.totals.events}"


class _Guard:
    """Drops and counts wrong events, and ends the reading when too many come in a row.

    `damaged` counts the records lost or dropped so far; `outside` is the first event outside the sensor, with
    the number of such events. Only the first damage is a warning; with `is_quiet`, none is.
    """

    def __init__(self, path: Path, size: Size | None) -> None:
        self.damaged = 0
        self._path = path
        self._size = size
        self._latest: int | None = None
        self._in_a_row = 0
        self._run_offset = 0
        self.is_quiet = False
        self.outside: Damage | None = None

    def passed(self, chunk: Chunk) -> Iterator[EventBatch]:
        """Yield the good events of a chunk; `DecodeError`: too many in a row are wrong."""
        if chunk.damage is not None:
            self._count(chunk.damage)
        events = chunk.events
        if events is None or len(events) == 0:
            return
        outside = self._outside(events)
        lowest = self._lowest_times(events.t, outside)
        is_late = None if lowest is None else events.t < lowest - MAX_JITTER_US
        bad = _either(outside, is_late)
        if bad is not None:
            yield from self._without(bad, outside, lowest, events, chunk.offset_of)
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
        """Return the latest time up to each event; None if all are inside and time never falls."""
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
        events: EventBatch,
        offset_of: Callable[[int], int],
    ) -> Iterator[EventBatch]:
        first = int(np.argmax(bad))
        what = self._what(events, first, is_outside=outside is not None and bool(outside[first]))
        if lowest is not None:
            events = replace(events, t=np.maximum(events.t, lowest))
        end = self._end_of_trust(bad, offset_of)
        good = events[:end][~bad[:end]]
        damage = Damage(what, offset_of(first), int(bad[:end].sum()))
        self._count(damage)
        if outside is not None and outside[first]:
            before = 0 if self.outside is None else self.outside.count
            self.outside = replace(self.outside or damage, count=before + damage.count)
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
        """Return the number of events before the one that makes a run of bad ones too long; else all."""
        good_places = np.flatnonzero(~bad)
        before = np.concatenate(([-1 - self._in_a_row], good_places))  # the good one before each bad run
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
        level = logging.INFO if self.is_quiet else logging.WARNING
        self.is_quiet = True
        _LOGGER.log(level, "%s: %s, at byte %d", self._path, damage.what, damage.offset)


def _either(
    first: npt.NDArray[np.bool_] | None, second: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_] | None:
    """Return where either mask is true; None if neither ever is."""
    both = first if second is None else second if first is None else first | second
    return both if both is not None and bool(both.any()) else None
