"""Pairing of picture streams by the numbers, or the whole seconds, in their names."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from fractions import Fraction
from itertools import chain, islice, pairwise
from pathlib import Path
from statistics import median_low
from typing import Final

from dmtrack.video.pictures.folder import FolderReader
from dmtrack.video.pictures.picture_names import seconds_in_names
from dmtrack.video.source import DEFAULT_FRAME_RATE, FrameSource

_NAMED: Final = 6
_LONG_STEP: Final = 10
"""Numbers in names that are usually so far apart, and differ between streams, count time, not pictures."""


def match_numbers(rgb: FrameSource, aux: FrameSource, folder_rate: Fraction | None) -> list[str]:
    """Give pictures the times that the numbers in their names imply, and return remarks about it.

    This is done only if numbers are missing on one side. Two folders that span equally many numbers, but
    start one apart or have few in common, are shifted onto each other. If steps are long, as of microseconds,
    the nearest numbers are paired, like times. Other folders with few numbers in common are paired by place.
    """
    folders = [one for one in (rgb, aux) if isinstance(one, FolderReader) and not one.has_clock]
    seconds = [found for folder in folders if (found := seconds_in_names(folder.files)) is not None]
    if folder_rate is None and seconds and len(seconds) == len(folders) and rgb.info.path != aux.info.path:
        return _match_seconds(rgb, aux, folders, seconds)
    lists = [_numbers(folder.files) for folder in folders]
    if not all(lists):
        return []
    if len(lists) == 2:
        counting, step = "", min(map(_usual_step, lists))
        usual = rgb.info.frame_rate or DEFAULT_FRAME_RATE
        rate, assumed = usual * step, f"; their times assume {float(usual):g} pictures a second"
        by_place = f"by place: {_counting(rgb, lists[0])}, {_counting(aux, lists[1])}"
        if step < _LONG_STEP and _counts_from_elsewhere(*lists):
            counting = f" ({by_place.partition(': ')[2]})"
            lists[1] = [number + lists[0][0] - lists[1][0] for number in lists[1]]
        first, second = map(set, lists)
        if first == second:
            return [f"Pictures are paired {by_place}."] if counting else remarks_on_gaps(folders[0])
        if _have_little_in_common(first, second):
            if step < _LONG_STEP:
                return [f"Pictures are paired {by_place}."]
            for folder, numbers in zip(folders, lists, strict=True):
                folder.number(numbers, min(first | second), rate)
            return [f"Pictures are paired by the nearest numbers in their names{assumed}."]
        missing = [_missing(rgb, first - second), _missing(aux, second - first)]
        origin = min(first | second)
    elif len(lists) == 1 and rgb.info.path != aux.info.path:
        (numbers,), (folder,) = lists, folders
        video = aux if folder is rgb else rgb
        origin, rate = min(numbers[0], 1), folder_rate or video.info.frame_rate or DEFAULT_FRAME_RATE
        frames = video.measured().frame_count
        if frames is None or not len(numbers) < numbers[-1] + 1 - origin <= frames:
            return remarks_on_gaps(folder)
        gaps = set(range(origin, numbers[-1] + 1)) - set(numbers)
        missing, counting, assumed = [_missing(video, gaps)], "", ""
    else:
        return []
    for folder, numbers in zip(folders, lists, strict=True):
        folder.number(numbers, origin, rate)
    said = ", ".join(one for one in missing if one)
    return [f"Pictures are paired by the numbers in their names{counting}: {said}{assumed}."]


def _match_seconds(
    rgb: FrameSource, aux: FrameSource, folders: Sequence[FolderReader], lists: list[list[int]]
) -> list[str]:
    """Give pictures the times that are whole seconds in their names; see `match_numbers`.

    If the other stream has a clock, times that overlap its own are kept; others are shifted to begin with it.
    """
    said = "Pictures are paired by the times in their names."
    if len(folders) == 1:
        if rgb.measured().frame_count == aux.measured().frame_count:
            return []
        (video,) = [one for one in (rgb, aux) if one is not folders[0]]
        if not video.has_clock:
            return []
        known = video.measured()
        if lists[0][0] <= known.start_s + (known.duration_s or 0) and known.start_s <= lists[0][-1]:
            folders[0].date(lists[0])
            return [said]
        said = f"The times in the names of {folders[0].info.path.name} begin with {video.info.path.name}."
    elif _counts_from_elsewhere(*lists) and len(lists[0]) == len(lists[1]):
        apart = lists[1][0] - lists[0][0]
        lists[1] = [number - apart for number in lists[1]]
        said = f"Pictures are paired by place: the times in their names are {apart:+d} s apart."
    origin = min(numbers[0] for numbers in lists)
    for folder, numbers in zip(folders, lists, strict=True):
        folder.number(numbers, origin, Fraction(1))
    return [said]


def _counts_from_elsewhere(first: Sequence[int], second: Sequence[int]) -> bool:
    """Return whether two lists span equally many numbers, but start one apart or have few in common."""
    shift = second[0] - first[0]
    is_as_long = first[-1] - first[0] == second[-1] - second[0]
    return is_as_long and (
        abs(shift) == 1 or (shift != 0 and _have_little_in_common(set(first), set(second)))
    )


def _have_little_in_common(first: set[int], second: set[int]) -> bool:
    return 2 * len(first & second) < min(len(first), len(second))


def _usual_step(numbers: Sequence[int]) -> int:
    return median_low(later - earlier for earlier, later in pairwise(numbers)) if numbers[1:] else 1


def remarks_on_gaps(folder: FolderReader) -> list[str]:
    """Return a remark on the numbers that the names of pictures leave out, if they count pictures."""
    numbers = _numbers(folder.files)
    step = _usual_step(numbers)
    left_out = [range(earlier + step, later, step) for earlier, later in pairwise(numbers)]
    count = sum(map(len, left_out))
    if not count or step >= _LONG_STEP or (step > 1 and count > len(numbers)):
        return []
    listed = _listed(list(islice(chain.from_iterable(left_out), _NAMED + 1)))
    return [f"The names leave out {listed}: the times continue as if no picture were missing."]


def _missing(source: FrameSource, numbers: Collection[int]) -> str:
    return f"only in {source.info.path.name} {_listed(sorted(numbers))}" if numbers else ""


def _counting(source: FrameSource, numbers: Sequence[int]) -> str:
    return f"{source.info.path.name} counts from {numbers[0]}"


def _numbers(files: Sequence[Path]) -> list[int]:
    """Return, for each name, the last of its numbers that rises from name to name; nothing if none does."""
    found = [re.findall(r"\d{1,18}", file.stem)[::-1] for file in files]
    for digits in zip(*found, strict=False):
        numbers = [int(one) for one in digits]
        if all(later > earlier for earlier, later in pairwise(numbers)):
            return numbers
    return []


def _listed(numbers: Sequence[int]) -> str:
    more = ", …" if len(numbers) > _NAMED else ""
    return ", ".join(str(number) for number in numbers[:_NAMED]) + more or "none"
