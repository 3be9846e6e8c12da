"""Decoders of Prophesee's words: EVT 2.0 (32 bits), 2.1 (64 bits), and 3.0 (16 bits, changes only).

The upper 32 bits of an EVT 2.1 word are as in EVT 2.0; the lower 32 are a mask of the pixels, from its column
on, that have an event. Values hold until another word changes them.

Source: https://docs.prophesee.ai/stable/data/encoding_formats/evt2.html, evt21.html and evt3.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from dmtrack.video.events.event_batch import EventBatch, Times, unwrapped

Indices = npt.NDArray[np.intp]
Counts = npt.NDArray[np.int32]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class DecodedWords:
    """The content of a block of words."""

    events: EventBatch  # in the order of the words
    ends: Counts  # `(N,)` number of events up to and including each word
    triggers: int  # number of edges of the trigger input
    unknown: Indices  # indices of words of unknown kinds


def held(first: T, values: npt.NDArray[T], places: Indices, ends: Counts) -> npt.NDArray[T]:
    """Return for every event the value of the last word of one kind before it.

    Before the first such word `first` holds. `values` are the `(K,)` values of these words and `places` their
    `(K,)` indices; they carry no events themselves. `ends` is as in `DecodedWords`.
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
    """Return the mask index and the bit number of every set bit, from the lowest bit of the first mask on.

    `masks` are `(M,)` uint16 or uint32 in the machine's own (little endian) order.
    """
    stored = masks.astype(masks.dtype.newbyteorder("<"), copy=False)
    found = np.flatnonzero(np.unpackbits(stored.view(np.uint8), bitorder="little").view(np.bool_))
    per_mask = 8 * masks.dtype.itemsize  # a power of 2
    return found >> per_mask.bit_length() - 1, (found & per_mask - 1).astype(np.uint16)


# --- EVT 2.0 and 2.1 ---

Heads = npt.NDArray[np.uint32]
Kinds = npt.NDArray[np.uint8]

_DARKER, _BRIGHTER, _TIME_HIGH_2, _TRIGGER_2 = 0, 1, 8, 10
_COORDINATE_2 = np.uint32(0x7FF)
_LOW_BITS_2, _HIGH_PERIOD_2 = 6, 1 << 28


