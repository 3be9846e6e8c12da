"""`EventSource`: an event file read like a video, its events drawn as one picture per frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np

from dmtrack.errors import DecodeError, FormatError, PairingError
from dmtrack.video.events.event_batch import EventBatch, Size, Times
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.events.event_reader import Counts, EventReader, coordinate_counts, open_events
from dmtrack.video.events.schedule import (
    MICROSECONDS,
    OPEN_END,
    FrameClock,
    Schedule,
    Window,
    WindowCutter,
    at_rate,
    at_told_times,
    by_count,
    like_frames,
)
from dmtrack.video.frame import Frame, Pixels, VideoInfo
from dmtrack.video.position import Position
from dmtrack.video.second.gauge import EventWindow
from dmtrack.video.source import DEFAULT_FRAME_RATE, FrameSource, closing_on_error

CANVAS_RGB: Final = (255, 255, 255)
POSITIVE_RGB: Final = (220, 30, 30)
NEGATIVE_RGB: Final = (30, 30, 200)
_SENSOR_SIZES: Final[tuple[Size, ...]] = (
    (128, 128),
    (240, 180),
    (304, 240),
    (320, 240),
    (320, 320),
    (346, 260),
    (480, 360),
    (640, 480),
    (1280, 720),
    (1280, 800),
)
_REACHED: Final = 0.9
"""Share of a sensor's sides that the events of a real recording reach."""
_REACHED_BESIDE: Final = 0.6
"""The same share of the paired video's sides, if no sensor fits: synthetic events lack noise at the edges."""
_MOST, _NEARLY_ALL = 0.99, 0.999  # share of the events taken to lie on the sensor; the rest is noise
_LONGEST_PAUSE_US: Final = 3600 * MICROSECONDS  # a longer pause is not filled with empty pictures
_EVENT_TIME_BASE: Final = Fraction(1, MICROSECONDS)


