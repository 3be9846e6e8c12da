"""`PackedNetwork`: a trained `DMTrack` rearranged for inference, the same function with less work.

Both streams run as one batch; the low-rank maps of the adapters are merged into as few small products as
algebra allows (`folding`); the last block computes only what the head reads; batch norms are folded into
convolutions. The residual stream and the adapters stay in float32 whatever the precision of the big
products: they cost little, and half precision there is what moves boxes.

S streams (1 or 2), B batch, N tokens of a stream, C width, M = B N.

Source: specification 1.1-1.6, and the algebra in `folding`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmtrack.config import ModelConfig
from dmtrack.network.adapters import BlockAdapters
from dmtrack.network.backbone import NORM_EPS, Block, ConvStem
from dmtrack.network.folding import (
    Affine,
    FoldedDeep,
    FoldedShallow,
    FoldedTemporal,
    stacked,
    stem_convolutions,
    tower_convolutions,
)
from dmtrack.network.head import CLAMP, CenterHead, HeadOutput, Tower
from dmtrack.network.kernels import Convolution, Packing, make_linear
from dmtrack.network.model import DMTrack, box_coverage
from dmtrack.network.preprocess import MEAN, STD


@dataclass(frozen=True, slots=True)
class PackedTypes:
    """How a packed network computes.

    Attributes:
        dtype: Of the big products and convolutions.
        residual: Of everything else.
        device: Where it runs.
        packing: Layout of the weights of the big products.
    """

    dtype: torch.dtype
    residual: torch.dtype
    device: torch.device
    packing: Packing


class PackedNetwork(nn.Module):
    """An inference-only copy of `DMTrack`, fed with uint8 crops.

    Args:
        model: The trained network, on the CPU or elsewhere; it is not changed.
        types: How to compute.
    """

    def __init__(self, model: DMTrack, types: PackedTypes) -> None:
        super().__init__()
        self.config = model.config
        self.streams = 1 if model.adapters is None else 2
        foundation = model.foundation
        self.stem = PackedStem(model, types)
        self.register_buffer("pos_template", _as(foundation.pos_template, types))
        self.register_buffer("pos_search", _as(foundation.pos_search, types))
        foreground = foundation.foreground
        self.register_buffer("foreground", None if foreground is None else _as(foreground, types))
        self.pos_template: Tensor
        self.pos_search: Tensor
        self.foreground: Tensor | None
        adapters = [None] * self.config.depth if model.adapters is None else list(model.adapters)
        last = self.config.depth - 1
        self.blocks = nn.ModuleList(
            PackedBlock(
                cast(Block, block),
                cast("BlockAdapters | None", own),
                self.config,
                types,
                search_only=index == last,
            )
            for index, (block, own) in enumerate(zip(foundation.blocks, adapters, strict=True))
        )
        self.norm = _Norm(foundation.norm, types)
        self.head = PackedHead(foundation.head, types)
        self.requires_grad_(requires_grad=False)

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.pos_search.device

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Turn uint8 template crops `(B, z, z, 3 S)` into tokens `(S, B, P, C)`.

        Args:
            crops: As cut from the frame.
            boxes: `(B, 4)` the target's cx, cy, w, h in fractions of the template's side; a network
                with `template_prompt` needs it.

        Raises:
            ValueError: The boxes are missing.
        """
        tokens = self._embed(crops, self.pos_template)
        if self.foreground is None:
            return tokens
        if boxes is None:
            raise ValueError("this network needs the box in each template")
        covered = box_coverage(boxes.to(tokens.dtype), self.config.template_grid)
        return tokens + covered[..., None] * self.foreground

    def step(self, memory: Tensor, crops: Tensor) -> HeadOutput:
        """Find in uint8 search crops `(B, x, x, 3 S)` what the template tokens `(S, B, T P, C)` show."""
        search = self._embed(crops, self.pos_search)
        tokens = torch.cat((memory.to(search.dtype), search), dim=2)
        for block in self.blocks:
            tokens = block(tokens)
        normed = self.norm(tokens)
        if self.streams > 1 and self.config.stream_merge == "mean":
            merged = normed.mean(0)
        else:
            merged = normed.sum(0)
        side = self.config.search_grid
        grid = merged.view(merged.shape[0], side, side, -1).permute(0, 3, 1, 2)
        return cast(HeadOutput, self.head(grid))

    forward = step

    def _embed(self, crops: Tensor, position: Tensor) -> Tensor:
        batch, streams = crops.shape[0], crops.shape[3] // 3
        tokens: Tensor = self.stem(crops)
        return (tokens + position).view(streams, batch, tokens.shape[1], tokens.shape[2])


