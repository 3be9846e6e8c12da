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
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from dmtrack.config import Precision
from dmtrack.errors import ConfigError
from dmtrack.network.head import HeadOutput
from dmtrack.network.torch_network import StepMaps, TorchNetwork, noise_crops

#: Raised when converted networks of today would not do tomorrow.
_FORMAT: Final = 1
#: Largest difference of a map that another order of float32 sums explains.
_SAME: Final = 1e-3
#: What OpenVINO calls the numbers it multiplies in; int8 weights are multiplied in float32's place.
_HINTS: Final = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
#: Smaller matrices than this stay as they are in int8.
_BIG: Final = 64
#: Compiled shapes that are kept.
_MOST_SHAPES: Final = 16
_FILE, _BIN = "step.xml", "step.bin"

_log = logging.getLogger(__name__)
_Shape = tuple[int, int | None, int | None]


class OpenVinoNetwork:
    """See `dmtrack.network.inference.Network`. Templates, which are few, are embedded by PyTorch.

    One target has a program for each length of its memory. Several share one for any number: a program a
    number would be compiled again and again while targets come and go.

    Args:
        exact: The network, on the CPU in float32.
        precision: Numbers of the products.
        folder: Where converted networks are kept; None converts anew.
        name: What the files of these weights are called there.
    """

    def __init__(
        self, exact: TorchNetwork, precision: Precision = "fp32", folder: Path | None = None, name: str = ""
    ) -> None:
        self.exact = exact
        self.config, self.streams, self.device = exact.config, exact.streams, exact.device
        self._precision, self._folder, self._name = precision, folder, name
        self._threads = torch.get_num_threads()
        self._lock = threading.Lock()
        self._compiled = functools.lru_cache(_MOST_SHAPES)(self._compile)

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """See `Network`."""
        return self.exact.embed_template(crops, boxes)

    def step(self, memory: Tensor, crops: Tensor) -> HeadOutput:
        """See `Network`.

        Raises:
            ValueError: There are two streams, and the network has no adapters.
        """
        streams, targets, tokens = memory.shape[:3]
        if streams > self.streams:
            raise ValueError("two streams need a network with adapters")
        with self._lock:  # a request runs one step at a time
            request = self._compiled((streams, 1, tokens) if targets == 1 else (streams, None, None))
            request.infer([memory.contiguous().numpy(), crops.contiguous().numpy()], share_inputs=True)
            found = [output.data.copy() for output in request.output_tensors]
        return HeadOutput(*map(torch.from_numpy, found))

    def _compile(self, shape: _Shape) -> Any:  # noqa: ANN401 (OpenVINO's are not typed)
        streams, targets, tokens = shape
        model = self._model(streams)
        if targets is not None:
            (memory, crops) = model.inputs
            model.reshape(
                {
                    memory: [streams, targets, tokens, self.config.width],
                    crops: [targets, *list(crops.partial_shape)[1:]],
                }
            )
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[self._precision],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": self._threads,
            # Whoever else runs here may be on that core.
            "ENABLE_CPU_PINNING": False,
        }
        if self._precision == "int8":
            _store_in_8_bits(model)
        return openvino_core().compile_model(model, "CPU", settings).create_infer_request()

    def _model(self, streams: int) -> Any:  # noqa: ANN401
        kept = None if self._folder is None else self._folder / f"{self._name}-{streams}"
        if kept is not None and kept.is_dir():
            with contextlib.suppress(RuntimeError):  # damaged: it is made anew
                return openvino_core().read_model(kept / _FILE)
            shutil.rmtree(kept, ignore_errors=True)
        _log.info("converting the network for OpenVINO, which takes some seconds and is kept: %s", kept)
        # Read back also the first time: what was written gives other bits than what was converted.
        with tempfile.TemporaryDirectory(prefix="dmtrack-") as scratch:
            made = Path(scratch) / "network"
            openvino_module().save_model(converted(self.exact, streams), made / _FILE, compress_to_fp16=False)
            if kept is not None:
                _keep(made, kept)
            return openvino_core().read_model((made / _FILE).read_bytes(), (made / _BIN).read_bytes())


def kept_name(sha256: Mapping[str, str]) -> str:
    """Return what converted networks are called whose weights have these digests."""
    said = f"{_FORMAT} {openvino_module().__version__} {sorted(sha256.values())}"
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
    """Return the step as an OpenVINO model for any number of targets and templates, compared with PyTorch's.

    Args:
        network: On the CPU, in float32.
        streams: 1 or 2.

    Raises:
        ConfigError: It gives something else, or cannot be converted.
    """
    openvino_module()
    # Not `openvino.convert_model`: it tells its makers that it was called.
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    memory, crops = _inputs(network, streams, targets=2, templates=2)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
                StepMaps(network), (memory, crops), check_trace=False
            )
            front = FrontEndManager().load_by_framework("pytorch")
            decoder = TorchScriptPythonDecoder(program)  # has to live until all is read
            model = front.convert(front.load(decoder))
    except RuntimeError as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise ConfigError(f"OpenVINO cannot convert this network: {reason}", hint="--backend torch") from None
    size = network.config.search_size
    first, second = model.inputs
    model.reshape({first: [streams, -1, -1, network.config.width], second: [-1, size, size, 3 * streams]})
    from openvino._offline_transformations import apply_moc_transformations

    apply_moc_transformations(model, cf=True, smart_reshape=False)
    _compare(
        openvino_core().compile_model(model.clone(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}),
        network,
        streams,
    )
    return model


def _compare(compiled: Any, network: TorchNetwork, streams: int) -> None:  # noqa: ANN401
    """Raise a `ConfigError` if maps are not the network's, for other shapes than it was converted from."""
    for targets, templates in ((1, 1), (3, 3)):
        memory, crops = _inputs(network, streams, targets, templates)
        found = compiled([memory.numpy(), crops.numpy()])
        with torch.no_grad():
            expected = StepMaps(network)(memory, crops)
        apart = max(float(np.abs(a - b.numpy()).max()) for a, b in zip(found.values(), expected, strict=True))
        if not apart < _SAME:
            raise ConfigError(
                f"OpenVINO gives something else than PyTorch ({apart:.1e})", hint="--backend torch"
            )


def _inputs(network: TorchNetwork, streams: int, targets: int, templates: int) -> tuple[Tensor, Tensor]:
    config = network.config
    generator = torch.Generator().manual_seed(targets)
    shape = (streams, targets, templates * config.template_grid**2, config.width)
    return torch.randn(shape, generator=generator), noise_crops(config.search_size, streams, targets)


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
