"""Writes a network as two ONNX files, and checks them against PyTorch.

`NAME.onnx` is the tracking step: from template tokens `memory` `(S, B, T P, C)` float32 and `search`
`(B, x, x, 3 S)` uint8, as cut from the frame, to `score`, `size`, `offset` and maybe `quality`.
`NAME.template.onnx` turns template `crops` `(B, z, z, 3 S)` uint8, and `boxes` `(B, 4)` if the network
needs them, into `tokens` `(S, B, P, C)`. Crop sizes are those of the weights; the number of targets B and
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
from typing import Any, Final, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from dmtrack.atomic import inputs_kept, make_folder, reserve, write_atomically
from dmtrack.errors import ConfigError, OutputError, library_needed
from dmtrack.network.model import DMTrack
from dmtrack.network.torch_network import StepMaps, TemplateTokens, TorchNetwork, noise_crops
from dmtrack.network.weights.store import resolve_weights
from dmtrack.video.frame import Modality

#: Precision of the step's large products.
OnnxPrecision = Literal["fp32", "int8"]
METADATA_KEY: Final = "dmtrack"  # metadata entry of a file that describes its network, as JSON
_SUFFIX: Final = ".onnx"
_TOLERANCE = 1e-4  # largest difference of a map that another order of float32 sums explains
_PRODUCTS = ("MatMul", "Gemm")
_DIMENSIONS, _SMALLEST_SIDE = 2, 64  # weights of the large products have two dimensions, of at least 64 each
_MAPS = ("score", "size", "offset", "quality")
_ANY = torch.export.Dim.DYNAMIC


@dataclass(frozen=True, slots=True)
class OnnxFiles:
    """The paths of the two files of an exported network."""

    step: Path  # template tokens and search crops to maps
    template: Path  # template crops and boxes to tokens

    @classmethod
    def at(cls, step: Path) -> Self:
        """Return the pair for the step at `step`: `NAME.onnx` and `NAME.template.onnx`."""
        return cls(step, step.with_name(step.name.removesuffix(_SUFFIX) + ".template" + _SUFFIX))


@dataclass(frozen=True, slots=True)
class OnnxExport:
    """The result of an export."""

    files: OnnxFiles
    # Largest difference of any map from PyTorch's float32, over random crops and every memory length
    difference: float


def export_model(
    weights: str | Path,
    modality: Modality | None,
    step: Path,
    *,
    precision: OnnxPrecision = "fp32",
    overwrite: bool = False,
) -> OnnxExport:
    """Find weights and export them with `export_onnx`.

    `step` is the file of the step, `NAME.onnx`; `modality` is None for one stream. `ConfigError`: the name
    does not end in `.onnx`, or packages are not installed; `CheckpointError`: the weights are missing or
    damaged; `OutputError`: a file exists, cannot be written, or computes something else than PyTorch.
    """
    if step.suffix != _SUFFIX:
        raise ConfigError("the name must end in .onnx", where=step)
    files = OnnxFiles.at(step)
    with inputs_kept(weights if Path(weights).is_file() else None):
        for path in (files.step, files.template):
            reserve(path, overwrite=overwrite)
        return export_onnx(resolve_weights(weights, modality).model, step, precision=precision)


def export_onnx(model: DMTrack, step: Path, *, precision: OnnxPrecision = "fp32") -> OnnxExport:
    """Write both files under temporary names, check them, and rename them.

    The templates' file goes beside `step`; `int8` stores the weights of the step's large products in 8 bits.
    `ConfigError`: packages are not installed; `OutputError`: a file cannot be written, or computes something
    else than PyTorch.
    """
    network = TorchNetwork(model)
    final = OnnxFiles.at(step)
    with tempfile.TemporaryDirectory() as scratch:
        made = OnnxFiles.at(Path(scratch) / "network.onnx")
        with _quiet():
            _export(_template(network), made.template)
            _export(_step(network), made.step)
            if precision == "int8":
                _quantize(made.step)
        difference = largest_difference(made, network)
        if precision == "fp32" and difference > _TOLERANCE:
            raise OutputError(f"differs from PyTorch by {difference:.1e}; nothing was written", where=step)
        make_folder(final.step.parent)
        write_atomically(final.template, made.template.read_bytes())
        write_atomically(final.step, made.step.read_bytes())
    return OnnxExport(final, difference)


def largest_difference(files: OnnxFiles, exact: TorchNetwork) -> float:
    """Return the largest difference between ONNX Runtime's maps and PyTorch's, on random crops.

    `ConfigError`: ONNX Runtime is not installed.
    """
    template, step = _session(files.template), _session(files.step)
    config = exact.config
    differences = []
    for templates in range(1, config.memory_frames + 1):
        crops, search = (
            noise_crops(side, exact.streams, seed=templates)
            for side in (config.template_size, config.search_size)
        )
        box = torch.tensor([[0.45, 0.5, 0.55, 0.5]])
        feed = {"crops": crops.numpy(), "boxes": box.numpy()}
        (tokens,) = template.run(None, {one.name: feed[one.name] for one in template.get_inputs()})
        found = step.run(None, {"memory": np.tile(tokens, (1, 1, templates, 1)), "search": search.numpy()})
        with torch.inference_mode():
            memory = exact.embed_template(crops, box).repeat(1, 1, templates, 1)
            expected = StepMaps(exact)(memory, search)
        differences += [float(np.abs(a - b.numpy()).max()) for a, b in zip(found, expected, strict=True)]
    return max(differences)


def _session(path: Path) -> Any:  # noqa: ANN401 (onnxruntime has no types)
    with library_needed("ONNX Runtime is not installed", "pip install 'dmtrack[onnx]'"):
        import onnxruntime
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The content of one file."""

    module: nn.Module
    # Example inputs by name. Free sizes are 2: an example of 1 is taken for a constant.
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]  # names
    # Free dimensions of each input; one entry for each argument of the module's `forward`
    shapes: tuple[Any, ...]
    about: dict[str, Any]  # metadata for the file


