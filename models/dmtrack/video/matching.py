"""Which frame of one stream belongs to a moment of another: the nearest in time.

`NearestMatcher` merges two streams that are each in order, with one frame of look-ahead, so
memory stays constant and a frame of the slower stream serves as often as it is the nearest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

from dmtrack.video.frame import Frame

Clock = Callable[[Frame], Fraction]
"""Where a frame lies on the axis two streams are matched along."""


def by_time(frame: Frame) -> Fraction:
    """Return the frame's time in seconds."""
    return frame.time_s


def by_index(frame: Frame) -> Fraction:
    """Return the frame's place in its stream."""
    return Fraction(frame.index)


class NearestMatcher:
    """Finds the nearest frame of a stream for moments that never go back.

    Args:
        frames: The stream; its frames increase strictly on `clock`.
        clock: The axis to measure distance along.
    """

    def __init__(self, frames: Iterator[Frame], clock: Clock = by_time) -> None:
        self._frames = frames
        self._clock = clock
        self._current = next(frames, None)
        self._upcoming = next(frames, None)

    def nearest(self, moment: Fraction) -> Frame | None:
        """Return the frame nearest to `moment`, the earlier of two equally near; None if there is none."""
        while self._current is not None and self._upcoming is not None:
            waited = abs(self._clock(self._current) - moment)
            if abs(self._clock(self._upcoming) - moment) >= waited:
                break
            self._current, self._upcoming = self._upcoming, next(self._frames, None)
        return self._current

    def distance(self, frame: Frame, moment: Fraction) -> Fraction:
        """Return how far `frame` lies from `moment`, without sign."""
        return abs(self._clock(frame) - moment)


def shifted(frame: Frame, offset_s: Fraction) -> Frame:
    """Return the frame `offset_s` seconds later, exactly: the time base becomes finer where needed."""
    return _at(frame, frame.time_s + offset_s) if offset_s else frame


def stretched(frame: Frame, origin_s: Fraction, ratio: Fraction) -> Frame:
    """Return the frame `ratio` times as far from `origin_s`, exactly."""
    return _at(frame, origin_s + (frame.time_s - origin_s) * ratio) if ratio != 1 else frame


def _at(frame: Frame, time_s: Fraction) -> Frame:
    time_base = Fraction(1, math.lcm(frame.time_base.denominator, time_s.denominator))
    return Frame(frame.index, int(time_s / time_base), time_base, frame.pixels)
