"""Frames of a sample: causal, visible, and from the smallest windows that hold any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmtrack.training.sequences import choose_causal

steady = settings(deadline=None, max_examples=200)  # a busy machine is no failure

visible_frames = st.sets(st.integers(0, 2000), min_size=3, max_size=60).map(sorted)


def needed_window(visible: list[int], base: int, templates: int, window: int, growth: int) -> int:
    """The first window, grown step by step, with a frame before `base` (for two templates) and one after."""
    while True:
        before = [f for f in visible if base - window <= f < base]
        after = [f for f in visible if base < f < base + window]
        if after and (before or templates == 1):
            return window
        window += growth


@steady
@given(visible_frames, st.integers(1, 4), st.integers(2, 250), st.integers(1, 9), st.integers(0, 2**32))
def test_templates_come_before_the_search_frame(visible, templates, window, growth, seed):
    rng = np.random.default_rng(seed)
    choice = choose_causal(np.array(visible), templates, window=window, growth=growth, rng=rng)
    *earlier, base, search = choice
    assert len(choice) == templates + 1
    assert list(choice) == sorted(choice)
    assert set(choice) <= set(visible)
    assert all(frame < base for frame in earlier)
    assert search > base
    reach = needed_window(visible, base, templates, window, growth)
    assert all(base - frame <= reach for frame in earlier)
    assert search - base < reach


def test_every_frame_of_the_published_windows_is_drawn():
    """With all frames visible: templates 1 to 200 frames before the base, the search frame 1 to 199 after."""
    rng = np.random.default_rng(0)
    before, after, bases = set(), set(), set()
    for _ in range(6000):
        choice = choose_causal(np.arange(1000), 3, window=200, growth=5, rng=rng)
        *earlier, base, search = choice
        bases.add(base)
        before |= {base - frame for frame in earlier}
        after.add(search - base)
    assert before == set(range(1, 201))
    assert after == set(range(1, 200))
    assert (min(bases), max(bases)) == (1, 998)


def test_a_gap_longer_than_the_window_is_crossed():
    choice = choose_causal(np.array([0, 900, 1800]), 2, window=200, growth=5, rng=np.random.default_rng(0))
    assert choice == (0, 900, 1800)


@pytest.mark.parametrize(("visible", "templates"), [([3], 1), ([3, 4], 2), ([], 1)])
def test_too_few_frames_are_refused(visible, templates):
    with pytest.raises(ValueError, match="too few"):
        choose_causal(np.array(visible), templates, window=200, growth=5, rng=np.random.default_rng(0))