def _step(network: TorchNetwork) -> _Part:
    config = network.config
    memory = torch.zeros(network.streams, 2, 2 * config.template_grid**2, config.width)
    inputs = {"memory": memory, "search": noise_crops(config.search_size, network.streams, 2)}
    outputs = _MAPS if config.quality_head else _MAPS[:-1]
    shapes = ({1: _ANY, 2: _ANY}, {0: _ANY})
    return _Part(StepMaps(network), inputs, outputs, shapes, _about(network, outputs))


def _template(network: TorchNetwork) -> _Part:
    inputs = {"crops": noise_crops(network.config.template_size, network.streams, 2)}
    shapes: tuple[Any, ...] = ({0: _ANY},)
    if network.config.template_prompt:
        inputs["boxes"], shapes = torch.full((2, 4), 0.5), ({0: _ANY}, ({0: _ANY},))
    outputs = ("tokens",)
    return _Part(TemplateTokens(network), inputs, outputs, shapes, _about(network, outputs))


def _about(network: TorchNetwork, outputs: tuple[str, ...]) -> dict[str, Any]:
    return {"config": network.config.to_dict(), "streams": network.streams, "part": outputs}


def _export(part: _Part, path: Path) -> None:
    try:
        program = torch.onnx.export(
            part.module.eval(),
            tuple(part.inputs.values()),
            dynamo=True,
            input_names=list(part.inputs),
            output_names=list(part.outputs),
            dynamic_shapes=part.shapes,
            verbose=False,
        )
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed", hint="pip install 'dmtrack[onnx]'") from None
    if program is None:
        raise OutputError("PyTorch exported nothing", where=path)
    program.model.metadata_props[METADATA_KEY] = json.dumps(part.about)
    program.save(path, external_data=False)


def _quantize(path: Path) -> None:
    """Store the weights of the large products in 8 bits; adapters, stem and head stay as they are."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(path).graph
    matrices = {
        t.name for t in graph.initializer if len(t.dims) == _DIMENSIONS and min(t.dims) >= _SMALLEST_SIDE
    }
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
    """Silence the exporters' advice to developers."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
