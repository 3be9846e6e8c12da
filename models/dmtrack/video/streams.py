"""Two opened streams and how their frames are matched: by time stamp, or by index.

Time stamps of containers are used as they are, unless a side file replaces them: cameras of one
rig usually share a clock, or start their files together at 0. If they do not, `offset_s` shifts
the second stream; `rate_ratio` stretches it if its clock runs at another speed. A folder of
pictures has no clock, so it takes the start and the rate of the other stream; with equal frame
counts the two are matched by index, as in benchmark data sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, ClassVar, Final

from dmtrack.errors import ConfigError, PairingError
from dmtrack.geometry.alignment_file import Alignment, read_alignment
from dmtrack.geometry.intrinsics import Intrinsics, read_intrinsics
from dmtrack.numbers import exact
from dmtrack.options import Option, make_exact, ms_text, number_text, seconds_of_ms
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.frame import Frame, VideoInfo
from dmtrack.video.matching import (
    NearestMatcher,
    TimeSpan,
    by_index,
    by_time,
    length_remark,
    shifted,
    stretched,
)
from dmtrack.video.position import Position
from dmtrack.video.second.grid import Fit, HomographyGrid, Matrix, ToGrid, grid_by, rgb_to_aux
from dmtrack.video.source import DEFAULT_FRAME_RATE, ClosedOnExit, FrameSource
from dmtrack.video.time_file import TimestampUnit
from dmtrack.video.track_choice import TrackChoice, parse_track

SKEW_SHARE: Final = Fraction(9, 10)
"""Largest skew by default, in frame intervals of the slower stream. Between two frames the nearer
one is at most half an interval away, but the last one stands for nearly a whole interval; a whole
interval or more means that a frame is missing."""
_INDEX_SKEW: Final = Fraction(1, 2)
_SAME_MOMENT_S: Final = 1
"""Start times that differ by no more count as equal: many files state them in whole seconds."""
_CUT_FRAMES: Final = 64  # at most so many of the last packets of a truncated file yield no frame
_SPARE_FRAMES: Final = 4
"""Reading of the second stream starts so many frames early, against jitter."""


class Sync(StrEnum):
    """How frames of two streams are matched.

    `PTS` takes the frame nearest in time within the largest skew, `NEAREST` the nearest however far
    it lies, `INDEX` the frame with the same index.
    """

    PTS = "pts"
    NEAREST = "nearest"
    INDEX = "index"


class OnMissing(StrEnum):
    """What the network sees if no partner lies within the largest skew.

    `HOLD` shows the picture nearest in time, `BLANK` a black one. `RGB_ONLY` shows RGB alone, to the
    network without adapters. `STOP` ends the run.
    """

    HOLD = "hold"
    BLANK = "blank"
    RGB_ONLY = "rgb-only"
    STOP = "stop"


class Split(StrEnum):
    """A half of a picture."""

    LEFT = "left"
    RIGHT = "right"
    TOP = "top"
    BOTTOM = "bottom"

    @property
    def other(self) -> Split:
        """The opposite half."""
        sides = (Split.LEFT, Split.RIGHT, Split.TOP, Split.BOTTOM)
        return sides[sides.index(self) ^ 1]


_TIMES: Final = "Side files of times"


def parse_ratio(text: str) -> Fraction:
    """Read a ratio as `1001/1000` or `0.9991`; `ConfigError` if it is no number, or not positive."""
    try:
        ratio = exact(text)
    except (ValueError, ConfigError):
        ratio = Fraction(0)
    if ratio <= 0:
        raise ConfigError(f"{text} is not a positive number or fraction")
    return ratio


def parse_rate(text: str) -> Fraction:
    """Read a frame rate in frames a second, 29.97 as 2997/100.

    `ValueError`: it is no finite number; `ConfigError`: it is not positive.
    """
    rate = exact(text).limit_denominator(100_000)
    if rate <= 0:
        raise ConfigError(f"{text} pictures a second are not a positive number")
    return rate


@dataclass(frozen=True, slots=True)
class PairingOptions:
    """How two streams are opened, matched in time and overlaid.

    Raises:
        ConfigError: The skew is negative or has no meaning, the ratio is not positive, or two options
            contradict each other.
    """

    PANEL: ClassVar = "Pairing"

    offset_s: Annotated[
        Fraction | None,
        Option(
            "--offset-ms",
            "Added to AUX's times. Default: the offset of the alignment file, else 0.",
            metavar="MS",
            parse=seconds_of_ms,
            write=ms_text,
        ),
    ] = None
    max_skew_s: Annotated[
        Fraction | None,
        Option(
            "--max-skew-ms",
            "Largest time difference of a pair. Default: 9/10 of the slower stream's frame interval.",
            metavar="MS",
            parse=seconds_of_ms,
            write=ms_text,
        ),
    ] = None
    on_missing: Annotated[
        OnMissing,
        Option(
            "--on-missing",
            "What to use if AUX has no frame near enough. hold: its nearest frame anyway. blank: a black "
            "frame. rgb-only: RGB alone. stop: end the run.",
        ),
    ] = OnMissing.HOLD
    sync: Annotated[
        Sync | None,
        Option(
            "--sync",
            "How frames are paired. pts: by time, within --max-skew-ms. nearest: by the nearest time, "
            "however far. index: by frame number. Default: pts, or index for folders with equally many "
            "pictures.",
        ),
    ] = None
    rate_ratio: Annotated[
        Fraction,
        Option(
            "--rate-ratio",
            "Seconds on RGB's clock per second on AUX's, for clocks that drift: 1001/1000 or 0.9991.",
            metavar="R",
            parse=parse_ratio,
            write=number_text,
        ),
    ] = Fraction(1)
    rgb_track: Annotated[
        TrackChoice | None,
        Option(
            "--rgb-stream",
            "Which stream of a file with several: a number from 0, title:NAME, color, depth, ir or event. "
            "Default: by stream name.",
            metavar="SPEC",
            parse=parse_track,
        ),
    ] = None
    aux_track: Annotated[
        TrackChoice | None,
        Option(
            "--aux-stream",
            "The same for AUX; if AUX is not given, a stream of the RGB file.",
            metavar="SPEC",
            parse=parse_track,
        ),
    ] = None
    split: Annotated[
        Split | None,
        Option(
            "--split",
            "Each picture holds both streams, and this half is AUX. The other half is RGB; boxes count from "
            "its corner.",
        ),
    ] = None
    folder_rate: Annotated[
        Fraction | None,
        Option(
            "--folder-rate",
            "Frame rate of folders, and of videos without time stamps (.h264, .mjpeg). Default: for a "
            f"folder, that of the other stream's video, or {DEFAULT_FRAME_RATE}; for such a video, what it "
            "states, or 25.",
            metavar="FPS",
            parse=parse_rate,
            write=number_text,
        ),
    ] = None
    events: EventOptions = field(default_factory=EventOptions)
    align: Annotated[
        Alignment | None,
        Option(
            "--align",
            "Alignment file of AUX to RGB, written by dmtrack align.",
            metavar="FILE",
            parse=read_alignment,
            write=lambda alignment: str(alignment.path),
        ),
    ] = None
    intrinsics: Annotated[
        Intrinsics | None,
        Option(
            "--intrinsics",
            "Intrinsics of the RGB camera, for X, Y, Z of targets if AUX is depth: camera_info, JSON, YAML, "
            "or fx fy cx cy. Default: those found in or beside RGB.",
            metavar="FILE",
            parse=read_intrinsics,
            write=lambda intrinsics: str(intrinsics.path),
        ),
    ] = None
    fit: Annotated[
        Fit,
        Option(
            "--fit",
            "Without --align, fit AUX of another size or shape to RGB: stretch (resize), scale evenly to "
            "fit inside (letterbox) or to cover it (crop), or keep pixel for pixel (none).",
        ),
    ] = Fit.RESIZE
    rgb_times: Annotated[
        Path | None,
        Option(
            "--rgb-times",
            "One time stamp per RGB frame: one per line, or a column of a table.",
            metavar="FILE",
            panel=_TIMES,
        ),
    ] = None
    aux_times: Annotated[
        Path | None, Option("--aux-times", "The same for AUX.", metavar="FILE", panel=_TIMES)
    ] = None
    times_unit: Annotated[
        TimestampUnit | None,
        Option(
            "--times-unit",
            "Unit of the time stamps. Default: from header or file name (time_us), else guessed from the "
            "frame interval.",
            panel=_TIMES,
        ),
    ] = None
    threads: int | None = None
    """Decoder threads per stream; None: as many as make it faster."""
    gpu: int | None = None
    """Number of the CUDA device that decodes the streams it supports; None decodes on the CPU."""
    trusts_packets: bool = False
    """Rely on the list of packets to seek a frame that was not decoded before (see `PacketList`)."""

    def __post_init__(self) -> None:
        make_exact(self)
        if self.max_skew_s is not None and self.max_skew_s < 0:
            raise ConfigError(f"largest skew {float(self.max_skew_s)} s is negative")
        if self.max_skew_s is not None and self.sync is Sync.NEAREST:
            raise ConfigError(
                "--sync nearest takes the nearest frame, however far", hint="leave out --max-skew-ms"
            )
        if self.rate_ratio <= 0:
            raise ConfigError(f"rate ratio {self.rate_ratio} is not positive")
        if self.align is not None and self.fit is not Fit.RESIZE:
            raise ConfigError("--align and --fit exclude each other", hint="give one of them")
        if self.split is not None and (self.aux_track is not None or self.aux_times is not None):
            raise ConfigError(
                "--split takes both streams from one", hint="leave out --aux-stream and --aux-times"
            )
        if self.times_unit is not None and self.rgb_times is None and self.aux_times is None:
            raise ConfigError("--times-unit is for --rgb-times and --aux-times", hint="give one of them")

    @property
    def shift_s(self) -> Fraction:
        """What is added to every time of the second stream, in seconds."""
        if self.offset_s is not None:
            return self.offset_s
        offset_ms = None if self.align is None else self.align.offset_ms
        return Fraction(0) if offset_ms is None else seconds_of_ms(str(offset_ms))

    @property
    def portable(self) -> PairingOptions:
        """The same options without those that depend on this machine."""
        align = None if self.align is None else replace(self.align, path=None)
        camera = None if self.intrinsics is None else replace(self.intrinsics, path=None)
        return replace(
            self,
            offset_s=self.shift_s,
            align=align,
            intrinsics=camera,
            threads=None,
            gpu=None,
            trusts_packets=False,
        )

    @property
    def to_grid(self) -> ToGrid:
        """The callable that brings the second picture onto the RGB grid."""
        return grid_by(None if self.align is None else self.align.homography, self.fit)

    def rgb_to_aux(self, aux_size: tuple[int, int], rgb_size: tuple[int, int]) -> Matrix:
        """Return the `(3, 3)` matrix from pixels of RGB to pixels of the second picture."""
        return rgb_to_aux(None if self.align is None else self.align.homography, self.fit, aux_size, rgb_size)

    def require_sizes(self, aux: VideoInfo, rgb: VideoInfo) -> None:
        """Check that the alignment is for pictures of these sizes.

        Raises:
            ConfigError: It is not.
        """
        to_grid = self.to_grid
        if isinstance(to_grid, HomographyGrid):
            to_grid.require_sizes(aux.size, rgb.size)

    @property
    def holds_both(self) -> bool:
        """Whether both streams are to be taken from one file, if only that is given."""
        return self.aux_track is not None or self.split is not None

    def second(self, rgb: Path, aux: Path | None) -> Path | None:
        """Return the second stream's file: `aux`, else `rgb` if it holds both, else None."""
        return rgb if aux is None and self.holds_both else aux


