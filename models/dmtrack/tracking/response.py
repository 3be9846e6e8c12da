"""From the head's maps to one cell: Hann window, size penalty, peak."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dmtrack.config import TrackerConfig
from dmtrack.network.head import HeadOutput


def hann_window(side: int, device: torch.device) -> Tensor:
    """Return the `(F, F)` window `0.5 (1 - cos(2 pi k / (F + 1)))`, k = 1..F, on both axes.

    Source: specification 3.4, step 4.
    """
    k = torch.arange(1, side + 1, dtype=torch.float32, device=device)
    axis = 0.5 * (1 - torch.cos((2 * torch.pi / (side + 1)) * k))
    return axis[:, None] * axis[None, :]


@dataclass(frozen=True, slots=True)
class Peak:
    """The chosen cell of each target."""

    boxes_cxcywh_norm: Tensor  # `(B, 4)` as fractions of the crop side
    # `(B,)` confidence in [0, 1]: the quality that the network expects of the box, or what the score map says
    # where the network has no quality tower
    scores: Tensor


def _change(ratio: Tensor) -> Tensor:
    return torch.maximum(ratio, 1 / ratio)


def size_penalty(output: HeadOutput, previous_wh_norm: Tensor, strength: float) -> Tensor:
    """Return `exp(-k (scale change x aspect change - 1))` for every cell: `(B, 1, F, F)`.

    `previous_wh_norm` are `(B, 2)` previous width and height as fractions of the crop side, `strength` is k.

    Source: the penalty of SiamRPN (Li et al., CVPR 2018), on each cell's own predicted size.
    """
    width, height = output.size_map[:, :1], output.size_map[:, 1:]
    before_w = previous_wh_norm[:, 0, None, None, None]
    before_h = previous_wh_norm[:, 1, None, None, None]
    scale = _change(((width * height) / (before_w * before_h)).sqrt())
    aspect = _change((width / height) / (before_w / before_h))
    return torch.exp(-strength * (scale * aspect - 1))


def choose_peak(output: HeadOutput, window: Tensor, previous_wh_norm: Tensor, config: TrackerConfig) -> Peak:
    """Choose the cell of each target and decode its box.

    With `multiply` (published) the confidence is the windowed maximum; with `add` it is the chosen
    cell's own score, so that it does not depend on how far the target moved.
    """
    if config.window == "multiply":
        values, index = (window * output.score_map).flatten(1).max(dim=1)
        return Peak(
            output.boxes_at(index), values if output.quality_map is None else output.quality_at(index)
        )
    score = output.score_map
    if config.size_penalty > 0:
        score = score * size_penalty(output, previous_wh_norm, config.size_penalty)
    response = (1 - config.window_weight) * score + config.window_weight * window
    index = response.flatten(1).argmax(dim=1)
    return Peak(output.boxes_at(index), output.quality_at(index))
