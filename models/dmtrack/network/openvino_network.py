"""`OpenVinoNetwork`: a network's step on a CPU, by OpenVINO.

OpenVINO multiplies with the best instructions of the processor (AMX, AVX-512, AVX2, NEON), and its threads
sleep while they wait, so a busy machine costs only a share of the speed. A network is converted once for one
stream and once for two, which takes some seconds, and kept in the user's data folder.

Speed: `benchmarks/network_step.py`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from dmtrack.atomic import write_atomically
from dmtrack.config import ModelConfig, Precision
from dmtrack.errors import ConfigError, OutputError, translated
from dmtrack.network.inference import Device
from dmtrack.network.thread_count import ThreadCount, usual_threads

if TYPE_CHECKING:
    from dmtrack.network.model import DMTrack
    from dmtrack.network.torch_network import TorchNetwork

#: Raised when converted networks of older versions can no longer be used.
_FORMAT: Final = 3
#: OpenVINO's names of the precisions; int8 weights are multiplied in float32.
_HINTS: Final = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
#: Largest difference from PyTorch, of a map in (0, 1) or of tokens as a share of the largest, that another
#: order of sums and the precision explain.
_TOLERANCE: Final = {"fp32": 1e-3, "bf16": 0.25, "fp16": 0.1, "int8": 0.5}
#: Matrices smaller than this stay in float in int8.
_SMALLEST_SIDE: Final = 64
#: Larger programs are not kept but compiled again: the second saved is not worth the disk space.
_MOST_BYTES: Final = 64 << 20
_ROOM: Final = "free some space for temporary files, or say --backend torch"
_FILE, _BIN = "network.xml", "network.bin"

Part = Literal["step", "template"]
"""The step: maps from memory and crops; the template: tokens from template crops and boxes."""

_Array = npt.NDArray[Any]
_Arrays = tuple[_Array, ...]
_log = logging.getLogger(__name__)


class _ProgramShape(NamedTuple):
    """What a program is compiled for: one target, and `tokens` tokens in its memory."""

    part: Part
    streams: int
    tokens: int


class _ProgramKey(NamedTuple):
    """A program of this process; `threads` and `at_once`, the targets at once, change no bit of it."""

    folder: Path
    precision: Precision
    shape: _ProgramShape
    threads: int
    at_once: int

    def computes_as(self, other: _ProgramKey) -> bool:
        """Return whether both compute the same bits."""
        return self[:3] == other[:3]


#: Compiled programs of this process, newest last; None where one differs from PyTorch.
_programs: OrderedDict[_ProgramKey, Any] = OrderedDict()
_MOST_PROGRAMS: Final = 8


class HostMaps(NamedTuple):
    """`HeadOutput` in NumPy."""

    score_map: _Array
    size_map: _Array
    offset_map: _Array
    quality_map: _Array | None = None

    def boxes_cxcywh_norm(self) -> _Array:
        """See `HeadOutput`."""
        side = self.score_map.shape[-1]
        cells = np.arange(side, dtype=np.float32)
        corners = np.stack(np.broadcast_arrays(cells, cells[:, None]))
        return np.concat(((corners + self.offset_map) / side, self.size_map), axis=1)

    def boxes_at(self, index: _Array) -> _Array:
        """See `HeadOutput`."""
        boxes = self.boxes_cxcywh_norm()
        return boxes.reshape(*boxes.shape[:2], -1)[np.arange(len(index)), :, index]

    def quality_at(self, index: _Array) -> _Array:
        """See `HeadOutput`."""
        values = self.score_map if self.quality_map is None else self.quality_map
        return np.take_along_axis(values.reshape(len(index), -1), index[:, None], 1)[:, 0]


class Trained(Protocol):
    """A trained network, which may not have been read yet."""

    @property
    def config(self) -> ModelConfig:
        """Its shapes."""

    @property
    def streams(self) -> int:
        """Most streams that it takes: 1 or 2."""

    @property
    def model(self) -> DMTrack:
        """The network, on the CPU in float32."""


class OpenVinoNetwork:
    """See `dmtrack.network.inference.Network`.

    There is a program for each length of a target's memory. Several targets are computed at once, each on
    some of the threads: as one batch they take longer, because its threads wait for each other. A new program
    is compared with PyTorch; if they differ, PyTorch computes instead. Programs that the next frames
    need, for a longer memory or other threads, are read in the background. Templates, which are few, are
    embedded in float32 on one thread.

    The trained model, on the CPU in float32, is not changed; it is read, and run by PyTorch, only to convert
    or compare. Converted and compiled networks are kept in `folder`, which is for these weights alone.
    """

    def __init__(
        self, trained: Trained, folder: Path, precision: Precision = "fp32", threads: int | None = None
    ) -> None:
        self._trained = trained
        self.config, self.device = trained.config, Device("cpu")
        self.streams = trained.streams
        self._folder, self._precision = folder, precision
        self._most_threads = threads or usual_threads()
        self._threads, self._waits = ThreadCount(self._most_threads), _Waits()
        self._lock = threading.Lock()
        self._requests: dict[_ProgramKey, list[Any]] = {}
        self._background = ThreadPoolExecutor(1, "openvino")
        self._pending: dict[_ProgramKey, Future[Any]] = {}
        self._was_told = False  # whether the user was told that the network is being prepared
        self._unstored: dict[tuple[Part, int], tuple[bytes, bytes]] = {}

    @functools.cached_property
    def exact(self) -> TorchNetwork:
        """The network in PyTorch."""
        import torch

        from dmtrack.network.torch_network import TorchNetwork

        torch.set_num_threads(self._most_threads)
        return TorchNetwork(self._trained.model)

    def prepare(self, streams: int) -> None:
        """Convert the network for `streams` streams if that has not been done; takes some seconds."""
        parts: tuple[Part, ...] = "template", "step"
        for part in parts:
            if not self._kept(part, streams).is_dir():
                self._model(part, streams)

    def embed_template(self, crops: _Array, boxes: _Array | None = None) -> _Array:
        """See `Network`."""
        if not self.config.template_prompt:
            boxes = None
        elif boxes is None:
            raise ValueError("this network needs the box in each template")
        inputs = (crops,) if boxes is None else (crops, boxes.astype(np.float32))
        shape = _ProgramShape("template", crops.shape[3] // 3, 0)
        each = [tuple(one[index : index + 1] for one in inputs) for index in range(len(crops))]
        with self._lock:
            key = _ProgramKey(self._folder, "fp32", shape, threads=1, at_once=1)
            found = self._computed(self._usable(key, each[0]), each)
            return np.concat([tokens for (tokens,) in found], axis=1)

    def step(self, memory: _Array, crops: _Array, aux_share: _Array | None = None) -> HostMaps:
        """See `Network`."""
        streams, targets, tokens = memory.shape[:3]
        if streams > self.streams:
            raise ValueError("two streams need a network with adapters")
        shape = _ProgramShape("step", streams, tokens)
        shares: _Arrays = ()
        if _takes_share(self.config, streams):
            usual = np.full(targets, self.config.aux_share, np.float32)
            shares = (usual if aux_share is None else aux_share.astype(np.float32),)
        each = [
            (memory[:, one : one + 1], *(given[one : one + 1] for given in (crops, *shares)))
            for one in range(targets)
        ]
        with self._lock:  # a request runs one step at a time
            threads = self._threads.count
            wanted = _ProgramKey(self._folder, self._precision, shape, threads, _at_once(targets, threads))
            key = self._usable(wanted, each[0])
            began = time.perf_counter()
            found = self._computed(key, each)
            seconds, waited = time.perf_counter() - began, self._waits.share()
            if key == wanted and all(one.done() for one in self._pending.values()):
                self._threads.note(seconds / targets, waited)
            return HostMaps(*map(np.concat, zip(*found, strict=True)))

    def _computed(self, key: _ProgramKey, each: Sequence[_Arrays]) -> list[_Arrays]:
        requests = self._requests[key]
        if not requests:
            return [self._computed_exactly(key.shape.part, inputs) for inputs in each]
        return _outputs(requests, each)

    def _computed_exactly(self, part: Part, inputs: _Arrays) -> _Arrays:
        import torch

        with torch.inference_mode():
            found = _module(self.exact, part)(*map(torch.from_numpy, inputs))
            return tuple(one.numpy() for one in found)

    def _usable(self, key: _ProgramKey, inputs: _Arrays) -> _ProgramKey:
        """Return `key`, or while its program is read in the background one with other threads."""
        if key in self._requests:
            return key
        others = [one for one in (*self._requests, *self._pending) if one.computes_as(key)]
        if others and others != [key] and not self._read_ahead(key).done():
            key = next(one for one in others if one != key)
        if key not in self._requests:
            program = self._program(key, inputs)
            self._requests[key] = [
                program.create_infer_request() for _ in range(key.at_once if program else 0)
            ]
            if key.shape.part == "step":  # for one template more, if an earlier run kept that program
                longer = key.shape._replace(tokens=key.shape.tokens + self.config.template_grid**2)
                if self._file(key._replace(shape=longer)).is_file():
                    self._read_ahead(key._replace(shape=longer))
        return key

    def _read_ahead(self, key: _ProgramKey) -> Future[Any]:
        if key not in self._pending:
            self._pending[key] = self._background.submit(self._compiled, key)
        return self._pending[key]

    def _program(self, key: _ProgramKey, inputs: _Arrays) -> Any:  # noqa: ANN401 (without types)
        """Return a program, compiled now and compared with PyTorch if need be; None if they differ."""
        if key not in _programs:
            coming = self._pending.pop(key, None)
            program, is_checked = coming.result() if coming else self._compiled(key)
            if not is_checked and not any(one.computes_as(key) for one in _programs):
                (found,) = _outputs([program.create_infer_request()], [inputs])
                difference = _difference(found, self._computed_exactly(key.shape.part, inputs))
                if difference < _TOLERANCE[key.precision]:
                    _keep_program(program, self._file(key))
                else:
                    _log.warning(
                        "OpenVINO's results differ from PyTorch's (%.1e): going on with PyTorch alone",
                        difference,
                    )
                    program = None
            _programs[key] = program
        _programs.move_to_end(key)
        if len(_programs) > _MOST_PROGRAMS:
            _programs.popitem(last=False)
        return _programs[key]

    def _compiled(self, key: _ProgramKey) -> tuple[Any, bool]:
        """Return a program, and whether it has already been compared with PyTorch."""
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[key.precision],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": key.at_once,
            "INFERENCE_NUM_THREADS": key.threads,
            "ENABLE_CPU_PINNING": False,  # other processes may use those cores
        }
        with contextlib.suppress(OSError, RuntimeError):
            kept = _checked(self._file(key).read_bytes())
            return openvino_core().import_model(kept, "CPU", settings), True
        with translated(ConfigError, "OpenVINO cannot compile this network here", hint="--backend torch"):
            return openvino_core().compile_model(self._reshaped(key), "CPU", settings), False

    def _file(self, key: _ProgramKey) -> Path:
        return self._folder / f"{'-'.join(map(str, key.shape))}-{key.precision}.program"

    def _reshaped(self, key: _ProgramKey) -> Any:  # noqa: ANN401
        shape = key.shape
        model = self._model(shape.part, shape.streams)
        model.reshape(dict(zip(model.inputs, _input_shapes(self.config, shape), strict=True)))
        if key.precision == "int8":
            _store_in_8_bits(model)
        return model

    def _kept(self, part: Part, streams: int) -> Path:
        return self._folder / f"{part}-{streams}"

    def _model(self, part: Part, streams: int) -> Any:  # noqa: ANN401
        if (part, streams) in self._unstored:
            return openvino_core().read_model(*self._unstored[part, streams])
        kept = self._kept(part, streams)
        if kept.is_dir():
            with contextlib.suppress(RuntimeError):  # damaged: it is converted again
                return openvino_core().read_model(kept / _FILE)
            shutil.rmtree(kept, ignore_errors=True)
        if not self._was_told:
            self._was_told = True
            _log.warning("first run with these weights: preparing the network, which takes some seconds")
        # Also the first model is read from its files: they give slightly other bits than the conversion.
        with tempfile.TemporaryDirectory(prefix="dmtrack-") as scratch:
            made = Path(scratch) / "network"
            model = converted(self.exact, part, streams)
            with translated(OutputError, "the network cannot be written here", where=scratch, hint=_ROOM):
                openvino_module().save_model(model, made / _FILE, compress_to_fp16=False)
            _keep(made, kept)
            files = (made / _FILE).read_bytes(), (made / _BIN).read_bytes()
            if not kept.is_dir():  # for the next shape of this run
                if not self._unstored:
                    _log.warning("%s: cannot be written: every run will prepare the network", self._folder)
                self._unstored[part, streams] = files
            return openvino_core().read_model(*files)


def _module(network: TorchNetwork, part: Part) -> Any:  # noqa: ANN401
    from dmtrack.network.torch_network import StepMaps, TemplateTokens

    return StepMaps(network) if part == "step" else TemplateTokens(network)


def _at_once(targets: int, threads: int) -> int:
    """Return the number of targets to compute at once: a power of two, so that few programs are needed."""
    return min(threads, 1 << (targets - 1).bit_length())


def _takes_share(config: ModelConfig, streams: int) -> bool:
    return streams > 1 and config.stream_merge == "mean"


def _input_shapes(config: ModelConfig, shape: _ProgramShape, targets: int = 1) -> list[list[int]]:
    """Return the shape of each input; -1 is any number."""
    side = config.search_size if shape.part == "step" else config.template_size
    crops = [targets, side, side, 3 * shape.streams]
    if shape.part == "step":
        shares = [[targets]] if _takes_share(config, shape.streams) else []
        return [[shape.streams, targets, shape.tokens, config.width], crops, *shares]
    return [crops, [targets, 4]] if config.template_prompt else [crops]


def _outputs(requests: Sequence[Any], each: Sequence[_Arrays]) -> list[_Arrays]:
    """Return the outputs for the inputs of each target, computing `len(requests)` targets at once."""
    found: list[_Arrays] = []
    running: deque[tuple[Any, _Arrays]] = deque()

    def take() -> None:
        request, _ = running.popleft()
        request.wait()
        found.append(tuple(output.data.copy() for output in request.output_tensors))

    for request, given in zip(cycle(requests), each, strict=False):
        if len(running) == len(requests):
            take()
        inputs = tuple(map(np.ascontiguousarray, given))  # read while the request runs
        request.start_async(list(inputs), share_inputs=True)
        running.append((request, inputs))
    while running:
        take()
    return found


def _keep_program(program: Any, path: Path) -> None:  # noqa: ANN401
    with contextlib.suppress(OutputError, RuntimeError):  # not all processors can: the next run is slower
        written = program.export_model().getvalue()
        if len(written) <= _MOST_BYTES:
            write_atomically(path, hashlib.sha256(written).digest() + written)


class _Waits:
    """How long the threads of this process wait for a core, from Linux's scheduler statistics."""

    def __init__(self) -> None:
        self._last = time.perf_counter(), self._waited_s()

    def share(self) -> float:
        """Return seconds waited a second since the last call, over all threads; 0 on other systems."""
        (then, before_s), self._last = self._last, (time.perf_counter(), self._waited_s())
        now, waited_s = self._last
        return max(0.0, waited_s - before_s) / max(now - then, 1e-9)

    @staticmethod
    def _waited_s() -> float:
        total_ns = 0
        with contextlib.suppress(OSError), os.scandir("/proc/self/task") as threads:  # Linux only
            for thread in threads:
                with contextlib.suppress(OSError, IndexError, ValueError):  # the thread has just ended
                    file = os.open(f"{thread.path}/schedstat", os.O_RDONLY)
                    try:
                        total_ns += int(os.read(file, 64).split()[1])
                    finally:
                        os.close(file)
        return total_ns / 1e9


