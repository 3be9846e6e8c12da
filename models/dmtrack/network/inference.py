"""What a tracker knows of a network: templates to tokens, and one step.

Its arrays are PyTorch's, or NumPy's where PyTorch, which takes two seconds to load, is not needed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from dmtrack.config import ModelConfig

if TYPE_CHECKING:
    import torch

Array = Any
"""Of PyTorch or NumPy."""
Maps = Any
"""A `HeadOutput`, or the same in NumPy: maps and what reads them."""


@dataclass(frozen=True, slots=True)
class Device:
    """Where a network runs, by the words of PyTorch, without it; arrays on one are NumPy's."""

    type: str
    index: int | None = None

    def __str__(self) -> str:
        """Return `cpu` or `cuda:0`."""
        return self.type if self.index is None else f"{self.type}:{self.index}"


def arrays_of(values: Array) -> Any:  # noqa: ANN401 - a module
    """Return NumPy or PyTorch, whichever an array is of: most functions have the same name in both."""
    return sys.modules[type(values).__module__.partition(".")[0]]


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
    def device(self) -> torch.device | Device:
        """Where it wants crops and leaves maps."""

    def embed_template(self, crops: Array, boxes: Array | None = None) -> Array:
        """Turn uint8 crops `(B, z, z, 3 S)` and boxes `(B, 4)` in them into tokens `(S, B, P, C)`.

        `ValueError` where the boxes are missing, and the network needs them.
        """

    def step(self, memory: Array, crops: Array, aux_share: Array | None = None) -> Maps:
        """Find in uint8 crops `(B, x, x, 3 S)` what the tokens `(S, B, T P, C)` show.

        `aux_share` `(B,)` is taken for that of the weights, where two streams are merged by it.
        `ValueError` where there are two streams, and the network has no adapters.
        """
