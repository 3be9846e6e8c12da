"""Text files packed as ZIP, as annotators' programs and evaluation servers take them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from dmtrack.atomic import utf8
from dmtrack.errors import FormatError, translated

_SMALL_BYTES: Final = 1 << 26
_PACKED: Final = 200  # rows of boxes are not packed more densely, but for short files of equal rows
_MADE: Final = (1980, 1, 1, 0, 0, 0)  # a fixed date: the same results give the same bytes


def most_unpacked_bytes(archive: Path) -> int:
    """Return to how much text an archive may unpack: few bytes can stand for a gigabyte of zeros."""
    return _SMALL_BYTES + _PACKED * archive.stat().st_size


def packed(files: Mapping[str, str]) -> bytes:
    """Return an archive of these texts."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(utf8(name).decode().replace("\\", "_"), _MADE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, utf8(text))
    return data.getvalue()


def member_names(path: Path) -> tuple[str, ...]:
    """Return what is in an archive; `FormatError` where it is no whole one."""
    with translated(FormatError, "is not a whole ZIP archive", where=path), zipfile.ZipFile(path) as archive:
        return tuple(archive.namelist())


def member_texts(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the texts of the members that are there; `FormatError`: damaged, too large or no text."""
    texts, room = {}, most_unpacked_bytes(path)
    with translated(FormatError, "is not a whole ZIP archive", where=path), zipfile.ZipFile(path) as archive:
        for name in set(names) & set(archive.namelist()):
            room -= archive.getinfo(name).file_size
            if room < 0:
                raise FormatError(f"{name} is implausibly large", where=path)
            try:
                texts[name] = archive.read(name).decode("utf-8-sig")
            except UnicodeDecodeError:
                raise FormatError(f"{name} is not text", where=path) from None
    return texts
