"""Two opened streams and how their frames are matched: by time stamp, or by place.

Time stamps of containers are taken as they are: cameras of one rig usually share a clock, or
start their files together at 0. `offset_s` moves the second stream where they do not. A folder
of pictures has no clock, so it takes the start and the rate of the other stream; with equally
many frames the two go by index, as benchmark data sets do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from dmtrack.errors import ConfigError, PairingError
from dmtrack.video.folder import DEFAULT_FRAME_RATE
from dmtrack.video.frame import Frame, VideoInfo
from dmtrack.video.matching import NearestMatcher, by_index, by_time, shifted
from dmtrack.video.position import Position
from dmtrack.video.source import FrameSource, open_source

SKEW_SHARE: Final = Fraction(9, 10)
"""Largest skew by default, in frame intervals of the slower stream. Between two frames the nearer
one is at most half an interval away, but the last one stands for nearly a whole interval; a whole
interval or more means that a frame is missing."""
_INDEX_SKEW: Final = Fraction(1, 2)
_SPARE_FRAMES: Final = 4
"""So many frames of the second stream before the first moment are read, against jitter."""


class Sync(StrEnum):
    """What two frames must share to belong together."""

    PTS = "pts"
    INDEX = "index"


class OnMissing(StrEnum):
    """What the second half of the picture shows where no partner lies within the largest skew."""

    HOLD = "hold"
    BLANK = "blank"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class PairingOptions:
    """How two streams are opened and matched.

    Attributes:
        offset_s: Added to every time of the second stream, in seconds.
        max_skew_s: Largest distance in time of partners; None chooses `SKEW_SHARE` intervals.
        sync: How to match; None goes by index where a folder takes part, the counts are equal and
            there is no offset.
        on_missing: What to show without a partner.
        folder_rate: Pictures a second of folders, where no video gives a rate.
        threads: Decoder threads a stream.

    Raises:
        ConfigError: The skew is negative.
    """

    offset_s: Fraction = Fraction(0)
    max_skew_s: Fraction | None = None
    sync: Sync | None = None
    on_missing: OnMissing = OnMissing.HOLD
    folder_rate: Fraction = DEFAULT_FRAME_RATE
    threads: int = 2

    def __post_init__(self) -> None:
        if self.max_skew_s is not None and self.max_skew_s < 0:
            raise ConfigError(f"largest skew {float(self.max_skew_s)} s is negative")


BY_TIME: Final = PairingOptions()
"""By the time stamps as they are."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of time in seconds; an open end is None."""

    start_s: Fraction
    end_s: Fraction | None

    @classmethod
    def of(cls, info: VideoInfo, offset_s: Fraction = Fraction(0)) -> Interval:
        """Return the time a stream says it covers, moved by `offset_s`."""
        start_s = info.start_pts * info.time_base + offset_s
        duration_s = info.duration_s
        return cls(start_s, None if duration_s is None else start_s + duration_s)

    def __str__(self) -> str:
        """Return both ends in seconds."""
        end = "?" if self.end_s is None else f"{float(self.end_s):.3f}"
        return f"{float(self.start_s):.3f}-{end} s"

    def common(self, other: Interval) -> Interval | None:
        """Return the time in both; None if there is none (touching ends count as common)."""
        ends = [end for end in (self.end_s, other.end_s) if end is not None]
        start_s = max(self.start_s, other.start_s)
        end_s = min(ends) if ends else None
        return None if end_s is not None and end_s < start_s else Interval(start_s, end_s)