def _checked(data: bytes) -> bytes:
    """Return the data after its leading sha256 digest; `OSError` if that does not match."""
    digest, rest = data[:32], data[32:]
    if hashlib.sha256(rest).digest() != digest:
        raise OSError("damaged")
    return rest


def _difference(found: _Arrays, expected: _Arrays) -> float:
    pairs = list(zip(found, expected, strict=True))
    return max(float(np.abs(a - b).max()) / max(1.0, float(np.abs(b).max())) for a, b in pairs)


def kept_name(sha256: Mapping[str, str]) -> str:
    """Return the folder name for networks converted from weights with these digests, on this processor."""
    device = openvino_core().get_property("CPU", "FULL_DEVICE_NAME"), sorted(computed_precisions())
    said = f"{_FORMAT} {openvino_module().__version__} {device} {sorted(sha256.values())}"
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def openvino_module() -> Any:  # noqa: ANN401
    """Import OpenVINO; `ConfigError` if it is not installed or does not run here."""
    # Without this, importing starts a process that reports to its makers; OpenVINO runs without that part.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # a name that is not there
    try:
        import openvino
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"OpenVINO cannot be loaded ({error})", hint="pip install openvino, or --backend torch"
        ) from None
    return openvino


@functools.cache
def openvino_core() -> Any:  # noqa: ANN401
    """Return OpenVINO's core, which reads and compiles networks; errors as `openvino_module`."""
    return openvino_module().Core()


