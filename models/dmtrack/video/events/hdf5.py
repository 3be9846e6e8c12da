"""Events in HDF5: layouts of DSEC and Prophesee, and groups or tables with t, x, y, p under usual names.

Source: https://dsec.ifi.uzh.ch/data-format/ and
https://docs.prophesee.ai/stable/data/file_formats/hdf5.html
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import DecodeError, FormatError, library_needed
from dmtrack.video.events.columns import SAMPLE_ROWS, ColumnMeaning, Numbers, names_to_columns
from dmtrack.video.events.ecf import EVENT, decode_ecf
from dmtrack.video.events.event_batch import Chunk, Damage, OpenedEvents, Size, require_believable
from dmtrack.video.events.event_options import EventOptions

MAGIC: Final = b"\x89HDF\r\n\x1a\n"
_ROWS: Final = 1 << 16
_MAX_ROW_BYTES: Final = 1 << 12
_MAX_CHUNK_BYTES: Final = 1 << 28  # no chunk of events is larger; HDF5 would allocate whatever a header says
_SMALL_CHUNK_BYTES: Final = 1 << 24
_MOST_PACKED: Final = 32
"""A large chunk may be at most so many times the file's size: each read unpacks all of it."""
_MAX_NODES: Final = 10_000
_TRIAL_S: Final = 8.0
_ECF_FILTER: Final = 0x8ECF
_TRIGGERS: Final = "EXT_TRIGGER/events"
_OFFSET: Final = "t_offset"


@dataclass(frozen=True, slots=True)
class _DataSets:
    """The place of the events: one data set per column, or one table."""

    paths: tuple[str, ...]  # their places in the file
    names: tuple[str, ...] | None  # names of the columns, if known

    def read(self, file: Any, begin: int, end: int) -> list[Numbers]:  # noqa: ANN401 - h5py is untyped
        """Return the rows from `begin` up to but without `end` as columns."""
        if len(self.paths) > 1:
            return [file[path][begin:end] for path in self.paths]
        table = file[self.paths[0]]
        rows = _of_ecf(table, begin, end) if _is_ecf(table) else table[begin:end]
        return list(rows.T) if rows.dtype.names is None else [rows[name] for name in self.names or ()]


def open_hdf5(path: Path, options: EventOptions) -> OpenedEvents:
    """Open an HDF5 file of events.

    `ConfigError`: h5py or hdf5plugin is not installed; `FormatError`: it holds no events, or their filter is
    missing; `DecodeError`: the HDF5 library crashes on it, or does not end.
    """
    _h5py()
    _require_harmless(path, path.stat().st_mtime_ns)
    return opened_hdf5(path, options)


@lru_cache(maxsize=16)
def _require_harmless(path: Path, _: int) -> None:
    """Try a file in a separate process first: on a damaged index the HDF5 library crashes or never ends."""
    code = f"import sys, pathlib; from {__name__} import try_out; try_out(pathlib.Path(sys.argv[1]))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(  # noqa: S603 - our own code, with a file's name
            [sys.executable, "-c", code, str(path)],
            env=environment,
            timeout=_TRIAL_S,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DecodeError("the HDF5 file is damaged: opening it does not end") from error
    if done.returncode not in (0, 1):  # a signal, or on Windows a large number
        raise DecodeError("the HDF5 file is damaged: the HDF5 library crashes on it")


def try_out(path: Path) -> None:
    """Open a file and read from it, to see whether that ends; errors are left to the real opening."""
    with contextlib.suppress(Exception):
        next(opened_hdf5(path, EventOptions()).chunks)


def opened_hdf5(path: Path, options: EventOptions) -> OpenedEvents:
    """Open a file that passed the trial; see `open_hdf5`."""
    h5py = _h5py()
    with h5py.File(path, "r") as file:
        found = _find(file, h5py)
        for name in found.paths:
            _require_readable(file[name], h5py, path.stat().st_size)
        lengths = [len(file[name]) for name in found.paths]
        require_believable(min(lengths), path.stat().st_size)
        meaning = ColumnMeaning.settled(
            found.read(file, 0, SAMPLE_ROWS),
            found.names,
            options,
            total=min(lengths),
            tail=found.read(file, max(0, min(lengths) - 1), min(lengths)),
            offset=_time_offset(file, found),
        )
        size = _size(file)
    kind = "HDF5 (Prophesee)" if found.paths == ("CD/events",) else "HDF5"
    return OpenedEvents(kind, _chunks(path, found, meaning), size, meaning.notes)


def _h5py() -> Any:  # noqa: ANN401 - optional, untyped
    with library_needed("HDF5 needs the libraries h5py and hdf5plugin", "pip install 'dmtrack[h5]'"):
        import h5py
        import hdf5plugin  # noqa: F401 - importing it makes blosc and zstd known to HDF5
    return h5py


