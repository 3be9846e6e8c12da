"""The single pictures of a TIFF, so that one of many is decoded without those before it.

Source: TIFF 6.0, section 2 (directories); BigTIFF; libtiff's `tiff.h` (compressions).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final, NamedTuple

from dmtrack.errors import FormatError, translated

_BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION = 258, 259, 262, 274
_CHANNELS, _PLANES, _ALPHA, _FORMAT = 277, 284, 338, 339
_PACKED_BITS: Final = (10, 12, 14)
_JPEG_OF_1992: Final = 6  # its tables may lie anywhere in the file
_PARTS: Final = {273: 279, 324: 325, 513: 514}  # tags: offsets of a picture's parts, their lengths
_DIRECTORIES: Final = (330, 34665, 34853, 40965)  # tags of further directories: smaller pictures, EXIF
_FORMS: Final = {3: "H", 4: "I", 16: "Q"}  # `struct` formats of integers, by TIFF type
_SIZES: Final = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_BITS_OF_HALF, _FLOATS, _APART, _WITH_ALPHA, _MOST_CHANNELS, _MULTIPLIED = 16, 3, 2, 2, 4, 1
_NOT_UNPACKED: Final = {34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 50000: "ZSTD", 50001: "WebP"}


class _Layout(NamedTuple):
    head: int  # where the offset of the first directory stands
    place: str  # `struct` format of an offset, after the byte order
    length: str  # `struct` format of the number of a directory's entries
    entry: int  # bytes of an entry, which ends with its value

    def entries(self, data: bytes | mmap, at: int) -> range:
        """Return the offsets of a directory's entries; that of the next directory stands at their `stop`."""
        (count,) = struct.unpack_from(self.length, data, at)
        begin = at + struct.calcsize(self.length)
        return range(begin, begin + count * self.entry, self.entry)


_LAYOUTS: Final = {
    b"II*\0": _Layout(4, "<I", "<H", 12),
    b"MM\0*": _Layout(4, ">I", ">H", 12),
    b"II+\0": _Layout(8, "<Q", "<Q", 20),
    b"MM\0+": _Layout(8, ">Q", ">Q", 20),
}


def directories(file: Path) -> tuple[int, ...]:
    """Return the offset of each picture's directory; none if the file is no TIFF, or cannot be read."""
    try:
        stat = file.stat()
        return _directories(file, stat.st_size, stat.st_mtime_ns)
    except OSError:  # reported when it is read
        return ()


@lru_cache(maxsize=4)
def _directories(file: Path, size: int, _: int) -> tuple[int, ...]:
    found: dict[int, None] = {}
    if not size:
        return ()
    with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
        layout = _LAYOUTS.get(data[:4])
        if layout is not None:
            with suppress(struct.error, OverflowError):  # cut short, or damaged
                (at,) = struct.unpack_from(layout.place, data, layout.head)
                while at and at not in found:
                    (following,) = struct.unpack_from(layout.place, data, layout.entries(data, at).stop)
                    found[at] = None
                    at = following
    return tuple(found)


def page_bytes(file: Path, page: int) -> bytes:
    """Return picture `page`, from 0, as a file of its own, which OpenCV reads however large the whole is.

    `FormatError`: there is no such picture, or it is damaged; `OSError`: it cannot be read.
    """
    places = directories(file)
    if page >= len(places):
        raise FormatError(f"the file has {len(places)} pictures by now")
    with (
        file.open("rb") as opened,
        translated(FormatError, "this is no whole picture"),
        mmap(opened.fileno(), 0, access=ACCESS_READ) as data,
    ):
        return _alone(data, places[page])


def _alone(data: mmap, directory: int) -> bytes:
    layout = _LAYOUTS[data[:4]]
    order, room = layout.place[0], struct.calcsize(layout.place)
    entries: dict[int, tuple[int, int, bytes]] = {}
    left = 2 * len(data)  # a damaged directory may name the same bytes again and again
    for entry in layout.entries(data, directory):
        tag, kind, count = struct.unpack_from(f"{order}HH{layout.place[1]}", data, entry)
        at, size = entry + layout.entry - room, count * _SIZES.get(kind, 1)
        if size > room:
            (at,) = struct.unpack_from(layout.place, data, at)
        left -= size
        if left < 0:
            raise FormatError("it claims to be larger than the file")
        if tag not in _DIRECTORIES:
            entries[tag] = kind, count, data[at : at + size]
    if _COMPRESSION in entries and _JPEG_OF_1992 in _numbers(entries[_COMPRESSION], order):
        raise FormatError("TIFF packed by JPEG of 1992 is not read where it holds several: save it as LZW")
    alone = bytearray(data[: layout.head + room])
    for tag, lengths in _PARTS.items():
        if tag in entries:
            begins = _numbers(entries[tag], order)
            sizes = _numbers(entries[lengths], order) if lengths in entries else [len(data) - begins[0]]
            left -= sum(sizes)
            if left < 0:
                raise FormatError("it claims to be larger than the file")
            moved = []
            for begin, size in zip(begins, sizes, strict=True):
                moved.append(len(alone))
                alone += data[begin : begin + size]
            entries[tag] = 4, len(moved), struct.pack(f"{order}{len(moved)}I", *moved)
    table = struct.pack(layout.length, len(entries))
    for tag, (kind, count, value) in sorted(entries.items()):
        table += struct.pack(f"{order}HH{layout.place[1]}", tag, kind, count)
        if len(value) > room:
            alone, value = alone + value, struct.pack(layout.place, len(alone))
        table += value.ljust(room, b"\0")
    struct.pack_into(layout.place, alone, layout.head, len(alone))
    return bytes(alone + table) + bytes(room)


