"""Reads the tensors of any `torch.save` file without running code from it.

Unpickling is a program: it imports what the file names and calls it. Here no name is looked up: `_Unpickler`
replaces six kinds of names by objects of ours (`OrderedDict`, the tensor rebuilders, storages, and inert
training records, whose content is dropped), and any other name is an error.

`torch.load(weights_only=True)` is no alternative. In the oldest torch that we support (2.6) it trusts the
claimed size of a storage: beyond a record of 16 bytes it reads, and by `SETITEM` on a tensor writes, while
loading, before we could check anything. In every version up to 2.14 a dictionary key nested deeply enough
ends the process, `builtins.bytearray` takes any amount of memory, and pickle protocols 4 and 5 cannot be
read.

Source: Python's manual, `pickle`, "Restricting Globals"; the zip layout of `torch.save` (a record
`NAME/data.pkl`, and one uncompressed record `NAME/data/KEY` a storage); specification 2.2.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import zipfile
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from dmtrack.errors import CheckpointError, translated
from dmtrack.numbers import shown

#: Element types of the storages that a weights file may hold.
_STORAGES: Mapping[str, torch.dtype] = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
_ORDERED_DICT = "collections.OrderedDict"
_REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2"
_REBUILD_PARAMETER = "torch._utils._rebuild_parameter"
#: Records of the training run beside the tensors. Each becomes an empty `_Inert`.
_INERT = frozenset(
    {
        "lib.train.admin.stats.AverageMeter",
        "lib.train.admin.stats.StatValue",
        "lib.train.admin.settings.Settings",
        "lib.train.admin.local.EnvironmentSettings",
        "torch.device",
        "torch.Size",
        "numpy.dtype",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
        "_codecs.encode",
    }
)

_MAX_DIMENSIONS = 8
#: A checkpoint with its optimiser has 10,000. This many, nested, can be hashed without ending the process.
_MOST_TUPLES = 25_000
#: First bytes of `torch.save` before version 1.6: a pickled long, not a zip.
_LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_ZIP_MAGIC = b"PK\x03\x04"
#: Keys under which a training checkpoint holds its state dict, in order of preference.
_STATE_KEYS = ("net", "state_dict", "model")
_DEEPEST = 4


class _Inert:
    """Stands for an object of a training record; holds nothing."""

    __slots__ = ()

    def __new__(cls, *_: object) -> Self:
        """Accept any arguments."""
        return super().__new__(cls)

    def __setstate__(self, _: object) -> None:
        """Drop the attributes: none of them is a weight."""


class _Dict(dict[Any, Any]):
    """Stands for `OrderedDict`."""

    def __setstate__(self, _: object) -> None:
        """Drop the attributes: none of them is a weight."""


# Tuples, since a pickle can set attributes on anything else, also on dataclasses with slots.
class _Storage(NamedTuple):
    """A block of `length` elements in the record `key`."""

    key: str
    dtype: torch.dtype
    length: int


class _Strided(NamedTuple):
    """A tensor as the file describes it: a view of a storage, not read yet."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _MalformedError(Exception):
    """The pickle does not build what it should; translated at the boundary."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the network's tensors from a zip-format `.pth`, `.pth.tar` or `.pt` file, on the CPU.

    They are taken from `["net"]`, `["state_dict"]` or `["model"]`, else from the first entry that holds
    tensors, or from the file itself if it is a plain state dict; such entries may be nested. Other tensors
    (an optimizer's) are not read. No code of the file runs.

    The file must be from `torch.save` of version 1.6 or later. `CheckpointError`: the file is missing,
    damaged, truncated or in the format before torch 1.6; it names a class or function that no weights need;
    or it holds no state dict.
    """
    with translated(CheckpointError, "is damaged or no checkpoint", where=path, hint="download it again"):
        _require_zip(path)
        with zipfile.ZipFile(path) as archive:
            records = _Records(archive, path.stat().st_size)
            state = _state_dict(_unpickled(records.read(records.prefix + "data.pkl")))
            return records.tensors(state)


def _require_zip(path: Path) -> None:
    if path.is_fifo():
        raise CheckpointError("is a pipe, not a file", where=path)
    with path.open("rb") as stream:
        head = stream.read(len(_LEGACY_MAGIC))
    if head.startswith(_ZIP_MAGIC):
        return
    if head == _LEGACY_MAGIC:
        raise CheckpointError(
            "was written in the format before torch 1.6, which cannot be read without running it",
            where=path,
            hint="ask its publisher for one written by a newer torch",
        )
    raise CheckpointError(
        "is not a checkpoint written by torch.save", where=path, hint="expected a .pth, .pth.tar or .pt file"
    )


def _state_dict(root: object) -> dict[str, _Strided]:
    """Find the state dict in the unpickled object."""
    state = root
    for _ in range(_DEEPEST):
        entries = state if isinstance(state, dict) else {}
        inner = [entries[key] for key in _STATE_KEYS if isinstance(entries.get(key), dict)]
        if not inner and not _holds_tensors(entries):
            inner = list(filter(_holds_tensors, entries.values()))
        state = inner[0] if inner else state
    if not isinstance(state, dict) or not state:
        raise _MalformedError("it holds no state dict")
    for name, entry in state.items():
        if not isinstance(name, str) or not isinstance(entry, _Strided):
            raise _MalformedError(f"entry {shown(str(name))} of the state dict is not a tensor")
    return state


