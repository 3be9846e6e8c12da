"""Our own weights files: safetensors whose header describes the tensors and their origin.

A file holds the one-stream `foundation`, the `adapters` of one modality, or both (`full`). Tensors are named
as in `DMTrack.state_dict()`. A file that does not fit exactly is an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from dmtrack.atomic import make_folder, write_atomically
from dmtrack.config import ModelConfig
from dmtrack.errors import CheckpointError, listed
from dmtrack.network.model import DMTrack
from dmtrack.network.weights.file import HEADER_KEY, Kind, WeightsMeta, opened

_PREFIXES: Mapping[Kind, tuple[str, ...]] = {
    "foundation": ("foundation.",),
    "adapters": ("adapters.",),
    "full": ("foundation.", "adapters."),
}
#: Position embeddings, and the configuration field with the side of each one's grid.
_POSITION_GRIDS = {"foundation.pos_template": "template_grid", "foundation.pos_search": "search_grid"}
_LISTED = 5  # most names of each fault that an error lists


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Tensors by their names in `DMTrack.state_dict()`, on the CPU, with their metadata."""

    meta: WeightsMeta
    tensors: Mapping[str, Tensor]

    def part(self, kind: Literal["foundation", "adapters"]) -> Weights:
        """Return one half of `full` weights."""
        prefix = _PREFIXES[kind]
        modality = None if kind == "foundation" else self.meta.modality
        tensors = {name: tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}
        return Weights(replace(self.meta, kind=kind, modality=modality), tensors)


def save_weights(
    path: Path, tensors: Mapping[str, Tensor], meta: WeightsMeta, *, dtype: torch.dtype | None = None
) -> str:
    """Write a weights file, under a temporary name first, and return its sha256.

    Tensors outside `meta.kind` are left out; the same tensors and header give the same bytes. Floating-point
    tensors are stored as `dtype` (`float16` halves the file), or as they are. `CheckpointError`: the tensors
    do not fit `meta.config`; `OutputError`: the file cannot be written.
    """
    own = {name: tensor for name, tensor in tensors.items() if name.startswith(_PREFIXES[meta.kind])}
    require_fit(expected_shapes(meta.config, meta.kind), _shapes(own), where=path)
    stored = {name: _stored(own[name], dtype) for name in sorted(own)}
    data = save(stored, metadata={HEADER_KEY: meta.to_json()})
    make_folder(path.parent)
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def load_weights(path: Path) -> Weights:
    """Read a weights file; half-precision tensors become float32.

    `CheckpointError`: the file is missing, damaged, not one of ours, does not fit its own configuration, or
    holds numbers that are not finite.
    """
    with opened(path, "pt") as file:
        meta = file.meta
        require_fit(expected_shapes(meta.config, meta.kind), file.shapes(), where=path)
        weights = Weights(meta, {name: as_trained(tensor) for name, tensor in file.tensors()})
    require_finite(weights.tensors, where=path)
    return weights


def build_model(
    foundation: Weights,
    adapters: Weights | None = None,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> DMTrack:
    """Build the network in eval mode, with every tensor from the weights.

    `foundation` may be full weights; `adapters` must be None then. With a bare foundation the network takes
    one stream. `dtype` is that of its floating-point tensors. `CheckpointError`: the parts are of the wrong
    kind or of different networks.
    """
    tensors = dict(foundation.tensors)
    config = foundation.meta.config
    if foundation.meta.kind == "adapters" or (adapters and adapters.meta.kind != "adapters"):
        raise CheckpointError("a network needs a foundation, and at most one set of adapters")
    if adapters is not None:
        if foundation.meta.kind != "foundation":
            raise CheckpointError("these weights have adapters already; more cannot be added")
        _require_same_foundation(config, adapters.meta.config)
        tensors.update(adapters.tensors)
        config = adapters.meta.config
    with torch.device("meta"):
        model = DMTrack(config, with_adapters=adapters is not None or foundation.meta.kind == "full")
    require_fit(_shapes(model.state_dict()), _shapes(tensors), where=foundation.meta.source_name)
    model.load_state_dict({name: tensor.clone() for name, tensor in tensors.items()}, assign=True)
    return model.to(device=device, dtype=dtype).eval()


def resize_positions(tensors: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Return the tensors with position embeddings `(1, n n, C)` resampled to the grids of `config`.

    Embeddings that already fit stay as they are.
    """
    resized = dict(tensors)
    for name, grid_name in _POSITION_GRIDS.items():
        if name not in tensors:
            continue
        grid: int = getattr(config, grid_name)
        position = tensors[name]
        side = round(position.shape[1] ** 0.5)
        if side == grid:
            continue
        image = position.reshape(1, side, side, -1).permute(0, 3, 1, 2)
        image = F.interpolate(image, size=(grid, grid), mode="bicubic", align_corners=False)
        resized[name] = image.permute(0, 2, 3, 1).reshape(1, grid * grid, -1)
    return resized


def expected_shapes(config: ModelConfig, kind: Kind) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor that weights of `kind` must hold."""
    with torch.device("meta"):
        model = DMTrack(config, with_adapters=kind != "foundation")
    shapes = _shapes(model.state_dict())
    return {name: shape for name, shape in shapes.items() if name.startswith(_PREFIXES[kind])}


def require_fit(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], *, where: object
) -> None:
    """Compare names and shapes.

    `CheckpointError`: names are missing or unexpected, or shapes differ; it gives the count and the first few
    of each.
    """
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    misshaped = [
        f"{name} {list(found[name])} for {list(shape)}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    faults = (("missing", missing), ("unexpected", unexpected), ("misshaped", misshaped))
    said = [f"{len(names)} {fault}: {listed(names, _LISTED)}" for fault, names in faults if names]
    if said:
        raise CheckpointError(
            f"does not fit the network ({'; '.join(said)})", where=where, hint="nothing was loaded"
        )


def require_finite(tensors: Mapping[str, Tensor], *, where: object) -> None:
    """Raise a `CheckpointError` that names the tensors, if any holds an infinity or a NaN."""
    broken = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise CheckpointError(
            f"{len(broken)} tensors hold numbers that are not finite: {listed(broken, _LISTED)}", where=where
        )


def as_trained(tensor: Tensor) -> Tensor:
    """Convert floating-point tensors to float32, others (counters) to int64."""
    return tensor.to(torch.float32 if tensor.is_floating_point() else torch.int64)


def _require_same_foundation(ours: ModelConfig, theirs: ModelConfig) -> None:
    """Allow adapters other widths and memory, but require the same foundation; else `CheckpointError`."""
    widths = ("temporal_width", "shallow_width", "deep_width")
    own = (*widths, "name", "memory_frames", "stream_merge", "aux_share", "drop_path_rate")
    if replace(theirs, **{name: getattr(ours, name) for name in own}) != ours:
        raise CheckpointError(f"adapters for a {theirs.name} network do not fit this {ours.name} foundation")


def _stored(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
