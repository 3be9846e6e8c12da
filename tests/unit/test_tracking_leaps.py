"""Targets that a turned camera takes far, or that move far themselves, are looked for where that leads."""

from __future__ import annotations

import functools
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from dmtrack.config import PUBLISHED_TRACKER, TINY_TRACKER
from dmtrack.geometry.box import Box
from dmtrack.network.backend import inference_network
from dmtrack.network.weights.store import resolve_weights
from dmtrack.tracking.camera_motion import CameraMotion
from dmtrack.tracking.result import TrackedBox
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Frame, FramePair

FIXED = replace(TINY_TRACKER, leaps=False)


def ground(height: int, width: int, channels: int = 3, seed: int = 7) -> np.ndarray:
    """Soft blobs of all sizes, as grass and stones from above."""
    return np.repeat(_grey(height, width, seed)[..., None], channels, axis=2)


@functools.cache
def _grey(height: int, width: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.random((height // n, width // n)).astype(np.float32), (width, height)) * n
        for n in (4, 8, 16, 32)
    ]
    return cv2.normalize(np.sum(layers, axis=0), np.zeros(0), 40, 200, cv2.NORM_MINMAX).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(1080, 1920), (480, 640), (240, 135), (97, 161)])
@pytest.mark.parametrize("share", [(0.1, -0.06), (-0.15, 0.0), (0.0, 0.0)])
def test_shift_of_the_whole_picture(height: int, width: int, share: tuple[float, float]) -> None:
    scene = ground(2 * height, 2 * width)
    dx, dy = round(share[0] * width), round(share[1] * height)
    camera = CameraMotion()
    x, y = width // 2, height // 2
    assert camera.shift_px(scene[y : y + height, x : x + width]) == (0.0, 0.0), "there is no frame before"
    found = camera.shift_px(scene[y - dy : y - dy + height, x - dx : x - dx + width])
    assert found == pytest.approx((dx, dy), abs=max(height, width) / 160)


def test_what_moves_in_front_of_a_still_camera_is_no_camera_motion() -> None:
    camera = CameraMotion()
    for number in range(4):
        image = ground(480, 640)
        image[100:220, 60 * number : 60 * number + 120] = (200, 30, 60)
        assert camera.shift_px(image) == pytest.approx((0, 0), abs=0.5)


@pytest.mark.parametrize(
    "second",
    [
        np.full((120, 160, 3), 90, np.uint8),
        ground(120, 160, seed=8),
        ground(240, 160),
        np.zeros((1, 1, 3), np.uint8),
    ],
    ids=["nothing", "cut", "other size", "one pixel"],
)
def test_no_motion_is_made_up(second: np.ndarray) -> None:
    camera = CameraMotion()
    camera.shift_px(ground(120, 160))
    assert camera.shift_px(second) == (0.0, 0.0)
    assert camera.shift_px(second) == pytest.approx((0, 0), abs=0.1)


