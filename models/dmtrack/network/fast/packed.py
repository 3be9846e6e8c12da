"""`PackedNetwork`: a trained `DMTrack` rearranged for inference, the same function with less work.

Both streams run as one batch; the low-rank maps of the adapters are merged into as few small products as
algebra allows (`folding`); the last block computes only what the head reads; batch norms are folded into
convolutions.

Whatever the precision of the big products, the residual stream, the adapters, the stem and all but the first
layer of the head stay in float32: they cost little, and half precision in stem and head moved boxes three
times as far as in all the blocks together (0.08 px a step against 0.026 px, bundled weights, real clips).

S streams (1 or 2), B batch, N tokens of a stream, C width.

Source: specification 1.1-1.6, and the algebra in `folding`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmtrack.config import ModelConfig
from dmtrack.network.adapters import BlockAdapters, SpatioTemporalAdapter
from dmtrack.network.backbone import MEAN, NORM_EPS, STD, Block, ConvStem
from dmtrack.network.fast.folding import (
    Affine,
    FoldedDeep,
    FoldedShallow,
    FoldedTemporal,
    folded_convolution,
    stacked,
    stem_convolutions,
    tower_convolutions,
)
from dmtrack.network.fast.kernels import ConvolutionShape, Kernels
from dmtrack.network.head import CLAMP, CenterHead, HeadOutput, Tower
from dmtrack.network.lite_stem import LiteBlock, LiteConvolution, LiteStem
from dmtrack.network.model import DMTrack, box_coverage, merged


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
        owed = torch.zeros(2, self.config.width, dtype=torch.float64, device=foundation.pos_search.device)
        self.blocks = nn.ModuleList()
        for index, (block, own) in enumerate(zip(foundation.blocks, adapters, strict=True)):
            parts = _BlockParts(cast(Block, block), cast("BlockAdapters | None", own), owed)
            last = index == self.config.depth - 1
            packed = PackedBlock(parts, self.config, kernels, search_only=last)
            self.blocks.append(packed)
            owed = packed.owes(parts)
        self.register_buffer("owed", kernels.constant(owed[:, None]))
        self.owed: Tensor
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
        streams, batch = memory.shape[:2]
        search = self._embed(crops, self.pos_search)
        tokens = torch.cat((memory, search), dim=2).flatten(1, 2)
        for block in self.blocks:
            tokens = block(tokens, batch)
        if streams > 1:
            tokens = tokens + self.owed
        features = merged(self.norm(tokens), self.config)
        side = self.config.search_grid
        return cast(HeadOutput, self.head(features.view(batch, side, side, -1).permute(0, 3, 1, 2)))

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
        self.lite: PackedLite | None = None
        if isinstance(stem, LiteStem):
            self.lite = PackedLite(stem, side, kernels)
            stem = stem.conv
        if isinstance(stem, ConvStem):
            maps = stem_convolutions(stem)
            shapes = [ConvolutionShape(stride=2, relu=index < len(maps) - 1) for index in range(len(maps))]
        else:
            maps = [Affine.of(cast(nn.Conv2d, stem))]
            shapes = [ConvolutionShape(stride=model.config.STRIDE, padding=0, relu=False)]
        self.convolutions = nn.Sequential()
        for affine, shape in zip(maps, shapes, strict=True):
            self.convolutions.append(kernels.exact.convolution(affine, side, shape))
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
        if self.lite is not None:
            tokens = tokens.add_(self.lite(rows, height, width))
        return tokens.flatten(2).transpose(1, 2).to(self.scale.dtype)


class PackedLite(nn.Module):
    """What a `LiteStem` adds to its convolutions."""

    def __init__(self, stem: LiteStem, side: int, kernels: Kernels) -> None:
        super().__init__()
        self.first = _LiteLayer(stem.first, side, kernels)
        self.early, side = _lite_blocks(stem.early, side // 2, kernels)
        kernels = kernels.exact
        fine = ConvolutionShape(stride=2, relu=False)
        self.fine = kernels.convolution(Affine.of(stem.fine), side, fine)
        self.late, side = _lite_blocks(stem.late, side, kernels)
        project = ConvolutionShape(padding=0, relu=False)
        self.project = kernels.convolution(Affine.of(stem.project), side, project)

    def forward(self, rows: Tensor, height: int, width: int) -> Tensor:
        """Map rows of pixel values in 0 .. 255, `(B, H, 3 W)`, to `(B, C, H / 16, W / 16)`."""
        images = ((rows - 127.0) * (1 / 128)).view(-1, height, width, 3).permute(0, 3, 1, 2)
        fine = self.early(self.first(images))
        out: Tensor = self.fine(fine) + self.project(self.late(fine))
        return out


def _lite_blocks(blocks: nn.Sequential, side: int, kernels: Kernels) -> tuple[nn.Sequential, int]:
    """Return the packed blocks, and the side of the images after them."""
    packed = nn.Sequential()
    for block in blocks:
        layers = nn.Sequential()
        for layer in cast(LiteBlock, block).layers:
            layers.append(_LiteLayer(cast(LiteConvolution, layer), side, kernels))
            side //= cast(nn.Conv2d, cast(LiteConvolution, layer)[0]).stride[0]
        packed.append(_Residual(layers) if cast(LiteBlock, block).residual else layers)
    return packed, side


class _Residual(nn.Module):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out.add_(x)


class _LiteLayer(nn.Module):
    """A `LiteConvolution` with its norm folded in."""

    def __init__(self, layer: LiteConvolution, side: int, kernels: Kernels) -> None:
        super().__init__()
        convolution = cast(nn.Conv2d, layer[0])
        self.pads = layer.pads if layer.pads[0] != layer.pads[1] else None
        shape = ConvolutionShape(
            stride=convolution.stride[0],
            padding=0 if self.pads else layer.pads[0],
            relu=layer.relu,
            ceiling=6.0,
            groups=convolution.groups,
        )
        side += sum(self.pads[:2]) if self.pads else 0
        affine = folded_convolution(convolution, cast(nn.BatchNorm2d, layer[1]))
        self.convolution = kernels.exact.convolution(affine, side, shape)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.convolution(F.pad(x, self.pads) if self.pads else x)
        return out


@dataclass(frozen=True, slots=True, eq=False)
class _BlockParts:
    """What a packed block is made from.

    Attributes:
        block: The frozen part.
        adapters: The trained part; None for a network that takes one stream.
        owed: `(2, C)` float64 constants that the tokens of each stream lack on entry.
    """

    block: Block
    adapters: BlockAdapters | None
    owed: Tensor


class PackedBlock(nn.Module):
    """One transformer block on one stream, or on two with its adapters.

    Tokens come as `(S, B N, C)`: what the adapters multiply stream by stream, and the rest as one batch.

    Args:
        parts: What is packed.
        config: Shapes.
        kernels: How to compute.
        search_only: Return only the search tokens: the last block, whose template tokens nobody reads.
    """

    def __init__(
        self, parts: _BlockParts, config: ModelConfig, kernels: Kernels, *, search_only: bool
    ) -> None:
        super().__init__()
        self.heads, self.width = config.heads, config.width
        self.search_tokens, self.search_only = config.search_grid**2, search_only
        block, adapters = parts.block, parts.adapters
        streams = 1 if adapters is None else 2
        rows = streams * (config.memory_frames * config.template_grid**2 + self.search_tokens)
        self.norm1, self.norm2 = _Norm(block.norm1, kernels), _Norm(block.norm2, kernels)
        self.attention = kernels.attention
        qkv = Affine.of(block.attn.qkv)
        query = qkv.rows(0, self.width).scaled((self.width // self.heads) ** -0.5)
        key_value = qkv.rows(self.width, 3 * self.width)
        low: list[Affine] = []
        self.temporal = self.shallow = self.deep = None
        if adapters is not None:
            shallow = FoldedShallow.of(adapters.shallow)
            low = [shallow.down]
            self.temporal = PackedTemporal(parts, config, kernels)
            self.shallow = _PairUp(shallow.up.weight, shallow.up.weight, kernels)
            self.register_buffer("shallow_bias", kernels.constant(shallow.up.bias))
            self.shallow_bias: Tensor
            self.deep = PackedDeep(FoldedDeep.of(adapters.deep), kernels)
        # The last block asks for fewer tokens than it looks at, so its keys are a product of their own.
        asked = (query, *low) if search_only else (query, key_value, *low)
        self.ask = kernels.linear(stacked(*asked), rows)
        self.look = kernels.linear(key_value, rows) if search_only else None
        self.project = kernels.linear(Affine.of(block.attn.proj), rows)
        self.widen = kernels.linear(Affine.of(block.mlp.fc1), rows, gelu=True)
        self.narrow = kernels.linear(Affine.of(block.mlp.fc2), rows)

    @staticmethod
    def owes(parts: _BlockParts) -> Tensor:
        """Return `(2, C)`: the constants of this block's deep adapter, which are left to what comes next.

        A constant in the residual stream costs nothing where the next temporal adapter adds one anyway.
        """
        if parts.adapters is None:
            return parts.owed
        return torch.stack([up.bias for up in FoldedDeep.of(parts.adapters.deep).up])

    def forward(self, tokens: Tensor, batch: int) -> Tensor:
        """Map `(S, B N, C)` to `(S, B N, C)`, or to `(S, B F F, C)` with `search_only`."""
        coupled = tokens.shape[0] > 1
        if coupled and self.temporal is not None:
            tokens = self.temporal(tokens, batch)
        normed = self.norm1(tokens)
        if self.search_only:
            tokens = self._search_part(tokens, batch)
        attended, low = self._attend(normed, batch)
        tokens = tokens.add_(self.project(attended))
        if coupled and self.shallow is not None:
            tokens = self.shallow(tokens, low.flip(0)).add_(self.shallow_bias)
        normed = self.norm2(tokens)
        tokens = tokens.add_(self.narrow(self.widen(normed)))
        if coupled and self.deep is not None:
            tokens = self.deep(tokens, normed)
        return tokens

    def _attend(self, normed: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """Return `(S, B n, C)` what the tokens found, and `(S, B n, s)` what the shallow adapter carries."""
        if self.look is None:
            asked = self.ask(normed)
            query, key, value = self._by_head(asked[..., : 3 * self.width], batch, 3)
            low = asked[..., 3 * self.width :]
        else:
            asked = self.ask(self._search_part(normed, batch))
            (query,) = self._by_head(asked[..., : self.width], batch, 1)
            key, value = self._by_head(self.look(normed), batch, 2)
            low = asked[..., self.width :]
        found = self.attention(query, key, value)
        return found.transpose(1, 2).reshape(asked.shape[0], asked.shape[1], self.width), low

    def _by_head(self, tokens: Tensor, batch: int, parts: int) -> tuple[Tensor, ...]:
        """Turn `(S, B n, parts C)` into `parts` of `(S B, heads, n, C / heads)`."""
        count = tokens.shape[1] // batch
        shaped = tokens.view(-1, count, parts, self.heads, self.width // self.heads)
        return shaped.permute(2, 0, 3, 1, 4).unbind(0)

    def _search_part(self, tokens: Tensor, batch: int) -> Tensor:
        streams, count, width = tokens.shape
        apart = tokens.view(streams, batch, count // batch, width)[:, :, -self.search_tokens :]
        return apart.reshape(streams, batch * self.search_tokens, width)


class PackedTemporal(nn.Module):
    """STMA of both streams, added to the tokens."""

    def __init__(self, parts: _BlockParts, config: ModelConfig, kernels: Kernels) -> None:
        super().__init__()
        if parts.adapters is None:
            raise ValueError("a block without adapters has no STMA")
        rgb, aux = (
            FoldedTemporal.of(cast(SpatioTemporalAdapter, adapter), owed)
            for adapter, owed in zip(parts.adapters.temporal, parts.owed, strict=True)
        )
        self.template_tokens, self.search_tokens = config.template_grid**2, config.search_grid**2
        self.down = _Pair(rgb.down, aux.down, kernels)
        self.up = _PairUp(rgb.up, aux.up, kernels)
        # One factor a stream and channel, for tokens of the shape (2, B, T P, t).
        for name, column in (("older", 0), ("same", 1), ("newer", 2)):
            taps = torch.stack((rgb.taps[column], aux.taps[column]))
            self.register_buffer(name, kernels.constant(taps[:, None, None]))
        offset = torch.stack((rgb.offset, aux.offset))[:, None, None]
        self.register_buffer("offset", kernels.constant(offset))
        self.older: Tensor
        self.same: Tensor
        self.newer: Tensor
        self.offset: Tensor

    def forward(self, tokens: Tensor, batch: int) -> Tensor:
        """Map `(2, B (T P + F F), C)` to a new tensor of the same shape."""
        low = self.down(tokens)
        apart = low.view(2, batch, -1, low.shape[2])
        memory, search = apart[:, :, : -self.search_tokens], apart[:, :, -self.search_tokens :]
        # A template's neighbours in time are P tokens away.
        step = self.template_tokens
        padded = F.pad(memory, (0, 0, step, step))
        mixed = torch.addcmul(self.offset, memory, self.same)
        mixed = torch.addcmul(mixed, padded[:, :, : -2 * step], self.older)
        mixed = torch.addcmul(mixed, padded[:, :, 2 * step :], self.newer)
        out: Tensor = self.up(tokens, torch.cat((mixed, search), dim=2).view(low.shape))
        return out


class PackedDeep(nn.Module):
    """Deep PMCA of both directions in one batch, added to the tokens but for the bias of its way up."""

    def __init__(self, folded: FoldedDeep, kernels: Kernels) -> None:
        super().__init__()
        self.down = _Pair(folded.down, folded.down, kernels)
        self.from_pair = _Pair(*folded.from_pair, kernels)
        self.judge = _Pair(folded.judge, folded.judge, kernels)
        self.key = _Pair(*folded.key, kernels)
        self.up = _PairUp(folded.up[0].weight, folded.up[1].weight, kernels)

    def forward(self, tokens: Tensor, normed: Tensor) -> Tensor:
        """Map `(2, B N, C)`, and the same normalised, to a new tensor of the same shape."""
        own = self.down(normed)
        pair: Tensor = self.from_pair(torch.cat((own, own.flip(0)), dim=2))
        judged, query, other, difference = pair.chunk(4, dim=2)
        relation = torch.softmax(self.judge(F.gelu(judged)), dim=2)
        first = (query * self.key(torch.addcmul(own, own, relation, value=-1))).sigmoid_()
        out: Tensor = self.up(tokens, torch.addcmul(other, first, difference))
        return out


class _Pair(nn.Module):
    """Two maps, one for each stream, of tokens `(2, M, in)`."""

    def __init__(self, rgb: Affine, aux: Affine, kernels: Kernels) -> None:
        super().__init__()
        self.register_buffer("weight", kernels.constant(torch.stack((rgb.weight.t(), aux.weight.t()))))
        self.register_buffer("bias", kernels.constant(torch.stack((rgb.bias, aux.bias))[:, None]))
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class _PairUp(nn.Module):
    """Two linear maps `(C, in)`, one for each stream, of `(2, M, in)`, added to tokens `(2, M, C)`."""

    def __init__(self, rgb: Tensor, aux: Tensor, kernels: Kernels) -> None:
        super().__init__()
        self.register_buffer("weight", kernels.constant(torch.stack((rgb.t(), aux.t()))))
        self.weight: Tensor

    def forward(self, tokens: Tensor, low: Tensor) -> Tensor:
        return torch.baddbmm(tokens, low.to(tokens.dtype), self.weight)


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
            nn.Sequential(*(kernels.exact.convolution(affine, side, inner) for affine in tower[1:-1]))
            for tower in towers
        )
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
