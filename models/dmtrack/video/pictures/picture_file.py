"""The pixels of picture files, as they are stored.

EXIF orientation is ignored for every format, because boxes and the second stream refer to the pixels as
stored. Alpha is dropped. 16-bit colour loses its lower byte, unless its three channels are equal: then it is
16-bit grey. 8-bit grey whose 0 is white is inverted, as viewers show it; deeper counts are not. Numbers with
a sign or a fraction become counts (`dmtrack.video.pictures.counts`).

A file of a few bytes may claim billions of pixels, and a decoder allocates the memory before it notices:
sizes that cannot be true are refused by the header.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Final, cast

import cv2
import imagesize
import numpy as np

from dmtrack.errors import DecodeError, FormatError, translated
from dmtrack.numbers import file_bytes
from dmtrack.video.foreign import LFS_POINTER
from dmtrack.video.frame import Pixels
from dmtrack.video.pictures.counts import AS_STORED, CountScale
from dmtrack.video.pictures.exr import EXR_MAGIC, decode_exr
from dmtrack.video.pictures.flir import FLIR_SUFFIXES, decode_fff, fff_of_jpeg, find_pictures, read_fff
from dmtrack.video.pictures.jpeg import lacks_data
from dmtrack.video.pictures.tiff import (
    as_stored,
    directories,
    is_multiplied,
    is_of_one_bit,
    page_bytes,
    spare_bits,
)

MAX_PIXELS: Final = 1 << 28  # 16384 x 16384: more than any camera makes
SMALL_PIXELS: Final = 1 << 25
PIXELS_PER_BYTE: Final = 64
"""Most pixels per byte of a picture of over 33 megapixels: memory is in proportion to the file."""
MAX_DEFLATED: Final = 1032  # Deflate packs at most so many bytes into one
MAX_PIXELS_PER_BYTE: Final = 2 * MAX_DEFLATED  # for files that do not state the bits per pixel
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_END: Final = b"IEND"  # the type of its last chunk
_PNG_KIND: Final = 25  # offset of a PNG's colour type; the bit depth stands before
_PNG_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_JPEG: Final = b"\xff\xd8"
_NETPBM: Final = re.compile(rb"P([2356])" + 3 * rb"(?:\s|#[^\n]*\n)+(\d{1,9})" + rb"\s")
_BMP_HEAD_BYTES, _BY_MASKS, _USUAL_MASKS = 66, 3, [0xFF0000, 0xFF00, 0xFF]
_WITH_SIZE: Final = (_PNG, _JPEG, b"BM", b"II*\0", b"MM\0*", b"P5", b"P6")
_CHANNELS: Final = (1, 3, 4)


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture: its pixels, and their stored format before they became 8-bit colour or counts.

    `is_damaged`: a part of it is missing.
    """

    pixels: Pixels
    bit_depth: int
    channels: int
    counts: CountScale = AS_STORED
    is_damaged: bool = False

    @property
    def pixel_format(self) -> str:
        """The libav name of such pixels."""
        names = ("gray", "gray16le") if self.channels == 1 else ("rgb24", "rgb48le")
        return names[self.bit_depth > 8]


def read_picture(file: Path) -> Pixels:
    """Read one picture as it is stored: `(H, W, 3)` in RGB order, or `(H, W)` uint8 or uint16.

    `DecodeError`: the file is missing, or it is no picture that can be used.
    """
    try:
        return load_picture(file).pixels
    except FormatError as error:
        raise DecodeError(f"the picture cannot be read: {error.what}", where=file) from error


def load_picture(file: Path, counts: CountScale | None = None, page: int | None = None) -> StoredPicture:
    """Read a picture file as it is stored.

    `counts` says how signed or fractional numbers become counts; None derives it from this picture. `page` is
    the number of the picture in a TIFF or FLIR file of several, from 0. `FormatError`: it is no picture that
    can be used; `DecodeError`: the file cannot be read.
    """
    try:
        if file.suffix.lower() in FLIR_SUFFIXES:
            return _of_flir(read_fff(file, page or 0), counts)
        if page is not None:
            return _as_pixels(_decoded(page_bytes(file, page)), counts)
        return decode_picture(file_bytes(file), counts)
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror}", where=file) from error
    except ValueError as error:
        raise FormatError(str(error)) from error


def decode_picture(data: bytes, counts: CountScale | None = None) -> StoredPicture:
    """Decode a picture file as it is stored, in RGB order; a `FormatError` says why it cannot be used."""
    if not data:
        raise FormatError("the file is empty")
    if data.startswith(LFS_POINTER):
        raise FormatError("it is a Git LFS pointer, not the picture itself: run `git lfs pull`")
    is_jpeg = data.startswith(_JPEG)
    if is_jpeg and (fff := fff_of_jpeg(data)) is not None:
        return _of_flir(fff, counts)
    picture = _as_pixels(_decoded(data), counts)
    return replace(picture, is_damaged=True) if is_jpeg and lacks_data(picture.pixels, data) else picture


