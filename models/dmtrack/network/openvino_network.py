"""`OpenVinoNetwork`: a network's step on a CPU, by OpenVINO.

OpenVINO multiplies with what the processor has (AMX, AVX-512, AVX2, NEON) and its threads sleep while they
wait, so that a busy machine costs a share of the speed and not nearly all of it. A network is converted once
for one stream and once for two, which takes some seconds, and kept in the user's data folder.

Speed: `benchmarks/network_step.py`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import shutil
import tempfile
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dmtrack.atomic import write_atomically
from dmtrack.config import Precision
from dmtrack.errors import ConfigError, OutputError, translated
from dmtrack.network.head import HeadOutput
from dmtrack.network.thread_count import ThreadCount
from dmtrack.network.torch_network import StepMaps, TorchNetwork, noise_crops

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

#: Raised when converted networks of today would not do tomorrow.
_FORMAT: Final = 1
#: What OpenVINO calls the numbers it multiplies in; int8 weights are multiplied in float32's place.
_HINTS: Final = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
#: Largest difference of a map, in (0, 1), that another order of sums and these numbers explain.
_SAME: Final = {"fp32": 1e-3, "bf16": 0.25, "fp16": 0.1, "int8": 0.5}
#: Smaller matrices than this stay as they are in int8.
_BIG: Final = 64
#: Larger programs are compiled anew: a disk full of those of large networks is not worth a second.
_MOST_BYTES: Final = 64 << 20
_ROOM: Final = "free some space for temporary files, or say --backend torch"
_FILE, _BIN = "step.xml", "step.bin"

_log = logging.getLogger(__name__)


class _ProgramShape(NamedTuple):
    """What a program is compiled for; None is any number."""

    streams: int
    targets: int | None
    tokens: int | None


#: Compiled programs of this process, the latest last; None where one gave something else than PyTorch.
_programs: OrderedDict[object, Any] = OrderedDict()
_MOST_PROGRAMS: Final = 8


class OpenVinoNetwork:
    """See `dmtrack.network.inference.Network`. Templates, which are few, are embedded by PyTorch.

    One target has a program for each length of its memory. Several share one for any number: a program a
    number would be compiled again and again while targets come and go. The first step of each program is
    compared with PyTorch's, which goes on alone where they differ.

    Args:
        exact: The network, on the CPU in float32.
        folder: Where it is kept converted and compiled, a folder for these weights alone.
        precision: Numbers of the products.
    """

    def __init__(self, exact: TorchNetwork, folder: Path, precision: Precision = "fp32") -> None:
        self.exact = exact
        self.config, self.streams, self.device = exact.config, exact.streams, exact.device
        self._folder, self._precision = folder, precision
        self._threads = ThreadCount(torch.get_num_threads())
        self._lock = threading.Lock()
        self._requests: dict[tuple[_ProgramShape, int], Any] = {}
        self._unkept: dict[int, tuple[bytes, bytes]] = {}

    def prepare(self, streams: int) -> None:
        """Convert the network for so many streams unless that was done, which takes some seconds."""
        if not self._kept(streams).is_dir():
            self._model(streams)

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """See `Network`."""
        return self.exact.embed_template(crops, boxes)

    @torch.inference_mode()
    def step(self, memory: Tensor, crops: Tensor) -> HeadOutput:
        """See `Network`.

        Raises:
            ValueError: There are two streams, and the network has no adapters.
        """
        streams, targets, tokens = memory.shape[:3]
        if streams > self.streams:
            raise ValueError("two streams need a network with adapters")
        shape = _ProgramShape(streams, 1, tokens) if targets == 1 else _ProgramShape(streams, None, None)
        with self._lock:  # a request runs one step at a time
            key = shape, self._threads.count
            if key not in self._requests:
                program = self._program(shape, memory, crops)
                self._requests[key] = program and program.create_infer_request()
            request = self._requests[key]
            if request is None:
                return self.exact.step(memory, crops)
            began, before = time.perf_counter(), _pushes()
            found = _maps(request, memory, crops)
            self._threads.note(time.perf_counter() - began, _pushes() - before)
            return found

    def _program(self, shape: _ProgramShape, memory: Tensor, crops: Tensor) -> Any:  # noqa: ANN401 (without types)
        """Return the program for a shape, compiled and compared now if this process has not yet done so."""
        key = (self._folder, self._precision, self._threads.count, shape)
        if key not in _programs:
            program = self._compiled(shape)
            found = _maps(program.create_infer_request(), memory, crops)
            apart = _difference(found, self.exact.step(memory, crops))
            if not apart < _SAME[self._precision]:
                _log.warning("OpenVINO gives something else than PyTorch (%.1e), which goes on alone", apart)
                program = None
            _programs[key] = program
        _programs.move_to_end(key)
        if len(_programs) > _MOST_PROGRAMS:
            _programs.popitem(last=False)
        return _programs[key]

    def _compiled(self, shape: _ProgramShape) -> Any:  # noqa: ANN401
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[self._precision],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": self._threads.count,
            "ENABLE_CPU_PINNING": False,  # whoever else runs here may be on that core
        }
        parts = ["any" if size is None else str(size) for size in shape]
        path = self._folder / f"{'-'.join(parts)}-{self._precision}.program"
        with contextlib.suppress(OSError, RuntimeError):
            return openvino_core().import_model(_checked(path.read_bytes()), "CPU", settings)
        program = openvino_core().compile_model(self._reshaped(shape), "CPU", settings)
        written = program.export_model().getvalue()
        if len(written) <= _MOST_BYTES:
            with contextlib.suppress(OutputError):  # without it the next run takes longer
                write_atomically(path, hashlib.sha256(written).digest() + written)
        return program

    def _reshaped(self, shape: _ProgramShape) -> Any:  # noqa: ANN401
        model = self._model(shape.streams)
        if shape.targets is not None:
            memory, crops = model.inputs
            size = self.config.search_size
            model.reshape(
                {memory: [*shape, self.config.width], crops: [shape.targets, size, size, 3 * shape.streams]}
            )
        if self._precision == "int8":
            _store_in_8_bits(model)
        return model

    def _kept(self, streams: int) -> Path:
        return self._folder / f"streams-{streams}"

    def _model(self, streams: int) -> Any:  # noqa: ANN401
        if streams in self._unkept:
            return openvino_core().read_model(*self._unkept[streams])
        kept = self._kept(streams)
        if kept.is_dir():
            with contextlib.suppress(RuntimeError):  # damaged: it is made anew
                return openvino_core().read_model(kept / _FILE)
            shutil.rmtree(kept, ignore_errors=True)
        _log.warning("first run with these weights: preparing the network, some seconds")
        # Read back also the first time: what was written gives other bits than what was converted.
        with tempfile.TemporaryDirectory(prefix="dmtrack-") as scratch:
            made = Path(scratch) / "network"
            model = converted(self.exact, streams)
            with translated(OutputError, "the network cannot be written here", where=scratch, hint=_ROOM):
                openvino_module().save_model(model, made / _FILE, compress_to_fp16=False)
            _keep(made, kept)
            files = (made / _FILE).read_bytes(), (made / _BIN).read_bytes()
            if not kept.is_dir():  # the next shape of this run must not wait for it again
                self._unkept[streams] = files
            return openvino_core().read_model(*files)


def _maps(request: Any, memory: Tensor, crops: Tensor) -> HeadOutput:  # noqa: ANN401
    request.infer([memory.contiguous().numpy(), crops.contiguous().numpy()], share_inputs=True)
    return HeadOutput(*(torch.from_numpy(output.data.copy()) for output in request.output_tensors))


def _pushes() -> int:
    """Return how often threads of this process were pushed off a core; 0 where nobody counts."""
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _checked(data: bytes) -> bytes:
    """Return what follows a digest of itself."""
    digest, rest = data[:32], data[32:]
    if hashlib.sha256(rest).digest() != digest:
        raise OSError("damaged")
    return rest


def _difference(found: HeadOutput, expected: HeadOutput) -> float:
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if a is not None and b is not None]
    return max(float((a - b).abs().max()) for a, b in pairs)


def kept_name(sha256: Mapping[str, str]) -> str:
    """Return what converted networks are called whose weights have these digests, on this processor."""
    device = openvino_core().get_property("CPU", "FULL_DEVICE_NAME"), sorted(computed_precisions())
    said = f"{_FORMAT} {openvino_module().__version__} {device} {sorted(sha256.values())}"
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def openvino_module() -> Any:  # noqa: ANN401
    """Import OpenVINO.

    Raises:
        ConfigError: It is not installed, or does not run here.
    """
    try:
        import openvino
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"OpenVINO cannot be loaded ({error})", hint="pip install openvino, or --backend torch"
        ) from None
    return openvino


@functools.cache
def openvino_core() -> Any:  # noqa: ANN401
    """Return what reads and compiles networks.

    Raises:
        ConfigError: As `openvino_module`.
    """
    return openvino_module().Core()


def computed_precisions() -> frozenset[str]:
    """Return the precisions that OpenVINO computes in on this processor.

    Raises:
        ConfigError: As `openvino_module`.
    """
    said = openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return frozenset({"fp32"} | {word.lower() for word in said if word in ("BF16", "FP16", "INT8")})


def converted(network: TorchNetwork, streams: int) -> Any:  # noqa: ANN401
    """Return the step as an OpenVINO model for any number of targets and templates.

    Args:
        network: On the CPU, in float32.
        streams: 1 or 2.

    Raises:
        ConfigError: It cannot be converted.
    """
    openvino_module()
    from openvino._offline_transformations import apply_moc_transformations

    # Not `openvino.convert_model`: it tells its makers that it was called.
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    config = network.config
    memory = torch.zeros(streams, 2, 2 * config.template_grid**2, config.width)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
                StepMaps(network), (memory, noise_crops(config.search_size, streams, 2)), check_trace=False
            )
            front = FrontEndManager().load_by_framework("pytorch")
            decoder = TorchScriptPythonDecoder(program)  # has to live until all is read
            model = front.convert(front.load(decoder))
            first, second = model.inputs
            size = config.search_size
            model.reshape({first: [streams, -1, -1, config.width], second: [-1, size, size, 3 * streams]})
            # Constants are worked out now, so that the next run has a third of the graph to read.
            apply_moc_transformations(model, cf=True, smart_reshape=False)
    except RuntimeError as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise ConfigError(f"OpenVINO cannot convert this network: {reason}", hint="--backend torch") from None
    return model


def _keep(made: Path, folder: Path) -> None:
    """Copy a folder to where the next run finds it, at once; where that fails, the next run takes longer."""
    with contextlib.suppress(OSError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as scratch:
            shutil.copytree(made, Path(scratch) / "network").rename(folder)


def _store_in_8_bits(model: Any) -> None:  # noqa: ANN401
    """Store the weights of the big products in 8 bits, one scale an output, in place."""
    from openvino import opset13

    for node in model.get_ops():
        if node.get_type_name() != "MatMul":
            continue
        weight = node.input_value(1).get_node()
        if weight.get_type_name() != "Constant" or len(weight.shape) != 2 or min(weight.shape) < _BIG:
            continue
        values = weight.data
        inner = 1 if node.get_attributes()["transpose_b"] else 0
        scale = np.maximum(np.abs(values).max(axis=inner, keepdims=True) / 127, np.float32(1e-12))
        stored = opset13.constant(np.round(values / scale).astype(np.int8))
        restored = opset13.multiply(
            opset13.convert(stored, "f32"), opset13.constant(scale.astype(np.float32))
        )
        node.input(1).replace_source_output(restored.output(0))
