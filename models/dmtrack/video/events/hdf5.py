"""Events in HDF5: the layout of DSEC, Prophesee's, and groups or tables with t, x, y, p under usual names.

Source: https://dsec.ifi.uzh.ch/data-format/ and
https://docs.prophesee.ai/stable/data/file_formats/hdf5.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from dmtrack.errors import ConfigError, DecodeError, FormatError
from dmtrack.video.events.batch import EventBatch, Triggers
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
from dmtrack.video.events.stream import Chunk, Damage, EventStream, Size

MAGIC: Final = b"\x89HDF\r\n\x1a\n"
_ROWS: Final = 1 << 16
_SAMPLE_ROWS: Final = 1 << 12
_ECF_FILTER: Final = 0x8ECF
_TRIGGERS: Final = "EXT_TRIGGER/events"
_OFFSET: Final = "t_offset"


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the events are.

    Attributes:
        columns: Name of the data set of each of t, x, y, p; None where one table holds all.
        table: Name of that table.
        order: What its columns or fields hold.
    """

    columns: Mapping[str, str] | None = None
    table: str | None = None
    order: tuple[str, ...] = ()

    @property
    def datasets(self) -> tuple[str, ...]:
        """Every data set that is read."""
        return tuple(self.columns.values()) if self.columns else (str(self.table),)


def open_hdf5(path: Path, columns: str | None = None, unit: TimeUnit | None = None) -> EventStream:
    """Open an HDF5 file of events.

    Args:
        path: The file.
        columns: Order of the columns of a table without names; None tells it from the numbers.
        unit: Unit of the times; None tells it from them.

    Raises:
        ConfigError: The library h5py is not installed.
        FormatError: It holds no events, or they are packed with a filter that is not there.
        DecodeError: The file is damaged.
    """
    h5py = _h5py(path)
    try:
        with h5py.File(path, "r") as file:
            layout = _find_layout(file, h5py, columns, path)
            for name in layout.datasets:
                _require_filters(file[name], h5py, path)
            sample = _rows(file, layout, 0, _SAMPLE_ROWS)
            meaning = ColumnMeaning(unit or guess_unit(sample["t"]), _time_offset(file, layout))
            size = _size(file)
            kind = "HDF5 (Prophesee)" if layout.table == "CD/events" else "HDF5"
    except (OSError, RuntimeError, KeyError) as error:
        raise DecodeError(f"the HDF5 file is damaged ({error})", where=path) from error
    notes = () if unit else (f"Times are taken as {meaning.unit} (--time-unit).",)
    if meaning.offset:
        notes = (*notes, f"Its t_offset of {meaning.offset} is added.")
    return EventStream(kind, _chunks(path, layout, meaning), size=size, notes=notes)


def _h5py(path: Path) -> Any:  # noqa: ANN401 - optional, untyped
    try:
        import h5py
        import hdf5plugin  # noqa: F401 - importing it makes blosc and zstd known to HDF5
    except ImportError as error:
        raise ConfigError(
            "HDF5 needs the libraries h5py and hdf5plugin", where=path, hint="pip install 'dmtrack[h5]'"
        ) from error
    return h5py


def _find_layout(file: Any, h5py: Any, columns: str | None, path: Path) -> _Layout:  # noqa: ANN401
    groups: list[str] = []
    tables: list[str] = []

    def visit(name: str, node: object) -> None:
        (groups if isinstance(node, h5py.Group) else tables).append(name)

    file.visititems(visit)
    for group in ["", *groups]:
        members = {name.lower(): name for name in (file[group] if group else file)}
        found = {
            key: f"{group}/{members[alias]}".lstrip("/")
            for key, aliases in NAMES.items()
            if (alias := next((alias for alias in aliases if alias in members), None))
        }
        if len(found) == len(NAMES) and all(file[name].ndim == 1 for name in found.values()):
            return _Layout(columns=found)
    for table in sorted(tables, key=lambda name: (not name.endswith("events"), name)):
        layout = _table_layout(file[table], table, columns)
        if layout is not None:
            return layout
    raise FormatError(
        f"no events are found in it (it holds {', '.join([*groups, *tables][:8]) or 'nothing'})",
        where=path,
        hint="t, x, y, p are needed, as data sets of one group or columns of one table",
    )


