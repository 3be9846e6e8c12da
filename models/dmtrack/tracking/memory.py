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

    Templates that stay stand in the oldest places, in the order in which they were pushed.

    Args:
        capacity: T; with more templates that stay than T, there are so many, and one more where T > 1.
        staying: So many templates, the first ones pushed, stay for ever; the ring holds the others.
    """

    def __init__(self, capacity: int, *, staying: int = 0) -> None:
        if capacity < 1:
            raise ValueError(f"capacity {capacity} is below 1")
        self._most_staying = max(staying, 1 if capacity == 1 else 0)
        self._staying: list[Tensor] = []
        self._recent: deque[Tensor] = deque(maxlen=max(capacity - self._most_staying, min(capacity - 1, 1)))

    def __len__(self) -> int:
        """Number of templates held."""
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
        if len(self._staying) < self._most_staying:
            self._staying.append(tokens)
        else:
            self._recent.append(tokens)

    def stacked(self) -> Tensor:
        """Return the tokens of all templates, oldest first: `(S, T P, C)`."""
        return torch.cat(self._templates(), dim=1)

    def _complete(self, missing: Tensor) -> None:
        """Give every template the streams it lacks, `(S, P, C)`."""
        self._staying = [torch.cat((tokens, missing)) for tokens in self._staying]
        whole = [torch.cat((tokens, missing)) for tokens in self._recent]
        self._recent.clear()
        self._recent.extend(whole)

    def _newest(self) -> Tensor | None:
        templates = self._templates()
        return templates[-1] if templates else None

    def _templates(self) -> list[Tensor]:
        return [*self._staying, *self._recent]
