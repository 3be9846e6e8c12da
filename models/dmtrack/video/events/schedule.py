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
from typing import Final

import numpy as np

from dmtrack.errors import ConfigError, FormatError
from dmtrack.video.events.batch import Times
from dmtrack.video.events.windows import OPEN_END, Window
from dmtrack.video.folder import exact_stamps
from dmtrack.video.frame import VideoInfo
from dmtrack.video.source import DEFAULT_FRAME_RATE

MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class FrameClock:
    """The frames of a video that the pictures go with.

    Attributes:
        info: What the video claims.
        stamps: Stamps of its frames, rising, in units of its time base.
        offset_s: What pairing will add to the times of the pictures, in seconds; they come so much earlier.
        rate_ratio: What pairing will multiply lengths of time by, from the first event on.
    """

    info: VideoInfo
    stamps: Sequence[int]
    offset_s: Fraction = Fraction(0)
    rate_ratio: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Slot:
    """A picture that is due: its stamp in units of the schedule's `time_base`, and its stretch of events."""

    pts: int
    window: Window


@dataclass(frozen=True, slots=True)
class Schedule:
    """When pictures are due.

    Attributes:
        clock: How the time of the pictures and that of the events go together, in words.
        time_base: Seconds per unit of the stamps.
        frame_rate: Pictures a second, if they come regularly.
        start_pts: Stamp of the first event.
        slots: The pictures in order; read once.
        frame_count: How many there will be, if the file tells the times of them all.
    """

    clock: str
    time_base: Fraction
    frame_rate: Fraction | None
    start_pts: int
    slots: Iterator[Slot]
    frame_count: int | None = None


def at_rate(first_us: int, frame_rate: Fraction) -> Schedule:
    """Return so many pictures a second without end, from the first event at `first_us` on.

    Raises:
        ConfigError: The rate is not positive.
    """
    if frame_rate <= 0:
        raise ConfigError(f"frame rate {frame_rate} is not positive")
    start_pts, time_base = exact_stamps(frame_rate, Fraction(0))
    step = round(1 / (frame_rate * time_base))
    edges = (first_us + math.ceil(index * MICROSECONDS / frame_rate) for index in count())
    slots = (Slot(start_pts + index * step, Window(*edge)) for index, edge in enumerate(pairwise(edges)))
    return Schedule("its first event is at the first picture", time_base, frame_rate, start_pts, slots)


def like_frames(first_us: int, like: FrameClock, *, is_shared_clock: bool = False) -> Schedule:
    """Return a picture for each frame of a video, from its stamp to that of the next one.

    Args:
        first_us: Time of the first event.
        like: The frames.
        is_shared_clock: The events have the clock of the video, instead of beginning with its first frame.
    """
    info, ratio = like.info, like.rate_ratio
    finest = math.lcm(info.time_base.denominator, like.offset_s.denominator, MICROSECONDS)
    time_base = Fraction(1, finest * ratio.numerator)
    if is_shared_clock:
        clock, start_s = "its times are those of the video", Fraction(first_us, MICROSECONDS)
    else:
        clock = "its first event is taken to be at the first frame"
        start_s = like.stamps[0] * info.time_base if like.stamps else Fraction(0)

    def event_s(stamp: int) -> Fraction:
        """Return the time that pairing will turn into that of a frame."""
        return start_s + (stamp * info.time_base - like.offset_s - start_s) / ratio

    def microseconds(time_s: Fraction) -> int:
        return math.ceil((time_s - start_s) * MICROSECONDS) + first_us

    def slots() -> Iterator[Slot]:
        for stamp, following in zip_longest(like.stamps, islice(like.stamps, 1, None)):
            time_s, end_us = event_s(stamp), OPEN_END
            if following is not None:
                end_us = microseconds(event_s(following))
            elif info.frame_rate:
                end_us = microseconds(time_s + 1 / info.frame_rate / ratio)
            yield Slot(int(time_s / time_base), Window(microseconds(time_s), end_us))

    return Schedule(clock, time_base, info.frame_rate, int(start_s / time_base), slots())


def at_told_times(times_us: Times, info: VideoInfo) -> Schedule:
    """Return a picture for each frame of a video, whose times on the clock of the events are in their file.

    Raises:
        FormatError: The times run backwards, or there are none.
    """
    frame_rate = info.frame_rate or DEFAULT_FRAME_RATE
    start_pts, time_base = exact_stamps(frame_rate, info.start_pts * info.time_base)
    step = round(1 / (frame_rate * time_base))
    windows = frame_windows(times_us)
    slots = (Slot(start_pts + index * step, window) for index, window in enumerate(windows))
    clock = "it holds the times of the frames"
    return Schedule(clock, time_base, frame_rate, start_pts, slots, len(times_us))


def frame_windows(times_us: Times) -> list[Window]:
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
    return [Window(*edge) for edge in pairwise([*times_us.tolist(), last])]
