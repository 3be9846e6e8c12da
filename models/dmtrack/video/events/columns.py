"""Columns of numbers whose order and units are stated, named, or told from what is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import ConfigError, FormatError
from dmtrack.video.events.batch import EventBatch

Numbers = npt.NDArray[Any]

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "t": ("t", "ts", "time", "timestamp", "timestamps", "timestamp [us]", "time_us", "t_us"),
    "x": ("x", "xs", "x_pos", "col", "column"),
    "y": ("y", "ys", "y_pos", "row"),
    "p": ("p", "ps", "pol", "polarity", "on"),
}
"""What columns are called, by what they hold."""


class TimeUnit(StrEnum):
    """What times are counted in."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"

    @property
    def microseconds(self) -> float:
        """How many microseconds one is."""
        return {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}[self.value]


def parse_order(text: str) -> tuple[str, ...]:
    """Read an order of columns such as `txyp` or `x,y,p,t`; `-` stands for a column to skip.

    Raises:
        ConfigError: One of t, x, y, p is missing or named twice.
    """
    order = tuple(text.replace(",", "").replace(" ", "").lower())
    if sorted(name for name in order if name != "-") != ["p", "t", "x", "y"]:
        raise ConfigError(f"{text!r} is no order of columns", hint="write t, x, y, p once each: txyp")
    return order


def order_of_names(names: Sequence[str]) -> tuple[str, ...] | None:
    """Return the order of columns that have names, or None if one of the four is not among them."""
    known = {alias: name for name, aliases in NAMES.items() for alias in aliases}
    order = tuple(known.get(name.strip().strip('"').lower(), "-") for name in names)
    return order if sorted(name for name in order if name != "-") == ["p", "t", "x", "y"] else None


def guess_order(rows: Numbers) -> tuple[str, ...]:
    """Tell which of four columns is which from some rows.

    Time never falls and ends highest; polarity has at most two values, 0 or -1 and 1. Of the two that
    are left, x comes first.

    Args:
        rows: `(N, 4)` numbers.

    Raises:
        FormatError: It cannot be told.
    """
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise FormatError(f"{rows.shape[-1]} columns", hint="four are needed, or their order: --columns txyp")
    is_polarity = [_is_polarity(column) for column in rows.T]
    rises = [bool((np.diff(column) >= 0).all()) for column in rows.T]
    is_time = [flag and not polarity for flag, polarity in zip(rises, is_polarity, strict=True)]
    if sum(is_polarity) != 1 or not any(is_time):
        raise FormatError("which column is which cannot be told", hint="say it, such as --columns txyp")
    spans = [float(np.ptp(column)) if flag else -1.0 for column, flag in zip(rows.T, is_time, strict=True)]
    time = int(np.argmax(spans))
    rest = iter("xy")
    return tuple("p" if is_polarity[index] else "t" if index == time else next(rest) for index in range(4))


def _is_polarity(column: Numbers) -> bool:
    return len(np.unique(column)) <= 2 and bool(np.isin(column, (-1, 0, 1)).all())


def guess_unit(times: Numbers) -> TimeUnit:
    """Tell the unit of times: those with fractions are seconds, whole ones microseconds."""
    if times.dtype.kind in "iu" or not len(times):
        return TimeUnit.US
    is_whole = bool((times == np.floor(times)).all()) and float(np.ptp(times)) > 1000
    return TimeUnit.US if is_whole else TimeUnit.S


@dataclass(frozen=True, slots=True)
class ColumnMeaning:
    """How numbers become events.

    Attributes:
        unit: Of the times.
        offset: Added to the times before, in their unit (some files keep it apart).
    """

    unit: TimeUnit
    offset: int = 0

    def events(self, t: Numbers, x: Numbers, y: Numbers, p: Numbers) -> EventBatch:
        """Return the events of four `(N,)` columns.

        Coordinates that no sensor can have become the largest number there is, which is found out later.
        """
        return EventBatch(self._microseconds(t), _coordinate(x), _coordinate(y), np.asarray(p > 0))

    def _microseconds(self, t: Numbers) -> npt.NDArray[np.int64]:
        if t.dtype.kind in "iu" and self.unit is TimeUnit.US:
            return t.astype(np.int64) + self.offset
        if t.dtype.kind in "iu" and self.unit is TimeUnit.NS:
            return (t.astype(np.int64) + self.offset) // 1000
        micro = (t + self.offset) * self.unit.microseconds
        return np.asarray(np.rint(micro), dtype=np.float64).astype(np.int64)


def _coordinate(values: Numbers) -> npt.NDArray[np.uint16]:
    if values.dtype == np.uint16:
        return np.ascontiguousarray(values)
    valid = (values >= 0) & (values < 0xFFFF)
    return np.where(valid, values, 0xFFFF).astype(np.uint16)
