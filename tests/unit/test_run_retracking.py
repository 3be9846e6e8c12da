"""Both ways of a segment: joined by score and nearness, and held against each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtrack.geometry.box import Box
from dmtrack.run.retracking import Way, joined
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.tracking.segments import Segment
from dmtrack.tracking.start import TargetStart

BOX = Box(10, 20, 30, 40)
FAR = Box(200, 20, 30, 40)
AWAY = Box(100, 20, 30, 40)
SEGMENT = Segment(1, 0, 10, (TargetStart(BOX, 1, 0),), TargetStart(BOX, 1, 0), TargetStart(BOX, 1, 10))


def found(box: Box, score: float, frames: range) -> Way:
    made = Way()
    for frame in frames:
        made[frame] = (TrackedBox(frame, 1, box, score, TrackState.TRACKED), 2.0)
    return made


def test_where_both_ways_agree_the_box_lies_between_and_nearer_to_the_nearer_keyframe() -> None:
    moved = Box(14, 20, 30, 40)
    made = joined(SEGMENT, found(BOX, 0.8, range(10)), found(moved, 0.8, range(1, 10)))
    xs = [made[frame][0].box.x for frame in range(10)]
    assert xs[0] == 10
    assert xs == sorted(xs)
    assert 10 < xs[1] < 11
    assert 13 < xs[9] < 14
    assert all(made[frame][0].state is TrackState.TRACKED for frame in made)
    assert made[5][1] == 4.0, "the time of both"


@pytest.mark.parametrize(("backward_score", "expected"), [(0.8, FAR), (0.05, AWAY)])
def test_where_they_do_not_the_better_way_counts_and_says_so(backward_score: float, expected: Box) -> None:
    """Neither way arrives at the other keyframe."""
    made = joined(SEGMENT, found(AWAY, 0.4, range(10)), found(FAR, backward_score, range(1, 10)))
    row = made[6][0]
    assert row.box == expected
    assert row.state is TrackState.UNCERTAIN
    assert row.score == 0.0


@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.builds(Box, st.floats(0, 60), st.floats(0, 60), st.floats(1, 80), st.floats(1, 80)),
    st.integers(1, 9),
)
def test_a_joined_box_lies_within_both_and_its_score_is_no_higher(
    one: float, two: float, other: Box, frame: int
) -> None:
    row = joined(SEGMENT, found(BOX, one, range(10)), found(other, two, range(1, 10)))[frame][0]
    for value, ends in zip(row.box.xywh, zip(BOX.xywh, other.xywh, strict=True), strict=True):
        assert min(ends) - 1e-6 <= value <= max(ends) + 1e-6
    assert 0 <= (row.score or 0) <= max(one, two)


def test_frames_that_only_one_way_has_stay() -> None:
    made = joined(SEGMENT, found(BOX, 0.4, range(10)), found(FAR, 0.9, range(7, 10)))
    assert [made[frame][0].box for frame in range(7)] == [BOX] * 7


@pytest.mark.parametrize("frame", [1, 5, 9])
def test_the_way_that_alone_arrives_at_the_other_keyframe_leads_everywhere(frame: int) -> None:
    made = joined(SEGMENT, found(BOX, 0.2, range(10)), found(FAR, 0.9, range(1, 10)))
    assert (made[frame][0].box, made[frame][0].score, made[frame][0].state) == (BOX, 0.2, TrackState.TRACKED)
    made = joined(SEGMENT, found(FAR, 0.9, range(10)), found(BOX, 0.2, range(1, 10)))
    assert (made[frame][0].box, made[frame][0].score) == (BOX, 0.2)
