"""What a tracker knows of a network: templates to tokens, and one step."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from dmtrack.config import ModelConfig
from dmtrack.network.head import HeadOutput
from dmtrack.network.model import DMTrack, normalize


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
        """Turn uint8 crops `(B, z, z, 3 S)` and boxes `(B, 4)` in them into tokens `(S, B, P, C)`."""

    def step(self, memory: Tensor, crops: Tensor) -> HeadOutput:
        """Find in uint8 crops `(B, x, x, 3 S)` what the tokens `(S, B, T P, C)` show."""


class PlainNetwork:
    """A `DMTrack` run as it was trained.

    Args:
        model: On its device, in eval mode.
    """

    def __init__(self, model: DMTrack) -> None:
        self.model = model
        self.config = model.config
        self.streams = 1 if model.adapters is None else 2
        position = model.foundation.pos_search
        self.device, self._dtype = position.device, position.dtype

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """See `Network`."""
        return self.model.embed_template(normalize(crops).to(self._dtype), boxes)

    def step(self, memory: Tensor, crops: Tensor) -> HeadOutput:
        """See `Network`."""
        return self.model.forward_tokens(memory, self.model.embed_search(normalize(crops).to(self._dtype)))
