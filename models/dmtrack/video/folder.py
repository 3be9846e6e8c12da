"""`FolderReader`: a folder of pictures, read like a video.

Pictures have no clock: their times are made up from an assumed frame rate.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

from dmtrack.errors import ConfigError, DecodeError, FormatError, VideoError
from dmtrack.video.frame import Frame, Pixels, VideoInfo
from dmtrack.video.picture_file import PAGES_HINT, StoredPicture, list_images, load_picture, page_count
from dmtrack.video.position import Position
from dmtrack.video.source import DEFAULT_FRAME_RATE, FrameSource

MAX_CONSECUTIVE_DAMAGED: Final = 100
"""So many unreadable pictures in a row end the reading."""

_LOGGER = logging.getLogger(__name__)


class FolderReader(FrameSource):
    """The pictures of a folder in natural order (`2.png` before `10.png`).

    A frame's index and stamp are its place in that order, so rows of a ground-truth file stay
    with their picture even where one cannot be read. Pictures that cannot be read, or whose size
    or bits are not the first one's, are skipped and counted. Grey and colour may take turns, as a
    camera does between night and day, or a recorder that saves what is black as grey.

    Args:
        path: A folder with jpg, jpeg, png, tif, tiff or bmp files.
        frame_rate: Pictures a second to assume.
        start_s: Time of the first picture in seconds.

    Raises:
        VideoError: There is no such folder, or it holds no pictures, or a single file of several.
        DecodeError: None of the first `MAX_CONSECUTIVE_DAMAGED` pictures can be read.
        ConfigError: The rate is not positive.
    """

    def __init__(
        self, path: Path, *, frame_rate: Fraction = DEFAULT_FRAME_RATE, start_s: Fraction = Fraction(0)
    ) -> None:
        if frame_rate <= 0:
            raise ConfigError(f"frame rate {frame_rate} is not positive")
        self.files = list_images(path)
        if len(self.files) == 1 and (pages := page_count(self.files[0])) > 1:
            raise VideoError(f"holds {pages} pages", where=self.files[0], hint=PAGES_HINT)
        self._damaged: set[int] = set()
        file, first = self._find_first()
        self._kind = first.pixels.shape[:2], first.pixels.dtype
        start_pts, time_base = exact_stamps(frame_rate, start_s)
        self._step = round(1 / (frame_rate * time_base))
        self.info = VideoInfo(
            path=path,
            width=first.pixels.shape[1],
            height=first.pixels.shape[0],
            frame_rate=frame_rate,
            time_base=time_base,
            start_pts=start_pts,
            frame_count=len(self.files),
            pixel_format=first.pixel_format,
            codec=file.suffix.lower().lstrip("."),
            bit_depth=first.bit_depth,
            channels=first.channels,
        )

    @property
    def damaged_packets(self) -> int:
        """Pictures skipped so far."""
        return len(self._damaged)

    def _read(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        """Yield the pictures from `start` up to and without `end`; those before are not opened.

        Raises:
            DecodeError: `MAX_CONSECUTIVE_DAMAGED` pictures in a row cannot be used.
        """
        in_a_row = 0
        for index, file in enumerate(self.files):
            elapsed_s = index * self._step * self.info.time_base
            if end is not None and end.is_reached(index, elapsed_s):
                return
            if start is not None and not start.is_reached(index, elapsed_s):
                continue
            pixels = self._read_alike(index, file)
            in_a_row = 0 if pixels is not None else in_a_row + 1
            if pixels is not None:
                yield Frame(index, self.info.start_pts + index * self._step, self.info.time_base, pixels)
            elif in_a_row >= MAX_CONSECUTIVE_DAMAGED:
                raise DecodeError(f"{in_a_row} pictures in a row cannot be used", where=file)

    def close(self) -> None:
        """Do nothing: no file stays open between two pictures."""

    def _find_first(self) -> tuple[Path, StoredPicture]:
        reason = ""
        for index, file in enumerate(self.files[:MAX_CONSECUTIVE_DAMAGED]):
            try:
                return file, load_picture(file)
            except FormatError as error:
                reason = reason or error.what
                self._damaged.add(index)
        raise DecodeError(
            f"this picture cannot be read, nor can those after it: {reason}", where=self.files[0]
        )

    def _read_alike(self, index: int, file: Path) -> Pixels | None:
        try:
            pixels = load_picture(file).pixels
        except FormatError as error:
            reason = f"the picture cannot be read: {error.what}"
        else:
            if (pixels.shape[:2], pixels.dtype) == self._kind:
                return pixels
            reason = f"its shape {'x'.join(str(n) for n in pixels.shape)} differs from the first picture's"
        self._damaged.add(index)
        _LOGGER.warning("%s: skipped, %s", file, reason)
        return None


def exact_stamps(frame_rate: Fraction, start_s: Fraction) -> tuple[int, Fraction]:
    """Return the first stamp and a time base in which it and every frame time are exact."""
    interval = 1 / frame_rate
    scale = interval.denominator * start_s.denominator
    time_base = Fraction(1, scale) if start_s else interval
    return int(start_s / time_base), time_base
