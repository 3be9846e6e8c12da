"""Side files of time stamps, one per frame, and the stream whose times come from one.

A line is a time stamp alone, or a table row (comma, semicolon, tab or space) with a time stamp in
one column, such as `1305031102.175 rgb/0001.png`. Times of day, with or without a date, are time
stamps too. A first line of words is the header. Lines that begin with `#` are comments.
"""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise, permutations
from pathlib import Path
from statistics import median
from typing import Final

from dmtrack.errors import FormatError, translated
from dmtrack.numbers import exact, file_text
from dmtrack.video.frame import Frame, VideoInfo
from dmtrack.video.position import Position
from dmtrack.video.source import FrameSource, follows

MAX_FILE_BYTES: Final = 256_000_000
"""A larger file is no list of time stamps: a day at 100 frames a second has 9 million lines."""
_NS: Final = 10**9
"""Resolution kept, per second: finer digits are noise, and time stamps have to fit into 64 bits."""
_LATEST_S: Final = 9 * 10**9
_LOOKED_AT: Final = 100
_DECIMAL_COMMA: Final = re.compile(r"([-+]?\d+),(\d+)")
_DAY_AND_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d) +(\d{1,2}:\d\d:)")
_CLOCK_COMMA: Final = re.compile(r"(\d:\d\d:\d\d),(\d{3}(?:\d{3})*)(?!\d)")  # 00:00:01,033
_QUOTED: Final = re.compile(r'^"(.*)"$')
_CLOCK: Final = re.compile(
    r"(?:(?P<day>\d{4}-\d\d-\d\d)[T_])?(?P<h>\d{1,2}):(?P<m>[0-5]\d):(?P<s>[0-5]\d(?:[.,]\d{1,12})?)"
    r"(?P<zone>Z|[-+]\d\d:?\d\d)?"
)
_DAY_OF_1970: Final = date(1970, 1, 1).toordinal()
_STAMP: Final = re.compile(r"time|stamp|\bp?ts(?:\b|_)|^t(?:\b|_)")
_LENGTH: Final = re.compile(r"exposure|duration|delta|diff|interval|\bdt\b|latency|delay|process")
_HINT_UNIT: Final = "say --times-unit s, ms, us or ns"


class TimestampUnit(StrEnum):
    """The unit of a time stamp."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"

    @property
    def per_second(self) -> int:
        """How many of the unit make a second."""
        return int(1000 ** [*TimestampUnit].index(self))


UNIT_WORDS: Final = {
    word: unit
    for unit, words in (
        (TimestampUnit.S, "s sec secs second seconds"),
        (TimestampUnit.MS, "ms msec msecs millis milliseconds"),
        (TimestampUnit.US, "us usec usecs µs micros microseconds"),
        (TimestampUnit.NS, "ns nsec nsecs nanosec nanosecs nanos nanoseconds"),
    )
    for word in words.split()
}
_WITH_UNIT: Final = re.compile(rf"(.*?)[\W_]*({'|'.join(UNIT_WORDS)})[\W_]*")
_WHOLE: Final = re.compile(r"\d{1,18}")
_SHORTEST_INTERVAL_S: Final = Fraction(1, 400)
"""Usual intervals are 2.5 ms to 2.5 s: as each unit is 1000 times the next, just one fits."""


@dataclass(frozen=True, slots=True)
class TimeFile:
    """The time stamps of one stream."""

    path: Path
    times_s: tuple[Fraction, ...]  # one per frame, ascending, in seconds rounded to nanoseconds
    rows: tuple[int, ...]  # the line of each in the file, from 1
    unit: TimestampUnit  # what the file counts in; a guess if nobody stated it
    unit_reason: str
    unit_is_guess: bool = False

    def require_count(self, frames: int) -> None:
        """Check that there is one time stamp per frame; a `FormatError` names the first unmatched one."""
        stamps = len(self.times_s)
        if stamps == frames:
            return
        if stamps > frames:
            where = f"row {self.rows[frames]} has no frame"
        else:
            where = f"frame {stamps} (from 0) has none, the last is in row {self.rows[-1]}"
        raise FormatError(f"has {stamps} time stamps for {frames} frames: {where}", where=self.path)


def read_times(path: Path, unit: TimestampUnit | None = None) -> TimeFile:
    """Read a side file of time stamps.

    `unit` None takes the unit that its header or name states (`time_ms`, `stamps.us.txt`), else the one that
    gives a usual frame interval. `FormatError`: the file cannot be read; a row has no time stamp, or one that
    is no number or not later than the one before (the row is named); or the unit is not clear.
    """
    rows, header = _table(path)
    stated: tuple[TimestampUnit, str] | None
    if unit is None and (pair := _in_two_columns(rows, header)) is not None:
        whole, rest, per_second = pair
        stamps = [int(cells[whole]) + Fraction(int(cells[rest]), per_second) for _, cells in rows]
        stated = TimestampUnit.S, f"the header says {header[whole]!r} and {header[rest]!r}"
    else:
        column = _stamp_column(rows, header, path)
        stamps = [_number(cells, column, row, path) for row, cells in rows]
        if _CLOCK.fullmatch(rows[0][1][column]):
            unit = TimestampUnit.S
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
    return TimeFile(path, times_s, tuple(row for row, _ in rows), unit, reason, unit_is_guess=stated is None)


_Rows = list[tuple[int, list[str]]]


def _table(path: Path) -> tuple[_Rows, list[str]]:
    """Return the rows with their line numbers, and the header's cells."""
    rows: _Rows = []
    header: list[str] = []
    lines = [_CLOCK_COMMA.sub(r"\1.\2", _DAY_AND_TIME.sub(r"\1T\2", line.strip())) for line in _lines(path)]
    separator = _separator([line for line in lines if line and not line.startswith("#")][:_LOOKED_AT])
    for number, line in enumerate(lines, start=1):
        if not line or line.startswith("#"):
            continue
        cells = _cells(separator, line)
        if separator != ",":
            cells = [_DECIMAL_COMMA.sub(r"\1.\2", cell) for cell in cells]
        if not rows and not header and not any(_as_number(cell) is not None for cell in cells):
            # blanks may separate cells, but a unit in brackets belongs to the name before it
            header = _cells(separator, re.sub(r"\s+(?=[(\[])", "", line))
            continue
        rows.append((number, cells))
    if not rows:
        raise FormatError("holds no time stamps", where=path)
    width = len(rows[0][1])
    return rows, header if len(header) <= width else [" ".join(header)] * (width == 1)


