"""Pictures without loss: an FFV1 video in Matroska, or a folder of PNG files with their times."""

from __future__ import annotations

import contextlib
import re
from abc import abstractmethod
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream

from dmtrack.atomic import LineFile, PartFile, os_errors_translated, prepare_folder, refuse_input, reserve
from dmtrack.drawing.draw import Picture
from dmtrack.drawing.encoder import NOMINAL_RATE, encoding_error
from dmtrack.drawing.mp4 import StampRepair
from dmtrack.errors import OutputError
from dmtrack.video.source import ClosedOnExit

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
    """Return what writes to `path`: a video where the name ends in .mkv, else a folder of pictures.

    Raises:
        OutputError: The result exists, or the name is that of another kind of file.
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
    """Writes pictures to a Matroska file, each bit as it is, in constant memory.

    It keeps the clock of its pictures, by which they are paired with others. Matroska counts milliseconds:
    times are rounded to them, and pictures less than one apart are moved.

    Args:
        path: The final name.
        overwrite: Replace an existing file.

    Raises:
        OutputError: The file exists, or its folder cannot be made or written to.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._path = reserve(path, overwrite=overwrite)
        self._part: PartFile | None = None
        self._stamp = StampRepair(_MATROSKA_UNIT)
        self._open: tuple[av.container.OutputContainer, VideoStream] | None = None

    def write(self, picture: Picture, pts: int, time_base: Fraction) -> None:
        """Encode one picture; the first one fixes the size.

        Raises:
            OutputError: The disk is full, or the video cannot be encoded.
        """
        try:
            if self._open is None:
                self._open = self._begun(picture)
            container, stream = self._open
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = self._stamp(pts, time_base), _MATROSKA_UNIT
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        except (FFmpegError, OSError) as error:
            raise encoding_error(error, self._path) from error

    def close(self) -> None:
        """Give the video its final name; without any picture no file is made.

        Raises:
            OutputError: The end cannot be written; what was written stays under its final name.
        """
        part = self._part
        if self._open is None or part is None:
            return
        (container, stream), self._open, self._part = self._open, None, None
        try:
            if stream.codec_context.is_open:
                container.mux(stream.encode(None))
            container.close()
        except (FFmpegError, OSError) as error:
            with contextlib.suppress(FFmpegError, OSError):
                container.close()
            raise encoding_error(error, self._path) from error
        finally:
            if part.path.stat().st_size:
                part.publish()
            part.discard()

    def _begun(self, picture: Picture) -> tuple[av.container.OutputContainer, VideoStream]:
        self._part = PartFile(self._path)
        container = av.open(str(self._part.path), "w", format="matroska")
        height, width = picture.shape[:2]
        # The encoder cuts pictures into slices on its own, and refuses very narrow ones.
        options = {"slices": "1"} if min(height, width) < _LEAST_SLICED_PX else {}
        stream = container.add_stream("ffv1", rate=NOMINAL_RATE, options=options)
        stream.height, stream.width = height, width
        stream.pix_fmt = "bgr0"
        stream.codec_context.time_base = _MATROSKA_UNIT
        return container, stream


class PictureFolder(PictureWriter):
    """Writes `000000.png`, `000001.png` ... and their times in microseconds, a line each.

    Args:
        path: The folder; made when missing.
        overwrite: Replace the pictures of an earlier run.

    Raises:
        OutputError: Pictures are there already, or the folder cannot be made or written to.
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
        self._times = LineFile(path / TIMES_FILE, overwrite=overwrite)  # holds the folder against other runs
        with os_errors_translated(path):
            for file in old:
                file.unlink()
        self._written = 0

    def write(self, picture: Picture, pts: int, time_base: Fraction) -> None:
        """Write one picture and its time.

        Raises:
            OutputError: The disk is full.
        """
        path = self._folder / f"{self._written:06d}.png"
        encoded = cv2.imencode(".png", picture[..., ::-1])[1]
        with os_errors_translated(path), path.open("xb") as file:
            file.write(encoded.tobytes())
        self._times.append(f"{round(pts * time_base * 1_000_000)}\n")
        self._written += 1

    def close(self) -> None:
        """Finish the file of times."""
        if self._written:
            self._times.commit()
        else:
            self._times.discard()
