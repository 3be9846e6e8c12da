"""`EventSource`: an event file read like a video, its events drawn as one picture a frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Final

from dmtrack.errors import DecodeError, PairingError
from dmtrack.video.events.batch import EventBatch, Triggers
from dmtrack.video.events.formats import ColumnOptions
from dmtrack.video.events.looks import EventLook, Picture
from dmtrack.video.events.reader import EventReader, EventTotals, measure
from dmtrack.video.events.schedule import MICROSECONDS, FixedRate, LikeFrames, Schedule, Slot, ToldTimes
from dmtrack.video.events.stream import Size
from dmtrack.video.events.windows import Choice, WindowCutter, by_count
from dmtrack.video.frame import Frame, VideoInfo
from dmtrack.video.position import Position
from dmtrack.video.source import DEFAULT_FRAME_RATE, FrameSource

_SENSOR_SIZES: Final[tuple[Size, ...]] = (
    (128, 128),
    (240, 180),
    (304, 240),
    (346, 260),
    (640, 480),
    (1280, 720),
)
_REACHED: Final = 0.9
"""A share of a sensor's sides; real recordings leave less than the rest without any event."""
_EVENT_TIME_BASE: Final = Fraction(1, MICROSECONDS)


@dataclass(frozen=True, slots=True)
class EventOptions:
    """How an event file becomes pictures.

    Attributes:
        choice: Which events a picture shows.
        look: What it looks like.
        size: Width and height of the sensor; None takes what the file says, else measures it.
        columns: What a person says about files that do not say it themselves.
        is_shared_clock: The events have the clock of the video beside them, instead of beginning with it.
    """

    choice: Choice = field(default_factory=Choice)
    look: EventLook = EventLook.VISEVENT
    size: Size | None = None
    columns: ColumnOptions = field(default_factory=ColumnOptions)
    is_shared_clock: bool = False


@dataclass(frozen=True, slots=True)
class FrameClock:
    """The frames of a video that the pictures go with.

    Attributes:
        info: What the video claims.
        stamps: Stamps of its frames, in units of its time base.
        offset_s: What pairing will add to the times of the pictures, in seconds.
        rate_ratio: What pairing will multiply lengths of time by, from the first event on.
    """

    info: VideoInfo
    stamps: Sequence[int]
    offset_s: Fraction = Fraction(0)
    rate_ratio: Fraction = Fraction(1)


