"""Plane transforms as 3x3 matrices over continuous pixel coordinates.

Continuous means that pixel `i` covers `[i, i + 1)`; OpenCV instead counts pixel centres, so a
matrix passes through `to_pixel_centres` right before `cv2.warpAffine`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]


def translation(x: float, y: float) -> Matrix:
    """Return the shift by `(x, y)`."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scaling(x: float, y: float) -> Matrix:
    """Return the scaling about the origin by `x` and `y`."""
    return np.array([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]])


def placement(x: float, y: float, scale_x: float, scale_y: float, angle_rad: float) -> Matrix:
    """Return: scale about the origin, rotate by `angle_rad`, then shift to `(x, y)`."""
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[c * scale_x, -s * scale_y, x], [s * scale_x, c * scale_y, y], [0.0, 0.0, 1.0]])


def to_pixel_centres(matrix: Matrix) -> Matrix:
    """Rewrite a matrix over continuous coordinates as the `(2, 3)` matrix OpenCV expects."""
    out: Matrix = matrix[:2].copy()
    out[:, 2] += 0.5 * (out[:, 0] + out[:, 1]) - 0.5
    return out


def transform(matrix: Matrix, points: Points) -> Points:
    """Map `(N, 2)` points."""
    out: Points = points @ matrix[:2, :2].T + matrix[:2, 2]
    return out


def magnification(matrix: Matrix) -> float:
    """Return the mean linear scale: the square root of the area scale."""
    return math.sqrt(abs(float(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])))
