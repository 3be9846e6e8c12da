"""What the decoder of a format hands to the reader: chunks of events, and where in the file they lay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import DecodeError
from dmtrack.video.events.batch import EventBatch, Times, Triggers

BLOCK_BYTES: Final = 1 << 16
"""So much of a file is decoded at a time: small enough for the processor's cache."""

Size = tuple[int, int]
"""Width and height of a sensor in pixels."""


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
        events: In the order of the file.
        offset_of: Returns the byte of the file where the event of an index lies; asked only when
            something is wrong with it.
        triggers: Edges of the trigger input among these events.
        damage: What had to be skipped among these events, or None.
    """

    events: EventBatch
    offset_of: Callable[[int], int]
    triggers: Triggers | None = None
    damage: Damage | None = None


@dataclass(frozen=True, slots=True)
class EventStream:
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


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records of a file, and what is left over at its end.

    Attributes:
        offset: Byte of the file where `data` begins.
        data: Whole records.
        torn_bytes: Bytes of a last record that is not whole.
    """

    offset: int
    data: bytes
    torn_bytes: int = 0

    def offset_of(
        self, record_bytes: int, places: npt.NDArray[np.intp] | None = None
    ) -> Callable[[int], int]:
        """Return a function for where in the file an event lies; see `record_offsets`."""
        return record_offsets(self.offset, record_bytes, places)

    @property
    def damage(self) -> Damage | None:
        """What the torn record means."""
        if not self.torn_bytes:
            return None
        return Damage("the file ends in the middle of an event", self.offset + len(self.data))


def record_offsets(
    begin: int, record_bytes: int, places: npt.NDArray[np.intp] | None = None
) -> Callable[[int], int]:
    """Return a function that gives the byte of the file where an event lies.

    Args:
        begin: Byte of the first record.
        record_bytes: Length of each.
        places: Which record each event came from; None if every record is an event.
    """
    if places is None:
        return lambda index: begin + record_bytes * index
    return lambda index: begin + record_bytes * int(places[index])


def record_blocks(path: Path, offset: int, record_bytes: int) -> Iterator[Block]:
    """Read the records of a file from `offset` on, some at a time.

    Args:
        path: The file.
        offset: Byte where the first record begins.
        record_bytes: Length of a record.

    Raises:
        DecodeError: The file cannot be read any more.
    """
    step = BLOCK_BYTES // record_bytes * record_bytes
    try:
        with path.open("rb") as file:
            file.seek(offset)
            while data := file.read(step):
                torn = len(data) % record_bytes
                yield Block(offset, data[: len(data) - torn] if torn else data, torn)
                offset += len(data)
    except OSError as error:
        raise DecodeError(f"reading fails at byte {offset}: {error.strerror}", where=path) from error
