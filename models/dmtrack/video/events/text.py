"""Events as text (`.csv`, `.txt`): one event per line, four columns."""

from __future__ import annotations

import io
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import DecodeError, FormatError
from dmtrack.numbers import has_decimal_commas, shown
from dmtrack.video.events.columns import ColumnMeaning, names_to_columns
from dmtrack.video.events.event_batch import Chunk, OpenedEvents, Size, record_blocks
from dmtrack.video.events.event_options import EventOptions

_BLOCK_BYTES: Final = 1 << 20
_SAMPLE_BYTES: Final = 1 << 18
_SAMPLE_LINES: Final = 1000
_TAIL_BYTES: Final = 1 << 12
_SEPARATORS: Final = bytes.maketrans(b',;\t"', b"    ")
_NUMBER: Final = re.compile(rb"[-+]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][-+]?\d{1,2})?")
_WORDS: Final = re.compile(rb"\b(true|false)\b", re.IGNORECASE)

Rows = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Heading:
    """The lines above the numbers; they end at byte `end`."""

    end: int
    names: list[str] | None
    size: Size | None


def open_text(path: Path, options: EventOptions) -> OpenedEvents:
    """Open a text file of events.

    A line of names above the numbers gives the order of the columns; else it is guessed from the first lines.
    A line of two numbers above the events is the size of the sensor. Lines that begin with `#` or `%` are
    remarks. `FormatError`: it is no table of numbers, or it is unclear which column is which.
    """
    with path.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        tail = file.read()
    heading = _heading(sample, has_order=options.columns is not None)
    lines = sample[heading.end :].splitlines()[:_SAMPLE_LINES]
    if len(lines) > 1 and not sample.endswith(b"\n"):
        lines.pop()
    rows = _leading_rows(lines)
    width = rows.shape[1]
    last = [line for line in tail.splitlines()[1:] if _is_row(_plain(line).split(), width)]
    data_bytes = path.stat().st_size - heading.end
    total = max(len(rows), len(rows) * data_bytes // (sum(map(len, lines[: len(rows)])) + len(rows)))
    names = heading.names if options.columns is None else None
    meaning = ColumnMeaning.settled(
        list(rows.T),
        None if names is None else names[:width],
        options,
        total=total,
        tail=list(_parsed(last[-1:]).T) if last else None,
    )
    return OpenedEvents("text", _chunks(path, heading.end, meaning), heading.size, meaning.notes)


def looks_like_table(head: bytes) -> bool:
    """Return whether the first bytes of a file can begin a table: with numbers, names or remarks."""
    first, *others = head.removeprefix(BOM_UTF8).lstrip().splitlines() or [b""]
    is_begun = re.match(rb"[-+.#%]*\s*\d|[#%]", first) is not None or _names_in(first) is not None
    return is_begun or any(_is_row(_plain(line).split(), 4) for line in others)  # below names in any language


def _heading(sample: bytes, *, has_order: bool) -> _Heading:
    """Read the lines above the numbers; unknown ones are skipped if the order is named or `has_order`."""
    begin = end = len(BOM_UTF8) if sample.startswith(BOM_UTF8) else 0  # spreadsheets write a BOM
    names = size = unknown = None
    for line in sample[begin:].splitlines(keepends=True):
        text = line.strip()
        fields = text.translate(_SEPARATORS).split()
        if len(fields) == 2 and all(re.fullmatch(rb"\d{1,5}", field) for field in fields):
            size = (int(fields[0]), int(fields[1]))
        elif not text or text[:1] in b"#%":
            names = names or _names_in(text.lstrip(b"#% "))
        elif _NUMBER.fullmatch(fields[0]):
            if unknown is None or names is not None or has_order:
                return _Heading(end, names, size)
            break
        elif names is None and (names := _names_in(text)) is None:
            unknown = end
        end += len(line)
    end = end if unknown is None else unknown
    begun = shown(sample[end : end + 80].decode("utf-8", "replace").partition("\n")[0].strip())
    raise FormatError(
        f"the line at byte {end}, {begun}, is neither numbers nor the names of columns",
        hint="name them t, x, y and p, or give their order, such as --columns txyp",
    )


def _names_in(line: bytes) -> list[str] | None:
    text = line.decode("utf-8", "replace")
    names = re.split(r"[,;\t]", text) if re.search(r"[,;\t]", text) else text.split()
    return names if names_to_columns(names).needed else None


def _plain(data: bytes) -> bytes:
    """Return a table with blanks between its fields, and 1 and 0 for `true` and `false`."""
    data = data.translate(_SEPARATORS)
    if any(letter in data for letter in (b"r", b"R", b"s", b"S")):  # true or false; numbers have no r or s
        data = _WORDS.sub(lambda match: b"1" if match[0][:1] in b"tT" else b"0", data)
    return data


def _is_row(fields: Sequence[bytes], width: int) -> bool:
    """Return whether a line has at least `width` fields, and the first `width` are numbers."""
    return len(fields) >= width and all(_NUMBER.fullmatch(field) for field in fields[:width])


def _parsed(lines: Sequence[bytes]) -> Rows:
    return np.array([_plain(line).split() for line in lines], dtype=np.float64)


def _leading_rows(lines: Sequence[bytes]) -> Rows:
    """Return the leading rows of numbers with as many fields as the first one; `FormatError`: none."""
    texts = (line.decode("ascii", "replace") for line in lines)
    if (text := next(filter(has_decimal_commas, texts), None)) is not None:  # the first time may be 0
        raise FormatError(f"{shown(text)} has decimal commas", hint="write decimals with a point")
    width = len(_plain(lines[0]).split())
    rows: list[bytes] = []
    for line in lines:
        fields = _plain(line).split()
        if len(fields) != width or not _is_row(fields, width):
            break
        rows.append(line)
    if not rows:
        raise FormatError("its lines are no columns of numbers")
    return _parsed(rows)


def _chunks(path: Path, offset: int, meaning: ColumnMeaning) -> Iterator[Chunk]:
    places = meaning.places
    meaning = replace(meaning, places=tuple(range(len(places))))
    rest = b""
    for _, read, _ in record_blocks(path, offset, 1, _BLOCK_BYTES):
        data = rest + read
        cut = data.rfind(b"\n") + 1
        if cut:
            yield from _decoded(data[:cut], offset, places, meaning)
        elif len(data) > _BLOCK_BYTES:
            raise DecodeError(f"the line at byte {offset} does not end")
        rest, offset = data[cut:], offset + cut
    if rest.strip():
        yield from _decoded(rest, offset, places, meaning)


def _decoded(data: bytes, offset: int, places: tuple[int, ...], meaning: ColumnMeaning) -> Iterator[Chunk]:
    bad = None
    try:
        rows = _table(data, places)
    except ValueError:
        bad = _first_bad_line(data, max(places) + 1)
        rows = _table(data[:bad], places)
    if len(rows):
        yield Chunk(partial(_line_offset, offset, data), meaning.events(list(rows.T)))
    if bad is not None:
        line = data[bad:].splitlines()[0][:60].decode("utf-8", "replace")
        raise DecodeError(f"the line at byte {offset + bad} is no event: {line!r}")


def _table(data: bytes, places: tuple[int, ...]) -> Rows:
    """Parse K columns of whole lines to `(N, K)`; `ValueError`: a field is missing or no finite number."""
    if not data.strip():
        return np.empty((0, len(places)))
    rows = np.loadtxt(io.BytesIO(_plain(data)), dtype=np.float64, usecols=places, ndmin=2, comments="#")
    if not np.isfinite(rows).all():
        raise ValueError("infinite, or no number")
    return rows


def _is_remark(line: bytes) -> bool:
    return not line.strip() or line.lstrip().startswith(b"#")


def _first_bad_line(data: bytes, width: int) -> int:
    begin = 0
    for line in data.splitlines(keepends=True):
        if not _is_remark(line) and not _is_row(_plain(line).split(), width):
            return begin
        begin += len(line)
    return begin


def _line_offset(offset: int, data: bytes, row: int) -> int:
    """Return the byte of the file at which the line of row `row` begins."""
    for line in data.splitlines(keepends=True):
        if not _is_remark(line):
            if row == 0:
                break
            row -= 1
        offset += len(line)
    return offset