BY_TIME: Final = PairingOptions()  # by the time stamps as they are


def _beside_the_first(late_s: Fraction) -> str:
    """Return `0.3 s after the first`, or `before`."""
    return f"{abs(round(float(late_s), 3)):.10g} s {'before' if late_s < 0 else 'after'} the first"


@dataclass(frozen=True, slots=True)
class StreamPair(ClosedOnExit):
    """Two opened streams, with all choices about their matching made."""

    rgb: FrameSource  # the stream that gives frames their index and time
    aux: FrameSource  # the second stream
    # How they are matched: `sync` is set, and so is `max_skew_s`, unless there is no limit
    pairing: PairingOptions
    notes: tuple[str, ...] = ()  # what was assumed about the times, a sentence each

    @property
    def aux_span(self) -> TimeSpan:
        """The time the second stream covers, on the clock of the first."""
        return TimeSpan.of(self.aux.info, self.pairing.shift_s, self.pairing.rate_ratio)

    @property
    def max_skew_s(self) -> Fraction:
        """Largest time difference of partners in seconds; the default one if there is no limit."""
        found_s = self.pairing.max_skew_s
        if found_s is None:
            return default_max_skew_s(self.rgb.info, self.aux.info, self.pairing.rate_ratio)
        return found_s

    @property
    def remarks(self) -> list[str]:
        """Remarks for the user on times and shapes, a sentence each."""
        found = [*self.notes, *clock_remarks(self.rgb), *clock_remarks(self.aux)]
        times = self._time_remarks(self.rgb.info, self.aux.info)
        if times:  # advice must rest on measured times, not on a header's claims
            times = self._time_remarks(self.rgb.measured(), self.aux.measured(), self.true_spans())
        return [*found, *times, *self._shape_remarks()]

    def _time_remarks(
        self, rgb_info: VideoInfo, aux_info: VideoInfo, spans: tuple[TimeSpan, TimeSpan] | None = None
    ) -> list[str]:
        pairing, found = self.pairing, list[str]()
        is_told = bool(pairing.shift_s)  # the start of the second stream was given or measured
        rgb, aux = spans or (TimeSpan.of(rgb_info), self.aux_span)
        if pairing.sync is not Sync.INDEX and pairing.rate_ratio == 1:
            frames_s = [1 / info.frame_rate for info in (rgb_info, aux_info) if info.frame_rate]
            spans = (replace(rgb, start_s=aux.start_s), aux) if is_told else (rgb, aux)
            found += length_remark(*spans, max(frames_s, default=Fraction(0)), is_told=is_told)
        if pairing.sync is not Sync.PTS or rgb.common(aux) is None:
            return found
        has_side_file = pairing.rgb_times is not None or pairing.aux_times is not None
        late_s = aux.start_s - rgb.start_s
        ends_s = Fraction(0) if rgb.end_s is None or aux.end_s is None else aux.end_s - rgb.end_s
        if abs(late_s) > self.max_skew_s and not is_told:
            offset_ms = float((pairing.shift_s - late_s) * 1000)
            found.append(
                f"The second stream starts {_beside_the_first(late_s)}: right if they share a "
                f"clock, else --offset-ms {offset_ms:.0f} makes them start together."
            )
        elif rgb_info.created_s and aux_info.created_s and not (is_told or has_side_file):
            apart_s = aux_info.created_s - rgb_info.created_s
            is_both = rgb.common(TimeSpan.of(aux_info, apart_s)) is not None
            if abs(apart_s) > _SAME_MOMENT_S and is_both:
                found.append(
                    f"The files say that the second one began {_beside_the_first(apart_s)}: "
                    f"if so, give --offset-ms {ms_text(apart_s)}, or what align --time measures."
                )
        if abs(ends_s) > 2 * self.max_skew_s:
            found.append(f"The second stream ends {_beside_the_first(ends_s)}.")
        return found

    def _shape_remarks(self) -> list[str]:
        infos = self.rgb.info, self.aux.info
        shape, aux_shape = (info.shown_shape for info in infos)
        if self.pairing.align is not None or self.pairing.fit is not Fit.RESIZE or shape == aux_shape:
            return []
        sizes = [f"{round(info.width * info.pixel_aspect)}x{info.height}" for info in infos]
        return [
            f"The shapes differ ({sizes[0]} and {sizes[1]}): "
            "the second picture is stretched, and the fields of view may differ."
        ]

    def matcher(self, first: Frame) -> NearestMatcher:
        """Return a matcher on the second stream from shortly before `first`, the first RGB frame wanted."""
        pairing, frames = self.pairing, self.aux.read(start=self._aux_start(first))
        on_rgb_clock: Iterator[Frame] = (
            shifted(stretched(frame, self.aux.info.start_s, pairing.rate_ratio), pairing.shift_s)
            for frame in frames
        )
        return NearestMatcher(on_rgb_clock, by_index if pairing.sync is Sync.INDEX else by_time)

    def partner(self, matcher: NearestMatcher, rgb: Frame) -> tuple[Frame | None, bool]:
        """Return the nearest frame of the second stream, and whether it is near enough."""
        by_place = self.pairing.sync is Sync.INDEX
        moment = by_index(rgb) if by_place else by_time(rgb)
        nearest = matcher.nearest(moment)
        if nearest is None:
            return None, False
        if self.pairing.sync is Sync.NEAREST:
            return nearest, True
        limit = _INDEX_SKEW if by_place else self.max_skew_s
        return nearest, matcher.distance(nearest, moment) <= limit

    def require_overlap(self) -> None:
        """Check that the streams share some time; else `PairingError`."""
        if self.pairing.sync is Sync.INDEX:
            return
        claimed = TimeSpan.of(self.rgb.info), self.aux_span
        for rgb, aux in (claimed, self.true_spans()):
            if rgb.common(aux.widened(self.max_skew_s)) is not None:
                return
        offset_ms = float((rgb.start_s - aux.start_s + self.pairing.shift_s) * 1000)
        raise PairingError(
            f"the streams share no time: {self.rgb.info.path.name} covers {rgb}, "
            f"{self.aux.info.path.name} covers {aux}",
            hint=f"--offset-ms {offset_ms:.0f} would make them start together",
        )

    def true_spans(self) -> tuple[TimeSpan, TimeSpan]:
        """Return the time span of each stream by its time stamps, on the clock of the first."""
        start_s, ratio = self.aux.info.start_s, self.pairing.rate_ratio
        end_s = self.aux.end_s
        if end_s is not None:
            end_s = start_s + (end_s - start_s) * ratio + self.pairing.shift_s
        rgb = TimeSpan(self.rgb.info.start_s, self.rgb.end_s)
        return rgb, TimeSpan(start_s + self.pairing.shift_s, end_s)

    def close(self) -> None:
        """Close both streams."""
        self.rgb.close()
        self.aux.close()

    def _aux_start(self, first: Frame) -> Position:
        """Return where to start reading the second stream; beyond its end, near its last frame.

        The last packets of a truncated file may yield no frames, hence `_CUT_FRAMES`.
        """
        info, claimed_s = self.aux.info, self.aux.info.duration_s
        if self.pairing.sync is Sync.INDEX:
            index, count = first.index, info.frame_count
            if count is not None and index >= count:
                index = min(index, self.aux.measured().frame_count or index) - _CUT_FRAMES
            return Position(index=max(0, index - _SPARE_FRAMES))
        interval_s = 1 / (info.frame_rate or DEFAULT_FRAME_RATE)
        elapsed_s = (first.time_s - self.aux_span.start_s) / self.pairing.rate_ratio
        if (claimed_s is None or elapsed_s > claimed_s) and (end_s := self.aux.end_s) is not None:
            elapsed_s = min(elapsed_s, end_s - info.start_s) - _CUT_FRAMES * interval_s
        spare_s = _SPARE_FRAMES * interval_s + self.max_skew_s
        return Position(time_s=max(Fraction(0), elapsed_s - spare_s))


def default_max_skew_s(rgb: VideoInfo, aux: VideoInfo, rate_ratio: Fraction = Fraction(1)) -> Fraction:
    """Return `SKEW_SHARE` frame intervals of the slower stream, in seconds of the first clock."""
    intervals_s = (rgb.interval_s, None if aux.interval_s is None else aux.interval_s * rate_ratio)
    return SKEW_SHARE * max(filter(None, intervals_s), default=1 / DEFAULT_FRAME_RATE)


def clock_remarks(source: FrameSource) -> list[str]:
    """Return remarks for the user on one stream and its times, a sentence each."""
    info = source.info
    if not source.has_clock:
        rate = float(info.frame_rate or 0)
        what = "is a folder" if info.path.is_dir() else "stores no times"
        assumed = f"{info.path.name} {what}: its times assume {rate:g} pictures a second."
        return [*info.notes, assumed]
    return [*info.notes, *([] if info.frame_rate else [f"{info.path.name} states no frame rate."])]
