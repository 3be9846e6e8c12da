"""Two opened streams and how their frames are matched: by time stamp, or by place.

Time stamps of containers are taken as they are, unless a side file says better: cameras of one
rig usually share a clock, or start their files together at 0. `offset_s` moves the second stream
where they do not, `rate_ratio` stretches it where its clock ticks differently. A folder of
pictures has no clock, so it takes the start and the rate of the other stream; with equally many
frames the two go by index, as benchmark data sets do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Final

from dmtrack.errors import ConfigError, PairingError
from dmtrack.geometry.homography import Homography
from dmtrack.video.events.options import EventOptions
from dmtrack.video.frame import Frame, VideoInfo
from dmtrack.video.grid import Fit
from dmtrack.video.matching import (
    LengthDifference,
    NearestMatcher,
    TimeSpan,
    by_index,
    by_time,
    find_length_difference,
    shifted,
    stretched,
)
from dmtrack.video.position import Position
from dmtrack.video.source import DEFAULT_FRAME_RATE, ClosedOnExit, FrameSource
from dmtrack.video.time_file import TimestampUnit
from dmtrack.video.track_choice import TrackChoice

SKEW_SHARE: Final = Fraction(9, 10)
"""Largest skew by default, in frame intervals of the slower stream. Between two frames the nearer
one is at most half an interval away, but the last one stands for nearly a whole interval; a whole
interval or more means that a frame is missing."""
_INDEX_SKEW: Final = Fraction(1, 2)
_SPARE_FRAMES: Final = 4
"""So many frames of the second stream before the first moment are read, against jitter."""


class Sync(StrEnum):
    """What two frames must share to belong together.

    `PTS` is the nearest time within the largest skew, `NEAREST` the nearest however far it lies,
    `INDEX` the same place in their streams.
    """

    PTS = "pts"
    NEAREST = "nearest"
    INDEX = "index"


class OnMissing(StrEnum):
    """What the network sees where no partner lies within the largest skew.

    `HOLD` shows the picture nearest in time, `BLANK` a black one. `RGB_ONLY` shows RGB alone, to the
    network without adapters. `STOP` ends the run.
    """

    HOLD = "hold"
    BLANK = "blank"
    RGB_ONLY = "rgb-only"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What else is to be known to open one of two streams.

    Attributes:
        track: Which stream of a file that holds several; None goes by their names.
        times: A side file with one time stamp a frame, instead of the container's.
        times_unit: What it counts in; None finds out.
    """

    track: TrackChoice | None = None
    times: Path | None = None
    times_unit: TimestampUnit | None = None


_AS_THEY_ARE: Final = StreamOptions()


@dataclass(frozen=True, slots=True)
class PairingOptions:
    """How two streams are opened, matched in time and laid over each other.

    Attributes:
        offset_s: Added to every time of the second stream, in seconds.
        max_skew_s: Largest distance in time of partners; None chooses `SKEW_SHARE` intervals.
        sync: How to match; None goes by index where a folder takes part, the counts are equal and
            there is no offset.
        on_missing: What to show without a partner.
        folder_rate: Pictures a second of folders, where no video gives a rate.
        threads: Decoder threads a stream; None: as many as pay.
        rate_ratio: Seconds of the first clock in one of the second; the second stream is stretched
            from its first frame on.
        rgb: How the first stream is opened.
        aux: How the second stream is opened.
        events: How event files become pictures.
        align: Where pixels of the second stream lie in the first one; None: both see the same, but for `fit`.
        fit: Without `align`, what to do with a second picture of another size or shape.
        gpu: Number of the CUDA device that decodes what suits it; None decodes on the processor.

    Raises:
        ConfigError: The skew is negative or has no meaning, or the ratio is not positive.
    """

    offset_s: Fraction = Fraction(0)
    max_skew_s: Fraction | None = None
    sync: Sync | None = None
    on_missing: OnMissing = OnMissing.HOLD
    folder_rate: Fraction = DEFAULT_FRAME_RATE
    threads: int | None = None
    rate_ratio: Fraction = Fraction(1)
    rgb: StreamOptions = _AS_THEY_ARE
    aux: StreamOptions = _AS_THEY_ARE
    events: EventOptions = field(default_factory=EventOptions)
    align: Homography | None = None
    fit: Fit = Fit.RESIZE
    gpu: int | None = None

    def __post_init__(self) -> None:
        if self.max_skew_s is not None and self.max_skew_s < 0:
            raise ConfigError(f"largest skew {float(self.max_skew_s)} s is negative")
        if self.max_skew_s is not None and self.sync is Sync.NEAREST:
            raise ConfigError(
                "the nearest frame is taken however far it lies", hint="leave out --max-skew-ms"
            )
        if self.rate_ratio <= 0:
            raise ConfigError(f"rate ratio {self.rate_ratio} is not positive")


