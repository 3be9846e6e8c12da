"""From uint8 crops to what the network eats.

Source: specification 3.3.
"""

from __future__ import annotations

import torch
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalize(crops: Tensor) -> Tensor:
    """Turn uint8 crops `(..., H, W, 3 S)` into float32 images `(..., 3 S, H, W)`.

    `(value / 255 - mean) / std`, with the same ImageNet mean and std for each of the S streams.
    """
    streams = crops.shape[-1] // 3
    mean = torch.tensor(MEAN * streams, device=crops.device)
    std = torch.tensor(STD * streams, device=crops.device)
    return ((crops.float() / 255.0 - mean) / std).movedim(-1, -3)
