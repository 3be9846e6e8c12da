"""Prophesee EVT 3.0: 16-bit words that say only what changed since the last one.

Source: https://docs.prophesee.ai/stable/data/encoding_formats/evt3.html
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dmtrack.video.events.batch import EventBatch, Times, Triggers
from dmtrack.video.events.binary import unwrapped
from dmtrack.video.events.words import Counts, DecodedWords, Indices, held, unpack_masks

Words = npt.NDArray[np.uint16]
Kinds = npt.NDArray[np.uint8]

_ROW, _FOREIGN_ROW, _COLUMN, _BASE, _VECTOR_12, _VECTOR_8 = 0, 1, 2, 3, 4, 5
_TIME_LOW, _IGNORED, _TIME_HIGH, _TRIGGER = 6, 7, 8, 10
_PAYLOAD, _COORDINATE, _POLARITY = np.uint16(0xFFF), np.uint16(0x7FF), np.uint16(0x800)
_LOW_BITS, _HIGH_PERIOD = 12, 1 << 12
_COLUMN_BITS = np.uint16(0x7FFF)
"""Columns are kept below the polarity in one number, with room for those that no sensor has."""


class Evt3Decoder:
    """Decodes block after block; what a block leaves unsaid is taken from the one before.

    Args:
        byte_order: `<` or `>`.
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
        masks = _vector_masks(words, kinds, vectors)
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
        triggers = _triggers(words, kinds, places, times)
        unknown = np.flatnonzero((kinds == 9) | ((kinds > _TRIGGER) & (kinds < 14)))
        return DecodedWords(events, ends, triggers, unknown)

    def _ignore_foreign(self, kinds: Kinds) -> None:
        """Blot out the events below a row word of another measurement than change of light."""
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
        """Return the words of time; the time before them, and from each of them on."""
        places = np.flatnonzero((kinds == _TIME_LOW) | (kinds == _TIME_HIGH))
        values = (words.take(places) & _PAYLOAD).astype(np.int64)
        is_high = kinds.take(places) == _TIME_HIGH
        highs = unwrapped(values[is_high], self._high, _HIGH_PERIOD)
        if self._high is None and len(highs):  # what comes first is from before the first tick
            self._high = max(0, int(highs[0]) - 1)
        high_before = self._high or 0
        time_before = (high_before << _LOW_BITS) + self._low
        high = np.concatenate(([high_before], highs))[np.cumsum(is_high)]
        # A tick of the upper bits sets the lower ones to 0; its repetition leaves them.
        has_ticked = is_high & (np.diff(high, prepend=high_before) != 0)
        sets_low = ~is_high | has_ticked
        lows = np.where(is_high, 0, values)[sets_low]
        low = np.concatenate(([self._low], lows))[np.cumsum(sets_low)]
        if len(places):
            self._high, self._low = int(high[-1]), int(low[-1])
        return places, np.concatenate(([time_before], (high << _LOW_BITS) + low))

    def _rows(self, words: Words, kinds: Kinds, ends: Counts) -> npt.NDArray[np.uint16]:
        """Return `(E,)` the row of every event."""
        places = np.flatnonzero(kinds <= _FOREIGN_ROW)
        rows = words.take(places) & _COORDINATE
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
        """Return `(E,)` the column of every event, with its polarity in bit 15."""
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
        """Return `(V,)` the column and polarity at which each vector word begins.

        Args:
            kinds: `(V,)` kinds of the vector words.
            base_places: `(B,)` how many vector words lie before each base word.
            bases: `(B,)` column and polarity the base words set.
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
    return (words & _COORDINATE) | ((words & _POLARITY) << np.uint16(4))


def _vector_masks(words: Words, kinds: Kinds, vectors: Indices) -> npt.NDArray[np.uint16]:
    return words.take(vectors) & np.where(
        kinds.take(vectors) == _VECTOR_12, np.uint16(0xFFF), np.uint16(0xFF)
    )


def _triggers(words: Words, kinds: Kinds, time_places: Indices, times: Times) -> Triggers | None:
    """Return the trigger edges; `times` begins with the time before the first word of time."""
    places = np.flatnonzero(kinds == _TRIGGER)
    if len(places) == 0:
        return None
    edges = words.take(places)
    return Triggers(
        t=times[np.searchsorted(time_places, places)],
        channel=((edges >> 8) & 0xF).astype(np.uint8),
        rising=(edges & 1) != 0,
    )
