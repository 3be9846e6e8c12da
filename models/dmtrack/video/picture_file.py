"""Picture files: which of a folder are some, in which order, and their pixels as they are stored.

Orientation stored in EXIF is ignored, for every format alike, because boxes and the second stream refer to
the pixels as stored; alpha is dropped; 16-bit colour loses its lower byte. A file of a few bytes may claim
billions of pixels, and a decoder that believes it takes the memory first and notices afterwards: what cannot
be is refused by its header.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Final, cast

import cv2
import imagesize
import numpy as np

from dmtrack.errors import DecodeError, FormatError, VideoError, translated
from dmtrack.video.frame import Pixels

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"})
MAX_PIXELS: Final = 1 << 28
"""16384 x 16384: more than any camera makes."""
MAX_DEFLATED: Final = 1032
"""Deflate packs at most so many bytes into one."""
MAX_PIXELS_PER_BYTE: Final = 2 * MAX_DEFLATED
"""For what does not say how many bits a pixel has."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_KIND: Final = 25
"""Where a PNG says what its channels are; the bits of each stand before."""
_PNG_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_WITH_SIZE: Final = (_PNG, b"\xff\xd8", b"BM", b"II*\0", b"MM\0*")
_ORIENTATION: Final = 274
_CHANNELS: Final = (1, 3, 4)
PAGES_HINT: Final = "write each page as a picture of its own, in a folder of its own"


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


def _natural_key(path: Path) -> tuple[list[tuple[int, Decimal, str]], str]:
    """Return a key that orders numbers by value and the rest as text, without case.

    After a number of nine digits and more, which is a time, a point begins a fraction: `str(time.time())`
    leaves out zeros at the end. Elsewhere it is text, so that version 1.2 comes before 1.10.
    """
    parts = re.findall(r"\d{9,}\.\d+|\d+|\D+", path.stem.lower())
    return [
        (0, Decimal(part), "") if part[0].isdecimal() else (1, Decimal(0), part) for part in parts
    ], path.name


def read_picture(file: Path) -> Pixels:
    """Read one picture as it is stored: `(H, W, 3)` in RGB order, or `(H, W)` uint8 or uint16.

    Raises:
        DecodeError: The file is missing, or it is no picture that can be used.
    """
    try:
        return load_picture(file).pixels
    except FormatError as error:
        raise DecodeError(f"the picture cannot be read: {error.what}", where=file) from error


def load_picture(file: Path) -> StoredPicture:
    """Read a picture file as it is stored.

    Raises:
        FormatError: It is no picture that can be used.
        DecodeError: The file cannot be read.
    """
    try:
        return decode_picture(file.read_bytes())
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror}", where=file) from error


def decode_picture(data: bytes) -> StoredPicture:
    """Decode a picture file as it is stored, in RGB order.

    Raises:
        FormatError: It is none that can be used; the message says why.
    """
    if not data:
        raise FormatError("the file is empty")
    with translated(FormatError, "this is no whole picture"):
        if not is_believable(data):
            raise FormatError("it claims to be larger than the file can hold")
        stored = cv2.imdecode(np.frombuffer(_as_stored(data), np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise FormatError("this is no whole picture")
    if stored.dtype not in (np.uint8, np.uint16):
        raise FormatError(f"pictures of {stored.dtype} are not supported: 8 or 16 bits without a sign are")
    if stored.ndim == 3 and stored.shape[2] not in _CHANNELS:
        raise FormatError(f"pictures of {stored.shape[2]} channels are not supported")
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
    pixels_per_byte = MAX_PIXELS_PER_BYTE
    if data.startswith(_PNG) and len(data) > _PNG_KIND:
        bits = data[_PNG_KIND - 1] * _PNG_CHANNELS.get(data[_PNG_KIND], 1)
        pixels_per_byte = MAX_DEFLATED * 8 // max(1, bits)
    return bool(abs(width * height) <= min(MAX_PIXELS, pixels_per_byte * len(data)))


def page_count(file: Path) -> int:
    """Return how many pictures a file holds: a TIFF may hold several, of which the first is read."""
    return cv2.imcount(str(file)) if file.suffix.lower() in (".tif", ".tiff") else 1


def _as_stored(data: bytes) -> bytes:
    """Return a picture file that says nothing of turning it: OpenCV obeys that in TIFF whatever it is told.

    Source: TIFF 6.0, section 2 (the first directory) and tag 274 (orientation).
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return data
    patched = bytearray(data)
    try:
        (directory,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            if struct.unpack_from(f"{order}H", data, entry) == (_ORIENTATION,):
                struct.pack_into(f"{order}H", patched, entry + 8, 1)
    except struct.error:  # cut short: the decoder says so
        return data
    return bytes(patched)
