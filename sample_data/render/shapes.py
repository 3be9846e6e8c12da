"""Shapes a ray can hit: box, ellipsoid, capped cylinder and round cone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from render.camera import Floats, dot, unit
from render.surface import Material

_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)
_TINY = np.float32(1e-9)


class Shape(Protocol):
    """Something a ray can hit."""

    material: Material

    def corners(self) -> Floats:
        """Return world points whose hull holds the shape."""

    def distance(self, origin: Floats, rays: Floats) -> Floats:
        """Return how far along each of `(N, 3)` rays the shape is hit; infinity where it is missed."""

    def local(self, points: Floats) -> Floats:
        """Return world points in the coordinates of the shape."""

    def normal(self, points: Floats) -> Floats:
        """Return the outward unit normals at points on the shape."""


def rotation(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Floats:
    """Return a matrix whose rows are the local axes: yaw about z, then pitch about y, then roll about x."""
    cz, sz, cy, sy, cx, sx = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    return (about_z @ about_y @ about_x).T.astype(np.float32)


@dataclass(frozen=True)
class _Posed:
    """A shape of half sizes `half` about `centre`, turned by `turn` (rows: local axes)."""

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    material: Material
    turn: Floats = field(default_factory=rotation)

    def corners(self) -> Floats:
        return (_CORNERS * np.asarray(self.half, np.float32)) @ self.turn + np.asarray(
            self.centre, np.float32
        )

    def local(self, points: Floats) -> Floats:
        return (points - np.asarray(self.centre, np.float32)) @ self.turn.T

    def _local_rays(self, origin: Floats, rays: Floats) -> tuple[Floats, Floats]:
        return self.local(origin), rays @ self.turn.T


class Box(_Posed):
    """An oriented cuboid."""

    def distance(self, origin: Floats, rays: Floats) -> Floats:
        start, step = self._local_rays(origin, rays)
        step = np.where(np.abs(step) < _TINY, _TINY, step)
        half = np.asarray(self.half, np.float32)
        first, second = (-half - start) / step, (half - start) / step
        low, high = np.minimum(first, second).T, np.maximum(first, second).T
        enter = np.maximum(np.maximum(low[0], low[1]), low[2])
        leave = np.minimum(np.minimum(high[0], high[1]), high[2])
        return np.where((enter <= leave) & (enter > 0), enter, np.inf).astype(np.float32)

    def normal(self, points: Floats) -> Floats:
        q = self.local(points) / np.asarray(self.half, np.float32)
        axis = np.abs(q).argmax(axis=1)
        sign = np.sign(np.take_along_axis(q, axis[:, None], axis=1))
        return sign * self.turn[axis]


class Ellipsoid(_Posed):
    """An oriented ellipsoid."""

    def distance(self, origin: Floats, rays: Floats) -> Floats:
        start, step = self._local_rays(origin, rays)
        half = np.asarray(self.half, np.float32)
        o, d = start / half, step / half
        a, b, c = dot(d, d), d @ o, float(o @ o) - 1
        root = b * b - a * c
        t = (-b - np.sqrt(np.maximum(root, 0))) / a
        return np.where((root > 0) & (t > 0), t, np.inf).astype(np.float32)

    def normal(self, points: Floats) -> Floats:
        half = np.asarray(self.half, np.float32)
        return unit(self.local(points) / half**2) @ self.turn


class Cylinder(_Posed):
    """A capped cylinder about its local z axis; `half` is (radius, radius, half height)."""

    def distance(self, origin: Floats, rays: Floats) -> Floats:
        o, d = self._local_rays(origin, rays)
        radius, _, half_height = self.half
        a = np.maximum(d[:, 0] ** 2 + d[:, 1] ** 2, _TINY)
        b, c = d[:, 0] * o[0] + d[:, 1] * o[1], float(o[0] ** 2 + o[1] ** 2) - radius**2
        root = b * b - a * c
        side = (-b - np.sqrt(np.maximum(root, 0))) / a
        on_side = (root > 0) & (side > 0) & (np.abs(o[2] + side * d[:, 2]) <= half_height)
        dz = np.where(np.abs(d[:, 2]) < _TINY, _TINY, d[:, 2])
        cap = (-np.sign(dz) * half_height - o[2]) / dz
        x, y = o[0] + cap * d[:, 0], o[1] + cap * d[:, 1]
        on_cap = (cap > 0) & (x * x + y * y <= radius**2)
        t = np.where(on_side, side, np.inf)
        return np.where(on_cap, np.minimum(t, cap), t).astype(np.float32)

    def normal(self, points: Floats) -> Floats:
        q = self.local(points)
        on_cap = np.abs(q[:, 2]) > self.half[2] * 0.9999
        out = np.stack([q[:, 0], q[:, 1], np.zeros_like(q[:, 0])], axis=1)
        out[on_cap] = np.stack([0 * q[on_cap, 2], 0 * q[on_cap, 2], np.sign(q[on_cap, 2])], axis=1)
        return unit(out) @ self.turn


@dataclass(frozen=True)
class RoundCone:
    """The hull of two spheres: a limb, a post, a finger.

    Its local coordinates are (around, around, along): `along` runs from 0 at `a` to 1 at `b`.
    """

    a: tuple[float, float, float]
    b: tuple[float, float, float]
    radius_a: float
    radius_b: float
    material: Material

    def corners(self) -> Floats:
        ends = np.array([self.a, self.b], np.float32)
        reach = max(self.radius_a, self.radius_b)
        return np.concatenate([end + _CORNERS * np.float32(reach) for end in ends])

    def distance(self, origin: Floats, rays: Floats) -> Floats:
        length = np.sqrt(dot(rays, rays))
        d = rays / length[:, None]
        a, b = np.asarray(self.a, np.float32), np.asarray(self.b, np.float32)
        axis, oa, ob, rr = b - a, origin - a, origin - b, self.radius_a - self.radius_b
        m0, m1, m5, m7 = float(axis @ axis), float(axis @ oa), float(oa @ oa), float(ob @ ob)
        m2, m3, m6 = d @ axis, d @ oa, d @ ob
        d2 = m0 - rr * rr
        k2 = np.maximum(d2 - m2 * m2, _TINY)
        k1 = d2 * m3 - m1 * m2 + m2 * (rr * self.radius_a)
        k0 = d2 * m5 - m1 * m1 + m1 * rr * self.radius_a * 2 - m0 * self.radius_a**2
        root = k1 * k1 - k0 * k2
        t = (-np.sqrt(np.maximum(root, 0)) - k1) / k2
        along = m1 - self.radius_a * rr + t * m2
        best = np.where((root > 0) & (along > 0) & (along < d2) & (t > 0), t, np.inf)
        for m, c, radius in ((m3, m5, self.radius_a), (m6, m7, self.radius_b)):
            root = m * m - c + radius * radius
            t = -m - np.sqrt(np.maximum(root, 0))
            best = np.where((root > 0) & (t > 0), np.minimum(best, t), best)
        return (best / length).astype(np.float32)

    def _axis_point(self, points: Floats) -> tuple[Floats, Floats]:
        a, axis = np.asarray(self.a, np.float32), np.subtract(self.b, self.a).astype(np.float32)
        along = np.clip((points - a) @ axis / max(float(axis @ axis), 1e-9), 0, 1)
        return along, a + along[:, None] * axis

    def local(self, points: Floats) -> Floats:
        along, foot = self._axis_point(points)
        return np.stack([points[:, 0] - foot[:, 0], points[:, 1] - foot[:, 1], along], axis=1)

    def normal(self, points: Floats) -> Floats:
        return unit(points - self._axis_point(points)[1])
