"""Lossless pictures: an FFV1 video in Matroska, or a folder of PNG files with their times."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream

from dmtrack.atomic import (
    LineFile,
    PartFile,
    inputs_kept,
    os_errors_translated,
    prepare_folder,
    refuse_input,
    reserve,
    write_atomically,
)
from dmtrack.drawing.draw import Picture
from dmtrack.drawing.encoder import NOMINAL_RATE, encoding_error, finish
from dmtrack.drawing.mp4 import StampRepair
from dmtrack.errors import ConfigError, OutputError
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.events.event_reader import EventTotals
from dmtrack.video.events.event_source import EventSource
from dmtrack.video.events.schedule import FrameClock
from dmtrack.video.frame import VideoInfo
from dmtrack.video.matching import shifted
from dmtrack.video.pictures.picture_file import encoded_picture
from dmtrack.video.position import Position
from dmtrack.video.second.encoding import encode_event
from dmtrack.video.source import DEFAULT_FRAME_RATE, ClosedOnExit
from dmtrack.video.stream_files import open_source

VIDEO_SUFFIX: Final = ".mkv"
TIMES_FILE: Final = "times_us.txt"

_MATROSKA_UNIT: Final = Fraction(1, 1000)  # the muxer has no finer clock
_LEAST_SLICED_PX: Final = 16
_PICTURE_NAME: Final = re.compile(r"\d{6,}\.png")


class PictureWriter(ClosedOnExit):
    """Takes pictures one after the other."""

    @abstractmethod
    def write(self, picture: Picture, pts: int, time_base: Fraction) -> None:
        """Write one picture: `(H, W, 3)` uint8 RGB, shown at `pts * time_base` seconds."""


def picture_writer(path: Path, *, overwrite: bool = False) -> PictureWriter:
    """Return the writer for `path`: of a video if the name ends in .mkv, else of a folder of pictures.

    `OutputError`: the result exists, or the name is that of another kind of file.
    """
    if path.suffix.lower() == VIDEO_SUFFIX:
        return LosslessVideo(path, overwrite=overwrite)
    if path.suffix and not path.is_dir():
        raise OutputError(
            "pictures go to a Matroska video or a folder",
            where=path,
            hint=f"give a name that ends in {VIDEO_SUFFIX}, or one without ending",
        )
    return PictureFolder(path, overwrite=overwrite)


class LosslessVideo(PictureWriter):
    """Writes pictures to a Matroska file without loss, in constant memory.

    It keeps the clock of its pictures, by which they are paired with others. Matroska counts milliseconds:
    times are rounded to them, and pictures less than one apart are moved. `OutputError`: the file exists, or
    its folder cannot be made or written to.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._path = reserve(path, overwrite=overwrite)
        self._part: PartFile | None = None
        self._stamp = StampRepair(_MATROSKA_UNIT)
        self._open: tuple[av.container.OutputContainer, VideoStream] | None = None

    def write(self, picture: Picture, pts: int, time_base: Fraction) -> None:
        """Encode one picture; the first one fixes the size.

        `OutputError`: the disk is full, or the video cannot be encoded.
        """
        try:
            if self._open is None:
                self._open = self._opened_stream(picture)
            container, stream = self._open
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = self._stamp(pts, time_base), _MATROSKA_UNIT
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        except (FFmpegError, OSError) as error:
            raise encoding_error(error, self._path) from error

    def close(self) -> None:
        """Give the video its final name; without any picture no file is made.

        `OutputError`: the end cannot be written; the part that was written stays under the final name.
        """
        part = self._part
        if self._open is None or part is None:
            return
        (container, stream), self._open, self._part = self._open, None, None
        try:
            finish(container, stream, self._path)
        finally:
            if part.path.stat().st_size:
                part.publish()
            part.discard()

    def _opened_stream(self, picture: Picture) -> tuple[av.container.OutputContainer, VideoStream]:
        self._part = PartFile(self._path)
        container = av.open(str(self._part.path), "w", format="matroska")
        height, width = picture.shape[:2]
        # The encoder chooses the number of slices itself, and refuses its own choice for narrow pictures.
        options = {"slices": "1"} if min(height, width) < _LEAST_SLICED_PX else {}
        stream = container.add_stream("ffv1", rate=NOMINAL_RATE, options=options)
        stream.height, stream.width = height, width
        stream.pix_fmt = "bgr0"
        stream.codec_context.time_base = _MATROSKA_UNIT
        return container, stream


class PictureFolder(PictureWriter):
    """Writes `000000.png`, `000001.png` ... and a file of their times in microseconds, one per line.

    `OutputError`: the folder already holds pictures, or cannot be made or written to.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._folder = prepare_folder(path)
        with os_errors_translated(path):
            old = [file for file in path.iterdir() if _PICTURE_NAME.fullmatch(file.name)]
            if old and not overwrite:
                raise OutputError(
                    "the folder holds pictures already", where=path, hint="give --overwrite or another folder"
                )
        refuse_input(path / "000000.png")
        self._times = LineFile(path / TIMES_FILE, overwrite=overwrite)  # locks the folder against other runs
        with os_errors_translated(path):
            for file in old:
                file.unlink()
        self._written = 0

    def write(self, picture: Picture, pts: int, time_base: Fraction) -> None:
        """Write one picture and its time; `OutputError` if the disk is full."""
        path = self._folder / f"{self._written:06d}.png"
        write_atomically(path, encoded_picture(picture), durable=False)
        self._times.append(f"{round(pts * time_base * 1_000_000)}\n")
        self._written += 1

    def close(self) -> None:
        """Finish the file of times."""
        if self._written:
            self._times.commit()
        else:
            self._times.discard()


# --- the pictures of an event file ---------------------------------------------------------------

Watcher = Callable[[int, int | None], None]
"""Called with the number of pictures drawn, from 0 on, and the expected number if that is known."""


@dataclass(frozen=True, slots=True)
class DrawnEvents:
    """The result of drawing events."""

    info: VideoInfo  # the format, the size of the sensor and the rate of the pictures
    totals: EventTotals  # the counts of the file
    pictures: int  # number of pictures written
    damaged: int  # number of events and records left out
    notes: tuple[str, ...]  # assumptions that were made, a sentence each


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
    """Draw the events of a file as pictures. However it ends, the pictures drawn so far are on disk.

    A picture is drawn for each frame of `like`, with `offset_s` added to the times of the events. Without
    `like` `frame_rate` pictures a second are drawn, or, if that is None and the options give a number of
    events a picture, one for every such number. `end` is the first picture that is not drawn. `watch` is
    called before the first picture and after each; an exception of it ends the drawing. `InputError`: a file
    cannot be opened or read, or is damaged; `OutputError`: the pictures exist, or cannot be written;
    `ConfigError`: a library is missing, or no picture lies between start and end.
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
        return DrawnEvents(source.info, source.reader.totals, pictures, source.damaged_packets, source.notes)
