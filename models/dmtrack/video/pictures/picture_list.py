"""Which files of a folder are the pictures of one stream, and remarks on doubtful ones."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from dmtrack.errors import VideoError, counted
from dmtrack.video.pictures.flir import FLIR_SUFFIXES
from dmtrack.video.pictures.picture_names import HEXADECIMAL, are_hexadecimal, are_in_time, natural_order

_LOGGER = logging.getLogger(__name__)

IMAGE_SUFFIXES: Final = FLIR_SUFFIXES | frozenset(
    {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".pgm", ".ppm", ".exr"}
)
VIDEO_SUFFIXES: Final = frozenset(
    {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv"}
    | {".3gp", ".asf", ".dv", ".flv", ".m2t", ".m2ts", ".mxf", ".nut", ".ogv", ".qt", ".vob", ".y4m"}
    | {".264", ".265", ".h264", ".h265", ".hevc", ".mjpeg", ".mjpg"}
)
_RECORDINGS: Final = VIDEO_SUFFIXES | {".bag", ".db3", ".mcap"}
_NOT_READ: Final = frozenset(
    {".webp", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".gif", ".tga"}
    | {".pbm", ".pnm", ".pfm", ".hdr", ".npy"}
    | {".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"}
)
"""Suffixes of pictures that are not read."""
_MANY: Final = 10
"""At most one of so many pictures is an exception: a copy, or one without a number like the others."""
_COPY: Final = re.compile(r"(?P<of>.+?)( \(\d+\)|[ _-]+(copy|kopie|copia|edited)\b.*)", re.IGNORECASE)


def list_images(folder: Path) -> tuple[Path, ...]:
    """Return the pictures of a folder in natural order (`2.png` before `10.png`); hidden files do not count.

    `VideoError`: the folder cannot be listed, or holds no pictures.
    """
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError as error:
        raise VideoError("no such folder", where=folder) from error
    except OSError as error:
        raise VideoError(f"the folder cannot be listed: {error.strerror}", where=folder) from error
    images = natural_order([entry for entry in entries if entry.suffix.lower() in IMAGE_SUFFIXES])
    if not images:
        below = sorted(entry.name for entry in entries if entry.is_dir())
        hint = f"it has the sub-folders {', '.join(below[:6])}: name one of them" if below else None
        if others := sorted({entry.suffix for entry in entries if _is_unread_frame(entry.name)}):
            hint = f"it has {', '.join(others)}: save them as PNG or TIFF"
        elif videos := sorted(entry.name for entry in entries if entry.suffix.lower() in _RECORDINGS):
            hint = f"it has {', '.join(videos[:6])}: name one of them"
        elif not below and any(entry.suffix.lower() == ".csv" for entry in entries):
            hint = "tables are not read: save them as TIFF of floats"
        raise VideoError("the folder holds no pictures (jpg, png, tif, bmp)", where=folder, hint=hint)
    return tuple(_one_series(images, folder))


def doubts_about(folder: Path) -> Iterator[str]:
    """Yield remarks on files that the user may miss, or not want, among the pictures, a sentence each."""
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    kinds = {name: f".{name.rpartition('.')[2].lower()}" for name in names}
    read = {name.rpartition(".")[0] for name, kind in kinds.items() if kind in IMAGE_SUFFIXES}
    others = [name for name in names if _is_unread_frame(name) and name.rpartition(".")[0] not in read]
    if others:
        are = counted(len(others), "file") + (" is" if len(others) == 1 else " are")
        yield f"{folder.name}: {are} not read, such as {others[0]}: save pictures as PNG or TIFF."
    videos = [name for name, kind in kinds.items() if kind in VIDEO_SUFFIXES]
    if videos:
        yield f"{folder.name}: its pictures are read, not {videos[0]}: name that to read it."
    copies = sorted(stem for stem in read if (copy := _COPY.fullmatch(stem)) and copy["of"] in read)
    if 0 < _MANY * len(copies) <= len(read):
        yield f"{folder.name}: what looks like a copy counts as a frame, such as {copies[0]!r}."
    if not are_in_time(read):
        what = "its pictures are in the order of the numbers in their names, which is not that of time"
        yield f"{folder.name}: {what}: name them by year, month, day and a clock of 24 hours."


def _is_unread_frame(name: str) -> bool:
    """Return whether a file may be a frame in a format that is not read: `0001.npy`, but not `K.npy`."""
    stem, _, kind = name.rpartition(".")
    return f".{kind.lower()}" in _NOT_READ and any(map(str.isdigit, stem))


def _one_series(images: Sequence[Path], folder: Path) -> Sequence[Path]:
    """Return the pictures without the few that, unlike all others, have no number, such as a thumbnail.

    `VideoError`: pictures with two patterns of names have the same numbers: they are two streams.
    """
    series: dict[tuple[str, str], dict[tuple[int, ...], Path]] = {}
    digits, base = (HEXADECIMAL, 16) if are_hexadecimal(images) else (r"(\d+)", 10)
    for image in images:
        words = re.split(digits, image.stem.lower())
        kind = "#".join(words[::2]), image.suffix.lower()
        series.setdefault(kind, {})[tuple(int(word, base) for word in words[1::2])] = image
    seen: dict[tuple[int, ...], Path] = {}
    for pictures in sorted(series.values(), key=len, reverse=True):
        twice = [number for number in pictures if number in seen]
        if len(twice) > 2 and 2 * len(twice) >= len(pictures):
            both = f"{seen[twice[0]].name} and {pictures[twice[0]].name}"
            hint = "give each of them a folder of its own"
            raise VideoError(f"it holds two series of pictures, as {both}", where=folder, hint=hint)
        seen |= pictures
    texts = {text.strip("#_-. ()") for text, _ in series if "#" in text}
    strays = [one[()] for (text, _), one in series.items() if () in one and text.strip("_-. ()") not in texts]
    if not 0 < _MANY * len(strays) <= len(images):
        return images
    _LOGGER.warning("%s: left out, it has no number like the others: %s", folder, strays[0].name)
    return [image for image in images if image not in strays]
