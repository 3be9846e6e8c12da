"""The limits of MP4 time stamps, and the intact part of a torn fragmented MP4.

Source: ISO/IEC 14496-12 (ISO base media file format), sections 4.2 (boxes) and 8.8 (fragments).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

FINEST_UNIT: Final = 10_000_000
"""Frame durations have 31 bits: with finer units, a pause of some seconds would not fit."""
FALLBACK_UNIT: Final = Fraction(1, 1_000_000)
_LARGEST_DURATION: Final = (1 << 31) - 1
_LEAST_TIMESCALE: Final = 10_000
_BACK_IN_TIME_S: Final = 1
_USUAL_STEP_S: Final = Fraction(1, 30)


def mp4_unit(time_base: Fraction) -> Fraction:
    """Return the unit, 1/n seconds, in which every stamp of `time_base` is a whole number.

    For time bases finer than 0.1 microseconds it is 1 microsecond, to which stamps are then rounded.
    """
    unit = Fraction(1, time_base.denominator)
    return unit if time_base.denominator <= FINEST_UNIT else FALLBACK_UNIT


def mp4_timescale(unit: Fraction) -> int:
    """Return the timescale that FFmpeg's MP4 writer stores for a unit: doubled until at least 10000."""
    timescale = unit.denominator
    while timescale < _LEAST_TIMESCALE:
        timescale *= 2
    return timescale


class StampRepair:
    """Converts source stamps to stamps that MP4 can hold: whole, from 0 up, strictly rising.

    Good stamps pass unchanged. A stamp that does not rise becomes the one before plus one unit. After a clock
    that falls back by more than a second (a restart), or a pause too long for MP4, all later stamps are
    shifted to continue from there. If the first stamp is negative, all are shifted to begin at 0.

    `unit` is seconds per output stamp.
    """

    def __init__(self, unit: Fraction) -> None:
        self.unit = unit
        self.repaired = 0  # number of stamps that did not pass unchanged
        self._offset = 0
        self._last: int | None = None
        self.step = max(1, round(_USUAL_STEP_S / unit))
        """Distance of the last two stamps, in units; 1/30 s before there are two."""
        self._longest_step = _LARGEST_DURATION * unit.denominator // mp4_timescale(unit)

    def __call__(self, pts: int, time_base: Fraction) -> int:
        """Return the output stamp of a frame."""
        source = round(pts * time_base / self.unit)
        if self._last is None:
            self._offset = max(0, -source)
            self._last = source + self._offset
            self.repaired += self._offset > 0
            return self._last
        stamp = source + self._offset
        fell_back = (self._last - stamp) * self.unit > _BACK_IN_TIME_S
        shifted = fell_back or stamp - self._last > self._longest_step
        if shifted:
            self._offset = self._last + self.step - source
            stamp = self._last + self.step
        stamp = max(stamp, self._last + 1)
        self.repaired += shifted or stamp != source + self._offset
        self.step, self._last = stamp - self._last, stamp
        return stamp


def whole_fragments_bytes(path: Path) -> int:
    """Return how many leading bytes of a torn fragmented MP4 form a valid file; 0 if none do.

    `OSError`: the file cannot be read.
    """
    size = path.stat().st_size
    whole = 0
    has_index = in_fragment = False
    for kind, end in _boxes(path):
        if end > size:
            break
        has_index |= kind == b"moov"
        in_fragment |= kind == b"moof"
        if kind == b"mdat" and has_index and in_fragment:
            whole, in_fragment = end, False
    return whole


def is_whole(path: Path) -> bool:
    """Return whether an MP4 was written to its end.

    Judged by the boxes of the file, because FFmpeg does not report every failed write of the last bytes.
    `OSError`: the file cannot be read.
    """
    boxes = list(_boxes(path))
    kinds = {kind for kind, _ in boxes}
    if not boxes or boxes[-1][1] != path.stat().st_size or not kinds >= {b"moov", b"mdat"}:
        return False
    return b"moof" not in kinds or boxes[-1][0] == b"mfra"


def _boxes(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield kind and end of each top-level box; the last end may lie beyond the end of the file."""
    size = path.stat().st_size
    start = 0
    with path.open("rb") as file:
        while start < size:
            file.seek(start)
            header = file.read(16)
            length, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if length == 1:
                length = int.from_bytes(header[8:], "big")
            if len(header) < 8 or length < 8:
                yield b"", size + 1
                return
            start += length
            yield kind, start
