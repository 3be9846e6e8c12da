"""Events as text (`.csv`, `.txt`): one event a line, four columns."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import DecodeError, FormatError
from dmtrack.video.events.columns import (
    ColumnMeaning,
    TimeUnit,
    guess_order,
    guess_unit,
    order_of_names,
    parse_order,
)
from dmtrack.video.events.stream import Chunk, EventStream, Size

_BLOCK_BYTES: Final = 1 << 20
_SAMPLE_BYTES: Final = 1 << 18
_SEPARATORS: Final = bytes.maketrans(b",;\t", b"   ")
_NUMBER: Final = re.compile(rb"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_WORDS: Final = re.compile(rb"\b(true|false)\b", re.IGNORECASE)


def open_text(path: Path, columns: str | None = None, unit: TimeUnit | None = None) -> EventStream:
    """Open a text file of events.

    A line of names above the numbers says the order of the columns; so does `columns`; else it is told
    from the first lines. A line of two numbers above the events is the size of the sensor. Lines that
    begin with `#` or `%` are remarks.

    Args:
        path: The file.
        columns: Order of the columns, such as `txyp`.
        unit: Unit of the times; None tells it from the numbers.

    Raises:
        FormatError: It is no table of numbers, or which column is which cannot be told.
        ConfigError: `columns` is no order.
    """
    with path.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
    head = _Head.of(sample, path)
    rows = _sample_rows(sample[head.end :], path)
    try:
        order = parse_order(columns) if columns else head.order or guess_order(rows)
    except FormatError as error:
        raise FormatError(error.what, where=path, hint=error.hint) from None
    if len(order) > rows.shape[1]:
        raise FormatError(f"{rows.shape[1]} columns, but {len(order)} are named", where=path)
    unit_found = unit or _unit_of(sample[head.end :], order)
    notes = (
        *(() if columns or head.order else (f"The columns are taken as {','.join(order)} (--columns).",)),
        *(() if unit else (f"Times are taken as {unit_found} (--time-unit).",)),
    )
    chunks = _chunks(path, head.end, order, ColumnMeaning(unit_found))
    return EventStream("text", chunks, size=head.size, notes=notes)


def looks_like_table(head: bytes) -> bool:
    """Return whether the first bytes of a file can be those of a table: numbers, names or remarks."""
    first = head.lstrip().partition(b"\n")[0].strip()
    return re.match(rb"[-+.#%]*\s*\d|[#%]", first) is not None or _order_in(first) is not None


class _Head:
    """What stands above the numbers."""

    def __init__(self, end: int, order: tuple[str, ...] | None, size: Size | None) -> None:
        self.end = end
        self.order = order
        self.size = size

    @classmethod
    def of(cls, sample: bytes, path: Path) -> _Head:
        end, order, size = 0, None, None
        for line in sample.splitlines(keepends=True):
            text = line.strip()
            fields = text.translate(_SEPARATORS).split()
            if len(fields) == 2 and all(field.isdigit() for field in fields):
                size = (int(fields[0]), int(fields[1]))
            elif not text or text[:1] in b"#%":
                order = order or _order_in(text.lstrip(b"#% "))
            elif _NUMBER.fullmatch(fields[0]):
                return cls(end, order, size)
            elif order is None and (order := _order_in(text)) is None:
                break
            end += len(line)
        raise FormatError(
            f"byte {end} begins a line that is neither numbers nor the names of columns",
            where=path,
            hint="four columns are needed: t, x, y, p",
        )


def _order_in(line: bytes) -> tuple[str, ...] | None:
    text = line.decode("utf-8", "replace")
    return order_of_names(re.split(r"[,;\t]", text) if re.search(r"[,;\t]", text) else text.split())


def _plain(data: bytes) -> bytes:
    """Return a table with blanks between its numbers, and 1 and 0 for words."""
    data = data.translate(_SEPARATORS)
    if b"r" in data or b"R" in data:  # a word; numbers have none of its letters but e
        data = _WORDS.sub(lambda match: b"1" if match[0][:1] in b"tT" else b"0", data)
    return data


def _sample_rows(sample: bytes, path: Path) -> npt.NDArray[np.float64]:
    """Return the first rows that are numbers, as many of them as the first one."""
    lines = sample[: sample.rfind(b"\n") + 1 or len(sample)].splitlines()[:1000]
    rows: list[list[bytes]] = []
    for line in lines:
        fields = _plain(line).split()
        if rows and (len(fields) != len(rows[0]) or not all(map(_NUMBER.fullmatch, fields))):
            break
        rows.append(fields)
    try:
        return np.array(rows, dtype=np.float64)
    except ValueError:
        raise FormatError("its lines are no columns of numbers", where=path) from None


def _unit_of(sample: bytes, order: tuple[str, ...]) -> TimeUnit:
    """Times written with a point are seconds, whole ones microseconds."""
    lines = [_plain(line).split() for line in sample.splitlines()[:1000] if line.strip()]
    place = order.index("t")
    words = [line[place] for line in lines if len(line) > place]
    if any(b"." in word or b"e" in word.lower() for word in words):
        return guess_unit(np.array(words, dtype=np.float64))
    return TimeUnit.US


def _chunks(path: Path, offset: int, order: tuple[str, ...], meaning: ColumnMeaning) -> Iterator[Chunk]:
    places = [order.index(name) for name in "txyp"]
    rest = b""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            while data := file.read(_BLOCK_BYTES):
                data = rest + data
                cut = data.rfind(b"\n") + 1
                if cut:
                    yield from _decoded(data[:cut], offset, places, meaning, path)
                rest, offset = data[cut:], offset + cut
    except OSError as error:
        raise DecodeError(f"reading fails at byte {offset}: {error.strerror}", where=path) from error
    if rest.strip():
        yield from _decoded(rest, offset, places, meaning, path)


def _decoded(
    data: bytes, offset: int, places: list[int], meaning: ColumnMeaning, path: Path
) -> Iterator[Chunk]:
    bad = None
    try:
        rows = _table(data, places)
    except ValueError:
        bad = _first_bad_line(data, max(places) + 1)
        rows = _table(data[:bad], places)
    if len(rows):
        begins = lambda row: offset + _line_begin(data, row)  # noqa: E731 - asked only when something is wrong
        yield Chunk(meaning.events(*rows.T), begins)
    if bad is not None:
        line = data[bad:].splitlines()[0][:60].decode("utf-8", "replace")
        raise DecodeError(f"the line at byte {offset + bad} is no event: {line!r}", where=path)


def _table(data: bytes, places: list[int]) -> npt.NDArray[np.float64]:
    """Return `(N, 4)` numbers of whole lines: t, x, y, p.

    Raises:
        ValueError: A line has too few fields, or one that is no number.
    """
    if not data.strip():
        return np.empty((0, 4))
    return np.loadtxt(io.BytesIO(_plain(data)), dtype=np.float64, usecols=places, ndmin=2, comments="#")


def _first_bad_line(data: bytes, fields: int) -> int:
    begin = 0
    for line in data.splitlines(keepends=True):
        words = _plain(line).split()
        is_remark = not words or words[0].startswith(b"#")
        if not is_remark and (
            len(words) < fields or not all(_NUMBER.fullmatch(word) for word in words[:fields])
        ):
            return begin
        begin += len(line)
    return begin


def _line_begin(data: bytes, row: int) -> int:
    begin = 0
    for line in data.splitlines(keepends=True):
        if line.strip() and not line.lstrip().startswith(b"#"):
            if row == 0:
                return begin
            row -= 1
        begin += len(line)
    return begin