def _walked(file: Any, h5py: Any) -> tuple[list[str], list[str]]:  # noqa: ANN401
    """Return the paths of all groups and data sets, each once even if links form a loop.

    HDF5's own visitor never ends if a damaged index leads back to itself.
    """
    groups, tables, seen = [""], [], set()
    for group in groups:  # grows in the loop
        for name in file[group or "/"]:
            path = f"{group}/{name}".lstrip("/")
            if not isinstance(file.get(path, getlink=True), h5py.HardLink):
                continue
            node = file[path]
            address = h5py.h5o.get_info(node.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > _MAX_NODES:
                raise FormatError(f"it holds more than {_MAX_NODES} groups and data sets")
            if isinstance(node, h5py.Group):
                groups.append(path)
            elif isinstance(node, h5py.Dataset):
                tables.append(path)
    return groups, tables


def _find(file: Any, h5py: Any) -> _DataSets:  # noqa: ANN401
    groups, tables = _walked(file, h5py)
    for group in groups:
        members = list(file[group] if group else file)
        called = tuple(members[place] for place in names_to_columns(members).needed)
        paths = tuple(f"{group}/{name}".lstrip("/") for name in called)
        if paths and all(path in tables and file[path].ndim == 1 for path in paths):
            return _DataSets(paths, called)
    for name in sorted(tables, key=lambda name: (not name.endswith("events"), name)):
        table = file[name]
        fields = table.dtype.names
        if fields is not None and names_to_columns(fields).needed:
            return _DataSets((name,), fields)
        if table.ndim == 2 and table.shape[1] == 4 and name.lower().endswith("events"):
            return _DataSets((name,), None)
    raise FormatError(
        f"no events are found in it (it holds {', '.join([*groups[1:], *tables][:8]) or 'nothing'})",
        hint="t, x, y, p are needed, as data sets of one group or columns of one table",
    )


def _require_readable(dataset: Any, h5py: Any, file_bytes: int) -> None:  # noqa: ANN401
    """Check filters and the sizes of rows and chunks; `FormatError`: one is missing, or one too large."""
    row_bytes = dataset.dtype.itemsize * int(np.prod(dataset.shape[1:], dtype=object))
    chunk_bytes = dataset.dtype.itemsize * int(np.prod(dataset.chunks or (1,), dtype=object))
    most_bytes = min(_MAX_CHUNK_BYTES, max(_SMALL_CHUNK_BYTES, _MOST_PACKED * file_bytes))
    if row_bytes > _MAX_ROW_BYTES or chunk_bytes > most_bytes:
        raise FormatError(
            f"the data set {dataset.name} is no list of events: its rows or chunks are too large"
        )
    properties = dataset.id.get_create_plist()
    for index in range(properties.get_nfilters()):
        number = properties.get_filter(index)[0]
        if h5py.h5z.filter_avail(number) or _is_ecf(dataset):
            continue
        raise FormatError(f"its events are packed with the HDF5 filter {number}, which is not here")


def _is_ecf(dataset: Any) -> bool:  # noqa: ANN401
    """Return whether a table of events is packed with only Prophesee's ECF, which we decode."""
    properties = dataset.id.get_create_plist()
    is_alone = properties.get_nfilters() == 1 and properties.get_filter(0)[0] == _ECF_FILTER
    return is_alone and dataset.ndim == 1 and set(dataset.dtype.names or ()) == set(EVENT.names or ())


def _of_ecf(table: Any, begin: int, end: int) -> npt.NDArray[Any]:  # noqa: ANN401
    """Return the rows `begin` to `end` of a table packed with ECF, from its chunks as stored."""
    size, end = int(table.chunks[0]), min(end, len(table))
    parts = [np.empty(0, EVENT)]
    for first in range(begin // size * size, end, size):
        mask, data = table.id.read_direct_chunk((first,))
        rows = np.frombuffer(data, table.dtype).astype(EVENT) if mask & 1 else decode_ecf(data, size)
        if len(rows) < min(end, first + size) - first:
            raise FormatError("a chunk packed with ECF holds too few events")
        parts.append(rows[max(begin - first, 0) : end - first])
    return np.concatenate(parts)


def _size(file: Any) -> Size | None:  # noqa: ANN401
    """Return the size in Prophesee's attribute `geometry`, or in `width` and `height`; None without."""
    stated = re.fullmatch(r"(\d{1,5})x(\d{1,5})", str(file.attrs.get("geometry", "")))
    if stated:
        return int(stated[1]), int(stated[2])
    width, height = file.attrs.get("width"), file.attrs.get("height")
    return None if width is None or height is None else (int(width), int(height))


def _time_offset(file: Any, found: _DataSets) -> int:  # noqa: ANN401
    """Return DSEC's offset of the times, stored beside the events or at the top; 0 without one."""
    group = found.paths[0].rpartition("/")[0]
    for name in (f"{group}/{_OFFSET}", _OFFSET):
        if name in file and file[name].size == 1:
            return int(np.asarray(file[name]).item())
    return 0


def _chunks(path: Path, found: _DataSets, meaning: ColumnMeaning) -> Iterator[Chunk]:
    with _h5py().File(path, "r") as file:
        lengths = [len(file[name]) for name in found.paths]
        yield Chunk(0, triggers=_triggers(file))
        for begin in range(0, min(lengths), _ROWS):
            end = min(begin + _ROWS, *lengths)
            yield Chunk(0, meaning.events(found.read(file, begin, end)))
        if max(lengths) != min(lengths):
            yield Chunk(0, damage=Damage("columns differ in length", 0, max(lengths) - min(lengths)))


def _triggers(file: Any) -> int:  # noqa: ANN401
    names = (_TRIGGERS in file and file[_TRIGGERS].dtype.names) or ()
    return len(file[_TRIGGERS]) if {"t", "id", "p"} <= set(names) else 0
