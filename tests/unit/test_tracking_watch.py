"""When a run ends because nothing is left to follow, and what a pixel costs a small box."""

from fractions import Fraction

import numpy as np
import pytest

from dmtrack.geometry.box import Box
from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState
from dmtrack.tracking.tracker import overlap_bound
from dmtrack.tracking.watch import MOST_DOUBTED, DoubtedSpan, DoubtWatch, LostWatch, worst_first
from dmtrack.video.frame import Frame, FramePair

PIXELS = np.zeros((8, 8, 3), np.uint8)
BOX = Box(1, 1, 4, 4)


def result(index, **states):
    frame = Frame(index, index, Fraction(1, 10), PIXELS)
    targets = tuple(
        TrackedBox(index, int(name[1:]), BOX, 0.5, TrackState(state), frame.time_s)
        for name, state in states.items()
    )
    return FrameResult(FramePair(frame, None, None, PIXELS), targets, 1.0)


def first_over(watch, results):
    return next((one.pair.rgb.index for one in results if watch.is_over(one)), None)


def test_a_run_is_over_once_the_only_target_has_been_lost_for_long_enough():
    lost = [result(0, t1="init"), *(result(k, t1="lost") for k in range(1, 20))]
    assert first_over(LostWatch(Fraction(1, 2), 0), lost) == 6
    assert first_over(LostWatch(None, 0), lost) is None


def test_a_target_found_again_starts_the_count_anew():
    found = [result(k, t1="tracked" if k == 4 else "lost") for k in range(12)]
    assert first_over(LostWatch(Fraction(1, 2), 0), found) == 10


def test_an_uncertain_target_is_not_lost():
    assert first_over(LostWatch(Fraction(1, 10), 0), [result(k, t1="uncertain") for k in range(9)]) is None


def test_every_target_must_be_lost_and_none_still_to_come():
    one = [result(k, t1="lost", t2="tracked" if k < 5 else "lost") for k in range(12)]
    assert first_over(LostWatch(Fraction(3, 10), 0), one) == 8
    waiting = [result(k, t1="lost") for k in range(12)]
    assert first_over(LostWatch(Fraction(3, 10), 20), waiting) is None
    assert first_over(LostWatch(Fraction(3, 10), 5), waiting) == 8


def test_a_pixel_costs_small_boxes_overlap():
    bounds = [overlap_bound(Box(0, 0, side, side), 1.0) for side in (4, 12, 48, 400)]
    assert bounds == sorted(bounds)
    assert overlap_bound(Box(0, 0, 12, 10), 1.0) == pytest.approx(99 / (240 - 99))  # moved by 1 px both ways
    assert bounds[-1] > 0.98


def test_without_an_error_nothing_is_taken_off_and_the_smallest_box_keeps_a_score():
    assert overlap_bound(BOX, 0.0) == 1.0
    assert overlap_bound(Box(0, 0, 0.5, 0.5), 1.0) > 0


def test_doubts_are_spans_of_one_state_of_one_target():
    watch = DoubtWatch()
    for index, (one, two) in enumerate(zip("ttuullt", "ttttttu", strict=True)):
        names = {"t": "tracked", "u": "uncertain", "l": "lost"}
        watch.note(result(index, t1=names[one], t2=names[two]))
    assert [str(span) for span in watch.spans()] == [
        "target 1 uncertain from 0.2 to 0.3 s",
        "target 1 lost from 0.4 to 0.5 s",
        "target 2 uncertain from 0.6 s to the end",
    ]
    assert str(worst_first(watch.spans())[0]) == "target 1 lost from 0.4 to 0.5 s"
    assert str(DoubtedSpan(1, TrackState.LOST, 5, 6, 0.167, 0.2)) == "target 1 lost at 0.2 s"


def test_doubts_of_a_long_run_are_bounded():
    watch = DoubtWatch()
    for index in range(3 * MOST_DOUBTED):
        watch.note(result(index, t1="lost" if index % 2 else "tracked"))
    assert len(watch.spans()) == MOST_DOUBTED
