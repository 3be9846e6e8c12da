"""Reads the tensors of a `torch.save` file without unpickling it.

Unpickling is a program: it imports what the file names and calls it. Here the opcodes of the file
are walked by a machine that can only build data. A name of a class or function stays a name; it is
never imported, looked up or called. Six kinds of names have a meaning (`OrderedDict`, the tensor
rebuilders, storages, and inert training records, of which nothing is kept); any other name is an
error before anything else of the file is looked at.

`torch.load(weights_only=True)` does not do instead. In the oldest torch that we support (2.6) it takes a
storage as large as the file claims: a record of 16 bytes is read, and by `SETITEM` on a tensor written,
beyond its end while loading, before any check of ours could come. In every version up to 2.14 a dictionary
key nested deeply enough ends the process, `builtins.bytearray` takes any amount of memory, and pickle
protocols 4 and 5 cannot be read.

Source: the pickle opcodes as documented in `pickletools`; the zip layout of `torch.save` (a record
`NAME/data.pkl`, and one uncompressed record `NAME/data/KEY` a storage); specification 2.2.
"""

from __future__ import annotations

import math
import pickletools
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

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
#: Records of the training run that stand beside the tensors. Each becomes an empty `_Inert`.
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
_KNOWN = frozenset(_STORAGES) | _INERT | {_ORDERED_DICT, _REBUILD_TENSOR, _REBUILD_PARAMETER}

_MAX_DIMENSIONS = 8
#: First bytes of `torch.save` before version 1.6: a pickled long, not a zip.
_LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_ZIP_MAGIC = b"PK\x03\x04"
#: Where the state dict of a training checkpoint is, in order of preference.
_STATE_KEYS = ("net", "state_dict", "model")


@dataclass(frozen=True, slots=True)
class _Name:
    """A class or function the file names. Only compared, never resolved."""

    qualified: str


