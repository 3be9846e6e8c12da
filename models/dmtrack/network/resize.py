"""Fit learned position embeddings to another grid, so that training may go from small crops to large."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

from dmtrack.config import ModelConfig

_GRIDS = {"foundation.pos_template": "template_grid", "foundation.pos_search": "search_grid"}


def resize_positions(tensors: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Return the tensors with position embeddings `(1, n n, C)` resampled to the grids of `config`.

    Embeddings that already fit are returned as they are.
    """
    resized = dict(tensors)
    for name, grid_name in _GRIDS.items():
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
