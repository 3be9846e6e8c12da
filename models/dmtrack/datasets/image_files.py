"""The pictures of one stream as a list of paths that costs little memory."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, overload

from dmtrack.errors import DatasetError

IMAGE_SUFFIXES: Final = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff"})
VIDEO_SUFFIXES: Final = frozenset(
    {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv"}
)


@dataclass(frozen=True, slots=True)
class ImageFiles(Sequence[Path]):
    """Pictures of one folder in the order of their numbers: `files[index]` is a path.

    A benchmark has over a million pictures, so only the names are kept.
    """

    folder: Path
    names: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> ImageFiles:
        """List the pictures in `folder`; hidden files and other kinds of files are left out.

        Raises:
            DatasetError: The folder cannot be read.
        """
        try:
            names = [name for name in os.listdir(folder) if is_image(name)]
        except OSError as error:
            raise DatasetError(f"cannot be read ({error.strerror})", where=folder) from error
        return cls(folder, tuple(sorted(names, key=natural_key)))

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> ImageFiles: ...
    def __getitem__(self, index: int | slice) -> Path | ImageFiles:
        if isinstance(index, slice):
            return ImageFiles(self.folder, self.names[index])
        return self.folder / self.names[index]


def is_image(name: str) -> bool:
    """Return whether a file of this name is a picture we read."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def is_video(name: str) -> bool:
    """Return whether a file of this name is a video container we read."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Return a sort key by which `frame10` comes after `frame2`, whether padded with zeros or not."""
    pieces = re.findall(r"\d+|\D+", name)
    return tuple((int(piece), "") if piece.isdecimal() else (-1, piece) for piece in pieces)
