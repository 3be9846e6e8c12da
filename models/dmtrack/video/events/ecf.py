"""Prophesee's ECF, the filter of its HDF5 files: chunks of events, each property packed separately.

A header gives the number of events and the packing of x, y and polarity. Times are steps, each with its
number of events; rows and polarities are run-length coded; each column has a mask of the next five columns.
Where runs do not pay, column and polarity (12 bits), or row too (24 bits), are stored together, four events
in three words.

Source: https://github.com/prophesee-ai/hdf5_ecf (Apache-2.0), the layout, not the code.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import FormatError, translated

MAX_EVENTS: Final = 65535
EVENT: Final = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
_MOST_NIBBLES: Final = 15
_MASK_STEPS: Final = np.array([0, 1, 2, 3, 4, 5], np.uint16)

Integers = npt.NDArray[Any]


def decode_ecf(data: bytes, most: int = MAX_EVENTS) -> npt.NDArray[Any]:
    """Decode a chunk to `(N,)` events in Prophesee's layout `EVENT`: x, y, p, t.

    `most` is the most events that a chunk may hold. `FormatError`: it is damaged.
    """
    with translated(FormatError, "a chunk packed with ECF is damaged"):
        head = int.from_bytes(data[:4], "little")
        count = head >> 2
        if len(data) < 4 or count > min(most, MAX_EVENTS):
            raise FormatError("a chunk packed with ECF claims too many events")
        events = np.zeros(count, EVENT)
        if not count:
            return events
        events["t"], at = _times(data, 4, count)
        if head & 2:
            values = _side_by_side(data, at, count, "<u4", 24)
            events["y"], events["x"], events["p"] = values >> 12 & 0x7FF, values >> 1 & 0x7FF, values & 1
            return events
        events["y"], at = _runs(data, at, count, "<u2", 5)
        if head & 1:
            values = _side_by_side(data, at, count, "<u2", 12)
            events["x"], events["p"] = values >> 1, values & 1
            return events
        events["x"], at = _masked(data, at, count)
        events["p"], at = _runs(data, at, count, "u1", 7)
        return events


def _times(data: bytes, at: int, count: int) -> tuple[Integers, int]:
    """Return `(N,)` times and the byte where they end.

    A byte holds a time step (upper four bits) and the number of events after it. If the step is 15, the
    lower bits are instead four more bits of a longer step, lowest first. A number of 15 is followed by the
    real one.
    """
    first = int.from_bytes(data[at : at + 8], "little", signed=True)
    stored = np.frombuffer(data, np.uint8, offset=at + 8)
    step, number = (stored >> 4).astype(np.int64), (stored & 15).astype(np.int64)
    is_long = (number == 15) & (step < 15)
    is_start = _starts(is_long, 2)
    places = np.flatnonzero(is_start)
    number[step == 15] = 0
    _take_long(number, is_long & is_start, stored, 2)
    ends = np.cumsum(number[places])
    last = _last(ends, count)
    places = places[: last + 1]
    steps, part = step[places], (stored[places] & 15).astype(np.int64)
    is_part = steps == 15
    nibble = _place_in_run(is_part)
    if nibble.size and int(nibble.max()) > _MOST_NIBBLES:
        raise FormatError("a step of time has more than 64 bits")
    times = first + np.cumsum(np.where(is_part, part << (4 * nibble), steps))
    end = int(places[-1]) + (3 if is_long[places[-1]] else 1)
    return np.repeat(times, number[places]), at + 8 + end


def _runs(data: bytes, at: int, count: int, kind: str, bits: int) -> tuple[Integers, int]:
    """Return `(N,)` run-length coded values, and the byte where they end.

    A word holds a value and, in its lowest `bits`, its count; all ones: the next 16 bits hold the count.
    """
    size = np.dtype(kind).itemsize
    words = (len(data) - at) // size
    stored = np.frombuffer(data, kind, words, at)
    number = (stored & (1 << bits) - 1).astype(np.int64)
    is_long = number == (1 << bits) - 1
    extra = 2 // size
    is_start = _starts(is_long, extra)
    _take_long(number, is_long & is_start, stored, extra)
    places = np.flatnonzero(is_start)
    places = places[: _last(np.cumsum(number[places]), count) + 1]
    end = int(places[-1]) + (1 + extra if is_long[places[-1]] else 1)
    return np.repeat(stored[places] >> bits, number[places]), at + size * end


def _masked(data: bytes, at: int, count: int) -> tuple[Integers, int]:
    """Return `(N,)` columns and the byte where they end. Of a word's five mask bits, the top is the next."""
    stored = np.frombuffer(data, "<u2", (len(data) - at) // 2, at)
    number = 1 + np.bitwise_count(stored & 31).astype(np.int64)
    ends = np.cumsum(number)
    words = int(np.searchsorted(ends, count)) + 1
    if words > len(stored):
        raise FormatError("the columns end early")
    stored = stored[:words]
    following = (stored[:, None] >> np.arange(4, -1, -1, dtype=np.uint16) & 1) != 0
    is_there = np.concatenate([np.ones((words, 1), bool), following], axis=1)
    columns = (stored >> 5)[:, None] + _MASK_STEPS
    return columns[is_there][:count], at + 2 * words


def _side_by_side(data: bytes, at: int, count: int, kind: str, bits: int) -> Integers:
    """Return `(N,)` values of `bits` bits, stored four in three words of `bits * 4 / 3` bits."""
    groups = -(-count // 4)
    a, b, c = np.frombuffer(data, kind, 3 * groups, at).reshape(-1, 3).astype(np.int64).T
    spare, mask = bits // 3, (1 << bits) - 1  # 4 or 8 bits of each word belong to its neighbours
    values = (
        a >> spare,
        (a & (1 << spare) - 1) | (b >> 2 * spare) << spare,
        (b & (1 << 2 * spare) - 1) | (c >> 3 * spare) << 2 * spare,
        c & mask,
    )
    return np.stack(values, axis=1).reshape(-1)[:count]


def _starts(is_long: npt.NDArray[np.bool_], extra: int) -> npt.NDArray[np.bool_]:
    """Return which words are starts: not the `extra` words that hold the number of a long one."""
    found = np.ones(len(is_long), bool)
    free = 0
    for place in np.flatnonzero(is_long).tolist():  # few, and each affects the next
        if place >= free:
            found[place + 1 : place + 1 + extra] = False
            free = place + 1 + extra
    return found


def _take_long(number: Integers, is_long: npt.NDArray[np.bool_], stored: Integers, extra: int) -> None:
    """Replace in `number` those that are stored in the `extra` words behind."""
    places = np.flatnonzero(is_long)
    places = places[places + extra < len(stored)]
    wide = stored.astype(np.int64)
    number[places] = wide[places + 1] if extra == 1 else wide[places + 1] | wide[places + 2] << 8


def _last(ends: Integers, count: int) -> int:
    """Return the word at which exactly `count` events are reached; `FormatError`: there is none."""
    last = int(np.searchsorted(ends, count))
    if last >= len(ends) or int(ends[last]) != count:
        raise FormatError("its runs do not add up")
    return last


def _place_in_run(is_part: npt.NDArray[np.bool_]) -> Integers:
    """Return for each true place the number of true ones directly before it; 0 for false places."""
    places = np.arange(len(is_part))
    before = np.maximum.accumulate(np.where(is_part, -1, places))
    return np.where(is_part, places - before - 1, 0)
