"""Scenes: boxes are tight, order is by distance, views agree with each other, streams with the layers."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dmtrack.geometry.box import Box
from dmtrack.geometry.crop import Crop
from dmtrack.synthetic import affine
from dmtrack.synthetic.affine import STILL, Motion, Wave
from dmtrack.synthetic.backgrounds import made_up_canvas
from dmtrack.synthetic.casting import CastingConfig, SceneFactory
from dmtrack.synthetic.picture import make_canvas, make_sprite, outline_of
from dmtrack.synthetic.scene import Actor, Backdrop, Scene, View
from dmtrack.synthetic.shapes import made_up_sprite, person
from dmtrack.synthetic.stock import Stock, recoloured
from dmtrack.synthetic.textures import SurfaceBank

WIDTH, HEIGHT = 160, 120


def solid(colour, heat=200, size=(40, 24), hole=False):
    """A rectangle of one colour; with a hole its outline is no longer its picture's rectangle."""
    height, width = size
    rgb = np.full((height, width, 3), colour, np.uint8)
    alpha = np.full((height, width), 255, np.uint8)
    if hole:
        alpha[: height // 2, : width // 2] = 0
    return make_sprite([(rgb, alpha, np.full((height, width), heat, np.uint8))])


def at(x, y, angle=0.0, scale=0.0):
    return Motion(Wave(x), Wave(y), Wave(scale), Wave(angle))


def stage(*actors, camera=STILL, heat=60, far=5000.0, horizon=1.0):
    canvas = make_canvas(
        np.full((HEIGHT, WIDTH, 3), 90, np.uint8), np.full((HEIGHT, WIDTH), heat, np.uint8), horizon
    )
    return Scene(WIDTH, HEIGHT, Backdrop(canvas, np.eye(3), 1000.0, far), actors, 0, camera)


def whole(scene, t=0.0, **pictures):
    return scene.render(t, View.whole(WIDTH, HEIGHT), **pictures)


def bounds(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0])


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2, 2.5])
@pytest.mark.parametrize("scale", [-0.7, 0.0, 0.5])
def test_the_box_is_that_of_the_pixels_drawn(angle, scale):
    scene = stage(Actor(solid((250, 20, 20), hole=True), at(80, 60, angle, scale), 900.0))
    picture = whole(scene).rgb
    drawn = bounds(picture[..., 0] > 170)
    expected = scene.target_box(0.0)
    assert np.abs(np.subtract(drawn.xyxy, expected.xyxy)).max() <= 1.0


def test_the_outline_gives_the_box_of_every_opaque_pixel_under_any_map():
    rng = np.random.default_rng(4)
    alpha = (rng.random((30, 20)) > 0.97).astype(np.uint8) * 255
    rows, columns = np.nonzero(alpha)
    corners = np.concatenate([np.stack([columns + dx, rows + dy], -1) for dx in (0, 1) for dy in (0, 1)])
    for _ in range(20):
        matrix = np.eye(3)
        matrix[:2] = rng.normal(size=(2, 3))
        a = affine.transform(matrix, corners.astype(float))
        b = affine.transform(matrix, outline_of(alpha))
        np.testing.assert_allclose([a.min(0), a.max(0)], [b.min(0), b.max(0)], atol=1e-4)


def test_nearer_things_cover_farther_ones_in_every_stream():
    near = Actor(solid((0, 250, 0), heat=250), at(80, 60), 500.0)
    far = Actor(solid((250, 0, 0), heat=10), at(80, 60), 900.0)
    for actors in ((near, far), (far, near)):
        picture = whole(stage(*actors), heat=True, depth=True)
        assert picture.rgb[60, 80].tolist() == [0, 250, 0]
        assert picture.heat[60, 80] == 250
        assert picture.depth_mm[60, 80] == 500


def test_the_visible_share_counts_what_covers_and_what_lies_outside():
    target = Actor(solid((250, 0, 0)), at(80, 60), 900.0)
    half = Actor(solid((0, 0, 250), size=(40, 12)), at(74, 60), 500.0)
    behind = replace(half, distance_mm=2000.0)
    assert whole(stage(target)).visible_share == pytest.approx(1.0, abs=0.06)
    assert whole(stage(target, half)).visible_share == pytest.approx(0.5, abs=0.06)
    assert whole(stage(target, behind)).visible_share == pytest.approx(1.0, abs=0.06)
    cut = stage(replace(target, motion=at(0, 60)))
    assert whole(cut).visible_share == pytest.approx(0.5, abs=0.06)


def test_without_the_target_only_the_target_is_missing():
    other = Actor(solid((0, 250, 0)), at(30, 60), 950.0)
    scene = stage(Actor(solid((250, 0, 0)), at(100, 60), 900.0), other)
    with_it = whole(scene).rgb
    gone = whole(replace(scene, target_gone=True))
    without = gone.rgb
    assert gone.visible_share == 0.0
    changed = bounds((with_it != without).any(axis=2))
    assert changed.iou(scene.target_box(0.0)) > 0.85
    assert (without[60, 30] == [0, 250, 0]).all()


