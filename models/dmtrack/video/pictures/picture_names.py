"""What the names of pictures say: their order, and when they were taken."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise, takewhile
from pathlib import Path
from statistics import median_low
from typing import Final

# one number that is a time: seconds with a fraction, or milli-, micro- or nanoseconds since 1970
_TIME: Final = re.compile(
    r"(?<![\d.])(?:(?:(?<!\d\d[-_.:h]\d\d[-_.:m])\d\d?|\d{3,10})\.\d{1,12}|1\d{12}|1\d{15}|1\d{18})(?![\d.])"
)
# parts of a time in several numbers; `_TIME_OF_DAY.format` takes the separators before minutes and seconds
_FRACTION: Final = r"(?:[-_]?(?P<rest>\d{9}|\d{6}|\d{3})|[.,](?P<fraction>\d{1,9}))?(?!\d)"
_DATE: Final = r"(?<!\d)(?P<year>20\d\d)[-_.]?(?P<month>\d\d)[-_.]?(?P<day>\d\d)[-_.T ]?"
_TIME_OF_DAY: Final = r"(?P<hour>[01]\d|2[0-3]){0}(?P<minute>[0-5]\d){1}(?P<second>[0-5]\d)"
_DATE_AND_TIME: Final = _DATE + _TIME_OF_DAY.format("[-_.:h]?", "[-_.:m]?")
_OTHER_DATE: Final = r"(?<!\d)(?:[0-3]\d[01]\d20\d\d|\d\d[01]\d[0-3]\d|[0-3]\d[01]\d\d\d)[-_.T ]"
_CLOCK: Final = re.compile(r"(?<!\d)" + _TIME_OF_DAY.format("[-_.:h]", "[-_.:m]") + f"s?{_FRACTION}")
_CLOCKS: Final = (
    re.compile(f"{_DATE_AND_TIME}s?{_FRACTION}"),
    _CLOCK,
    re.compile(_OTHER_DATE + _TIME_OF_DAY.format("", "") + _FRACTION),
    re.compile(r"(?<!\d)(?P<seconds>1\d{9})[-_](?P<rest>\d{9}|\d{6})(?!\d)"),
)
_WHOLE_SECONDS: Final = (
    re.compile(_DATE_AND_TIME + r"(?!\d)"),
    re.compile(r"(?<!\d)(?P<seconds>1\d{9})(?!\d)"),
)
_HHMMSS: Final = re.compile(_TIME_OF_DAY.format("", "") + r"\.\d+")
_EARLIEST_HHMMSS: Final = 10_000  # before one o'clock, digits may as well be seconds
# notations whose numbers do not rise with time
_DAY_FIRST: Final = re.compile(r"(?<!\d)(\d\d)([-_.]?)(\d\d)\2(20\d\d)(?=[-_.T ]+\d)")
_AM_PM: Final = re.compile(r"(?<!\d)(\d\d?)(?:[-_.:]\d\d)+\S*[-_. ]?([ap])\.?m(?![a-z])", re.IGNORECASE)
_MONTH: Final = re.compile(r"(?<![a-z])(jan|feb|m[aä]r|apr|ma[iy]|ju[nl]|aug|sep|o[ck]t|nov|de[cz])\D{0,9}\d")
HEXADECIMAL: Final = "([0-9a-f]+)"
_HEX_DIGITS: Final = 4
_EPOCH_DIGITS: Final = 9  # of seconds since 1970
_FINE_DIGITS: Final = 3  # with so many digits of a fraction, a smaller number is a time too
_SHORTEST_S, _HALF_DAY_S, _DAY_S = Fraction(1, 1000), 43_200, 86_400


def natural_order(files: Sequence[Path]) -> list[Path]:
    """Return files in order of the numbers in their names; the rest is compared as text, without case.

    After a number of at least nine digits, which is a time, a point begins a fraction: `str(time.time())`
    omits trailing zeros. After a smaller one it does if the lengths of all fractions suggest so (`0.05`,
    `0.1`); else the two are numbers of their own, so that version 1.2 comes before 1.10. If all names are
    hexadecimal, of one length and at least four digits, each is one number.
    """
    if are_hexadecimal(files):
        return sorted(files, key=lambda file: (file.stem.lower(), file.name))
    words = re.compile(r"\d+\.\d+|\d+|\D+" if _has_fractions(files) else r"\d{9,}\.\d+|\d+|\D+")

    def key(file: Path) -> tuple[list[tuple[int, Decimal, str]], str]:
        parts = words.findall(file.stem.lower())
        return [
            (0, Decimal(part), "") if part[0].isdecimal() else (1, Decimal(0), part) for part in parts
        ], file.name

    return sorted(files, key=key)


def are_hexadecimal(files: Sequence[Path]) -> bool:
    """Return whether all names are hexadecimal numbers of one length, of at least four digits."""
    stems = [file.stem.lower() for file in files]
    lengths = {len(stem) for stem in stems}
    return (
        len(lengths) == 1
        and lengths.pop() >= _HEX_DIGITS
        and all(re.fullmatch(HEXADECIMAL, one) for one in stems)
    )


def _has_fractions(files: Sequence[Path]) -> bool:
    """Return whether the digits after points in names vary in length like fractions, not like versions."""
    fractions = [digits for file in files for digits in re.findall(r"\d\.(\d+)", file.stem)]
    if len({len(digits) for digits in fractions}) < 2:
        return False
    if any(len(digits) > 3 or (digits[0] == "0" and len(digits) > 1) for digits in fractions):
        return True
    return not any(digits[-1] == "0" and len(digits) > 1 for digits in fractions)


def times_in_names(files: Sequence[Path]) -> list[Fraction] | None:
    """Return the times in the names of pictures, in seconds, such as `1305031102.175304.png`.

    Numbers of 13, 16 and 19 digits are milliseconds, microseconds and nanoseconds since 1970. A time of day
    with a fraction, with or without a date (`20240131_235959_950`, `2024-01-31T23:59:59.95`, `235959.950`),
    and seconds and their fraction as two numbers (`1305031102_175304000`) are times too. None if a name holds
    no time, or several, or the times do not rise.
    """
    if (split_s := _split_times(files)) is not None:
        return split_s
    if len(files) < 2 or len(_TIME.findall(files[0].stem)) != 1:
        return None
    found = [_TIME.findall(file.stem) for file in files]
    if any(len(one) != 1 for one in found):
        return None
    words = [one[0] for one in found]
    if any(len(word.partition(".")[0]) < _EPOCH_DIGITS for word in words) and not (
        _has_fractions(files) or all(len(word.partition(".")[2]) >= _FINE_DIGITS for word in words)
    ):
        return None
    times_s = [Fraction(word) / (1 if "." in word else 10 ** (len(word) - 10)) for word in words]
    clocks = [match for match in map(_HHMMSS.fullmatch, words) if match is not None]
    if len(clocks) == len(words) and times_s[0] >= _EARLIEST_HHMMSS:
        times_s = [_seconds(match) + time_s % 1 for match, time_s in zip(clocks, times_s, strict=True)]
    return times_s if _are_frames(times_s) else None


def _are_frames(times_s: Sequence[Fraction]) -> bool:
    """Return whether times rise like those of frames; False if a clock without a date passes midnight."""
    steps_s = [later - earlier for earlier, later in pairwise(times_s)]
    is_of_a_day = times_s[-1] >= _DAY_S or max(steps_s) < _HALF_DAY_S
    return min(steps_s) > 0 and _SHORTEST_S <= median_low(steps_s) <= _DAY_S and is_of_a_day


def _split_times(files: Sequence[Path]) -> list[Fraction] | None:
    """Return the times that names hold in several numbers, if any; a last number that counts by ones is none.

    Without a date, nor are numbers that stay within one second: they may be scene, camera and shot.
    """
    for found, whole_s in _clocks_in_names(_CLOCKS, files):
        words = [match.groupdict() for match in found]
        rests = [one["rest"] or one.get("fraction") or "" for one in words]
        if len({len(one["rest"] or "") for one in words}) > 1 or 2 * rests.count("") > len(rests):
            continue  # a few may be empty: Python omits a fraction of 0
        tick_s = Fraction(1, 10 ** max(map(len, rests)))
        if "hour" in words[0] and "year" not in words[0] and whole_s[0] == whole_s[-1]:
            continue
        times_s = [whole + Fraction(f"0.{rest}0") for whole, rest in zip(whole_s, rests, strict=True)]
        steps_s = [later - earlier for earlier, later in pairwise(times_s)]
        if median_low(steps_s) > tick_s and _are_frames(times_s):
            return times_s
    return None


def seconds_in_names(files: Sequence[Path]) -> list[int] | None:
    """Return the whole seconds since 1970 at the end of names: a date and time of day, or one number.

    None if there are none, they do not rise, or another number follows, which counts frames better.
    """
    for found, times_s in _clocks_in_names(_WHOLE_SECONDS, files):
        if not any(re.search(r"\d", one.string[one.end() :]) for one in found):
            return times_s if _are_frames([Fraction(one) for one in times_s]) else None
    return None


def _clocks_in_names(
    patterns: Iterable[re.Pattern[str]], files: Sequence[Path]
) -> Iterator[tuple[list[re.Match[str]], list[int]]]:
    """Yield the matches and their whole seconds for each pattern that is in all names, at least two."""
    for pattern in patterns:
        matches = takewhile(bool, (pattern.search(file.stem) for file in files))
        found = [match for match in matches if match is not None]
        with suppress(ValueError):  # there is no such day
            if len(found) == len(files) > 1:
                yield found, [_seconds(match) for match in found]


def _seconds(match: re.Match[str]) -> int:
    words = match.groupdict()
    if "hour" not in words:
        return int(match["seconds"])
    if "year" not in words:
        return int(match["hour"]) * 3600 + int(match["minute"]) * 60 + int(match["second"])
    numbers = [int(match[name]) for name in ("year", "month", "day", "hour", "minute", "second")]
    return int(datetime(*numbers, tzinfo=UTC).timestamp())  # type: ignore[arg-type, misc]


def are_in_time(stems: Collection[str]) -> bool:
    """Return whether numbers in names rise with time.

    They may not if months are words or follow days, AM turns to PM, or a clock without a day passes midnight.
    """
    if len({month[1] for stem in stems if (month := _MONTH.search(stem.lower())) is not None}) > 1:
        return False
    first = next(iter(stems), "")
    clock = _CLOCK.search(first)
    if clock is not None and not re.search(r"\d\d", first[: clock.start()]):
        times_s = sorted(_seconds(match) for match in map(_CLOCK.search, stems) if match is not None)
        if any(later - earlier > _HALF_DAY_S for earlier, later in pairwise(times_s)):
            return False
    if not any(pattern.search(first) for pattern in (_DAY_FIRST, _AM_PM)):
        return True
    found = [match for match in map(_DAY_FIRST.search, stems) if match is not None]
    days = sorted({(int(one[1]), int(one[3]), int(one[4])) for one in found})
    of_europe = [(year, two, one) for one, two, year in days]
    of_america = [(year, one, two) for one, two, year in days]
    possible = [dates for dates in (of_europe, of_america) if all(0 < month < 13 for _, month, _ in dates)]
    clocks = {(int(match[1]), match[2].lower()) for match in map(_AM_PM.search, stems) if match is not None}
    hours, halves = ({clock[place] for clock in clocks} for place in (0, 1))
    has_noon = len(halves) > 1 or (12 in hours and len(hours) > 1)
    return not has_noon and all(dates == sorted(dates) for dates in possible)
