"""Which objects of a detector become targets, and which are lost ones: with a tracker that does as told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from dmtrack.config import TrackerConfig
from dmtrack.geometry.box import Box
from dmtrack.tracking.arrivals import GIVEN_UP_AFTER, Arrivals, Detection, lasting
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.tracking.start import Absence, TargetStart
from dmtrack.video.frame import Frame, FramePair

WIDTH, HEIGHT = 320, 240
STILL = Box(100, 100, 30, 40)


def moved(box: Box, dx: float, dy: float = 0) -> Box:
    return Box(box.x + dx, box.y + dy, box.w, box.h)


def pair(index: int) -> FramePair:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return FramePair(Frame(index, index, Fraction(1, 10), image), None, None, image)


@dataclass
class ToldTracker:
    """Follows targets to where `where` says they are, and finds `alike` of a target to look like it."""

    where: Callable[[int, int], tuple[Box, TrackState]]
    alike: Callable[[int, Box], float] = lambda target_id, box: 0.0
    config: TrackerConfig = field(default_factory=lambda: TrackerConfig(recovery=True))
    followed: set[int] = field(default_factory=set)
    known: list[int] = field(default_factory=list)

    def templates(self, pair: FramePair, boxes: Sequence[Box]) -> list[Any]:
        return list(boxes)

    def look(self, pair: FramePair, target_id: int, box: Box) -> tuple[Box, float]:
        return box, self.alike(target_id, box)

    def drop(self, target_id: int) -> None:
        self.followed.remove(target_id)

    def add(
        self, pair: FramePair, boxes: Sequence[Box], ids: Sequence[int], known: Any = ()
    ) -> tuple[TrackedBox, ...]:
        assert not self.followed & set(ids)
        self.followed |= set(ids)
        self.known += [len(templates) for templates in known]
        return tuple(
            TrackedBox(pair.rgb.index, number, box, 1.0, TrackState.INIT)
            for number, box in zip(ids, boxes, strict=True)
        )

    def update(self, pair: FramePair) -> list[TrackedBox]:
        rows = []
        for number in sorted(self.followed):
            box, state = self.where(pair.rgb.index, number)
            rows.append(TrackedBox(pair.rgb.index, number, box, 0.5, state))
        return rows


def run(
    tracker: ToldTracker, seen: dict[int, list[Detection]], frames: int, starts: Sequence[TargetStart] = ()
) -> tuple[Arrivals, list[tuple[TrackedBox, ...]]]:
    arrivals = Arrivals(lasting(seen, WIDTH, HEIGHT), [start.target_id for start in starts])
    rows = []
    for index in range(frames):
        here, found = pair(index), tracker.update(pair(index))
        due = [start for start in starts if start.frame_index == index]
        found += tracker.add(here, [start.box for start in due], [start.target_id for start in due])
        arrivals.given(here, tracker, due)  # type: ignore[arg-type]
        rows.append(arrivals.take(here, tracker, found))  # type: ignore[arg-type]
    return arrivals, rows


def tracked(box: Box) -> Callable[[int, int], tuple[Box, TrackState]]:
    return lambda index, target_id: (box, TrackState.TRACKED)


@pytest.mark.parametrize(
    ("frames", "starts_at"),
    [
        pytest.param([4], None, id="a-mistake-of-one-frame"),
        pytest.param([4, 5], None, id="of-two"),
        pytest.param([4, 5, 6], 4, id="seen-in-three"),
        pytest.param([4, 6, 8], 4, id="missed-now-and-then"),
        pytest.param([4, 5, 30], None, id="long-between"),
        pytest.param([0, 10, 20], 0, id="a-detector-of-every-tenth-frame"),
    ],
)
def test_a_target_starts_where_an_object_is_first_seen_if_it_is_seen_again(
    frames: list[int], starts_at: int | None
) -> None:
    arrivals, rows = run(ToldTracker(tracked(STILL)), {f: [Detection(STILL, 0.9)] for f in frames}, 40)
    expected = [] if starts_at is None else [TargetStart(STILL, 1, starts_at)]
    assert arrivals.keyframes == expected
    assert [bool(here) for here in rows] == [starts_at is not None and f >= starts_at for f in range(40)]


def test_small_things_that_move_by_more_than_their_size_are_one_object() -> None:
    seen = {f: [Detection(Box(50 + 9 * f, 60, 8, 8))] for f in range(6)}
    assert sorted(lasting(seen, WIDTH, HEIGHT)) == list(range(6))


def test_what_overlaps_a_followed_target_is_that_target() -> None:
    """Also twice, and also where the detector's box is much larger than the tracker's."""
    seen = {f: [Detection(moved(STILL, 4), 0.9), Detection(Box(80, 75, 70, 90), 0.8)] for f in range(1, 20)}
    arrivals, rows = run(ToldTracker(tracked(STILL)), seen, 20, [TargetStart(STILL, 1, 0)])
    assert arrivals.keyframes == []
    assert all(len(here) == 1 for here in rows)


def test_the_most_certain_of_two_boxes_of_a_new_object_counts() -> None:
    better = moved(STILL, 6)
    seen = {f: [Detection(STILL, 0.6), Detection(better, 0.9)] for f in range(5)}
    arrivals, _ = run(ToldTracker(tracked(better)), seen, 5)
    assert arrivals.keyframes == [TargetStart(better, 1, 0)]


def test_new_ones_take_ids_that_are_free() -> None:
    seen = {f: [Detection(STILL), Detection(moved(STILL, 120))] for f in range(6)}
    given = [TargetStart(Box(10, 10, 20, 20), 2, 0)]
    boxes = {1: STILL, 2: given[0].box, 3: moved(STILL, 120)}
    tracker = ToldTracker(lambda index, number: (boxes[number], TrackState.TRACKED))
    arrivals, _ = run(tracker, seen, 6, given)
    assert [key.target_id for key in arrivals.keyframes] == [1, 3]


def test_an_object_that_enters_is_waited_for_until_it_is_whole() -> None:
    boxes = [Box(320 - 10 * (f + 1), 100, 10 * min(f + 1, 3), 40) for f in range(12)]
    tracker = ToldTracker(lambda index, target_id: (boxes[index], TrackState.TRACKED))
    arrivals, _ = run(tracker, {f: [Detection(box)] for f, box in enumerate(boxes)}, 12)
    (start,) = arrivals.keyframes
    assert isinstance(start, TargetStart)
    assert start.box.w == 30
    assert start.box.xyxy[2] < WIDTH


def test_one_that_never_leaves_the_edge_starts_all_the_same() -> None:
    half = Box(-20, 50, 40, 60)
    arrivals, _ = run(ToldTracker(tracked(half)), {f: [Detection(half)] for f in range(9)}, 9)
    assert arrivals.keyframes == [TargetStart(Box(0, 50, 20, 60), 1, 0)], "cut to the frame"


AWAY = moved(STILL, 60, 20)
LOST_AT, FOUND_AT = 5, 12


def lost_for_a_while(index: int, target_id: int) -> tuple[Box, TrackState]:
    if target_id != 1:
        return AWAY, TrackState.TRACKED
    if index < LOST_AT:
        return STILL, TrackState.TRACKED
    return (STILL, TrackState.LOST) if index <= FOUND_AT else (AWAY, TrackState.TRACKED)


def seen_again(box: Box = AWAY, label: str | None = None) -> dict[int, list[Detection]]:
    return {f: [Detection(box, 0.9, label)] for f in range(FOUND_AT, 20)}


def test_a_detection_that_fits_takes_up_a_lost_target_again() -> None:
    tracker = ToldTracker(lost_for_a_while, lambda target_id, box: 0.7)
    arrivals, rows = run(tracker, seen_again(), 20, [TargetStart(STILL, 1, 0)])
    assert arrivals.keyframes == [TargetStart(AWAY, 1, FOUND_AT, back=False)]
    assert rows[FOUND_AT][0].state is TrackState.INIT
    assert rows[FOUND_AT][0].box == AWAY
    assert tracker.known == [1], "what it looked like before is known"


@pytest.mark.parametrize(
    ("alike", "box"),
    [
        pytest.param(0.1, AWAY, id="looks-otherwise"),
        pytest.param(0.9, Box(100, 100, 120, 120), id="far-too-large"),
        pytest.param(0.9, Box(5, 5, 30, 40), id="could-not-have-come-there"),
    ],
)
def test_what_does_not_fit_is_a_new_target(alike: float, box: Box) -> None:
    def where(index: int, target_id: int) -> tuple[Box, TrackState]:
        return (box, TrackState.TRACKED) if target_id != 1 else lost_for_a_while(min(index, 11), 1)

    seen = {f: [Detection(box, 0.9)] for f in range(6, 20)}
    arrivals, _ = run(ToldTracker(where, lambda *_: alike), seen, 20, [TargetStart(STILL, 1, 0)])
    assert [(key.target_id, key.frame_index) for key in arrivals.keyframes] == [(2, 6)]


def test_a_target_of_one_class_is_no_thing_of_another() -> None:
    seen = {f: [Detection(STILL, 0.9, "car")] for f in range(4)} | seen_again(label="person")
    arrivals, _ = run(ToldTracker(lost_for_a_while, lambda *_: 0.9), seen, 20)
    assert [(key.target_id, key.frame_index) for key in arrivals.keyframes] == [(1, 0), (2, FOUND_AT)]


def test_of_two_lost_targets_the_one_that_looks_more_like_it_is_taken_up() -> None:
    def where(index: int, target_id: int) -> tuple[Box, TrackState]:
        return moved(STILL, 10 * target_id), TrackState.LOST if index >= LOST_AT else TrackState.TRACKED

    starts = [TargetStart(moved(STILL, 10), 1, 0), TargetStart(moved(STILL, 20), 2, 0)]
    tracker = ToldTracker(where, lambda target_id, box: 0.5 + 0.1 * target_id)
    arrivals, _ = run(tracker, seen_again(), FOUND_AT + 1, starts)
    assert [(key.target_id, key.frame_index) for key in arrivals.keyframes] == [(2, FOUND_AT)]


@pytest.mark.parametrize("is_given", [False, True])
def test_a_target_that_stays_lost_is_absent_one_day_unless_a_person_gave_it(is_given: bool) -> None:
    """Else each that has left the picture would be looked for to the end."""

    def where(index: int, target_id: int) -> tuple[Box, TrackState]:
        return STILL, TrackState.LOST if index >= 5 else TrackState.TRACKED

    tracker = ToldTracker(where)
    seen = {f: [Detection(STILL)] for f in range(1, 5)}
    starts = [TargetStart(STILL, 1, 0)] if is_given else []
    arrivals, rows = run(tracker, seen, GIVEN_UP_AFTER + 20, starts)
    absences = [key for key in arrivals.keyframes if isinstance(key, Absence)]
    assert absences == ([] if is_given else [Absence(1, 5 + GIVEN_UP_AFTER - 1)])
    assert bool(rows[-1]) == is_given