class PackedStem(nn.Module):
    """Normalisation and stem: uint8 crops `(B, H, W, 3 S)` to tokens `(S B, H/16 W/16, C)`."""

    def __init__(self, model: DMTrack, types: PackedTypes) -> None:
        super().__init__()
        stem = model.foundation.stem
        stride = model.config.STRIDE
        if isinstance(stem, ConvStem):
            maps, strides, padding = stem_convolutions(stem), 2, 1
        else:
            maps, strides, padding = [Affine.of(cast(nn.Conv2d, stem))], stride, 0
        dtype = types.dtype
        self.convolutions = nn.ModuleList(
            Convolution(affine, dtype, types.device, stride=strides, padding=padding) for affine in maps
        )
        self.register_buffer("mean", torch.tensor(MEAN).to(types.device, types.residual))
        self.register_buffer("std", torch.tensor(STD).to(types.device, types.residual))
        self.mean: Tensor
        self.std: Tensor

    def forward(self, crops: Tensor) -> Tensor:
        """Run all streams as one batch, the first stream's images first."""
        batch, height, width, channels = crops.shape
        apart = crops.view(batch, height, width, channels // 3, 3).permute(3, 0, 1, 2, 4)
        values = (apart.to(self.mean.dtype) / 255.0 - self.mean) / self.std
        images = values.reshape(-1, height, width, 3).permute(0, 3, 1, 2)
        for index, convolution in enumerate(self.convolutions):
            images = convolution(images if index == 0 else F.relu(images))
        return images.flatten(2).transpose(1, 2).to(self.mean.dtype)


class PackedBlock(nn.Module):
    """One transformer block on one stream, or on two with its adapters.

    Args:
        block: The frozen part.
        adapters: The trained part; None for a network that takes one stream.
        config: Shapes.
        types: How to compute.
        search_only: Return only the search tokens: the last block, whose template tokens nobody reads.
    """

    def __init__(
        self,
        block: Block,
        adapters: BlockAdapters | None,
        config: ModelConfig,
        types: PackedTypes,
        *,
        search_only: bool,
    ) -> None:
        super().__init__()
        self.heads, self.width = config.heads, config.width
        self.search_tokens, self.search_only = config.search_grid**2, search_only
        self.temporal = self.shallow = self.deep = None
        qkv, fc1 = Affine.of(block.attn.qkv), Affine.of(block.mlp.fc1)
        self.hidden = fc1.weight.shape[0]
        low = []
        if adapters is not None:
            shallow, deep = FoldedShallow.of(adapters.shallow), FoldedDeep.of(adapters.deep)
            self.temporal = PackedTemporal(
                [FoldedTemporal.of(cast(nn.Module, a)) for a in adapters.temporal], config, types
            )
            self.shallow = PackedShallow(shallow, types)
            self.deep = PackedDeep(deep, types)
            low = [shallow.down]
            fc1 = stacked(fc1, deep.down)
        tokens = config.memory_frames * config.template_grid**2 + self.search_tokens
        rows = (1 if adapters is None else 2) * tokens

        def linear(affine: Affine) -> nn.Module:
            return make_linear(affine, types.dtype, types.device, types.packing, rows=rows)

        self.norm1, self.norm2 = _Norm(block.norm1, types), _Norm(block.norm2, types)
        query, memory = qkv.rows(0, self.width), qkv.rows(self.width, 3 * self.width)
        # The last block asks for fewer tokens than it looks at, so that its keys are a product of their own.
        self.attend = linear(stacked(query, *low) if search_only else stacked(query, memory, *low))
        self.remember = linear(memory) if search_only else None
        self.project = linear(Affine.of(block.attn.proj))
        self.widen = linear(fc1)
        self.narrow = linear(Affine.of(block.mlp.fc2))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(S, B, N, C)` to `(S, B, N, C)`, or to `(S, B, F F, C)` with `search_only`."""
        streams = tokens.shape[0]
        if streams > 1 and self.temporal is not None:
            tokens = self.temporal(tokens)
        normed = self.norm1(tokens)
        if self.search_only:
            tokens = tokens[:, :, -self.search_tokens :]
        queries, keys, values, low = self._project_in(normed)
        attended = F.scaled_dot_product_attention(queries, keys, values)
        branch = self.project(attended.transpose(1, 2).flatten(2))
        tokens = tokens + branch.view(tokens.shape)
        if streams > 1 and self.shallow is not None:
            tokens = self.shallow(tokens, low)
        widened = self.widen(self.norm2(tokens))
        branch = self.narrow(F.gelu(widened[..., : self.hidden]))
        tokens = tokens + branch
        if streams > 1 and self.deep is not None:
            tokens = self.deep(tokens, widened[..., self.hidden :])
        return tokens

    def _project_in(self, normed: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return queries, keys, values `(S B, heads, N, C / heads)` and what the shallow adapter carries."""
        if self.remember is None:
            parts = self.attend(normed)
            queries, keys, values, low = parts.tensor_split(
                (self.width, 2 * self.width, 3 * self.width), dim=-1
            )
        else:
            queries, low = self.attend(normed[:, :, -self.search_tokens :]).tensor_split(
                (self.width,), dim=-1
            )
            keys, values = self.remember(normed).tensor_split((self.width,), dim=-1)
        return self._by_head(queries), self._by_head(keys), self._by_head(values), low

    def _by_head(self, tokens: Tensor) -> Tensor:
        return tokens.flatten(0, 1).unflatten(-1, (self.heads, -1)).transpose(1, 2)


class PackedTemporal(nn.Module):
    """STMA of both streams, added to the tokens."""

    def __init__(self, folded: list[FoldedTemporal], config: ModelConfig, types: PackedTypes) -> None:
        super().__init__()
        self.template_tokens = config.template_grid**2
        self.search_tokens = config.search_grid**2
        self.down = _Pair(*(f.down for f in folded), types=types)
        self.up = _PairUp(*(f.up for f in folded), types=types)
        self.register_buffer("taps", _as(torch.stack([f.taps for f in folded], dim=1), types))
        self.register_buffer("offset", _as(torch.stack([f.offset for f in folded]), types))
        self.taps: Tensor
        self.offset: Tensor

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(2, B, T P + F F, C)` to the same shape."""
        low = self.down(tokens)
        memory, search = low.tensor_split((low.shape[2] - self.search_tokens,), dim=2)
        series = memory.unflatten(2, (-1, self.template_tokens))
        padded = F.pad(series, (0, 0, 0, 0, 1, 1))
        older, same, newer = self.taps[:, :, None, None, None]
        mixed = padded[:, :, :-2] * older + series * same + padded[:, :, 2:] * newer
        mixed = mixed + self.offset[:, None, None, None]
        low = torch.cat((mixed.flatten(2, 3), search), dim=2)
        out: Tensor = self.up(tokens, low)
        return out


class PackedShallow(nn.Module):
    """The way up of shallow PMCA: what each stream carries is added to the other."""

    def __init__(self, folded: FoldedShallow, types: PackedTypes) -> None:
        super().__init__()
        self.up = _PairUp(folded.up, folded.up, types=types)

    def forward(self, tokens: Tensor, low: Tensor) -> Tensor:
        """Add to `(2, B, N, C)` what `low` `(2, B, N, s + 1)` of the other stream says."""
        out: Tensor = self.up(tokens, low.flip(0).to(tokens.dtype))
        return out


class PackedDeep(nn.Module):
    """Deep PMCA of both directions in one batch."""

    def __init__(self, folded: FoldedDeep, types: PackedTypes) -> None:
        super().__init__()
        self.inner = folded.judge.bias.shape[0]
        self.from_pair = _Pair(*folded.from_pair, types=types)
        self.judge = _Pair(folded.judge, folded.judge, types=types)
        self.key = _Pair(*folded.key, types=types)
        self.up = _PairUp(*folded.up, types=types)

    def forward(self, tokens: Tensor, low: Tensor) -> Tensor:
        """Add to `(2, B, N, C)` what `low` `(2, B, N, d)`, each stream's own, says about both."""
        own = low.to(tokens.dtype)
        pair = self.from_pair(torch.cat((own, own.flip(0)), dim=-1))
        judged, query, other, difference = pair.tensor_split(
            (self.inner, 2 * self.inner + 1, 3 * self.inner + 2), dim=-1
        )
        relation = torch.softmax(self.judge(F.gelu(judged)), dim=-1)
        first = torch.sigmoid(query * self.key(own - own * relation))
        out: Tensor = self.up(tokens, torch.addcmul(other, first, difference))
        return out


class _Pair(nn.Module):
    """Two maps, one for each stream, of tokens `(2, B, N, in)`."""

    def __init__(self, first: Affine, second: Affine, *, types: PackedTypes) -> None:
        super().__init__()
        self.register_buffer("weight", _as(torch.stack((first.weight.t(), second.weight.t())), types))
        self.register_buffer("bias", _as(torch.stack((first.bias, second.bias))[:, None], types))
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        out = torch.baddbmm(self.bias, x.flatten(1, 2), self.weight)
        return out.view(*x.shape[:3], -1)


class _PairUp(nn.Module):
    """Two maps, one for each stream, added to tokens `(2, B, N, C)`; the bias is in the last input."""

    def __init__(self, first: Tensor, second: Tensor, *, types: PackedTypes) -> None:
        super().__init__()
        self.register_buffer("weight", _as(torch.stack((first.t(), second.t())), types))
        self.weight: Tensor

    def forward(self, tokens: Tensor, low: Tensor) -> Tensor:
        flat = tokens.flatten(1, 2)
        return torch.baddbmm(flat, low.flatten(1, 2), self.weight).view(tokens.shape)


class _Norm(nn.Module):
    """LayerNorm over the channels, in the residual's type."""

    def __init__(self, norm: nn.LayerNorm, types: PackedTypes) -> None:
        super().__init__()
        self.register_buffer("weight", _as(norm.weight, types))
        self.register_buffer("bias", _as(norm.bias, types))
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, NORM_EPS)