def computed_precisions() -> frozenset[str]:
    """Return the precisions that OpenVINO computes in on this processor; errors as `openvino_module`."""
    said = openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return frozenset({"fp32"} | {word.lower() for word in said if word in ("BF16", "FP16", "INT8")})


def converted(network: TorchNetwork, part: Part, streams: int) -> Any:  # noqa: ANN401
    """Return a part of the network as an OpenVINO model for any number of targets and templates.

    The network is on the CPU, in float32; `streams` is 1 or 2. `ConfigError`: it cannot be converted.
    """
    openvino_module()
    import torch
    from openvino._offline_transformations import apply_moc_transformations

    # Not `openvino.convert_model`: it reports each call to its makers.
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    from dmtrack.network.torch_network import noise_crops

    config = network.config
    shapes = _input_shapes(config, _ProgramShape(part, streams, 2 * config.template_grid**2), targets=2)
    inputs = [
        noise_crops(shape[1], streams, 2) if shape[-1] == 3 * streams else torch.full(shape, 0.5)
        for shape in shapes
    ]
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
                _module(network, part), tuple(inputs), check_trace=False
            )
            front = FrontEndManager().load_by_framework("pytorch")
            decoder = TorchScriptPythonDecoder(program)  # must live until the conversion ends
            model = front.convert(front.load(decoder))
            free = _input_shapes(config, _ProgramShape(part, streams, -1), targets=-1)
            model.reshape(dict(zip(model.inputs, free, strict=True)))
            # Fold constants now: the next run then has a third of the graph to read.
            apply_moc_transformations(model, cf=True, smart_reshape=False)
    except RuntimeError as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise ConfigError(f"OpenVINO cannot convert this network: {reason}", hint="--backend torch") from None
    return model


def _keep(made: Path, folder: Path) -> None:
    """Move a copy of a folder to where the next run finds it; if that fails, the next run takes longer."""
    with contextlib.suppress(OSError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as scratch:
            shutil.copytree(made, Path(scratch) / "network").rename(folder)


def _store_in_8_bits(model: Any) -> None:  # noqa: ANN401
    """Store the weights of the large products in 8 bits with one scale an output, in place."""
    from openvino import opset13

    for node in model.get_ops():
        if node.get_type_name() != "MatMul":
            continue
        weight = node.input_value(1).get_node()
        if (
            weight.get_type_name() != "Constant"
            or len(weight.shape) != 2
            or min(weight.shape) < _SMALLEST_SIDE
        ):
            continue
        values = weight.data
        inner = 1 if node.get_attributes()["transpose_b"] else 0
        scale = np.maximum(np.abs(values).max(axis=inner, keepdims=True) / 127, np.float32(1e-12))
        stored = opset13.constant(np.round(values / scale).astype(np.int8))
        restored = opset13.multiply(
            opset13.convert(stored, "f32"), opset13.constant(scale.astype(np.float32))
        )
        node.input(1).replace_source_output(restored.output(0))
