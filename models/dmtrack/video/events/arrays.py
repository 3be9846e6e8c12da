"""Events in numpy files: `.npy`, and `.npz` with one array per column or one table; read in pieces."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, Self

import numpy as np

from dmtrack.errors import FormatError, translated
from dmtrack.video.events.columns import SAMPLE_ROWS, ColumnMeaning, Numbers, names_to_columns
from dmtrack.video.events.event_batch import (
    Chunk,
    Damage,
    OpenedEvents,
    Times,
    record_offsets,
    require_believable,
)
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.time_file import TimestampUnit

_ROWS: Final = 1 << 14
_COLUMNS: Final = 4
_FRAME_TIMES: Final = "frame_t"
_MAX_FRAMES: Final = 1 << 24
_MAX_ROW_BYTES: Final = 1 << 12  # no event needs more: larger rows are other data, or damage
_MAX_TABLE_ROWS: Final = 1 << 48

Opener = Callable[[], IO[bytes]]


@dataclass(slots=True)
class _Stored:
    """Numbers in a file, read from front to back; never allocates all that its header claims."""

    file: IO[bytes]
    dtype: np.dtype[Any]
    width: int
    rows: int

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * self.width

    @classmethod
    def opened(cls, opener: Opener, stack: ExitStack) -> list[Self]:
        """Read the header of an array: one part if it is stored by rows, one per column if by columns."""
        file = stack.enter_context(opener())
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        with translated(FormatError, "the header of the array is damaged"):
            version = np.lib.format.read_magic(file)
            if version not in read:
                raise FormatError(f"an array of version {version[0]}.{version[1]}")
            shape, by_columns, dtype = read[version](file)
        if len(shape) == 2 and shape[0] == _COLUMNS and shape[1] > _COLUMNS**2:  # each row is a column
            shape, by_columns = shape[::-1], not by_columns
        width = shape[1] if len(shape) == 2 else 1
        row_bytes = dtype.itemsize * width
        is_listable = len(shape) in (1, 2) and not dtype.hasobject and dtype.subdtype is None
        if not is_listable or not 0 < row_bytes <= _MAX_ROW_BYTES or not 0 <= shape[0] <= _MAX_TABLE_ROWS:
            raise FormatError(f"an array {shape} of {dtype} is no list of events")
        if not by_columns or width == 1:
            return [cls(file, dtype, width, shape[0])]
        begin, parts = file.tell(), []
        for column in range(width):
            part = stack.enter_context(opener())
            part.seek(begin + column * shape[0] * dtype.itemsize)
            parts.append(cls(part, dtype, 1, shape[0]))
        return parts

    def read(self, rows: int) -> list[Numbers]:
        """Return up to `rows` rows as columns; fewer if the file ends early."""
        rows = min(rows, self.rows)
        data = self.file.read(rows * self.row_bytes)
        self.rows -= rows
        values = np.frombuffer(data[: len(data) // self.row_bytes * self.row_bytes], self.dtype)
        if self.dtype.names is not None:
            return [values[name] for name in self.dtype.names]
        return list(values.reshape(-1, self.width).T)


@dataclass(slots=True)
class _StoredTable:
    """Columns from one or more arrays, their names, and their byte in the archive, if it is one."""

    parts: list[_Stored]
    names: list[str] | None
    member_offset: int | None = None

    @property
    def rows(self) -> int:
        """Rows left, by the headers."""
        return min(part.rows for part in self.parts)

    def read(self, rows: int) -> list[Numbers]:
        """Return up to `rows` rows as columns of equal length."""
        columns = [column for part in self.parts for column in part.read(rows)]
        whole = min(map(len, columns))
        return [column[:whole] for column in columns]

    def read_last(self, file_bytes: int) -> list[Numbers] | None:
        """Skip to the last row and return it as columns; None if the file, of `file_bytes`, ends early."""
        for part in self.parts:
            last = part.file.tell() + max(0, part.rows - 1) * part.row_bytes
            if last > file_bytes:
                return None
            part.file.seek(last)
            part.rows = min(1, part.rows)
        columns = self.read(1)
        return columns if len(columns[0]) else None


TableOpener = Callable[[ExitStack], _StoredTable]


def open_npy(path: Path, options: EventOptions) -> OpenedEvents:
    """Open an `.npy` file with a structured array, or with four numbers per event.

    `FormatError`: it holds no events, or it is unclear which column is which.
    """

    def table(stack: ExitStack) -> _StoredTable:
        return _one_array(lambda: path.open("rb"), stack)

    with ExitStack() as stack:
        opened = table(stack)
        total, sample = opened.rows, opened.read(SAMPLE_ROWS)
        tail = opened.read_last(path.stat().st_size)
        meaning = ColumnMeaning.settled(sample, opened.names, options, total=total, tail=tail)
    return OpenedEvents("numpy array", _chunks(table, meaning), notes=meaning.notes)


def open_npz(path: Path, options: EventOptions) -> OpenedEvents:
    """Open an `.npz` archive with the arrays t, x, y, p (or ts, xs, ...) or one table, maybe with `frame_t`.

    `FormatError`: it holds no events, or its arrays differ in length.
    """

    def table(stack: ExitStack) -> _StoredTable:
        return _table_of_archive(stack.enter_context(zipfile.ZipFile(path)), stack)

    with translated(FormatError, "the archive is damaged"), ExitStack() as stack:
        frame_times = _frame_times(stack.enter_context(zipfile.ZipFile(path)), stack)
        if frame_times is not None and options.unit is None:  # our own archives are in microseconds
            options = replace(options, unit=TimestampUnit.US)
        opened = table(stack)
        meaning = ColumnMeaning.settled(opened.read(SAMPLE_ROWS), opened.names, options)
    return OpenedEvents(
        "numpy archive", _chunks(table, meaning), notes=meaning.notes, frame_times=frame_times
    )


def _one_array(opener: Opener, stack: ExitStack, member_offset: int | None = None) -> _StoredTable:
    parts = _Stored.opened(opener, stack)
    names = parts[0].dtype.names
    return _StoredTable(parts, None if names is None else list(names), member_offset)


def _table_of_archive(archive: zipfile.ZipFile, stack: ExitStack) -> _StoredTable:
    members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
    members.pop(_FRAME_TIMES, None)
    names = list(members)
    found = names_to_columns(names)
    missing = [name for name in "txyp" if name not in found.places]
    if missing and len(called := [name for name in names if "event" in name.lower()]) == 1:
        names = called
    if missing and len(names) != 1:
        raise FormatError(
            f"the array {missing[0]} is missing (arrays: {', '.join(sorted(names)) or 'none'})",
            hint="t, x, y and p are needed",
        )
    wanted = names if missing else [names[place] for place in found.needed]
    begin = archive.getinfo(members[wanted[0]]).header_offset
    tables = [_one_array(partial(archive.open, members[name]), stack, begin) for name in wanted]
    packed = sum(archive.getinfo(members[name]).compress_size for name in wanted)
    require_believable(min(table.rows for table in tables), packed)
    if missing:
        return tables[0]
    lengths = [table.rows for table in tables]
    if len(set(lengths)) > 1 or any(len(table.parts) > 1 or table.parts[0].width > 1 for table in tables):
        raise FormatError(f"t, x, y, p have {', '.join(map(str, lengths))} entries")
    return _StoredTable([table.parts[0] for table in tables], wanted, begin)


def _frame_times(archive: zipfile.ZipFile, stack: ExitStack) -> Times | None:
    member = f"{_FRAME_TIMES}.npy"
    if member not in archive.namelist():
        return None
    columns = _one_array(lambda: archive.open(member), stack).read(_MAX_FRAMES)
    if len(columns) != 1 or columns[0].dtype.kind not in "iuf":
        raise FormatError(f"the array {_FRAME_TIMES} is no list of times")
    return columns[0].astype(np.int64)


def _chunks(open_table: TableOpener, meaning: ColumnMeaning) -> Iterator[Chunk]:
    with ExitStack() as stack:
        table = open_table(stack)
        first = table.parts[0]
        while table.rows:
            wanted, begin = min(_ROWS, table.rows), first.file.tell()
            columns = table.read(wanted)
            whole = len(columns[0])
            where: int | Callable[[int], int] = record_offsets(begin, first.row_bytes)
            end = begin + whole * first.row_bytes
            if table.member_offset is not None:
                where = end = table.member_offset
            missing = wanted - whole + table.rows if whole < wanted else 0
            damage = Damage("events are missing at the end", end, missing) if missing else None
            yield Chunk(where, meaning.events(columns), damage=damage)
            if missing:
                return