class EventSource(FrameSource):
    """The pictures of an event file, read once from front to back like the frames of a video.

    With `like` there is one picture per frame of that video. Without it there are `frame_rate` pictures per
    second, or, if `frame_rate` is None and `options.count` is set, one per `count` events.

    `reader.totals` count what was read so far; `notes` are assumptions, one sentence each. `VideoError`:
    there is no such file, or it is empty; `FormatError`: its format is unknown; `DecodeError`: it is damaged
    before its first event, or has none; `PairingError`: the frames of `like` end before the first event, or
    (when read) begin after the last; `ConfigError`: an optional library is missing, or an option is invalid.
    """

    def __init__(
        self,
        path: Path,
        options: EventOptions | None = None,
        *,
        like: FrameClock | None = None,
        frame_rate: Fraction | None = DEFAULT_FRAME_RATE,
    ) -> None:
        self._options = options or EventOptions()
        self.reader, self._size, self.notes = _opened(path, self._options, like)
        self._has_been_read = False
        with closing_on_error(self.reader.close):
            batches = iter(self.reader)
            first = _first_batch(batches, path)
            self._events: Iterator[EventBatch] = chain([first], batches)
            self._first_us = int(first.t[0])
            self._is_alone = like is None
            self._is_by_count = self._is_alone and frame_rate is None and self._options.count is not None
            if self._is_by_count:
                self._schedule = Schedule("", _EVENT_TIME_BASE, None, 0, iter(()))
            elif like is None:
                self._schedule = at_rate(self._first_us, frame_rate or DEFAULT_FRAME_RATE)
            elif (told := _told_times(self.reader, like)) is not None:
                self._schedule = at_told_times(told, like.info)
            else:
                shared = self._options.is_shared_clock
                self._schedule = like_frames(self._first_us, like, is_shared_clock=shared)
            self._windows = self._due()
        self.info = self._describe(path)

    @property
    def damaged_packets(self) -> int:
        """Events and records lost so far."""
        return self.reader.damaged

    @property
    def description(self) -> str:
        """The file's format and the reading of its clock, in words."""
        clock = f", {self._schedule.clock}" if self._schedule.clock else ""
        return f"an event file ({self.info.codec}){clock}"

    def _read(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        """Yield the pictures from `start` up to but without `end`; earlier ones are not drawn. Works once.

        With a paired video, pictures have the indices of its frames. `DecodeError`: the file is damaged;
        pictures yielded before stay valid.
        """
        if self._has_been_read:
            raise RuntimeError(f"{self.info.path} was read already: open it again")
        self._has_been_read = True
        return self._by_count(start, end) if self._is_by_count else self._by_window(start, end)

    def close(self) -> None:
        """Close the file. Doing so twice is harmless."""
        self.reader.close()

    def _due(self) -> Iterator[tuple[int, Window]]:
        """Return the numbered windows that end after the first event, or all told; `PairingError`: none."""
        is_told = self._schedule.frame_count is not None
        numbered = enumerate(self._schedule.windows)
        due = ((n, window) for n, window in numbered if is_told or window.end_us > self._first_us)
        first = next(due, None)
        if first is not None:
            return chain([first], due)
        if self._is_by_count:
            return due
        raise self._apart("after the last")

    def _apart(self, where: str) -> PairingError:
        return PairingError(
            f"its events come {where} frame of the video beside it",
            where=self.reader.path,
            hint="do the two share a clock? --offset-ms moves the events",
        )

    def _by_window(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        cutter = WindowCutter(self._events, self._options)
        is_told = self._schedule.frame_count is not None
        is_first = not is_told and self._options.count is None
        for index, window in self._windows:
            if self._is_alone and (pause_us := cutter.pause_us(window.start_us)) > _LONGEST_PAUSE_US:
                raise DecodeError(
                    f"no event comes for {pause_us / MICROSECONDS:.0f} s after picture {index - 1}",
                    where=self.reader.path,
                    hint="cut the file there, if it paused; else its times are damaged",
                )
            if is_first and not cutter.has_from(window.start_us):
                raise self._apart("before the first")
            is_first = False
            # on a shared clock, the first picture may begin before the first event
            elapsed_s = max(Fraction(0), (window.pts - self.info.start_pts) * self.info.time_base)
            if end is not None and end.is_reached(index, elapsed_s):
                return
            if start is not None and not start.is_reached(index, elapsed_s):
                cutter.advance(window)
                continue
            events = cutter.cut(window)
            if not is_told and not len(events) and not cutter.has_from(window.start_us):
                return  # the recording has ended
            is_open = self._options.count is not None or window.end_us >= OPEN_END
            length_us = self._options.window_us or (None if is_open else window.end_us - window.start_us)
            yield self._frame(index, window.pts, events, length_us)

    def _by_count(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        last_pts = -1
        for index, events in enumerate(by_count(self._events, self._options.count or 1)):
            last_pts = max(last_pts + 1, int(events.t[0]) - self._first_us)
            elapsed_s = last_pts * _EVENT_TIME_BASE
            if end is not None and end.is_reached(index, elapsed_s):
                return
            if start is None or start.is_reached(index, elapsed_s):
                yield self._frame(index, last_pts, events)

    def _frame(self, index: int, pts: int, events: EventBatch, length_us: int | None = None) -> Frame:
        if length_us is None:  # from the first to the last event
            length_us = int(events.t[-1] - events.t[0]) if len(events) else 0
        shown = EventWindow(events.x, events.y, length_us)
        return Frame(index, pts, self.info.time_base, visevent_picture(events, self._size), shown)

    def _describe(self, path: Path) -> VideoInfo:
        schedule = self._schedule
        return VideoInfo(
            path=path,
            width=self._size[0],
            height=self._size[1],
            frame_rate=schedule.frame_rate,
            time_base=schedule.time_base,
            start_pts=schedule.start_pts,
            frame_count=schedule.frame_count,
            pixel_format="rgb24",
            codec=self.reader.format,
            bit_depth=8,
            channels=3,
            track=self._options.topic,
            notes=self.notes,
        )


def _opened(
    path: Path, options: EventOptions, like: FrameClock | None
) -> tuple[EventReader, Size, tuple[str, ...]]:
    """Open a file; return the reader, the sensor's size (stated or else measured), and the notes."""
    reader = open_events(path, options)
    if reader.size is not None:
        return reader, reader.size, reader.notes
    reader.close()
    size = _measured_size(reader, options, like)
    note = f"The size of the sensor is taken as {size[0]}x{size[1]} (--event-size)."
    return open_events(path, replace(options, size=size)), size, (*reader.notes, note)


def _first_batch(batches: Iterator[EventBatch], path: Path) -> EventBatch:
    first = next(batches, None)
    if first is None:
        raise DecodeError("it holds no event", where=path)
    return first


def _told_times(reader: EventReader, like: FrameClock) -> Times | None:
    """Return the file's times of frames if `like` is a folder; `PairingError`: their number differs."""
    told, beside = reader.frame_times, like.info
    if told is None or not beside.path.is_dir():
        return None
    if len(told) != beside.frame_count:
        raise PairingError(
            f"it holds the times of {len(told)} frames, {beside.path.name} has {beside.frame_count} files",
            where=reader.path,
        )
    return told


def _measured_size(reader: EventReader, options: EventOptions, like: FrameClock | None) -> Size:
    """Measure the size of the sensor by the places of the events.

    In order: the paired pictures' size, if the file holds their times and the events fit; the paired video's
    or a usual sensor's, if nearly all events fit and reach nearly to its edges; the paired video's, if they
    reach most of it; else the smallest size that holds all events, but for a few far outside.
    """
    counts = coordinate_counts(reader.path, options)
    if like is not None and _told_times(reader, like) is not None:
        size = (like.info.width, like.info.height)
        if all(near <= side for near, side in zip(_reached(counts, _MOST), size, strict=True)):
            return size
    most = _reached(counts, _NEARLY_ALL)
    beside = [] if like is None else [(like.info.width, like.info.height)]
    sizes = [(size, _REACHED) for size in (*beside, *_SENSOR_SIZES)]
    for size, reached in sizes + [(size, _REACHED_BESIDE) for size in beside]:
        if all(reached * side <= near <= side for side, near in zip(size, most, strict=True)):
            return size
    whole = [int(np.flatnonzero(of_side)[-1]) + 1 for of_side in counts]
    width, height = (end if end <= 2 * near else near for end, near in zip(whole, most, strict=True))
    return width, height


def _reached(counts: tuple[Counts, Counts], share: float) -> list[int]:
    """Return how many columns, and how many rows, counted from 0, hold `share` of the events."""
    return [int(np.searchsorted(np.cumsum(of_side), share * of_side.sum())) + 1 for of_side in counts]


def visevent_picture(events: EventBatch, size: Size) -> Pixels:
    """Draw events on a white canvas, `(H, W, 3)` uint8 RGB: positive ones in red, negative ones in blue.

    The order of the events does not matter: negative ones are painted last. `size` is width and height of the
    sensor in pixels. `FormatError`: an event lies outside the sensor.

    Source: inputs-and-metrics 3 (the look of VisEvent's event pictures).
    """
    width, height = size
    outside = (events.x >= width) | (events.y >= height)
    if outside.any():
        first = int(np.argmax(outside))
        raise FormatError(
            f"event at ({events.x[first]}, {events.y[first]}) lies outside the {width}x{height} sensor"
        )
    pixels = events.y.astype(np.intp) * width + events.x
    # paint palette indices, not colours: one byte per pixel instead of three
    painted = np.zeros(width * height, dtype=np.uint8)
    painted[pixels[events.p]] = 1
    painted[pixels[~events.p]] = 2
    palette = np.array([CANVAS_RGB, POSITIVE_RGB, NEGATIVE_RGB], dtype=np.uint8)
    return palette.take(painted, axis=0).reshape(height, width, 3)
