"""`FolderReader`: a folder of pictures, read like a video.

Pictures have no clock: their times are made up from an assumed frame rate. Orientation stored
in EXIF is ignored, for every format alike, because boxes and the second stream refer to the
pixels as stored; alpha is dropped; 16-bit colour loses its lower byte.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import cv2
import numpy as np

from dmtrack.errors import ConfigError, DecodeError, VideoError
from dmtrack.video.closing import ClosedOnExit
from dmtrack.video.frame import Frame, Pixels, VideoInfo
from dmtrack.video.picture_header import is_believable
from dmtrack.video.position import Position

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"})
DEFAULT_FRAME_RATE: Final = Fraction(30)
MAX_CONSECUTIVE_DAMAGED: Final = 100
"""So many unreadable pictures in a row end the reading."""

_CHANNELS: Final = (1, 3, 4)

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as stored: its pixels, and what they were before they were reduced to 8 bit."""

    pixels: Pixels
    bit_depth: int
    channels: int


class FolderReader(ClosedOnExit):
    """The pictures of a folder in natural order (`2.png` before `10.png`).

    A frame's index and stamp are its place in that order, so rows of a ground-truth file stay
    with their picture even where one cannot be read. Pictures that cannot be read, or whose size
    or kind is not the first one's, are skipped and counted.

    Args:
        path: A folder with jpg, jpeg, png, tif, tiff or bmp files.
        frame_rate: Pictures a second to assume.
        start_s: Time of the first picture in seconds.

    Raises:
        VideoError: There is no such folder, or it holds no pictures.
        DecodeError: None of the first `MAX_CONSECUTIVE_DAMAGED` pictures can be read.
        ConfigError: The rate is not positive.
    """

    def __init__(
        self, path: Path, *, frame_rate: Fraction = DEFAULT_FRAME_RATE, start_s: Fraction = Fraction(0)
    ) -> None:
        if frame_rate <= 0:
            raise ConfigError(f"frame rate {frame_rate} is not positive")
        self._files = list_images(path)
        self._damaged: set[int] = set()
        self._first_index, first = self._find_first()
        self._kind = _kind(first.pixels)
        self._start_pts, time_base = exact_stamps(frame_rate, start_s)
        self._step = round(1 / (frame_rate * time_base))
        self.info = VideoInfo(
            path=path,
            width=first.pixels.shape[1],
            height=first.pixels.shape[0],
            frame_rate=frame_rate,
            time_base=time_base,
            start_pts=self._start_pts,
            frame_count=len(self._files),
            pixel_format=_pixel_format(first),
            codec=self._files[self._first_index].suffix.lower().lstrip("."),
            bit_depth=first.bit_depth,
            channels=first.channels,
        )

    @property
    def files(self) -> tuple[Path, ...]:
        """The pictures in reading order."""
        return self._files

    @property
    def damaged_packets(self) -> int:
        """Pictures skipped so far."""
        return len(self._damaged)

    def __iter__(self) -> Iterator[Frame]:
        """Yield every picture; see `read`."""
        return self.read()

    def read(self, start: Position | None = None, end: Position | None = None) -> Iterator[Frame]:
        """Yield the pictures from `start` up to and without `end`; those before are not opened.

        Raises:
            DecodeError: `MAX_CONSECUTIVE_DAMAGED` pictures in a row cannot be used.
        """
        in_a_row = 0
        for index, file in enumerate(self._files):
            elapsed_s = index * self._step * self.info.time_base
            if end is not None and end.is_reached(index, elapsed_s):
                return
            if start is not None and not start.is_reached(index, elapsed_s):
                continue
            pixels = self._read_alike(index, file)
            in_a_row = 0 if pixels is not None else in_a_row + 1
            if pixels is not None:
                yield Frame(index, self._start_pts + index * self._step, self.info.time_base, pixels)
            elif in_a_row >= MAX_CONSECUTIVE_DAMAGED:
                raise DecodeError(f"{in_a_row} pictures in a row cannot be used", where=file)

    def close(self) -> None:
        """Do nothing: no file stays open between two pictures."""

    def _find_first(self) -> tuple[int, Picture]:
        for index, file in enumerate(self._files[:MAX_CONSECUTIVE_DAMAGED]):
            picture = _load(file)
            if picture is not None:
                return index, picture
            self._damaged.add(index)
        raise DecodeError("this picture cannot be read, nor can those after it", where=self._files[0])

    def _read_alike(self, index: int, file: Path) -> Pixels | None:
        picture = _load(file)
        if picture is not None and _kind(picture.pixels) == self._kind:
            return picture.pixels
        self._damaged.add(index)
        if picture is None:
            _LOGGER.warning("%s: skipped, the picture cannot be read", file)
        else:
            shape = "x".join(str(n) for n in picture.pixels.shape)
            _LOGGER.warning("%s: skipped, its shape %s differs from the first picture's", file, shape)
        return None


