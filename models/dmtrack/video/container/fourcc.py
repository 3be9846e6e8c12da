"""Raw 16-bit counts under codec names unknown to libav: `Y16 ` of UVC cameras, `Z16 ` of depth cameras."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from av.container import InputContainer

_COUNTS: Final = ("Y10 ", "Y12 ", "Y14 ", "Y16 ", "Z16 ")  # little endian, as Video4Linux calls them
_IN_AVI: Final = re.compile(rb"strf.{20}(%b)" % "|".join(_COUNTS).encode(), re.DOTALL)
_KNOWN: Final = "b16g"  # also raw; libav decodes it in the other byte order
_AS: Final = "Y1\0\x10"  # libav's own name for them
_HEAD_BYTES: Final = 1 << 12


class CountsFile(io.FileIO):
    """An AVI file, read with its codec name replaced by one that libav knows."""

    def __init__(self, path: Path, place: int) -> None:
        super().__init__(path)
        self._place = place

    def __del__(self) -> None:
        """Close the file; the container only drops its reference."""
        self.close()

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes, or all, with the name replaced."""
        begin = self.tell()
        data = super().read(size) or b""
        at = self._place - begin
        if not 0 <= at <= len(data) - len(_KNOWN):
            return data
        return data[:at] + _KNOWN.encode() + data[at + len(_KNOWN) :]


def counts_file(path: Path) -> CountsFile | None:
    """Open an AVI of raw counts for reading; None for any other file. Source: BITMAPINFOHEADER."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    found = _IN_AVI.search(head) if head.startswith(b"RIFF") else None
    return None if found is None else CountsFile(path, found.start(1))


def name_counts(container: InputContainer, is_counts_file: bool) -> None:
    """Set the codec tags of an opened file so that libav decodes raw counts."""
    for stream in container.streams.video:
        context = stream.codec_context
        if context is not None and (
            context.codec_tag in _COUNTS or (is_counts_file and context.codec_tag == _KNOWN)
        ):
            context.codec_tag = _AS
