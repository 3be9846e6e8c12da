"""Side files of time stamps: one a frame, in seconds, milli-, micro- or nanoseconds.

A line holds a stamp alone, or a row of a table (comma, semicolon, tab or space) with a stamp
among other things, such as `1305031102.175 rgb/0001.png`. A first line of words names the
columns. Lines that begin with `#` are comments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

from dmtrack.errors import FormatError

MAX_FILE_BYTES: Final = 256_000_000
"""A larger file is no list of stamps: a day at 100 frames a second has 9 million lines."""
_NS: Final = 10**9
"""Parts of a second that are kept: finer ones are noise of the text, and stamps have to fit into 64 bits."""
_LATEST_S: Final = 9 * 10**9
_HINT_UNIT: Final = "say --times-unit s, ms, us or ns"


class TimeUnit(StrEnum):
    """What a stamp counts."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"

    @property
    def per_second(self) -> int:
        """How many make a second."""
        return {TimeUnit.S: 1, TimeUnit.MS: 10**3, TimeUnit.US: 10**6, TimeUnit.NS: 10**9}[self]


_UNIT_WORDS: Final = {
    "s": TimeUnit.S,
    "sec": TimeUnit.S,
    "secs": TimeUnit.S,
    "second": TimeUnit.S,
    "seconds": TimeUnit.S,
    "ms": TimeUnit.MS,
    "msec": TimeUnit.MS,
    "millis": TimeUnit.MS,
    "milliseconds": TimeUnit.MS,
    "us": TimeUnit.US,
    "usec": TimeUnit.US,
    "µs": TimeUnit.US,
    "micros": TimeUnit.US,
    "microseconds": TimeUnit.US,
    "ns": TimeUnit.NS,
    "nsec": TimeUnit.NS,
    "nanos": TimeUnit.NS,
    "nanoseconds": TimeUnit.NS,
}
_SHORTEST_INTERVAL_S: Final = Fraction(1, 400)
"""A typical interval of 2.5 ms to 2.5 s fits exactly one unit: each is a thousand times the next."""


@dataclass(frozen=True, slots=True)
class TimeFile:
    """The stamps of one stream.

    Attributes:
        path: Where they were read.
        times_s: One a frame, in seconds to the nanosecond, rising.
        rows: The line of each one in the file, from 1.
        unit: What the file counts in.
        unit_reason: How that is known.
        unit_is_guess: Whether nobody stated it.
    """

    path: Path
    times_s: tuple[Fraction, ...]
    rows: tuple[int, ...]
    unit: TimeUnit
    unit_reason: str
    unit_is_guess: bool = False

    def require_count(self, frames: int) -> None:
        """Check that there is one stamp a frame.

        Raises:
            FormatError: There are more or fewer; the first row too many is named.
        """
        stamps = len(self.times_s)
        if stamps > frames:
            raise FormatError(
                f"has {stamps} time stamps for {frames} frames: row {self.rows[frames]} has no frame",
                where=self.path,
            )
        if stamps < frames:
            raise FormatError(
                f"has {stamps} time stamps for {frames} frames: "
                f"frame {stamps} (from 0) has none, the last is in row {self.rows[-1]}",
                where=self.path,
            )


def read_times(path: Path, unit: TimeUnit | None = None) -> TimeFile:
    """Read a side file.

    Args:
        path: The file.
        unit: What it counts in; None takes the unit that its header or name states
            (`time_ms`, `stamps.us.txt`), else the one that gives a usual frame interval.

    Raises:
        FormatError: The file cannot be read; a row has no stamp, or one that is not a number or
            not later than the one before (the row is named); or the unit cannot be told.
    """
    rows, header = _table(path)
    column = _stamp_column(rows, header, path)
    stamps = [_number(cells, column, row, path) for row, cells in rows]
    stated = (unit, "it was given") if unit else _stated_unit(header, column, path)
    unit, reason = stated or _unit_of_interval(stamps, path)
    times_s = tuple(Fraction(round(stamp / unit.per_second * _NS), _NS) for stamp in stamps)
    for place, time_s in enumerate(times_s):
        if place and time_s <= times_s[place - 1]:
            order = f"{_shown(stamps[place])} is not later than {_shown(stamps[place - 1])} before it"
            raise FormatError(f"row {rows[place][0]}: time stamp {order}", where=path)
        if abs(time_s) > _LATEST_S:
            raise FormatError(
                f"row {rows[place][0]}: time stamp {_shown(stamps[place])} is no time in {unit}",
                where=path,
                hint=_HINT_UNIT,
            )
    return TimeFile(
        path=path,
        times_s=times_s,
        rows=tuple(row for row, _ in rows),
        unit=unit,
        unit_reason=reason,
        unit_is_guess=stated is None,
    )


