"""`KnownFrames`: remembers the frames of a file, so that a reader can seek to one of them.

A frame's number is its place among the frames that decode, which only decoding tells. For each frame decoded
from the front, its stamp and a sample of its picture are kept while the program runs; a seek has found the
right frame when both match. Frames not decoded yet are sought by the list of packets (`packet_list`), as long
as all decoded frames agree with it. Where seeking is impossible, or a packet was damaged, the file is read
from its front.
"""

from __future__ import annotations

import functools
import threading
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from dmtrack.video.container.packet_list import PacketList
from dmtrack.video.container.stamps import RisingStamps
from dmtrack.video.position import Position

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_GRID: Final = 24  # a sample takes about so many bytes per row and column, spread over the picture
_FILES: Final = 64
_WORTH_FRAMES: Final = 48  # decoding fewer frames than these takes no longer than seeking


@dataclass(frozen=True, slots=True)
class KnownFrame:
    """A frame that can be sought."""

    index: int  # its number
    stamps: Sequence[int]  # of all frames up to it, and maybe more
    sample: int | None  # of its picture, if it was decoded before
    packets: PacketList | None = None  # the list that it is from, if it was not decoded before

    @property
    def begin(self) -> int | None:
        """The stamp of the packet to decode from; None: any keyframe before the frame will do."""
        return None if self.packets is None else self.packets.begin_for(self.index)

    def before(self, frames: int) -> int:
        """Return the stamp `frames` frames before the frame at `begin`, or before this frame."""
        index = self.index if self.begin is None else bisect_left(self.stamps, self.begin)
        return self.stamps[max(0, index - frames)]

    def found(self, decoded: Iterable[VideoFrame]) -> VideoFrame | None:
        """Return this frame from decoded ones; None if it is missing, or a stamp or the picture differs."""
        wanted, begin = self.stamps[self.index], self.begin
        place = 0 if begin is None else bisect_left(self.stamps, begin)
        for frame in decoded:
            if frame.pts is None or frame.pts > wanted:
                return None
            if begin is not None and frame.pts >= begin:  # earlier ones may need packets not read
                if frame.pts != self.stamps[place]:
                    return None
                place += 1
            if frame.pts == wanted:
                return frame if self.sample in (None, _sampled(frame)) else None
        return None

    def resumed(self, frames: Iterator[tuple[int | None, VideoFrame]]) -> RisingStamps[VideoFrame]:
        """Return the frames from this one on, with the stamps they would have if read from the front."""
        before, last = self.stamps[self.index - 2 : self.index]
        return RisingStamps(frames, last - before, last)


class KnownFrames:
    """The known frames of one stream: from its front, as far as they decoded in order and undamaged."""

    def __init__(self) -> None:
        self._stamps: list[int] = []
        self._pictures: list[int] = []
        self._is_in_order = True
        self._packets: PacketList | None = None
        self._is_listed = False
        self._lock = threading.Lock()

    def note(self, index: int, stamp: int, frame: VideoFrame, damaged: int) -> None:
        """Remember a decoded frame.

        `index` is its number from the front, `damaged` the number of damaged packets so far.
        """
        with self._lock:
            if damaged or (self._packets is not None and not self._packets.has(index, stamp)):
                self._packets, self._is_listed = None, True  # its numbers may be wrong
            if index != len(self._stamps) or not self._is_in_order:
                return
            rises = not self._stamps or stamp > self._stamps[-1]
            self._is_in_order = rises and frame.pts == stamp and not damaged
            if self._is_in_order:
                self._stamps.append(stamp)
                self._pictures.append(_sampled(frame))

    def nearest(
        self, start: Position, time_base: Fraction, first: int, listed: Callable[[], PacketList | None] | None
    ) -> KnownFrame | None:
        """Return the known frame from which to read on to `start`; None: read from the front.

        `first` is the stamp of the first frame. `listed` lists the packets, and is called at most once, when
        needed; None: packets are not trusted.
        """
        with self._lock:
            decoded = self._stamps or [first]
            place, last = _place(decoded, start, time_base), len(decoded) - 1
            if (
                listed is not None
                and place > last
                and (start.index is None or start.index >= last + _WORTH_FRAMES)
            ):
                packets = self._listed(listed, decoded)
                if packets is not None:
                    there = min(_place(packets.stamps, start, time_base), len(packets.stamps) - 1)
                    if there >= last + _WORTH_FRAMES and packets.begin_for(there) > decoded[last]:
                        return KnownFrame(there, packets.stamps, None, packets)
            place = min(place, last)
            return KnownFrame(place, decoded, self._pictures[place]) if place >= _WORTH_FRAMES else None

    def _listed(self, listed: Callable[[], PacketList | None], decoded: Sequence[int]) -> PacketList | None:
        if not self._is_listed:
            packets, self._is_listed = listed(), True
            if packets is not None and all(packets.has(index, stamp) for index, stamp in enumerate(decoded)):
                self._packets = packets
        return self._packets


def known_frames(path: Path, stream: int) -> KnownFrames:
    """Return the known frames of a stream; a file whose size or time has changed counts as another one."""
    stat = path.stat()
    return _known(path.absolute(), stat.st_size, stat.st_mtime_ns, stream)


@functools.lru_cache(maxsize=_FILES)
def _known(path: Path, size_bytes: int, mtime_ns: int, stream: int) -> KnownFrames:
    return KnownFrames()


def _place(stamps: Sequence[int], start: Position, time_base: Fraction) -> int:
    """Return the index of the first frame at or after `start`; the number of frames, if there is none."""
    if start.index is not None:
        return min(start.index, len(stamps))
    return bisect_left(stamps, stamps[0] + (start.time_s or 0) / time_base)


def _sampled(frame: VideoFrame) -> int:
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    width = min(plane.line_size, plane.width)  # the padding may hold anything
    return zlib.crc32(rows[:: 1 + plane.height // _GRID, : width : 1 + width // _GRID].tobytes())
