"""The pictures of one stream as a list of paths that costs little memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, overload

from dmtrack.video.picture_file import IMAGE_SUFFIXES, list_images

VIDEO_SUFFIXES: Final = frozenset(
    {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv"}
)

EVENT_SUFFIXES: Final = frozenset({".aedat", ".aedat4", ".csv", ".dat", ".es", ".h5", ".hdf5", ".raw"})
"""Recordings of event cameras as the data sets pass them on."""


@dataclass(frozen=True, slots=True)
class ImageFiles(Sequence[Path]):
    """Pictures of one folder in reading order: `files[index]` is a path.

    A benchmark has over a million pictures, so only the names are kept.
    """

    folder: Path
    names: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> ImageFiles:
        """List the pictures in `folder`, in the order in which a `FolderReader` reads them.

        Raises:
            VideoError: The folder cannot be read, or holds no pictures.
        """
        return cls(folder, tuple(path.name for path in list_images(folder)))

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> ImageFiles: ...
    def __getitem__(self, index: int | slice) -> Path | ImageFiles:
        """Return the path of one picture, or the pictures of a slice."""
        if isinstance(index, slice):
            return ImageFiles(self.folder, self.names[index])
        return self.folder / self.names[index]


def is_image(path: Path) -> bool:
    """Return whether a file of this name is a picture we read; hidden files are not."""
    return not path.name.startswith(".") and path.suffix.lower() in IMAGE_SUFFIXES


def is_video(path: Path) -> bool:
    """Return whether a file of this name is a video container we read; hidden files are not."""
    return not path.name.startswith(".") and path.suffix.lower() in VIDEO_SUFFIXES


def is_event_file(path: Path) -> bool:
    """Return whether a file of this name may be a recording of events; hidden files are not."""
    return not path.name.startswith(".") and path.suffix.lower() in EVENT_SUFFIXES
