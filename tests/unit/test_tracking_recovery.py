"""Lost and found: states from scores, and where a lost target is looked for."""

from dataclasses import replace

import pytest

from dmtrack.config import TrackerConfig
from dmtrack.errors import ConfigError
from dmtrack.geometry.box import Box
from dmtrack.tracking.recovery import Found, Trust, places_to_look
from dmtrack.tracking.result import TrackState

CONFIG = TrackerConfig(
    recovery=True, uncertain_score=0.4, found_score=0.6, lost_after=3, sweep_interval=2, sweep_windows=5
)
START = Box(100, 100, 20, 20)


def states(scores, config=CONFIG):
    trust = Trust(START)
    return [trust.judge(Box(100 + k, 100, 20, 20), score, config) for k, score in enumerate(scores)], trust


def test_a_target_is_doubted_then_lost_then_found_at_a_higher_score():
    got, trust = states([0.9, 0.3, 0.3, 0.3, 0.3, 0.5, 0.7])
    assert [state.value for state in got] == (
        ["tracked"] + ["uncertain"] * 3 + ["lost", "lost"] + ["tracked"]
    )
    assert trust.box.x == 106
    assert not trust.is_lost


def test_one_good_frame_ends_the_doubt():
    got, trust = states([0.3, 0.3, 0.5, 0.3, 0.3, 0.3])
    assert TrackState.LOST not in got
    assert trust.doubted == 3


def test_while_lost_the_last_trusted_box_is_held():
    _, trust = states([0.9, 0.8] + [0.1] * 20)
    assert trust.is_lost
    assert trust.box == Box(101, 100, 20, 20)


def test_the_search_widens_and_then_covers_the_frame():
    """Looks far away come every `sweep_interval` frames, and together reach every place."""
    trust = Trust(START, doubted=3, missed=1)
    assert places_to_look(trust, CONFIG, 320, 240) == [START]
    trust.missed = 2
    nearby = places_to_look(trust, CONFIG, 320, 240)
    assert len(nearby) == 9
    assert nearby[0] == START
    seen = set()
    for missed in range(CONFIG.lost_after + 1, 200):
        trust.missed = missed
        places = places_to_look(trust, CONFIG, 320, 240)
        far = (missed - CONFIG.lost_after) % CONFIG.sweep_interval == 0
        assert len(places) == (CONFIG.sweep_windows if far else 9)
        if far:
            seen |= {(box.cx, box.cy) for box in places}
    reach = 0.5 * 0.5 * CONFIG.search_factor * 20
    for x in range(0, 320, 7):
        for y in range(0, 240, 7):
            assert min(max(abs(x - cx), abs(y - cy)) for cx, cy in seen) <= reach + 1e-6


def test_nothing_is_looked_for_outside_the_frame():
    corner = Trust(Box(2, 2, 20, 20), doubted=3, missed=3)
    places = places_to_look(corner, CONFIG, 320, 240)
    assert len(places) == 4
    assert all(0 <= box.cx < 320 and 0 <= box.cy < 240 for box in places)
    gone = Trust(Box(-90, 2, 20, 20), doubted=3, missed=1)
    assert places_to_look(gone, CONFIG, 320, 240) == [gone.box]


def beside(sizes, score=0.8):
    box = Box(START.x + sizes * START.w, START.y, START.w, START.h)
    return Found(box, score, box)


def lost(speed=0.1, frames=10):
    """A target that moved by `speed` of its size a frame, and was trusted last so many frames ago."""
    return Trust(START, doubted=frames - 1, missed=1, speed=speed)


def looked(trust, *finds):
    """The state after a frame with these finds."""
    chosen = trust.choose(finds, CONFIG)
    return trust.judge(chosen.box, chosen.score, CONFIG)


@pytest.mark.parametrize("speed", [0.05, 0.2, 1.0])
def test_a_lost_target_is_found_only_as_far_away_as_it_can_have_got(speed):
    """One size at once, and what it moved a frame for every frame since."""
    for frames in (5, 12):
        assert looked(lost(speed, frames), beside(0.95 + speed * frames)) is TrackState.TRACKED
        too_far = lost(speed, frames)
        assert looked(too_far, beside(1.05 + speed * frames)) is TrackState.LOST
        assert too_far.box == START


@pytest.mark.parametrize("turns", [(3.0,), (2.0, 2.0, -1.0)])
def test_where_the_camera_took_it_a_lost_target_may_be_farther_off(turns):
    """How far the picture moved is known to some share of that, each time anew."""
    reach = 1 + 0.1 * 10 + 0.4 * sum(map(abs, turns))
    for off, state in ((reach - 0.05, TrackState.TRACKED), (reach + 0.05, TrackState.LOST)):
        trust = lost(0.1, 10)
        for turn in turns:
            trust.carry((turn * START.w, 0.0), 10_000, 10_000)
        place = beside(sum(turns) + off)
        assert trust.box == beside(sum(turns)).box
        assert looked(trust, place) is state
    trust.carry((4 * START.w, 0.0), 10_000, 10_000)
    assert looked(trust, beside(sum(turns) + 4)) is TrackState.TRACKED
    assert trust.carried == 0


