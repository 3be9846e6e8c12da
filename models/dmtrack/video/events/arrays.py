"""Events in numpy's files: `.npy`, and `.npz` with an array a column, read in pieces whatever their size."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from dmtrack.errors import DecodeError, FormatError
from dmtrack.video.events.batch import Times
from dmtrack.video.events.columns import (
    NAMES,
    ColumnMeaning,
    Numbers,
    TimeUnit,
    guess_order,
    guess_unit,
    order_of_names,
    parse_order,
)
from dmtrack.video.events.stream import Chunk, Damage, EventStream, record_offsets

NPY_MAGIC: Final = b"\x93NUMPY"
_ROWS: Final = 1 << 14
_SAMPLE_ROWS: Final = 1 << 12
_FRAME_TIMES: Final = "frame_t"
_MAX_FRAMES: Final = 1 << 24


@dataclass(slots=True)
class _Column:
    """An array in a file, read from front to back. What its header says is never allocated at once."""

    file: IO[bytes]
    dtype: np.dtype[Any]
    width: int
    rows: int

    @classmethod
    def begun(cls, file: IO[bytes], path: Path) -> _Column:
        """Read the header of an array.

        Raises:
            FormatError: It is none that can hold events.
        """
        try:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, is_column_major, dtype = read[version](file)
        except (ValueError, KeyError, EOFError) as error:
            raise FormatError("the header of the array is damaged", where=path) from error
        is_transposed = is_column_major and len(shape) == 2 and shape[1] > 1
        if dtype.hasobject or len(shape) not in (1, 2) or is_transposed:
            raise FormatError(f"an array {shape} of {dtype} is no list of events", where=path)
        return cls(file, dtype, shape[1] if len(shape) == 2 else 1, shape[0])

    def read(self, rows: int) -> Numbers:
        """Return up to `rows` rows: `(N,)` or `(N, width)`; fewer where the file ends early."""
        rows = min(rows, self.rows)
        row_bytes = self.dtype.itemsize * self.width
        data = self.file.read(rows * row_bytes)
        self.rows -= rows
        values = np.frombuffer(data[: len(data) // row_bytes * row_bytes], self.dtype)
        return values.reshape(-1, self.width) if self.width > 1 else values


def open_npy(path: Path, columns: str | None = None, unit: TimeUnit | None = None) -> EventStream:
    """Open an `.npy` file with a structured array, or with a row of four numbers an event.

    Args:
        path: The file.
        columns: Order of the columns of plain numbers; None tells it from them.
        unit: Unit of the times; None tells it from them.

    Raises:
        FormatError: It holds no events, or which column is which cannot be told.
    """
    with path.open("rb") as file:
        column = _Column.begun(file, path)
        sample = column.read(_SAMPLE_ROWS)
    order = _order(column, sample, columns, path)
    meaning = ColumnMeaning(unit or guess_unit(_split(sample, order)["t"]))
    return EventStream(
        "numpy array", _npy_chunks(path, order, meaning), notes=_notes(column, order, meaning, columns, unit)
    )


def _order(column: _Column, sample: Numbers, columns: str | None, path: Path) -> tuple[str, ...]:
    names = column.dtype.names
    if names is not None:
        order = order_of_names(names)
        if order is None:
            raise FormatError(f"its fields are {', '.join(names)}", where=path, hint="t, x, y, p are needed")
        return order
    if columns is not None:
        return parse_order(columns)
    try:
        return guess_order(sample)
    except FormatError as error:
        raise FormatError(error.what, where=path, hint=error.hint) from None


def _notes(
    column: _Column,
    order: tuple[str, ...],
    meaning: ColumnMeaning,
    columns: str | None,
    unit: TimeUnit | None,
) -> tuple[str, ...]:
    is_told = column.dtype.names is not None or columns is not None
    by_look = () if is_told else (f"The columns are taken as {','.join(order)} (--columns).",)
    return (*by_look, *(() if unit else (f"Times are taken as {meaning.unit} (--time-unit).",)))


def _split(rows: Numbers, order: tuple[str, ...]) -> Mapping[str, Numbers]:
    """Return the four columns by name."""
    if rows.dtype.names is not None:
        return {name: rows[field] for name, field in zip(order, rows.dtype.names, strict=True) if name != "-"}
    return {name: rows[:, place] for place, name in enumerate(order) if name != "-"}


def _npy_chunks(path: Path, order: tuple[str, ...], meaning: ColumnMeaning) -> Iterator[Chunk]:
    with path.open("rb") as file:
        column = _Column.begun(file, path)
        row_bytes = column.dtype.itemsize * column.width
        while column.rows:
            offset, wanted = file.tell(), min(_ROWS, column.rows)
            rows = column.read(wanted)
            damage = None
            if len(rows) < wanted:
                missing = wanted - len(rows) + column.rows
                damage = Damage("events are missing at the end", offset + len(rows) * row_bytes, missing)
                column.rows = 0
            fields = _split(rows, order)
            events = meaning.events(*(fields[name] for name in "txyp"))
            yield Chunk(events, record_offsets(offset, row_bytes), damage=damage)


def open_npz(path: Path, columns: str | None = None, unit: TimeUnit | None = None) -> EventStream:
    """Open an `.npz` archive with the arrays t, x, y, p (or ts, xs, ...), and maybe `frame_t`.

    Args:
        path: The file.
        columns: Not used: the arrays have names.
        unit: Unit of the times; None tells it from them.

    Raises:
        FormatError: It is no archive, or an array is missing or of another length.
    """
    del columns
    try:
        with zipfile.ZipFile(path) as archive, ExitStack() as stack:
            members = _members(archive, path)
            opened = _opened(archive, members, stack, path)
            sample = opened["t"].read(_SAMPLE_ROWS)
            frame_times = _frame_times(archive, stack, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise FormatError("this is no archive of events (.npz), or it is damaged", where=path) from error
    meaning = ColumnMeaning(unit or guess_unit(sample))
    notes = () if unit else (f"Times are taken as {meaning.unit} (--time-unit).",)
    chunks = _npz_chunks(path, members, meaning)
    return EventStream("numpy archive", chunks, notes=notes, frame_times=frame_times)


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, str]:
    """Return the names of the four arrays in the archive, by what they hold."""
    stems = {Path(name).stem.lower(): name for name in archive.namelist() if name.endswith(".npy")}
    found = {
        name: next((stems[alias] for alias in aliases if alias in stems), None)
        for name, aliases in NAMES.items()
    }
    missing = [name for name, member in found.items() if member is None]
    if missing:
        raise FormatError(
            f"the array {missing[0]} is missing (arrays: {', '.join(sorted(stems)) or 'none'})",
            where=path,
            hint="t, x, y and p are needed",
        )
    return {name: member for name, member in found.items() if member is not None}


def _opened(
    archive: zipfile.ZipFile, members: Mapping[str, str], stack: ExitStack, path: Path
) -> dict[str, _Column]:
    columns = {
        name: _Column.begun(stack.enter_context(archive.open(member)), path)
        for name, member in members.items()
    }
    lengths = {name: column.rows for name, column in columns.items()}
    if len(set(lengths.values())) > 1 or any(column.width > 1 for column in columns.values()):
        listed = ", ".join(str(lengths[name]) for name in "txyp")
        raise FormatError(f"t, x, y, p have {listed} entries", where=path)
    return columns


def _frame_times(archive: zipfile.ZipFile, stack: ExitStack, path: Path) -> Times | None:
    member = f"{_FRAME_TIMES}.npy"
    if member not in archive.namelist():
        return None
    column = _Column.begun(stack.enter_context(archive.open(member)), path)
    return column.read(_MAX_FRAMES).astype(np.int64)


def _npz_chunks(path: Path, members: Mapping[str, str], meaning: ColumnMeaning) -> Iterator[Chunk]:
    done = 0
    try:
        with zipfile.ZipFile(path) as archive, ExitStack() as stack:
            columns = _opened(archive, members, stack, path)
            begin = archive.getinfo(members["t"]).header_offset
            while columns["t"].rows:
                wanted = min(_ROWS, columns["t"].rows)
                parts = {name: column.read(wanted) for name, column in columns.items()}
                whole = min(len(part) for part in parts.values())
                damage = None
                if whole < wanted:
                    damage = Damage(
                        "events are missing at the end", begin, wanted - whole + columns["t"].rows
                    )
                events = meaning.events(*(parts[name][:whole] for name in "txyp"))
                yield Chunk(events, lambda _: begin, damage=damage)
                done += whole
                if damage:
                    return
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DecodeError(
            f"the archive is damaged after event {done} (array at byte {begin}): {error}", where=path
        ) from error
