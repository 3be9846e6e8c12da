"""Events as arrays, and what the decoder of a format hands to the reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
Size = tuple[int, int]
"""Width and height of a sensor in pixels."""


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
    x: npt.NDArray[np.uint16]
    y: npt.NDArray[np.uint16]
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
        return cls(np.empty(0, np.int64), np.empty(0, np.uint16), np.empty(0, np.uint16), np.empty(0, bool))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the events of several batches, one after the other."""
        if len(parts) == 1:
            return parts[0]
        parts = parts or [cls.empty()]
        return cls(
            np.concatenate([part.t for part in parts]),
            np.concatenate([part.x for part in parts]),
            np.concatenate([part.y for part in parts]),
            np.concatenate([part.p for part in parts]),
        )


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
    def of_one_input(cls, t: Times, rising: npt.NDArray[np.bool_]) -> Self:
        """Return the edges of a camera that has one input."""
        return cls(t, np.zeros(len(t), np.uint8), rising)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the edges of several batches, one after the other."""
        parts = parts or [cls.of_one_input(np.empty(0, np.int64), np.empty(0, bool))]
        return cls(
            np.concatenate([part.t for part in parts]),
            np.concatenate([part.channel for part in parts]),
            np.concatenate([part.rising for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Damage:
    """Something in the file that is no event and should not be there.

    Attributes:
        what: In a few words.
        offset: Byte of the file where it is first met.
        count: How many records are affected.
    """

    what: str
    offset: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some decoded events.

    Attributes:
        where: The byte of the file where they lie, or a function that returns the byte of the event of an
            index; asked only when something is wrong with it.
        events: In the order of the file; None: there are none.
        triggers: Edges of the trigger input among these events.
        damage: What had to be skipped among these events, or None.
    """

    where: int | Callable[[int], int]
    events: EventBatch | None = None
    triggers: Triggers | None = None
    damage: Damage | None = None

    def offset_of(self, index: int) -> int:
        """Return the byte of the file where an event lies."""
        return self.where if isinstance(self.where, int) else self.where(index)


@dataclass(frozen=True, slots=True)
class OpenedEvents:
    """An opened file of one format.

    Attributes:
        format: Its name for people.
        chunks: The events; read once. Closing this generator closes the file.
        size: Width and height of the sensor, where the file says so.
        notes: What had to be assumed, a sentence each.
        frame_times: Times of the frames of another camera on the same clock, where the file has them.
    """

    format: str
    chunks: Iterator[Chunk]
    size: Size | None = None
    notes: tuple[str, ...] = ()
    frame_times: Times | None = None
