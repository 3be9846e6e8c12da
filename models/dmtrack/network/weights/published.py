"""The published checkpoints: the names of their tensors, and their conversion to our weights.

This is the only place that knows the published names. A DMTrack checkpoint holds a whole network; an
OSTrack checkpoint is the same without adapters, which is a foundation.

Source: specification 2.1 (names and shapes are facts of the published files).
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from dmtrack.config import PUBLISHED_TRACKER, ModelConfig, model_preset
from dmtrack.errors import CheckpointError, ConfigError
from dmtrack.network.weights.checkpoint import (
    Weights,
    as_trained,
    expected_shapes,
    require_finite,
    require_fit,
)
from dmtrack.network.weights.file import Kind, WeightsMeta
from dmtrack.video.frame import Modality

_AFFINE = ("weight", "bias")
_BATCH_NORM = (*_AFFINE, "running_mean", "running_var", "num_batches_tracked")

#: In every published file, but used by none of the networks.
IGNORED = frozenset({"backbone.cls_token", "backbone.pos_embed"})

#: Files saved from several GPUs, compiled, or by a trainer have a prefix before this and all other names.
_PATCHES = "backbone.patch_embed.proj.weight"

#: Published name -> our name, outside the blocks.
_STEM: Mapping[str, str] = {
    "backbone.pos_embed_z": "foundation.pos_template",
    "backbone.pos_embed_x": "foundation.pos_search",
    "backbone.patch_embed.proj.weight": "foundation.stem.weight",
    "backbone.patch_embed.proj.bias": "foundation.stem.bias",
    "backbone.norm.weight": "foundation.norm.weight",
    "backbone.norm.bias": "foundation.norm.bias",
}
#: Modules of a block with a weight and a bias, with the same published and own names.
_BLOCK = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
#: Adapter modules of a block with a weight and a bias.
_ADAPTERS: Mapping[str, str] = {
    "adap_tem1.adapter_down": "temporal.0.down",
    "adap_tem1.adapter_mid": "temporal.0.temporal",
    "adap_tem1.adapter_up": "temporal.0.up",
    "adap_tem2.adapter_down": "temporal.1.down",
    "adap_tem2.adapter_mid": "temporal.1.temporal",
    "adap_tem2.adapter_up": "temporal.1.up",
    "adap_t.adapter_down": "shallow.down",
    "adap_t.adapter_mid": "shallow.mid",
    "adap_t.adapter_up": "shallow.up",
    "adap2_t.adapter_down": "deep.down",
    "adap2_t.adapter_up": "deep.up",
    "adap2_t.relation_judger.0.fc1": "deep.judger.fc1",
    "adap2_t.relation_judger.0.fc2": "deep.judger.fc2",
    "adap2_t.cross_attn_0_to_1.out_proj": "deep.attention.0.out_proj",
    "adap2_t.cross_attn_1_to_0.out_proj": "deep.attention.1.out_proj",
}
#: Adapter tensors of a block that have no module of their own.
_ADAPTER_TENSORS: Mapping[str, str] = {
    "adap2_t.cross_attn_0_to_1.in_proj_weight": "deep.attention.0.in_proj_weight",
    "adap2_t.cross_attn_0_to_1.in_proj_bias": "deep.attention.0.in_proj_bias",
    "adap2_t.cross_attn_1_to_0.in_proj_weight": "deep.attention.1.in_proj_weight",
    "adap2_t.cross_attn_1_to_0.in_proj_bias": "deep.attention.1.in_proj_bias",
    "adap2_t.k_noise.weight": "deep.key_noise",
    "adap2_t.v_noise.weight": "deep.value_noise",
}
#: Towers of the head. Their layers count from 1 in published files, from 0 here.
_TOWERS: Mapping[str, str] = {"ctr": "score", "offset": "offset", "size": "size"}
_TOWER_LAYERS = 4

_ADAPTER_KEY = re.compile(r"^backbone\.blocks\.\d+\.adap")
_BLOCK_KEY = re.compile(r"^backbone\.blocks\.(\d+)\.")
#: A block has at least this many tensors; a file that claims more blocks than fit is refused.
_FEWEST_TENSORS_PER_BLOCK = 2 * len(_BLOCK)
_HEAD_WIDTH = 64  # width of one attention head: not visible in the shapes, but the same in every such ViT

_TRAINED_ON: Mapping[Modality, str] = {
    Modality.THERMAL: "as published (LasHeR)",
    Modality.DEPTH: "as published (DepthTrack)",
    Modality.EVENT: "as published (VisEvent)",
}


def key_table(depth: int, *, with_adapters: bool) -> dict[str, str]:
    """Return published name -> our name for every tensor of a network.

    Without adapters it is the table of an OSTrack checkpoint.
    """
    table = dict(_STEM)
    for block in range(depth):
        table.update(_block_names(block))
        if with_adapters:
            table.update(_adapter_names(block))
    table.update(_head_names())
    return table


def convert(
    published: Mapping[str, Tensor],
    *,
    modality: Modality | None,
    source_name: str,
    source_sha256: str | None = None,
) -> Weights:
    """Convert a published state dict into our weights: `full` for DMTrack, `foundation` for OSTrack.

    Widths, depth and sizes are read from the shapes; every tensor must then fit exactly. No file says for
    which modality a DMTrack checkpoint was trained, so `modality` must; it is None for OSTrack. Name and
    digest of the file are for the record and for messages. `CheckpointError`: the tensors are not those of
    DMTrack or OSTrack (missing, unexpected and misshaped ones are listed); `ConfigError`: `modality` is
    missing for DMTrack, or given for OSTrack.
    """
    if _PATCHES not in published:
        before = next(
            (name.removesuffix(_PATCHES) for name in published if name.endswith(f".{_PATCHES}")), ""
        )
        published = {name.removeprefix(before): tensor for name, tensor in published.items()}
    tensors = {name: tensor for name, tensor in published.items() if name not in IGNORED}
    kind: Kind = "full" if any(_ADAPTER_KEY.match(name) for name in tensors) else "foundation"
    _require_modality(kind, modality, source_name)
    config = infer_config(tensors, modality, where=source_name)
    table = key_table(config.depth, with_adapters=kind == "full")
    shapes = expected_shapes(config, kind)
    require_fit(
        {theirs: shapes[ours] for theirs, ours in table.items()},
        {name: tuple(tensor.shape) for name, tensor in tensors.items()},
        where=source_name,
    )
    require_finite(tensors, where=source_name)
    meta = WeightsMeta(
        config=config,
        kind=kind,
        modality=modality,
        tracker=PUBLISHED_TRACKER,
        trained_on="as published (one stream)" if modality is None else _TRAINED_ON[modality],
        source_name=source_name,
        source_sha256=source_sha256,
    )
    return Weights(meta, {ours: as_trained(tensors[theirs]) for theirs, ours in table.items()})


def infer_config(published: Mapping[str, Tensor], modality: Modality | None, *, where: object) -> ModelConfig:
    """Read the configuration of a network from the shapes of its published tensors.

    `CheckpointError`: a tensor that is needed is missing or has the wrong number of dimensions.
    """
    shapes = _Shapes(published, where)
    first = "backbone.blocks.0."
    width = shapes.size(_PATCHES, 0, of=4)
    if width < _HEAD_WIDTH or width % _HEAD_WIDTH:
        raise CheckpointError(f"token width {width} is not a multiple of {_HEAD_WIDTH}", where=where)
    preset = model_preset("base", modality)
    sizes: dict[str, Any] = {
        "width": width,
        "depth": _depth(published, where),
        "heads": width // _HEAD_WIDTH,
        "mlp_ratio": shapes.size(first + "mlp.fc1.weight", 0, of=2) / width,
        "template_size": shapes.side("backbone.pos_embed_z") * preset.STRIDE,
        "search_size": shapes.side("backbone.pos_embed_x") * preset.STRIDE,
        "head_width": shapes.size("box_head.conv1_ctr.0.weight", 0, of=4),
    }
    if any(_ADAPTER_KEY.match(name) for name in published):
        sizes |= {
            "temporal_width": shapes.size(first + "adap_tem1.adapter_mid.weight", 0, of=3),
            "shallow_width": shapes.size(first + "adap_t.adapter_mid.weight", 0, of=2),
            "deep_width": shapes.size(first + "adap2_t.adapter_down.weight", 0, of=2),
        }
    try:
        return dataclasses.replace(preset, **sizes)
    except ConfigError as error:
        raise CheckpointError(f"has impossible shapes ({error})", where=where) from None


class _Shapes:
    """Looks sizes up by published name; `CheckpointError` for a missing tensor."""

    def __init__(self, tensors: Mapping[str, Tensor], where: object) -> None:
        self._tensors = tensors
        self._where = where

    def size(self, name: str, dimension: int, *, of: int) -> int:
        """Return one dimension of a tensor that has `of` of them."""
        if name not in self._tensors:
            raise CheckpointError(
                f"is not a DMTrack or OSTrack checkpoint: {name} is missing", where=self._where
            )
        shape = tuple(self._tensors[name].shape)
        if len(shape) != of:
            raise CheckpointError(f"{name} has the shape {list(shape)}", where=self._where)
        return shape[dimension]

    def side(self, name: str) -> int:
        """Return the side of the square grid of a position embedding `(1, N, C)`."""
        tokens = self.size(name, 1, of=3)
        if math.isqrt(tokens) ** 2 != tokens:
            raise CheckpointError(f"{name} has {tokens} tokens, which is no square", where=self._where)
        return math.isqrt(tokens)


def _require_modality(kind: Kind, modality: Modality | None, where: object) -> None:
    if kind == "full" and modality is None:
        raise ConfigError(
            "a DMTrack checkpoint does not say what it was trained for",
            where=where,
            hint=f"say it with --modality {'|'.join(Modality)}",
        )
    if kind == "foundation" and modality is not None:
        raise ConfigError(
            "is a one-stream OSTrack checkpoint, which has no modality",
            where=where,
            hint="leave --modality out",
        )


def _depth(published: Mapping[str, Tensor], where: object) -> int:
    blocks = [int(match[1]) for name in published if (match := _BLOCK_KEY.match(name))]
    depth = max(blocks, default=-1) + 1
    if depth * _FEWEST_TENSORS_PER_BLOCK > len(published) or depth == 0:
        raise CheckpointError(f"counts {depth} blocks among {len(published)} tensors", where=where)
    return depth


def _block_names(block: int) -> Iterator[tuple[str, str]]:
    for module in _BLOCK:
        for leaf in _AFFINE:
            yield f"backbone.blocks.{block}.{module}.{leaf}", f"foundation.blocks.{block}.{module}.{leaf}"


def _adapter_names(block: int) -> Iterator[tuple[str, str]]:
    theirs, ours = f"backbone.blocks.{block}", f"adapters.{block}"
    for published, module in _ADAPTERS.items():
        for leaf in _AFFINE:
            yield f"{theirs}.{published}.{leaf}", f"{ours}.{module}.{leaf}"
    for published, tensor in _ADAPTER_TENSORS.items():
        yield f"{theirs}.{published}", f"{ours}.{tensor}"


def _head_names() -> Iterator[tuple[str, str]]:
    for published, tower in _TOWERS.items():
        for layer in range(_TOWER_LAYERS):
            theirs, ours = f"box_head.conv{layer + 1}_{published}", f"foundation.head.{tower}.{layer}"
            for leaf in _AFFINE:
                yield f"{theirs}.0.{leaf}", f"{ours}.0.{leaf}"
            for leaf in _BATCH_NORM:
                yield f"{theirs}.1.{leaf}", f"{ours}.1.{leaf}"
        for leaf in _AFFINE:
            yield (
                f"box_head.conv{_TOWER_LAYERS + 1}_{published}.{leaf}",
                f"foundation.head.{tower}.{_TOWER_LAYERS}.{leaf}",
            )
