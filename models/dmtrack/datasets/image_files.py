"""The pictures of one stream as a compact list of paths, and which of them are missing.

Data sets number the pictures of a stream, each in its own way (`00001v.jpg`, `v000012.jpg`, `frame0003.bmp`,
`0001_1.png`). Streams are paired by position, so a picture that is missing in one stream only would shift all
later ones.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, overload

from dmtrack.errors import listed
from dmtrack.video.pictures.picture_list import IMAGE_SUFFIXES, VIDEO_SUFFIXES, list_images

EVENT_SUFFIXES: Final = frozenset({".aedat", ".aedat4", ".csv", ".dat", ".es", ".h5", ".hdf5", ".raw"})
"""Suffixes of event recordings in data sets."""


_NAMED = 3
_SPARSEST = 1000  # numbers more sparse than this are times, and have no gaps


@dataclass(frozen=True, slots=True)
class ImageFiles(Sequence[Path]):
    """The pictures of one folder in reading order: `files[index]` is a path.

    A benchmark has over a million pictures, so only the names are kept.
    """

    folder: Path
    names: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> ImageFiles:
        """List the pictures in `folder`, in the order in which a `FolderReader` reads them.

        `VideoError`: the folder cannot be read, or holds no pictures.
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


def picture_numbers(names: Sequence[str]) -> tuple[int, ...] | None:
    """Return the number in each name that counts the pictures; None if there is no such number.

    `names` are the files of one stream, in reading order.
    """
    groups = [re.findall(r"\d+", name.rpartition(".")[0] or name) for name in names]
    if not groups or len({len(found) for found in groups}) != 1:
        return None
    for column in zip(*groups, strict=True):
        numbers = tuple(int(word) for word in column)
        if all(earlier < later for earlier, later in itertools.pairwise(numbers)):
            return numbers
    return None


def gaps(numbers: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers that are missing between the first and the last; empty for a regular step."""
    steps = [later - earlier for earlier, later in itertools.pairwise(numbers)]
    if not steps or min(steps) > 1 or len(set(steps)) == 1:
        return ()
    if numbers[-1] - numbers[0] > _SPARSEST * len(numbers):
        return ()  # they are times
    present = set(numbers)
    return tuple(number for number in range(numbers[0], numbers[-1]) if number not in present)


def what_is_missing(names: Sequence[str]) -> str:
    """Return, in words, which pictures of a stream are missing; empty if none is or it cannot be told."""
    numbers = picture_numbers(names)
    left_out = () if numbers is None else gaps(numbers)
    return f"missing in the numbering: {_listed(left_out)}" if left_out else ""


def without_partner(names: Sequence[str], others: Sequence[str]) -> str:
    """Return, in words, which pictures of two streams have no partner, by their numbers.

    Streams without a common number are assumed to begin together. Empty if every picture has a partner, or it
    cannot be told.
    """
    first, second = picture_numbers(names), picture_numbers(others)
    if first is None or second is None or min(len(first), len(second)) < 2:
        return ""
    if len(first) == len(second) and not gaps(first) and not gaps(second):
        return ""
    shift = 0 if set(first) & set(second) else second[0] - first[0]
    here, there = {number + shift for number in first}, set(second)
    parts = []
    if here - there:
        parts.append(f"only in the first: {_listed(sorted(number - shift for number in here - there))}")
    if there - here:
        parts.append(f"only in the second: {_listed(sorted(there - here))}")
    return ", ".join(parts)


def _listed(numbers: Sequence[int]) -> str:
    return f"number {listed([str(number) for number in numbers], _NAMED)}"
