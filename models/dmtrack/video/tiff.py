"""The pictures of a TIFF, each by itself, so that one of many is decoded without those before it.

Source: TIFF 6.0, section 2 (directories); BigTIFF; libtiff's `tiff.h` (packings).
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

_BITS, _COMPRESSION, _ORIENTATION = 258, 259, 274
_PACKED_BITS: Final = (10, 12, 14)
_JPEG_OF_1992: Final = 6  # whose tables lie anywhere in the file
_PARTS: Final = {273: 279, 324: 325, 513: 514}  # where the parts of a picture lie, and how long they are
_DIRECTORIES: Final = (330, 34665, 34853, 40965)  # of smaller pictures, of EXIF
_FORMS: Final = {3: "H", 4: "I", 16: "Q"}  # how whole numbers are written, by their kind
_SIZES: Final = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_NOT_UNPACKED: Final = {34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 50000: "ZSTD", 50001: "WebP"}


class _Layout(NamedTuple):
    head: int  # where the place of the first directory stands
    place: str  # how places are written, after the order of bytes
    length: str  # how the number of a directory's entries is written
    entry: int  # bytes of an entry, which ends with its value

    def entries(self, data: bytes | mmap, at: int) -> range:
        """Return where the entries of a directory begin; the place of the next directory stands behind."""
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
    """Return where the directory of each picture stands; nothing of what is no TIFF, or cannot be read."""
    try:
        stat = file.stat()
        return _directories(file, stat.st_size, stat.st_mtime_ns)
    except OSError:  # said when it is read
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
    """Return picture number `page`, from 0, as a file of its own; however large the file, OpenCV reads that.

    Raises:
        FormatError: There is no such picture, or it is damaged.
        OSError: It cannot be read.
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
    """Return by how many bits counts of 10, 12 or 14 bits are moved up: OpenCV makes 16 of them.

    0 for what is no TIFF of one channel.
    """
    for tag, count, value in _first_entries(data):
        if tag == _BITS and count == 1:
            (bits,) = struct.unpack_from(_LAYOUTS[data[:4]].place[0] + "H", data, value)
            return 16 - bits if bits in _PACKED_BITS else 0
    return 0


def _first_entries(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield tag, count and place of the value of each entry of the first picture, if it is a TIFF."""
    layout = _LAYOUTS.get(data[:4])
    if layout is None:
        return
    with suppress(struct.error):  # cut short: the decoder says so
        (directory,) = struct.unpack_from(layout.place, data, layout.head)
        room = struct.calcsize(layout.place)
        for entry in layout.entries(data, directory):
            tag, _, count = struct.unpack_from(f"{layout.place[0]}HH{layout.place[1]}{room}x", data, entry)
            yield tag, count, entry + layout.entry - room


def as_stored(data: bytes) -> bytes | bytearray:
    """Return a picture file that says nothing of turning it: OpenCV obeys that in TIFF whatever it is told.

    Raises:
        FormatError: It is a TIFF that OpenCV cannot unpack.
    """
    if data[:4] not in _LAYOUTS:
        return data
    patched = bytearray(data)
    number = _LAYOUTS[data[:4]].place[0] + "H"
    for tag, _, value in _first_entries(data):
        if tag == _ORIENTATION:
            struct.pack_into(number, patched, value, 1)
        elif tag == _COMPRESSION:
            packing = _NOT_UNPACKED.get(*struct.unpack_from(number, data, value))
            if packing is not None:
                raise FormatError(f"TIFF packed by {packing} is not read: save it as LZW or PNG")
    return patched