class EventSource(FrameSource):
    """The pictures of an event file, read once from front to back like the frames of a video.

    Args:
        path: An event file.
        options: How its events become pictures.
        like: The frames the pictures go with; None draws `frame_rate` pictures a second.
        frame_rate: Pictures a second without `like`; None, together with a number of events a picture,
            draws a picture whenever so many events have come.

    Raises:
        VideoError: There is no such file, or it is empty.
        FormatError: It is of no known format.
        DecodeError: It is damaged before its first event, or has none.
        PairingError: The frames of `like` end before the first event.
        ConfigError: An optional library is missing, or an option is invalid.
    """

    def __init__(
        self,
        path: Path,
        options: EventOptions | None = None,
        *,
        like: FrameClock | None = None,
        frame_rate: Fraction | None = DEFAULT_FRAME_RATE,
    ) -> None:
        options = options or EventOptions()
        size = options.size or _stated_size(path, options.columns)
        note: tuple[str, ...] = ()
        if size is None:
            size = _probable_size(measure(path, options.columns), None if like is None else like.info)
            note = (f"The size of the sensor is taken as {size[0]}x{size[1]} (--event-size).",)
        self.reader = EventReader(path, options.columns, size=size)
        self._size = size
        self._notes = (*self.reader.info.notes, *note)
        self._draw = options.look.draw
        self._choice = options.choice
        try:
            batches = iter(self.reader)
            first = _first_batch(batches, path)
            self._events: Iterator[EventBatch] = chain([first], batches)
            self._first_us = int(first.t[0])
            self._schedule = _schedule(self.reader, options, like, frame_rate)
            self._slots = self._due()
            self._next = _first_slot(self._slots, self._schedule, path)
        except BaseException:
            self.reader.close()
            raise
        self._has_been_read = False
        self.info = self._describe(path)

    @property
    def damaged_packets(self) -> int:
        """Events and records lost so far."""
        return self.reader.damaged

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be assumed, a sentence each."""
        return self._notes

    @property
    def description(self) -> str:
        """What the file is and how its clock is taken, in words."""
        clock = "" if self._schedule is None else f", {self._schedule.clock}"
        return f"an event file ({self.info.codec}){clock}"

    @property
    def totals(self) -> EventTotals:
        """What was in the file, as far as it was read."""
        return self.reader.totals

    @property
    def triggers(self) -> Triggers:
        """Edges on the trigger input, as far as the file was read."""
        return self.reader.triggers

    def __iter__(self) -> Iterator[Frame]:
        """Yield every picture; see `read`."""
        return self.read()

    def read(self, start: Position | None = None, end: Position | None = None) -> Iterator[Frame]:
        """Yield the pictures from `start` up to and without `end`; those before are not drawn. Works once.

        A picture beside a video has the index of the video's frame.

        Raises:
            DecodeError: The file is damaged; the pictures yielded before stay valid.
        """
        if self._has_been_read:
            raise RuntimeError(f"{self.info.path} was read already: open it again")
        self._has_been_read = True
        return self._by_count(start, end) if self._schedule is None else self._by_slot(start, end)

    def close(self) -> None:
        """Close the file. Doing so twice is harmless."""
        self.reader.close()

    def _due(self) -> Iterator[tuple[int, Slot]]:
        """Yield the slots, numbered, from the first one on that has not ended before the first event."""
        if self._schedule is None:
            return
        is_told = self._schedule.frame_count is not None
        for index, slot in enumerate(self._schedule.slots(self._first_us)):
            if is_told or slot.interval.end_us > self._first_us:
                yield index, slot

    def _by_slot(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        cutter = WindowCutter(self._events, self._choice)
        is_told = self._schedule is not None and self._schedule.frame_count is not None
        for index, slot in chain([] if self._next is None else [self._next], self._slots):
            elapsed_s = (slot.pts - self.info.start_pts) * self.info.time_base
            if end is not None and end.is_reached(index, elapsed_s):
                return
            if start is not None and not start.is_reached(index, elapsed_s):
                cutter.advance(slot.interval)
                continue
            events = cutter.cut(slot.interval)
            if not is_told and not len(events) and not cutter.has_from(slot.interval.start_us):
                return  # the recording has ended
            yield self._frame(index, slot.pts, events)

    def _by_count(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        last_pts = -1
        for index, events in enumerate(by_count(self._events, self._choice.count or 1)):
            last_pts = max(last_pts + 1, int(events.t[0]) - self._first_us)
            elapsed_s = last_pts * _EVENT_TIME_BASE
            if end is not None and end.is_reached(index, elapsed_s):
                return
            if start is None or start.is_reached(index, elapsed_s):
                yield self._frame(index, last_pts, events)

    def _frame(self, index: int, pts: int, events: EventBatch) -> Frame:
        picture: Picture = self._draw(events, self._size)
        return Frame(index, pts, self.info.time_base, picture)

    def _describe(self, path: Path) -> VideoInfo:
        schedule = self._schedule
        return VideoInfo(
            path=path,
            width=self._size[0],
            height=self._size[1],
            frame_rate=None if schedule is None else schedule.frame_rate,
            time_base=_EVENT_TIME_BASE if schedule is None else schedule.time_base,
            start_pts=0 if schedule is None else schedule.start_pts(self._first_us),
            frame_count=None if schedule is None else schedule.frame_count,
            pixel_format="rgb24",
            codec=self.reader.info.format,
            bit_depth=8,
            channels=3,
        )


def _first_batch(batches: Iterator[EventBatch], path: Path) -> EventBatch:
    first = next(batches, None)
    if first is None:
        raise DecodeError("it holds no event", where=path)
    return first


def _first_slot(
    slots: Iterator[tuple[int, Slot]], schedule: Schedule | None, path: Path
) -> tuple[int, Slot] | None:
    first = next(slots, None)
    if schedule is not None and first is None:
        raise PairingError(
            "its events come after the last frame of the video beside it",
            where=path,
            hint="do the two share a clock? --offset-ms moves the events",
        )
    return first


def _stated_size(path: Path, columns: ColumnOptions) -> Size | None:
    with EventReader(path, columns) as reader:
        return reader.info.size


def _probable_size(totals: EventTotals, like: VideoInfo | None) -> Size:
    """Return the size of the video beside it or of a common sensor, if events reach nearly to its edges.

    Else it is the smallest size that the events fit on.
    """
    width, height = totals.x_max + 1, totals.y_max + 1
    beside: tuple[Size, ...] = () if like is None else ((like.width, like.height),)
    for size in beside + _SENSOR_SIZES:
        if _REACHED * size[0] <= width <= size[0] and _REACHED * size[1] <= height <= size[1]:
            return size
    return width, height


def _schedule(
    reader: EventReader, options: EventOptions, like: FrameClock | None, frame_rate: Fraction | None
) -> Schedule | None:
    """Choose when pictures are due; None where the number of events decides."""
    if like is None:
        if frame_rate is None and options.choice.count is not None:
            return None
        return FixedRate(frame_rate or DEFAULT_FRAME_RATE)
    told = reader.info.frame_times
    if told is not None and like.info.frame_count == len(told) and like.info.path.is_dir():
        start_s = like.info.start_pts * like.info.time_base
        return ToldTimes(told, like.info.frame_rate or DEFAULT_FRAME_RATE, start_s)
    return LikeFrames(
        like.stamps,
        like.info.time_base,
        like.info.frame_rate,
        offset_s=like.offset_s,
        rate_ratio=like.rate_ratio,
        is_shared_clock=options.is_shared_clock,
    )
