"""When the pictures of an event stream are due, and the events of each: cut in order, none kept for long.

Pictures come like the frames of a video, at a rate, or as told by a file. The clock of an event camera has
its own zero, mostly the moment it was switched on. So its first event is taken to be at the first frame of
the video beside it, unless both are said to share a clock, or their times show it.
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
OPEN_END: Final = 1 << 62  # a time in microseconds that is after every event
_FAR: Final = 10
"""So many lengths of a recording away from zero, two clocks that begin together do so by no chance."""
_LONGEST: Final = 4  # so many usual intervals a frame is shown at most: then the video pauses
_ZONE_S: Final = 900  # time zones are no nearer: names in local time are no clock of events in unix time


@dataclass(frozen=True, slots=True)
class Window:
    """The events of a picture: from `start_us` up to and without `end_us`, on the clock of the events.

    `pts` is the stamp of the picture, in units of the schedule's `time_base`.
    """

    start_us: int
    end_us: int
    pts: int = 0


@dataclass(frozen=True, slots=True)
class FrameClock:
    """The frames of a video that the pictures go with."""

    info: VideoInfo  # what the video claims
    stamps: Sequence[int]  # stamps of its frames, rising, in units of its time base
    # What pairing will add to the times of the pictures, in seconds; they come so much earlier
    offset_s: Fraction = Fraction(0)
    # What pairing will multiply lengths of time by, from the first event on
    rate_ratio: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When pictures are due."""

    clock: str  # how the time of the pictures and that of the events go together, in words
    time_base: Fraction  # seconds per unit of the stamps
    frame_rate: Fraction | None  # pictures a second, if they come regularly
    start_pts: int  # stamp of the first event
    windows: Iterator[Window]  # the pictures in order; read once
    frame_count: int | None = None  # how many there will be, if the file tells the times of them all


def at_rate(first_us: int, frame_rate: Fraction) -> Schedule:
    """Return so many pictures a second without end, from `first_us` on; `ConfigError`: it is not positive."""
    if frame_rate <= 0:
        raise ConfigError(f"frame rate {frame_rate} is not positive")
    start_pts, time_base = exact_stamps(frame_rate, Fraction(0))
    step = round(1 / (frame_rate * time_base))
    edges = (first_us + math.ceil(index * MICROSECONDS / frame_rate) for index in count())
    windows = (Window(*edge, start_pts + index * step) for index, edge in enumerate(pairwise(edges)))
    return Schedule("its first event is at the first picture", time_base, frame_rate, start_pts, windows)


def like_frames(first_us: int, like: FrameClock, *, is_shared_clock: bool = False) -> Schedule:
    """Return a picture for each frame of a video, from its stamp to that of the next one.

    Where the video pauses it ends before: what happens meanwhile no frame shows.

    `first_us` is the time of the first event. With `is_shared_clock` the events have the clock of the video,
    instead of beginning with its first frame; so they do where their times show it.
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
        """Return the time that pairing will turn into that of a frame."""
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
    """Return whether events and frames count from a moment that is far from both, as unix time does."""
    if not like.stamps:
        return False
    start_s, end_s = (stamp * like.info.time_base for stamp in (like.stamps[0], like.stamps[-1]))
    apart_s = abs(Fraction(first_us, MICROSECONDS) - start_s)
    return apart_s < _ZONE_S and start_s > _FAR * max(apart_s, end_s - start_s)


def at_told_times(times_us: Times, info: VideoInfo) -> Schedule:
    """Return a picture for each frame of a video, whose times on the clock of the events are in their file.

    `FormatError`: the times run backwards, or there are none.
    """
    frame_rate = info.frame_rate or DEFAULT_FRAME_RATE
    start_pts, time_base = exact_stamps(frame_rate, info.start_pts * info.time_base)
    step = round(1 / (frame_rate * time_base))
    found = frame_windows(times_us)
    windows = (replace(window, pts=start_pts + index * step) for index, window in enumerate(found))
    clock = "it holds the times of the frames"
    return Schedule(clock, time_base, frame_rate, start_pts, windows, len(times_us))


def frame_windows(times_us: Times) -> list[Window]:
    """Return the time from each frame to the next one; the last one gets the median, a lone one all.

    In a pause it ends before, as in `like_frames`.

    `times_us` are `(F,)` times of frames on the clock of the events. `FormatError`: they run backwards, or
    there are none.
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
    """Gives the events of windows that never move back.

    Where the file is damaged, the window there still gets the events before the damage; the next one is
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
        """Forget what lies before a window, without looking at its events; errors as in `cut`."""
        self._raise_error()
        self._read_until(window.end_us, window.start_us)
        self._forget(window)

    def cut(self, window: Window) -> EventBatch:
        """Return the events that belong to a window; `InputError` where the file is damaged before it."""
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
        """Return whether there are events at or after a time that windows have not passed yet."""
        while not self._is_drained and (self._last_us is None or self._last_us < time_us):
            self._read_until(time_us, time_us)
        self._raise_error()
        return self._last_us is not None and self._last_us >= time_us

    def pause_us(self, time_us: int) -> int:
        """Return how long after a time the next event comes, of those that were read so far; else 0."""
        later = next((batch.t for batch in self._kept if batch.t[-1] >= time_us), None)
        return 0 if later is None else int(later[np.searchsorted(later, time_us)]) - time_us

    def _read_until(self, end_us: int, start_us: int) -> None:
        """Read up to the end of a window; what lies before its start, a pause of the video, is not kept."""
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
        """Drop whole batches that no window from this one on needs."""
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
    """Yield every `count` events in turn, then what is left; an `InputError` comes after what was before."""
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