def _cells(separator: str, line: str) -> list[str]:
    return [_QUOTED.sub(r"\1", cell.strip()) for cell in re.split(separator, line)]


def _separator(lines: Sequence[str]) -> str:
    """Return the pattern that separates cells; if it is not the comma, commas may be decimal ones."""
    for mark in (";", "\t"):
        if any(mark in line for line in lines):
            return mark
    commas = [line for line in lines if re.search(r"\d\s*,|,\s*\d", line)]
    if not commas:
        return "," if any("," in line for line in lines) else r"\s+"
    if "," in lines[0] and lines[0] not in commas:  # a header
        return ","
    fields = [re.split(r"\s+", line) for line in commas]
    if not all(_DECIMAL_COMMA.fullmatch(field) or "," not in field for row in fields for field in row):
        return ","
    if max(map(len, fields)) > 1:
        return r"\s+"
    wholes = [int(line.partition(",")[0]) for line in commas]
    return r"\s+" if any(later <= earlier for earlier, later in pairwise(wholes)) else ","


def _lines(path: Path) -> list[str]:
    with translated(FormatError, "is not a text file", where=path):
        if path.stat().st_size > MAX_FILE_BYTES:
            raise FormatError("is far too large for a list of time stamps")
        return file_text(path).splitlines()


def _in_two_columns(rows: _Rows, header: list[str]) -> tuple[int, int, int] | None:
    """Return the columns of whole seconds and of fractions, as in ROS, and the fractions per second."""
    found = enumerate(_WITH_UNIT.fullmatch(name.lower()) for name in header)
    named = [(place, one[1], one[2]) for place, one in found if one and not _LENGTH.search(one[1])]
    for (whole, stem, whole_unit), (rest, other, unit) in permutations(named, 2):
        per_second = UNIT_WORDS[unit].per_second
        if (
            stem == other
            and UNIT_WORDS[whole_unit].per_second == 1 < per_second
            and all(
                max(whole, rest) < len(cells)
                and _WHOLE.fullmatch(cells[whole])
                and _WHOLE.fullmatch(cells[rest])
                and int(cells[rest]) < per_second
                for _, cells in rows
            )
        ):
            return whole, rest, per_second
    return None


def _stamp_column(rows: _Rows, header: list[str], path: Path) -> int:
    """Return the column of the time stamps: the one whose name says so, else the only one possible."""
    width = min(len(cells) for _, cells in rows)
    named = [i for i, name in enumerate(header) if _STAMP.search(name.lower())]
    if len(named) > 1:  # exposures and intervals are no time stamps
        named = [i for i in named if i < width and not _LENGTH.search(header[i].lower()) and _rises(rows, i)]
    if len(named) == 1:
        return named[0]
    if len(named) > 1:
        names = " and ".join(repr(header[i]) for i in named[:4])
        raise FormatError(f"the columns {names} are both times", where=path, hint="leave one of them")
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


def _rises(rows: _Rows, column: int) -> bool:
    values = [_as_number(cells[column]) for _, cells in rows[:_LOOKED_AT]]
    known = [value for value in values if value is not None]
    return len(known) == len(values) and all(later > earlier for earlier, later in pairwise(known))


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
    try:
        if (clock := _CLOCK.fullmatch(text)) is not None:
            return _seconds(clock)
        return exact(text) if "/" not in text else None
    except ValueError:
        return None