@dataclass(frozen=True, slots=True)
class StreamPair:
    """Two opened streams with every choice about their matching made.

    Attributes:
        rgb: The stream that gives frames their index and time.
        aux: The second stream.
        sync: How frames are matched.
        offset_s: Added to the times of `aux`.
        max_skew_s: Largest distance in time of partners (with `Sync.INDEX` it plays no part).
    """

    rgb: FrameSource
    aux: FrameSource
    sync: Sync
    offset_s: Fraction
    max_skew_s: Fraction

    def matcher(self, first: Frame) -> NearestMatcher:
        """Start reading the second stream shortly before `first`, the first frame wanted of `rgb`."""
        frames = self.aux.read(start=self._aux_start(first))
        on_rgb_clock: Iterator[Frame] = (shifted(frame, self.offset_s) for frame in frames)
        return NearestMatcher(on_rgb_clock, by_index if self.sync is Sync.INDEX else by_time)

    def partner(self, matcher: NearestMatcher, rgb: Frame) -> tuple[Frame | None, bool]:
        """Return the nearest frame of the second stream, and whether it is near enough."""
        by_place = self.sync is Sync.INDEX
        moment = by_index(rgb) if by_place else by_time(rgb)
        nearest = matcher.nearest(moment)
        if nearest is None:
            return None, False
        limit = _INDEX_SKEW if by_place else self.max_skew_s
        return nearest, matcher.distance(nearest, moment) <= limit

    def require_overlap(self) -> None:
        """Check that the streams claim to share some time.

        Raises:
            PairingError: They do not.
        """
        rgb, aux = Interval.of(self.rgb.info), Interval.of(self.aux.info, self.offset_s)
        if self.sync is Sync.INDEX or rgb.common(_widened(aux, self.max_skew_s)) is not None:
            return
        offset_ms = float((rgb.start_s - aux.start_s + self.offset_s) * 1000)
        raise PairingError(
            f"the streams share no time: {self.rgb.info.path.name} covers {rgb}, "
            f"{self.aux.info.path.name} covers {aux}",
            hint=f"--offset-ms {offset_ms:.0f} would make them start together",
        )

    def close(self) -> None:
        """Close both streams."""
        self.rgb.close()
        self.aux.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _aux_start(self, first: Frame) -> Position:
        if self.sync is Sync.INDEX:
            return Position(index=max(0, first.index - _SPARE_FRAMES))
        rate = self.aux.info.frame_rate or DEFAULT_FRAME_RATE
        spare_s = _SPARE_FRAMES / rate + self.max_skew_s
        aux_start_s = Interval.of(self.aux.info, self.offset_s).start_s
        return Position(time_s=max(Fraction(0), first.time_s - aux_start_s - spare_s))


def open_streams(rgb: Path, aux: Path, options: PairingOptions) -> StreamPair:
    """Open both streams and settle how they are matched.

    Raises:
        VideoError: One of them cannot be opened.
        DecodeError: One of them has no readable frame.
    """
    first = open_source(rgb, threads=options.threads, folder_rate=options.folder_rate)
    try:
        if rgb.is_dir() and not aux.is_dir():
            second = open_source(aux, threads=options.threads)
            first = _opened_beside(rgb, second.info, options)
        else:
            second = _opened_beside(aux, first.info, options)
    except BaseException:
        first.close()
        raise
    has_folder = rgb.is_dir() or aux.is_dir()
    same_count = first.info.frame_count == second.info.frame_count
    automatic = Sync.INDEX if has_folder and same_count and not options.offset_s else Sync.PTS
    return StreamPair(
        rgb=first,
        aux=second,
        sync=options.sync or automatic,
        offset_s=options.offset_s,
        max_skew_s=default_max_skew_s(first.info, second.info)
        if options.max_skew_s is None
        else options.max_skew_s,
    )


def default_max_skew_s(rgb: VideoInfo, aux: VideoInfo) -> Fraction:
    """Return `SKEW_SHARE` frame intervals of the slower stream, in seconds."""
    rates = [info.frame_rate for info in (rgb, aux) if info.frame_rate is not None]
    return SKEW_SHARE / min(rates, default=DEFAULT_FRAME_RATE)


def _opened_beside(path: Path, partner: VideoInfo, options: PairingOptions) -> FrameSource:
    """Open `path`; a folder takes the rate and the start of its partner."""
    return open_source(
        path,
        threads=options.threads,
        folder_rate=partner.frame_rate or options.folder_rate,
        folder_start_s=partner.start_pts * partner.time_base,
    )


def _widened(interval: Interval, margin_s: Fraction) -> Interval:
    end_s = None if interval.end_s is None else interval.end_s + margin_s
    return replace(interval, start_s=interval.start_s - margin_s, end_s=end_s)
