"""Two streams in time: the frame nearest to a moment, the time both cover, and how their lengths differ.

`NearestMatcher` merges two ordered streams with one frame of look-ahead: memory stays constant, and a frame
of the slower stream is used as often as it is the nearest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from dmtrack.video.frame import Frame, VideoInfo

Clock = Callable[[Frame], Fraction]  # position of a frame on the axis along which streams are matched


def by_time(frame: Frame) -> Fraction:
    """Return the frame's time in seconds."""
    return frame.time_s


def by_index(frame: Frame) -> Fraction:
    """Return the frame's place in its stream."""
    return Fraction(frame.index)


class NearestMatcher:
    """Finds the nearest frame of a stream for moments in ascending order.

    `frames` increase strictly on `clock`, the axis along which distance is measured.
    """

    def __init__(self, frames: Iterator[Frame], clock: Clock = by_time) -> None:
        self._frames = frames
        self._clock = clock
        self._current = next(frames, None)
        self._upcoming = next(frames, None)

    def nearest(self, moment: Fraction) -> Frame | None:
        """Return the frame nearest to `moment`, the earlier of two equally near; None without frames."""
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
    """Return the frame at `ratio` times its distance from `origin_s`, exactly."""
    return _at(frame, origin_s + (frame.time_s - origin_s) * ratio) if ratio != 1 else frame


def _at(frame: Frame, time_s: Fraction) -> Frame:
    time_base = Fraction(1, math.lcm(frame.time_base.denominator, time_s.denominator))
    return replace(frame, pts=int(time_s / time_base), time_base=time_base)


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A stretch of time in seconds; an open end is None."""

    start_s: Fraction
    end_s: Fraction | None

    @classmethod
    def of(
        cls, info: VideoInfo, offset_s: Fraction = Fraction(0), rate_ratio: Fraction = Fraction(1)
    ) -> TimeSpan:
        """Return the time a stream says it covers, stretched by `rate_ratio` and moved by `offset_s`."""
        start_s = info.start_s + offset_s
        duration_s = info.duration_s
        return cls(start_s, None if duration_s is None else start_s + duration_s * rate_ratio)

    @property
    def length_s(self) -> Fraction | None:
        """Length in seconds; None if the end is open."""
        return None if self.end_s is None else self.end_s - self.start_s

    def __str__(self) -> str:
        """Return both ends in seconds."""
        end = "?" if self.end_s is None else f"{float(self.end_s):.3f}"
        return f"{float(self.start_s):.3f}-{end} s"

    def widened(self, margin_s: Fraction) -> TimeSpan:
        """Return the span, longer by a margin at both ends."""
        return TimeSpan(self.start_s - margin_s, None if self.end_s is None else self.end_s + margin_s)

    def common(self, other: TimeSpan) -> TimeSpan | None:
        """Return the time in both; None if there is none (touching ends count as common)."""
        ends = [end for end in (self.end_s, other.end_s) if end is not None]
        start_s = max(self.start_s, other.start_s)
        end_s = min(ends) if ends else None
        return None if end_s is not None and end_s < start_s else TimeSpan(start_s, end_s)


_LIKELY: Final = Fraction(2, 100)
"""Clocks differ by parts in a million, nominal frame rates by a few in a thousand: a larger
difference rather means that a stream ends early."""


def length_remark(rgb: TimeSpan, aux: TimeSpan, frame_s: Fraction, *, is_told: bool = False) -> list[str]:
    """Return a remark, with advice, if the lengths of two streams differ by more than `frame_s`, else none.

    `is_told`: the start of `aux` is known, and `rgb` is counted from there.
    """
    rgb_s, aux_s = rgb.length_s, aux.length_s
    if rgb_s is None or aux_s is None or min(rgb_s, aux_s) <= 0 or abs(rgb_s - aux_s) <= frame_s:
        return []
    ratio = (rgb_s / aux_s).limit_denominator(100_000)
    advice = f"say --rate-ratio {ratio} ({float(ratio):.6f})"
    is_likely = abs(ratio - 1) <= _LIKELY
    if is_told:
        seems = "its clock seems to differ" if is_likely else "one of them ends early"
        return [
            f"RGB ends {float(rgb_s):.3f} s after the beginning of the second stream, which lasts "
            f"{float(aux_s):.3f} s: {seems}; if both end together, {advice}."
        ]
    seems = "its clock seems to differ" if is_likely else "it starts late or ends early"
    return [
        f"RGB lasts {float(rgb_s):.3f} s and the second stream {float(aux_s):.3f} s: {seems}; "
        f"if both cover the same time, {advice}; "
        "if it was begun later, --offset-ms, which align --time measures."
    ]
