"""Where a second picture of another size or shape lands on the RGB grid."""

import cv2
import numpy as np
import pytest

from dmtrack.geometry.homography import Homography
from dmtrack.video.frame import Modality
from dmtrack.video.second.encoding import encode_depth, encode_event
from dmtrack.video.second.grid import Fit, HomographyGrid, grid_by

SIZE = (120, 60)
T, D, E = Modality.THERMAL, Modality.DEPTH, Modality.EVENT


def flat(width, height, value=200):
    return np.full((height, width, 3), value, np.uint8)


def covered(grid, value=200):
    rows, columns = np.nonzero((grid == value).all(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


@pytest.mark.parametrize(
    ("fit", "picture", "box"),
    [
        (Fit.RESIZE, (40, 40), (0, 0, 120, 60)),
        (Fit.LETTERBOX, (40, 40), (30, 0, 90, 60)),
        (Fit.LETTERBOX, (40, 10), (0, 15, 120, 45)),
        (Fit.CROP, (40, 40), (0, 0, 120, 60)),
        (Fit.NONE, (40, 40), (40, 10, 80, 50)),
        (Fit.NONE, (200, 100), (0, 0, 120, 60)),
    ],
)
@pytest.mark.parametrize("modality", list(Modality))
def test_fits_put_the_picture_there(fit, picture, box, modality):
    grid = grid_by(None, fit)(flat(*picture), SIZE, modality)
    assert grid.shape == (60, 120, 3)
    assert covered(grid) == box


def test_crop_keeps_the_middle():
    picture = flat(40, 40, 0)
    picture[20, 20] = 255
    grid = grid_by(None, Fit.CROP)(picture, SIZE, E)
    ys, xs = np.nonzero(grid[..., 0])
    assert (xs.mean(), ys.mean()) == (pytest.approx(61, abs=1), pytest.approx(31, abs=1))


def test_around_an_event_picture_there_are_no_events_and_around_depth_no_measurement():
    no_event = encode_event(np.full((4, 4), 255, np.uint8))[0, 0]
    depth = np.full((4, 4), 900, np.uint16)
    depth[0, 0] = 0
    no_measurement = encode_depth(depth)[0, 0]
    for modality, blank in ((E, no_event), (D, no_measurement), (T, (0, 0, 0))):
        grid = grid_by(None, Fit.NONE)(flat(4, 4), SIZE, modality)
        assert tuple(grid[0, 0]) == tuple(blank)
        warp = HomographyGrid(Homography.of([[1, 0, 50], [0, 1, 30], [0, 0, 1]], (4, 4), SIZE))
        assert tuple(warp(flat(4, 4), SIZE, modality)[0, 0]) == tuple(blank)


def test_stretching_by_a_homography_is_resizing():
    rng = np.random.default_rng(0)
    picture = np.asarray(cv2.GaussianBlur(rng.integers(0, 255, (30, 60, 3), np.uint8), (0, 0), 2), np.uint8)
    warped = HomographyGrid(Homography.stretch((60, 30), SIZE))(picture, SIZE, T)
    resized = grid_by(None, Fit.RESIZE)(picture, SIZE, T)
    assert np.abs(warped[2:-2, 2:-2].astype(int) - resized[2:-2, 2:-2]).max() <= 2


def test_depth_and_event_colours_are_never_blended():
    picture = flat(60, 30, 255)
    picture[::2, ::3] = (220, 30, 30)
    matrix = Homography.of([[1.7, 0.2, 3.3], [-0.1, 1.9, 2.2], [1e-4, 0, 1]], (60, 30), SIZE)
    warped = HomographyGrid(matrix)(picture, SIZE, E)
    assert {tuple(c) for c in warped.reshape(-1, 3).tolist()} == {(255, 255, 255), (220, 30, 30)}


def test_a_warp_that_shrinks_much_averages():
    picture = flat(480, 240, 0)
    picture[:, ::2] = 200
    warped = HomographyGrid(Homography.stretch((480, 240), SIZE))(picture, SIZE, T)
    assert np.abs(warped[2:-2, 2:-2].astype(int) - 100).max() <= 3
