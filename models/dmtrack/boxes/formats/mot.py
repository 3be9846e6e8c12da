"""MOT Challenge text: `frame,id,x,y,w,h,conf,-1,-1,-1`, one line a target and frame, no header.

Frame numbers count from 1 (`frame_index + 1`). Coordinates are raw pixels, the top left of the picture
being 0; `origin=1` adds 1 to x and y, which is the letter of the standard.

Precision: numbers are written with at most six decimals (a millionth of a pixel), without trailing
zeros. Reading gives back exactly the value rounded to six decimals, so that writing what was read
gives the same bytes.

Source: MOT Challenge 2015, section "Data format" (arXiv:1504.01942).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from dmtrack.boxes.numbers import finite
from dmtrack.errors import BoxError, FormatError
from dmtrack.geometry.box import Box
from dmtrack.output.atomic import LineFile
from dmtrack.output.sink import Sink
from dmtrack.tracking.result import FrameResult, TrackedBox

MotOrigin = Literal[0, 1]

DECIMALS: Final = 6
_SMALLEST_SIDE_PX: Final = 10.0**-DECIMALS
_LEAST_COLUMNS: Final = 6


@dataclass(frozen=True, slots=True)
class MotRow:
    """One line of a MOT file.

    Attributes:
        frame_number: Counts from 1.
        target_id: Counts from 1.
        box: Pixels, top left of the picture at 0, whatever origin the file has.
        confidence: Usually in [0, 1].
    """

    frame_number: int
    target_id: int
    box: Box
    confidence: float = 1.0

    @property
    def frame_index(self) -> int:
        """0-based index of the frame."""
        return self.frame_number - 1

    @classmethod
    def of(cls, target: TrackedBox) -> MotRow:
        """Return the row of a tracked box."""
        return cls(target.frame_index + 1, target.target_id, target.box, target.score)


def format_mot_row(row: MotRow, origin: MotOrigin = 0) -> str:
    """Return the line of `row`, without a line end."""
    box = format_box(row.box, origin)
    return f"{row.frame_number},{row.target_id},{box},{decimal_text(row.confidence)},-1,-1,-1"


def format_box(box: Box, origin: MotOrigin = 0) -> str:
    """Return `x,y,w,h` with at most `DECIMALS` decimals; a side that rounds to 0 stays above it."""
    sides = (max(side, _SMALLEST_SIDE_PX) for side in (box.w, box.h))
    return ",".join(map(decimal_text, (box.x + origin, box.y + origin, *sides)))


def parse_mot_row(text: str, origin: MotOrigin = 0) -> MotRow:
    """Read one line: six columns (confidence 1), or more; those after the seventh are not looked at.

    Columns are separated by commas, or by blanks when there is no comma.

    Raises:
        FormatError: A column is missing or is not the number it should be, or the box has no area.
    """
    words = text.split(",") if "," in text else text.split()
    if len(words) < _LEAST_COLUMNS:
        raise FormatError(
            f"a MOT row needs at least {_LEAST_COLUMNS} columns, this one has {len(words)}",
            hint="frame,id,x,y,w,h,conf,-1,-1,-1",
        )
    frame_number = _count(words[0], "frame number")
    target_id = _count(words[1], "target id")
    x, y, w, h = (finite(word, name) for word, name in zip(words[2:6], "xywh", strict=True))
    confidence = finite(words[6], "confidence") if len(words) > _LEAST_COLUMNS else 1.0
    if origin:
        x, y = round(x - origin, DECIMALS), round(y - origin, DECIMALS)
    try:
        return MotRow(frame_number, target_id, Box(x, y, w, h), confidence)
    except BoxError as error:
        raise FormatError(error.what, hint=error.hint) from None


def read_mot(path: Path, origin: MotOrigin = 0) -> list[MotRow]:
    """Read a MOT file, in the order of the file; empty lines are passed over.

    Args:
        path: The file.
        origin: Coordinates of the top left pixel in this file; subtracted.

    Raises:
        FormatError: The file is missing or no text, a row is malformed (its number is named), or a
            frame holds a target twice.
    """
    rows: list[MotRow] = []
    seen: dict[tuple[int, int], int] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = parse_mot_row(line, origin)
        except FormatError as error:
            raise FormatError(error.what, where=f"{path}, row {number}", hint=error.hint) from None
        first = seen.setdefault((row.frame_number, row.target_id), number)
        if first != number:
            raise FormatError(
                f"target {row.target_id} is in frame {row.frame_number} already (row {first})",
                where=f"{path}, row {number}",
            )
        rows.append(row)
    return rows


def write_mot(path: Path, rows: Iterable[MotRow], *, origin: MotOrigin = 0, overwrite: bool = False) -> None:
    """Write `rows` to a MOT file, atomically.

    Raises:
        OutputError: The file exists or cannot be written.
    """
    file = LineFile(path, overwrite=overwrite)
    try:
        for row in rows:
            file.append(format_mot_row(row, origin) + "\n")
    finally:
        file.commit()


class MotSink(Sink):
    """Writes a MOT file while tracking.

    Args:
        path: The final name.
        origin: Coordinates of the top left pixel: 0, or 1 for the letter of the standard.
        overwrite: Replace an existing file.

    Raises:
        OutputError: The file exists, or its folder cannot be made or written to.
    """

    def __init__(self, path: Path, *, origin: MotOrigin = 0, overwrite: bool = False) -> None:
        self._file = LineFile(path, overwrite=overwrite)
        self._origin: MotOrigin = origin

    def write(self, result: FrameResult) -> None:
        """Add one line a target."""
        rows = (format_mot_row(MotRow.of(target), self._origin) for target in result.targets)
        self._file.append("".join(f"{row}\n" for row in rows))

    def close(self) -> None:
        """Give the file its final name."""
        self._file.commit()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror})", where=path) from error
    except UnicodeDecodeError:
        raise FormatError("is not a text file", where=path) from None


def decimal_text(value: float) -> str:
    """Return a number with at most `DECIMALS` decimals, without trailing zeros."""
    text = f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _count(word: str, name: str) -> int:
    value = finite(word, name)
    if not value.is_integer() or value < 1:
        raise FormatError(f"{name} {word.strip()!r} is not a whole number from 1")
    return int(value)
