"""The centre head: score, offset and size maps, and the boxes that they encode.

Source: specification 1.6.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dmtrack.config import ModelConfig

CLAMP = 1e-4  # score and size stay this far from 0 and 1 (specification 1.6)

SCORE_PRIOR_LOGIT = -4.0  # starting bias of the score: about one cell in fifty


class HeadOutput(NamedTuple):
    """The three maps over the search region; F is the side of the grid."""

    score_map: Tensor  # `(B, 1, F, F)` in (0, 1): is the target's centre in this cell
    size_map: Tensor  # `(B, 2, F, F)` in (0, 1): width and height as fractions of the crop side
    offset_map: Tensor  # `(B, 2, F, F)`: x and y of the centre inside the cell, in cells
    # `(B, 1, F, F)` in (0, 1): expected IoU of the cell's box with the target; None for a network without a
    # quality tower
    quality_map: Tensor | None = None

    def boxes_cxcywh_norm(self) -> Tensor:
        """Decode every cell to `(B, 4, F, F)`: centre and size as fractions of the crop side."""
        side = self.score_map.shape[-1]
        cells = torch.arange(side, device=self.score_map.device, dtype=self.offset_map.dtype)
        cx = (cells + self.offset_map[:, 0]) / side
        cy = (cells[:, None] + self.offset_map[:, 1]) / side
        return torch.stack((cx, cy, self.size_map[:, 0], self.size_map[:, 1]), dim=1)

    def peak_box(self) -> tuple[Tensor, Tensor]:
        """Return the box at the first maximum of the score map, and that maximum, `(B,)`.

        Boxes are `(B, 4)` as cx, cy, w, h in fractions of the crop side.
        """
        value, index = self.score_map.flatten(1).max(dim=1)
        return self.boxes_at(index), value

    def boxes_at(self, index: Tensor) -> Tensor:
        """Return the boxes `(B, 4)` that the cells `index` `(B,)`, counted row by row, predict."""
        boxes = self.boxes_cxcywh_norm().flatten(2)
        return boxes.gather(2, index[:, None, None].expand(-1, 4, 1)).squeeze(2)

    def quality_at(self, index: Tensor) -> Tensor:
        """Return the quality `(B,)` at the cells `index` `(B,)`; without a quality map, the score."""
        values = self.score_map if self.quality_map is None else self.quality_map
        return values.flatten(1).gather(1, index[:, None]).squeeze(1)


class Tower(nn.Sequential):
    """Four 3x3 convolutions with batch norm and ReLU, halving the width, then a 1x1 convolution."""

    def __init__(self, width: int, head_width: int, out_channels: int) -> None:
        widths = (width, head_width, head_width // 2, head_width // 4, head_width // 8)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers.append(
                nn.Sequential(
                    nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
                )
            )
        super().__init__(*layers, nn.Conv2d(widths[-1], out_channels, 1))


class CenterHead(nn.Module):
    """Three towers of the same structure with separate weights; a narrower fourth for the quality."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.score = Tower(config.width, config.head_width, 1)
        self.offset = Tower(config.width, config.head_width, 2)
        self.size = Tower(config.width, config.head_width, 2)
        self.quality = Tower(config.width, config.head_width // 2, 1) if config.quality_head else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        # When training from scratch, a score of one half everywhere would dominate the first thousand steps.
        last = self.score[-1]
        if isinstance(last, nn.Conv2d) and last.bias is not None:
            nn.init.constant_(last.bias, SCORE_PRIOR_LOGIT)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights: float32 even where the backbone runs in bfloat16."""
        return next(self.score.parameters()).dtype

    def forward(self, features: Tensor) -> HeadOutput:
        """Map search features `(B, C, F, F)` to the three maps, in float32 or wider."""
        score = _at_least_float32(self.score(features)).sigmoid().clamp(CLAMP, 1 - CLAMP)
        size = _at_least_float32(self.size(features)).sigmoid().clamp(CLAMP, 1 - CLAMP)
        offset = _at_least_float32(self.offset(features))
        if self.quality is None:
            return HeadOutput(score, size, offset)
        quality = _at_least_float32(self.quality(features)).sigmoid().clamp(CLAMP, 1 - CLAMP)
        return HeadOutput(score, size, offset, quality)


def _at_least_float32(maps: Tensor) -> Tensor:
    """Convert half precision to float32: in it, neighbouring scores near 1 are equal."""
    return maps if maps.dtype == torch.float64 else maps.float()
