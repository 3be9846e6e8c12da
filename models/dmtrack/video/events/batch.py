"""`EventBatch`: some events in order of time, and `Triggers`: edges on a camera's trigger input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
Coordinates = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events in the order of the file, an array a property.

    Attributes:
        t: `(N,)` int64 time stamps in microseconds, on the camera's own clock.
        x: `(N,)` uint16 columns in pixels, from 0 at the left.
        y: `(N,)` uint16 rows in pixels, from 0 at the top.
        p: `(N,)` bool, True where the light became brighter.
    """

    t: Times
    x: Coordinates
    y: Coordinates
    p: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        if not len(self.t) == len(self.x) == len(self.y) == len(self.p):
            raise ValueError(f"{len(self.t)} times, {len(self.x)} x, {len(self.y)} y, {len(self.p)} p")

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, part: slice | npt.NDArray[np.bool_]) -> Self:
        """Return some of the events: a slice shares their memory, a mask copies."""
        return type(self)(self.t[part], self.x[part], self.y[part], self.p[part])

    @classmethod
    def empty(cls) -> Self:
        """Return no events."""
        return cls(
            np.empty(0, np.int64), np.empty(0, np.uint16), np.empty(0, np.uint16), np.empty(0, np.bool_)
        )

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the events of several batches, one after the other."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.empty()
        t, x, y, p = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("t", "x", "y", "p")
        )
        return cls(t, x, y, p)


@dataclass(frozen=True, slots=True)
class Triggers:
    """Edges on the trigger input, where another camera marks its exposures.

    Attributes:
        t: `(N,)` int64 time stamps in microseconds, on the clock of the events.
        channel: `(N,)` uint8 number of the input.
        rising: `(N,)` bool, True for the edge at the begin of a pulse.
    """

    t: Times
    channel: npt.NDArray[np.uint8]
    rising: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.t)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the edges of several batches, one after the other."""
        if not parts:
            return cls(np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0, np.bool_))
        t, channel, rising = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("t", "channel", "rising")
        )
        return cls(t, channel, rising)