def _seconds(clock: re.Match[str]) -> Fraction:
    """Return a time of day in seconds; with a date, seconds since 1970 (in UTC unless a zone is given)."""
    seconds = int(clock["h"]) * 3600 + int(clock["m"]) * 60 + Fraction(clock["s"].replace(",", "."))
    if clock["day"] is None:
        return seconds
    zone = clock["zone"] or "Z"
    ahead_s = 0 if zone == "Z" else int(f"{zone[0]}1") * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)
    return (date.fromisoformat(clock["day"]).toordinal() - _DAY_OF_1970) * 86_400 + seconds - ahead_s


def _stated_unit(header: list[str], column: int, path: Path) -> tuple[TimestampUnit, str] | None:
    name = header[column] if column < len(header) else ""
    for text, what in ((name, "the header says"), (path.stem, "the file name says")):
        words = [word for word in re.split(r"[\W_]+", text.lower()) if word]
        if len(words) > 1 and words[-1] in UNIT_WORDS:
            return UNIT_WORDS[words[-1]], f"{what} {text!r}"
    return None


def _unit_of_interval(stamps: Sequence[Fraction], path: Path) -> tuple[TimestampUnit, str]:
    if len(stamps) > 1:
        interval = median(later - earlier for earlier, later in pairwise(stamps))
        for unit in TimestampUnit:
            if _SHORTEST_INTERVAL_S <= interval / unit.per_second < 1000 * _SHORTEST_INTERVAL_S:
                return unit, f"frames are then {float(interval / unit.per_second * 1000):.4g} ms apart"
    raise FormatError("the unit of its time stamps is not clear", where=path, hint=_HINT_UNIT)


def _shown(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else repr(float(value))


class StampedSource(FrameSource):
    """A stream whose time stamps, one per frame, come from a side file, `times`.

    A frame's row is its place among the container's own time stamps, so that a frame that fails to decode
    does not shift the rows of later ones; without such time stamps it is the frame's index.

    `source` is closed with this one. `FormatError`: there are more or fewer stamps than frames;
    `DecodeError`: the frames cannot be counted.
    """

    def __init__(self, source: FrameSource, times: TimeFile) -> None:
        stamps = source.frame_stamps()
        frames = source.info.frame_count if stamps is None else len(stamps)
        if frames is not None:
            times.require_count(frames)
        self._source = source
        self.times = times
        self._stamps = stamps
        self._time_base = Fraction(1, math.lcm(*(time.denominator for time in times.times_s)))
        self.info: VideoInfo = replace(
            source.info,
            time_base=self._time_base,
            start_pts=self._pts(0),
            frame_rate=_mean_rate(times.times_s) or source.info.frame_rate,
            frame_count=len(times.times_s),
            follows_s=follows(self.frame_stamps(), self._time_base),
        )

    @property
    def damaged_packets(self) -> int:
        """Packets or pictures lost so far."""
        return self._source.damaged_packets

    def _read(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        """Yield the frames with the times of the side file; `FormatError` if one has no time stamp."""
        first_s = self.times.times_s[0]
        for frame in self._source.read(self._own_start(start)):
            row = self._row(frame)
            if row >= len(self.times.times_s):
                self.times.require_count(row + 1)
            elapsed_s = self.times.times_s[row] - first_s
            if end is not None and end.is_reached(frame.index, elapsed_s):
                return
            if start is None or start.is_reached(frame.index, elapsed_s):
                yield Frame(frame.index, self._pts(row), self._time_base, frame.pixels)

    def frame_stamps(self) -> Sequence[int]:
        """Return the time stamps of the side file."""
        return [self._pts(row) for row in range(len(self.times.times_s))]

    def close(self) -> None:
        """Close the stream."""
        self._source.close()

    def _pts(self, row: int) -> int:
        return int(self.times.times_s[row] / self._time_base)

    def _row(self, frame: Frame) -> int:
        if self._stamps is None:
            return frame.index
        row = bisect.bisect_left(self._stamps, frame.pts)
        return row if row < len(self._stamps) and self._stamps[row] == frame.pts else frame.index

    def _own_start(self, start: Position | None) -> Position | None:
        """Return a position at or before `start` on the stream's own clock, to skip the frames before it."""
        if start is None or start.time_s is None:
            return start
        times = self.times.times_s
        row = min(bisect.bisect_left(times, times[0] + start.time_s), len(times) - 1)
        if self._stamps is None:
            return Position(index=row)
        return Position(time_s=(self._stamps[row] - self._stamps[0]) * self._source.info.time_base)


def _mean_rate(times_s: Sequence[Fraction]) -> Fraction | None:
    if len(times_s) < 2:
        return None
    return (len(times_s) - 1) / (times_s[-1] - times_s[0])
