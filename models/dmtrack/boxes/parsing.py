"""Text, numbers and boxes in files; errors say what is wrong, and `placed` adds where."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from dmtrack.errors import BoxError, FormatError
from dmtrack.geometry.box import Box
from dmtrack.numbers import json_value, real, shown
from dmtrack.tracking.result import TrackState
from dmtrack.video.second.gauge import AuxMeasure, AuxUnit

_SEPARATORS: Final = re.compile(r"[,;\s]+")
_LARGEST: Final = 2.0**53  # floats hold every whole number below this


def words_of(line: str) -> list[str]:
    """Return the values of a line, separated by commas, semicolons or blanks."""
    return [word for word in _SEPARATORS.split(line.strip()) if word]


def rows_of(lines: Iterable[str], where: object) -> Iterator[tuple[str, str]]:
    """Yield the place, for `placed`, and the text of every line that is not blank."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{where}, row {number}", line


def number(text: str, what: str = "") -> float:
    """Return a number, which may be NaN or infinite; `FormatError`, naming `what`, for other text."""
    try:
        return real(text)
    except ValueError as error:
        raise FormatError(f"{what} {error}".lstrip()) from None


def is_number(word: str) -> bool:
    """Return whether a word is a number, or the NaN of an absent target."""
    try:
        real(word)
    except ValueError:
        return False
    return True


def json_of(text: str, where: object) -> object:
    """Return the value of a JSON text; `FormatError` if it is not JSON."""
    try:
        return json_value(text)
    except ValueError as error:
        raise FormatError(f"is {error}", where=where) from None


def finite(text: str, what: str) -> float:
    """Return a finite number; `FormatError`, naming `what`, for other text."""
    value = number(text, what)
    if not math.isfinite(value):
        raise FormatError(f"{what} {shown(text.strip())} is not finite")
    return value


def whole(text: str, what: str) -> int:
    """Return a whole number; `FormatError`, naming `what`, for other text."""
    value = finite(text, what)
    if not value.is_integer() or abs(value) >= _LARGEST:
        wrong = "not a whole number" if abs(value) < _LARGEST else "too large"
        raise FormatError(f"{what} {shown(text.strip())} is {wrong}")
    return int(value)


def state_of(text: str | None) -> TrackState | None:
    """Return the state of that name, None for empty text; `FormatError` if there is no such state."""
    if not text:
        return None
    try:
        return TrackState(text)
    except ValueError:
        raise FormatError(f"state {shown(text)} is not one of {', '.join(TrackState)}") from None


def box_of(x: float, y: float, w: float, h: float) -> Box:
    """Return the box of four numbers in a file; `FormatError` if it has no area, or one is not finite."""
    try:
        return Box(x, y, w, h)
    except BoxError as error:
        raise FormatError(error.what, hint=error.hint) from None


@contextlib.contextmanager
def placed(where: object) -> Iterator[None]:
    """Add a place to a `FormatError` raised in the block, unless it has one already."""
    try:
        yield
    except FormatError as error:
        if error.where is not None:
            raise
        raise FormatError(error.what, where=where, hint=error.hint) from None


def measure_of(
    median: float | None,
    ends: tuple[float | None, float | None],
    unit: str | None,
    position_m: Sequence[float | None] = (None, None, None),
) -> AuxMeasure | None:
    """Return a measure, if a file has one; `FormatError` if its unit is unknown or a part is missing."""
    if median is None and not unit and {*ends, *position_m} == {None}:
        return None
    if median is None or not unit or unit not in [*AuxUnit]:
        raise FormatError(f"a measure is a median and a unit ({', '.join(AuxUnit)}), not {median} {unit}")
    known = [metres for metres in position_m if metres is not None]
    if len(known) not in (0, 3):
        raise FormatError("a position is three numbers")
    place = (known[0], known[1], known[2]) if known else None
    return AuxMeasure(median, *ends, AuxUnit(unit), place)
