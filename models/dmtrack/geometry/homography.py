"""`Homography`: maps pixels of the second camera's picture to pixels of the first one's."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.errors import FormatError

Size = tuple[int, int]  # width and height in pixels
Row = tuple[float, float, float]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Homography:
    """A plane-to-plane map from the second picture to the RGB picture.

    Pixel centres lie at whole numbers, the top left one at 0, 0. `FormatError`: it is not finite, not
    invertible, mirrors, or folds the picture.
    """

    rows: tuple[Row, Row, Row]  # 3x3, in row order, scaled so that the last number is 1
    aux_size: Size  # width and height of the second picture in pixels
    rgb_size: Size  # width and height of the RGB picture in pixels

    def __post_init__(self) -> None:
        if min(*self.aux_size, *self.rgb_size) < 1:
            raise FormatError(f"sizes {self.aux_size} and {self.rgb_size} must be positive")
        matrix = self.matrix
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
            raise FormatError("the matrix is not 3x3 finite numbers")
        # The third homogeneous coordinate: where it is not positive, a point lies behind the camera.
        depth = picture_corners(self.aux_size) @ matrix[2, :2] + matrix[2, 2]
        if depth.min() <= 1e-6 * max(1.0, float(depth.max())):
            raise FormatError("the matrix folds the second picture: some of it would lie behind the camera")
        if _smallest_turn(self.corners()) <= 0:
            raise FormatError("the matrix mirrors or flattens the second picture")

    @classmethod
    def of(cls, matrix: npt.ArrayLike, aux_size: Size, rgb_size: Size) -> Self:
        """Return the homography of a `(3, 3)` matrix of any scale; `FormatError`: no camera can have it."""
        values = np.asarray(matrix, np.float64)
        if values.shape != (3, 3) or not np.isfinite(values).all():
            raise FormatError("the matrix is not 3x3 finite numbers")
        if abs(values[2, 2]) < 1e-12:
            raise FormatError("the matrix sends the first pixel to infinity")
        a, b, c = ((float(x), float(y), float(z)) for x, y, z in values / values[2, 2])
        return cls((a, b, c), aux_size, rgb_size)

    @classmethod
    def stretch(cls, aux_size: Size, rgb_size: Size) -> Self:
        """Return plain resizing, for two cameras with the same field of view."""
        fx, fy = rgb_size[0] / aux_size[0], rgb_size[1] / aux_size[1]
        matrix: list[list[float]] = [[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1]]
        return cls.of(matrix, aux_size, rgb_size)

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """The `(3, 3)` matrix."""
        return np.array(self.rows, np.float64)

    def map_points(self, points: npt.ArrayLike) -> Points:
        """Map `(N, 2)` pixels of the second picture to pixels of the RGB picture."""
        flat = np.asarray(points, np.float64).reshape(-1, 1, 2)
        return np.asarray(cv2.perspectiveTransform(flat, self.matrix), np.float64).reshape(-1, 2)

    def corners(self) -> Points:
        """Return the second picture's corners `(4, 2)` in the RGB picture, clockwise from the top left."""
        return self.map_points(picture_corners(self.aux_size))

    def corner_error_px(self, other: Homography) -> float:
        """Return the mean distance of the corners under two homographies, in RGB pixels."""
        return float(np.linalg.norm(self.corners() - other.corners(), axis=1).mean())

    def overlap(self) -> float:
        """Return the share of the RGB picture that the second one covers, in [0, 1]."""
        area, _ = cv2.intersectConvexConvex(
            self.corners().astype(np.float32), picture_corners(self.rgb_size).astype(np.float32)
        )
        (width, height) = self.rgb_size
        return min(1.0, float(area) / max(1, (width - 1) * (height - 1)))


def picture_corners(size: Size) -> Points:
    """Return the corner pixels `(4, 2)` of a picture, clockwise from the top left one."""
    right, bottom = size[0] - 1, size[1] - 1
    return np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]], np.float64)


def _smallest_turn(corners: Points) -> float:
    """Return the smallest turn between sides: positive if a quadrangle is convex and not mirrored."""
    sides = [second - first for first, second in pairwise([*corners, corners[0]])]
    closed = [*sides, sides[0]]
    return min(float(a[0] * b[1] - a[1] * b[0]) for a, b in pairwise(closed))
