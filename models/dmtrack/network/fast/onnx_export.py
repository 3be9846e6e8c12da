"""Writes a network as two ONNX files, and checks them against PyTorch.

`NAME.onnx` is the tracking step: template tokens `memory` `(S, B, T P, C)` float32 and `search`
`(B, x, x, 3 S)` uint8, as cut from the frame, to `score`, `size`, `offset` and maybe `quality`.
`NAME.template.onnx` turns template `crops` `(B, z, z, 3 S)` uint8, and `boxes` `(B, 4)` where the network
wants them, into `tokens` `(S, B, P, C)`. Picture sizes are those of the weights; the number of targets B and
of templates T is free. Needs `onnx`, `onnxscript` and `onnxruntime` (extra `onnx`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dmtrack.atomic import inputs_kept, make_folder, reserve, write_atomically
from dmtrack.errors import ConfigError, OutputError
from dmtrack.network.backend import inference_network
from dmtrack.network.fast.kernels import Kernels
from dmtrack.network.fast.onnx_network import METADATA_KEY, OnnxFiles, OnnxNetwork, OnnxPrecision
from dmtrack.network.fast.packed import PackedNetwork
from dmtrack.network.inference import Network
from dmtrack.network.model import DMTrack
from dmtrack.network.weights.store import resolve_weights
from dmtrack.video.frame import Modality

#: Largest difference of a map that another order of float32 sums explains.
_SAME = 1e-4
_PRODUCTS = ("MatMul", "Gemm")
#: Weights of the big products have two dimensions, of which neither is small.
_MATRIX, _BIG = 2, 64
_MAPS = ("score", "size", "offset", "quality")
_ANY = torch.export.Dim.DYNAMIC


@dataclass(frozen=True, slots=True)
class OnnxExport:
    """What was written.

    Attributes:
        files: Where.
        difference: Largest difference of any map from PyTorch's float32, over random crops and every
            length of the memory.
    """

    files: OnnxFiles
    difference: float


def export_model(
    weights: str | Path,
    modality: Modality | None,
    step: Path,
    *,
    precision: OnnxPrecision = "fp32",
    overwrite: bool = False,
) -> OnnxExport:
    """Find weights and export them, see `export_onnx`.

    Args:
        weights: `tiny`, `base`, a name in the data folder, or a path.
        modality: What the second stream measures; None for one stream.
        step: Where the step goes, `NAME.onnx`.
        precision: See `export_onnx`.
        overwrite: Replace files that are there.

    Raises:
        ConfigError: The name does not end in `.onnx`, or packages are not installed.
        CheckpointError: The weights are missing or damaged.
        OutputError: A file is there already, or cannot be written, or does not give what PyTorch gives.
    """
    if step.suffix != ".onnx":
        raise ConfigError("the name must end in .onnx", where=step)
    files = OnnxFiles.at(step)
    with inputs_kept(weights if Path(weights).is_file() else None):
        for path in (files.step, files.template):
            reserve(path, overwrite=overwrite)
        return export_onnx(resolve_weights(weights, modality).model, step, precision=precision)


def export_onnx(model: DMTrack, step: Path, *, precision: OnnxPrecision = "fp32") -> OnnxExport:
    """Write both files under temporary names, check them, and give them their names.

    Args:
        model: The trained network.
        step: Where the step goes; the templates' file goes beside it.
        precision: `int8` stores the weights of the step's big products in 8 bits.

    Raises:
        ConfigError: The packages for it are not installed.
        OutputError: A file cannot be written, or does not give what PyTorch gives.
    """
    kernels = Kernels(torch.float32, torch.float32, torch.device("cpu"), "none")
    network = PackedNetwork(model, kernels).eval().requires_grad_(requires_grad=False)
    final = OnnxFiles.at(step)
    with tempfile.TemporaryDirectory() as scratch:
        made = OnnxFiles.at(Path(scratch) / "network.onnx")
        with _quiet():
            _export(_Template(network), _template_inputs(network), made.template)
            _export(_Step(network), _step_inputs(network), made.step)
            if precision == "int8":
                _quantize(made.step)
        difference = largest_difference(OnnxNetwork.load(made.step), inference_network(model))
        if precision == "fp32" and difference > _SAME:
            raise OutputError(f"differs from PyTorch by {difference:.1e}; nothing was written", where=step)
        make_folder(final.step.parent)
        write_atomically(final.template, made.template.read_bytes())
        write_atomically(final.step, made.step.read_bytes())
    return OnnxExport(final, difference)


def largest_difference(network: Network, exact: Network) -> float:
    """Return the largest difference of any map over random crops, for every length of the memory."""
    config = exact.config
    generator = torch.Generator().manual_seed(0)
    differences = []
    for templates in range(1, config.memory_frames + 1):
        template, search = (
            _crops(side, exact.streams, generator) for side in (config.template_size, config.search_size)
        )
        box = 0.4 + 0.2 * torch.rand((1, 4), generator=generator)
        maps = []
        for one in (network, exact):
            with torch.inference_mode():
                memory = torch.cat([one.embed_template(template, box)] * templates, dim=2)
                maps.append(one.step(memory, search))
        differences += [
            float((a - b).abs().max()) for a, b in zip(*maps, strict=True) if a is not None and b is not None
        ]
    return max(differences)


class _Step(nn.Module):
    """The step with a tuple of maps for a result."""

    inputs = ("memory", "search")

    def __init__(self, network: PackedNetwork) -> None:
        super().__init__()
        self.network = network
        self.outputs = _MAPS if network.config.quality_head else _MAPS[:-1]
        self.shapes = ({1: _ANY, 2: _ANY}, {0: _ANY})

    def forward(self, memory: Tensor, search: Tensor) -> tuple[Tensor, ...]:
        return tuple(one for one in self.network.step(memory, search) if one is not None)


class _Template(nn.Module):
    """The template embedding, with boxes only where the network wants them."""

    outputs = ("tokens",)

    def __init__(self, network: PackedNetwork) -> None:
        super().__init__()
        self.network = network
        prompted = network.config.template_prompt
        self.inputs = ("crops", "boxes") if prompted else ("crops",)
        self.shapes = ({0: _ANY},) * len(self.inputs)

    def forward(self, crops: Tensor, *boxes: Tensor) -> Tensor:
        return self.network.embed_template(crops, *boxes)


def _step_inputs(network: PackedNetwork) -> tuple[Tensor, ...]:
    # Two of everything that may vary: what is 1 in an example is taken for a constant.
    config = network.config
    memory = torch.zeros(network.streams, 2, 2 * config.template_grid**2, config.width)
    return memory, _crops(config.search_size, network.streams).repeat(2, 1, 1, 1)


def _template_inputs(network: PackedNetwork) -> tuple[Tensor, ...]:
    crops = _crops(network.config.template_size, network.streams).repeat(2, 1, 1, 1)
    return (crops, torch.full((2, 4), 0.5)) if network.config.template_prompt else (crops,)


def _crops(side: int, streams: int, generator: torch.Generator | None = None) -> Tensor:
    """Return one picture `(1, side, side, 3 S)` of random squares of 8 px."""
    coarse = torch.randint(0, 256, (1, side // 8, side // 8, 3 * streams), generator=generator)
    return coarse.to(torch.uint8).repeat_interleave(8, 1).repeat_interleave(8, 2)


def _export(part: _Step | _Template, inputs: tuple[Tensor, ...], path: Path) -> None:
    shapes: Any = part.shapes if isinstance(part, _Step) else _by_parameter(part)
    try:
        program = torch.onnx.export(
            part.eval(),
            inputs,
            dynamo=True,
            input_names=list(part.inputs),
            output_names=list(part.outputs),
            dynamic_shapes=shapes,
            verbose=False,
        )
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed", hint="pip install 'dmtrack[onnx]'") from None
    if program is None:
        raise OutputError("PyTorch exported nothing", where=path)
    config = part.network.config
    about = {"config": config.to_dict(), "streams": part.network.streams, "part": part.outputs}
    program.model.metadata_props[METADATA_KEY] = json.dumps(about)
    program.save(path, external_data=False)


def _by_parameter(part: _Template) -> tuple[Any, ...]:
    """Shapes of `crops` and of the tuple of boxes behind it, where there are boxes."""
    crops, *boxes = part.shapes
    return (crops, tuple(boxes)) if boxes else (crops,)


def _quantize(path: Path) -> None:
    """Store the weights of the big products in 8 bits; adapters, stem and head stay as they are."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(path).graph
    matrices = {t.name for t in graph.initializer if len(t.dims) == _MATRIX and min(t.dims) >= _BIG}
    products = [node.name for node in graph.node if node.op_type in _PRODUCTS and matrices & {*node.input}]
    quantize_dynamic(
        path,
        path,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=list(_PRODUCTS),
        nodes_to_quantize=products,
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' advice to developers from the person."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
