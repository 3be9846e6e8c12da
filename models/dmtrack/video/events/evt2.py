"""Prophesee EVT 2.0 and 2.1: words of 32 bits with one event, and of 64 bits with up to 32 in a row.

Both share the layout of their upper 32 bits; EVT 2.1 adds 32 bits that say which of the pixels from its
column on have an event.

Source: https://docs.prophesee.ai/stable/data/encoding_formats/evt2.html and evt21.html
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from dmtrack.video.events.batch import EventBatch, Times, Triggers
from dmtrack.video.events.words import (
    DecodedWords,
    Indices,
    event_ends,
    held,
    unpack_masks,
    unwrapped,
)

Heads = npt.NDArray[np.uint32]

_DARKER, _BRIGHTER, _TIME_HIGH, _TRIGGER = 0, 1, 8, 10
_COORDINATE = np.uint32(0x7FF)
_LOW_BITS, _HIGH_PERIOD = 6, 1 << 28


class WordOrder(StrEnum):
    """How the two halves of a 64-bit word lie in the file."""

    WHOLE = "the upper half last"
    HALVES = "the upper half first"


class Evt2Decoder:
    """Decodes blocks of EVT 2.0; the upper bits of time are taken from the block before.

    Args:
        byte_order: `<` or `>`.
    """

    def __init__(self, byte_order: str = "<") -> None:
        self._dtype = np.dtype(byte_order + "u4")
        self._clock = _Clock()

    def __call__(self, data: bytes) -> DecodedWords:
        """Decode whole words."""
        heads = np.frombuffer(data, self._dtype).astype(np.uint32, copy=False)
        kinds = (heads >> 28).astype(np.uint8)
        is_event = kinds <= _BRIGHTER
        ends = event_ends(is_event.view(np.uint8))
        places, highs, high_before = self._clock.ticks(heads, kinds)
        chosen = np.flatnonzero(is_event)
        words = heads.take(chosen)
        events = EventBatch(
            t=held(np.int64(high_before), highs, places, ends) + ((words >> 22) & 0x3F),
            x=((words >> 11) & _COORDINATE).astype(np.uint16),
            y=(words & _COORDINATE).astype(np.uint16),
            p=(words >> 28) != 0,
        )
        triggers = _triggers(heads, kinds, places, np.concatenate(([high_before], highs)))
        return DecodedWords(events, ends, triggers, _unknown(kinds))


class Evt21Decoder:
    """Decodes blocks of EVT 2.1; the upper bits of time are taken from the block before.

    Args:
        byte_order: `<` or `>`.
        order: How the halves of a word lie in the file.
    """

    def __init__(self, byte_order: str = "<", order: WordOrder = WordOrder.WHOLE) -> None:
        self._dtype = np.dtype(byte_order + "u4")
        upper_last = (order is WordOrder.WHOLE) == (byte_order == "<")
        self._upper = 1 if upper_last else 0
        self._clock = _Clock()

    def __call__(self, data: bytes) -> DecodedWords:
        """Decode whole words."""
        halves = np.frombuffer(data, self._dtype).astype(np.uint32, copy=False)
        heads = np.ascontiguousarray(halves[self._upper :: 2])
        kinds = (heads >> 28).astype(np.uint8)
        chosen = np.flatnonzero(kinds <= _BRIGHTER)
        masks = halves[1 - self._upper :: 2].take(chosen)
        in_word = np.zeros(len(heads), dtype=np.uint8)
        in_word[chosen] = np.bitwise_count(masks)
        ends = event_ends(in_word)
        places, highs, high_before = self._clock.ticks(heads, kinds)
        source, bit = unpack_masks(masks)
        words = heads.take(chosen).take(source)
        events = EventBatch(
            t=held(np.int64(high_before), highs, places, ends) + ((words >> 22) & 0x3F),
            x=((words >> 11) & _COORDINATE).astype(np.uint16) + bit,
            y=(words & _COORDINATE).astype(np.uint16),
            p=(words >> 28) != 0,
        )
        triggers = _triggers(heads, kinds, places, np.concatenate(([high_before], highs)))
        return DecodedWords(events, ends, triggers, _unknown(kinds))


def guess_word_order(data: bytes, byte_order: str) -> WordOrder:
    """Tell from the first words of EVT 2.1 data how their halves lie, as headers rarely say it.

    A half of a word that is a mask has any bits in the place of the kind; an upper half has known kinds.
    """
    halves = np.frombuffer(data[: len(data) // 8 * 8], byte_order + "u4")
    unknown = [len(_unknown((halves[place::2] >> 28).astype(np.uint8))) for place in (0, 1)]
    upper_first = unknown[0] < unknown[1]
    return WordOrder.HALVES if upper_first == (byte_order == "<") else WordOrder.WHOLE


class _Clock:
    """The upper bits of time, from block to block."""

    def __init__(self) -> None:
        self._high: int | None = None

    def ticks(self, heads: Heads, kinds: npt.NDArray[np.uint8]) -> tuple[Indices, Times, int]:
        """Return the words that set the upper bits, the microseconds each sets, and those before them."""
        places = np.flatnonzero(kinds == _TIME_HIGH)
        values = (heads.take(places) & np.uint32(0xFFFFFFF)).astype(np.int64)
        highs = unwrapped(values, self._high, _HIGH_PERIOD)
        if self._high is None and len(highs):  # what comes first is from before the first tick
            self._high = max(0, int(highs[0]) - 1)
        before = self._high or 0
        if len(highs):
            self._high = int(highs[-1])
        return places, highs << _LOW_BITS, before << _LOW_BITS


def _triggers(
    heads: Heads, kinds: npt.NDArray[np.uint8], tick_places: Indices, ticks: Times
) -> Triggers | None:
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


def _unknown(kinds: npt.NDArray[np.uint8]) -> Indices:
    is_reserved = (kinds > _BRIGHTER) & (kinds < 14) & (kinds != _TIME_HIGH) & (kinds != _TRIGGER)
    return np.flatnonzero(is_reserved)
