"""`MemoryFrames`: the last T templates of one target, in constant memory however long the video."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor


class MemoryFrames:
    """A ring of embedded templates.

    The published tracker keeps a template for every frame of the video and feeds the last T of them; a
    ring of T gives the same templates (specification 3.5). With capacity 1 the first template stays.

    A template of RGB alone, from a frame whose partner is missing, borrows the second stream of the newest
    template that has one; where none has, all get it from the first that comes.

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

    @property
    def streams(self) -> int:
        """In how many streams the target was seen: 0 before the first template."""
        newest = self._newest()
        return 0 if newest is None else newest.shape[0]

    def push(self, tokens: Tensor) -> None:
        """Append the tokens of one template, `(S, P, C)`."""
        newest = self._newest()
        if newest is not None and tokens.shape[0] < newest.shape[0]:
            tokens = torch.cat((tokens, newest[tokens.shape[0] :]))
        elif newest is not None and tokens.shape[0] > newest.shape[0]:
            self._complete(tokens[newest.shape[0] :])
        if self._keeps_first and self._first is None:
            self._first = tokens
        else:
            self._recent.append(tokens)

    def stacked(self) -> Tensor:
        """Return the tokens of all templates, oldest first: `(S, T P, C)`."""
        return torch.cat(self._templates(), dim=1)

    def _complete(self, missing: Tensor) -> None:
        """Give every template the streams it lacks, `(S, P, C)`."""
        if self._first is not None:
            self._first = torch.cat((self._first, missing))
        whole = [torch.cat((tokens, missing)) for tokens in self._recent]
        self._recent.clear()
        self._recent.extend(whole)

    def _newest(self) -> Tensor | None:
        return self._recent[-1] if self._recent else self._first

    def _templates(self) -> list[Tensor]:
        first = [] if self._first is None else [self._first]
        return first + list(self._recent)
