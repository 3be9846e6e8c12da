"""`MemoryFrames`: the last T templates of one target, in constant memory however long the video."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor


class MemoryFrames:
    """A ring of embedded templates.

    The published tracker keeps a template for every frame of the video and feeds the last T of them; a
    ring of T gives the same templates (specification 3.5). With capacity 1 the first template stays.

    Args:
        capacity: T.
        anchor: Keep the first template for ever in the oldest place; the ring holds the other T - 1.
    """

    def __init__(self, capacity: int, *, anchor: bool = False) -> None:
        if capacity < 1:
            raise ValueError(f"capacity {capacity} is below 1")
        self.capacity = capacity
        self._keeps_first = anchor or capacity == 1
        self._first: Tensor | None = None
        self._recent: deque[Tensor] = deque(maxlen=capacity - 1 if self._keeps_first else capacity)

    def __len__(self) -> int:
        """Number of templates held, at most `capacity`."""
        return len(self._templates())

    def push(self, tokens: Tensor) -> None:
        """Append the tokens of one template, `(S, P, C)`."""
        if self._keeps_first and self._first is None:
            self._first = tokens
        else:
            self._recent.append(tokens)

    def stacked(self) -> Tensor:
        """Return the tokens of all templates, oldest first: `(S, T P, C)`."""
        return torch.cat(self._templates(), dim=1)

    def _templates(self) -> list[Tensor]:
        first = [] if self._first is None else [self._first]
        return first + list(self._recent)
