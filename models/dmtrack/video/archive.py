"""Zip archives: the sizes that members claim are checked before anything is unpacked."""

from __future__ import annotations

import logging
import re
import shutil
import weakref
import zipfile
from collections import Counter
from functools import lru_cache
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import Final

from dmtrack.errors import FormatError, VideoError, counted, stands_for, translated
from dmtrack.video.foreign import require_known

_LOGGER = logging.getLogger(__name__)
_MOST_RATIO: Final = 64  # recordings compress no better: a higher ratio is a zip bomb
_SMALL_BYTES: Final = 256 << 20
_MOST_MEMBERS: Final = 1_000_000
_OF_SYSTEM: Final = re.compile(r"\.|(__MACOSX|Thumbs\.db|desktop\.ini)$", re.IGNORECASE)
_BESIDE: Final = frozenset({".txt", ".md", ".json", ".xml", ".yaml", ".yml", ".csv", ".srt", ".pdf", ".html"})
"""Suffixes of files that accompany a recording: ignored unless there is nothing else."""


def is_of_system(name: str) -> bool:
    """Return whether a file or folder is hidden, or left by an operating system (`Thumbs.db`)."""
    return _OF_SYSTEM.match(name) is not None


def is_archive(path: Path) -> bool:
    """Return whether a path is a file named as a zip archive."""
    return path.suffix.lower() == ".zip" and path.is_file()


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open a zip archive; `VideoError` if it is none, or incomplete."""
    with translated(VideoError, "this is no whole zip archive", where=path, hint="copy it again"):
        require_known(path)
        return zipfile.ZipFile(path)


def read_member(archive: zipfile.ZipFile, name: str, most_bytes: int) -> bytes:
    """Return a member's content; `FormatError` if it is missing, damaged or larger than `most_bytes`."""
    with translated(FormatError, f"{name} cannot be read"):
        with archive.open(name) as member:
            data = member.read(most_bytes + 1)
        if len(data) > most_bytes:
            raise FormatError(f"{name} is larger than {most_bytes} bytes")
        return data


def inside(path: Path) -> Path:
    """Unpack an archive to a temporary folder, and return the folder inside or the only file.

    Any other path is returned unchanged. `VideoError`: the archive is incomplete, empty, too large, or holds
    several folders.
    """
    if not is_archive(path):
        return path
    stat = path.stat()
    return _found(Path(_unpacked(path.absolute(), stat.st_size, stat.st_mtime_ns).name), path)


def _found(folder: Path, archive: Path) -> Path:
    while True:
        there = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        entries = [one for one in there if one.is_dir() or one.suffix.lower() not in _BESIDE] or there
        if len(entries) != 1:
            break
        if entries[0].is_file():
            return entries[0]
        folder = entries[0]
    if not entries:
        raise VideoError("the archive holds nothing", where=archive)
    if all(entry.is_dir() for entry in entries):
        names = ", ".join(sorted(entry.name for entry in entries)[:6])
        raise VideoError(f"the archive holds the folders {names}", where=archive, hint="unpack it; name two")
    return folder


class _Scratch:
    """A temporary folder, removed with the last reference to it, at the latest when the program ends."""

    def __init__(self) -> None:
        self.name = mkdtemp(prefix="dmtrack-")
        weakref.finalize(self, shutil.rmtree, self.name, ignore_errors=True)


@lru_cache(maxsize=8)
def _unpacked(path: Path, size_bytes: int, _: int) -> _Scratch:
    with open_archive(path) as archive:
        members = [
            one
            for one in archive.infolist()
            if not one.is_dir() and not any(map(is_of_system, PurePosixPath(one.filename).parts))
        ]
        total = sum(one.file_size for one in members)
        if total > max(_SMALL_BYTES, _MOST_RATIO * size_bytes) or len(members) > _MOST_MEMBERS:
            files = counted(len(members), "file")
            what = f"{files} of {total >> 20} MiB are more than a recording packs so small"
            raise VideoError(what, where=path, hint="unpack it yourself if it is one")
        scratch = _Scratch()
        if total > shutil.disk_usage(scratch.name).free:
            raise VideoError(f"there is no room to unpack its {total >> 20} MiB", where=path)
        with translated(VideoError, "the archive cannot be unpacked", where=path):
            # `extract` writes no member beyond its claimed size, or outside the folder
            written = Counter(archive.extract(member, scratch.name) for member in members)
    for name, times in written.most_common(1):
        if times > 1:
            said = "%s: it holds %s %d times: of several files with one name, the last is read"
            _LOGGER.warning(said, path, Path(name).name, times)
    stands_for(Path(scratch.name), path)
    return scratch
