"""`ClosedOnExit`: what is closed by `close` may be used in a `with` block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class ClosedOnExit(ABC):
    """Leaving the block closes."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Release what is held. Doing so twice is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
