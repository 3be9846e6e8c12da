"""`KnownFrames`: the frames of a file that were decoded from its front, so that one can be sought later.

A frame's number is its place among those that decode, which only decoding tells. What was decoded once is
remembered for the time of the program: its stamp, and a sample of its picture. A frame that is sought is the
right one when both are the same; where they are not, or a packet was damaged, the file is read from its
front.
"""

from __future__ import annotations

import functools
import threading
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from dmtrack.video.position import Position
from dmtrack.video.stamps import RisingStamps

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_GRID: Final = 24
"""So many bytes of a column and of a row of a picture are looked at, spread over all of it."""
_FILES: Final = 64
_WORTH_FRAMES: Final = 48
"""Decoding so few frames takes no longer than seeking."""


class KnownFrames:
    """What is known of the frames of one stream, from its front on as far as it was in order."""

    def __init__(self) -> None:
        self._stamps: list[int] = []
        self._pictures: list[int] = []
        self._is_in_order = True
        self._lock = threading.Lock()

    def note(self, index: int, stamp: int, frame: VideoFrame, damaged: int) -> None:
        """Take note of a frame that was decoded.

        Args:
            index: Its place, from the front.
            stamp: The stamp it was given.
            frame: It.
            damaged: Packets that were damaged until then.
        """
        with self._lock:
            if index != len(self._stamps) or not self._is_in_order:
                return
            rises = not self._stamps or stamp > self._stamps[-1]
            self._is_in_order = rises and frame.pts == stamp and not damaged
            if self._is_in_order:
                self._stamps.append(stamp)
                self._pictures.append(_sampled(frame))

    def nearest(self, start: Position, time_base: Fraction) -> int | None:
        """Return the place of the known frame from which to read on to a position; None: from the front."""
        with self._lock:
            if not self._stamps:
                return None
            wanted = start.index
            if wanted is None:
                stamp = self._stamps[0] + (start.time_s or 0) / time_base
                wanted = bisect_left(self._stamps, stamp)
            place = min(wanted, len(self._stamps) - 1)
        return place if place >= _WORTH_FRAMES else None

    def stamp(self, index: int) -> int:
        """Return the stamp of a known frame."""
        return self._stamps[index]

    def resumed(
        self, index: int, frames: Iterator[tuple[int | None, VideoFrame]]
    ) -> RisingStamps[VideoFrame]:
        """Return frames from a known one on with the stamps that they have when read from the front."""
        before, last = self._stamps[index - 2 : index]
        return RisingStamps(frames, last - before, last)

    def is_same(self, index: int, frame: VideoFrame) -> bool:
        """Return whether a frame is the one that was known under a place."""
        return frame.pts == self._stamps[index] and _sampled(frame) == self._pictures[index]


def known_frames(path: Path, stream: int) -> KnownFrames:
    """Return what is known of a stream of a file as it is now; a file that has changed is another one."""
    stat = path.stat()
    return _known(path.absolute(), stat.st_size, stat.st_mtime_ns, stream)


@functools.lru_cache(maxsize=_FILES)
def _known(path: Path, size_bytes: int, mtime_ns: int, stream: int) -> KnownFrames:
    return KnownFrames()


def _sampled(frame: VideoFrame) -> int:
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    width = min(plane.line_size, plane.width)  # what lies behind it may be anything
    return zlib.crc32(rows[:: 1 + plane.height // _GRID, : width : 1 + width // _GRID].tobytes())
