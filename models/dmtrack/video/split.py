"""RGB and the second stream in one picture, side by side or stacked, as some cameras send them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import cast

import numpy as np

from dmtrack.errors import VideoError
from dmtrack.video.frame import Frame, Pixels
from dmtrack.video.matching import NearestMatcher
from dmtrack.video.position import Position
from dmtrack.video.source import FrameSource
from dmtrack.video.streams import Split, StreamPair


class SplitSource(FrameSource):
    """One half of the pictures of a stream.

    The middle one of an odd number of columns or rows belongs to neither half. `VideoError`: the pictures
    are too small to split. `source`, the stream of whole pictures, is closed with this one.
    """

    def __init__(self, source: FrameSource, half: Split) -> None:
        self.source, self.half = source, half
        width, height = source.info.size
        width, height = (width // 2, height) if half in (Split.LEFT, Split.RIGHT) else (width, height // 2)
        if not width or not height:
            raise VideoError("the picture is too small to be split", where=source.info.path)
        self.info = replace(source.info, width=width, height=height)
        self.has_clock = source.has_clock
        self._last: Frame | None = None

    @property
    def damaged_packets(self) -> int:
        """Packets or pictures lost so far."""
        return self.source.damaged_packets

    def _read(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        for whole in self.source.read(start, end):
            self._last = whole
            yield self._half(whole, self.half)

    def other_half(self) -> Frame:
        """Return the other half of the frame that was yielded last."""
        if self._last is None:
            raise ValueError("no frame was read yet")
        return self._half(self._last, self.half.other)

    def frame_stamps(self) -> Sequence[int] | None:
        """Return the time stamps of all frames; see `FrameSource`."""
        return self.source.frame_stamps()

    def close(self) -> None:
        """Close the stream of whole pictures."""
        self.source.close()

    def _half(self, whole: Frame, half: Split) -> Frame:
        width, height = self.info.size
        rows = slice(-height, None) if half is Split.BOTTOM else slice(height)
        columns = slice(-width, None) if half is Split.RIGHT else slice(width)
        pixels = np.ascontiguousarray(whole.pixels[rows, columns])
        return Frame(whole.index, whole.pts, whole.time_base, cast(Pixels, pixels))


@dataclass(frozen=True, slots=True)
class SplitStreams(StreamPair):
    """Both halves of one stream, which is decoded once unless one half is shifted in time."""

    def matcher(self, first: Frame) -> NearestMatcher:
        """Return the matcher that finds partners; an unused, empty one if both halves are of one moment."""
        return NearestMatcher(iter(())) if self._is_one_moment else StreamPair.matcher(self, first)

    def partner(self, matcher: NearestMatcher, rgb: Frame) -> tuple[Frame | None, bool]:
        """Return the other half of the same picture, else the nearest frame and whether it is near enough."""
        if self._is_one_moment:
            return cast(SplitSource, self.rgb).other_half(), True
        return StreamPair.partner(self, matcher, rgb)

    @property
    def _is_one_moment(self) -> bool:
        return self.pairing.shift_s == Fraction(0) and self.pairing.rate_ratio == 1
