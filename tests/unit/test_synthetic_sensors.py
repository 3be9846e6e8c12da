"""Second streams: thermal, depth and event pictures follow the physics they claim."""

from dataclasses import replace

import numpy as np
import pytest

from dmtrack.synthetic.affine import STILL, Motion, Wave
from dmtrack.synthetic.camera_look import CameraLook, NoiseBank, smeared
from dmtrack.synthetic.picture import make_canvas, make_sprite
from dmtrack.synthetic.scene import Actor, Backdrop, Scene, View
from dmtrack.synthetic.sensors import (
    DepthLook,
    EventLook,
    Misalignment,
    ThermalLook,
    encode_within,
)
from dmtrack.video.events.event_source import CANVAS_RGB, NEGATIVE_RGB, POSITIVE_RGB
from dmtrack.video.second.encoding import encode_depth

WIDTH, HEIGHT = 120, 96
WHOLE = View.whole(WIDTH, HEIGHT)
ALIGNED = Misalignment(0.0, 0.0, 1.0)


def a_scene(heat=200, speed=0.0, brightness=230, distance=1500.0):
    side = 24
    patch = (
        np.full((side, side, 3), brightness, np.uint8),
        np.full((side, side), 255, np.uint8),
        np.full((side, side), heat, np.uint8),
    )
    canvas = make_canvas(
        np.full((HEIGHT, WIDTH, 3), 80, np.uint8), np.full((HEIGHT, WIDTH), 100, np.uint8), 1.0
    )
    actor = Actor(make_sprite([patch]), Motion(Wave(60.0, speed), Wave(48.0)), distance)
    return Scene(WIDTH, HEIGHT, Backdrop(canvas, np.eye(3), 900.0, 4000.0), (actor,), 0, STILL)


def thermal_look(rng, scene, **changes):
    plain = {
        "noise": 0.0,
        "stripes": 0.0,
        "blur_px": 0.0,
        "coarse": 1.0,
        "white_hot": True,
        "alignment": ALIGNED,
    }
    look = ThermalLook.draw(rng, scene)
    return replace(look, pattern=np.zeros((24, 32), np.float32), **{**plain, **changes})


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize(
    ("heat", "white_hot", "brighter"), [(200, True, True), (200, False, False), (20, True, False)]
)
def test_thermal_shows_temperature_by_polarity(rng, heat, white_hot, brighter):
    scene = a_scene(heat=heat)
    picture = thermal_look(rng, scene, white_hot=white_hot).picture(scene, 0.0, WHOLE, NoiseBank(rng))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert (picture[..., 0] == picture[..., 1]).all()
    assert (int(picture[48, 60, 0]) > int(picture[5, 5, 0])) is brighter


def test_thermal_ignores_the_light(rng):
    pictures = []
    for brightness in (10, 250):
        scene = a_scene(brightness=brightness)
        look = thermal_look(np.random.default_rng(0), scene)
        pictures.append(look.picture(scene, 0.0, WHOLE, NoiseBank(np.random.default_rng(0))))
    np.testing.assert_array_equal(*pictures)


def test_a_coarse_thermal_camera_blurs_edges_and_a_shifted_one_moves_them(rng):
    scene = a_scene()
    noise = NoiseBank(rng)
    look = thermal_look(rng, scene)
    sharp = look.picture(scene, 0.0, WHOLE, noise)[48, :, 0].astype(int)
    coarse = replace(look, coarse=4.0).picture(scene, 0.0, WHOLE, noise)[48, :, 0].astype(int)
    moved = replace(look, alignment=Misalignment(6.0, 0.0, 1.0)).picture(scene, 0.0, WHOLE, noise)[48, :, 0]
    assert np.abs(np.diff(coarse)).max() < 0.7 * np.abs(np.diff(sharp)).max()
    np.testing.assert_allclose(np.roll(sharp, 6)[20:100], moved[20:100], atol=3)


def test_misalignment_of_small_targets_stays_a_small_part_of_them(rng):
    scene = a_scene()
    side = scene.target_box(0.0).w
    for _ in range(50):
        found = Misalignment.draw(rng, scene, 7.0)
        centre = 60.0 * found.scale + found.dx_px
        assert abs(centre - 60.0) <= 0.12 * side + 0.51


def depth_look(rng, scene, **changes):
    plain = {"holes": 0.0, "noise": 0.0, "step": 1.0, "smooth_px": 0.0, "alignment": ALIGNED, "blind": False}
    return replace(DepthLook.draw(rng, scene), longest_mm=9000.0, shortest_mm=100.0, **{**plain, **changes})


def test_depth_is_metric_with_holes_beside_near_things(rng):
    scene = a_scene()
    depth = depth_look(rng, scene, edge=0.2, shadow_px=2.0).depth_mm(scene, 0.0, WHOLE)
    assert depth.dtype == np.uint16
    assert depth[48, 60] == pytest.approx(1500, abs=3)
    assert depth[5, 5] == pytest.approx(4000, abs=20)
    ring = depth[40:56, 44:50]
    assert (ring == 0).any()
    assert (depth == 0).mean() < 0.2


def test_depth_beyond_the_range_is_not_measured(rng):
    scene = a_scene()
    look = replace(depth_look(rng, scene), longest_mm=2500.0)
    depth = look.depth_mm(scene, 0.0, WHOLE)
    assert depth[5, 5] == 0
    assert depth[48, 60] > 0


def test_depth_is_quantised_more_coarsely_far_away(rng):
    scene = a_scene(distance=900.0)
    depth = depth_look(rng, scene, noise=8.0, step=10.0).depth_mm(scene, 0.0, WHOLE)
    far, near = np.unique(depth[:10]), np.unique(depth[40:56, 54:66])
    assert np.diff(far[far > 0]).max() > np.diff(near[near > 0]).max()


