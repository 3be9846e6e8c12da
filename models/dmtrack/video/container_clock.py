"""`read_container`: all streams of a file, and the clock of one of them. Only headers are decoded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from statistics import median_low
from typing import TYPE_CHECKING, Final

from av.video.stream import VideoStream

from dmtrack.errors import DecodeError, translated
from dmtrack.video.container.video_file import exact_fraction, open_container, stamps_from_here, video_streams

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

MOST_STAMPS: Final = 1_000_000
"""Most packets of a stream examined for its clock: nine hours at 30 frames a second."""
_UNEVEN_SHARE: Final = Fraction(1, 10)
_GAP_INTERVALS: Final = Fraction(3, 2)
_COARSE_TICKS: Final = 4
"""An interval of fewer ticks than this counts as exact; a longer one may be rounded by a tick."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """One stream of a file as its header describes it, in libav's names; None where it says nothing.

    `index` is its place among all streams, `video_number` among the video streams that can be tracked.
    `kind` is for example `video`, `audio`, `subtitle` or `attachment`; `bit_depth` is that of one channel.
    """

    index: int
    kind: str
    video_number: int | None = None
    codec: str | None = None
    size: tuple[int, int] | None = None
    pixel_format: str | None = None
    bit_depth: int | None = None
    frame_rate: Fraction | None = None
    time_base: Fraction | None = None
    start_s: Fraction | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """The time stamps of a video stream."""

    frames: int  # packets with a stamp
    first_s: Fraction
    last_s: Fraction
    # Median distance of two frames; it and the next two are None for a single frame
    interval_s: Fraction | None = None
    shortest_s: Fraction | None = None
    longest_s: Fraction | None = None
    gaps: int = 0  # distances of at least 1.5 usual ones: frames are missing, or it paused
    is_variable: bool = False  # the distances differ by more than rounding
    is_whole: bool = True  # the file was read to its end

    @property
    def mean_rate(self) -> Fraction | None:
        """Frames a second over the whole stream."""
        span_s = self.last_s - self.first_s
        return (self.frames - 1) / span_s if self.frames > 1 and span_s else None


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """A file and everything in it; `clock` is that of the video stream asked for, None if it has none."""

    path: Path
    format: str
    size_bytes: int
    streams: tuple[StreamFacts, ...]
    tags: dict[str, str]
    clock: ClockFacts | None = None


def read_container(path: Path, *, stream: int = 0) -> ContainerFacts:
    """Describe a video file and its streams.

    `stream` is the number of the video stream whose clock is read, from 0. `VideoError`: the file cannot be
    opened, or is no video; `DecodeError`: it cannot be read to its end.
    """
    with open_container(path) as container, translated(DecodeError, "reading fails", where=path):
        videos = video_streams(container)
        numbers = {video.index: number for number, video in enumerate(videos)}
        facts = tuple(_facts(one, numbers.get(one.index)) for one in container.streams)
        clock = None
        if stream < len(videos):
            clock = _clock(container, videos[stream])
        return ContainerFacts(
            path=path,
            format=container.format.name,
            size_bytes=path.stat().st_size,
            streams=facts,
            tags=dict(container.metadata),
            clock=clock,
        )


def _facts(stream: Stream, video_number: int | None) -> StreamFacts:
    time_base = exact_fraction(stream.time_base)
    facts = StreamFacts(
        index=stream.index,
        kind=stream.type,
        codec=None if stream.codec_context is None else stream.codec_context.name,
        time_base=time_base,
        start_s=None if stream.start_time is None or time_base is None else stream.start_time * time_base,
        tags=dict(stream.metadata),
    )
    # libav lists a stream of unknown codec without a decoder
    if not isinstance(stream, VideoStream) or stream.codec_context is None:
        return facts
    picture = stream.codec_context
    return replace(
        facts,
        video_number=video_number,
        size=(picture.width, picture.height),
        pixel_format=picture.pix_fmt,
        bit_depth=max(part.bits for part in picture.format.components) if picture.format else None,
        frame_rate=exact_fraction(stream.average_rate) or exact_fraction(stream.guessed_rate),
    )


def _clock(container: InputContainer, stream: VideoStream) -> ClockFacts | None:
    time_base = exact_fraction(stream.time_base)
    known = (stamp for stamp in stamps_from_here(container, stream) if stamp is not None)
    stamps = sorted(islice(known, MOST_STAMPS + 1))
    if not stamps or time_base is None:
        return None
    is_whole = len(stamps) <= MOST_STAMPS
    first_s, last_s = stamps[0] * time_base, stamps[-1] * time_base
    steps = [later - earlier for earlier, later in pairwise(stamps)]
    if not steps:
        return ClockFacts(len(stamps), first_s, last_s, is_whole=is_whole)
    usual, shortest, longest = median_low(steps), min(steps), max(steps)
    # a clock of milliseconds shows 30 frames a second as steps of 33 and 34
    allowed = max(Fraction(1), usual * _UNEVEN_SHARE) if usual >= _COARSE_TICKS else Fraction(0)
    return ClockFacts(
        frames=len(stamps),
        first_s=first_s,
        last_s=last_s,
        interval_s=usual * time_base,
        shortest_s=shortest * time_base,
        longest_s=longest * time_base,
        gaps=sum(step >= usual * _GAP_INTERVALS for step in steps),
        is_variable=longest - shortest > allowed,
        is_whole=is_whole,
    )