def test_temperature_does_not_depend_on_colour():
    red, green = solid((250, 0, 0), heat=180), solid((0, 250, 0), heat=180)
    pictures = [whole(stage(Actor(s, at(80, 60), 900.0)), heat=True) for s in (red, green)]
    np.testing.assert_array_equal(pictures[0].heat, pictures[1].heat)
    assert (pictures[0].rgb != pictures[1].rgb).any()


def test_ground_is_nearer_below_and_the_horizon_is_far():
    depth = whole(stage(Actor(solid((0, 0, 0)), at(-500, 0), 900.0), horizon=0.5), depth=True).depth_mm
    column = depth[:, 80].astype(int)
    assert (column[:58] == 5000).all()
    assert (np.diff(column[61:]) <= 0).all()
    assert abs(column[-1] - 1000) < 60


def test_a_view_equals_the_published_crop_of_the_whole_frame():
    rng = np.random.default_rng(0)
    canvas = made_up_canvas(rng, SurfaceBank(rng))
    layout = affine.scaling(WIDTH / canvas.width, HEIGHT / canvas.height)
    actor = Actor(person(rng, SurfaceBank(rng)), at(70, 60, 0.2, -0.7), 900.0)
    scene = Scene(WIDTH, HEIGHT, Backdrop(canvas, layout, 1000.0, 5000.0), (actor,), 0, STILL)
    crop = Crop.around(scene.target_box(0.0), 2.0, 96)
    assert crop.side_px < 96
    cut = crop.cut(whole(scene).rgb)
    view = View.square(crop.left_px, crop.top_px, crop.side_px, crop.side_px)
    drawn = cv2.resize(scene.render(0.0, view).rgb, (96, 96))
    assert np.abs(cut.astype(int) - drawn.astype(int)).mean() < 2.0


def test_blacken_clears_exactly_what_is_outside_the_frame():
    view = View.square(-20, -10, 80, 80)
    picture = np.full((80, 80), 7, np.uint8)
    view.blacken(picture, 40, 50)
    assert bounds(picture > 0).xywh == (20, 10, 40, 50)


def test_the_camera_moves_background_things_and_boxes_together():
    camera = Motion(Wave(0.0, 2.0), Wave(0.0))
    scene = stage(Actor(solid((250, 0, 0)), at(60, 60), 900.0), camera=camera)
    before, after = scene.target_box(0.0), scene.target_box(5.0)
    assert after.x - before.x == pytest.approx(10.0)
    assert bounds(whole(scene, 5.0).rgb[..., 0] > 200).iou(after) > 0.95


def test_people_are_tall_and_thin_and_their_box_changes_with_the_stride():
    rng = np.random.default_rng(1)
    bank = SurfaceBank(rng)
    people = [person(rng, bank) for _ in range(12)]
    assert np.median([p.box_size[1] / p.box_size[0] for p in people]) > 1.8
    walker = max(people, key=lambda p: len(p.poses))
    assert len({tuple(np.ptp(pose.outline, axis=0)) for pose in walker.poses}) > 1


def test_made_up_things_are_premultiplied_at_every_level():
    rng = np.random.default_rng(2)
    bank = SurfaceBank(rng)
    for _ in range(15):
        sprite = made_up_sprite(rng, bank)
        for changed in (sprite, recoloured(rng, sprite)):
            for level, heat in zip(changed.poses[0].levels, changed.poses[0].heat, strict=True):
                assert (level[..., :3] <= level[..., 3:]).all()
                assert (heat <= level[..., 3]).all()


@pytest.mark.parametrize("kind", ["scenes", "collages"])
def test_scenes_drawn_by_the_factory_have_tight_boxes(kind):
    rng = np.random.default_rng(5)
    factory = SceneFactory(CastingConfig(), Stock(rng), rng)
    overlaps = []
    for _ in range(40):
        drawn = factory.draw_collage() if kind == "collages" else factory.draw((320, 240))
        t = 0.5 * drawn.duration
        scene = replace(drawn, fog=None, shade=None)
        view = View.whole(scene.width, scene.height)
        seen = scene.render(t, view)
        box = scene.target_box(t)
        x1, y1, x2, y2 = box.xyxy
        if seen.visible_share < 0.97 or min(x1, y1) < 0 or x2 > scene.width or y2 > scene.height:
            continue
        changed = (seen.rgb != replace(scene, target_gone=True).render(t, view).rgb).any(axis=2)
        if changed.any():
            overlaps.append(bounds(changed).iou(box))
    assert len(overlaps) >= 8
    assert np.median(overlaps) > 0.85