def test_a_turn_is_measured_in_the_pictures_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV changes what it compares where that needs no padding, and the next frame is compared with it."""
    seen, compare = [], cv2.phaseCorrelate

    def watched(before, now, window):
        seen.append((before.copy(), now.copy()))
        return compare(before, now, window)

    monkeypatch.setattr(cv2, "phaseCorrelate", watched)
    camera = CameraMotion()
    for _ in range(3):
        camera.shift_px(ground(480, 640))
    assert all(np.array_equal(before, now) for before, now in seen)


def test_thermal_tells_where_rgb_is_dark() -> None:
    scene = ground(400, 500, channels=6)
    scene[..., :3] = 3
    camera = CameraMotion()
    camera.shift_px(scene[100:340, 100:420])
    assert camera.shift_px(scene[100:340, 60:380]) == pytest.approx((40, 0), abs=2)


SIZE = 24
STEP = 60  # px by which the camera is turned from frame to frame: two and a half targets


def seen(number: int, *, turned: bool = True) -> tuple[FramePair, Box]:
    """A small thing that stands on the ground, before a camera that swings left and right."""
    scene = ground(360, 900, seed=3)
    scene[170:194, 440:464] = (230, 170, 30)
    scene[176:188, 446:458] = (30, 60, 220)
    left = 200 + (STEP * (number % 4 if number % 8 < 4 else 4 - number % 4) if turned else 0)
    image = np.ascontiguousarray(scene[60:300, left : left + 400])
    return FramePair(Frame(number, number, Fraction(1, 30), image), None, None, image), Box(
        440 - left, 110, SIZE, SIZE
    )


@pytest.fixture(scope="module")
def network():
    return inference_network(resolve_weights("tiny", None).model)


def followed(tracker: Tracker, frames: int = 8, *, turned: bool = True) -> list[tuple[TrackedBox, Box]]:
    pair, box = seen(0, turned=turned)
    tracker.initialize(pair, [box])
    return [
        (tracker.update(pair)[0], box) for pair, box in (seen(n, turned=turned) for n in range(1, frames))
    ]


def test_a_target_is_followed_through_swings_of_more_than_its_size(network) -> None:
    overlaps = [found.box.iou(box) for found, box in followed(Tracker(network, TINY_TRACKER))]
    assert min(overlaps) > 0.6
    without = [found.box.iou(box) for found, box in followed(Tracker(network, FIXED))]
    assert min(without) < 0.1, "the test shows nothing if it is followed anyway"


def test_a_still_camera_changes_no_bit(network) -> None:
    assert followed(Tracker(network, TINY_TRACKER), turned=False) == followed(
        Tracker(network, FIXED), turned=False
    )


def test_the_published_protocol_does_without() -> None:
    assert not PUBLISHED_TRACKER.leaps


def test_a_target_that_stays_on_the_screen_is_looked_for_where_it_was(network) -> None:
    """A camera that pans with its target moves the ground alone."""
    tracker = Tracker(network, TINY_TRACKER)
    scene = ground(240, 1200, seed=5)
    overlaps = []
    for number in range(10):
        image = scene[:, 70 * number : 70 * number + 400].copy()
        image[100:124, 180:204] = (230, 170, 30)
        image[106:118, 186:198] = (30, 60, 220)
        pair = FramePair(Frame(number, number, Fraction(1, 30), image), None, None, image)
        box = Box(180, 100, SIZE, SIZE)
        (found,) = tracker.update(pair) if number else tracker.initialize(pair, [box])
        overlaps.append(found.box.iou(box))
    assert min(overlaps) > 0.6


def test_a_lost_target_is_held_where_the_camera_took_its_place(network) -> None:
    tracker = Tracker(network, replace(TINY_TRACKER, lost_after=3))
    pair, box = seen(0)
    tracker.initialize(pair, [box])
    for number in range(1, 8):
        pair, box = seen(number)
        pair.image[98:146, max(0, int(box.x) - 12) : int(box.x) + 36] = 120  # something hides it
        (found,) = tracker.update(pair)
    assert found.state == "lost"
    assert found.box.iou(box) > 0.3


def test_a_target_is_sought_where_it_is_said_to_be_whatever_the_camera_did_long_ago(network) -> None:
    tracker = Tracker(network, TINY_TRACKER)
    pair, box = seen(0)
    tracker.initialize(pair, [box])
    known = tracker.templates(pair, [box])
    tracker.drop(1)
    pair, box = seen(2)
    tracker.seek(box, 5, known)
    assert tracker.update(pair)[0].box.iou(box) > 0.6


@pytest.mark.parametrize(
    ("step", "is_hidden"),
    [
        (22, False),
        (100, True),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in [(22, True), (100, False)]),
    ],
)
def test_a_pan_past_the_target_keeps_boxes_inside(network, step: int, is_hidden: bool) -> None:
    scene = ground(240, 1600, seed=9)
    start = min(5 * step, 300)
    scene[100:124, start : start + 24] = (230, 170, 30)
    tracker = Tracker(network, replace(TINY_TRACKER, lost_after=3))
    for number in range(9):
        image = np.ascontiguousarray(scene[:, step * number : step * number + 400])
        if number and is_hidden:
            image[90:134, max(0, start - 15 - step * number) : max(0, start + 40 - step * number)] = 120
        pair = FramePair(Frame(number, number, Fraction(1, 30), image), None, None, image)
        (found,) = tracker.update(pair) if number else tracker.initialize(pair, [Box(start, 100, SIZE, SIZE)])
        left, top, right, bottom = found.box.xyxy
        assert 0 <= left < right <= 400
        assert 0 <= top < bottom <= 240


def crossing(network, config, lefts: list[int], decoy: int | None = None) -> list[float]:
    """Return the overlaps of a small thing that crosses a still ground; another stands at `decoy`."""
    tracker = Tracker(network, config)
    overlaps = []
    for number, left in enumerate(lefts):
        image = ground(240, 640, seed=11)
        for x in (left, *([] if decoy is None else [decoy])):
            image[100:124, x : x + 24] = (230, 170, 30)
            image[106:118, x + 6 : x + 18] = (30, 60, 220)
        pair = FramePair(Frame(number, number, Fraction(1, 30), image), None, None, image)
        box = Box(left, 100, SIZE, SIZE)
        (found,) = tracker.update(pair) if number else tracker.initialize(pair, [box])
        overlaps.append(found.box.iou(box))
    return overlaps


@pytest.mark.parametrize("way", [1, -1], ids=["right", "left"])
def test_a_target_that_gets_faster_is_looked_for_where_its_step_leads(network, way: int) -> None:
    lefts = [10, 25, 55, 95, 150, 220, 305, 400, 500]
    lefts = lefts if way > 0 else [600 - left for left in lefts]
    assert min(crossing(network, TINY_TRACKER, lefts)) > 0.6
    assert min(crossing(network, FIXED, lefts)) == 0, "the test shows nothing if it is followed anyway"


def test_a_lookalike_where_its_step_would_lead_is_not_taken(network) -> None:
    assert min(crossing(network, TINY_TRACKER, [100, 120, 145, 175, 176, 177, 178], decoy=208)) > 0.6


def test_it_is_looked_for_in_two_places_only_where_it_moves_far(network, monkeypatch) -> None:
    searched = []
    step = type(network).step
    monkeypatch.setattr(
        type(network),
        "step",
        lambda self, memory, crops: searched.append(len(crops)) or step(self, memory, crops),
    )
    crossing(network, TINY_TRACKER, [100, 105, 110, 130, 150, 152, 154])
    assert searched == [1, 1, 1, 2, 2, 1]
