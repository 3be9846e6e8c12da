"""Turns columns of numbers into events: their order and unit are stated, named, or guessed from values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from dmtrack.errors import FormatError
from dmtrack.video.events.event_batch import EventBatch, Times
from dmtrack.video.events.event_options import EventOptions, parse_order
from dmtrack.video.time_file import UNIT_WORDS, TimestampUnit

Numbers = npt.NDArray[Any]

SAMPLE_ROWS: Final = 1 << 12  # so many rows are read to guess order and unit
NO_COORDINATE: Final = 0xFFFF  # replaces a coordinate that no sensor can have

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "x": ("x", "xs", "x_pos", "col", "column"),
    "y": ("y", "ys", "y_pos", "row"),
    "p": ("p", "ps", "pol", "polarity", "on"),
}
"""Usual names of columns, by content."""
_SUFFIXED: Final = re.compile(r"(\w+?)(?:[\s_]*[\[(]\s*([^\W\d]+|-|1)\s*[\])]|[\s_]+([^\W\d]+))")
"""A name and its unit: `time(us)`, `timestamp_us`, `x [px]`."""
_STAMP: Final = re.compile(rf"(?:(?:header[._/])?(?:stamp|ts|time)[._/])?({'|'.join(UNIT_WORDS)})")
"""A unit as the name of a column of times: `sec`, `header.stamp.nsecs`."""
_EPOCH_S: Final = (1e9, 4e9)  # seconds from 1970 to the years of 2001 and 2096
_USUAL_RATE: Final = 3e5  # events per second
_SHORT_S: Final = 0.01  # hardly any recording is shorter
_CLOCK_S: Final = 1e-6
_FINE_PENALTY: Final = 6.5  # like a rate 700 times the usual one
_STEPS: Final = (1e3, 1.0, 1e-3, 1e-6, 1e-9)
_NEAR, _PRECISION = 0.01, 4e-16
_FEW: Final = 256
_FEWEST_EVEN, _LONGEST_EVEN_S = 8, 0.1
"""A camera's events are not evenly spaced: at least so many that are, so far apart at most, are synthetic."""
_MAX_TIME: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class NamedColumns:
    """The places of t, x, y and p among named columns."""

    places: Mapping[str, int]
    unit: TimestampUnit | None = None  # as the name of t states
    other_times: tuple[int, TimestampUnit] | None = None  # place and named unit of a second column of times

    @property
    def needed(self) -> tuple[int, ...]:
        """The places of t, x, y, p and any second column of times; empty if one of the four is missing."""
        places = tuple(self.places[name] for name in "txyp" if name in self.places)
        more = () if self.other_times is None else self.other_times[:1]
        return places + more if len(places) == len("txyp") else ()


def names_to_columns(names: Sequence[str]) -> NamedColumns:
    """Find t, x, y and p by the names of columns, and times split over two, such as `sec, nsec`."""
    known = {alias: key for key, aliases in _NAMES.items() for alias in aliases}
    places: dict[str, int] = {}
    unit = other = None
    for place, name in enumerate(names):
        word, suffix = name.strip().strip("\"'").lower(), ""
        if word not in known and (parts := _STAMP.fullmatch(word)):
            word, suffix = "t", parts[1]
        elif word not in known and (parts := _SUFFIXED.fullmatch(word)):
            word, suffix = parts[1], parts[2] or parts[3]
        key = known.get(word)
        if key is None or (
            suffix and suffix not in (UNIT_WORDS if key == "t" else ("px", "pixel", "pixels", "-", "1"))
        ):
            continue
        if key not in places:
            places[key] = place
            unit = UNIT_WORDS[suffix] if key == "t" and suffix else unit
        elif key == "t" and suffix and other is None:
            other = (place, UNIT_WORDS[suffix])
    return NamedColumns(places, unit, other)


