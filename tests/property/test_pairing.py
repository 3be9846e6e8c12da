"""Pairing in time, over any two streams in order: nearest, monotone, within the skew, exact."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dmtrack.video.frame import Frame
from dmtrack.video.matching import NearestMatcher, by_index, shifted

steady = settings(deadline=None, max_examples=60)  # a busy machine is no failure

PIXELS = np.zeros((1, 1), np.uint8)

time_bases = st.builds(Fraction, st.integers(1, 1001), st.integers(1, 90_000))


@st.composite
def streams(draw, min_size=0):
    """Frames with strictly increasing stamps, regular or not, on any time base."""
    steps = draw(st.lists(st.integers(1, 2000), min_size=min_size, max_size=25))
    pts = draw(st.integers(-5000, 5000))
    time_base = draw(time_bases)
    frames = []
    for index, step in enumerate(steps):
        frames.append(Frame(index, pts, time_base, PIXELS))
        pts += step
    return frames


def match(rgb, aux):
    matcher = NearestMatcher(iter(aux))
    return [matcher.nearest(frame.time_s) for frame in rgb]


@steady
@given(streams(), streams(min_size=1))
def test_partner_is_the_nearest_of_all_and_the_earlier_of_two(rgb, aux):
    for frame, found in zip(rgb, match(rgb, aux), strict=True):
        expected = min(aux, key=lambda other: (abs(other.time_s - frame.time_s), other.time_s))
        assert found.index == expected.index


@steady
@given(streams(), streams(min_size=1))
def test_partners_never_go_back(rgb, aux):
    indices = [found.index for found in match(rgb, aux)]
    assert indices == sorted(indices)


@steady
@given(streams())
def test_without_frames_there_is_no_partner(rgb):
    assert match(rgb, []) == [None] * len(rgb)


@steady
@given(streams(min_size=1))
def test_a_stream_pairs_with_itself_without_skew(frames):
    assert [found.index for found in match(frames, frames)] == list(range(len(frames)))


@steady
@given(streams(min_size=2), streams(min_size=2))
def test_inside_the_common_time_the_skew_is_at_most_half_the_widest_gap(rgb, aux):
    widest = max(later.time_s - earlier.time_s for earlier, later in pairwise(aux))
    for frame, found in zip(rgb, match(rgb, aux), strict=True):
        if aux[0].time_s <= frame.time_s <= aux[-1].time_s:
            assert abs(found.time_s - frame.time_s) <= widest / 2


@steady
@given(streams(), streams(min_size=1), st.fractions(-100, 100, max_denominator=10_000))
def test_moving_both_streams_changes_no_partner(rgb, aux, offset_s):
    moved = match([shifted(f, offset_s) for f in rgb], [shifted(f, offset_s) for f in aux])
    assert [found.index for found in moved] == [found.index for found in match(rgb, aux)]


@steady
@given(streams(min_size=1), st.fractions(-100, 100, max_denominator=10_000))
def test_a_shift_is_exact_and_can_be_undone(frames, offset_s):
    for frame in frames:
        moved = shifted(frame, offset_s)
        assert moved.time_s == frame.time_s + offset_s
        assert moved.index == frame.index
        assert shifted(moved, -offset_s).time_s == frame.time_s


@steady
@given(st.integers(0, 30), st.integers(1, 30))
def test_by_index_the_same_place_is_the_partner(first, count):
    frames = [Frame(i, 7 * i, Fraction(1, 30), PIXELS) for i in range(count)]
    matcher = NearestMatcher(iter(frames), by_index)
    assert matcher.nearest(Fraction(first)).index == min(first, count - 1)


@steady
@given(streams(), streams(min_size=1))
def test_looks_one_frame_ahead_and_no_further(rgb, aux):
    taken = []

    def counted():
        for frame in aux:
            taken.append(frame.index)
            yield frame

    matcher = NearestMatcher(counted())
    for frame in rgb:
        found = matcher.nearest(frame.time_s)
        assert taken[-1] <= found.index + 1
