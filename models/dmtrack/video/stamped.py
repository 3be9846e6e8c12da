"""`StampedSource`: a stream whose times come from a side file instead of its container."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from dmtrack.video.closing import ClosedOnExit
from dmtrack.video.frame import Frame, VideoInfo
from dmtrack.video.position import Position
from dmtrack.video.source import FrameSource, KnowsStamps
from dmtrack.video.time_file import TimeFile


class StampedSource(ClosedOnExit):
    """A stream with one time stamp a frame from a side file, `times`.

    A frame finds its row by the order of the container's own stamps, so that one that does not
    decode does not move the rows of those after it; pictures of a folder, and streams without
    stamps, count.

    Args:
        source: The stream; closed with this one.
        times: The stamps.

    Raises:
        FormatError: There are more or fewer stamps than frames.
        DecodeError: The frames cannot be counted.
    """

    def __init__(self, source: FrameSource, times: TimeFile) -> None:
        stamps = source.frame_stamps() if isinstance(source, KnowsStamps) else None
        frames = source.info.frame_count if stamps is None else len(stamps)
        if frames is not None:
            times.require_count(frames)
        self._source = source
        self.times = times
        self._stamps = stamps
        self._time_base = Fraction(1, math.lcm(*(time.denominator for time in times.times_s)))
        self.info: VideoInfo = replace(
            source.info,
            time_base=self._time_base,
            start_pts=self._pts(0),
            frame_rate=_mean_rate(times.times_s) or source.info.frame_rate,
            frame_count=len(times.times_s),
        )

    @property
    def damaged_packets(self) -> int:
        """Packets or pictures lost so far."""
        return self._source.damaged_packets

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame; see `read`."""
        return self.read()

    def read(self, start: Position | None = None, end: Position | None = None) -> Iterator[Frame]:
        """Yield the frames from `start` up to and without `end`, with the times of the side file.

        Raises:
            DecodeError: The stream is damaged beyond its bound.
            FormatError: A frame has no stamp.
        """
        first_s = self.times.times_s[0]
        for frame in self._source.read(self._own_start(start)):
            row = self._row(frame)
            if row >= len(self.times.times_s):
                self.times.require_count(row + 1)
            elapsed_s = self.times.times_s[row] - first_s
            if end is not None and end.is_reached(frame.index, elapsed_s):
                return
            if start is None or start.is_reached(frame.index, elapsed_s):
                yield Frame(frame.index, self._pts(row), self._time_base, frame.pixels)

    def close(self) -> None:
        """Close the stream."""
        self._source.close()

    def _pts(self, row: int) -> int:
        return int(self.times.times_s[row] / self._time_base)

    def _row(self, frame: Frame) -> int:
        if self._stamps is None:
            return frame.index
        row = bisect.bisect_left(self._stamps, frame.pts)
        return row if row < len(self._stamps) and self._stamps[row] == frame.pts else frame.index

    def _own_start(self, start: Position | None) -> Position | None:
        """Return a place at or before `start` on the stream's own clock, so that it need not convert all."""
        if start is None or start.time_s is None:
            return start
        times = self.times.times_s
        row = min(bisect.bisect_left(times, times[0] + start.time_s), len(times) - 1)
        if self._stamps is None:
            return Position(index=row)
        return Position(time_s=(self._stamps[row] - self._stamps[0]) * self._source.info.time_base)


def _mean_rate(times_s: Sequence[Fraction]) -> Fraction | None:
    if len(times_s) < 2:
        return None
    return (len(times_s) - 1) / (times_s[-1] - times_s[0])
