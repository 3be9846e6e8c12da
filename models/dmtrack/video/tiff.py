"""Where the pictures of a TIFF lie, so that one of many is decoded without those before it.

Source: TIFF 6.0, section 2 (directories); BigTIFF; libtiff's `tiff.h` (packings).
"""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import lru_cache
from mmap import ACCESS_COPY, ACCESS_READ, mmap
from pathlib import Path
from typing import Final, NamedTuple

from dmtrack.errors import FormatError

_COMPRESSION, _ORIENTATION = 259, 274
_NOT_UNPACKED: Final = {34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 50000: "ZSTD", 50001: "WebP"}


class _Layout(NamedTuple):
    head: int  # where the place of the first directory stands
    place: str  # how places are written, after the order of bytes
    length: str  # how the number of a directory's entries is written
    entry: int  # bytes of an entry, which ends with its value

    def entries(self, data: bytes | bytearray | mmap, at: int) -> range:
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
            with suppress(struct.error):  # cut short
                (at,) = struct.unpack_from(layout.place, data, layout.head)
                while at and at not in found:
                    (following,) = struct.unpack_from(layout.place, data, layout.entries(data, at).stop)
                    found[at] = None
                    at = following
    return tuple(found)


def page_bytes(file: Path, page: int) -> mmap:
    """Return a file as if its picture number `page`, from 0, came first: a decoder reads that one.

    Raises:
        FormatError: It has no such picture.
        OSError: It cannot be read.
    """
    places = directories(file)
    if page >= len(places):
        raise FormatError(f"the file has {len(places)} pictures by now")
    with file.open("rb") as opened:
        data = mmap(opened.fileno(), 0, access=ACCESS_COPY)
    layout = _LAYOUTS[data[:4]]
    struct.pack_into(layout.place, data, layout.head, places[page])
    return data


def as_stored(data: bytes | mmap) -> bytes | bytearray | mmap:
    """Return a picture file that says nothing of turning it: OpenCV obeys that in TIFF whatever it is told.

    Raises:
        FormatError: It is a TIFF that OpenCV cannot unpack.
    """
    layout = _LAYOUTS.get(data[:4])
    if layout is None:
        return data
    patched = data if isinstance(data, mmap) else bytearray(data)
    order = layout.place[0]
    with suppress(struct.error):  # cut short: the decoder says so
        (directory,) = struct.unpack_from(layout.place, data, layout.head)
        for entry in layout.entries(data, directory):
            (tag,) = struct.unpack_from(f"{order}H", data, entry)
            value = entry + layout.entry - struct.calcsize(layout.place)
            if tag == _ORIENTATION:
                struct.pack_into(f"{order}H", patched, value, 1)
            elif tag == _COMPRESSION:
                packing = _NOT_UNPACKED.get(*struct.unpack_from(f"{order}H", data, value))
                if packing is not None:
                    raise FormatError(f"TIFF packed by {packing} is not read: save it as LZW or PNG")
    return patched