_Rows = list[tuple[int, list[str]]]


def _table(path: Path) -> tuple[_Rows, list[str]]:
    """Return the rows with their line numbers, and the header's cells."""
    rows: _Rows = []
    header: list[str] = []
    for number, line in enumerate(_lines(path), start=1):
        cells = [cell for cell in re.split(r"[,;\s]+", line.strip()) if cell]
        if not cells or cells[0].startswith("#"):
            continue
        if not rows and not header and not any(_as_number(cell) is not None for cell in cells):
            header = [cell for cell in re.split(r"[,;\t]+", line.strip()) if cell]
            continue
        rows.append((number, cells))
    if not rows:
        raise FormatError("holds no time stamps", where=path)
    return rows, header


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise FormatError("is far too large for a list of time stamps", where=path)
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror})", where=path) from error
    except UnicodeDecodeError:
        raise FormatError("is not a text file", where=path) from None


def _stamp_column(rows: _Rows, header: list[str], path: Path) -> int:
    """Return which column holds the stamps: the one that says so, or the only one that can."""
    named = [i for i, name in enumerate(header) if re.search(r"time|stamp|\bts\b|\bpts\b|^t\b", name.lower())]
    if len(named) == 1:
        return named[0]
    width = min(len(cells) for _, cells in rows)
    numeric = [i for i in range(width) if all(_as_number(cells[i]) is not None for _, cells in rows[:100])]
    if len(numeric) > 1 and len(rows) > 1:
        numeric = [i for i in numeric if not _counts_frames(rows, i)] or numeric[:1]
    if len(numeric) == 1 or width == 1:
        return numeric[0] if numeric else 0
    raise FormatError(
        f"has {width} columns, and none is named a time stamp",
        where=path,
        hint="write one stamp a line, or a header such as time_us",
    )


def _counts_frames(rows: _Rows, column: int) -> bool:
    first = _as_number(rows[0][1][column])
    return first in (0, 1) and all(
        _as_number(cells[column]) == first + place for place, (_, cells) in enumerate(rows[:100])
    )


def _number(cells: list[str], column: int, row: int, path: Path) -> Fraction:
    if column >= len(cells):
        raise FormatError(f"row {row}: has no time stamp", where=path)
    value = _as_number(cells[column])
    if value is None:
        raise FormatError(f"row {row}: {cells[column]!r} is not a time stamp", where=path)
    return value


def _as_number(text: str) -> Fraction | None:
    if not re.fullmatch(r"[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,2})?", text):
        return None
    return Fraction(text)


def _stated_unit(header: list[str], column: int, path: Path) -> tuple[TimeUnit, str] | None:
    name = header[column] if column < len(header) else ""
    for text, what in ((name, "the header says"), (path.stem, "the file name says")):
        words = [word for word in re.split(r"[\W_]+", text.lower()) if word]
        if len(words) > 1 and words[-1] in _UNIT_WORDS:
            return _UNIT_WORDS[words[-1]], f"{what} {text!r}"
    return None


def _unit_of_interval(stamps: Sequence[Fraction], path: Path) -> tuple[TimeUnit, str]:
    if len(stamps) > 1:
        interval = median(later - earlier for earlier, later in pairwise(stamps))
        for unit in TimeUnit:
            if _SHORTEST_INTERVAL_S <= interval / unit.per_second < 1000 * _SHORTEST_INTERVAL_S:
                return unit, f"frames are then {float(interval / unit.per_second * 1000):.4g} ms apart"
    raise FormatError("the unit of its time stamps cannot be told", where=path, hint=_HINT_UNIT)


def _shown(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else repr(float(value))
