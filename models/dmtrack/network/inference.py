"""What a tracker knows of a network: templates to tokens, and one step."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from dmtrack.config import ModelConfig
from dmtrack.network.head import HeadOutput


class Network(Protocol):
    """What a tracker asks of a network.

    S streams, B targets, T templates of P tokens each, F the side of the search grid, C the token width.
    """

    @property
    def config(self) -> ModelConfig:
        """Shapes."""

    @property
    def streams(self) -> int:
        """How many streams it takes at most: 1 or 2."""

    @property
    def device(self) -> torch.device:
        """Where it wants crops and leaves maps."""

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Turn uint8 crops `(B, z, z, 3 S)` and boxes `(B, 4)` in them into tokens `(S, B, P, C)`.

        `ValueError` where the boxes are missing, and the network needs them.
        """

    def step(self, memory: Tensor, crops: Tensor) -> HeadOutput:
        """Find in uint8 crops `(B, x, x, 3 S)` what the tokens `(S, B, T P, C)` show.

        `ValueError` where there are two streams, and the network has no adapters.
        """
