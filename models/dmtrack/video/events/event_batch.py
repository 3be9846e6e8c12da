"""Events as arrays, the chunks that decoders give the reader, and helpers shared by binary formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from dmtrack.errors import DecodeError, FormatError

Times = npt.NDArray[np.int64]
Size = tuple[int, int]  # width and height of a sensor in pixels
BLOCK_BYTES: Final = 1 << 16  # a file is decoded in blocks small enough for the processor's cache
_EVENTS_PER_BYTE: Final = 16  # no packing of camera events is denser
_MAX_HEADER_BYTES: Final = 1 << 20
_MAX_LINE: Final = 1 << 16
_FEW_EVENTS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events in the order of the file, one array per property."""

    t: Times  # `(N,)` int64 time stamps in microseconds, on the camera's own clock
    x: npt.NDArray[np.uint16]  # `(N,)` uint16 columns in pixels, from 0 at the left
    y: npt.NDArray[np.uint16]  # `(N,)` uint16 rows in pixels, from 0 at the top
    p: npt.NDArray[np.bool_]  # `(N,)` bool, True where the light became brighter

    def __post_init__(self) -> None:
        if not len(self.t) == len(self.x) == len(self.y) == len(self.p):
            raise ValueError(f"{len(self.t)} times, {len(self.x)} x, {len(self.y)} y, {len(self.p)} p")

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, part: slice | npt.NDArray[np.bool_]) -> Self:
        """Return some of the events: a slice shares their memory, a mask copies."""
        return type(self)(self.t[part], self.x[part], self.y[part], self.p[part])

    @classmethod
    def empty(cls) -> Self:
        """Return a batch without events."""
        return cls(np.empty(0, np.int64), np.empty(0, np.uint16), np.empty(0, np.uint16), np.empty(0, bool))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Join batches in order."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts or [cls.empty()]]) for name in "txyp")
        )


@dataclass(frozen=True, slots=True)
class Damage:
    """A damaged place in the file."""

    what: str  # in a few words
    offset: int  # byte of the file where it begins
    count: int = 1  # how many records are affected


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some decoded events."""

    # The byte of the file where they lie, or a function from an event's index to its byte; called only for
    # events that are wrong
    where: int | Callable[[int], int]
    events: EventBatch | None = None  # in the order of the file
    triggers: int = 0  # edges of the trigger input among these events
    damage: Damage | None = None  # what was skipped among these events

    def offset_of(self, index: int) -> int:
        """Return the byte of the file of the event `index`."""
        return self.where if isinstance(self.where, int) else self.where(index)


@dataclass(frozen=True, slots=True)
class OpenedEvents:
    """An opened file of one format."""

    format: str  # its name for people
    chunks: Iterator[Chunk]  # the events; read once. Closing this generator closes the file.
    size: Size | None = None  # width and height of the sensor, where the file says so
    notes: tuple[str, ...] = ()  # assumptions, one sentence each
    # times of another camera's frames on the events' clock, if the file has them
    frame_times: Times | None = None


def require_believable(events: int, stored_bytes: int) -> None:
    """Check the claimed number of events against `stored_bytes`; `FormatError`: they cannot hold so many."""
    if events > _EVENTS_PER_BYTE * stored_bytes + _FEW_EVENTS:
        raise FormatError(f"it claims {events} events, more than its {stored_bytes} bytes can hold")


# --- headers of text, blocks of records, counters that wrap ---


@dataclass(frozen=True, slots=True)
class TextHeader:
    """The text lines at the beginning of a file."""

    lines: tuple[str, ...]  # without mark and line end
    end: int  # byte of the file where the data begin

    @property
    def values(self) -> Mapping[str, str]:
        """The rest of each line, by its first word in lower case."""
        pairs = (line.partition(" ") for line in self.lines)
        return {key.lower().rstrip(":"): value.strip() for key, _, value in pairs}


def read_text_header(path: Path, mark: bytes, end_line: str | None = None) -> TextHeader:
    """Read the text header of a file.

    Each line of it begins with `mark`. It ends before the first other line, or after `end_line` (given
    without mark). `DecodeError`: it is too long, or its last line does not end.
    """
    lines: list[str] = []
    with path.open("rb") as file:
        while True:
            begin = file.tell()
            line = file.readline(_MAX_LINE)
            is_text = all(byte >= 32 or byte in b"\t\r\n" for byte in line)  # data may begin with the mark
            if not line.startswith(mark) or not is_text:
                return TextHeader(tuple(lines), begin)
            lines.append(line[len(mark) :].decode("latin-1").strip())
            if not line.endswith(b"\n") or begin > _MAX_HEADER_BYTES:
                raise DecodeError(f"the header does not end by byte {file.tell()}", where=path)
            if lines[-1] == end_line:
                return TextHeader(tuple(lines), file.tell())


def record_blocks(
    path: Path, offset: int, record_bytes: int, block_bytes: int | None = None
) -> Iterator[tuple[int, bytes, Damage | None]]:
    """Read the records of a file from byte `offset` on, about `block_bytes` at a time.

    Yield the byte where a block begins, its whole records, and the damage if the file ends inside a record.
    """
    step = (block_bytes or BLOCK_BYTES) // record_bytes * record_bytes
    with path.open("rb") as file:
        file.seek(offset)
        while data := file.read(step):
            whole = len(data) - len(data) % record_bytes
            torn = Damage("the file ends in the middle of an event", offset + whole)
            yield offset, data[:whole], torn if whole < len(data) else None
            offset += len(data)


def record_offsets(
    begin: int, record_bytes: int, places: npt.NDArray[np.intp] | None = None
) -> Callable[[int], int]:
    """Return a function from an event's index to its byte in the file.

    `places` are the indices of the events' records; None if every record is an event.
    """
    if places is None:
        return lambda index: begin + record_bytes * index
    return lambda index: begin + record_bytes * int(places[index])


def unwrapped(values: Times, last: int | None, period: int) -> Times:
    """Unwrap a counter: a fall by half its period or more is a wrap.

    `values` are `(N,)` readings in `[0, period)`; `last` is the unwrapped one before them, None at the start.
    """
    if len(values) == 0:
        return values
    before = int(values[0]) if last is None else last % period
    rounds = 0 if last is None else last // period
    falls = np.diff(values, prepend=before) <= -(period // 2)
    if falls.any():
        return values + (rounds + np.cumsum(falls)) * period
    return values + rounds * period if rounds else values
