"""Lost and found: states from scores, and where a lost target is looked for."""

from dataclasses import replace

import pytest

from dmtrack.config import TrackerConfig
from dmtrack.errors import ConfigError
from dmtrack.geometry.box import Box
from dmtrack.tracking.recovery import Trust, places_to_look
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


@pytest.mark.parametrize(
    "wrong", [{"uncertain_score": 0.7}, {"found_score": 1.2}, {"lost_after": 0}, {"sweep_windows": 0}]
)
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError):
        replace(CONFIG, **wrong)
