"""Start boxes from a file of any known format.

    4 or 8 values a row              ground truth of one target: its first row, in the first frame
    5 to 7, all but the first 0 to 1 YOLO text (`class cx cy w h`, fractions of the picture): one target per
                                     row; a tracker's id may follow
    6, 7, 9 or more values           MOT: each id starts at its first row, and a row after a gap corrects it;
                                     of detections (id -1) those in the first frame with any, under free ids
    a table, JSON, COCO, CVAT …      results as `dmtrack export` reads them, treated like MOT; keyframes.csv;
                                     VOT text that begins with a mask, a code or more than four corners

Eight values are always a polygon (VOT), so a MOT file with eight columns is not recognised as MOT here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.mot import is_detection
from dmtrack.boxes.formats.vot import is_region
from dmtrack.boxes.keyframes import read_keyframes
from dmtrack.boxes.parsing import is_number, words_of
from dmtrack.boxes.reading import is_zip, read_results, recognise
from dmtrack.datasets.ground_truth import box_at, truth_lines
from dmtrack.errors import BoxError, FormatError, translated
from dmtrack.geometry.box import Box, BoxFormat
from dmtrack.numbers import finite, real
from dmtrack.tracking.result import TrackedBox
from dmtrack.tracking.start import Keyframe, TargetStart

_log = logging.getLogger(__name__)

_TRUTH_COLUMNS: Final = (1, 2, 3, 4, 5, 8)  # for 1, 2, 3 and 5 the reader of ground truth says what is wrong


def read_targets(
    path: Path, first_frame: int = 0, size: tuple[int, int] | None = None, order: BoxFormat = BoxFormat.XYWH
) -> tuple[Box | Keyframe, ...]:
    """Read the targets of a file of boxes, as above.

    Files without frame numbers (ground truth by its first row, whatever `first_frame` is) and detections in
    the first frame give boxes; other files give keyframes, in order of ids. In a file with frame numbers, a
    target starts at its first row from `first_frame` (0-based) on; one that ends earlier is left out. `size`,
    width and height of the frame, is needed for YOLO text and Label Studio. `order` is the meaning of four
    numbers in a text or table; it is ignored, which is logged, for other formats and for results with states,
    which define it themselves. `FormatError`: the file cannot be read, or a row (named) is malformed;
    `BoxError`: it has no box, or none from `first_frame` on.
    """
    with translated(FormatError, "cannot be read", where=path):
        if is_zip(path):
            return _in_order(_keyframes(path, first_frame, size), order, size, path)
        lines = [line for line in truth_lines(path) if line.strip()]
        words = [words_of(line) for line in lines]
        if words and size is not None and all(map(_is_yolo, words)):
            return tuple(_yolo_box(row, size, order) for row in words)
        if not words or (
            not is_region(lines[0]) and len(words[0]) in _TRUTH_COLUMNS and is_number(words[0][0])
        ):
            box = box_at(path, corners=True if order is BoxFormat.XYXY else None)
            if first_frame and len(lines) > first_frame:
                what = "%s: its first row is taken for frame %d, in which row %d of all frames would be %s"
                _log.warning(what, path, first_frame, first_frame + 1, lines[first_frame].strip())
            return (box.read_as(order, *size) if size and order is BoxFormat.CXCYWH else box,)
        if is_detection(lines[0]):
            rows = [row for one in read_results(path, heeds_shares=True) for row in one.rows]
            return _in_order(_detected(rows, path, first_frame), order, size, path)
        return _in_order(_keyframes(path, first_frame, size), order, size, path, words[0])


def _is_yolo(words: Sequence[str]) -> bool:
    """Tell a row of YOLO text, maybe with a confidence and an id, from one of MOT, whose boxes are larger."""
    numbers = [real(word) for word in words if is_number(word)]
    if len(words) != len(numbers) or len(words) not in (5, 6, 7) or not numbers[0].is_integer():
        return False
    if not all(0 <= number <= 1 for number in numbers[1:5]):
        return False
    # an id of MOT would be a whole number
    return len(words) == 5 or not numbers[1].is_integer()


def _yolo_box(words: Sequence[str], size: tuple[int, int], order: BoxFormat) -> Box:
    cx, cy, w, h = (finite(word) for word in words[1:5])
    return Box(cx, cy, w, h).read_as(BoxFormat.CXCYWH if order is BoxFormat.XYWH else order, *size)


def _in_order(
    found: Sequence[Box | Keyframe],
    order: BoxFormat,
    size: tuple[int, int] | None,
    path: Path,
    columns: Sequence[str] = (),
) -> tuple[Box | Keyframe, ...]:
    """Return the targets of a file with their boxes read in an order, if the format leaves that open."""
    if order is BoxFormat.XYWH or size is None:
        return tuple(found)
    if recognise(path) not in (ResultFormat.MOT, ResultFormat.CSV) or "state" in columns:
        _log.warning("%s: says itself what its boxes are, whatever --box-format is", path)
        return tuple(found)
    return tuple(
        one.read_as(order, *size)
        if isinstance(one, Box)
        else replace(one, box=one.box.read_as(order, *size))
        if isinstance(one, TargetStart)
        else one
        for one in found
    )


def _detected(rows: Sequence[TrackedBox], path: Path, first_frame: int) -> tuple[Box | TargetStart, ...]:
    """Return the detections of one frame: later ones may show the same objects."""
    begin = min((row.frame_index for row in rows if row.frame_index >= first_frame), default=-1)
    found = [TargetStart(row.box, row.target_id, begin) for row in rows if row.frame_index == begin]
    if not found:
        raise _no_box(path, first_frame)
    return tuple(start.box for start in found) if begin == first_frame else tuple(found)


def _keyframes(path: Path, first_frame: int, size: tuple[int, int] | None) -> tuple[Keyframe, ...]:
    found = read_keyframes(path, first_frame, size)
    starts = {key.target_id for key in found if isinstance(key, TargetStart)}
    if not starts:
        raise _no_box(path, first_frame)
    if first_frame:
        early = {key.target_id for key in read_keyframes(path, size=size)} - starts
        if early:
            named = ", ".join(map(str, sorted(early)))
            _log.warning("%s: left out what ends before frame %d: target %s", path, first_frame, named)
        found = [key for key in found if key.target_id in starts]
    return tuple(found)


def _no_box(path: Path, first_frame: int) -> BoxError:
    where = f" from frame {first_frame} on" if first_frame else ""
    return BoxError(f"the file holds no box{where}", where=path)
