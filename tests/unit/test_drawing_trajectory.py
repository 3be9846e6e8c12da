"""`trajectory.png`: what is kept of a path, and a picture that shows where and when."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from dmtrack.drawing.draw import target_colour
from dmtrack.drawing.trail import Trails
from dmtrack.drawing.trajectory import MOST_POINTS, TIME_COLOURS, TrajectorySink
from dmtrack.errors import OutputError
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState
from dmtrack.video.frame import Frame, FramePair
from dmtrack.video.second.gauge import AuxMeasure, AuxUnit

GREY = np.full((400, 600, 3), 60, np.uint8)
FIRST, MIDDLE, LAST = TIME_COLOURS
Picture = npt.NDArray[np.uint8]


def result(index: int, *targets: TrackedBox) -> FrameResult:
    return FrameResult(FramePair(Frame(index, index, Fraction(1, 10), GREY), None, None, GREY), targets, 1.0)


def at(index: int, x: float, y: float, state: str = "tracked", target_id: int = 1) -> TrackedBox:
    """A target whose middle is at a point of the frame."""
    return TrackedBox(index, target_id, Box(x - 10, y - 10, 20, 20), 0.9, TrackState(state))


def drawn(path: Path, results: Iterable[FrameResult]) -> Picture:
    with TrajectorySink(path) as sink:
        for one in results:
            sink.write(one)
    return np.asarray(cv2.imread(str(path))[..., ::-1], np.uint8)


def has(picture: Picture, x: float, y: float, colour: tuple[int, int, int], reach: int = 2) -> bool:
    column, row = round(x), round(y)
    patch = picture[row - reach : row + reach + 1, column - reach : column + reach + 1].astype(int)
    return bool((np.abs(patch - colour).max(axis=2) < 25).any())


def test_a_path_has_the_colours_of_time_and_its_scale_below(tmp_path):
    picture = drawn(tmp_path / "trajectory.png", (result(k, at(k, 50 + 5 * k, 300)) for k in range(101)))
    assert picture.shape[1] == 600
    assert has(picture, 50, 300, FIRST)
    assert has(picture, 300, 300, MIDDLE)
    assert has(picture, 545, 300, LAST)
    assert not has(picture, 300, 300, FIRST)
    assert has(picture, 300, 292, (60, 60, 60)), "beside the path the frame is as it was"
    assert has(picture, 540, 300, target_colour(1), 15), "the box where it ends"
    bar = picture[400:]
    places = [np.nonzero((np.abs(bar.astype(int) - c).max(axis=2) < 8).any(axis=0))[0] for c in TIME_COLOURS]
    assert places[0].max() < places[1].min() < places[1].max() < places[2].min()


@pytest.mark.parametrize(("height", "width"), [(2160, 3840), (3840, 2160), (500, 2400)])
def test_a_large_frame_is_drawn_smaller_and_paths_lie_where_they_were(tmp_path, height, width):
    grey = np.full((height, width, 3), 60, np.uint8)
    middles = [(width * (1 + k) / 8, height / 2) for k in range(7)]
    results = [
        FrameResult(FramePair(Frame(k, k, Fraction(1, 10), grey), None, None, grey), (at(k, *middle),), 1.0)
        for k, middle in enumerate(middles)
    ]
    picture = drawn(tmp_path / "trajectory.png", results)
    scale = max(1, height * 1920 // max(height, width)) / height
    assert picture.shape[1] == round(width * scale)
    assert has(picture, picture.shape[1] / 8, height * scale / 2, FIRST, 3)


@pytest.mark.parametrize("state", ["lost", "absent"])
def test_where_a_target_was_lost_or_absent_there_are_dashes(state, tmp_path):
    """Of an absent one there is no row."""
    states = ["tracked"] * 20 + [state] * 20 + ["tracked"] * 20
    shown = [() if s == "absent" else (at(k, 30 + 9 * k, 200, s),) for k, s in enumerate(states)]
    picture = drawn(tmp_path / "trajectory.png", (result(k, *targets) for k, targets in enumerate(shown)))
    row = picture[200, 210:380].astype(int)
    is_dash = row.min(axis=1) > 100
    assert 0.2 < is_dash.mean() < 0.8
    assert np.abs(np.diff(is_dash.astype(int))).sum() > 8, "it comes and goes"
    assert (np.abs(picture[200, 40:190].astype(int) - 60).max(axis=1) > 25).all(), "elsewhere it goes through"


@pytest.mark.parametrize("state", ["lost", "absent"])
def test_a_trail_is_broken_where_a_target_was_lost_or_absent(state):
    trails = Trails(50)
    for index in (3 * n for n in range(6)):  # live, frames are dropped, which breaks nothing
        trails.note(index, at(index, 90, 90, target_id=2))
        if state == "lost" or index not in (6, 9):
            trails.note(index, at(index, index, 50, "lost" if index in (6, 9) else "tracked"))
        found = trails.at(index)
    assert [trail.points for trail in found] == [((90, 90),) * 6, ((0, 50), (3, 50)), ((12, 50), (15, 50))]


def test_a_long_path_keeps_its_ends_its_breaks_and_a_bounded_number_of_points(tmp_path):
    sink = TrajectorySink(tmp_path / "trajectory.png")
    frames = 5 * MOST_POINTS + 3
    for k in range(frames):
        sink.write(result(k, at(k, k / 100, 5, "lost" if k in (1000, 3333) else "tracked")))
    steps = sink.paths[1].steps
    assert MOST_POINTS // 2 <= len(steps) <= MOST_POINTS
    assert (steps[0].time_s, steps[-1].time_s) == pytest.approx((0, (frames - 1) / 10), abs=0.8)
    assert steps[-1].middle[0] == pytest.approx((frames - 1) / 100)
    assert [step.time_s for step in steps] == sorted({step.time_s for step in steps})
    broken = [step.time_s for step in steps[1:] if not step.is_joined]
    assert broken == pytest.approx([100.1, 333.4], abs=0.8)


def test_from_above_a_circle_around_a_point_ahead_is_a_circle(tmp_path):
    """It goes half round, from the right over the far side to the left: 3 m around a point 10 m ahead."""

    def placed(k: int) -> TrackedBox:
        turn = math.pi * k / 60
        place = (3 * math.cos(turn), 0.5, 10 + 3 * math.sin(turn))
        return replace(at(k, 300, 200), measure=AuxMeasure(10, 9, 11, AuxUnit.METRE, place))

    picture = drawn(tmp_path / "trajectory.png", (result(k, placed(k)) for k in range(61)))
    assert picture.shape[1] == 600 + 400, "a square beside the frame"
    view = picture[:400, 600:]
    px_a_metre = 400 / (6 * 1.24)
    for turn, colour in ((0.0, FIRST), (0.5, MIDDLE), (1.0, LAST)):
        x, ahead = 3 * math.cos(math.pi * turn), 3 * math.sin(math.pi * turn) - 1.5
        assert has(view, 200 + x * px_a_metre, 200 - ahead * px_a_metre, colour, 3), turn


def test_two_targets_and_one_that_has_gone(tmp_path):
    results = [
        result(k, at(k, 100 + 5 * k, 100), *([at(k, 100, 150 + 5 * k, target_id=2)] if k < 20 else []))
        for k in range(40)
    ]
    picture = drawn(tmp_path / "trajectory.png", results)
    assert has(picture, 100, 235, target_colour(2), 15)
    assert has(picture, 295, 100, target_colour(1), 15)


def test_nothing_is_drawn_of_nothing_and_nothing_is_overwritten(tmp_path):
    TrajectorySink(tmp_path / "none.png").close()
    assert not list(tmp_path.iterdir())
    assert drawn(tmp_path / "empty.png", [result(0)]).shape[1] == 600  # no target yet
    (tmp_path / "mine.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        TrajectorySink(tmp_path / "mine.png")