class Evt2Decoder:
    """Decodes one block after the other; the upper bits of time carry over from the block before.

    `byte_order` is `<` or `>`. `upper` is for EVT 2.1 the number of the half, 0 or 1, that is the upper one
    in the file; None: EVT 2.0.
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
        x = ((words >> 11) & _COORDINATE_2).astype(np.uint16)
        places, highs = self._upper_times(heads, kinds)
        events = EventBatch(
            t=held(highs[0], highs[1:], places, ends) + ((words >> 22) & 0x3F),
            x=x if masks is None else x + steps,
            y=(words & _COORDINATE_2).astype(np.uint16),
            p=(words >> 28) != 0,
        )
        triggers = int(np.count_nonzero(kinds == _TRIGGER_2))
        return DecodedWords(events, ends, triggers, unknown_kinds(kinds))

    def _upper_times(self, heads: Heads, kinds: Kinds) -> tuple[Indices, Times]:
        """Return `(K,)` indices of upper-time words, and `(K + 1,)` times in us: before, then from each."""
        places = np.flatnonzero(kinds == _TIME_HIGH_2)
        values = (heads.take(places) & np.uint32(0xFFFFFFF)).astype(np.int64)
        highs = unwrapped(values, self._high, _HIGH_PERIOD_2)
        if self._high is None and len(highs):  # earlier events are from the tick before
            self._high = max(0, int(highs[0]) - 1)
        highs = np.concatenate(([self._high or 0], highs))
        if len(places):
            self._high = int(highs[-1])
        return places, highs << _LOW_BITS_2


def guess_upper_half(data: bytes, byte_order: str) -> int:
    """Guess from the first words of EVT 2.1 data which half, 0 or 1, is the upper one; headers rarely say it.

    Upper halves have known kinds; masks have any bits in that place.
    """
    halves = np.frombuffer(data[: len(data) // 8 * 8], byte_order + "u4")
    unknown = [len(unknown_kinds((halves[place::2] >> 28).astype(np.uint8))) for place in (0, 1)]
    return 0 if unknown[0] < unknown[1] else 1


def unknown_kinds(kinds: Kinds) -> Indices:
    """Return the indices of words of unknown kinds in EVT 2."""
    is_reserved = (kinds > _BRIGHTER) & (kinds < 14) & (kinds != _TIME_HIGH_2) & (kinds != _TRIGGER_2)
    return np.flatnonzero(is_reserved)


# --- EVT 3.0 ---

Words = npt.NDArray[np.uint16]

_ROW, _FOREIGN_ROW, _COLUMN, _BASE, _VECTOR_12, _VECTOR_8 = 0, 1, 2, 3, 4, 5
_TIME_LOW, _IGNORED, _TIME_HIGH_3, _TRIGGER_3 = 6, 7, 8, 10
_PAYLOAD, _COORDINATE_3, _POLARITY = np.uint16(0xFFF), np.uint16(0x7FF), np.uint16(0x800)
_LOW_BITS_3, _HIGH_PERIOD_3 = 12, 1 << 12
_COLUMN_BITS = np.uint16(0x7FFF)
"""One number holds the column below the polarity bit, with room for columns that no sensor has."""


class Evt3Decoder:
    """Decodes one block after the other; time, row and column carry over from the block before.

    `byte_order` is `<` or `>`.
    """

    def __init__(self, byte_order: str = "<") -> None:
        self._dtype = np.dtype(byte_order + "u2")
        self._high: int | None = None
        self._low = 0
        self._row = np.uint16(0)
        self._is_foreign = True  # until the first row of events
        self._base = np.uint16(0)
        self._advance = 0

    def __call__(self, data: bytes) -> DecodedWords:
        """Decode whole words."""
        words = np.frombuffer(data, self._dtype).astype(np.uint16, copy=False)
        kinds = (words >> 12).astype(np.uint8)
        self._ignore_foreign(kinds)
        vectors = np.flatnonzero((kinds == _VECTOR_12) | (kinds == _VECTOR_8))
        is_long = kinds.take(vectors) == _VECTOR_12
        masks = words.take(vectors) & np.where(is_long, np.uint16(0xFFF), np.uint16(0xFF))
        events_in_word = (kinds == _COLUMN).view(np.uint8)
        events_in_word[vectors] = np.bitwise_count(masks)
        ends: Counts = np.cumsum(events_in_word, dtype=np.int32)
        places, times = self._times(words, kinds)
        columns = self._columns(words, kinds, vectors, masks, events_in_word, ends)
        events = EventBatch(
            t=held(times[0], times[1:], places, ends),
            x=columns & _COLUMN_BITS,
            y=self._rows(words, kinds, ends),
            p=columns > _COLUMN_BITS,
        )
        triggers = int(np.count_nonzero(kinds == _TRIGGER_3))
        unknown = np.flatnonzero((kinds == 9) | ((kinds > _TRIGGER_3) & (kinds < 14)))
        return DecodedWords(events, ends, triggers, unknown)

    def _ignore_foreign(self, kinds: Kinds) -> None:
        """Mark as ignored the events that follow a row word of another measurement than change of light."""
        is_foreign_row = kinds == _FOREIGN_ROW
        if not self._is_foreign and not is_foreign_row.any():
            return
        rows = np.flatnonzero(kinds <= _FOREIGN_ROW)
        bounds = np.concatenate(([0], rows, [len(kinds)]))
        states = np.concatenate(([self._is_foreign], is_foreign_row[rows]))
        is_event = (kinds == _COLUMN) | (kinds == _VECTOR_12) | (kinds == _VECTOR_8)
        kinds[np.repeat(states, np.diff(bounds)) & is_event] = _IGNORED
        self._is_foreign = bool(states[-1])

    def _times(self, words: Words, kinds: Kinds) -> tuple[Indices, Times]:
        """Return `(K,)` indices of the words of time, and `(K + 1,)` times in us: before, then from each."""
        places = np.flatnonzero((kinds == _TIME_LOW) | (kinds == _TIME_HIGH_3))
        values = (words.take(places) & _PAYLOAD).astype(np.int64)
        is_high = kinds.take(places) == _TIME_HIGH_3
        highs = unwrapped(values[is_high], self._high, _HIGH_PERIOD_3)
        if self._high is None and len(highs):  # earlier events are from the tick before
            self._high = max(0, int(highs[0]) - 1)
        high_before = self._high or 0
        time_before = (high_before << _LOW_BITS_3) + self._low
        high = np.concatenate(([high_before], highs))[np.cumsum(is_high)]
        # a new value of the upper bits sets the lower ones to 0, a repeated one does not
        has_ticked = is_high & (np.diff(high, prepend=high_before) != 0)
        sets_low = ~is_high | has_ticked
        lows = np.where(is_high, 0, values)[sets_low]
        low = np.concatenate(([self._low], lows))[np.cumsum(sets_low)]
        if len(places):
            self._high, self._low = int(high[-1]), int(low[-1])
        return places, np.concatenate(([time_before], (high << _LOW_BITS_3) + low))

    def _rows(self, words: Words, kinds: Kinds, ends: Counts) -> npt.NDArray[np.uint16]:
        """Return the `(E,)` rows of the events."""
        places = np.flatnonzero(kinds <= _FOREIGN_ROW)
        rows = words.take(places) & _COORDINATE_3
        y = held(self._row, rows, places, ends)
        if len(rows):
            self._row = rows[-1]
        return y

    def _columns(
        self,
        words: Words,
        kinds: Kinds,
        vectors: Indices,
        masks: npt.NDArray[np.uint16],
        events_in_word: Kinds,
        ends: Counts,
    ) -> npt.NDArray[np.uint16]:
        """Return the `(E,)` columns of the events, with the polarity in bit 15."""
        places = np.flatnonzero(kinds == _BASE)
        bases = _with_polarity(words.take(places))
        if len(vectors) == 0:
            if len(places):
                self._base, self._advance = bases[-1], 0
            return _with_polarity(words.take(np.flatnonzero(events_in_word)))
        columns = np.empty(int(ends[-1]), dtype=np.uint16)
        singles = np.flatnonzero(kinds == _COLUMN)
        columns[ends.take(singles) - 1] = _with_polarity(words.take(singles))
        starts = self._vector_starts(kinds.take(vectors), np.searchsorted(vectors, places), bases)
        source, bit = unpack_masks(masks)
        in_vector = events_in_word.take(vectors).astype(np.intp)
        first_event = ends.take(vectors) - np.cumsum(in_vector)
        columns[first_event.take(source) + np.arange(len(source))] = starts.take(source) + bit
        return columns

    def _vector_starts(
        self, kinds: Kinds, base_places: Indices, bases: npt.NDArray[np.uint16]
    ) -> npt.NDArray[np.uint16]:
        """Return the `(V,)` columns, with polarity, at which the vector words begin.

        `kinds` are the `(V,)` kinds of the vector words; `base_places` is the `(B,)` number of vector words
        before each base word, and `bases` are the `(B,)` columns with polarity that base words set.
        """
        widths = np.where(kinds == _VECTOR_12, 12, 8)
        ends = np.cumsum(widths)
        begins = ends - widths
        at_base = np.concatenate(([-self._advance], np.concatenate((begins, ends[-1:]))[base_places]))
        counts = np.diff(np.concatenate(([0], base_places, [len(kinds)])))
        all_bases = np.concatenate(([self._base], bases))
        starts = np.repeat(all_bases, counts) + (begins - np.repeat(at_base, counts))
        self._base, self._advance = all_bases[-1], int(ends[-1] - at_base[-1])
        return np.asarray(starts, dtype=np.uint16)


def _with_polarity(words: Words) -> npt.NDArray[np.uint16]:
    """Return the columns of words, with their polarity moved from bit 11 to bit 15."""
    return (words & _COORDINATE_3) | ((words & _POLARITY) << np.uint16(4))