def list_images(folder: Path) -> tuple[Path, ...]:
    """Return the pictures of a folder in natural order; hidden files do not count.

    Raises:
        VideoError: The folder cannot be listed, or holds no pictures.
    """
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError as error:
        raise VideoError("no such folder", where=folder) from error
    except OSError as error:
        raise VideoError(f"the folder cannot be listed: {error.strerror}", where=folder) from error
    images = sorted((e for e in entries if e.suffix.lower() in IMAGE_SUFFIXES), key=_natural_key)
    if not images:
        below = sorted(entry.name for entry in entries if entry.is_dir())
        hint = f"it has the sub-folders {', '.join(below[:6])}: name one of them" if below else None
        raise VideoError("the folder holds no pictures (jpg, png, tif, bmp)", where=folder, hint=hint)
    return tuple(images)


def read_picture(file: Path) -> Pixels:
    """Read one picture as it is stored: `(H, W, 3)` in RGB order, or `(H, W)` uint8 or uint16.

    Raises:
        DecodeError: The file is missing, or it is no picture that can be used.
    """
    picture = _load(file)
    if picture is None:
        raise DecodeError("the picture cannot be read", where=file)
    return picture.pixels


def _natural_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Return a key that orders numbers by value and the rest as text, without case."""
    parts = re.findall(r"\d+|\D+", path.name.lower())
    numbered = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
    return numbered, path.name


def exact_stamps(frame_rate: Fraction, start_s: Fraction) -> tuple[int, Fraction]:
    """Return the first stamp and a time base in which it and every frame time are exact."""
    interval = 1 / frame_rate
    scale = interval.denominator * start_s.denominator
    time_base = Fraction(1, scale) if start_s else interval
    return int(start_s / time_base), time_base


def _load(file: Path) -> Picture | None:
    """Read a picture as it is stored, in RGB order; None if it cannot be used."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror}", where=file) from error
    return decode_picture(data)


def decode_picture(data: bytes) -> Picture | None:
    """Decode a picture file as it is stored, in RGB order; None if it is none that can be used."""
    if not data or not is_believable(data):
        return None
    try:
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        _LOGGER.info("a picture cannot be decoded: %s", error)
        return None
    if stored is None or stored.dtype not in (np.uint8, np.uint16):
        return None
    if stored.ndim == 3 and stored.shape[2] not in _CHANNELS:
        return None
    return _as_picture(cast(Pixels, stored))


def _as_picture(stored: Pixels) -> Picture:
    depth = stored.dtype.itemsize * 8
    if stored.ndim == 2:
        return Picture(stored, depth, 1)
    if stored.shape[2] == 1:
        return Picture(stored[..., 0], depth, 1)
    bgr = stored if depth == 8 else (stored >> 8).astype(np.uint8)
    to_rgb = cv2.COLOR_BGR2RGB if stored.shape[2] == 3 else cv2.COLOR_BGRA2RGB
    return Picture(cast(Pixels, cv2.cvtColor(bgr, to_rgb)), depth, 3)


def _kind(pixels: Pixels) -> tuple[tuple[int, ...], np.dtype[np.uint8] | np.dtype[np.uint16]]:
    return pixels.shape, pixels.dtype


def _pixel_format(picture: Picture) -> str:
    if picture.channels == 1:
        return "gray" if picture.bit_depth == 8 else "gray16le"
    return "rgb24" if picture.bit_depth == 8 else "rgb48le"
