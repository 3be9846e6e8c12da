"""`draw_events`: the pictures of an event file, written without loss."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from dmtrack.atomic import inputs_kept
from dmtrack.drawing.pictures import picture_writer
from dmtrack.errors import ConfigError
from dmtrack.video.encoding import encode_event
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.events.event_reader import EventTotals
from dmtrack.video.events.event_source import EventSource
from dmtrack.video.events.schedule import FrameClock
from dmtrack.video.frame import VideoInfo
from dmtrack.video.matching import shifted
from dmtrack.video.position import Position
from dmtrack.video.source import DEFAULT_FRAME_RATE
from dmtrack.video.stream_files import open_source

Watcher = Callable[[int, int | None], None]
"""Is told how many pictures are drawn, from 0 on, and how many are expected if that is known."""


@dataclass(frozen=True, slots=True)
class DrawnEvents:
    """What was drawn.

    Attributes:
        info: The format, the size of the sensor and the rate of the pictures.
        totals: What was in the file.
        pictures: How many were written.
        damaged: Events and records left out.
        notes: What had to be assumed, a sentence each.
    """

    info: VideoInfo
    totals: EventTotals
    pictures: int
    damaged: int
    notes: tuple[str, ...]


def draw_events(
    file: Path,
    target: Path,
    options: EventOptions | None = None,
    *,
    frame_rate: Fraction | None = DEFAULT_FRAME_RATE,
    like: Path | None = None,
    offset_s: Fraction = Fraction(0),
    start: Position | None = None,
    end: Position | None = None,
    overwrite: bool = False,
    watch: Watcher = lambda done, expected: None,
) -> DrawnEvents:
    """Draw the events of a file as pictures. However it ends, what was drawn is on disk.

    Args:
        file: An event file.
        target: A video (.mkv) or folder to write.
        options: How its events become pictures.
        frame_rate: Pictures a second without `like`; None, together with a number of events a picture,
            draws one whenever so many events have come.
        like: A video or folder; a picture is drawn for each of its frames.
        offset_s: With `like`, added to the times of the events.
        start: The first picture drawn.
        end: The first one that is not drawn any more.
        overwrite: Replace existing pictures.
        watch: Called before the first picture and after each; what it raises ends the drawing.

    Raises:
        InputError: A file cannot be opened or read, or is damaged.
        OutputError: The pictures exist, or cannot be written.
        ConfigError: A library is missing, or no picture lies between start and end.
    """
    clock = None
    if like is not None:
        with open_source(like, threads=1) as video:
            clock = FrameClock(video.info, video.stamps(), offset_s)
    with ExitStack() as stack:
        source = stack.enter_context(EventSource(file, options, like=clock, frame_rate=frame_rate))
        stack.enter_context(inputs_kept(file, like))
        expected = source.info.frame_count if end is None or end.index is None else end.index
        pictures = 0
        with picture_writer(target, overwrite=overwrite) as writer:
            watch(0, expected)
            for frame in source.read(start, end):
                moved = shifted(frame, offset_s) if like is not None else frame
                writer.write(encode_event(moved.pixels), moved.pts, moved.time_base)
                pictures += 1
                watch(pictures, expected)
        if pictures == 0:
            raise ConfigError("no picture lies between start and end", where=file)
        return DrawnEvents(source.info, source.totals, pictures, source.damaged_packets, source.notes)