@pytest.mark.parametrize("seed", range(6))
def test_encoding_with_the_range_of_the_picture_is_the_published_encoding(seed):
    rng = np.random.default_rng(seed)
    depth = rng.integers(300, 14000, (40, 50)).astype(np.uint16)
    depth[rng.random(depth.shape) < 0.3 * (seed % 3)] = 0
    np.testing.assert_array_equal(encode_within(depth, depth), encode_depth(depth))


def test_a_flat_or_lost_depth_frame_encodes_to_one_colour():
    lost = np.zeros((8, 9), np.uint16)
    np.testing.assert_array_equal(encode_within(lost, lost), encode_depth(lost))


def test_the_range_of_a_crop_is_that_of_the_whole_frame(rng):
    scene = a_scene()
    look = depth_look(rng, scene, edge=9.0)
    crop = look.picture(scene, 0.0, View.square(50, 38, 20, 20), NoiseBank(rng))
    frame = encode_depth(look.depth_mm(scene, 0.0, WHOLE))
    assert np.abs(crop[10, 10].astype(int) - frame[48, 60].astype(int)).max() <= 8


def event_look(rng, scene, **changes):
    plain = {
        "shot": 0.0,
        "lost": 0.0,
        "threshold": 0.2,
        "exposure": 1.0,
        "blind": False,
        "alignment": ALIGNED,
    }
    return replace(EventLook.draw(rng, scene), **{**plain, **changes})


def test_events_mark_where_light_changed_and_their_sign(rng):
    scene = a_scene(speed=4.0)
    picture = event_look(rng, scene).picture(scene, 0.0, WHOLE, NoiseBank(rng))
    row = picture[48]
    positive = np.flatnonzero((row == POSITIVE_RGB).all(axis=1))
    negative = np.flatnonzero((row == NEGATIVE_RGB).all(axis=1))
    # A bright square moved right by 4 px: light comes in front (right) and goes behind (left).
    assert set(positive) >= {69, 70}
    assert set(negative) >= {45, 46}
    assert positive.min() > negative.max()
    assert (picture[5, 5] == CANVAS_RGB).all()
    colours = {tuple(c) for c in picture.reshape(-1, 3).tolist()}
    assert colours <= {CANVAS_RGB, POSITIVE_RGB, NEGATIVE_RGB}


def test_a_still_scene_has_no_events_but_noise(rng):
    scene = a_scene(speed=0.0)
    silent = event_look(rng, scene).picture(scene, 0.0, WHOLE, NoiseBank(rng))
    noisy = event_look(rng, scene, shot=0.1).picture(scene, 0.0, WHOLE, NoiseBank(rng))
    assert (silent == 255).all()
    assert (noisy != 255).any(axis=2).mean() == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("kind", [ThermalLook, DepthLook, EventLook])
def test_a_blinded_camera_hardly_shows_the_target(kind):
    contrasts: dict[bool, list[float]] = {False: [], True: []}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        scene = a_scene(speed=3.0)
        look = kind.draw(rng, scene)
        for blind in (False, True):
            current = look.blinded(rng) if blind else look
            picture = current.picture(scene, 5.0, WHOLE, NoiseBank(rng))
            x, y, w, h = (int(v) for v in scene.target_box(5.0).xywh)
            inside = picture[y : y + h, x : x + w].reshape(-1, 3).astype(float)
            outside = picture[:16].reshape(-1, 3).astype(float)
            contrasts[blind].append(np.abs(inside.mean(0) - outside.mean(0)).max())
    assert np.median(contrasts[True]) < 0.5 * np.median(contrasts[False])


def test_noise_has_about_the_deviation_asked_for(rng):
    noisy = NoiseBank(rng).add(np.full((200, 200, 3), 128, np.uint8), 12.0)
    assert noisy.std() == pytest.approx(12.0, rel=0.1)
    assert noisy.mean() == pytest.approx(128.0, abs=1.0)


def test_noise_works_on_pictures_larger_than_the_bank(rng):
    bank = NoiseBank(rng, side=64)
    noisy = bank.add(np.full((300, 400), 128, np.uint8), 8.0)
    assert noisy.shape == (300, 400)
    assert noisy.std() == pytest.approx(8.0, rel=0.1)


def test_the_plain_look_changes_nothing_and_gain_darkens(rng):
    noise = NoiseBank(rng)
    picture = rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)
    assert np.abs(CameraLook().apply(picture, noise).astype(int) - picture).max() <= 1
    assert CameraLook(gain=0.2).apply(picture, noise).mean() < 0.3 * picture.mean()
    grey = CameraLook(saturation=0.0).apply(picture, noise)
    assert np.ptp(grey.astype(int), axis=2).max() <= 2


def test_a_degraded_look_loses_contrast_or_sharpness(rng):
    noise = NoiseBank(rng)
    picture = np.zeros((80, 80, 3), np.uint8)
    picture[::8] = 200
    steps = [
        np.abs(
            np.diff(CameraLook().degraded(rng).apply(picture, noise).astype(float).mean(axis=(1, 2)))
        ).max()
        for _ in range(30)
    ]
    assert np.median(steps) < 0.5 * 200


def test_smear_spreads_along_its_direction_only():
    dot = np.zeros((41, 41), np.uint8)
    dot[20, 20] = 255
    lined = smeared(dot, 11.0, 0.0)
    assert np.flatnonzero(lined[20]).size >= 9
    assert np.flatnonzero(lined[:, 20]).size <= 2
