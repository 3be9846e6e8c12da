"""The interface between tracker and network: embed templates, and run a step.

Arrays are PyTorch's, or NumPy's where PyTorch, which takes two seconds to load, is not needed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from dmtrack.config import ModelConfig

if TYPE_CHECKING:
    import torch

Array = Any
"""A PyTorch tensor or a NumPy array."""
Maps = Any
"""A `HeadOutput`, or its NumPy counterpart."""


@dataclass(frozen=True, slots=True)
class Device:
    """Where a network runs, in PyTorch's words but without it; arrays on such a device are NumPy's."""

    type: str
    index: int | None = None

    def __str__(self) -> str:
        """Return `cpu` or `cuda:0`."""
        return self.type if self.index is None else f"{self.type}:{self.index}"


def arrays_of(values: Array) -> Any:  # noqa: ANN401 - a module
    """Return the module of an array, NumPy or PyTorch; most functions have the same name in both."""
    return sys.modules[type(values).__module__.partition(".")[0]]


class Network(Protocol):
    """A network as a tracker uses it.

    S streams, B targets, T templates of P tokens each, F the side of the search grid, C the token width.
    """

    @property
    def config(self) -> ModelConfig:
        """Shapes."""

    @property
    def streams(self) -> int:
        """Most streams that it takes: 1 or 2."""

    @property
    def device(self) -> torch.device | Device:
        """The device on which it takes crops and returns maps."""

    def embed_template(self, crops: Array, boxes: Array | None = None) -> Array:
        """Embed uint8 crops `(B, z, z, 3 S)` with boxes `(B, 4)` in them as tokens `(S, B, P, C)`.

        `ValueError` if the network needs the boxes and they are missing.
        """

    def step(self, memory: Array, crops: Array, aux_share: Array | None = None) -> Maps:
        """Search uint8 crops `(B, x, x, 3 S)` for the templates, tokens `(S, B, T P, C)`.

        `aux_share` `(B,)` replaces the weights' share of the second stream, if streams are merged by one.
        `ValueError` for two streams if the network has no adapters.
        """
