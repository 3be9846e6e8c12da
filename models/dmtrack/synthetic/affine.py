"""Plane transforms as 3x3 matrices over continuous pixel coordinates, and how they change with time.

In continuous coordinates pixel `i` covers `[i, i + 1)`; OpenCV counts pixel centres instead, so matrices are
converted by `to_pixel_centres` right before `cv2.warpAffine`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    """Return the map that scales about the origin, rotates by `angle_rad`, then shifts to `(x, y)`."""
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[c * scale_x, -s * scale_y, x], [s * scale_x, c * scale_y, y], [0.0, 0.0, 1.0]])


def to_pixel_centres(matrix: Matrix) -> Matrix:
    """Convert a matrix over continuous coordinates to the `(2, 3)` matrix for OpenCV."""
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


@dataclass(frozen=True, slots=True)
class Wave:
    """`base + slope * t` plus sines, each `(amplitude, radians per frame, phase)`; `t` in frames."""

    base: float = 0.0
    slope: float = 0.0
    sines: tuple[tuple[float, float, float], ...] = ()

    def __call__(self, t: float) -> float:
        """Return the value at time `t`."""
        value = self.base + self.slope * t
        for amplitude, omega, phase in self.sines:
            value += amplitude * math.sin(omega * t + phase)
        return value

    @classmethod
    def wander(
        cls,
        rng: np.random.Generator,
        base: float,
        amplitude: float,
        period: tuple[float, float] = (60.0, 300.0),
        *,
        slope: float = 0.0,
    ) -> Wave:
        """Draw a wave around `base` that moves by about `amplitude`, with periods in frames."""
        if amplitude <= 0.0:
            return cls(base, slope)
        draws = rng.random((2, 3))
        return cls(
            base,
            slope,
            tuple(
                (
                    amplitude * (0.4 + 0.6 * float(a)) / (k + 1),
                    2.0 * math.pi * (k + 1) / (period[0] * (period[1] / period[0]) ** float(p)),
                    2.0 * math.pi * float(phase),
                )
                for k, (a, p, phase) in enumerate(draws)
            ),
        )

    def anchored(self, t: float, value: float) -> Wave:
        """Return the same wave shifted so that it has `value` at time `t`."""
        return Wave(self.base + value - self(t), self.slope, self.sines)


@dataclass(frozen=True, slots=True)
class Motion:
    """The motion of a layer: position in pixels, natural logarithms of size and aspect, angle in radians."""

    x: Wave
    y: Wave
    log_scale: Wave = Wave()
    angle_rad: Wave = Wave()
    log_aspect: Wave = Wave()

    def matrix(self, t: float) -> Matrix:
        """Return the `(3, 3)` matrix from layer coordinates (origin at its centre) at time `t`."""
        scale, half = self.log_scale(t), 0.5 * self.log_aspect(t)
        return placement(
            self.x(t), self.y(t), math.exp(scale + half), math.exp(scale - half), self.angle_rad(t)
        )


STILL = Motion(Wave(), Wave())
