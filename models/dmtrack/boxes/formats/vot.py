"""Results as the VOT toolkit keeps them: one region per frame, and files of one value per frame beside it.

    car_001.txt               one region a line: x,y,w,h, or one of the codes below
    car_001_confidence.value  one number a line
    car_001_time.value        one number a line: seconds spent on the frame

Codes are 0 (nothing is known of the frame), 1 (the tracker was initialised here) and 2 (it failed here). The
region of a start box is not in such a file: the toolkit knows it. An unknown value is an empty line. Polygons
are read as their bounding boxes, in pixels counted from 1 as in VOT's ground truth; so are masks (`m` and
x,y,w,h, then runs of pixels outside and inside in turn, row by row), but counted from 0.

Source: VOT toolkit, `vot/tracker/results.py` and `vot/region/io.py` (format only).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final

from dmtrack.boxes.formats.mot import decimal_text, format_box
from dmtrack.boxes.parsing import box_of, is_number, number, placed, whole, words_of
from dmtrack.boxes.results import AbsentTarget, RecordingResults, ResultsGatherer
from dmtrack.datasets.ground_truth import read_text, truth_lines
from dmtrack.errors import FormatError
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox, TrackState

_POLYGON_ORIGIN: Final = 1
_MASK: Final = "m"
_MOST_MOT_COLUMNS: Final = 10
_CONFIDENCE: Final = "confidence"
_TIME: Final = "time"
_VALUE_DECIMALS: Final = 6


class RegionCode(IntEnum):
    """A code in place of a region."""

    UNKNOWN = 0
    INITIALIZATION = 1
    FAILURE = 2


def value_path(regions: Path, value: str) -> Path:
    """Return the file beside `regions` with one value per frame, such as `confidence`."""
    return regions.with_name(f"{regions.stem}_{value}.value")


def is_region(line: str) -> bool:
    """Tell masks, codes, and polygons of five or more corners from rows of MOT.

    Rows of MOT have at most ten numbers, of which the first two are whole.
    """
    words = words_of(line)
    if line.lstrip().startswith(_MASK) or line.strip() in [str(int(code)) for code in RegionCode]:
        return True
    if len(words) < _MOST_MOT_COLUMNS or len(words) % 2 or not all(map(is_number, words)):
        return False
    return len(words) > _MOST_MOT_COLUMNS or not all(number(word).is_integer() for word in words[:2])


def has_values(regions: Path) -> bool:
    """Return whether files with one value per frame lie beside `regions`."""
    return any(value_path(regions, name).is_file() for name in (_CONFIDENCE, _TIME))


def read_vot(path: Path, name: str, target_id: int = 1) -> RecordingResults:
    """Read the regions of one target, and its confidence and time if files of them lie beside it.

    `FormatError`: a file cannot be read, a line (named) is malformed, or the numbers of lines differ.
    """
    lines = truth_lines(path)
    scores = _read_values(value_path(path, _CONFIDENCE), len(lines))
    times_s = _read_values(value_path(path, _TIME), len(lines))
    gatherer = ResultsGatherer()
    for index, (line, score, spent_s) in enumerate(zip(lines, scores, times_s, strict=True)):
        with placed(f"{path}, line {index + 1}"):
            box, state = _region(line)
            gatherer.add(index, target_id, box, score, state)
        gatherer.add_frame(index, infer_ms=None if spent_s is None else round(spent_s * 1000, 9))
    return gatherer.results(name)


def vot_files(results: RecordingResults, target_id: int) -> Iterator[tuple[str, str | None]]:
    """Yield the files of one target: regions, confidence, time.

    Each is the suffix of its name after that of the regions, and its text; None if there are no values, and
    an older file of that name must be deleted.
    """
    frames = list(results.every_frame())
    entries = [frame.target(target_id) for frame in frames]
    yield "", "".join(f"{_region_text(entry)}\n" for entry in entries)
    scores = [None if entry is None else entry.score for entry in entries]
    spent_s = [None if frame.infer_ms is None else frame.infer_ms / 1000 for frame in frames]
    for name, values in ((_CONFIDENCE, scores), (_TIME, spent_s)):
        is_known = any(value is not None for value in values)
        texts = ("" if value is None else decimal_text(value, _VALUE_DECIMALS) for value in values)
        yield f"_{name}.value", "".join(f"{text}\n" for text in texts) if is_known else None


def _region_text(entry: TrackedBox | AbsentTarget | None) -> str:
    if entry is not None and entry.state is TrackState.INIT:
        return str(int(RegionCode.INITIALIZATION))
    return str(int(RegionCode.UNKNOWN)) if entry is None or entry.box is None else format_box(entry.box)


def _region(line: str) -> tuple[Box | None, TrackState | None]:
    words = words_of(line.strip().removeprefix(_MASK))
    if line.strip().startswith(_MASK):
        return _box_of_mask([whole(word, "mask") for word in words]), None
    if len(words) != 1:
        return _box_of([number(word) for word in words]), None
    code = whole(words[0], "region code")
    if code not in [*RegionCode]:
        raise FormatError(f"region code {code} is none of 0, 1 and 2")
    return None, TrackState.INIT if code == RegionCode.INITIALIZATION else None


def _box_of(values: Sequence[float]) -> Box | None:
    """Return the box of a rectangle or polygon; None if it has no area, or all numbers are NaN."""
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        raise FormatError(
            f"{len(values)} values are no region", hint="x,y,w,h, or the corners of a polygon, or a code"
        )
    if any(map(math.isnan, values)):
        if not all(map(math.isnan, values)):
            raise FormatError("holds a part of a box", hint="where the target is absent all of it is nan")
        return None
    if len(values) == 4:
        x, y, w, h = values
    else:
        xs, ys = ([value - _POLYGON_ORIGIN for value in values[axis::2]] for axis in (0, 1))
        x, y, w, h = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    return box_of(x, y, w, h) if w > 0 and h > 0 else None


def _box_of_mask(values: Sequence[int]) -> Box | None:
    left, top, width, height, *runs = values if len(values) > 4 else (0, 0, 0, 0)
    edges = [0, *accumulate(runs)]
    if min(width, height) <= 0 or min(runs) < 0 or edges[-1] > width * height:
        raise FormatError("is no mask", hint="m and x,y,w,h, then runs of pixels outside and inside in turn")
    inside = [(first, end - 1) for first, end in list(pairwise(edges))[1::2] if end > first]
    if not inside:
        return None
    rows = [edge // width for run in inside for edge in run]
    is_wide = any(first // width != last // width for first, last in inside)
    columns = [0, width - 1] if is_wide else [edge % width for run in inside for edge in run]
    x, y = min(columns), min(rows)
    return box_of(left + x, top + y, max(columns) - x + 1, max(rows) - y + 1)


def _read_values(path: Path, count: int) -> list[float | None]:
    if not path.is_file():
        return [None] * count
    lines = read_text(path).splitlines()
    if len(lines) != count:
        raise FormatError(f"has {len(lines)} lines, but there are {count} regions", where=path)
    values: list[float | None] = []
    for row, line in enumerate(lines, start=1):
        with placed(f"{path}, line {row}"):
            value = number(line) if line.strip() else math.nan
        values.append(value if math.isfinite(value) else None)
    return values
