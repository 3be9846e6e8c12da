"""A checkerboard that both cameras see, in either contrast."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from dmtrack.alignment.points import align_by_board, parse_board
from dmtrack.errors import AlignmentError, ConfigError
from dmtrack.geometry.homography import Homography
from dmtrack.video.frame import Frame, FramePair, Modality

AUX, RGB = (320, 256), (640, 480)
TRUE = Homography.of([[1.9, 0.03, 15], [-0.02, 1.85, 8], [2e-5, 1e-5, 1]], AUX, RGB)
INNER = (7, 5)


def board(place, size, invert):
    squares = np.indices((INNER[1] + 1, INNER[0] + 1)).sum(axis=0) % 2
    tiles = np.kron(squares, np.ones((20, 20))).astype(np.uint8) * 200 + 30
    flat = cv2.copyMakeBorder(tiles, 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=230)
    picture = cv2.warpPerspective(flat, place, size, borderValue=120, flags=cv2.INTER_AREA)
    return 255 - picture if invert else picture


def pairs(count=5, invert=True, aux_sees=True):
    rng = np.random.default_rng(0)
    for index in range(count):
        turn, scale = rng.uniform(-0.3, 0.3), rng.uniform(1.2, 1.5)
        cos, sin = scale * np.cos(turn), scale * np.sin(turn)
        place = np.array([[cos, -sin, rng.uniform(150, 300)], [sin, cos, rng.uniform(130, 200)], [0, 0, 1]])
        rgb = np.dstack([board(place, RGB, False)] * 3)
        aux = board(np.linalg.inv(TRUE.matrix) @ place, AUX, invert)
        aux = (aux if aux_sees else np.full_like(aux, 120)).astype(np.uint16) * 20 + 20000
        first, second = (Frame(index, index, Fraction(1, 30), pixels) for pixels in (rgb, aux))
        yield FramePair(first, second, Modality.THERMAL, np.empty((1, 1, 6), np.uint8))


@pytest.mark.parametrize("invert", [False, True], ids=["same contrast", "hot where dark"])
def test_the_homography_of_the_boards(invert):
    fit, words = align_by_board(pairs(invert=invert), INNER)
    assert words.startswith("5 of 5 frames")
    assert fit.alignment.homography.corner_error_px(TRUE) < 1.5
    assert fit.alignment.residual_px < 1
    assert fit.alignment.confidence > 0.9


def test_a_board_that_one_camera_does_not_see():
    with pytest.raises(AlignmentError, match="of 5 frames, 5 show it in RGB and 0 in the second stream"):
        align_by_board(pairs(aux_sees=False), INNER)


def test_sizes():
    assert parse_board("9x6") == (9, 6)
    for text in ("9", "9x2", "9x6x3", "ax6", "-9x6", ""):
        with pytest.raises(ConfigError, match="is not a checkerboard"):
            parse_board(text)