class PackedHead(nn.Module):
    """The towers of the head: their first convolutions, which read the same features, are one."""

    def __init__(self, head: CenterHead, types: PackedTypes) -> None:
        super().__init__()
        towers = [t for t in (head.score, head.offset, head.size, head.quality) if isinstance(t, Tower)]
        layers = [tower_convolutions(tower) for tower in towers]
        self.residual = types.residual
        first = stacked(*(tower[0] for tower in layers))
        self.first = Convolution(first, types.dtype, types.device, padding=1)
        self.widths = [tower[0].bias.shape[0] for tower in layers]
        self.towers = nn.ModuleList(
            nn.ModuleList(
                Convolution(affine, types.dtype, types.device, padding=1) for affine in tower[1:-1]
            )
            for tower in layers
        )
        self.last = nn.ModuleList(Convolution(tower[-1], types.residual, types.device) for tower in layers)

    def forward(self, features: Tensor) -> HeadOutput:
        """Map search features `(B, C, F, F)` to the maps."""
        first = F.relu(self.first(features))
        maps = []
        for own, tower, last in zip(first.split(self.widths, dim=1), self.towers, self.last, strict=True):
            hidden = own
            for convolution in cast(nn.ModuleList, tower):
                hidden = F.relu(convolution(hidden))
            maps.append(last(hidden.to(self.residual)))
        score, offset, size, *quality = maps
        return HeadOutput(
            _bounded(score), _bounded(size), offset, _bounded(quality[0]) if quality else None
        )


def _bounded(logits: Tensor) -> Tensor:
    return logits.sigmoid().clamp(CLAMP, 1 - CLAMP)


def _as(tensor: Tensor, types: PackedTypes) -> Tensor:
    return tensor.detach().to(types.device, types.residual).clone()
