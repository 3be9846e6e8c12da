"""The size a picture file claims, read before anything is allocated for it.

A file of a few bytes may claim billions of pixels, and a decoder that believes it takes the memory first
and notices afterwards.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

MAX_PIXELS: Final = 1 << 28
"""16384 x 16384: more than any camera makes."""
MAX_PIXELS_PER_BYTE: Final = 2048
"""Deflate packs at most 1032 bytes into one, which may be two grey pixels or part of one of colour."""
_SHORT, _LONG = 3, 4
_JPEG_SIZE_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class ClaimedSize(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


def is_believable(data: bytes) -> bool:
    """Return whether so few bytes can hold the picture that they claim; True where the size is unknown."""
    size = claimed_size(data)
    if size is None:
        return True
    pixels = size.width * size.height
    return pixels <= MAX_PIXELS and pixels <= MAX_PIXELS_PER_BYTE * len(data)


def claimed_size(data: bytes) -> ClaimedSize | None:
    """Return the size in the header of a PNG, JPEG, BMP or TIFF file; None if there is none.

    Source: PNG (ISO 15948) 11.2.2; JPEG (ITU T.81) B.2.2; TIFF 6.0 section 2; BITMAPINFOHEADER.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return ClaimedSize(*struct.unpack_from(">II", data, 16))
        if data.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", data, 18)
            return ClaimedSize(abs(width), abs(height))
        if data.startswith(b"\xff\xd8"):
            return _jpeg_size(data)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff_size(data)
    except struct.error:
        return None
    return None


def _jpeg_size(data: bytes) -> ClaimedSize | None:
    place = 2
    while True:
        prefix, marker, length = struct.unpack_from(">BBH", data, place)
        if prefix != 0xFF:
            return None
        if marker == 0xFF:  # padding
            place += 1
        elif marker in _JPEG_SIZE_MARKERS:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return ClaimedSize(width, height)
        else:
            place += 2 + length


def _tiff_size(data: bytes) -> ClaimedSize | None:
    order = "<" if data.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, directory)
    found: dict[int, int] = {}
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind, _ = struct.unpack_from(f"{order}HHI", data, entry)
        if tag in (256, 257) and kind in (_SHORT, _LONG):
            (found[tag],) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", data, entry + 8)
    return ClaimedSize(found[256], found[257]) if len(found) == 2 else None