BY_TIME: Final = PairingOptions()
"""By the time stamps as they are."""


@dataclass(frozen=True, slots=True)
class StreamPair(ClosedOnExit):
    """Two opened streams with every choice about their matching made.

    Attributes:
        rgb: The stream that gives frames their index and time.
        aux: The second stream.
        sync: How frames are matched.
        offset_s: Added to the times of `aux`.
        max_skew_s: Largest distance in time of partners (only with `Sync.PTS` it plays a part).
        rate_ratio: What lengths of time in `aux` are multiplied by.
        remarks: What a person should know about the times, a sentence each.
    """

    rgb: FrameSource
    aux: FrameSource
    sync: Sync
    offset_s: Fraction
    max_skew_s: Fraction
    rate_ratio: Fraction = Fraction(1)
    remarks: tuple[str, ...] = ()

    @property
    def aux_span(self) -> TimeSpan:
        """The time the second stream covers, on the clock of the first."""
        return TimeSpan.of(self.aux.info, self.offset_s, self.rate_ratio)

    @property
    def length_difference(self) -> LengthDifference | None:
        """How the lengths differ; None if they do not, or if it does not matter or was seen to."""
        if self.sync is Sync.INDEX or self.rate_ratio != 1:
            return None
        return find_length_difference(self.rgb.info, self.aux.info)

    def matcher(self, first: Frame) -> NearestMatcher:
        """Start reading the second stream shortly before `first`, the first frame wanted of `rgb`."""
        frames = self.aux.read(start=self._aux_start(first))
        on_rgb_clock: Iterator[Frame] = (
            shifted(stretched(frame, self.aux.info.start_s, self.rate_ratio), self.offset_s)
            for frame in frames
        )
        return NearestMatcher(on_rgb_clock, by_index if self.sync is Sync.INDEX else by_time)

    def partner(self, matcher: NearestMatcher, rgb: Frame) -> tuple[Frame | None, bool]:
        """Return the nearest frame of the second stream, and whether it is near enough."""
        by_place = self.sync is Sync.INDEX
        moment = by_index(rgb) if by_place else by_time(rgb)
        nearest = matcher.nearest(moment)
        if nearest is None:
            return None, False
        if self.sync is Sync.NEAREST:
            return nearest, True
        limit = _INDEX_SKEW if by_place else self.max_skew_s
        return nearest, matcher.distance(nearest, moment) <= limit

    def require_overlap(self) -> None:
        """Check that the streams claim to share some time.

        Raises:
            PairingError: They do not.
        """
        rgb, aux = TimeSpan.of(self.rgb.info), self.aux_span
        if self.sync is Sync.INDEX or rgb.common(aux.widened(self.max_skew_s)) is not None:
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

    def _aux_start(self, first: Frame) -> Position:
        if self.sync is Sync.INDEX:
            return Position(index=max(0, first.index - _SPARE_FRAMES))
        rate = self.aux.info.frame_rate or DEFAULT_FRAME_RATE
        spare_s = _SPARE_FRAMES / rate + self.max_skew_s
        elapsed_s = (first.time_s - self.aux_span.start_s) / self.rate_ratio
        return Position(time_s=max(Fraction(0), elapsed_s - spare_s))


def default_max_skew_s(rgb: VideoInfo, aux: VideoInfo, rate_ratio: Fraction = Fraction(1)) -> Fraction:
    """Return `SKEW_SHARE` frame intervals of the slower stream, in seconds of the first clock."""
    rates = [] if rgb.frame_rate is None else [rgb.frame_rate]
    if aux.frame_rate is not None:
        rates.append(aux.frame_rate / rate_ratio)
    return SKEW_SHARE / min(rates, default=DEFAULT_FRAME_RATE)
