"""Text files in a ZIP archive, as annotation tools and evaluation servers take them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from dmtrack.atomic import utf8
from dmtrack.errors import FormatError, translated

_SMALL_BYTES: Final = 1 << 26
_MOST_RATIO: Final = 200  # largest compression ratio of rows of boxes, except for short files of equal rows
_FIXED_DATE: Final = (1980, 1, 1, 0, 0, 0)  # so that the same results give the same bytes


def most_unpacked_bytes(archive: Path) -> int:
    """Return the size to which an archive may unpack: few bytes can stand for a gigabyte of zeros."""
    return _SMALL_BYTES + _MOST_RATIO * archive.stat().st_size


def packed(files: Mapping[str, str]) -> bytes:
    """Return a ZIP archive of texts, given by name."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(utf8(name).decode().replace("\\", "_"), _FIXED_DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, utf8(text))
    return data.getvalue()


def member_names(path: Path) -> tuple[str, ...]:
    """Return the names of an archive's members; `FormatError` if it is damaged."""
    with translated(FormatError, "is not a whole ZIP archive", where=path), zipfile.ZipFile(path) as archive:
        return tuple(archive.namelist())


def member_texts(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the texts of the members that exist; `FormatError`: damaged, too large or not text."""
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
