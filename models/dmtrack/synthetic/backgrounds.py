"""Synthetic backgrounds: dead leaves, streets, fields, rooms, aerial views, and nearly empty ones."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from dmtrack.synthetic.affine import Points
from dmtrack.synthetic.picture import Canvas, Drawing, heat_of_picture, make_canvas
from dmtrack.synthetic.textures import (
    Colour,
    Image,
    SurfaceBank,
    clouds,
    colour,
    palette,
    ramp,
    smooth_noise,
    spots,
    surface,
)

_HEIGHT_PX, _WIDTH_PX = 480, 640


def _finished(rng: np.random.Generator, drawing: Drawing, horizon: float) -> Canvas:
    """Add warm and cold gradients and sometimes uneven light."""
    height, width = drawing.heat.shape
    drift = 50.0 * (smooth_noise(rng, height, width, 3.0, 4) - 0.5)
    heat = np.clip(cv2.GaussianBlur(drawing.heat, (0, 0), 1.2) + drift, 0, 255).astype(np.uint8)
    rgb = drawing.rgb
    if rng.random() < 0.5:
        light = 1.0 + rng.uniform(0.2, 0.7) * (smooth_noise(rng, height, width, rng.uniform(1, 5), 3) - 0.5)
        rgb = np.clip(rgb * light[..., None], 0, 255).astype(np.uint8)
    return make_canvas(rgb, heat, horizon)


def _tile(bank: SurfaceBank) -> Image:
    return bank.draw(128, 128)


def dead_leaves(rng: np.random.Generator, bank: SurfaceBank) -> Canvas:
    """Discs, polygons and splinters of all sizes covering each other: the statistics of natural edges."""
    ground = Drawing(surface(rng, _HEIGHT_PX, _WIDTH_PX), rng.uniform(40, 160))
    colours = palette(rng, 24, rng.uniform(20, 80))
    count = int(rng.integers(60, 420))
    smallest, largest = rng.uniform(3, 12), rng.uniform(60, 170)
    # Radii with density r^-3 between the bounds: scale-invariant pictures.
    u = rng.random(count)
    radii = np.sort(1.0 / np.sqrt(u / smallest**2 + (1 - u) / largest**2))[::-1]
    plain_share, round_share = rng.uniform(0.4, 0.9), rng.random()
    for radius in radii:
        place = rng.random(2) * (_WIDTH_PX, _HEIGHT_PX)
        corners = 18 if rng.random() < round_share else int(rng.integers(3, 7))
        t = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 6.28)
        axes = radius * np.array([1.0, rng.uniform(0.3, 1.0)])
        angle = rng.uniform(0, np.pi)
        c, s = np.cos(angle), np.sin(angle)
        points = np.stack([np.cos(t) * axes[0], np.sin(t) * axes[1]], axis=-1) @ np.array([[c, s], [-s, c]])
        fill = colours[int(rng.integers(24))] if rng.random() < plain_share else _tile(bank)
        ground.paint(place + points, fill, rng.uniform(20, 200))
    return _finished(rng, ground, 1.0)


def street(rng: np.random.Generator, bank: SurfaceBank) -> Canvas:
    """Sky, house fronts with windows, a pavement and a road with marks, seen at eye level."""
    horizon = rng.uniform(0.3, 0.62)
    line = horizon * _HEIGHT_PX
    sky = ramp(
        np.tile(np.linspace(0, 1, _HEIGHT_PX, dtype=np.float32)[:, None], (1, _WIDTH_PX)), palette(rng, 2, 30)
    )
    ground = Drawing(sky, rng.uniform(5, 40))
    x = rng.uniform(-80, 0)
    while x < _WIDTH_PX:
        wide, tall = rng.uniform(60, 240), rng.uniform(0.35, 1.1) * line
        warm = rng.uniform(50, 150)
        ground.box(
            x, line - tall, wide, tall + 4, colour(rng, 0.2) if rng.random() < 0.5 else _tile(bank), warm
        )
        _windows(rng, ground, x, line - tall, wide, tall, warm)
        x += wide * rng.uniform(0.8, 1.4)
    road: Colour = (colour(rng, 0.06) * 0.7).astype(np.float32)
    ground.box(
        0, line, _WIDTH_PX, _HEIGHT_PX, road if rng.random() < 0.6 else _tile(bank), rng.uniform(60, 180)
    )
    kerb = line + rng.uniform(8, 60)
    ground.box(0, line, _WIDTH_PX, kerb - line, colour(rng, 0.1), rng.uniform(60, 160))
    middle = rng.uniform(0, _WIDTH_PX)
    marks: Colour = np.full(3, rng.uniform(170, 250), np.float32)
    for k in range(int(rng.integers(0, 8))):
        near, far = _HEIGHT_PX - 40 * k, _HEIGHT_PX - 40 * k - 22
        if far > kerb:
            a, b = (near - line) * 0.05, (far - line) * 0.05
            ground.paint(
                np.array([[middle - a, near], [middle + a, near], [middle + b, far], [middle - b, far]]),
                marks,
                120,
            )
    for _ in range(int(rng.integers(0, 6))):
        x, top = rng.uniform(0, _WIDTH_PX), line * rng.uniform(0.1, 0.7)
        foot = rng.uniform(line, min(_HEIGHT_PX, line + 150))
        ground.box(x, top, rng.uniform(3, 10), foot - top, colour(rng, 0.1), rng.uniform(30, 120))
    for _ in range(int(rng.integers(0, 5))):
        _crown(rng, ground, rng.uniform(0, _WIDTH_PX), line - rng.uniform(0, 60), rng.uniform(25, 90))
    return _finished(rng, ground, horizon)


def _windows(
    rng: np.random.Generator, ground: Drawing, x: float, y: float, wide: float, tall: float, warm: float
) -> None:
    """Put a grid of windows onto a house front."""
    step_x, step_y = rng.uniform(16, 44), rng.uniform(20, 50)
    glass, frame = colour(rng, 0.1) * 0.6, rng.uniform(0.4, 0.75)
    for row in range(int(tall // step_y)):
        for column in range(int(wide // step_x)):
            lit = rng.uniform(0.7, 1.5) * glass
            left, top = x + (column + 0.5 - 0.5 * frame) * step_x, y + (row + 0.3) * step_y
            ground.box(
                left,
                top,
                frame * step_x,
                0.55 * step_y,
                np.clip(lit, 0, 255).astype(np.float32),
                warm + rng.normal(0, 15),
            )


def _crown(rng: np.random.Generator, ground: Drawing, x: float, y: float, radius: float) -> None:
    """Put the crown of a tree or a bush: many small leaves."""
    base = np.array([rng.uniform(20, 110), rng.uniform(60, 150), rng.uniform(10, 70)])
    warm = rng.uniform(30, 110)
    for place, shade in zip(rng.normal(0, 0.45, (90, 2)), rng.normal(0, 28, 90), strict=True):
        t = np.linspace(0, 2 * np.pi, 6, endpoint=False)
        leaf = np.stack([np.cos(t), 0.7 * np.sin(t)], axis=-1) * radius * rng.uniform(0.06, 0.22)
        fill = np.clip(base + shade, 0, 255).astype(np.float32)
        ground.paint(np.array([x, y]) + place * radius + leaf, fill, warm + rng.normal(0, 6))


def field(rng: np.random.Generator, bank: SurfaceBank) -> Canvas:
    """Grass, sand, water or snow under a sky, with bushes."""
    horizon = float(rng.choice([0.0, rng.uniform(0.1, 0.5)]))
    line = horizon * _HEIGHT_PX
    make = spots if rng.random() < 0.6 else clouds
    ground = Drawing(make(rng, _HEIGHT_PX, _WIDTH_PX), rng.uniform(50, 150))
    if horizon > 0.0:
        ground.box(0, -1, _WIDTH_PX, line, colour(rng), rng.uniform(5, 60))
    for _ in range(int(rng.integers(0, 9))):
        y = rng.uniform(line, _HEIGHT_PX)
        _crown(rng, ground, rng.uniform(0, _WIDTH_PX), y, rng.uniform(10, 30 + 0.15 * y))
    return _finished(rng, ground, horizon)


def room(rng: np.random.Generator, bank: SurfaceBank) -> Canvas:
    """A wall, a floor or table, shelves, pictures and furniture."""
    horizon = rng.uniform(0.35, 0.8)
    line = horizon * _HEIGHT_PX
    wall = (
        surface(rng, _HEIGHT_PX, _WIDTH_PX)
        if rng.random() < 0.5
        else np.full((_HEIGHT_PX, _WIDTH_PX, 3), colour(rng, 0.15), np.uint8)
    )
    ground = Drawing(wall.astype(np.uint8), rng.uniform(90, 140))
    ground.box(
        0,
        line,
        _WIDTH_PX,
        _HEIGHT_PX,
        _tile(bank) if rng.random() < 0.6 else colour(rng),
        rng.uniform(80, 140),
    )
    for _ in range(int(rng.integers(4, 22))):
        wide, tall = rng.uniform(15, 170), rng.uniform(15, 190)
        foot = rng.uniform(0.2, 1.1) * line if rng.random() < 0.6 else line + rng.uniform(0, 120)
        fill = colour(rng) if rng.random() < 0.6 else _tile(bank)
        ground.box(rng.uniform(-40, _WIDTH_PX), foot - tall, wide, tall, fill, rng.uniform(60, 190))
    return _finished(rng, ground, horizon)


def aerial(rng: np.random.Generator, bank: SurfaceBank) -> Canvas:
    """A view from above: fields, roads with marks, roofs, rows of trees."""
    ground = Drawing(surface(rng, _HEIGHT_PX, _WIDTH_PX), rng.uniform(60, 150))
    for _ in range(int(rng.integers(0, 8))):
        corner = rng.random(2) * (_WIDTH_PX, _HEIGHT_PX)
        size, angle = rng.uniform(30, 170, 2), rng.uniform(0, np.pi)
        c, s = np.cos(angle), np.sin(angle)
        points = corner + (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size * 0.5) @ np.array(
            [[c, s], [-s, c]]
        )
        ground.paint(points, _tile(bank) if rng.random() < 0.5 else colour(rng, 0.25), rng.uniform(40, 200))
    for _ in range(int(rng.integers(0, 4))):
        _road(rng, ground)
    for _ in range(int(rng.integers(0, 12))):
        x, y = rng.random(2) * (_WIDTH_PX, _HEIGHT_PX)
        _crown(rng, ground, float(x), float(y), rng.uniform(8, 40))
    return _finished(rng, ground, 0.0)


def _road(rng: np.random.Generator, ground: Drawing) -> None:
    """Put a straight road with a broken line across the picture."""
    centre, angle = rng.random(2) * (_WIDTH_PX, _HEIGHT_PX), rng.uniform(0, np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    half = rng.uniform(10, 60)
    shade: Colour = (colour(rng, 0.05) * 0.6).astype(np.float32)

    def strip(start: float, end: float, radius: float) -> Points:
        ends = np.array([start, end, end, start])[:, None] * along
        sides = np.array([-radius, -radius, radius, radius])[:, None] * across
        return np.asarray(centre + ends + sides, np.float64)

    ground.paint(strip(-900, 900, half), shade, rng.uniform(70, 190))
    paint: Colour = np.full(3, rng.uniform(160, 250), np.float32)
    period, thick = rng.uniform(14, 50), max(0.6, 0.03 * half)
    for start in np.arange(-800, 800, period):
        ground.paint(strip(float(start), float(start + 0.5 * period), thick), paint, 130)


def smooth(rng: np.random.Generator, bank: SurfaceBank) -> Canvas:
    """Almost nothing: sky, water, haze or one large surface."""
    rgb = clouds(rng, _HEIGHT_PX, _WIDTH_PX) if rng.random() < 0.5 else surface(rng, _HEIGHT_PX, _WIDTH_PX)
    if rng.random() < 0.5:
        faint = rng.uniform(0.1, 0.5)
        rgb = np.clip(rgb * faint + (1 - faint) * colour(rng, 0.2), 0, 255).astype(np.uint8)
    return _finished(rng, Drawing(rgb, rng.uniform(10, 150)), float(rng.choice([0.0, 1.0])))


_BUILDERS: tuple[tuple[Callable[[np.random.Generator, SurfaceBank], Canvas], float], ...] = (
    (dead_leaves, 0.3), (street, 0.2), (field, 0.12), (room, 0.15), (aerial, 0.13), (smooth, 0.1),
)  # fmt: skip
_SHARES = np.array([share for _, share in _BUILDERS])


def made_up_canvas(rng: np.random.Generator, bank: SurfaceBank) -> Canvas:
    """Draw one synthetic background of any kind."""
    return _BUILDERS[int(rng.choice(len(_BUILDERS), p=_SHARES))][0](rng, bank)


def one_surface(rng: np.random.Generator) -> Canvas:
    """Draw a wall of one surface and nothing else."""
    rgb = surface(rng, _HEIGHT_PX, _WIDTH_PX)
    return make_canvas(rgb, heat_of_picture(rng, rgb), 1.0)
