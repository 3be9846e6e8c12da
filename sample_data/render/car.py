"""A passenger car: a lofted body, four wheels, lamps and glass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from render.camera import Floats
from render.light import Blocker, Contact
from render.mesh import Mesh, grid_mesh
from render.shapes import Cylinder, Shape, rotation
from render.surface import Hit, Material, Surface
from render.texture import Tile, colour, inside, mix

Rgb = tuple[float, float, float]

# Along the car, rear to front: x, lower edge, upper edge, share of the full width.
_HATCHBACK = (
    (-2.062, 0.469, 0.471, 0.85), (-2.06, 0.42, 0.52, 0.86), (-2.06, 0.34, 0.66, 0.90),
    (-2.04, 0.28, 0.80, 0.93), (-1.99, 0.25, 0.92, 0.955), (-1.90, 0.24, 1.05, 0.965),
    (-1.74, 0.23, 1.28, 0.975), (-1.60, 0.22, 1.41, 0.985), (-1.30, 0.21, 1.455, 1.0),
    (-0.70, 0.20, 1.48, 1.0), (0.00, 0.20, 1.47, 1.0), (0.35, 0.20, 1.42, 1.0),
    (0.60, 0.20, 1.31, 1.0), (0.90, 0.20, 1.13, 1.0), (1.12, 0.20, 1.00, 1.0),
    (1.45, 0.20, 0.95, 0.99), (1.75, 0.21, 0.89, 0.97), (1.95, 0.23, 0.80, 0.93),
    (2.05, 0.26, 0.70, 0.87), (2.09, 0.32, 0.60, 0.80), (2.09, 0.40, 0.50, 0.76),
    (2.092, 0.449, 0.451, 0.75),
)  # fmt: skip
_SALOON = (
    (-2.252, 0.469, 0.471, 0.83), (-2.25, 0.42, 0.52, 0.84), (-2.25, 0.34, 0.66, 0.88),
    (-2.23, 0.28, 0.82, 0.92), (-2.18, 0.25, 0.95, 0.95), (-2.05, 0.24, 0.99, 0.97),
    (-1.75, 0.23, 1.01, 0.985), (-1.55, 0.22, 1.06, 0.99), (-1.25, 0.21, 1.24, 1.0),
    (-0.90, 0.20, 1.37, 1.0), (-0.45, 0.20, 1.43, 1.0), (0.10, 0.20, 1.43, 1.0),
    (0.40, 0.20, 1.37, 1.0), (0.75, 0.20, 1.20, 1.0), (1.15, 0.20, 0.98, 1.0),
    (1.60, 0.20, 0.93, 0.99), (1.95, 0.21, 0.87, 0.97), (2.15, 0.23, 0.78, 0.93),
    (2.25, 0.26, 0.68, 0.87), (2.29, 0.32, 0.58, 0.80), (2.29, 0.40, 0.48, 0.76),
    (2.292, 0.439, 0.441, 0.75),
)  # fmt: skip
_HALF_WIDTH = 0.89
_BELT = 0.93
_WHEEL_RADIUS = 0.315


@dataclass(frozen=True)
class Look:
    """Paint and state of a car."""

    paint: Rgb
    saloon: bool = False
    size: float = 1.0
    head_glow: float = 0.0
    tail_glow: float = 0.0
    engine_heat: float = 28900.0
    body_heat: float = 28820.0


@dataclass(frozen=True)
class Car:
    """A car at `(x, y)`; `heading` 0 drives along +x, counter-clockwise; `rolled_m` turns the wheels."""

    look: Look
    x: float
    y: float
    heading: float
    dirt: Tile
    rolled_m: float = 0.0
    floor_m: float = 0.0

    def shapes(self) -> list[Shape | Mesh]:
        """Return the body and the wheels."""
        size = self.look.size
        vertices, normals, faces = _body(self.look.saloon)
        place, turn = (self.x, self.y, self.floor_m), rotation(self.heading)
        material = _body_material(self.look, self.dirt)
        body = Mesh(vertices * np.float32(size), normals, faces, place, turn, material)
        return [body, *self._wheels()]

    def contact(self) -> Contact:
        """Return the dark patch on the road below."""
        half = (1.98 * self.look.size, 0.78 * self.look.size)
        return Contact((self.x, self.y), half, self.heading, 0.55, 0.88, self.floor_m)

    def blockers(self) -> list[Blocker]:
        """Return ellipsoids that throw the car's shadow."""
        s, turn = self.look.size, rotation(self.heading)
        cabin = self.to_world(-0.3, 0.0, s)
        return [
            Blocker((self.x, self.y, self.floor_m + 0.62 * s), (2.15 * s, 0.95 * s, 0.42 * s), turn, 9.0),
            Blocker(cabin, (1.3 * s, 0.78 * s, 0.48 * s), turn, 9.0),
        ]

    def to_world(self, ahead: float, left: float, up: float) -> tuple[float, float, float]:
        """Return a point given in the car's own coordinates."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        return (float(self.x + c * ahead - s * left), float(self.y + s * ahead + c * left), self.floor_m + up)

    def _wheels(self) -> list[Shape]:
        size = self.look.size
        axle = 1.30 * size if not self.look.saloon else 1.38 * size
        material = _wheel_material(self.rolled_m / (_WHEEL_RADIUS * size), _WHEEL_RADIUS * size)
        turn = rotation(self.heading, 0.0, np.pi / 2)
        half = (_WHEEL_RADIUS * size, _WHEEL_RADIUS * size, 0.10 * size)
        spots = [(a, b) for a in (-axle, axle) for b in (-0.79 * size, 0.79 * size)]
        return [Cylinder(self.to_world(a, b, half[0]), half, material, turn) for a, b in spots]


def _half_width(z: Floats, share: float) -> Floats:
    """Return the half width of the body at height `z`: tucked in at the sill, leaning in above the belt."""
    sill = 0.07 * np.clip((0.45 - z) / 0.25, 0, 1) ** 2
    lean = 0.24 * np.clip((z - _BELT) / 0.55, 0, 1.2)
    return _HALF_WIDTH * share - sill - lean


@cache
def _body(saloon: bool) -> tuple[Floats, Floats, np.ndarray]:
    """Return the net of the body: one ring per station, from sill over the roof to sill."""
    rings = []
    for x, low, high, share in _SALOON if saloon else _HATCHBACK:
        z = low + (high - low) * np.array([0, 0.15, 0.32, 0.5, 0.68, 0.84, 0.95])
        side = _half_width(z, share)
        side[-1] -= 0.02
        top = side[-1] * np.array([0.92, 0.6, 0.2])
        y = np.concatenate([-side, -top, top[::-1], side[::-1]])
        crown = high + 0.03 * (1 - (top / max(side[-1], 1e-3)) ** 2)
        heights = np.concatenate([z, crown, crown[::-1], z[::-1]])
        rings.append(np.stack([np.full_like(y, x), y, heights], axis=1))
    return grid_mesh(np.array(rings))


def _body_material(look: Look, dirt: Tile) -> Material:
    glass_top = 1.36 if not look.saloon else 1.32
    end_front = 2.09 if not look.saloon else 2.29
    end_rear = -2.06 if not look.saloon else -2.25
    axle = 1.30 if not look.saloon else 1.38

    def material(hit: Hit) -> Surface:
        p = hit.local / np.float32(look.size)
        x, y, z, across = p[:, 0], p[:, 1], p[:, 2], np.abs(p[:, 1])
        edge = hit.footprint
        count = len(x)
        grime = dirt.sample(x, y + z, edge)
        rgb = colour(count, look.paint) * (1 + 0.05 * grime - 0.25 * np.clip((0.5 - z) / 0.3, 0, 1))[:, None]
        gloss = np.full(count, 0.9, np.float32)
        on_side = (across > _half_width(z, 0.92) - 0.02) & (np.abs(x) < 1.9)
        seams = (
            sum(inside(x, at - 0.012, at + 0.012, edge) for at in (-0.95, 0.05, 0.98)) * on_side * (z < 1.0)
        )
        rgb = mix(rgb, (0.01, 0.01, 0.01), 0.7 * np.clip(seams, 0, 1))
        rgb = mix(rgb, (0.02, 0.02, 0.022), inside(z, -1, 0.36, edge + 0.02))
        arch = np.minimum(np.hypot(x - axle, z - 0.32), np.hypot(x + axle, z - 0.32))
        rgb = mix(rgb, (0.004, 0.004, 0.004), inside(arch, -1, 0.385, edge) * on_side)
        glass = _glass(x, across, z, edge, glass_top, look.saloon)
        rgb = mix(rgb, (0.012, 0.014, 0.016), glass)
        gloss = gloss * (1 - 0.6 * inside(z, -1, 0.36)) + 0.6 * glass
        tail = inside(z, 0.70, 0.90, edge) * inside(across, 0.52, 0.90, edge) * (x < end_rear + 0.24)
        head = inside(z, 0.56, 0.72, edge) * inside(across, 0.46, 0.82, edge) * (x > end_front - 0.28)
        plate = inside(z, 0.50, 0.62, edge) * inside(across, -1, 0.26, edge) * (np.abs(x) > 1.9)
        grille = inside(z, 0.40, 0.56, edge) * inside(across, -1, 0.45, edge) * (x > end_front - 0.2)
        rgb = mix(rgb, (0.01, 0.01, 0.01), grille * (1 - plate))
        rgb = mix(mix(rgb, (0.35, 0.02, 0.02), tail), (0.6, 0.6, 0.6), np.maximum(head, plate))
        emit = tail[:, None] * np.array([1.0, 0.05, 0.03], np.float32) * look.tail_glow
        emit = emit + head[:, None] * np.array([1.0, 0.96, 0.88], np.float32) * look.head_glow
        bonnet = np.clip((x - 0.9) / 0.4, 0, 1) * (0.35 + 0.65 * inside(z, 0.3, 0.75, 0.3))
        heat = look.body_heat + (look.engine_heat - look.body_heat) * bonnet + 15 * grime
        heat = heat * (1 - glass) + (look.body_heat + 120) * glass
        return Surface(rgb, emit.astype(np.float32), gloss, heat)

    return material


def _glass(x: Floats, across: Floats, z: Floats, edge: Floats, top: float, saloon: bool) -> Floats:
    """Return how much of each body point is window."""
    rear, front = (-1.62, 1.10) if not saloon else (-1.42, 1.02)
    lean = (z - _BELT) * 1.15
    side = inside(z, _BELT + 0.03, top, edge) * inside(x, rear + lean * 0.7, front - lean * 1.05 - 0.1, edge)
    side = side * (1 - inside(x, -0.40, -0.30, edge)) * (across > _half_width(z, 0.97) - 0.06)
    inner = inside(across, -1, 0.80 - 0.24 * np.clip((z - _BELT) / 0.55, 0, 1) - 0.06, edge)
    screens = inside(z, 1.02, top + 0.03, edge) * inner * ((x > front - 0.75) | (x < rear + 0.22))
    return np.maximum(side, screens)


def _wheel_material(angle: float, radius: float) -> Material:
    def material(hit: Hit) -> Surface:
        x, y = hit.local[:, 0], hit.local[:, 1]
        r = np.hypot(x, y) / radius
        spokes = 0.5 + 0.5 * np.cos(5 * (np.arctan2(y, x) - angle))
        rim = inside(r, -1, 0.66, hit.footprint / radius)
        rgb = mix(colour(len(x), (0.018, 0.018, 0.018)), (0.30, 0.30, 0.31), rim * (0.2 + 0.8 * spokes))
        return Surface(rgb, heat=29150.0 + 250 * (1 - rim), gloss=0.15 * rim)

    return material
