"""Schedules the pictures of an event stream, and cuts the events of each, in order and in bounded memory.

Pictures follow the frames of a paired video, a rate, or the times in a file. An event camera's clock has its
own zero, mostly the moment it was switched on. So the first event is taken to be at the first frame of the
paired video, unless the two are said to share a clock, or their times show it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count, islice, pairwise, zip_longest
from typing import Final

import numpy as np

from dmtrack.errors import ConfigError, FormatError, InputError
from dmtrack.video.events.event_batch import EventBatch, Times
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.frame import VideoInfo
from dmtrack.video.pictures.folder import exact_stamps
from dmtrack.video.source import DEFAULT_FRAME_RATE, follows

MICROSECONDS: Final = 1_000_000
OPEN_END: Final = 1 << 62  # a time in microseconds after every event
_FAR: Final = 10
"""If two clocks begin together, so many lengths of the recording from zero, they are one clock."""
_LONGEST: Final = 4  # a frame lasts at most so many usual intervals; then the video pauses
_ZONE_S: Final = 900  # time zones differ by at least this: local times are no unix clock


@dataclass(frozen=True, slots=True)
class Window:
    """The time of a picture's events: from `start_us` up to but without `end_us`, on their own clock.

    `pts` is the picture's stamp, in units of the schedule's `time_base`.
    """

    start_us: int
    end_us: int
    pts: int = 0


@dataclass(frozen=True, slots=True)
class FrameClock:
    """The frames of the paired video."""

    info: VideoInfo  # what the video claims
    stamps: Sequence[int]  # stamps of its frames, rising, in units of its time base
    # seconds that pairing will add to the times of the pictures, so here they are earlier by that
    offset_s: Fraction = Fraction(0)
    # factor by which pairing will multiply durations from the first event on
    rate_ratio: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The times of all pictures."""

    clock: str  # relation of the pictures' times to the events' clock, in words
    time_base: Fraction  # seconds per unit of the stamps
    frame_rate: Fraction | None  # pictures per second, if regular
    start_pts: int  # stamp of the first event
    windows: Iterator[Window]  # the pictures in order; read once
    frame_count: int | None = None  # number of pictures, if the file holds their times


def at_rate(first_us: int, frame_rate: Fraction) -> Schedule:
    """Schedule endless pictures at a rate from `first_us` on; `ConfigError`: the rate is not positive."""
    if frame_rate <= 0:
        raise ConfigError(f"frame rate {frame_rate} is not positive")
    start_pts, time_base = exact_stamps(frame_rate, Fraction(0))
    step = round(1 / (frame_rate * time_base))
    edges = (first_us + math.ceil(index * MICROSECONDS / frame_rate) for index in count())
    windows = (Window(*edge, start_pts + index * step) for index, edge in enumerate(pairwise(edges)))
    return Schedule("its first event is at the first picture", time_base, frame_rate, start_pts, windows)


def like_frames(first_us: int, like: FrameClock, *, is_shared_clock: bool = False) -> Schedule:
    """Schedule one picture per frame of a video, from the frame's time to that of the next one.

    If the video pauses, the picture ends earlier: no frame shows what happens meanwhile.

    `first_us` is the time of the first event. It is taken to be at the first frame, unless `is_shared_clock`
    says, or the times show, that the events share the clock of the video.
    """
    info, ratio = like.info, like.rate_ratio
    finest = math.lcm(info.time_base.denominator, like.offset_s.denominator, MICROSECONDS)
    time_base = Fraction(1, finest * ratio.numerator)
    if is_shared_clock or _is_one_clock(first_us, like):
        clock, start_s = "its times are those of the video", Fraction(first_us, MICROSECONDS)
    else:
        clock = "its first event is taken to be at the first frame"
        start_s = like.stamps[0] * info.time_base if like.stamps else Fraction(0)

    def event_s(stamp: int) -> Fraction:
        """Return the time in s that pairing will convert to a frame's time."""
        return start_s + (stamp * info.time_base - like.offset_s - start_s) / ratio

    def microseconds(time_s: Fraction) -> int:
        return math.ceil((time_s - start_s) * MICROSECONDS) + first_us

    follows_s = follows(like.stamps, info.time_base) or Fraction(0)
    last_s = replace(info, follows_s=follows_s).interval_s

    def windows() -> Iterator[Window]:
        for stamp, following in zip_longest(like.stamps, islice(like.stamps, 1, None)):
            time_s, end_us = event_s(stamp), OPEN_END
            if following is not None:
                longest_s = min(event_s(following) - time_s, _LONGEST * follows_s / ratio)
                end_us = microseconds(time_s + longest_s)
            elif last_s is not None:
                end_us = microseconds(time_s + last_s / ratio)
            yield Window(microseconds(time_s), end_us, int(time_s / time_base))

    return Schedule(clock, time_base, info.frame_rate, int(start_s / time_base), windows())


