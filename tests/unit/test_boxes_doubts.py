"""The ranking of places to look at: what is odd comes first, and nothing is asked where all is given."""

from __future__ import annotations

import numpy as np
import pytest

from dmtrack.boxes.doubts import Doubt, doubtful_places
from dmtrack.boxes.results import FrameBoxes, RecordingResults
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.tracking.start import Absence, Keyframe, TargetStart

LENGTH = 200


def way(target_id: int = 1, y: float = 50.0) -> list[TrackedBox]:
    """A target that moves evenly, sure of itself, given in its first frame."""
    rng = np.random.default_rng(target_id)
    return [
        TrackedBox(
            frame,
            target_id,
            Box(10 + 2 * frame, y, 30, 40),
            0.8 + 0.02 * float(rng.random()),
            TrackState.INIT if frame == 0 else TrackState.TRACKED,
        )
        for frame in range(LENGTH)
    ]


def places(*ways: list[TrackedBox], keyframes: tuple[Keyframe, ...] = ()) -> list[Doubt]:
    frames = tuple(
        FrameBoxes(frame, tuple(row for rows in ways for row in rows if row.frame_index == frame))
        for frame in range(LENGTH)
    )
    return doubtful_places(RecordingResults("clip", frames), keyframes)


def changed(rows: list[TrackedBox], frames: range, **values: object) -> list[TrackedBox]:
    made = []
    for row in rows:
        said = {name: getattr(row, name) for name in ("frame_index", "target_id", "box", "score", "state")}
        made.append(TrackedBox(**{**said, **(values if row.frame_index in frames else {})}))
    return made


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"score": 0.1}, "low score"),
        ({"state": TrackState.LOST}, "lost"),
        ({"box": Box(400, 300, 30, 40)}, "jump"),
        ({"box": Box(200, 50, 90, 120)}, "change of size"),
    ],
    ids=["score", "lost", "jump", "size"],
)
def test_what_is_odd_is_looked_at_first(values, reason):
    (first,) = places(changed(way(), range(90, 200), **values))
    assert first.frame_index >= 88
    assert first.reason == reason
    (calm,) = places(way())
    assert first.worth > calm.worth


def test_without_a_sign_in_the_middle_of_what_nobody_looked_at():
    (only,) = places(way())
    assert abs(only.frame_index - LENGTH / 2) <= 1
    assert only.reason == "long without a look"


def test_two_targets_on_one_object():
    taken = [
        row if row.frame_index < 120 else TrackedBox(row.frame_index, 2, one.box, row.score, row.state)
        for row, one in zip(way(2, 200.0), way(1), strict=True)
    ]
    first, *_ = places(way(1), taken)
    assert first.reason in ("two targets", "jump")
    assert first.frame_index >= 118


def test_every_stretch_between_keyframes_has_a_place_and_none_is_a_keyframe():
    keys = tuple(TargetStart(Box(10, 50, 30, 40), 1, frame) for frame in (0, 60, 61, 150))
    found = places(way(), keyframes=keys)
    assert [doubt.worth for doubt in found] == sorted((doubt.worth for doubt in found), reverse=True)
    assert len(found) == 3
    assert not {doubt.frame_index for doubt in found} & {0, 60, 61, 150}


def test_where_a_target_is_not_any_more_there_is_nothing_to_look_at():
    odd = changed(way(), range(90, 200), score=0.1)
    start = TargetStart(Box(10, 50, 30, 40), 1, 0)
    for absence, frames in (
        (Absence(1, 60), range(60)),
        (Absence(1, 20, 150), (*range(20), *range(150, 200))),
    ):
        found = places(odd, way(2), keyframes=(start, absence))
        assert {doubt.target_id for doubt in found} == {1}, "the other one was taken away"
        assert all(doubt.frame_index in frames for doubt in found)


def test_a_long_recording_takes_little_time_and_one_frame_has_no_place():
    long = [TrackedBox(k, 1, Box(10, 20, 30, 40), 0.9, TrackState.TRACKED) for k in range(20_000)]
    frames = tuple(FrameBoxes(row.frame_index, (row,)) for row in long)
    assert len(doubtful_places(RecordingResults("clip", frames))) == 1
    assert doubtful_places(RecordingResults("clip", frames[:1])) == []
