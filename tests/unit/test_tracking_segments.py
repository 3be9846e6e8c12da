"""Segments: what lies between two keyframes, and which of them an earlier run has tracked already."""

from __future__ import annotations

import random

import pytest

from dmtrack.errors import BoxError
from dmtrack.geometry.box import Box
from dmtrack.tracking.segments import MOST_SHOWN, Segment, segments_of
from dmtrack.tracking.start import Absence, Keyframe, TargetStart, numbered, starts_and_corrections

BOX = Box(10, 20, 30, 40)


def key(frame: int, target_id: int = 1, *, back: bool = True) -> TargetStart:
    return TargetStart(BOX, target_id, frame, back)


def spans(keyframes: list[Keyframe]) -> list[tuple[int, int, int | None]]:
    return [(one.target_id, one.first, one.end) for one in segments_of(keyframes)]


def test_a_target_with_one_box_is_one_segment() -> None:
    (only,) = segments_of([key(5)])
    assert only == Segment(1, 5, None, (key(5),), key(5))
    assert only.opens_with_box


def test_every_keyframe_opens_a_segment_and_closes_the_one_before() -> None:
    first, second, third = segments_of([key(40), key(0), key(90)])
    assert (first.closing, second.closing, third.closing) == (key(40), key(90), None)
    assert [(one.first, one.end) for one in (first, second, third)] == [(0, 40), (40, 90), (90, None)]


def test_the_order_in_which_keyframes_are_given_does_not_matter() -> None:
    keyframes: list[Keyframe] = [key(f, i) for i in (1, 2, 3) for f in (0, 7, 30)] + [Absence(2, 40, 50)]
    shuffled = list(keyframes)
    random.Random(1).shuffle(shuffled)
    assert segments_of(shuffled) == segments_of(keyframes)


@pytest.mark.parametrize(
    ("keyframes", "expected"),
    [
        ([key(0), Absence(1, 10)], [(1, 0, 10)]),
        ([key(0), Absence(1, 10, 20)], [(1, 0, 10), (1, 20, None)]),
        ([key(0), Absence(1, 10, 20), key(20)], [(1, 0, 10), (1, 20, None)]),
        ([key(0), Absence(1, 10), key(30)], [(1, 0, 10), (1, 30, None)]),
        ([Absence(1, 0, 5), key(8)], [(1, 8, None)]),
        ([key(0), key(9, 2)], [(1, 0, None), (2, 9, None)]),
    ],
    ids=[
        "gone for ever",
        "looked for again",
        "given again",
        "until its next box",
        "before its first",
        "two ids",
    ],
)
def test_absences_belong_to_no_segment(
    keyframes: list[Keyframe], expected: list[tuple[int, int, int | None]]
) -> None:
    assert spans(keyframes) == expected


def test_what_is_looked_for_again_opens_without_a_box() -> None:
    _, again = segments_of([key(0), Absence(1, 10, 20)])
    assert not again.opens_with_box
    assert again.last_seen == key(0)
    assert again.closing is None


def test_the_nearest_keyframes_are_shown_in_order_of_time() -> None:
    keyframes: list[Keyframe] = [key(f) for f in (0, 10, 50, 55, 100)]
    at_50 = next(one for one in segments_of(keyframes) if one.first == 50)
    assert [one.frame_index for one in at_50.known] == [10, 50, 55]
    assert all(len(one.known) <= MOST_SHOWN for one in segments_of(keyframes))


def test_a_keyframe_that_changes_nothing_before_it_leaves_a_part_of_the_earlier_segment() -> None:
    (before,) = segments_of([key(0)])
    first, second = segments_of([key(0), key(40, back=False)])
    assert first.is_part_of(before)
    assert not second.is_part_of(before)


def test_a_keyframe_that_may_change_what_lies_before_it_leaves_nothing() -> None:
    (before,) = segments_of([key(0)])
    assert not any(one.is_part_of(before) for one in segments_of([key(0), key(40)]))


def test_later_corrections_leave_distant_segments_alone() -> None:
    before = segments_of([key(f) for f in (0, 10, 20, 30, 40)])
    after = segments_of([key(f) for f in (0, 10, 20, 30, 40, 200)])
    kept = [one for one in after if any(map(one.is_part_of, before))]
    assert [one.first for one in kept] == [0, 10, 20, 30]


@pytest.mark.parametrize(("start", "until"), [(5, 5), (5, 4), (-1, None)])
def test_an_absence_that_cannot_be_is_refused(start: int, until: int | None) -> None:
    with pytest.raises(BoxError, match="target 1"):
        Absence(1, start, until)


def test_starts_are_told_from_corrections() -> None:
    starts, later = starts_and_corrections([key(9), key(0), Absence(2, 0, 3), key(4, 2), Absence(1, 3, 5)])
    assert starts == (key(0), key(4, 2))
    assert later == (Absence(1, 3, 5), key(9))


def test_one_id_twice_in_a_frame_is_refused() -> None:
    with pytest.raises(BoxError, match="twice"):
        numbered([key(3), key(3)])
