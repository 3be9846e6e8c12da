"""The time offset between two streams, from what moves in them."""

from fractions import Fraction

import numpy as np
import pytest

from dmtrack.alignment.time_offset import MotionSignal, find_offset, motion_signal, propose_offset
from dmtrack.errors import AlignmentError
from dmtrack.video.frame import Frame, Modality

SIZE = (96, 72)


def wander(seed, seconds=12.0):
    """A camera that wanders: smooth random positions over time."""
    rng = np.random.default_rng(seed)
    knots = np.arange(-2, seconds + 3, 0.25)
    steps = rng.normal(0, 3, (len(knots), 2))
    places = np.cumsum(steps, axis=0)
    return lambda t: np.array([np.interp(t, knots, places[:, axis]) for axis in (0, 1)])


def stream(path, rate, start_s, seconds, *, heat=False, seed=5):
    """Frames of a textured scene under a wandering camera, on a clock that starts at `start_s`."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (60, 60), np.uint8)
    scene = np.kron(255 - coarse if heat else coarse, np.ones((6, 6), np.uint8))
    for index in range(int(seconds * rate)):
        x, y = np.clip(130 + path(start_s + index / rate), 0, 250).astype(int)
        cut = scene[y : y + SIZE[1], x : x + SIZE[0]]
        grey = np.ascontiguousarray(cut)
        yield Frame(index, index, Fraction(1) / rate, grey if heat else np.dstack([grey] * 3))


@pytest.mark.parametrize(
    ("late_s", "aux_rate"), [(0.5, 30), (-0.8, 30), (0.37, 9), (-1.3, 15)], ids=["30", "early", "9", "15"]
)
def test_a_late_start_and_another_rate(late_s, aux_rate):
    """Both clocks start at 0, but the second camera was switched on `late_s` later."""
    path = wander(1)
    rgb = motion_signal(stream(path, 30, 0, 8), None)
    aux = motion_signal(stream(path, aux_rate, late_s, 8, heat=True), Modality.THERMAL)
    found = find_offset(rgb, aux)
    assert found.offset_s == pytest.approx(late_s, abs=0.2 / aux_rate)
    assert found.confidence > 0.8


def test_other_motion_is_refused():
    rgb = motion_signal(stream(wander(1), 30, 0, 8), None)
    aux = motion_signal(stream(wander(2), 30, 0, 8, heat=True), Modality.THERMAL)
    with pytest.raises(AlignmentError, match="no clear time offset"):
        find_offset(rgb, aux)


def hovering(path, rate, start_s, *, field=1.0, heat=False):
    """Frames of a camera that stands still, without noise, as a codec leaves it: only one target moves."""
    generator = np.random.default_rng(5)
    scene = np.kron(generator.integers(0, 255, (30, 40), np.uint8), np.ones((6, 6), np.uint8))
    height, width = scene.shape
    seen_h, seen_w = int(height * field), int(width * field)
    top, left = (height - seen_h) // 2, (width - seen_w) // 2
    for index in range(int((12 - start_s) * rate)):
        x, y = np.clip(
            (width / 2, height / 2) + 2 * path(start_s + index / rate), 15, (width - 30, height - 38)
        )
        picture = 60 + scene // 7 if heat else scene.copy()
        picture[int(y) : int(y) + 23, int(x) : int(x) + 14] = 240 if heat else 20
        grey = np.ascontiguousarray(picture[top : top + seen_h, left : left + seen_w])
        yield Frame(index, index, Fraction(1) / rate, grey if heat else np.dstack([grey] * 3))


@pytest.mark.parametrize("seed", [12, 16])
def test_what_lies_still_does_not_hide_the_target(seed):
    """Nor where the second camera sees less of the scene: what never changes has no level of its own."""
    path = wander(seed, 14)
    rgb = motion_signal(hovering(path, 30, 0), None)
    for field in (1.0, 0.8):
        aux = motion_signal(hovering(path, 9, 3.4, field=field, heat=True), Modality.THERMAL)
        assert find_offset(rgb, aux).offset_s == pytest.approx(3.4, abs=0.03)


def test_nothing_moves():
    still = motion_signal(stream(lambda _: np.zeros(2), 30, 0, 4), None)
    moving = motion_signal(stream(wander(1), 30, 0, 4, heat=True), Modality.THERMAL)
    with pytest.raises(AlignmentError, match="time offset"):
        find_offset(still, moving)


def test_too_short():
    one = MotionSignal(np.arange(3) / 30, np.ones((3, 12)), np.ones((3, 2)))
    assert propose_offset(one, one) is None


def test_only_offsets_in_reach_are_tried():
    path = wander(1)
    rgb = motion_signal(stream(path, 30, 0, 8), None)
    aux = motion_signal(stream(path, 30, 2.5, 8, heat=True), Modality.THERMAL)
    assert find_offset(rgb, aux, largest_s=4).offset_s == pytest.approx(2.5, abs=0.02)
    with pytest.raises(AlignmentError):
        find_offset(rgb, aux, largest_s=1)


def test_no_more_is_read_than_wanted():
    frames = stream(wander(1), 30, 0, 8)
    motion_signal(frames, None, longest_s=Fraction(2))
    assert next(frames).index == 62
