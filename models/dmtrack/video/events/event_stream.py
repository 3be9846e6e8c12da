"""Event Stream (`.es`, version 2): five bytes per event, and single bytes for longer time steps.

In the file, rows count from the bottom of the picture; here they count from the top.

Source: https://github.com/neuromorphicsystems/event_stream (file format specification, version 2.0)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dmtrack.errors import FormatError
from dmtrack.video.events.event_batch import (
    Chunk,
    Damage,
    EventBatch,
    OpenedEvents,
    Size,
    record_blocks,
    record_offsets,
)

MAGIC: Final = b"Event Stream"
_HEADER_BYTES: Final = 20
_EVENT_BYTES: Final = 5
_KINDS: Final = ("generic", "DVS", "ATIS", "display", "color")


class _Coding(NamedTuple):
    """How a first byte is read: from `first_single` on it stands alone; else its upper bits are time."""

    first_single: int
    reset: int
    time_shift: int
    overflow_us: int


_CODINGS: Final = {"DVS": _Coding(0xFE, 0xFE, 1, 127), "ATIS": _Coding(0xFC, 0xFC, 2, 63)}


def open_event_stream(path: Path) -> OpenedEvents:
    """Open an Event Stream file; `FormatError`: another version, or not DVS or ATIS events."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        raise FormatError(f"the header ends at byte {len(header)}", where=path)
    version, kind = header[12], header[15]
    if version != 2:
        raise FormatError(f"Event Stream version {version}", where=path, hint="version 2 is read")
    name = _KINDS[kind] if kind < len(_KINDS) else str(kind)
    if name not in _CODINGS:
        raise FormatError(f"Event Stream of type {name}", where=path, hint="DVS and ATIS events are read")
    size = (int.from_bytes(header[16:18], "little"), int.from_bytes(header[18:20], "little"))
    return OpenedEvents(f"Event Stream {name}", _chunks(path, _CODINGS[name], size), size=size)


def _chunks(path: Path, coding: _Coding, size: Size) -> Iterator[Chunk]:
    begin, now, rest = _HEADER_BYTES, 0, b""
    for _, read, _ in record_blocks(path, begin, 1):
        data = rest + read
        places, is_event, whole = _first_bytes(np.frombuffer(data, np.uint8), coding)
        chunk, now = _decoded(data, places, is_event, now, coding, size, begin)
        yield chunk
        rest, begin = data[whole:], begin + whole
    if rest:
        yield Chunk(begin, damage=Damage("the file ends in the middle of an event", begin))


def _first_bytes(
    data: npt.NDArray[np.uint8], coding: _Coding
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_], int]:
    """Find the first bytes of events, and the single bytes.

    Within a run of events every fifth byte begins one; a single byte shifts this phase by one. So candidates
    for single bytes are sorted into five lists by phase and followed one by one; the runs between them are
    filled in at once. Return the indices, which of them begin an event, and the number of whole bytes.
    """
    singles = np.flatnonzero(data >= coding.first_single)
    by_phase = [singles[singles % _EVENT_BYTES == phase] for phase in range(_EVENT_BYTES)]
    cursors = [0] * _EVENT_BYTES
    lists = [list_.tolist() for list_ in by_phase]
    met: list[int] = []
    position = 0
    while True:
        phase = position % _EVENT_BYTES
        row, cursor = lists[phase], cursors[phase]
        while cursor < len(row) and row[cursor] < position:
            cursor += 1
        cursors[phase] = cursor
        if cursor == len(row):
            break
        met.append(row[cursor])
        position = row[cursor] + 1
    bounds = np.array([-1, *met], dtype=np.intp) + 1  # where runs of events begin
    ends = np.append(np.array(met, dtype=np.intp), len(data))
    lengths = (ends - bounds) // _EVENT_BYTES
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    events = np.repeat(bounds, lengths) + _EVENT_BYTES * within
    whole = int(bounds[-1] + lengths[-1] * _EVENT_BYTES)
    places = np.concatenate((events, np.array(met, dtype=np.intp)))
    order = np.argsort(places, kind="stable")
    return places[order], order < len(events), whole


def _decoded(
    data: bytes,
    places: npt.NDArray[np.intp],
    is_event: npt.NDArray[np.bool_],
    now: int,
    coding: _Coding,
    size: Size,
    offset: int,
) -> tuple[Chunk, int]:
    values = np.frombuffer(data, np.uint8)
    first = values[places].astype(np.int64)
    laps = (first & 3) if coding.time_shift == 2 else np.ones_like(first)
    is_lap = ~is_event & (first != coding.reset)
    steps = np.where(is_event, first >> coding.time_shift, is_lap * laps * coding.overflow_us)
    times = now + np.cumsum(steps)
    end = int(times[-1]) if len(times) else now
    if coding.time_shift == 2:  # ATIS exposure measurements are no events
        is_event = is_event & (first & 1 == 0)
    starts = places[is_event]
    x, row = (_uint16(values, starts + byte) for byte in (1, 3))
    p = (first[is_event] >> (coding.time_shift - 1) & 1) != 0
    # a row above the top wraps round to a number that no sensor has, and is rejected later
    events = EventBatch(times[is_event], x, np.uint16(size[1] - 1) - row, p)
    return Chunk(record_offsets(offset, 1, starts), events), end


def _uint16(values: npt.NDArray[np.uint8], places: npt.NDArray[np.intp]) -> npt.NDArray[np.uint16]:
    """Return the little-endian 16-bit numbers that begin at the places."""
    low, high = (values[place].astype(np.uint16) for place in (places, places + 1))
    return low | (high << np.uint16(8))
