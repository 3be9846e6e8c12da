"""`open_stream`: which format a file is in, told from its first bytes, else from its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dmtrack.errors import FormatError, VideoError
from dmtrack.video.events import aedat4, event_stream, hdf5
from dmtrack.video.events.aedat2 import open_aedat2
from dmtrack.video.events.aedat3 import open_aedat3
from dmtrack.video.events.aedat4 import open_aedat4
from dmtrack.video.events.arrays import NPY_MAGIC, open_npy, open_npz
from dmtrack.video.events.columns import TimeUnit
from dmtrack.video.events.event_stream import open_event_stream
from dmtrack.video.events.hdf5 import open_hdf5
from dmtrack.video.events.nmnist import open_nmnist
from dmtrack.video.events.prophesee import open_dat, open_raw
from dmtrack.video.events.stream import EventStream
from dmtrack.video.events.text import looks_like_table, open_text

KNOWN_FORMATS: Final = (
    "Prophesee RAW (EVT2, EVT2.1, EVT3) and DAT, AEDAT 2.0, 3.1 and 4.0, HDF5, Event Stream (.es), "
    "N-MNIST (.bin), .npy, .npz, .csv and .txt"
)
_HEAD_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class ColumnOptions:
    """What a person says about files that do not say it themselves.

    Attributes:
        columns: Order of columns without names, such as `txyp`; None tells it from the numbers.
        unit: Unit of times; None tells it from the numbers.
    """

    columns: str | None = None
    unit: TimeUnit | None = None


def is_event_file(path: Path) -> bool:
    """Return whether a file is one of events, from its first bytes or its name; never raises."""
    try:
        return path.is_file() and _opener(path) is not None
    except OSError:
        return False


def open_stream(path: Path, options: ColumnOptions) -> EventStream:
    """Open an event file of any known format.

    Raises:
        VideoError: There is no such file, or it is empty.
        FormatError: It is of no known format, or not what its begin promises.
        DecodeError: Its header is damaged.
        ConfigError: An optional library is missing, or an option is invalid.
    """
    if not path.exists():
        raise VideoError("no such file", where=path, hint="check the path")
    if not path.is_file():
        raise VideoError("this is no file", where=path)
    try:
        if path.stat().st_size == 0:
            raise VideoError("the file is empty", where=path)
        opener = _opener(path)
        if opener is None:
            raise FormatError("this is no known event file", where=path, hint=f"known are {KNOWN_FORMATS}")
        return opener(path, options)
    except PermissionError as error:
        raise VideoError("no permission to read it", where=path) from error


_Opener = Callable[[Path, ColumnOptions], EventStream]


def _opener(path: Path) -> _Opener | None:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return _by_magic(path, head) or _by_suffix(path, head)


def _by_magic(path: Path, head: bytes) -> _Opener | None:
    if head.startswith(aedat4.MAGIC):
        return lambda path, _: open_aedat4(path)
    if head.startswith(b"#!AER-DAT3"):
        return lambda path, _: open_aedat3(path)
    if head.startswith(b"#!AER-DAT2"):
        return lambda path, _: open_aedat2(path)
    if head.startswith(event_stream.MAGIC):
        return lambda path, _: open_event_stream(path)
    if head.startswith(hdf5.MAGIC):
        return lambda path, options: open_hdf5(path, options.columns, options.unit)
    if head.startswith(NPY_MAGIC):
        return lambda path, options: open_npy(path, options.columns, options.unit)
    if head.startswith(b"% ") and path.suffix.lower() not in (".txt", ".csv"):
        is_dat = path.suffix.lower() == ".dat" or head.startswith(b"% Data file containing")
        return lambda path, _: open_dat(path) if is_dat else open_raw(path)
    return None


def _by_suffix(path: Path, head: bytes) -> _Opener | None:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return lambda path, options: open_npz(path, options.columns, options.unit)
    if suffix in (".csv", ".txt") and looks_like_table(head):
        return lambda path, options: open_text(path, options.columns, options.unit)
    if suffix == ".bin":
        return lambda path, _: open_nmnist(path)
    return None
