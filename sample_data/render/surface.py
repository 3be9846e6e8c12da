"""What a hit point looks like: the contract between shapes, materials and light."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from render.camera import Floats


@dataclass(frozen=True)
class Hit:
    """`N` points where rays meet one shape.

    Args:
        local: `(N, 3)` in the coordinates of the shape.
        world: `(N, 3)` in metres.
        normal: `(N, 3)` unit, outward.
        footprint: `(N,)` metres that a pixel covers there.
    """

    local: Floats
    world: Floats
    normal: Floats
    footprint: Floats


@dataclass(frozen=True)
class Surface:
    """How `N` points answer light.

    Args:
        albedo: `(N, 3)` linear reflectance.
        emit: `(N, 3)` linear radiance of its own, or 0.
        gloss: `(N,)` strength of mirror-like reflection in [0, 1], or one number.
        heat: `(N,)` temperature in hundredths of a kelvin, or one number.
    """

    albedo: Floats
    emit: Floats | float = 0.0
    gloss: Floats | float = 0.0
    heat: Floats | float = 29000.0


Material = Callable[[Hit], Surface]


def plain(
    rgb: tuple[float, float, float],
    *,
    emit: tuple[float, float, float] | None = None,
    gloss: float = 0.0,
    heat: float = 29000.0,
) -> Material:
    """Return a material of one colour."""

    def material(hit: Hit) -> Surface:
        count = len(hit.world)
        albedo = np.tile(np.asarray(rgb, np.float32), (count, 1))
        glow = 0.0 if emit is None else np.tile(np.asarray(emit, np.float32), (count, 1))
        return Surface(albedo, glow, gloss, heat)

    return material
