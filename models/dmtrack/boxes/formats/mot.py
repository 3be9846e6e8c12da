"""MOT Challenge text: `frame,id,x,y,w,h,conf,-1,-1,-1`, one box per line, no header.

Frame numbers count from 1 (`frame_index + 1`). Coordinates are raw pixels, with 0 for the top left of the
picture; `origin=1` adds 1 to x and y, which is the letter of the standard. An unknown score is written as -1,
which MOT Challenge writes for "not used". A lost target gets no line, since scorers count each as a box.

Precision: numbers are written with at most six decimals (a millionth of a pixel), without trailing zeros.
Reading gives back exactly the value rounded to six decimals, so writing what was read gives the same bytes.

Source: MOT Challenge 2015, section "Data format" (arXiv:1504.01942).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

from dmtrack.boxes.parsing import box_of, finite, placed, rows_of, whole, words_of
from dmtrack.boxes.results import FrameBoxes, RecordingResults, ResultsGatherer
from dmtrack.datasets.ground_truth import truth_lines
from dmtrack.errors import ConfigError, FormatError
from dmtrack.geometry.box import Box
from dmtrack.numbers import shown
from dmtrack.options import Option
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.tracking.start import free_ids

DECIMALS: Final = 6
MS_DECIMALS: Final = 3  # for milliseconds
LEAST_COLUMNS: Final = 6
_DETECTION: Final = re.compile(r"^(\s*[^,;\s]+\s*[,;\s])\s*-1(?:\.0*)?(\s*[,;\s])")  # a row whose id is -1
_SMALLEST_SIDE_PX: Final = 10.0**-DECIMALS
_UNKNOWN_SCORE: Final = -1.0
_ORIGINS: Final = (0, 1)


def parse_origin(text: str) -> int:
    """Read 0 or 1; `ValueError` for other text."""
    if text.strip() not in map(str, _ORIGINS):
        raise ValueError(f"{text!r} is not 0 or 1")
    return int(text)


@dataclass(frozen=True, slots=True)
class MotOptions:
    """How a MOT file is written."""

    keep_lost: Annotated[
        bool,
        Option(
            "--keep-lost",
            "mot, motchallenge, kitti: also write boxes of lost targets, which scorers count as false "
            "positives.",
        ),
    ] = False
    origin: Annotated[
        int,
        Option(
            "--mot-origin",
            "mot, motchallenge: coordinate of the top left pixel; 1 follows the standard to the letter.",
            metavar="[0|1]",
            parse=parse_origin,
        ),
    ] = 0

    def __post_init__(self) -> None:
        if self.origin not in _ORIGINS:
            raise ConfigError(f"{self.origin} is not 0 or 1", where="--mot-origin")


USUAL: Final = MotOptions()


def read_mot(path: Path, name: str, origin: int = 0) -> RecordingResults:
    """Read a MOT file; blank lines are skipped.

    In each frame, detections (id -1) get the lowest ids that no other row of the file has. `origin` is the
    coordinate of the top left pixel in this file; it is subtracted. `FormatError`: the file is missing or not
    text, a row (named) is malformed, or a frame holds a target twice.
    """
    gatherer, detections = ResultsGatherer(), []
    for place, line in rows_of(truth_lines(path), path):
        with placed(place):
            if is_detection(line):
                detections.append(parse_mot_line(_DETECTION.sub(r"\1 1\2", line), origin))
            else:
                row = parse_mot_line(line, origin)
                gatherer.add(row.frame_index, row.target_id, row.box, row.score)
    for row in _with_ids(detections, gatherer.target_ids):
        gatherer.add(row.frame_index, row.target_id, row.box, row.score)
    return gatherer.results(name)


def mot_detections(path: Path, origin: int = 0) -> Iterator[tuple[TrackedBox, int | None]]:
    """Yield the boxes of a MOT file, whatever their ids, each with its class (eighth column), if any.

    `FormatError`: as `read_mot`.
    """
    for place, line in rows_of(truth_lines(path), path):
        with placed(place):
            row = parse_mot_line(_DETECTION.sub(r"\1 1\2", line), origin)
            words = words_of(line)
            said = finite(words[7], "class") if len(words) > 7 else -1.0
            yield row, int(said) if said >= 0 and said.is_integer() else None


def _with_ids(detections: Sequence[TrackedBox], taken: Collection[int]) -> Iterator[TrackedBox]:
    """Yield detections with ids not taken: in each frame the lowest ones."""
    free = free_ids(taken)
    ids: list[int] = []
    used: dict[int, int] = {}
    for row in detections:
        place = used.get(row.frame_index, 0)
        if place == len(ids):
            ids.append(next(free))
        used[row.frame_index] = place + 1
        yield replace(row, target_id=ids[place])


def is_detection(line: str) -> bool:
    """Return whether a row is a detection, a box that is not yet a target: its id is -1."""
    return _DETECTION.match(line) is not None


def mot_lines(frame: FrameBoxes, options: MotOptions = USUAL) -> str:
    """Return the lines of a frame, one per box."""
    return "".join(
        f"{mot_line(row, options.origin)}\n"
        for row in frame.targets
        if options.keep_lost or row.state is not TrackState.LOST
    )


def mot_line(row: TrackedBox, origin: int = 0) -> str:
    """Return the line of a box, without a line end."""
    score = decimal_text(_UNKNOWN_SCORE if row.score is None else row.score)
    return f"{row.frame_index + 1},{row.target_id},{format_box(row.box, origin)},{score},-1,-1,-1"


def parse_mot_line(text: str, origin: int = 0) -> TrackedBox:
    """Read one line of six columns (score 1) or more; those after the seventh are ignored.

    Columns are separated by commas, else by semicolons, else by blanks. `FormatError`: a column is missing or
    not the number it should be, or the box has no area.
    """
    words = next((text.split(mark) for mark in ",;" if mark in text), text.split())
    if len(words) < LEAST_COLUMNS:
        raise FormatError(
            f"a MOT row needs at least {LEAST_COLUMNS} columns, this one has {len(words)}",
            hint="frame,id,x,y,w,h,conf,-1,-1,-1",
        )
    frame_number, target_id = _count(words[0], "frame number"), _count(words[1], "target id")
    x, y, w, h = (finite(word, name) for word, name in zip(words[2:6], "xywh", strict=True))
    score = finite(words[6], "confidence") if len(words) > LEAST_COLUMNS else 1.0
    if origin:
        x, y = round(x - origin, DECIMALS), round(y - origin, DECIMALS)
    known = None if score == _UNKNOWN_SCORE else score
    return TrackedBox(frame_number - 1, target_id, box_of(x, y, w, h), known)


def format_box(box: Box, origin: int = 0) -> str:
    """Return `x,y,w,h` with at most `DECIMALS` decimals; a width or height never rounds to 0."""
    sides = (max(side, _SMALLEST_SIDE_PX) for side in (box.w, box.h))
    return ",".join(map(decimal_text, (box.x + origin, box.y + origin, *sides)))


def corner_texts(box: Box) -> list[str]:
    """Return left, top, right and bottom, so that their differences are the sizes in `format_box`."""
    x, y, w, h = (float(word) for word in format_box(box).split(","))
    return [decimal_text(value) for value in (x, y, x + w, y + h)]


def decimal_text(value: float, decimals: int = DECIMALS) -> str:
    """Return a number with at most `decimals` decimals, without trailing zeros."""
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _count(word: str, name: str) -> int:
    value = whole(word, name)
    if value < 1:
        raise FormatError(f"{name} {shown(word.strip())} is not a whole number from 1")
    return value
