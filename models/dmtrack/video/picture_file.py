"""Picture files: which of a folder are some, in which order, and their pixels as they are stored.

Orientation stored in EXIF is ignored, for every format alike, because boxes and the second stream refer to
the pixels as stored; alpha is dropped; 16-bit colour loses its lower byte. A file of a few bytes may claim
billions of pixels, and a decoder that believes it takes the memory first and notices afterwards: what cannot
be is refused by its header.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final, cast

import cv2
import imagesize
import numpy as np

from dmtrack.errors import DecodeError, VideoError
from dmtrack.video.frame import Pixels

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"})
MAX_PIXELS: Final = 1 << 28
"""16384 x 16384: more than any camera makes."""
MAX_PIXELS_PER_BYTE: Final = 2048
"""Deflate packs at most 1032 bytes into one, which may be two grey pixels or part of one of colour."""
_WITH_SIZE: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"BM", b"II*\0", b"MM\0*")
_CHANNELS: Final = (1, 3, 4)

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture as stored: its pixels, and what they were before they were reduced to 8 bit."""

    pixels: Pixels
    bit_depth: int
    channels: int

    @property
    def pixel_format(self) -> str:
        """The libav name of such pixels."""
        names = ("gray", "gray16le") if self.channels == 1 else ("rgb24", "rgb48le")
        return names[self.bit_depth > 8]


def list_images(folder: Path) -> tuple[Path, ...]:
    """Return the pictures of a folder in natural order (`2.png` before `10.png`); hidden files do not count.

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


def _natural_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Return a key that orders numbers by value and the rest as text, without case."""
    parts = re.findall(r"\d+|\D+", path.name.lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts], path.name


def read_picture(file: Path) -> Pixels:
    """Read one picture as it is stored: `(H, W, 3)` in RGB order, or `(H, W)` uint8 or uint16.

    Raises:
        DecodeError: The file is missing, or it is no picture that can be used.
    """
    picture = load_picture(file)
    if picture is None:
        raise DecodeError("the picture cannot be read", where=file)
    return picture.pixels


def load_picture(file: Path) -> StoredPicture | None:
    """Read a picture file; None if it is none that can be used.

    Raises:
        DecodeError: The file cannot be read.
    """
    try:
        return decode_picture(file.read_bytes())
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror}", where=file) from error


def decode_picture(data: bytes) -> StoredPicture | None:
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
    depth = stored.dtype.itemsize * 8
    if stored.ndim == 2 or stored.shape[2] == 1:
        return StoredPicture(cast(Pixels, stored.reshape(stored.shape[:2])), depth, 1)
    to_rgb = cv2.COLOR_BGR2RGB if stored.shape[2] == 3 else cv2.COLOR_BGRA2RGB
    colour = cast(Pixels, cv2.cvtColor(stored, to_rgb))
    return StoredPicture(colour if depth == 8 else (colour >> 8).astype(np.uint8), depth, 3)


def is_believable(data: bytes) -> bool:
    """Return whether so few bytes can hold the picture that they claim; True where the size is unknown."""
    if not data.startswith(_WITH_SIZE):
        return True
    width, height = imagesize.get(BytesIO(data), exif_rotation=False)  # -1, -1: unknown
    return bool(abs(width * height) <= min(MAX_PIXELS, MAX_PIXELS_PER_BYTE * len(data)))
