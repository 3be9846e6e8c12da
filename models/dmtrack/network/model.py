"""`DMTrack`: a one-stream foundation, and the adapters that let it see a second stream.

Source: specification 1.1, 1.2, 1.6.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from dmtrack.config import ModelConfig
from dmtrack.network.adapters import AdapterSet, BlockAdapters
from dmtrack.network.backbone import MEAN, NORM_EPS, STD, Block, build_stem
from dmtrack.network.head import CenterHead, HeadOutput
from dmtrack.network.lite_stem import LiteStem


def normalize(crops: Tensor) -> Tensor:
    """Turn uint8 crops `(..., H, W, 3 S)` of S streams into float32 images `(..., 3 S, H, W)`."""
    mean, std = (torch.tensor(values, device=crops.device) for values in (MEAN, STD))
    return normalized(crops, mean, std)


def normalized(crops: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Do what `normalize` does, with `mean` and `std` `(3,)` on the device and in their type."""
    values = (crops.to(mean.dtype) / 255).view(*crops.shape[:-1], -1, 3)
    return ((values - mean) / std).flatten(-2).movedim(-1, -3)


class Foundation(nn.Module):
    """The one-stream tracker: everything that is frozen when adapters are trained."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.stem = LiteStem(config.width) if config.stem == "lite" else build_stem(config)
        self.pos_template = nn.Parameter(torch.zeros(1, config.template_grid**2, config.width))
        self.pos_search = nn.Parameter(torch.zeros(1, config.search_grid**2, config.width))
        self.foreground = nn.Parameter(torch.zeros(1, 1, config.width)) if config.template_prompt else None
        rates = torch.linspace(0, config.drop_path_rate, config.depth, device="cpu").tolist()
        self.blocks = nn.ModuleList(Block(config, rate) for rate in rates)
        self.norm = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.head = CenterHead(config)
        for module in self.blocks.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)


def box_coverage(boxes: Tensor, side: int) -> Tensor:
    """Return the share of each cell of a `side` x `side` grid that the boxes cover: `(B, side side)`.

    `boxes` are `(B, 4)` cx, cy, w, h in fractions of the grid's side.
    """
    edges = torch.arange(side, device=boxes.device, dtype=boxes.dtype)
    low, high = (boxes[:, :2] - boxes[:, 2:] / 2) * side, (boxes[:, :2] + boxes[:, 2:] / 2) * side
    along = torch.minimum(high[..., None], edges + 1) - torch.maximum(low[..., None], edges)
    columns, rows = along.clamp(0, 1).unbind(1)
    return (rows[:, :, None] * columns[:, None, :]).flatten(1)


def merged(streams: Tensor, config: ModelConfig, aux_share: Tensor | None = None) -> Tensor:
    """Merge the backbone outputs of one or two streams: `(S, B, N, C)` to `(B, N, C)`.

    `aux_share` `(B,)` replaces that of the configuration; merging by sum ignores it.
    """
    if streams.shape[0] == 1:
        return streams[0]
    if config.stream_merge == "sum":
        return streams.sum(0)
    if aux_share is not None:
        return streams[0].lerp(streams[1], aux_share[:, None, None].to(streams.dtype))
    return streams[0].lerp(streams[1], config.aux_share)


class DMTrack(nn.Module):
    """The whole network.

    An image of three channels runs through the foundation alone; one of six channels runs as two streams
    through the same frozen blocks, coupled by the adapters. A network for one stream has adapters None.
    """

    def __init__(self, config: ModelConfig, *, with_adapters: bool = True) -> None:
        super().__init__()
        self.config = config
        self.foundation = Foundation(config)
        self.adapters = AdapterSet(config) if with_adapters else None

    def embed_template(self, images: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Embed normalised template images `(B, 3 S, z, z)` of S streams as tokens `(S, B, P, C)`.

        `boxes` are `(B, 4)`, the target's cx, cy, w, h in fractions of the template's side; a network with
        `template_prompt` needs them, another one ignores them. `ValueError`: the boxes are missing.
        """
        tokens = self._embed(images, self.foundation.pos_template)
        foreground = self.foundation.foreground
        if foreground is None:
            return tokens
        if boxes is None:
            raise ValueError("this network needs the box in each template")
        covered = box_coverage(boxes, self.config.template_grid)
        return tokens + covered[..., None].to(tokens.dtype) * foreground

    def embed_search(self, images: Tensor) -> Tensor:
        """Embed search images `(B, 3 S, x, x)` of S streams as tokens `(S, B, F F, C)`."""
        return self._embed(images, self.foundation.pos_search)

    def forward(self, templates: Tensor, search: Tensor, template_boxes: Tensor | None = None) -> HeadOutput:
        """Track: find the target of `templates` in `search`.

        `templates` are `(B, T, 3 S, z, z)` normalised images, oldest first, of S = 1 or 2 streams, RGB first;
        `search` is `(B, 3 S, x, x)`; `template_boxes` are `(B, T, 4)`, see `embed_template`.
        """
        batch, count = templates.shape[:2]
        boxes = None if template_boxes is None else template_boxes.flatten(0, 1)
        tokens = self.embed_template(templates.flatten(0, 1), boxes)
        memory = tokens.reshape(tokens.shape[0], batch, count * tokens.shape[2], tokens.shape[3])
        return self.read_out(self.encode(memory, self.embed_search(search)))

    def encode(self, memory: Tensor, search: Tensor, aux_share: Tensor | None = None) -> Tensor:
        """Return the backbone output `(B, T P + F F, C)`: both streams normalised and `merged`."""
        tokens = torch.cat((memory, search), dim=2)
        templates = memory.shape[2] // self.config.template_grid**2
        norm = self.foundation.norm
        if tokens.shape[0] == 1:
            stream = tokens[0]
            for block in self.foundation.blocks:
                stream = block(stream)
            alone: Tensor = norm(stream)
            return alone
        if self.adapters is None:
            raise ValueError("two streams need a network with adapters")
        for block, adapters in zip(self.foundation.blocks, self.adapters, strict=True):
            tokens = cast(Block, block).forward_pair(tokens, cast(BlockAdapters, adapters), templates)
        return merged(norm(tokens), self.config, aux_share)

    def read_out(self, features: Tensor) -> HeadOutput:
        """Run the head on the search part of the backbone output `(B, N, C)`."""
        side = self.config.search_grid
        grid = features[:, -side * side :].transpose(1, 2).reshape(features.shape[0], -1, side, side)
        output: HeadOutput = self.foundation.head(grid.to(self.foundation.head.dtype))
        return output

    def _embed(self, images: Tensor, position: Tensor) -> Tensor:
        streams = images.shape[1] // 3
        stacked = torch.cat(images.chunk(streams, dim=1))
        tokens: Tensor = self.foundation.stem(stacked).flatten(2).transpose(1, 2) + position
        return tokens.reshape(streams, images.shape[0], tokens.shape[1], tokens.shape[2])