def _holds_tensors(entry: object) -> bool:
    return isinstance(entry, dict) and any(isinstance(value, _Strided) for value in entry.values())


class _Records:
    """The records of one archive; every size is checked against the file before it is used."""

    def __init__(self, archive: zipfile.ZipFile, file_bytes: int) -> None:
        self._archive = archive
        self._file_bytes = file_bytes
        self._budget_bytes = file_bytes
        pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise _MalformedError(f"{len(pickles)} data.pkl records in the archive")
        self.prefix = pickles[0].removesuffix("data.pkl")
        order = self.prefix + "byteorder"
        if order in archive.namelist() and self.read(order) != b"little":
            raise _MalformedError("it was written on a big-endian machine")

    def read(self, name: str) -> bytes:
        """Return a record, which must be uncompressed, and so is no larger than the file."""
        try:
            info = self._archive.getinfo(name)
        except KeyError:
            raise _MalformedError(f"record {name} is missing") from None
        stored = info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
        if not stored or info.flag_bits & 1 or info.file_size > self._file_bytes:
            raise _MalformedError(f"record {name} is compressed, encrypted or larger than the file")
        return self._archive.read(info)

    def tensors(self, state: Mapping[str, _Strided]) -> dict[str, Tensor]:
        """Read all tensors, each storage once however many of them share it."""
        read: dict[str, Tensor] = {}

        def key_of(name: str) -> str:
            return state[name].storage.key

        for key, names in groupby(sorted(state, key=key_of), key_of):
            data = bytearray(self.read(f"{self.prefix}data/{key}"))
            read |= {name: self._tensor(state[name], data) for name in names}
        return {name: read[name] for name in state}

    def _tensor(self, entry: _Strided, data: bytearray) -> Tensor:
        """Return one tensor, contiguous and with memory of its own."""
        storage = entry.storage
        count = math.prod(entry.shape)
        # Several tensors may share one record; together they must not ask for more than the file has.
        self._budget_bytes -= count * storage.dtype.itemsize
        if count > storage.length or self._budget_bytes < 0:
            raise _MalformedError("its tensors ask for more data than the file has")
        last = entry.offset + sum((n - 1) * step for n, step in zip(entry.shape, entry.stride, strict=True))
        if last >= storage.length:
            raise _MalformedError(f"a tensor reaches beyond storage {storage.key}")
        if len(data) != storage.length * storage.dtype.itemsize:
            raise _MalformedError(f"storage {storage.key} has {len(data)} bytes")
        return (
            torch.frombuffer(data, dtype=storage.dtype)
            .as_strided(entry.shape, entry.stride, entry.offset)
            .clone(memory_format=torch.contiguous_format)
        )


def _unpickled(data: bytes) -> object:
    """Return the object that a pickle builds of dicts, lists, tuples, scalars, `_Strided` and `_Inert`.

    `CheckpointError`: it names something that no weights need; `_MalformedError`: it holds more than weights
    can; also raises the errors of an unpickler.
    """
    tuples = 0
    for opcode, argument, _ in pickletools.genops(data):
        tuples += opcode.name.startswith("TUPLE")
        if tuples > _MOST_TUPLES or ("PUT" in opcode.name and (argument or 0) > len(data)):
            raise _MalformedError("it is nested deeper, or counts higher, than weights do")
    return _Unpickler(io.BytesIO(data)).load()


class _Unpickler(pickle.Unpickler):
    """Resolves names from the tables of this module only."""

    def find_class(self, module: str, name: str) -> object:
        """Return our replacement for a class or function."""
        qualified = f"{module}.{name}"
        if qualified in _STORAGES:
            return _STORAGES[qualified]
        if qualified in _INERT:
            return _Inert
        if qualified == _ORDERED_DICT:
            return _Dict
        # New functions each time, so that attributes that a file sets on them have no effect here.
        if qualified == _REBUILD_TENSOR:
            return lambda *arguments: _strided(arguments)
        if qualified == _REBUILD_PARAMETER:
            return lambda tensor, *_: tensor
        raise CheckpointError(
            f"names {qualified[:200]}, which no weights need; nothing of the file was run",
            hint="do not open it with torch.load unless you trust who made it",
        )

    def persistent_load(self, pid: object) -> _Storage:
        """Return the storage of a persistent id."""
        match pid:
            case ("storage", torch.dtype() as dtype, str(key), str(), int(count)) if count >= 0:
                return _Storage(key, dtype, count)
        raise _MalformedError("a persistent id that is no storage")


def _strided(arguments: tuple[Any, ...]) -> _Strided:
    """Check the arguments of `_rebuild_tensor_v2`."""
    match arguments[:4]:
        case (_Storage() as storage, int(offset), tuple(shape), tuple(stride)):
            numbers = (offset, *shape, *stride)
            numeric = all(type(number) is int and number >= 0 for number in numbers)
            # No weight is empty or has many dimensions; torch never sees such shapes.
            if numeric and len(shape) == len(stride) <= _MAX_DIMENSIONS and 0 not in shape:
                return _Strided(storage, offset, shape, stride)
    raise _MalformedError("a tensor with an impossible shape")
