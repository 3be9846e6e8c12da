"""JPEG files: their segments, their bit depth, and whether data is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import av
import av.error
import numpy as np

_PICTURE: Final = 0xDA
_PROGRESSIVE: Final = 0xC2
_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xF7})  # frame headers: bit depth first
_JPEG_2000, _BITS_AT = b"\xff\x4f\xff\x51", 42  # source: ISO/IEC 15444-1, A.5.1 (Ssiz)
_BLOCK: Final = 8
_FILLED: Final = 128
_SEEN_AT: Final = ((2, 2), (2, 5), (5, 2), (5, 5))  # in a block, off the edges that neighbours tint


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield kind, begin and end of the content of each segment that precedes the picture of a JPEG."""
    at = 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data) and data[at + 1] != _PICTURE:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1], at + 4, min(end, len(data))
        at = end


def said_bits(picture: bytes) -> int | None:
    """Return the bit depth that JPEG or JPEG 2000 states, if any; libav shifts counts up to 8 or 16 bits."""
    at = picture.find(_JPEG_2000)
    if at < 0:
        frames = ((begin, end) for kind, begin, end in jpeg_segments(picture) if kind in _FRAMES)
        return next((picture[begin] for begin, end in frames if begin < end), None)
    return (picture[at + _BITS_AT] & 0x7F) + 1 if at + _BITS_AT < len(picture) else None


def lacks_data(picture: np.ndarray, data: bytes) -> bool:
    """Return whether a part of an 8-bit picture is missing because its JPEG, `data`, is damaged.

    libjpeg fills that part with grey, or from other scans of a progressive JPEG, and reports it to standard
    error only. If a block has that grey, or there are scans, libav decodes the JPEG again: it does report it.
    """
    return (_has_scans(data) or _has_grey_block(picture)) and not _is_whole(data)


def _has_scans(data: bytes) -> bool:
    return any(kind == _PROGRESSIVE for kind, _, _ in jpeg_segments(data))


def _has_grey_block(picture: np.ndarray) -> bool:
    height, width = (side // _BLOCK * _BLOCK for side in picture.shape[:2])
    blocks = (picture if picture.ndim == 2 else picture[..., 0])[:height, :width]
    is_grey = np.True_
    for row, column in _SEEN_AT:
        is_grey = is_grey & (blocks[row::_BLOCK, column::_BLOCK] == _FILLED)
        if not is_grey.any():
            return False
    return True


def _is_whole(data: bytes) -> bool:
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "explode", "lowres": "3"}
    try:
        decoder.decode(av.Packet(data))
    except av.error.InvalidDataError:
        return False
    return True