def _is_one_clock(first_us: int, like: FrameClock) -> bool:
    """Return whether events and frames begin together and far from zero, as on a unix clock."""
    if not like.stamps:
        return False
    start_s, end_s = (stamp * like.info.time_base for stamp in (like.stamps[0], like.stamps[-1]))
    apart_s = abs(Fraction(first_us, MICROSECONDS) - start_s)
    return apart_s < _ZONE_S and start_s > _FAR * max(apart_s, end_s - start_s)


def at_told_times(times_us: Times, info: VideoInfo) -> Schedule:
    """Schedule one picture per frame of a video, by its frames' `(F,)` times on the events' clock.

    `FormatError`: the times do not rise, or there are none.
    """
    frame_rate = info.frame_rate or DEFAULT_FRAME_RATE
    start_pts, time_base = exact_stamps(frame_rate, info.start_pts * info.time_base)
    step = round(1 / (frame_rate * time_base))
    found = frame_windows(times_us)
    windows = (replace(window, pts=start_pts + index * step) for index, window in enumerate(found))
    clock = "it holds the times of the frames"
    return Schedule(clock, time_base, frame_rate, start_pts, windows, len(times_us))


def frame_windows(times_us: Times) -> list[Window]:
    """Return a window from each frame to the next; the last one has the median length, a lone one no end.

    Before a pause a window ends earlier, as in `like_frames`.

    `times_us` are `(F,)` times of frames on the events' clock. `FormatError`: they do not rise, or there are
    none.
    """
    if len(times_us) == 0:
        raise FormatError("there is no frame to collect events for")
    steps = np.diff(times_us)
    if (steps <= 0).any():
        raise FormatError("the times of the frames run backwards")
    if len(steps) == 0:
        return [Window(int(times_us[0]), OPEN_END)]
    longest = math.ceil(_LONGEST * (follows(times_us.tolist(), Fraction(1)) or 0))
    lengths = (*np.minimum(steps, longest).tolist(), int(np.median(steps)))
    return [Window(start, start + length) for start, length in zip(times_us.tolist(), lengths, strict=True)]


class WindowCutter:
    """Cuts the events of windows that never move back.

    If the file is damaged, the window there still gets the events before the damage; the next call raises
    the error.
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
        """Drop the events before a window without returning its own; errors as in `cut`."""
        self._raise_error()
        self._read_until(window.end_us, window.start_us)
        self._forget(window)

    def cut(self, window: Window) -> EventBatch:
        """Return the events of a window; `InputError`: the file is damaged before it."""
        self._raise_error()
        if self._options.window_us is not None:
            window = Window(window.start_us, window.start_us + self._options.window_us)
        self._read_until(window.end_us, window.start_us)
        self._forget(window)
        parts = [part for batch in self._kept if len(part := _before(batch, window.end_us))]
        events = EventBatch.joined(parts)
        if self._options.count is not None:
            return events[max(0, len(events) - self._options.count) :]
        return events[int(np.searchsorted(events.t, window.start_us)) :]

    def has_from(self, time_us: int) -> bool:
        """Return whether there are events at or after `time_us`; `InputError`: the file is damaged."""
        while not self._is_drained and (self._last_us is None or self._last_us < time_us):
            self._read_until(time_us, time_us)
        self._raise_error()
        return self._last_us is not None and self._last_us >= time_us

    def pause_us(self, time_us: int) -> int:
        """Return the time in us from `time_us` to the next event already read; 0 without one."""
        later = next((batch.t for batch in self._kept if batch.t[-1] >= time_us), None)
        return 0 if later is None else int(later[np.searchsorted(later, time_us)]) - time_us

    def _read_until(self, end_us: int, start_us: int) -> None:
        """Read up to the end of a window; batches before its start, in a pause of the video, are not kept."""
        while not self._is_drained and (self._last_us is None or self._last_us < end_us):
            try:
                batch = next(self._batches, None)
            except InputError as error:
                self._error, batch = error, None
            if batch is None:
                self._is_drained = True
            elif len(batch):
                self._last_us = int(batch.t[-1])
                if self._options.count is not None or self._last_us >= start_us:
                    self._kept.append(batch)
                    self._kept_events += len(batch)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _forget(self, window: Window) -> None:
        """Drop the batches that neither this window nor a later one needs."""
        while self._kept and self._is_spent(self._kept[0], window):
            self._kept_events -= len(self._kept.popleft())

    def _is_spent(self, batch: EventBatch, window: Window) -> bool:
        if self._options.count is None:
            return int(batch.t[-1]) < window.start_us
        ahead = sum(len(kept) - len(_before(kept, window.end_us)) for kept in self._kept)
        return self._kept_events - len(batch) - ahead >= self._options.count and batch.t[-1] < window.end_us


def _before(events: EventBatch, end_us: int) -> EventBatch:
    return events[: int(np.searchsorted(events.t, end_us))]


def by_count(batches: Iterable[EventBatch], count: int) -> Iterator[EventBatch]:
    """Yield batches of `count` events, then the rest; an `InputError` follows the events before it."""
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