class _Inert:
    """Stands where the file has an object of a training record; holds nothing."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Storage:
    """A block of `count` elements in the record `key`."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class _Strided:
    """A tensor as the file describes it: a window on a storage, not read yet."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _MalformedError(Exception):
    """The opcodes do not build what they should; translated at the boundary."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the network's tensors of a zip-format `.pth`, `.pth.tar` or `.pt` file, on the CPU.

    Taken from `["net"]`, `["state_dict"]`, `["model"]`, or the file itself if it is a plain state dict.
    Tensors outside (an optimizer's) are not read. No code of the file runs.

    It is what `torch.save` wrote, version 1.6 or later. `CheckpointError`: the file is missing, damaged,
    truncated or of the format before torch 1.6; it names a class or function that no weights need; or it
    holds no state dict.
    """
    with translated(CheckpointError, "is damaged or no checkpoint", where=path, hint="download it again"):
        _require_zip(path)
        with zipfile.ZipFile(path) as archive:
            records = _Records(archive, path.stat().st_size)
            state = _state_dict(_Machine().run(records.read(records.prefix + "data.pkl")))
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
    """Find the state dict in what the machine built."""
    state = root
    if isinstance(root, dict):
        state = next((root[key] for key in _STATE_KEYS if isinstance(root.get(key), dict)), root)
    if not isinstance(state, dict) or not state:
        raise _MalformedError("it holds no state dict")
    for name, entry in state.items():
        if not isinstance(name, str) or not isinstance(entry, _Strided):
            raise _MalformedError(f"entry {shown(str(name))} of the state dict is not a tensor")
    return state


class _Records:
    """The records of one archive, with every size checked against the file before it is used."""

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
        """Return a record. Only uncompressed ones exist, so none is larger than the file."""
        try:
            info = self._archive.getinfo(name)
        except KeyError:
            raise _MalformedError(f"record {name} is missing") from None
        stored = info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
        if not stored or info.flag_bits & 1 or info.file_size > self._file_bytes:
            raise _MalformedError(f"record {name} is compressed, encrypted or larger than the file")
        return self._archive.read(info)

    def tensors(self, state: Mapping[str, _Strided]) -> dict[str, Tensor]:
        """Read all tensors; each storage once, however many share it."""
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
        # Many names may share one record; together they still cannot ask for more than the file has.
        self._budget_bytes -= count * storage.dtype.itemsize
        if count > storage.count or self._budget_bytes < 0:
            raise _MalformedError("its tensors ask for more data than the file has")
        last = entry.offset + sum((n - 1) * step for n, step in zip(entry.shape, entry.stride, strict=True))
        if last >= storage.count:
            raise _MalformedError(f"a tensor reaches beyond storage {storage.key}")
        if len(data) != storage.count * storage.dtype.itemsize:
            raise _MalformedError(f"storage {storage.key} has {len(data)} bytes")
        return (
            torch.frombuffer(data, dtype=storage.dtype)
            .as_strided(entry.shape, entry.stride, entry.offset)
            .clone(memory_format=torch.contiguous_format)
        )


class _Machine:
    """Walks pickle opcodes and builds dicts, lists, tuples, scalars, `_Strided` and `_Inert`."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> object:
        """Return what the opcodes build.

        `CheckpointError`: a name outside `_KNOWN`; `_MalformedError`: an opcode that weights do not need, or
        one used as it should not be; `ValueError`: bytes that are no opcodes (`IndexError` for an empty
        stack).
        """
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return self._stack.pop()
            if opcode.name in _SCALARS:
                self._stack.append(argument)
                continue
            step = _STEPS.get(opcode.name)
            if step is None:
                raise _MalformedError(f"pickle opcode {opcode.name}")
            step(self, argument)
        raise _MalformedError("the pickle has no end")

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _pop_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _tuple(self, size: int) -> None:
        if size > len(self._stack):
            raise _MalformedError("a tuple of more than there is")
        items = tuple(self._stack[-size:])
        del self._stack[-size:]
        self._stack.append(items)

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise _MalformedError("items for what is no list")
        target.extend(items)

    def _update(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise _MalformedError("keys and values for what is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Plain keys only: hashing a tuple nested deeply enough ends the process.
            if not isinstance(key, str | int | float | None):
                raise _MalformedError("a dictionary key that is neither text nor number")
            target[key] = value

    def _name(self, module: str, name: str) -> None:
        qualified = f"{module}.{name}"
        if qualified not in _KNOWN:
            raise CheckpointError(
                f"names {qualified[:200]}, which no weights need; nothing of the file was run",
                hint="do not open it with torch.load unless you trust who made it",
            )
        self._stack.append(_Name(qualified))

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise _MalformedError("a name that is no text")
        self._name(module, name)

    def _memoize(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            raise _MalformedError(f"memo {index} is empty")
        self._stack.append(self._memo[index])

    def _construct(self) -> None:
        """Do what stands for a call: look the name up among the known ones and build its data."""
        arguments, callee = self._stack.pop(), self._stack.pop()
        if not isinstance(callee, _Name) or not isinstance(arguments, tuple):
            raise _MalformedError("a call of what is no name")
        if callee.qualified in _INERT:
            self._stack.append(_Inert())
        elif callee.qualified == _ORDERED_DICT and not arguments:
            self._stack.append({})
        elif callee.qualified == _REBUILD_TENSOR:
            self._stack.append(_strided(arguments))
        elif callee.qualified == _REBUILD_PARAMETER and arguments and isinstance(arguments[0], _Strided):
            self._stack.append(arguments[0])
        else:
            raise _MalformedError(f"a call of {callee.qualified} with unusual arguments")

    def _drop_state(self) -> None:
        """Throw away the attributes given to an object: none of them is a weight."""
        self._stack.pop()
        if not isinstance(self._stack[-1], _Inert | dict):
            raise _MalformedError("attributes for what is no object")

    def _storage(self) -> None:
        match self._stack.pop():
            case ("storage", _Name(name), str(key), str(), int(count)) if name in _STORAGES and count >= 0:
                self._stack.append(_Storage(key, _STORAGES[name], count))
            case _:
                raise _MalformedError("a persistent id that is no storage")


def _strided(arguments: tuple[Any, ...]) -> _Strided:
    """Check the arguments of `_rebuild_tensor_v2`."""
    match arguments[:4]:
        case (_Storage() as storage, int(offset), tuple(shape), tuple(stride)):
            numbers = (offset, *shape, *stride)
            numeric = all(type(number) is int and number >= 0 for number in numbers)
            # No weight is empty or of many dimensions; torch is not asked what it makes of one.
            if numeric and len(shape) == len(stride) <= _MAX_DIMENSIONS and 0 not in shape:
                return _Strided(storage, offset, shape, stride)
    raise _MalformedError("a tensor with an impossible shape")


#: Opcodes whose decoded argument is the value.
_SCALARS = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
    | {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"}
    | {"BINBYTES", "SHORT_BINBYTES"}
)
#: What each other opcode does. An opcode that is not here is refused.
_STEPS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "NONE": lambda machine, _: machine._push(None),
    "NEWTRUE": lambda machine, _: machine._push(True),
    "NEWFALSE": lambda machine, _: machine._push(False),
    "EMPTY_DICT": lambda machine, _: machine._push({}),
    "EMPTY_LIST": lambda machine, _: machine._push([]),
    "EMPTY_TUPLE": lambda machine, _: machine._push(()),
    "MARK": lambda machine, _: machine._mark(),
    "TUPLE": lambda machine, _: machine._push(tuple(machine._pop_mark())),
    "TUPLE1": lambda machine, _: machine._tuple(1),
    "TUPLE2": lambda machine, _: machine._tuple(2),
    "TUPLE3": lambda machine, _: machine._tuple(3),
    "APPEND": lambda machine, _: machine._extend([machine._stack.pop()]),
    "APPENDS": lambda machine, _: machine._extend(machine._pop_mark()),
    "SETITEM": lambda machine, _: machine._update([machine._stack.pop(-2), machine._stack.pop()]),
    "SETITEMS": lambda machine, _: machine._update(machine._pop_mark()),
    "PUT": lambda machine, index: machine._memoize(index),
    "BINPUT": lambda machine, index: machine._memoize(index),
    "LONG_BINPUT": lambda machine, index: machine._memoize(index),
    "MEMOIZE": lambda machine, _: machine._memoize(len(machine._memo)),
    "GET": lambda machine, index: machine._recall(index),
    "BINGET": lambda machine, index: machine._recall(index),
    "LONG_BINGET": lambda machine, index: machine._recall(index),
    "GLOBAL": lambda machine, names: machine._name(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine._stack_global(),
    "REDUCE": lambda machine, _: machine._construct(),
    "NEWOBJ": lambda machine, _: machine._construct(),
    "BUILD": lambda machine, _: machine._drop_state(),
    "BINPERSID": lambda machine, _: machine._storage(),
}