@dataclass(frozen=True, slots=True)
class ColumnMeaning:
    """How columns of numbers become events."""

    places: tuple[int, ...]  # columns of t, x, y and p, and of the rest to add to t, if there is one
    unit: TimestampUnit  # of the times
    offset: int = 0  # added to the times first, in their unit (some files store it apart)
    notes: tuple[str, ...] = ()  # assumptions, one sentence each
    negative: float = 0.0  # polarities above it are positive
    rest_unit: TimestampUnit | None = None  # of the rest to add to t

    @classmethod
    def settled(
        cls,
        sample: Sequence[Numbers],
        names: Sequence[str] | None,
        options: EventOptions,
        *,
        total: int | None = None,
        tail: Sequence[Numbers] | None = None,
        offset: int = 0,
    ) -> Self:
        """Settle order and unit: stated by the options, else by the names, else guessed from the numbers.

        `sample` holds the first `(N,)` numbers of each column, `tail` the last ones, if available; `names`
        are those of the columns, if known, `total` the number of events, if known; `offset` is added to the
        times. `FormatError`: columns are not numbers, one of the four is missing, or the order is unclear.
        """
        notes = []
        named = NamedColumns({})
        if options.columns is None and names is None and not all(map(_are_numbers, sample)):
            raise FormatError("its columns are no lists of numbers")
        if options.columns is not None:
            order = parse_order(options.columns)
            found = {name: place for place, name in enumerate(order) if name != "-"}
        elif names is not None:
            named = names_to_columns(names)
            found = dict(named.places)
            missing = [name for name in "txyp" if name not in found]
            if missing:
                raise FormatError(
                    f"the column {missing[0]} is missing (there are: {', '.join(names) or 'none'})",
                    hint="t, x, y and p are needed",
                )
        else:
            found = _guessed_order(sample)
            notes.append(
                f"The columns are taken as {','.join(sorted(found, key=found.__getitem__))} (--columns)."
            )
        if max(found.values()) >= len(sample):
            raise FormatError(f"{len(sample)} columns, but {max(found.values()) + 1} are named")
        places = tuple(found[name] for name in "txyp")
        if not all(_are_numbers(sample[place]) for place in places):
            raise FormatError("its columns are no lists of numbers")
        unit, rest_unit = options.unit or named.unit, None
        samples = [sample] if tail is None else [sample, tail]
        if options.unit is None and (pair := _in_two(samples, places[0], named)) is not None:
            places, unit, rest_unit = (pair[0], *places[1:], pair[1]), TimestampUnit.S, pair[2]
        if unit is None:
            t = sample[places[0]]
            end, count = (t, len(t)) if tail is None or total is None else (tail[places[0]], total)
            unit = _guessed_unit(t, end, count)
            notes.append(f"Times are taken as {unit} (--time-unit).")
        if offset:
            notes.append(f"Its t_offset of {offset} is added.")
        return cls(places, unit, offset, tuple(notes), _lower_polarity(sample[places[3]]), rest_unit)

    def events(self, columns: Sequence[Numbers]) -> EventBatch:
        """Return the events of `(N,)` columns.

        Coordinates that no sensor can have become `NO_COORDINATE`, which the reader rejects later.
        """
        t, x, y, p, *rest = (columns[place] for place in self.places)
        times = _microseconds(t, self.unit, self.offset)
        if self.rest_unit is not None:
            times += _microseconds(rest[0], self.rest_unit)
        return EventBatch(times, _coordinate(x), _coordinate(y), np.asarray(p > self.negative))


def _microseconds(t: Numbers, unit: TimestampUnit, offset: int = 0) -> Times:
    if t.dtype.kind in "iu" and unit is TimestampUnit.US:
        return t.astype(np.int64) + offset
    if t.dtype.kind in "iu" and unit is TimestampUnit.NS:
        return (t.astype(np.int64) + offset) // 1000
    whole = t.astype(np.int64) if t.dtype.kind in "iu" else t  # their type may be too small for the offset
    micro = (whole + offset) * (1e6 / unit.per_second)
    bounded = np.nan_to_num(micro, nan=-_MAX_TIME).clip(-_MAX_TIME, _MAX_TIME)
    return np.asarray(np.rint(bounded), dtype=np.int64)


@np.errstate(invalid="ignore")
def _in_two(
    samples: Sequence[Sequence[Numbers]], t: int, named: NamedColumns
) -> tuple[int, int, TimestampUnit] | None:
    """Return the columns of whole seconds and of the fraction to add, and the fraction's unit.

    None: there is no such pair, or both columns are the same times in two units.
    """
    if named.unit is None or named.other_times is None:
        return None
    other, other_unit = named.other_times
    whole, rest, unit = (t, other, other_unit) if named.unit is TimestampUnit.S else (other, t, named.unit)
    is_pair = (named.unit is TimestampUnit.S) != (other_unit is TimestampUnit.S) and all(
        bool((one[whole] % 1 == 0).all() and ((one[rest] >= 0) & (one[rest] < unit.per_second)).all())
        for one in samples
    )
    return (whole, rest, unit) if is_pair else None


def _lower_polarity(sample: Numbers) -> float:
    """Return the number that marks negative events: the smaller of two polarities, at least 0; else 0."""
    values = np.unique(sample)
    return max(0.0, float(values[0])) if len(values) == 2 else 0.0


