"""What Prophesee's word formats have in common: values that hold until another word changes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from dmtrack.video.events.batch import EventBatch, Triggers

Indices = npt.NDArray[np.intp]
Counts = npt.NDArray[np.int32]
T = TypeVar("T", bound=np.generic)


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
