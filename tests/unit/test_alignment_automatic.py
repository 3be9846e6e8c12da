"""An alignment is found where two sensors see one scene, and refused where they do not."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from dmtrack.alignment.automatic import align_automatically
from dmtrack.alignment.edges import edge_map
from dmtrack.errors import AlignmentError
from dmtrack.geometry.homography import Homography
from dmtrack.video.frame import Frame, FramePair, Modality

RGB, AUX = (320, 240), (240, 192)


def scene(rng):
    """Return shapes: a polygon, and its brightness in each of two sensors, which have nothing to do with
    one another."""
    shapes = []
    for _ in range(40):
        centre = rng.uniform((-60, -60), (380, 300))
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 6)))
        radius = rng.uniform(12, 50)
        polygon = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        shapes.append((polygon, rng.uniform(20, 235, 3), rng.uniform(20, 235)))
    return shapes


def drawn(shapes, matrix, size, sensor, rng):
    picture = np.full((size[1], size[0], 3), 120, np.uint8)
    for polygon, colour, heat in shapes:
        corners = cv2.perspectiveTransform(polygon[None], matrix)[0]
        value = colour if sensor == "rgb" else (heat,) * 3
        cv2.fillPoly(picture, [np.rint(corners * 16).astype(np.int32)], value, cv2.LINE_AA, shift=4)
    noisy = picture + rng.normal(0, 6, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def pair(rgb, aux, index=0):
    first, second = (Frame(index, index, Fraction(1, 30), np.ascontiguousarray(p)) for p in (rgb, aux))
    return FramePair(first, second, Modality.THERMAL, np.empty((1, 1, 6), np.uint8))


def pairs(truth, seed=0, frames=3, other=None):
    """Frames of scenes seen by both cameras; `other` gives the second one scenes of its own."""
    back = np.linalg.inv(truth.matrix)
    for index in range(frames):
        rng = np.random.default_rng((seed, index))
        shapes = scene(rng)
        seen = shapes if other is None else scene(np.random.default_rng((other, index)))
        rgb = drawn(shapes, np.eye(3), RGB, "rgb", rng)
        aux = drawn(seen, back, AUX, "thermal", rng)[..., 0]
        yield pair(rgb, aux, index)


def about_centre(scale, turn_deg, shift, tilt=(0.0, 0.0)):
    turn = np.radians(turn_deg)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    into = np.array([[1, 0, -119.5], [0, 1, -95.5], [0, 0, 1]])
    out = np.array([[1, 0, 159.5 + shift[0]], [0, 1, 119.5 + shift[1]], [0, 0, 1]])
    middle = np.array([[cos, -sin, 0], [sin, cos, 0], [*tilt, 1]])
    return Homography.of(out @ middle @ into, AUX, RGB)


@pytest.mark.parametrize(
    "truth",
    [
        pytest.param(about_centre(1.35, 2, (8, 5), tilt=(1.5e-4, -1e-4)), id="tilted"),
        pytest.param(about_centre(1.0, -4, (15, -10)), id="narrow view", marks=pytest.mark.slow),
        pytest.param(about_centre(1.3, 0, (0, 0)), id="same view", marks=pytest.mark.slow),
        pytest.param(about_centre(1.7, 5, (-20, 12)), id="wide view", marks=pytest.mark.slow),
    ],
)
def test_the_homography_is_found_to_a_pixel(truth):
    alignment, evidence = align_automatically(pairs(truth))
    assert evidence.frames == 3
    assert alignment.homography.corner_error_px(truth) < 1.5
    assert alignment.residual_px < 1.5
    assert alignment.confidence > 0.9


def test_another_scene_is_refused():
    with pytest.raises(AlignmentError, match="not sure"):
        align_automatically(pairs(about_centre(1.3, 0, (0, 0)), other=9))


@pytest.mark.slow
def test_the_same_mirrored_is_refused():
    """The nearest thing to the right picture that is not it."""
    mirrored = (
        pair(p.rgb.pixels, p.aux.pixels[:, ::-1], p.rgb.index) for p in pairs(about_centre(1.3, 0, (0, 0)))
    )
    with pytest.raises(AlignmentError, match="not sure"):
        align_automatically(mirrored)


def test_an_empty_picture_is_refused():
    blank = (pair(p.rgb.pixels, np.zeros((192, 240), np.uint8)) for p in pairs(about_centre(1.3, 0, (0, 0))))
    with pytest.raises(AlignmentError, match="not sure"):
        align_automatically(blank)


def test_no_pair_at_all():
    with pytest.raises(AlignmentError, match="no RGB frame has a partner"):
        align_automatically(iter(()))


def test_edges_do_not_care_which_side_is_bright():
    rng = np.random.default_rng(1)
    noise = rng.uniform(0, 1, (60, 80)).astype(np.float32)
    picture = np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.float32)[..., None]
    assert np.allclose(edge_map(picture), edge_map(1 - picture), atol=1e-4)
    assert np.abs(edge_map(picture)).max() < 1
