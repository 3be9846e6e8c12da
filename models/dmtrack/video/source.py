"""`FrameSource`: one stream of frames, whatever it is read from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from typing import Final, Self

from dmtrack.errors import ConfigError, DecodeError, translated
from dmtrack.video.frame import Frame, Pixels, VideoInfo
from dmtrack.video.position import Position

DEFAULT_FRAME_RATE: Final = Fraction(30)  # frames a second of streams that have no clock and state no rate


class ClosedOnExit(ABC):
    """Base of classes with `close`: leaving a `with` block calls it."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Release what is held. Doing so twice is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()


@contextmanager
def closing_on_error(close: Callable[[], object]) -> Iterator[None]:
    """Call `close` if the block raises anything, since nobody then receives what was opened."""
    try:
        yield
    except BaseException:
        close()
        raise


class FrameSource(ClosedOnExit):
    """One stream of frames. Time stamps increase strictly from frame to frame; `read` works once.

    `info` is what the container or folder claims; `has_clock`: times are its own, not assumed from a rate.
    """

    info: VideoInfo
    has_clock = True

    @property
    @abstractmethod
    def damaged_packets(self) -> int:
        """Packets or pictures lost so far."""

    def read(self, start: Position | None = None, end: Position | None = None) -> Iterator[Frame]:
        """Yield the frames from `start` up to `end`, exclusive.

        `DecodeError`: the stream is damaged beyond its bound; frames yielded before stay valid.
        """
        return self._guarded(self._read(start, end))

    @abstractmethod
    def _read(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        """Yield the frames as `read` does; whatever a library raises meanwhile becomes a `DecodeError`."""

    def _guarded(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        with translated(DecodeError, "reading fails", where=self.info.path):
            yield from frames

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame; see `read`."""
        return self.read()

    def frame_stamps(self) -> Sequence[int] | None:
        """Return the time stamps of all frames, ascending, without decoding; None if they are not stored.

        `DecodeError`: the file cannot be read to its end.
        """
        return None

    def measured(self) -> VideoInfo:
        """Return `info` with frame count and rate measured from the time stamps, if these are stored.

        A container's claims may be shown, but errors and advice must rest on this.
        """
        try:
            return measured_by(self.info, self.frame_stamps() or ())
        except DecodeError:  # reported when the stream is read
            return self.info

    def frames_before(self, index: int) -> int | None:
        """Return the number of frames, counted, if `index` lies beyond the last one; else None."""
        count = self.info.frame_count
        if count is not None and count <= index:
            count = self.measured().frame_count
        return None if count is None or count > index else count

    @property
    def end_s(self) -> Fraction | None:
        """End of the last frame in seconds, by its time stamp if stored, else as claimed; None if unknown."""
        info, stamps = self.measured(), None
        with suppress(DecodeError):
            stamps = self.frame_stamps()
        if stamps:
            return stamps[-1] * info.time_base + 1 / (info.frame_rate or DEFAULT_FRAME_RATE)
        return None if info.duration_s is None else info.start_s + info.duration_s

    def stamps(self) -> Sequence[int]:
        """Return the time stamps of all frames, ascending; computed from the rate if they are not stored.

        `DecodeError`: the file cannot be read to its end.
        """
        info, stamps = self.info, self.frame_stamps()
        if stamps is not None:
            return [stamp for stamp in stamps if stamp >= info.start_pts]
        step = max(1, round(1 / ((info.frame_rate or DEFAULT_FRAME_RATE) * info.time_base)))
        return range(info.start_pts, info.start_pts + step * (info.frame_count or 0), step)

    def frame_at(self, position: Position) -> int:
        """Return the index of the first frame at `position` or later; a frame index is returned unchecked.

        `ConfigError`: the recording ends before a time; `DecodeError`: as `stamps`.
        """
        if position.index is not None:
            return position.index
        info, stamps = self.info, self.stamps()
        for index, stamp in enumerate(stamps):
            if position.is_reached(index, (stamp - info.start_pts) * info.time_base):
                return index
        raise ConfigError(f"{position} lies behind the last of {len(stamps)} frames", where=info.path)

    def end_at(self, end: Position | None) -> int | None:
        """Return the index of the first frame at `end` or later; None if all frames are wanted."""
        with suppress(ConfigError):
            return None if end is None else self.frame_at(end)
        return None


MAX_CONSECUTIVE_DAMAGED: Final = 100
"""After so many unusable pictures in a row, reading `StoredPictures` fails."""


class StoredPictures(FrameSource):
    """Pictures stored one by one, each with a time stamp; unusable ones are skipped and counted."""

    def __init__(self, pts: Sequence[int]) -> None:
        self._pts = pts
        self._damaged: set[int] = set()

    @abstractmethod
    def _usable(self, index: int) -> Pixels | None:
        """Return the pixels of a picture in the size of the first; log a warning and return None if none."""

    @abstractmethod
    def _name(self, index: int) -> Path | str:
        """Return the name of a picture."""

    @property
    def damaged_packets(self) -> int:
        """Pictures so far that were skipped, or of which a part is missing."""
        return len(self._damaged)

    def _read(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        """Yield the pictures; those before `start` are not opened."""
        in_a_row = 0
        for index, pts in enumerate(self._pts):
            elapsed_s = (pts - self._pts[0]) * self.info.time_base
            if end is not None and end.is_reached(index, elapsed_s):
                return
            if start is not None and not start.is_reached(index, elapsed_s):
                continue
            pixels = self._usable(index)
            if pixels is not None:
                in_a_row = 0
                yield Frame(index, pts, self.info.time_base, pixels)
                continue
            self._damaged.add(index)
            in_a_row += 1
            if in_a_row >= MAX_CONSECUTIVE_DAMAGED:
                raise DecodeError(f"{in_a_row} pictures in a row cannot be used", where=self._name(index))

    def frame_stamps(self) -> Sequence[int]:
        """Return the time stamps of all pictures."""
        return self._pts


def measured_by(info: VideoInfo, stamps: Sequence[int]) -> VideoInfo:
    """Return `info` corrected by the time stamps of all frames; a claimed rate near their median stays."""
    if not stamps:
        return info
    rate, intervals = info.frame_rate, [later - earlier for earlier, later in pairwise(stamps)]
    if intervals:
        usual = median_low(intervals)
        claimed = None if rate is None else 1 / (rate * info.time_base)
        if claimed is None or abs(usual - claimed) > max(
            min(Fraction(1), claimed / 2), Fraction(usual // 100)
        ):
            rate = len(intervals) / ((stamps[-1] - stamps[0]) * info.time_base)
    follows_s = follows(stamps, info.time_base)
    return replace(info, frame_count=len(stamps), frame_rate=rate, follows_s=follows_s)


def follows(stamps: Sequence[int], time_base: Fraction) -> Fraction | None:
    """Return the mean interval of ascending time stamps in seconds, without pauses; None for fewer than two.

    Pauses are the longest tenth of the intervals, and all that exceed both a second and ten usual intervals.
    Streams that come over a network in bursts have many long intervals, but none of the latter.
    """
    intervals = sorted(later - earlier for earlier, later in pairwise(stamps))
    if not intervals:
        return None
    longest = max(1 / time_base, Fraction(10 * median_low(intervals)))
    kept = [one for one in intervals[: max(1, len(intervals) * 9 // 10)] if one <= longest] or intervals[:1]
    return sum(kept) * time_base / len(kept)
