"""File formats that are recognised but not read: the error names each and says how to export it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

import imagesize

from dmtrack.errors import VideoError
from dmtrack.video.pictures.jpeg import jpeg_segments
from dmtrack.video.pictures.tiff import is_reversed, is_turned

LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_PNG, _PNG_EXIF = b"\x89PNG", b"eXIf"
_HEAD_BYTES: Final = 64
_PICTURE_HEAD_BYTES: Final = 1 << 18
_DJI_RAW: Final = 0xE3  # segments (APP3) in which DJI stores the thermal sensor's raw data


@dataclass(frozen=True, slots=True)
class Foreign:
    """A file format that is not read, recognised by its first bytes or its suffix."""

    what: str  # what it is
    hint: str  # how to convert it to a format that is read
    magic: bytes | None = None  # its first bytes, if they identify it
    suffixes: tuple[str, ...] = ()  # its suffixes, if only these identify it


_KNOWN: Final = (
    Foreign("this is a Git LFS pointer, not the file itself", "run `git lfs pull`", LFS_POINTER),
    Foreign(
        "this is a recording of a FLIR science camera",
        "export it as 16-bit TIFF pictures or as a video with FLIR Research Studio",
        suffixes=(".ats", ".ptw", ".sfmov"),
    ),
    Foreign(
        "this is a radiometric video of an Optris camera",
        "export it as TIFF pictures or as a plain AVI with Optris PIX Connect",
        suffixes=(".ravi",),
    ),
    Foreign(
        "this is a recording of a ZED camera",
        "export its left pictures and its depth with the ZED SDK: `python svo_export.py --mode 4`",
        suffixes=(".svo", ".svo2"),
    ),
    Foreign("WebP is not read", "save it as MP4, GIF or animated PNG", suffixes=(".webp",)),
)


def picture_notes(files: Sequence[Path]) -> tuple[str, ...]:
    """Return notes on a stream of such pictures, a sentence each; the first file must be undamaged."""
    with files[0].open("rb") as opened:
        head = opened.read(_PICTURE_HEAD_BYTES)
    kinds = [kind for kind, _, _ in jpeg_segments(head)] if head.startswith(b"\xff\xd8") else []
    notes = []
    name = files[0].parent.name
    if _says(_is_turned, files):
        notes.append(f"{name}: EXIF says to turn or mirror the pictures; they and boxes stay as stored.")
    if _says(is_reversed, files):
        notes.append(f"{name}: its TIFF say that 0 is white; counts of more than 8 bits stay as stored.")
    if b"DJI" in head and _DJI_RAW in kinds:
        notes.append(
            f"{name} holds DJI's R-JPEG: their coloured pictures are used; for temperatures "
            "convert them with DJI's Thermal SDK (`dji_irp -a measure`) and store them as TIFF of floats."
        )
    return tuple(notes)


def _says(what: Callable[[mmap], bool], files: Sequence[Path]) -> bool:
    """Return whether `what` holds for any of the files; unreadable ones are passed over."""
    for file in files:
        with (
            suppress(OSError, ValueError, struct.error),
            file.open("rb") as opened,
            mmap(opened.fileno(), 0, access=ACCESS_READ) as data,
        ):
            if what(data):
                return True
    return False


def _is_turned(data: mmap) -> bool:
    head = data[:_PICTURE_HEAD_BYTES]
    if head.startswith(b"\xff\xd8"):
        return bool(imagesize.get_info(BytesIO(head)).rotation > 1)  # 1: upright; -1: not stated
    begin = head.find(_PNG_EXIF) + len(_PNG_EXIF) if head.startswith(_PNG) else 0
    return is_turned(data[begin : begin + _PICTURE_HEAD_BYTES] if begin else data)


def require_known(path: Path) -> None:
    """Raise a `VideoError` that says how to export a file if its format is recognised, but not read."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    for one in _KNOWN:
        if path.suffix.lower() in one.suffixes or (one.magic is not None and head.startswith(one.magic)):
            raise VideoError(one.what, where=path, hint=one.hint)
