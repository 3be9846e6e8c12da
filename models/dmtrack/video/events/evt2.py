"""Prophesee EVT 2.0 and 2.1: words of 32 bits with one event, and of 64 bits with up to 32 in a row.

Both share the layout of their upper 32 bits; EVT 2.1 adds 32 bits that say which of the pixels from its
column on have an event.

Source: https://docs.prophesee.ai/stable/data/encoding_formats/evt2.html and evt21.html
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dmtrack.video.events.batch import EventBatch, Times, Triggers
from dmtrack.video.events.binary import unwrapped
from dmtrack.video.events.words import Counts, DecodedWords, Indices, held, unpack_masks

Heads = npt.NDArray[np.uint32]
Kinds = npt.NDArray[np.uint8]

_DARKER, _BRIGHTER, _TIME_HIGH, _TRIGGER = 0, 1, 8, 10
_COORDINATE = np.uint32(0x7FF)
_LOW_BITS, _HIGH_PERIOD = 6, 1 << 28


class Evt2Decoder:
    """Decodes block after block; the upper bits of time are taken from the block before.

    Args:
        byte_order: `<` or `>`.
        upper: For EVT 2.1, which half of a word in the file is the upper one, 0 or 1; None: EVT 2.0.
    """

    def __init__(self, byte_order: str = "<", upper: int | None = None) -> None:
        self._dtype = np.dtype(byte_order + "u4")
        self._upper = upper
        self._high: int | None = None

    def __call__(self, data: bytes) -> DecodedWords:
        """Decode whole words."""
        heads = np.frombuffer(data, self._dtype).astype(np.uint32, copy=False)
        masks = None
        if self._upper is not None:
            masks = heads[1 - self._upper :: 2]
            heads = np.ascontiguousarray(heads[self._upper :: 2])
        kinds = (heads >> 28).astype(np.uint8)
        is_event = kinds <= _BRIGHTER
        words = heads.take(np.flatnonzero(is_event))
        in_word = is_event.view(np.uint8)
        if masks is not None:
            masks = masks[is_event]
            in_word[is_event] = np.bitwise_count(masks)
            source, steps = unpack_masks(masks)
            words = words.take(source)
        ends: Counts = np.cumsum(in_word, dtype=np.int32)
        x = ((words >> 11) & _COORDINATE).astype(np.uint16)
        places, highs = self._upper_times(heads, kinds)
        events = EventBatch(
            t=held(highs[0], highs[1:], places, ends) + ((words >> 22) & 0x3F),
            x=x if masks is None else x + steps,
            y=(words & _COORDINATE).astype(np.uint16),
            p=(words >> 28) != 0,
        )
        return DecodedWords(events, ends, _triggers(heads, kinds, places, highs), unknown_kinds(kinds))

    def _upper_times(self, heads: Heads, kinds: Kinds) -> tuple[Indices, Times]:
        """Return the words of the upper bits of time; the microseconds before them, and from each on."""
        places = np.flatnonzero(kinds == _TIME_HIGH)
        values = (heads.take(places) & np.uint32(0xFFFFFFF)).astype(np.int64)
        highs = unwrapped(values, self._high, _HIGH_PERIOD)
        if self._high is None and len(highs):  # what comes first is from before the first tick
            self._high = max(0, int(highs[0]) - 1)
        highs = np.concatenate(([self._high or 0], highs))
        if len(places):
            self._high = int(highs[-1])
        return places, highs << _LOW_BITS


def guess_upper_half(data: bytes, byte_order: str) -> int:
    """Tell from the first words of EVT 2.1 data which half is the upper one, as headers rarely say it.

    A half that is a mask has any bits in the place of the kind; an upper half has known kinds.
    """
    halves = np.frombuffer(data[: len(data) // 8 * 8], byte_order + "u4")
    unknown = [len(unknown_kinds((halves[place::2] >> 28).astype(np.uint8))) for place in (0, 1)]
    return 0 if unknown[0] < unknown[1] else 1


def unknown_kinds(kinds: Kinds) -> Indices:
    """Return the words of a kind that the format does not have."""
    is_reserved = (kinds > _BRIGHTER) & (kinds < 14) & (kinds != _TIME_HIGH) & (kinds != _TRIGGER)
    return np.flatnonzero(is_reserved)


def _triggers(heads: Heads, kinds: Kinds, tick_places: Indices, ticks: Times) -> Triggers | None:
    """Return the trigger edges; `ticks` begins with the time before the first tick."""
    places = np.flatnonzero(kinds == _TRIGGER)
    if len(places) == 0:
        return None
    edges = heads.take(places)
    return Triggers(
        t=ticks[np.searchsorted(tick_places, places)] + ((edges >> 22) & 0x3F),
        channel=((edges >> 8) & 0x1F).astype(np.uint8),
        rising=(edges & 1) != 0,
    )
