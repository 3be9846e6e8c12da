"""`MemoryFrames`: the last T templates of one target, in constant memory."""

from __future__ import annotations

from dmtrack.network.inference import Array, arrays_of


class MemoryFrames:
    """A ring of embedded templates.

    The published tracker keeps a template for every frame of the video and feeds the last T of them; a
    ring of T gives the same templates (specification 3.5).

    A template of RGB alone, from a frame without a partner, borrows the second stream of the newest template
    that has one; if none has, all get it from the first that comes.

    `capacity` is T. The first `staying` templates pushed, with capacity 1 at least one, are kept for ever,
    before the others and in the order of pushing. The ring holds `capacity - staying` others, but at least
    one where T > 1.
    """

    def __init__(self, capacity: int, *, staying: int = 0) -> None:
        if capacity < 1:
            raise ValueError(f"capacity {capacity} is below 1")
        self._staying = max(staying, 1 if capacity == 1 else 0)
        self._most = self._staying + max(capacity - self._staying, min(capacity - 1, 1))
        self._templates: list[Array] = []

    def __len__(self) -> int:
        """Number of templates held."""
        return len(self._templates)

    @property
    def streams(self) -> int:
        """Number of streams in which the target was seen; 0 before the first template."""
        return self._templates[-1].shape[0] if self._templates else 0

    def push(self, tokens: Array) -> None:
        """Append the tokens of one template, `(S, P, C)`."""
        known, given, concat = self.streams, tokens.shape[0], arrays_of(tokens).concat
        if given < known:
            tokens = concat((tokens, self._templates[-1][given:]))
        elif given > known:
            self._templates = [concat((older, tokens[known:])) for older in self._templates]
        self._templates.append(tokens)
        if len(self._templates) > self._most:
            del self._templates[self._staying]

    def stacked(self) -> Array:
        """Return the tokens of all templates, oldest first: `(S, T P, C)`."""
        return arrays_of(self._templates[0]).concat(self._templates, 1)
