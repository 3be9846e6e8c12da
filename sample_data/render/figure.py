"""A walking person: limbs as round cones, joints driven by a gait cycle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from render.light import Blocker
from render.shapes import Ellipsoid, RoundCone, Shape, rotation
from render.surface import Hit, Material, Surface
from render.texture import Tile

Rgb = tuple[float, float, float]
SKIN: Rgb = (0.42, 0.26, 0.19)


@dataclass(frozen=True)
class Clothes:
    """What a person wears and how warm it shows (hundredths of a kelvin)."""

    coat: Rgb
    trousers: Rgb
    hair: Rgb = (0.035, 0.025, 0.02)
    shoes: Rgb = (0.05, 0.045, 0.04)
    coat_heat: float = 29620.0
    trousers_heat: float = 29540.0
    long_coat: bool = False


@dataclass(frozen=True)
class Person:
    """Build and dress of a person; lengths scale with `height_m`."""

    height_m: float
    clothes: Clothes
    cloth: Tile
    stride_m: float = 1.42

    def pose(self, x: float, y: float, heading: float, walked_m: float, floor_m: float = 0.0) -> list[Shape]:
        """Return the shapes of the person at `(x, y)`.

        Args:
            x: World position.
            y: World position.
            heading: Walking direction in radians; 0 is +x, counter-clockwise.
            walked_m: Way walked so far; it drives legs and arms. A standing person keeps it constant.
            floor_m: Height of the ground.
        """
        return _Body(self, np.array([x, y, floor_m]), heading, 2 * np.pi * walked_m / self.stride_m).shapes()

    def blockers(self, x: float, y: float, floor_m: float = 0.0) -> list[Blocker]:
        """Return ellipsoids that throw the shadow of the person."""
        k = self.height_m / 1.75
        parts = ((1.62, 0.11, 0.13), (1.22, 0.19, 0.34), (0.5, 0.14, 0.5))
        return [Blocker((x, y, floor_m + h * k), (r * k, r * k, v * k), reach_m=3.2) for h, r, v in parts]


class _Body:
    """Builds the shapes of one pose, in metres."""

    def __init__(self, person: Person, ground: np.ndarray, heading: float, phase: float) -> None:
        self.k = person.height_m / 1.75
        self.person = person
        self.ahead = np.array([np.cos(heading), np.sin(heading), 0.0])
        self.side = np.array([-np.sin(heading), np.cos(heading), 0.0])
        self.heading = heading
        self.phase = phase
        bounce = 0.022 * np.cos(2 * phase)
        sway = 0.02 * np.sin(phase)
        self.hips = ground + self.k * (np.array([0, 0, 0.93 + bounce]) + sway * self.side)

    def shapes(self) -> list[Shape]:
        clothes = self.person.clothes
        parts: list[Shape] = []
        for sign in (-1.0, 1.0):
            parts += self._leg(sign)
            parts += self._arm(sign)
        coat = self._cloth(clothes.coat, clothes.coat_heat)
        chest = self._at(0.03, 0, 0.40)
        parts.append(self._ellipsoid(chest, (0.125, 0.195, 0.215), coat))
        parts.append(self._ellipsoid(self._at(0.02, 0, 0.52), (0.095, 0.205, 0.085), coat))
        parts.append(self._ellipsoid(self._at(0.01, 0, 0.16), (0.118, 0.165, 0.20), coat))
        low = coat if clothes.long_coat else self._cloth(clothes.trousers, clothes.trousers_heat)
        parts.append(self._ellipsoid(self._at(0, 0, 0.0), (0.115, 0.165, 0.13), low))
        if clothes.long_coat:
            parts.append(self._cone(self._at(0, 0, 0.0), self._at(0, 0, -0.30), 0.15, 0.175, coat))
        return parts + self._head()

    def _head(self) -> list[Shape]:
        skin = self._skin()
        hair = self._plain(self.person.clothes.hair, 29850.0)
        neck = self._cone(self._at(0.03, 0, 0.56), self._at(0.05, 0, 0.64), 0.055, 0.05, skin)
        face = self._ellipsoid(self._at(0.065, 0, 0.715), (0.095, 0.075, 0.115), skin)
        top = self._ellipsoid(self._at(0.043, 0, 0.735), (0.098, 0.083, 0.108), hair)
        return [neck, face, top]

    def _leg(self, sign: float) -> list[Shape]:
        phase = self.phase + (0 if sign > 0 else np.pi)
        thigh = 0.08 + 0.42 * np.sin(phase)
        knee = 0.10 + 0.95 * max(0.0, np.cos(phase + 0.25)) ** 1.6 + 0.12 * max(0.0, np.sin(phase))
        trousers = self._cloth(self.person.clothes.trousers, self.person.clothes.trousers_heat)
        hip = self._at(0, 0.09 * sign, 0.0)
        joint = hip + self._swing(0.42, thigh)
        ankle = joint + self._swing(0.42, thigh - knee)
        tilt = thigh - knee + 0.15 + 0.25 * max(0.0, np.sin(phase))
        toe = ankle + self.k * (
            0.17 * np.cos(tilt) * self.ahead + np.array([0, 0, 0.17 * np.sin(tilt) - 0.03])
        )
        shoe = self._plain(self.person.clothes.shoes, 29250.0)
        return [
            self._cone(hip, joint, 0.098, 0.068, trousers),
            self._cone(joint, ankle, 0.068, 0.05, trousers),
            self._cone(ankle - np.array([0, 0, 0.02 * self.k]), toe, 0.052, 0.038, shoe),
        ]

    def _arm(self, sign: float) -> list[Shape]:
        phase = self.phase + (np.pi if sign > 0 else 0)
        upper = 0.02 + 0.36 * np.sin(phase)
        elbow = 0.30 + 0.18 * np.sin(phase)
        coat = self._cloth(self.person.clothes.coat, self.person.clothes.coat_heat - 60)
        shoulder = self._at(0.02, 0.205 * sign, 0.50)
        joint = shoulder + self._swing(0.29, upper) + self.k * 0.03 * sign * self.side
        wrist = joint + self._swing(0.25, upper + elbow)
        hand = wrist + self._swing(0.09, upper + elbow)
        return [
            self._cone(shoulder, joint, 0.062, 0.05, coat),
            self._cone(joint, wrist, 0.05, 0.04, coat),
            self._cone(wrist, hand, 0.036, 0.03, self._skin()),
        ]

    def _swing(self, length: float, angle: float) -> np.ndarray:
        """Return a bone of `length` hanging down, swung forwards by `angle`."""
        return self.k * length * (np.sin(angle) * self.ahead - np.cos(angle) * np.array([0, 0, 1.0]))

    def _at(self, ahead: float, side: float, up: float) -> np.ndarray:
        return self.hips + self.k * (ahead * self.ahead + side * self.side + np.array([0, 0, up]))

    def _cone(self, a: np.ndarray, b: np.ndarray, ra: float, rb: float, material: Material) -> Shape:
        return RoundCone(tuple(a), tuple(b), ra * self.k, rb * self.k, material)

    def _ellipsoid(self, centre: np.ndarray, half: tuple[float, float, float], material: Material) -> Shape:
        size = tuple(self.k * v for v in half)
        return Ellipsoid(tuple(centre), size, material, rotation(self.heading))

    def _cloth(self, rgb: Rgb, heat: float) -> Material:
        tile, root = self.person.cloth, self.hips

        def material(hit: Hit) -> Surface:
            across = (hit.world[:, 0] - root[0]) * self.ahead[0] + (hit.world[:, 1] - root[1]) * self.ahead[1]
            folds = tile.sample(across + 0.3 * hit.world[:, 1], hit.world[:, 2] - root[2], hit.footprint)
            shade = np.clip(1 + 0.22 * folds, 0.4, 1.8)[:, None]
            return Surface(np.asarray(rgb, np.float32) * shade, heat=heat + 45 * folds)

        return material

    def _plain(self, rgb: Rgb, heat: float) -> Material:
        def material(hit: Hit) -> Surface:
            return Surface(np.tile(np.asarray(rgb, np.float32), (len(hit.world), 1)), heat=heat)

        return material

    def _skin(self) -> Material:
        return self._plain(SKIN, 30480.0)
