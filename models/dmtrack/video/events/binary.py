"""What binary formats have in common: headers of text, blocks of records, counters that wrap."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import DecodeError
from dmtrack.video.events.batch import Damage, Times

BLOCK_BYTES: Final = 1 << 16
"""So much of a file is decoded at a time: small enough for the processor's cache."""
_MAX_HEADER_BYTES: Final = 1 << 20
_MAX_LINE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class TextHeader:
    """The lines of text that a file begins with.

    Attributes:
        lines: Its lines, without their mark and line end.
        end: Byte of the file where the data begin.
    """

    lines: tuple[str, ...]
    end: int

    @property
    def values(self) -> Mapping[str, str]:
        """What follows the first word of each line, by that word in lower case."""
        pairs = (line.partition(" ") for line in self.lines)
        return {key.lower().rstrip(":"): value.strip() for key, _, value in pairs}


def read_text_header(path: Path, mark: bytes, end_line: str | None = None) -> TextHeader:
    """Read the lines at the begin of a file that start with a mark.

    Args:
        path: The file.
        mark: What each line of the header begins with.
        end_line: The line, without its mark, after which the data begin at the latest.

    Raises:
        DecodeError: The header does not end where a header must.
    """
    lines: list[str] = []
    with path.open("rb") as file:
        while True:
            begin = file.tell()
            line = file.readline(_MAX_LINE)
            if not line.startswith(mark) or not _is_text(line):
                return TextHeader(tuple(lines), begin)
            lines.append(line[len(mark) :].decode("latin-1").strip())
            if not line.endswith(b"\n") or begin > _MAX_HEADER_BYTES:
                raise DecodeError(f"the header does not end by byte {file.tell()}", where=path)
            if lines[-1] == end_line:
                return TextHeader(tuple(lines), file.tell())


def _is_text(line: bytes) -> bool:
    """Return whether bytes are a line of text, or at least its torn begin."""
    return all(byte >= 32 or byte in b"\t\r\n" for byte in line)


def record_blocks(
    path: Path, offset: int, record_bytes: int, block_bytes: int | None = None
) -> Iterator[tuple[int, bytes, Damage | None]]:
    """Read the records of a file from `offset` on, some at a time.

    Args:
        path: The file.
        offset: Byte where the first record begins.
        record_bytes: Length of a record.
        block_bytes: About how much to read at a time.

    Yields:
        Where in the file a block begins, its whole records, and what is wrong behind them: a torn one.
    """
    step = (block_bytes or BLOCK_BYTES) // record_bytes * record_bytes
    with path.open("rb") as file:
        file.seek(offset)
        while data := file.read(step):
            whole = len(data) - len(data) % record_bytes
            if whole < len(data):
                damage = Damage("the file ends in the middle of an event", offset + whole)
                yield offset, data[:whole], damage
            else:
                yield offset, data, None
            offset += len(data)


def record_offsets(
    begin: int, record_bytes: int, places: npt.NDArray[np.intp] | None = None
) -> Callable[[int], int]:
    """Return a function that gives the byte of the file where an event lies.

    Args:
        begin: Byte of the first record.
        record_bytes: Length of each.
        places: Which record each event came from; None if every record is an event.
    """
    if places is None:
        return lambda index: begin + record_bytes * index
    return lambda index: begin + record_bytes * int(places[index])


def unwrapped(values: Times, last: int | None, period: int) -> Times:
    """Return a counter without its wraps: it came round where it falls by half its period or more.

    Args:
        values: `(N,)` readings in `[0, period)`.
        last: The unwrapped reading before the first one, or None at the start.
        period: What the counter counts to.
    """
    if len(values) == 0:
        return values
    before = int(values[0]) if last is None else last % period
    rounds = 0 if last is None else last // period
    falls = np.diff(values, prepend=before) <= -(period // 2)
    if falls.any():
        return values + (rounds + np.cumsum(falls)) * period
    return values + rounds * period if rounds else values