def test_what_the_camera_takes_out_of_the_frame_stays_inside():
    trust = lost()
    trust.carry((-1000.0, 0.0), 320, 240)
    assert trust.box == START


def test_speed_is_that_of_frames_in_a_row_and_recent():
    trust = Trust(START)
    for k in range(1, 60):
        trust.judge(beside(0.3 * k).box, 0.9, CONFIG)
    assert trust.speed == pytest.approx(0.3)
    for _ in range(40):
        trust.judge(trust.box, 0.9, CONFIG)
    slow = trust.speed
    assert slow < 0.01
    trust.judge(trust.box, 0.1, CONFIG)
    trust.judge(
        Box(trust.box.x + 15, *trust.box.xywh[1:]), 0.9, CONFIG
    )  # a jump over a doubted frame is no step
    assert trust.speed == slow, "where it jumped to over a doubted frame may be wrong"


def test_of_two_that_score_alike_the_nearer_one_is_found():
    assert lost().choose([beside(-1.4, 0.73), beside(0.9, 0.72)], CONFIG) == beside(0.9, 0.72)
    assert lost().choose([beside(0.5, 0.61), beside(-0.6, 0.95)], CONFIG) == beside(-0.6, 0.95)


def test_a_look_alike_is_known_by_where_it_was_first_seen_and_followed():
    trust = lost(frames=10)
    for k in range(15):  # it comes nearer, until it is where the target could be
        assert looked(trust, beside(3.0 - 0.1 * k), beside(0.1, 0.3)) is TrackState.LOST
    assert looked(trust, beside(1.0), beside(-1.5, 0.7)) is TrackState.TRACKED
    assert trust.box == beside(-1.5).box


def test_a_look_alike_seen_in_doubt_is_known_when_the_target_is_lost():
    trust = Trust(START, doubted=1, speed=0.1)
    assert trust.choose([beside(1.5)], CONFIG) == Found(START, 0.0, START), (
        "the search stays where the target was"
    )
    assert looked(trust, beside(1.5)) is TrackState.UNCERTAIN
    assert [looked(trust, beside(0, 0.1)) for _ in range(10)][-1] is TrackState.LOST
    assert looked(trust, beside(1.3)) is TrackState.LOST


def test_two_windows_that_show_one_look_alike_do_not_make_a_target_of_it():
    assert looked(lost(0.1, 10), beside(2.1), beside(1.9)) is TrackState.LOST


def test_the_score_of_a_frame_that_shows_look_alikes_alone_is_not_theirs():
    assert lost().choose([beside(4), beside(5)], CONFIG).score == 0
    assert lost().choose([beside(4), beside(0.2, 0.5)], CONFIG).score == 0.5


def test_a_look_alike_may_be_hidden_for_a_while_too():
    trust = lost(0.1, 10)
    looked(trust, beside(2.5))
    for _ in range(10):
        looked(trust, beside(0, 0.1))
    assert looked(trust, beside(2.4)) is TrackState.LOST
    assert looked(trust, beside(2.4), beside(0.5, 0.7)) is TrackState.TRACKED
    assert trust.lookalikes == []


@pytest.mark.parametrize(
    "trust", [Trust(START, 30, 28, 0.01), Trust(START, missed=1)], ids=["long lost", "never followed"]
)
def test_who_is_lost_for_long_or_was_never_followed_may_be_anywhere(trust):
    assert looked(trust, beside(40)) is TrackState.TRACKED


def test_who_was_lost_for_long_may_be_what_looked_like_a_look_alike():
    trust = lost(0.01, 10)
    got = [looked(trust, beside(4)) for _ in range(30)]
    assert got.index(TrackState.TRACKED) > 5


def test_a_doubted_target_does_not_jump_to_where_it_cannot_be():
    trust = Trust(START, doubted=2, speed=0.1)
    assert trust.judge(beside(1.5).box, 0.9, CONFIG) is TrackState.UNCERTAIN
    assert trust.judge(beside(1.2).box, 0.9, CONFIG) is TrackState.TRACKED
    sure = Trust(START, speed=0.1)
    assert sure.judge(beside(1.9).box, 0.9, CONFIG) is TrackState.TRACKED


@pytest.mark.parametrize(
    "wrong", [{"uncertain_score": 0.7}, {"found_score": 1.2}, {"lost_after": 0}, {"sweep_windows": 0}]
)
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError):
        replace(CONFIG, **wrong)
