"""A pinhole camera in a world with x to the right, y ahead and z up (metres)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
NEAR_M = 0.05


def dot(first: Floats, second: Floats) -> Floats:
    """Return the inner products over the last axis (numpy's own sum is slow for three numbers)."""
    return np.einsum("...i,...i->...", first, second)


def unit(vectors: Floats) -> Floats:
    """Return the vectors scaled to length 1."""
    return vectors / np.sqrt(np.maximum(dot(vectors, vectors), 1e-18))[..., None]


@dataclass(frozen=True, slots=True)
class Camera:
    """Where a camera stands, where it looks, and its pixel grid.

    Args:
        position: World position in metres.
        yaw: Turn to the right in radians; 0 looks along +y.
        pitch: Turn upwards in radians.
        roll: Clockwise tilt of the camera in radians.
        focal_px: Focal length in pixels.
        width: Picture width in pixels.
        height: Picture height in pixels.
    """

    position: tuple[float, float, float]
    yaw: float
    pitch: float
    roll: float
    focal_px: float
    width: int
    height: int

    def scaled(self, factor: float) -> Camera:
        """Return the same view on a grid `factor` times as fine."""
        return replace(
            self,
            focal_px=self.focal_px * factor,
            width=round(self.width * factor),
            height=round(self.height * factor),
        )

    def axes(self) -> Floats:
        """Return right, up and forward as the rows of a `(3, 3)` array."""
        cy, sy, cp, sp = np.cos(self.yaw), np.sin(self.yaw), np.cos(self.pitch), np.sin(self.pitch)
        forward = np.array([sy * cp, cy * cp, sp])
        right = np.array([cy, -sy, 0.0])
        up = np.cross(right, forward)
        cr, sr = np.cos(self.roll), np.sin(self.roll)
        return np.array([cr * right - sr * up, sr * right + cr * up, forward], dtype=np.float32)

    def rays(self, shift_x_px: float = 0.0, shift_y_px: float = 0.0) -> Floats:
        """Return `(height, width, 3)` directions whose forward part is 1, so that distance is depth."""
        right, up, forward = self.axes()
        x = ((np.arange(self.width) + 0.5 + shift_x_px - self.width / 2) / self.focal_px).astype(np.float32)
        y = ((np.arange(self.height) + 0.5 + shift_y_px - self.height / 2) / self.focal_px).astype(np.float32)
        return forward + x[None, :, None] * right - y[:, None, None] * up

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Return pixel positions `(N, 2)` and depths `(N,)` of world points `(N, 3)`."""
        relative = (points - np.asarray(self.position, np.float32)) @ self.axes().T
        depth = np.maximum(relative[:, 2], 1e-6)
        x = relative[:, 0] / depth * self.focal_px + self.width / 2
        y = -relative[:, 1] / depth * self.focal_px + self.height / 2
        return np.stack([x, y], axis=1), relative[:, 2]

    def window(self, corners: Floats) -> tuple[slice, slice] | None:
        """Return the rows and columns that can see the hull of `corners`, or `None`."""
        pixels, depth = self.project(corners)
        if (depth < NEAR_M).all():
            return None
        if (depth < NEAR_M).any():
            return slice(0, self.height), slice(0, self.width)
        x0, y0 = np.floor(pixels.min(axis=0)).astype(int) - 1
        x1, y1 = np.ceil(pixels.max(axis=0)).astype(int) + 2
        rows, columns = slice(max(y0, 0), min(y1, self.height)), slice(max(x0, 0), min(x1, self.width))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return None
        return rows, columns
