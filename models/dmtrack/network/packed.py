"""`PackedNetwork`: a trained `DMTrack` rearranged for inference, the same function with less work.

Both streams run as one batch; the low-rank maps of the adapters are merged into as few small products as
algebra allows (`folding`); the last block computes only what the head reads; batch norms are folded into
convolutions. The residual stream and the adapters stay in float32 whatever the precision of the big
products: they cost little, and half precision there is what moves boxes.

S streams (1 or 2), B batch, N tokens of a stream, C width.

Source: specification 1.1-1.6, and the algebra in `folding`.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmtrack.config import ModelConfig
from dmtrack.network.adapters import BlockAdapters, SpatioTemporalAdapter
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
from dmtrack.network.kernels import ConvolutionShape, Kernels
from dmtrack.network.model import DMTrack, box_coverage
from dmtrack.network.preprocess import MEAN, STD


class PackedNetwork(nn.Module):
    """An inference-only copy of `DMTrack`, fed with uint8 crops.

    Args:
        model: The trained network; it is not changed.
        kernels: How to compute.
    """

    def __init__(self, model: DMTrack, kernels: Kernels) -> None:
        super().__init__()
        self.config = model.config
        self.streams = 1 if model.adapters is None else 2
        foundation = model.foundation
        self.stem = PackedStem(model, kernels)
        self.register_buffer("pos_template", kernels.constant(foundation.pos_template))
        self.register_buffer("pos_search", kernels.constant(foundation.pos_search))
        self.pos_template: Tensor
        self.pos_search: Tensor
        foreground = foundation.foreground
        self.register_buffer("foreground", None if foreground is None else kernels.constant(foreground))
        self.foreground: Tensor | None
        adapters = [None] * self.config.depth if model.adapters is None else list(model.adapters)
        self.blocks = nn.ModuleList(
            PackedBlock(
                cast(Block, block),
                cast("BlockAdapters | None", own),
                self.config,
                kernels,
                search_only=index == self.config.depth - 1,
            )
            for index, (block, own) in enumerate(zip(foundation.blocks, adapters, strict=True))
        )
        self.norm = _Norm(foundation.norm, kernels)
        self.head = PackedHead(foundation.head, self.config, kernels)

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
        """Find in uint8 search crops `(B, x, x, 3 S)` what the template tokens `(S, B, T P, C)` show.

        Raises:
            ValueError: There are two streams, and the network has no adapters.
        """
        if memory.shape[0] > self.streams:
            raise ValueError("two streams need a network with adapters")
        search = self._embed(crops, self.pos_search)
        tokens = torch.cat((memory, search), dim=2)
        for block in self.blocks:
            tokens = block(tokens)
        normed = self.norm(tokens)
        merged = normed.sum(0) if self.config.stream_merge == "sum" else normed.mean(0)
        side = self.config.search_grid
        grid = merged.view(merged.shape[0], side, side, -1).permute(0, 3, 1, 2)
        return cast(HeadOutput, self.head(grid))

    forward = step

    def _embed(self, crops: Tensor, position: Tensor) -> Tensor:
        batch, streams = crops.shape[0], crops.shape[3] // 3
        tokens: Tensor = self.stem(crops) + position
        return tokens.view(streams, batch, tokens.shape[1], tokens.shape[2])


class PackedStem(nn.Module):
    """Normalisation and stem: uint8 crops `(B, H, W, 3 S)` to tokens `(S B, H/16 W/16, C)`."""

    def __init__(self, model: DMTrack, kernels: Kernels) -> None:
        super().__init__()
        stem, side = model.foundation.stem, model.config.search_size
        if isinstance(stem, ConvStem):
            maps = stem_convolutions(stem)
            shapes = [ConvolutionShape(stride=2, relu=index < len(maps) - 1) for index in range(len(maps))]
        else:
            maps = [Affine.of(cast(nn.Conv2d, stem))]
            shapes = [ConvolutionShape(stride=model.config.STRIDE, padding=0, relu=False)]
        self.convolutions = nn.Sequential()
        for affine, shape in zip(maps, shapes, strict=True):
            self.convolutions.append(kernels.convolution(affine, side, shape))
            side //= shape.stride
        mean, std = torch.tensor(MEAN, dtype=torch.float64), torch.tensor(STD, dtype=torch.float64)
        self.register_buffer("scale", kernels.constant(1 / (255 * std)))
        self.register_buffer("shift", kernels.constant(-mean / std))
        self.scale: Tensor
        self.shift: Tensor

    def forward(self, crops: Tensor) -> Tensor:
        """Run all streams as one batch, the first stream's images first."""
        batch, height, width, channels = crops.shape
        apart = crops.view(batch, height, width, channels // 3, 3).permute(3, 0, 1, 2, 4)
        # Whole rows at a time: channels alone are too short to compute on quickly.
        rows = apart.reshape(-1, height, 3 * width).to(self.scale.dtype)
        values = torch.addcmul(self.shift.repeat(width), rows, self.scale.repeat(width))
        images = values.view(-1, height, width, 3).permute(0, 3, 1, 2)
        tokens: Tensor = self.convolutions(images)
        return tokens.flatten(2).transpose(1, 2).to(self.scale.dtype)


class PackedBlock(nn.Module):
    """One transformer block on one stream, or on two with its adapters.

    Args:
        block: The frozen part.
        adapters: The trained part; None for a network that takes one stream.
        config: Shapes.
        kernels: How to compute.
        search_only: Return only the search tokens: the last block, whose template tokens nobody reads.
    """

    def __init__(
        self,
        block: Block,
        adapters: BlockAdapters | None,
        config: ModelConfig,
        kernels: Kernels,
        *,
        search_only: bool,
    ) -> None:
        super().__init__()
        self.heads, self.width = config.heads, config.width
        self.search_tokens, self.search_only = config.search_grid**2, search_only
        streams = 1 if adapters is None else 2
        rows = streams * (config.memory_frames * config.template_grid**2 + self.search_tokens)
        self.norm1, self.norm2 = _Norm(block.norm1, kernels), _Norm(block.norm2, kernels)
        qkv = Affine.of(block.attn.qkv)
        query, key_value = qkv.rows(0, self.width), qkv.rows(self.width, 3 * self.width)
        low: list[Affine] = []
        self.temporal = self.shallow = self.deep = None
        if adapters is not None:
            shallow = FoldedShallow.of(adapters.shallow)
            low = [shallow.down]
            self.temporal = PackedTemporal(adapters, config, kernels)
            self.shallow = _PairUp(shallow.up, shallow.up, kernels)
            self.deep = PackedDeep(FoldedDeep.of(adapters.deep), kernels)
        # The last block asks for fewer tokens than it looks at, so its keys are a product of their own.
        asked = (query, *low) if search_only else (query, key_value, *low)
        self.ask = kernels.linear(stacked(*asked), rows)
        self.look = kernels.linear(key_value, rows) if search_only else None
        self.project = kernels.linear(Affine.of(block.attn.proj), rows)
        self.widen = kernels.linear(Affine.of(block.mlp.fc1), rows)
        self.narrow = kernels.linear(Affine.of(block.mlp.fc2), rows)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(S, B, N, C)` to `(S, B, N, C)`, or to `(S, B, F F, C)` with `search_only`."""
        coupled = tokens.shape[0] > 1
        if coupled and self.temporal is not None:
            tokens = self.temporal(tokens)
        normed = self.norm1(tokens)
        if self.search_only:
            tokens = tokens[:, :, -self.search_tokens :]
        attended, low = self._attend(normed)
        tokens = tokens + self.project(attended).view(tokens.shape).to(tokens.dtype)
        if coupled and self.shallow is not None:
            tokens = self.shallow(tokens, low.flip(0).to(tokens.dtype))
        normed = self.norm2(tokens)
        tokens = tokens.add_(self.narrow(F.gelu(self.widen(normed))))
        if coupled and self.deep is not None:
            tokens = self.deep(tokens, normed)
        return tokens

    def _attend(self, normed: Tensor) -> tuple[Tensor, Tensor]:
        """Return `(S B, n, C)` what the tokens found, and `(S, B, n, s)` what the shallow adapter carries."""
        if self.look is None:
            asked = self.ask(normed)
            query, key, value, low = asked.tensor_split([self.width * part for part in (1, 2, 3)], dim=-1)
        else:
            asked = self.ask(normed[:, :, -self.search_tokens :])
            query, low = asked.tensor_split([self.width], dim=-1)
            key, value = self.look(normed).tensor_split([self.width], dim=-1)
        found = F.scaled_dot_product_attention(self._by_head(query), self._by_head(key), self._by_head(value))
        return found.transpose(1, 2).flatten(2), low

    def _by_head(self, tokens: Tensor) -> Tensor:
        return tokens.flatten(0, 1).unflatten(-1, (self.heads, -1)).transpose(1, 2)


class PackedTemporal(nn.Module):
    """STMA of both streams, added to the tokens."""

    def __init__(self, adapters: BlockAdapters, config: ModelConfig, kernels: Kernels) -> None:
        super().__init__()
        rgb, aux = (FoldedTemporal.of(cast(SpatioTemporalAdapter, a)) for a in adapters.temporal)
        self.template_tokens, self.search_tokens = config.template_grid**2, config.search_grid**2
        self.down = _Pair(rgb.down, aux.down, kernels)
        self.up = _PairUp(rgb.up, aux.up, kernels)
        # One factor a stream and channel, for tokens of the shape (2, B, T, P, t).
        taps = torch.stack((rgb.taps, aux.taps), dim=1)[:, :, None, None, None]
        offset = torch.stack((rgb.offset, aux.offset))[:, None, None, None]
        self.register_buffer("taps", kernels.constant(taps))
        self.register_buffer("offset", kernels.constant(offset))
        self.taps: Tensor
        self.offset: Tensor

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(2, B, T P + F F, C)` to a new tensor of the same shape."""
        low = self.down(tokens)
        memory, search = low.tensor_split([low.shape[2] - self.search_tokens], dim=2)
        series = memory.unflatten(2, (-1, self.template_tokens))
        older, same, newer = self.taps
        padded = F.pad(series, (0, 0, 0, 0, 1, 1))
        mixed = torch.addcmul(self.offset, series, same)
        mixed = mixed + padded[:, :, :-2] * older + padded[:, :, 2:] * newer
        out: Tensor = self.up(tokens, torch.cat((mixed.flatten(2, 3), search), dim=2))
        return out


class PackedDeep(nn.Module):
    """Deep PMCA of both directions in one batch, added to the tokens."""

    def __init__(self, folded: FoldedDeep, kernels: Kernels) -> None:
        super().__init__()
        self.down = _Pair(folded.down, folded.down, kernels)
        self.from_pair = _Pair(*folded.from_pair, kernels)
        self.judge = _Pair(folded.judge, folded.judge, kernels)
        self.key = _Pair(*folded.key, kernels)
        self.up = _PairUp(*folded.up, kernels)

    def forward(self, tokens: Tensor, normed: Tensor) -> Tensor:
        """Map `(2, B, N, C)`, and the same normalised, to a new tensor of the same shape."""
        own = self.down(normed)
        pair: Tensor = self.from_pair(torch.cat((own, own.flip(0)), dim=-1))
        judged, query, other, difference = pair.chunk(4, dim=-1)
        relation = torch.softmax(self.judge(F.gelu(judged)), dim=-1)
        first = torch.sigmoid(query * self.key(own - own * relation))
        out: Tensor = self.up(tokens, torch.addcmul(other, first, difference))
        return out


class _Pair(nn.Module):
    """Two maps, one for each stream, of tokens `(2, B, N, in)`."""

    def __init__(self, rgb: Affine, aux: Affine, kernels: Kernels) -> None:
        super().__init__()
        self.register_buffer("weight", kernels.constant(torch.stack((rgb.weight.t(), aux.weight.t()))))
        self.register_buffer("bias", kernels.constant(torch.stack((rgb.bias, aux.bias))[:, None]))
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x.flatten(1, 2), self.weight).view(*x.shape[:3], -1)


class _PairUp(nn.Module):
    """Two maps, one for each stream, of `(2, B, N, in)`, added to tokens `(2, B, N, C)`."""

    def __init__(self, rgb: Affine, aux: Affine, kernels: Kernels) -> None:
        super().__init__()
        self.map = _Pair(rgb, aux, kernels)

    def forward(self, tokens: Tensor, low: Tensor) -> Tensor:
        out = torch.baddbmm(tokens.flatten(1, 2), low.flatten(1, 2), self.map.weight)
        return out.add_(self.map.bias).view(tokens.shape)


class _Norm(nn.Module):
    """LayerNorm over the channels, in the type of the residual stream."""

    def __init__(self, norm: nn.LayerNorm, kernels: Kernels) -> None:
        super().__init__()
        self.register_buffer("weight", kernels.constant(norm.weight))
        self.register_buffer("bias", kernels.constant(norm.bias))
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, NORM_EPS)


class PackedHead(nn.Module):
    """The towers of the head; their first convolutions, which read the same features, are one."""

    def __init__(self, head: CenterHead, config: ModelConfig, kernels: Kernels) -> None:
        super().__init__()
        towers = [
            tower_convolutions(tower)
            for tower in (head.score, head.offset, head.size, head.quality)
            if isinstance(tower, Tower)
        ]
        side, inner = config.search_grid, ConvolutionShape()
        self.residual = kernels.residual
        self.widths = [len(tower[0].bias) for tower in towers]
        self.first = kernels.convolution(stacked(*(tower[0] for tower in towers)), side, inner)
        self.middle = nn.ModuleList(
            nn.Sequential(*(kernels.convolution(affine, side, inner) for affine in tower[1:-1]))
            for tower in towers
        )
        # Neighbouring scores near 1 are equal in half precision, so the last products are not in it.
        self.last = nn.ModuleList(_Pixelwise(tower[-1], kernels) for tower in towers)

    def forward(self, features: Tensor) -> HeadOutput:
        """Map search features `(B, C, F, F)` to the maps."""
        parts = self.first(features).split(self.widths, dim=1)
        score, offset, size, *quality = (
            last(middle(part).to(self.residual))
            for part, middle, last in zip(parts, self.middle, self.last, strict=True)
        )
        return HeadOutput(_bounded(score), _bounded(size), offset, _bounded(quality[0]) if quality else None)


class _Pixelwise(nn.Module):
    """A 1x1 convolution, as the matrix product that it is."""

    def __init__(self, affine: Affine, kernels: Kernels) -> None:
        super().__init__()
        self.register_buffer("weight", kernels.constant(affine.weight.flatten(1)))
        self.register_buffer("bias", kernels.constant(affine.bias))
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.permute(0, 2, 3, 1), self.weight, self.bias).permute(0, 3, 1, 2)


def _bounded(logits: Tensor) -> Tensor:
    return logits.sigmoid().clamp(CLAMP, 1 - CLAMP)