def _coordinate(values: Numbers) -> npt.NDArray[np.uint16]:
    if values.dtype == np.uint16:
        return np.ascontiguousarray(values)
    valid = (values >= 0) & (values < NO_COORDINATE)
    return np.where(valid, values, NO_COORDINATE).astype(np.uint16)


def _are_numbers(column: Numbers) -> bool:
    return column.dtype.kind in "biuf" and column.ndim == 1


@np.errstate(invalid="ignore")
def _guessed_order(columns: Sequence[Numbers]) -> dict[str, int]:
    """Guess which of four columns is which; `FormatError`: it is unclear.

    Time never falls, has fractions if such a column does, and spans the widest range; polarity has at most
    two values out of -1, 0 and 1. Of the other two, x comes first.
    """
    if len(columns) != 4:
        raise FormatError(f"{len(columns)} columns", hint="four are needed, or their order: --columns txyp")
    known = [np.unique(column) for column in columns]
    polarity = [i for i, one in enumerate(known) if len(one) <= 2 and np.isin(one, (-1, 0, 1)).all()]
    spans = {
        place: float(np.ptp(column))
        for place, column in enumerate(columns)
        if place not in polarity and len(column) and bool((np.diff(column) >= 0).all())
    }
    if len(polarity) != 1 or not spans:
        raise FormatError(
            "cannot tell which column is which", hint="give their order, such as --columns txyp"
        )
    fractions = [place for place in spans if bool((columns[place] % 1 != 0).any())]
    time = max(fractions or spans, key=spans.__getitem__)
    x, y = (place for place in range(4) if place not in (time, polarity[0]))
    return {"t": time, "x": x, "y": y, "p": polarity[0]}


def _guessed_unit(sample: Numbers, tail: Numbers, count: int) -> TimestampUnit:
    """Guess the unit of times: one that makes them plausible unix times, else the least unlikely one.

    Cameras count microseconds, so units that make the steps finer are unlikely; so are those that make the
    recording very short, or the event rate unusual. Evenly spaced times get the usual unit.

    `count` is the number of events from the first of `sample` to the last of `tail`, which may be `sample`.
    """
    times = np.asarray(sample, dtype=np.float64)
    times = times[np.isfinite(times)]
    span = float(tail[-1]) - float(times[0]) if len(tail) and len(times) else 0.0
    is_whole = bool((times == np.floor(times)).all())
    for unit in TimestampUnit:
        since_s = float(times[0]) / unit.per_second if len(times) else 0.0
        is_unlike_a_counter = unit in (TimestampUnit.US, TimestampUnit.NS) or not is_whole
        if _EPOCH_S[0] <= since_s < _EPOCH_S[1] and is_unlike_a_counter:
            return unit
    if not 0 < span < math.inf:
        return TimestampUnit.US if is_whole else TimestampUnit.S
    step = _finest_step(times)
    usual = TimestampUnit.US if is_whole else TimestampUnit.S
    if step and 0 < _even_step(times) <= _LONGEST_EVEN_S * usual.per_second:
        return usual

    def oddness(unit: TimestampUnit) -> float:
        return _oddness(span / unit.per_second, count, step / unit.per_second)

    return min(TimestampUnit, key=oddness)


def _even_step(times: npt.NDArray[np.float64]) -> float:
    """Return the distance of evenly spaced times, whose event rate says nothing; 0 if they are uneven."""
    steps = np.diff(times)
    is_even = len(steps) >= _FEWEST_EVEN and steps[0] > 0 and np.ptp(steps) <= _NEAR * steps[0]
    return float(steps[0]) if is_even else 0.0


def _finest_step(times: npt.NDArray[np.float64]) -> float:
    """Return the largest step of `_STEPS` that divides all times; 0 if there is none.

    0 also where the times are multiples of eighths, which are thousandths only by chance.
    """
    for step in _STEPS:
        ticks = times / step
        whole = np.rint(ticks)
        if not whole.any() or (np.abs(ticks - whole) > _NEAR + np.abs(ticks) * _PRECISION).any():
            continue
        common = np.gcd.reduce(np.abs(whole[:_FEW]).astype(np.int64)) if step < 1 else 1
        return step if common % 125 else 0.0
    return 0.0


def _oddness(span_s: float, count: int, step_s: float) -> float:
    """Return how unlikely it is that `count` events span `span_s` and have time steps of `step_s`."""
    rate = abs(math.log(count / span_s / _USUAL_RATE))
    short = 6 * math.log10(_SHORT_S / span_s) if span_s < _SHORT_S else 0.0
    fine = _FINE_PENALTY if 0 < step_s < _CLOCK_S * (1 - _NEAR) else 0.0
    return rate + short + fine + (math.inf if 0 < step_s < _CLOCK_S * _CLOCK_S else 0.0)