def _numbers(entry: tuple[int, int, bytes], order: str) -> tuple[int, ...]:
    kind, count, value = entry
    return struct.unpack(f"{order}{count}{_FORMS[kind]}", value)


def spare_bits(data: bytes) -> int:
    """Return by how many bits OpenCV shifts up counts of 10, 12 or 14 bits, to make them 16 bits.

    0 for any picture but a TIFF of one channel with such counts.
    """
    numbers = _first_numbers(data)
    bits = numbers.get(_BITS, 0) if numbers.get(_CHANNELS, 1) == 1 else 0
    return 16 - bits if bits in _PACKED_BITS else 0


def is_of_one_bit(data: bytes) -> bool:
    """Return whether this is a TIFF of one bit per pixel: compressed, a whole row may take a single bit."""
    numbers = _first_numbers(data)
    return bool(numbers) and numbers.get(_BITS, 1) * numbers.get(_CHANNELS, 1) == 1


def is_turned(data: bytes | mmap) -> bool:
    """Return whether a TIFF, or EXIF data (in the same format), says to turn or mirror the picture."""
    return 1 < _first_numbers(data).get(_ORIENTATION, 1) <= 8


def is_reversed(data: bytes | mmap) -> bool:
    """Return whether a TIFF of more than 8 bits says that 0 is white; OpenCV leaves such counts alone."""
    numbers = _first_numbers(data)
    return numbers.get(_PHOTOMETRIC) == 0 and numbers.get(_BITS, 1) > 8


def is_multiplied(data: bytes) -> bool:
    """Return whether a TIFF says that its colours are multiplied by its alpha."""
    return _first_numbers(data).get(_ALPHA) == _MULTIPLIED


def as_stored(data: bytes) -> bytes | bytearray:
    """Return a picture file with a TIFF's orientation and alpha tags reset, which OpenCV would obey.

    `FormatError`: it is a TIFF that OpenCV cannot decompress, or misreads.
    """
    entries = list(_first_entries(data))
    if what := _not_read(_first_numbers(data)):
        raise FormatError(f"TIFF {what}")
    patched = bytearray(data) if entries else data
    for tag, form, place in entries:
        if tag in (_ORIENTATION, _ALPHA):
            struct.pack_into(form, patched, place, tag == _ORIENTATION)
    return patched


def _not_read(numbers: dict[int, int]) -> str:
    """Return why a TIFF with such tags is not read, and how to save it; an empty string if it is read."""
    bits, channels = numbers.get(_BITS, 1), numbers.get(_CHANNELS, 1)
    if packing := _NOT_UNPACKED.get(numbers.get(_COMPRESSION, 1)):
        return f"packed by {packing} is not read: save it as LZW or PNG"
    if bits == _BITS_OF_HALF and numbers.get(_FORMAT) == _FLOATS:
        return "of 16-bit floats is not read: save it as 32-bit floats"
    if channels > _MOST_CHANNELS or (channels == _WITH_ALPHA and bits > 8):
        return f"of {channels} channels of {bits} bits is not read: save the one that is meant"
    if channels > 1 and bits > 8 and numbers.get(_PLANES) == _APART:
        return f"of {bits} bits with its channels apart is not read: save them pixel by pixel"
    return ""


def _first_numbers(data: bytes | mmap) -> dict[int, int]:
    """Return the first number of each entry of a TIFF's first picture, by tag; none for other files."""
    return {tag: struct.unpack_from(form, data, place)[0] for tag, form, place in _first_entries(data)}


def _first_entries(data: bytes | mmap) -> Iterator[tuple[int, str, int]]:
    """Yield tag, `struct` format and offset of the first number of each entry of a TIFF's first picture."""
    layout = _LAYOUTS.get(data[:4])
    if layout is None:
        return
    with suppress(struct.error):  # cut short: the decoder says so
        (directory,) = struct.unpack_from(layout.place, data, layout.head)
        order, room = layout.place[0], struct.calcsize(layout.place)
        for entry in layout.entries(data, directory):
            tag, kind, count = struct.unpack_from(f"{order}HH{layout.place[1]}", data, entry)
            if kind not in _FORMS:
                continue
            at = entry + layout.entry - room
            if count * _SIZES[kind] > room:
                (at,) = struct.unpack_from(layout.place, data, at)
            if at + _SIZES[kind] <= len(data):
                yield tag, order + _FORMS[kind], at