def stored_numbers(file: Path, page: int | None = None) -> np.ndarray:
    """Return the numbers of a picture as stored, flat; none for bytes, FLIR and what cannot be read."""
    if file.suffix.lower() in FLIR_SUFFIXES:
        return np.empty(0)
    try:
        stored = _decoded(file_bytes(file) if page is None else page_bytes(file, page))
    except (FormatError, OSError, ValueError):
        stored = None
    return np.empty(0) if stored is None or stored.dtype == np.uint8 else stored.ravel()


def _decoded(data: bytes) -> np.ndarray | None:
    with translated(FormatError, "this is no whole picture"):
        if data.startswith(EXR_MAGIC):
            most = min(MAX_PIXELS, max(SMALL_PIXELS, PIXELS_PER_BYTE * len(data)), MAX_DEFLATED * len(data))
            return decode_exr(data, most)
        if not is_believable(data):
            raise FormatError("it claims to be larger than the file can hold")
        if data.startswith(_PNG) and all(kind != _PNG_END for kind, _ in _png_chunks(data)):
            return None  # as OpenCV would, but libpng writes a line to standard error as well
        if (stored := _of_masks(data)) is not None:
            return stored
        data += b"\n" * data.startswith((b"P2", b"P3"))  # without it OpenCV loses the last number
        stored = cv2.imdecode(np.frombuffer(as_stored(data), np.uint8), cv2.IMREAD_UNCHANGED)
        if stored is None or stored.dtype not in (np.uint8, np.uint16):
            return stored
        if stored.ndim == 3:
            return _colours(cast(Pixels, stored), data)
        if data.startswith(b"P2") and 0 < (white := stored_white(data)) < 255:  # OpenCV stretches them to 255
            return ((stored.astype(np.uint16) * white + 254) // 255).astype(np.uint8)
        return np.right_shift(cast(Pixels, stored), spare) if (spare := spare_bits(data)) else stored


def _of_masks(data: bytes) -> np.ndarray | None:
    """Return `(H, W, 3)` uint8 BGR of a whole BMP with unusual colour masks; None for any other file."""
    if not data.startswith(b"BM") or len(data) < _BMP_HEAD_BYTES:
        return None
    begin, width, height, bits, packing, *masks = struct.unpack_from("<I4xii2xHI20x3I", data, 10)
    if packing != _BY_MASKS or bits not in (16, 32) or not 0 < min(masks) <= max(masks) < 1 << bits:
        return None
    row_bytes, pixel_bytes = -(-width * bits // 32) * 4, bits // 8
    end = begin + row_bytes * (abs(height) - 1) + width * pixel_bytes
    if min(width, abs(height)) < 1 or end > len(data) or (bits == 32 and masks == _USUAL_MASKS):
        return None
    rows = np.ndarray((abs(height), width), f"<u{pixel_bytes}", data, begin, (row_bytes, pixel_bytes))
    levels = [np.rint((rows & mask) * (255 / mask)).astype(np.uint8) for mask in masks[::-1]]
    return np.dstack(levels)[:: -1 if height > 0 else 1]


def _colours(stored: Pixels, data: bytes) -> Pixels:
    """Return colours as bright as the file means: a PPM's maximum is white, multiplied alpha is undone."""
    most = np.iinfo(stored.dtype).max
    if stored.shape[2] == 4 and is_multiplied(data):
        alpha = np.where(stored[..., 3:] == 0, most, stored[..., 3:])  # transparent, and yet a colour: kept
        stored[..., :3] = np.minimum(np.rint(stored[..., :3] * (most / alpha)), most)
    white = stored_white(data)
    if not 0 < white < most or (most > 255 and _is_repeated(stored)):
        return stored
    table = np.rint(np.minimum(np.arange(most + 1) / white, 1) * most).astype(stored.dtype)
    return cast(Pixels, table[stored])


def stored_white(data: bytes) -> int:
    """Return the number that a Netpbm picture says is white; 0 for other files, and if OpenCV heeds it."""
    head = _NETPBM.match(data)
    return 0 if head is None or (head[1] == b"3" and int(head[4]) <= 255) else int(head[4])


def _of_flir(data: bytes, counts: CountScale | None) -> StoredPicture:
    pixels, scale = decode_fff(data, counts)
    return StoredPicture(pixels, 16, 1, scale)


def _as_pixels(stored: np.ndarray | None, counts: CountScale | None) -> StoredPicture:
    if stored is None:
        raise FormatError("this is no whole picture")
    if stored.ndim == 3 and stored.shape[2] not in _CHANNELS:
        raise FormatError(f"pictures of {stored.shape[2]} channels are not supported")
    depth = stored.dtype.itemsize * 8
    if stored.ndim == 2 or stored.shape[2] == 1 or (depth > 8 and _is_repeated(stored)):
        grey = stored if stored.ndim == 2 else np.ascontiguousarray(stored[..., 0])
        if grey.dtype in (np.uint8, np.uint16):
            return StoredPicture(cast(Pixels, grey), depth, 1)
        scale = counts or CountScale.of(grey)
        return StoredPicture(scale.counts(grey), 16, 1, scale)
    if stored.dtype not in (np.uint8, np.uint16):
        raise FormatError(f"colour pictures of {stored.dtype} are not supported")
    to_rgb = cv2.COLOR_BGR2RGB if stored.shape[2] == 3 else cv2.COLOR_BGRA2RGB
    colour = cast(Pixels, cv2.cvtColor(stored, to_rgb))
    return StoredPicture(colour if depth == 8 else (colour >> 8).astype(np.uint8), depth, 3)


def _is_repeated(stored: np.ndarray) -> bool:
    """Return whether three channels are one, stored three times."""
    blue, green, red = (stored[..., channel] for channel in range(3))
    return bool((blue == green).all() and (green == red).all())


def is_believable(data: bytes) -> bool:
    """Return whether a file can hold a picture of the size it claims; True if the size is unknown."""
    if not data.startswith(_WITH_SIZE):
        return True
    width, height = imagesize.get(BytesIO(data), exif_rotation=False)  # -1, -1: unknown
    if abs(width * height) > max(SMALL_PIXELS, PIXELS_PER_BYTE * len(data)):
        return False
    if data.startswith(_PNG) and not _are_chunks_believable(data):
        return False
    pixels_per_byte = MAX_PIXELS_PER_BYTE
    if data.startswith(_PNG) and len(data) > _PNG_KIND:
        bits = data[_PNG_KIND - 1] * _PNG_CHANNELS.get(data[_PNG_KIND], 1)
        pixels_per_byte = MAX_DEFLATED * 8 // max(1, bits)
    elif is_of_one_bit(data):
        pixels_per_byte = SMALL_PIXELS
    return bool(abs(width * height) <= min(MAX_PIXELS, pixels_per_byte * len(data)))


def _are_chunks_believable(data: bytes) -> bool:
    """Return whether no chunk of a PNG claims to be longer than the file: OpenCV allocates that much."""
    return all(length <= len(data) for _, length in _png_chunks(data))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield type and length in bytes of each chunk of a PNG up to `IEND`; a truncated one has no type."""
    at = len(_PNG)
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        at += length + 12
        if at > len(data):
            kind = b""  # truncated
        yield kind, length
        if kind == _PNG_END:
            return


def opencv_picture(file: Path, flags: int) -> np.ndarray | None:
    """Decode a picture file with OpenCV, in BGR order; None if it cannot.

    OpenCV's own `imread` and `imwrite` fail on names beyond ASCII on Windows.
    """
    with suppress(OSError, ValueError, cv2.error):
        return cv2.imdecode(np.frombuffer(file_bytes(file), np.uint8), flags)
    return None


def page_count(file: Path) -> int:
    """Return how many pictures a file holds: a TIFF or a FLIR recording may hold several."""
    if file.suffix.lower() in FLIR_SUFFIXES:
        return len(find_pictures(file).places)
    return len(directories(file)) if file.suffix.lower() in (".tif", ".tiff") else 1


def picture_count(file: Path) -> int:
    """Return how many pictures a file holds, also an animated PNG, which is read as a video."""
    with suppress(OSError):  # reported when it is read
        if file.suffix.lower() != ".png":
            return page_count(file)
        with file.open("rb") as opened:
            head = opened.read(1 << 16).partition(b"IDAT")[0]
        return int.from_bytes(head.partition(b"acTL")[2][:4] or b"\1", "big")
    return 1


def encoded_picture(pixels: Pixels, suffix: str = ".png", level: int | None = None) -> bytes:
    """Return a picture as the bytes of a file.

    `pixels` are `(H, W, 3)` RGB or `(H, W)` grey, of 8 bits or (PNG) of 16; the suffix is `.png` or `.jpg`;
    `level` is the compression of PNG, 0 to 9, or the quality of JPEG, 0 to 100; None: OpenCV's default.
    """
    turned = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    option = cv2.IMWRITE_JPEG_QUALITY if suffix == ".jpg" else cv2.IMWRITE_PNG_COMPRESSION
    _, data = cv2.imencode(suffix, np.ascontiguousarray(turned), () if level is None else (option, level))
    return bytes(data)
