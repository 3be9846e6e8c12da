"""Each choice that changes a number, on arrays small enough to count by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dmtrack.evaluation.metric import boxes_of
from dmtrack.evaluation.overlap import centre_error, count_above, count_within, normalised_error
from dmtrack.evaluation.overlap_rates import OverlapRate, scored_ious
from dmtrack.evaluation.precision_success import (
    GTOT,
    LASHER,
    RGBT234,
    VISEVENT,
    VTUAV,
    Convention,
    FrameScores,
    PrecisionSuccess,
    curve,
    frame_scores,
    sequence_counts,
)

BOX = [10.0, 10.0, 20.0, 40.0]
FAR = [110.0, 10.0, 20.0, 40.0]


def scores(
    rows: list[Any], truths: list[Any], convention: Convention, present: list[bool] | None = None
) -> FrameScores:
    flags = None if present is None else np.array(present, bool)
    return frame_scores(np.array(rows, float), [np.array(t, float) for t in truths], convention, flags)


def rates(found: FrameScores, convention: Convention) -> tuple[float, ...]:
    return PrecisionSuccess(convention, ("PR", "SR")).figures([sequence_counts(found, convention)])


def test_distances_are_those_of_centres():
    moved = [[13.0, 14.0, 20.0, 40.0]]
    assert centre_error(moved, [BOX]) == pytest.approx([5.0])
    assert normalised_error(moved, [BOX]) == pytest.approx([np.hypot(3 / 20, 4 / 40)])


def test_thresholds_include_or_leave_out_their_edge():
    at = np.array([20.0])
    assert count_within(np.array([20.0, np.nan]), at) == [1]
    assert count_within(np.array([20.0]), at, strict=True) == [0]
    assert count_above(np.array([0.5, np.nan]), np.array([0.5])) == [0]


def test_lasher_counts_invalid_truth_as_hit_and_as_miss():
    found = scores([BOX, FAR, FAR], [[BOX, [0, 5, 9, 9], BOX]], LASHER)
    assert list(found.errors_px) == [0, -1, 100]
    assert list(found.ious) == [1, -1, 0]
    precision, normalised, success = rates(found, LASHER)
    assert (precision, normalised) == pytest.approx((2 / 3, 2 / 3))
    assert success == pytest.approx(20 / 21 / 3)  # an overlap of 1 is above 20 of the 21 thresholds


def test_lasher_repeats_the_row_before_an_invalid_one_and_gives_the_first():
    rows = [FAR, BOX, [np.nan] * 4, [10, 10, 0, 5], FAR]
    found = scores(rows, [[BOX] * 5], LASHER)
    assert list(found.ious) == [1, 1, 1, 1, 0]


def test_frames_beyond_the_truth_are_dropped_and_frames_that_lack_are_misses():
    assert len(scores([BOX] * 9, [[BOX] * 4], LASHER).ious) == 4
    found = scores([BOX] * 2, [[BOX] * 4], LASHER)
    assert found.frames == 4
    assert rates(found, LASHER)[0] == pytest.approx(0.5)


def test_rgbt234_takes_the_better_truth_frame_by_frame_and_cuts():
    near, off = [BOX, FAR, BOX], [FAR, FAR, BOX]
    found = scores([BOX, BOX], [near, off], RGBT234)
    assert list(found.errors_px) == [0, 100]
    assert found.frames == 2
    assert rates(found, RGBT234)[0] == pytest.approx(0.5)
    only_visible = scores([FAR, BOX], [near, off], replace(RGBT234, truths="main"))
    assert list(only_visible.errors_px) == [100, 100]


def test_gtot_is_strict_and_pooled_with_trapezoids():
    found = scores([[15, 10, 20, 40], BOX], [[BOX, BOX], [BOX, BOX]], GTOT)
    assert list(found.errors_px) == [5, 0]
    assert rates(found, GTOT)[0] == pytest.approx(0.5)  # 5 px is not below 5 px
    shares = curve([np.array([1.0]), np.array([0.0])], [1, 3], pooled=True)
    assert shares == pytest.approx([0.25])
    three = replace(GTOT, success_thresholds=3)  # an overlap of 1 is above 0 and 0.5, not above 1
    same = scores([BOX], [[BOX], [BOX]], three)
    assert rates(same, three)[-1] == pytest.approx(0.75)
    assert rates(same, replace(three, area="mean"))[-1] == pytest.approx(2 / 3)


def test_corners_are_rounded_half_away_from_zero_or_bounded():
    corners = [[1.5, 2.4, 5.6, 2.4, 5.6, 9.0, 1.5, 9.0]]
    assert boxes_of(corners, "rounded").tolist() == [[2, 2, 4, 7]]
    assert boxes_of(corners, "bounding")[0] == pytest.approx([1.5, 2.4, 4.1, 6.6])


@pytest.mark.parametrize("rows", [25, 3], ids=["a row a frame", "a row an annotated frame"])
def test_vtuav_scores_every_tenth_frame(rows):
    boxes = [BOX if row % 10 == 0 or rows == 3 else FAR for row in range(rows)]
    found = scores(boxes, [[BOX] * 3, [BOX] * 3], VTUAV)
    assert list(found.ious) == [1, 1, 1]


def test_visevent_removes_absent_frames_from_hits_but_not_from_the_divisor():
    found = scores([BOX] * 4, [[BOX] * 4], VISEVENT, [True, True, False, True])
    assert (len(found.ious), found.frames) == (3, 4)
    assert rates(found, VISEVENT)[0] == pytest.approx(0.75)


def test_one_pass_figures():
    half = [10.0, 10.0, 20.0, 20.0]
    ious = [scored_ious([FAR, BOX, half], [BOX, BOX, BOX]), scored_ious([BOX], [BOX, [0.0] * 4, BOX])]
    assert [list(one) for one in ious] == [[1, 1, 0.5], [1, 0]]
    expected = ((2.5 / 3 + 0.5) / 2, 1.5 / 3, 1 / 3, 1 / 3)
    assert OverlapRate().figures(ious) == pytest.approx(expected)
