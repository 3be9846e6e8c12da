"""Ground-truth text files: finding them beside a recording, and reading their boxes.

The benchmarks' files differ in separator, number of values and the index of the first pixel, but all hold one
box a row and one row a frame:

    4 values   x, y, w, h                       (most data sets; maybe with a header)
    4 values   left, top, right, bottom         (GTOT: `groundTruth_v.txt`, `groundTruth_i.txt`)
    8 values   four corner points of a polygon  (VOT), read as its axis-aligned bounding box

Flag files hold a 0 or a 1 a frame. In VisEvent's `absent_label.txt` 1 means present, in spite of the name;
copies with the opposite meaning exist. Other sets do not document their `absent.txt`, so its meaning is
inferred from the boxes: in a frame without a box the target is absent.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import BoxError, DatasetError, FormatError, InputError, translated
from dmtrack.geometry.box import Box
from dmtrack.numbers import file_text, real, shown, with_points
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.events.text import open_text

Floats = npt.NDArray[np.float64]

_SEPARATORS: Final = {ord(mark): " " for mark in ",;\t"}
_NAMES: Final = re.compile(
    r"""\A\s*"?(x|left)"?[,;\t ]+"?(y|top)"?[,;\t ]+"?w(idth)?"?[,;\t ]+"?h(eight)?"?[ \t]*([\r\n]|\Z)""",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(r'"[ \t]*([-+.\deE]+|nan)[ \t]*"(?!\s*:)', re.ASCII | re.IGNORECASE)
_TARGET_FILE: Final = re.compile(
    r"(?!groundTruth_)(?i:groundtruth)(?:_(?i:rect)\.(?P<number>\d+)|_(?!(?i:rect)$)(?P<name>.+))"
)
_HEAD_BYTES: Final = 1 << 12
_TIMES_VALUES: Final = 3  # at most, in a list of times: a number, a time, a name; 3 numbers are a faulty box
_POSE_VALUES: Final = 8  # time, place, and a quaternion of length 1; corners of a box are pixels apart
_QUATERNION_OFF: Final = 0.02
_FEWEST_EVENTS: Final = 8  # of fewer rows it cannot be told whether they are events or boxes
VISEVENT_FILE: Final = "absent_label.txt"
OTHER_FILE: Final = "absent.txt"

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TruthFile:
    """The boxes of one target, one row a frame."""

    # `(N, 4)` float64 `x, y, w, h`, pixels counted from 0; NaN rows where the target is absent (the file has
    # NaN, or a size that is not positive)
    boxes: Floats
    # `(N, 4)` or `(N, 8)` float64, the numbers as in the file: some benchmarks score invalid rows
    rows: Floats
    # `(N,)` bool: rows with a place but no area, a mistake in the file. Rows of one repeated number
    # (`0,0,0,0`) mean that the target is absent.
    sizeless: npt.NDArray[np.bool_]
    unjudged: Floats  # as `boxes`, but invalid rows keep the numbers of the file


def read_boxes(path: Path | str, *, origin: int | None = None, corners: bool | None = None) -> TruthFile:
    """Read a ground-truth file: values separated by commas, tabs, blanks or semicolons.

    Args:
        path: A text file with one row a frame, all of 4 or all of 8 numbers (scientific notation and
            NaN are fine). Blank lines are allowed at the end only, where they cannot shift a row.
        origin: Index of the first pixel, 0 or 1. None infers it from the file: OTB
            (`groundtruth_rect*.txt`) and VOT (8 values) count from 1, as MATLAB does, all others from 0.
        corners: Whether the 4 values are left, top, right, bottom. None infers it from the file: GTOT's are.

    Raises:
        FormatError: The file cannot be read, or a row (named) is not 4 or 8 numbers.
    """
    path = Path(path)
    lines = truth_lines(path)
    return _truth(_parse_rows(lines, path), path, origin, corners)


def read_flags(path: Path) -> npt.NDArray[np.bool_]:
    """Read an `absent_label.txt` file: `(N,)` bool, False where it says 0, target absent.

    `FormatError`: the file cannot be read, or a row (named) is not 0 or 1.

    Source: specification 3.7 (VisEvent: 1 = present, in spite of the file's name).
    """
    words = read_text(path).translate(_SEPARATORS).split()
    for number, word in enumerate(words, start=1):
        if word not in ("0", "1"):
            raise FormatError(f"row {number} is {shown(word)}", where=path, hint="each row is 0 or 1")
    return np.array([word == "1" for word in words], dtype=np.bool_)


def box_at(path: Path, row: int = 0, *, origin: int | None = None, corners: bool | None = None) -> Box:
    """Read the box of one frame; later rows may be malformed.

    `row` is the 0-based index of the frame; the rest is as in `read_boxes`. `FormatError`: the file cannot be
    read, or the row is not 4 or 8 numbers; `BoxError`: the file has no such row, or the target is absent in
    it.
    """
    lines = truth_lines(path)
    if not lines:
        raise BoxError("the file holds no box", where=path, hint="write x,y,w,h in pixels in its first line")
    if not 0 <= row < len(lines):
        raise BoxError(f"there is no box for frame {row}: the file has {len(lines)} rows", where=path)
    line = lines[row].strip()
    numbers = _parse_rows([line], path, first_row=row + 1)
    x, y, w, h = _truth(numbers, path, origin, corners).boxes[0]
    if np.isnan(x):
        row += 1 + _lines_above(path)
        raise BoxError(
            f"row {row} ({line}) is no box: the target is absent there",
            where=path,
            hint="start at a frame where the target is visible, or give the box itself",
        )
    return Box(float(x), float(y), float(w), float(h))


def find_ground_truth(source: Path) -> tuple[Path, ...]:
    """Find the ground-truth files of a stream, one for each target; empty if there are none.

    They lie in the folder of images itself (VOT) or beside the folder or video, under the names that the
    benchmarks use (`truth_files`).
    """
    if source.is_dir():
        inside = truth_files(source, source.name)
        if inside:
            return inside
        return truth_files(source.parent, source.name)
    named = truth_files(source.parent, source.stem) or _files_naming(source)
    return tuple(path for path in named if path.name != source.name)


def truth_files(folder: Path, stream: str) -> tuple[Path, ...]:
    """List the ground-truth files in `folder` for the stream called `stream`, one for each target.

    The first of these that exists counts, else the first that exists in other letter case (1: not GTOT's):

    1. `<stream>.txt` (`visible.txt`, `rgb.txt`, `v.txt`), `groundTruth_<stream>.txt` (GTOT);
    2. `groundtruth.txt`, `groundtruth_rect.txt`, `init.txt`;
    3. `groundtruth_<target>.txt` or `groundtruth_rect.<number>.txt`, which may be several.

    Files that `is_other_list` recognises are skipped, except under 3.
    """
    usual = ("groundtruth", "groundtruth_rect", "init")
    texts = sorted(path for path in _entries(folder) if path.suffix.lower() == ".txt" and path.is_file())
    named = {path.stem: path for path in texts if path.suffix == ".txt"}
    for name in (stream, f"groundTruth_{stream}", *usual):
        is_stream = name == stream != "groundtruth"
        if name in named and not is_other_list(named[name], is_stream=is_stream):
            return (named[name],)
    for name in (stream.lower(), *usual):
        for path in texts:
            if path.stem.lower() == name and not is_other_list(path, is_stream=name == stream.lower()):
                return (path,)
    return tuple(path for path in texts if target_name(path))


def _entries(folder: Path) -> list[Path]:
    """Return the entries of a folder; none if it cannot be listed."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def is_other_list(path: Path, *, is_stream: bool) -> bool:
    """Return whether a text file named like ground truth holds something else, such as camera poses (TUM).

    A file named like the stream may hold its events, or the times and names of its pictures.
    """
    try:
        lines = truth_lines(path)
    except FormatError:
        return False
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), "")
    words = first.translate(_SEPARATORS).split()
    numbers = [real(word) for word in words if _is_number(word)]
    if len(words) == len(numbers) == _POSE_VALUES:
        return abs(math.hypot(*numbers[4:]) - 1) < _QUATERNION_OFF
    is_times = 0 < len(words) <= _TIMES_VALUES and len(numbers) < _TIMES_VALUES
    return is_stream and (is_times or is_event_list(path))