def _table_layout(table: Any, name: str, columns: str | None) -> _Layout | None:  # noqa: ANN401
    if table.dtype.names is not None:
        order = order_of_names(table.dtype.names)
        return None if order is None else _Layout(table=name, order=order)
    if table.ndim != 2 or table.shape[1] != 4 or not name.lower().endswith("events"):
        return None
    order = parse_order(columns) if columns else guess_order(table[:_SAMPLE_ROWS])
    return _Layout(table=name, order=order)


def _require_filters(dataset: Any, h5py: Any, path: Path) -> None:  # noqa: ANN401
    properties = dataset.id.get_create_plist()
    for index in range(properties.get_nfilters()):
        number = properties.get_filter(index)[0]
        if h5py.h5z.filter_avail(number):
            continue
        if number == _ECF_FILTER:
            raise FormatError(
                "its events are packed with Prophesee's own filter ECF, which is not installed",
                where=path,
                hint="install the HDF5 ECF plug-in and set HDF5_PLUGIN_PATH to its folder, "
                "or convert the file to RAW with Metavision",
            )
        raise FormatError(
            f"its events are packed with the HDF5 filter {number}, which is not here", where=path
        )


def _size(file: Any) -> Size | None:  # noqa: ANN401
    """Return the size that Prophesee's attribute `geometry`, or `width` and `height`, state."""
    stated = re.fullmatch(r"(\d+)x(\d+)", str(file.attrs.get("geometry", "")))
    if stated:
        return int(stated[1]), int(stated[2])
    width, height = file.attrs.get("width"), file.attrs.get("height")
    return None if width is None or height is None else (int(width), int(height))


def _time_offset(file: Any, layout: _Layout) -> int:  # noqa: ANN401
    """Return what DSEC keeps apart from the times; it stands beside the events or at the top."""
    group = layout.datasets[0].rpartition("/")[0]
    for name in (f"{group}/{_OFFSET}", _OFFSET):
        if name in file and file[name].size == 1:
            return int(np.asarray(file[name]).item())
    return 0


def _rows(file: Any, layout: _Layout, begin: int, end: int) -> Mapping[str, Numbers]:  # noqa: ANN401
    if layout.columns is not None:
        return {name: file[dataset][begin:end] for name, dataset in layout.columns.items()}
    rows = file[layout.table][begin:end]
    fields = rows.dtype.names
    if fields is not None:
        return {name: rows[field] for name, field in zip(layout.order, fields, strict=True) if name != "-"}
    return {name: rows[:, place] for place, name in enumerate(layout.order)}


def _chunks(path: Path, layout: _Layout, meaning: ColumnMeaning) -> Iterator[Chunk]:
    h5py = _h5py(path)
    begin = 0
    try:
        with h5py.File(path, "r") as file:
            lengths = [len(file[name]) for name in layout.datasets]
            triggers = _triggers(file)
            if triggers is not None:
                yield Chunk(EventBatch.empty(), lambda _: 0, triggers)
            while begin < min(lengths):
                end = min(begin + _ROWS, *lengths)
                rows = _rows(file, layout, begin, end)
                yield Chunk(meaning.events(*(rows[name] for name in "txyp")), lambda _: 0)
                begin = end
            if max(lengths) != min(lengths):
                damage = Damage("columns differ in length", 0, max(lengths) - min(lengths))
                yield Chunk(EventBatch.empty(), lambda _: 0, damage=damage)
    except (OSError, RuntimeError, KeyError) as error:
        raise DecodeError(f"the HDF5 file is damaged after event {begin} ({error})", where=path) from error


def _triggers(file: Any) -> Triggers | None:  # noqa: ANN401
    if _TRIGGERS not in file or file[_TRIGGERS].dtype.names is None:
        return None
    rows = file[_TRIGGERS][:]
    if not {"t", "id", "p"} <= set(rows.dtype.names) or len(rows) == 0:
        return None
    return Triggers(rows["t"].astype(np.int64), rows["id"].astype(np.uint8), rows["p"] > 0)
