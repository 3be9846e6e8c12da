"""EVT 3.0: any words, cut anywhere, decode as a state machine that takes them one by one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dmtrack.video.events.event_batch import EventBatch
from dmtrack.video.events.evt import Evt3Decoder

_KINDS = (0, 0, 0, 1, 2, 2, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9, 10, 14, 15)


def one_by_one(words: list[int]) -> tuple[list[tuple[int, int, int, bool]], int]:
    """Decode words in the order of the file, keeping what holds until the next word changes it."""
    events, triggers = [], 0
    first_high = next((word & 0xFFF for word in words if word >> 12 == 8), 0)
    high, low, loops = max(0, first_high - 1), 0, 0
    row, base, polarity, is_event = 0, 0, False, False
    for word in words:
        kind, value = word >> 12, word & 0xFFF
        now = (loops << 24) + (high << 12) + low
        if kind == 8:
            loops += high - value >= 2048
            low = low if value == high else 0
            high = value
        elif kind == 6:
            low = value
        elif kind <= 1:
            row, is_event = value & 0x7FF, kind == 0
        elif kind == 2 and is_event:
            events.append((now, value & 0x7FF, row, bool(value & 0x800)))
        elif kind == 3:
            base, polarity = value & 0x7FF, bool(value & 0x800)
        elif kind in (4, 5):
            width = 12 if kind == 4 else 8
            if is_event:
                events += [(now, base + bit, row, polarity) for bit in range(width) if value >> bit & 1]
                base += width
        elif kind == 10:
            triggers += 1
    return events, triggers


@st.composite
def word_lists(draw: st.DrawFn) -> list[int]:
    """Words of every kind."""
    count = draw(st.integers(0, 300))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    words = []
    for kind in rng.choice(_KINDS, size=count).tolist():
        value = int(rng.integers(0, 4096))
        words.append(kind << 12 | value)
        if kind == 1:  # a foreign row is followed by foreign words, which set their own base
            words += [3 << 12 | value]
    return words


@settings(max_examples=150, deadline=None)
@given(word_lists(), st.lists(st.integers(0, 300), max_size=4))
def test_any_words_cut_anywhere(words, cuts):
    decoder = Evt3Decoder()
    events, triggers = [], 0
    bounds = [0, *sorted(min(cut, len(words)) for cut in cuts), len(words)]
    # what comes before the first word of upper time bits is stamped by that word: keep both in one block
    first_high = next((index for index, word in enumerate(words) if word >> 12 == 8), len(words) - 1)
    bounds = [0, *[bound for bound in bounds[1:] if bound > first_high]]
    for begin, end in pairwise(bounds):
        decoded = decoder(np.array(words[begin:end], dtype="<u2").tobytes())
        events.append(decoded.events)
        triggers += decoded.triggers
        assert decoded.ends.tolist()[-1:] in ([], [len(decoded.events)])
    batch = EventBatch.joined(events)
    expected_events, expected_triggers = one_by_one(words)
    got = zip(batch.t.tolist(), batch.x.tolist(), batch.y.tolist(), batch.p.tolist(), strict=True)
    assert list(got) == expected_events
    assert triggers == expected_triggers
