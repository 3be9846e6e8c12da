"""When the pictures of an event stream are due: like the frames of a video, at a rate, or as told by a file.

The clock of an event camera has its own zero, mostly the moment it was switched on. So its first event is
taken to be at the first frame of the video beside it, unless both are said to share a clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, islice, pairwise, zip_longest
from typing import Final, Protocol

import numpy as np

from dmtrack.errors import ConfigError, FormatError
from dmtrack.video.events.batch import Times
from dmtrack.video.events.windows import OPEN_END, Interval
from dmtrack.video.folder import exact_stamps

MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Slot:
    """A picture that is due.

    Attributes:
        pts: Its stamp, in units of the schedule's `time_base`.
        interval: Its stretch of time on the clock of the events.
    """

    pts: int
    interval: Interval


class Schedule(Protocol):
    """When pictures are due."""

    @property
    def clock(self) -> str:
        """How the time of the pictures and that of the events go together, in words."""

    @property
    def time_base(self) -> Fraction:
        """Seconds per unit of the stamps."""

    @property
    def frame_rate(self) -> Fraction | None:
        """Pictures a second, if they come regularly."""

    @property
    def frame_count(self) -> int | None:
        """How many there will be, if that is known and every one will come."""

    def start_pts(self, first_us: int) -> int:
        """Return the stamp of the first event, whose time is `first_us`."""

    def slots(self, first_us: int) -> Iterator[Slot]:
        """Yield the pictures in order; `first_us` is the time of the first event."""


class FixedRate:
    """So many pictures a second, from the first event on.

    Args:
        frame_rate: Pictures a second.
        start_s: Stamp of the first picture in seconds.

    Raises:
        ConfigError: The rate is not positive.
    """

    clock = "its first event is at the first picture"
    frame_count: None = None

    def __init__(self, frame_rate: Fraction, start_s: Fraction = Fraction(0)) -> None:
        if frame_rate <= 0:
            raise ConfigError(f"frame rate {frame_rate} is not positive")
        self.frame_rate: Fraction | None = frame_rate
        self._start_pts, self.time_base = exact_stamps(frame_rate, start_s)
        self._interval_us = MICROSECONDS / frame_rate
        self._step = round(1 / (frame_rate * self.time_base))

    def start_pts(self, first_us: int) -> int:
        """Return the stamp of the first picture, which begins with the first event."""
        del first_us
        return self._start_pts

    def slots(self, first_us: int) -> Iterator[Slot]:
        """Yield pictures without end."""
        edges = (first_us + math.ceil(index * self._interval_us) for index in count())
        for index, (start_us, end_us) in enumerate(pairwise(edges)):
            yield Slot(self._start_pts + index * self._step, Interval(start_us, end_us))


class LikeFrames:
    """A picture for each frame of a video, from its stamp to that of the next one.

    Args:
        stamps: Stamps of the video's frames, rising, in units of `time_base`.
        time_base: Seconds per unit of the stamps.
        frame_rate: Frames a second, if they come regularly; the last frame lasts so long.
        offset_s: What pairing will add to the times of the pictures; they come so much earlier.
        rate_ratio: What pairing will multiply lengths of time by, from the first event on.
        is_shared_clock: The events have the clock of the video, instead of beginning with its first frame.
    """

    frame_count: None = None

    def __init__(
        self,
        stamps: Sequence[int],
        time_base: Fraction,
        frame_rate: Fraction | None,
        *,
        offset_s: Fraction = Fraction(0),
        rate_ratio: Fraction = Fraction(1),
        is_shared_clock: bool = False,
    ) -> None:
        self._stamps = stamps
        self._stamp_s = time_base
        self._offset_s = offset_s
        self._rate_ratio = rate_ratio
        self._is_shared_clock = is_shared_clock
        self.clock = (
            "its times are those of the video"
            if is_shared_clock
            else "its first event is taken to be at the first frame"
        )
        self.frame_rate = frame_rate
        finest = math.lcm(time_base.denominator, offset_s.denominator, MICROSECONDS)
        self.time_base = Fraction(1, finest * rate_ratio.numerator)

    def start_pts(self, first_us: int) -> int:
        """Return the stamp of the first event, before the offset."""
        return int(self._start_s(first_us) / self.time_base)

    def slots(self, first_us: int) -> Iterator[Slot]:
        """Yield a picture a frame."""
        start_s = self._start_s(first_us)
        length_s = 1 / self.frame_rate if self.frame_rate else None
        for stamp, following in zip_longest(self._stamps, islice(self._stamps, 1, None)):
            time_s = self._event_s(stamp * self._stamp_s, start_s)
            if following is not None:
                end_s: Fraction | None = self._event_s(following * self._stamp_s, start_s)
            else:
                end_s = None if length_s is None else time_s + length_s / self._rate_ratio
            end_us = OPEN_END if end_s is None else math.ceil((end_s - start_s) * MICROSECONDS) + first_us
            start_us = math.ceil((time_s - start_s) * MICROSECONDS) + first_us
            yield Slot(int(time_s / self.time_base), Interval(start_us, end_us))

    def _start_s(self, first_us: int) -> Fraction:
        """Return the time of the first event as the pictures count it."""
        if self._is_shared_clock:
            return Fraction(first_us, MICROSECONDS)
        return self._stamps[0] * self._stamp_s if self._stamps else Fraction(0)

    def _event_s(self, frame_s: Fraction, start_s: Fraction) -> Fraction:
        """Return the time that pairing will turn into that of a frame."""
        return start_s + (frame_s - self._offset_s - start_s) / self._rate_ratio


class ToldTimes:
    """Pictures for frames whose times are in the event file, one for each frame of the video beside it.

    Args:
        times_us: Times of the frames on the clock of the events.
        frame_rate: Frames a second of the video.
        start_s: Stamp of its first frame in seconds.

    Raises:
        FormatError: The times run backwards, or there are none.
    """

    clock = "it holds the times of the frames"

    def __init__(self, times_us: Times, frame_rate: Fraction, start_s: Fraction) -> None:
        self._intervals = frame_intervals(times_us)
        self.frame_rate: Fraction | None = frame_rate
        self.frame_count: int | None = len(times_us)
        self._start_pts, self.time_base = exact_stamps(frame_rate, start_s)
        self._step = round(1 / (frame_rate * self.time_base))

    def start_pts(self, first_us: int) -> int:
        """Return the stamp of the first frame."""
        del first_us
        return self._start_pts

    def slots(self, first_us: int) -> Iterator[Slot]:
        """Yield a picture a frame."""
        del first_us
        for index, interval in enumerate(self._intervals):
            yield Slot(self._start_pts + index * self._step, interval)


def frame_intervals(times_us: Times) -> list[Interval]:
    """Return the time from each frame to the next one; the last one gets the median, a lone one all.

    Args:
        times_us: `(F,)` times of frames on the clock of the events.

    Raises:
        FormatError: They run backwards, or there are none.
    """
    if len(times_us) == 0:
        raise FormatError("there is no frame to collect events for")
    steps = np.diff(times_us)
    if (steps <= 0).any():
        raise FormatError("the times of the frames run backwards")
    last = OPEN_END if len(steps) == 0 else int(times_us[-1]) + int(np.median(steps))
    return [Interval(int(a), int(b)) for a, b in pairwise([*times_us.tolist(), last])]
