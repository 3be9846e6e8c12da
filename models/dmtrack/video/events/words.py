"""What Prophesee's word formats have in common: values that hold until another word changes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from dmtrack.errors import DecodeError
from dmtrack.video.events.batch import EventBatch, Triggers
from dmtrack.video.events.stream import Block, Chunk, Damage, record_blocks

Indices = npt.NDArray[np.intp]
Counts = npt.NDArray[np.int32]
T = TypeVar("T", bound=np.generic)

MAX_UNKNOWN_SHARE: Final = 0.01
"""A block with more words of unknown kind than this is not what the header says."""


@dataclass(frozen=True, slots=True)
class DecodedWords:
    """What is in a block of words.

    Attributes:
        events: In the order of the words.
        ends: `(N,)` how many events there are up to and with each word.
        triggers: Edges of the trigger input, or None.
        unknown: Indices of words of a kind that the format does not have.
    """

    events: EventBatch
    ends: Counts
    triggers: Triggers | None
    unknown: Indices


def word_chunks(
    path: Path, offset: int, word_bytes: int, decode: Callable[[bytes], DecodedWords], name: str
) -> Iterator[Chunk]:
    """Decode the words of a file, a block at a time.

    Args:
        path: The file.
        offset: Byte of the first word.
        word_bytes: Length of a word.
        decode: Decodes the bytes of whole words that follow those of the last call.
        name: The format, for messages.

    Raises:
        DecodeError: From some byte on, what is in the file is not of this format; the events before
            it have been yielded.
    """
    for block in record_blocks(path, offset, word_bytes):
        decoded = decode(block.data)
        words, unknown = len(decoded.ends), decoded.unknown
        damage, end = block.damage, len(decoded.events)
        if len(unknown):
            where = block.offset + word_bytes * int(unknown[0])
            damage = Damage(f"words that {name} does not know", where, len(unknown))
            if len(unknown) > MAX_UNKNOWN_SHARE * words:
                end = int(decoded.ends[unknown[0]])
        yield Chunk(decoded.events[:end], _offsets(decoded.ends, block, word_bytes), decoded.triggers, damage)
        if len(unknown) > MAX_UNKNOWN_SHARE * words:
            raise DecodeError(
                f"at byte {where} begins what is not {name}: {len(unknown)} of {words} words are unknown",
                where=path,
                hint="is the file damaged, or are its bytes in another order than its header says?",
            )


def _offsets(ends: Counts, block: Block, word_bytes: int) -> Callable[[int], int]:
    return lambda event: block.offset + word_bytes * int(np.searchsorted(ends, event, side="right"))


def event_ends(events_in_word: npt.NDArray[np.uint8]) -> Counts:
    """Return `(N,)` how many events there are up to and with each word, from how many are in each."""
    return np.cumsum(events_in_word, dtype=np.int32)


def held(first: T, values: npt.NDArray[T], places: Indices, ends: Counts) -> npt.NDArray[T]:
    """Return for every event what the last word of a kind before it said.

    Args:
        first: What holds before the first such word.
        values: `(K,)` what each of these words says.
        places: `(K,)` their indices; they carry no events themselves.
        ends: `(N,)` events up to and with each word of the block.
    """
    total = int(ends[-1]) if len(ends) else 0
    values = np.concatenate(([first], values))
    bounds = np.concatenate(([0], ends.take(places), [total]))
    is_used = bounds[1:] > bounds[:-1]
    used = values[is_used]
    # a running sum of the steps is several times as fast as numpy's `repeat`
    steps = np.zeros(total, dtype=values.dtype)
    steps[bounds[:-1][is_used]] = np.diff(used, prepend=used.dtype.type(0))
    return np.cumsum(steps, dtype=values.dtype)


def unpack_masks(masks: npt.NDArray[Any]) -> tuple[Indices, npt.NDArray[np.uint16]]:
    """Return which mask each set bit belongs to, and its place, from the lowest bit of the first mask on.

    Args:
        masks: `(M,)` uint16 or uint32 in the machine's own (little endian) order.
    """
    stored = masks.astype(masks.dtype.newbyteorder("<"), copy=False)
    found = np.flatnonzero(np.unpackbits(stored.view(np.uint8), bitorder="little").view(np.bool_))
    per_mask = 8 * masks.dtype.itemsize  # a power of 2
    return found >> per_mask.bit_length() - 1, (found & per_mask - 1).astype(np.uint16)


def unwrapped(values: npt.NDArray[np.int64], last: int | None, period: int) -> npt.NDArray[np.int64]:
    """Return a counter without its wraps: it came round where it falls by half its period or more.

    Args:
        values: `(N,)` readings in `[0, period)`.
        last: The unwrapped reading before the first one, or None at the start.
        period: What the counter counts to.
    """
    if len(values) == 0:
        return values
    before = int(values[0]) if last is None else last % period
    rounds = 0 if last is None else last // period
    falls = np.diff(values, prepend=before) <= -(period // 2)
    if falls.any():
        return values + (rounds + np.cumsum(falls)) * period
    return values + rounds * period if rounds else values