def is_event_list(path: Path) -> bool:
    """Return whether a text file holds events, which have four numbers per row as boxes do."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        open_text(path, EventOptions())
    except (InputError, OSError, ValueError):
        return False
    return head.count(b"\n") >= _FEWEST_EVENTS


def target_name(path: Path) -> str:
    """Return the target of one of several files (`cube` of `groundtruth_cube.txt`), else an empty text."""
    match = _TARGET_FILE.fullmatch(path.stem)
    return "" if match is None else match["number"] or match["name"]


def _files_naming(video: Path) -> tuple[Path, ...]:
    """Return the only text file beside `video` that has its name as a word and starts with a box, if any."""
    texts = [
        p for p in sorted(video.parent.glob("*.txt")) if video.stem in re.split(r"[^0-9A-Za-z]+", p.stem)
    ]
    found = tuple(
        path for path in texts if _starts_with_numbers(path) and not is_other_list(path, is_stream=True)
    )
    return found if len(found) == 1 else ()


def _starts_with_numbers(path: Path) -> bool:
    try:
        _parse_rows(truth_lines(path)[:1], path)
    except FormatError:
        return False
    return True


def read_text(path: Path) -> str:
    """Return the text of a file; `FormatError` if it cannot be read, or is not text."""
    with translated(FormatError, "is not a text file", where=path):
        return file_text(path)


def truth_lines(path: Path) -> list[str]:
    """Return the lines of a table of numbers, with decimal points for commas, without blank ones at the end.

    Numbers may be quoted. A header `x,y,w,h`, as spreadsheets write it, is left out (see `_lines_above`).
    `FormatError`: the file cannot be read, is not text, or it is unclear whether its commas are decimal.
    """
    with translated(FormatError, "row 1", where=path):
        numbers = _QUOTED.sub(r"\1", _NAMES.sub("", read_text(path), count=1))
        return with_points(numbers).rstrip().splitlines()


def _lines_above(path: Path) -> int:
    """Return the number of lines in a file above the first of `truth_lines`."""
    names = _NAMES.match(read_text(path))
    return 0 if names is None else len(names[0].splitlines())


def _parse_rows(lines: list[str], path: Path, first_row: int = 1) -> Floats:
    """Parse all rows at once; only a file with an error is searched row by row."""
    if not lines:
        raise FormatError("the file is empty", where=path)
    plain = "\n".join(lines).translate(_SEPARATORS).split("\n")
    try:
        rows = np.loadtxt(plain, dtype=np.float64, comments=None, ndmin=2)
    except ValueError:
        rows = np.array([[np.inf]])
    is_whole = np.isfinite(rows).all(axis=1) | np.isnan(rows).all(axis=1)
    if len(rows) == len(lines) and rows.shape[1] in (4, 8) and is_whole.all():
        return rows
    raise _first_bad_row([line.split() for line in plain], path, first_row + _lines_above(path))


def _first_bad_row(words: list[list[str]], path: Path, first_row: int) -> FormatError:
    expected = len(words[0]) if len(words[0]) in (4, 8) else None
    for number, row in enumerate(words, start=first_row):
        if row and row[0].startswith("m"):
            hint = "make boxes of VOT's masks: dmtrack export FILE --format lasher"
            return FormatError(f"row {number} is a mask", where=path, hint=hint)
        if len(row) != expected:
            wanted = "4 or 8" if expected is None else str(expected)
            return FormatError(f"row {number} has {len(row)} values, not {wanted}", where=path)
        for word in row:
            if not _is_number(word):
                return FormatError(f"row {number} holds {shown(word)}, which is not a number", where=path)
        if len({math.isnan(real(word)) for word in row}) > 1:
            what = f"row {number} ({' '.join(row)}) holds a part of a box"
            return FormatError(what, where=path, hint="where the target is absent all of it is nan")
    return FormatError("the rows are not numbers", where=path)


def _is_number(word: str) -> bool:
    try:
        return not math.isinf(real(word))
    except ValueError:
        return False


def _truth(rows: Floats, path: Path, origin: int | None, corners: bool | None) -> TruthFile:
    """Convert rows to boxes with pixels counted from 0."""
    is_polygon = rows.shape[1] == 8
    if origin is None:
        origin = 1 if is_polygon or path.stem.lower().startswith("groundtruth_rect") else 0
    if is_polygon:
        points = rows.reshape(-1, 4, 2) - origin
        boxes = np.hstack((points.min(axis=1), np.ptp(points, axis=1)))
    else:
        is_corners = path.stem in ("groundTruth_v", "groundTruth_i") if corners is None else corners
        size = rows[:, 2:] - rows[:, :2] if is_corners else rows[:, 2:]
        boxes = np.hstack((rows[:, :2] - origin, size))
    unjudged = boxes.copy()
    empty = (boxes[:, 2:] <= 0).any(axis=1)
    boxes[np.isnan(boxes).any(axis=1) | empty] = np.nan
    sizeless = empty & np.isfinite(rows).all(axis=1) & (np.ptp(rows, axis=1) > 0)
    return TruthFile(boxes, rows, sizeless, unjudged)


def present_frames(folder: Path, has_box: Flags) -> Flags:
    """Return whether the target is present in each frame, `(N,)`; all true if there is no file of flags.

    `has_box` is `(N,)`: whether the ground truth has a box in each frame. `FormatError`: a row is not 0 or 1;
    `DatasetError`: the file has another number of rows than the ground truth.

    Source: specification 3.7 (VisEvent).
    """
    texts = {path.name.lower(): path for path in _entries(folder)}
    for name in (VISEVENT_FILE, OTHER_FILE):
        if (path := texts.get(name)) is not None:
            ones = read_flags(path)
            if len(ones) != len(has_box):
                raise DatasetError(f"{len(ones)} flags, but {len(has_box)} boxes", where=path)
            return _agreeing(ones, has_box, is_documented=name == VISEVENT_FILE)
    return np.ones(len(has_box), dtype=np.bool_)


def _agreeing(ones: Flags, has_box: Flags, *, is_documented: bool) -> Flags:
    """Return the flags, inverted if that fits the boxes better; undecided: as documented, or as written."""
    as_written, opposite = (
        int(np.sum(flags & has_box)) - int(np.sum(flags & ~has_box)) for flags in (ones, ~ones)
    )
    if is_documented:
        return ~ones if as_written <= 0 < opposite else ones
    return ones if as_written >= opposite else ~ones
