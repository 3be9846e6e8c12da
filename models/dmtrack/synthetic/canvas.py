"""`Canvas`: a background with colours and temperatures, and builders of made-up ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.synthetic.textures import (
    Field,
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

_LEVELS = 4
_HEIGHT_PX, _WIDTH_PX = 480, 640


@dataclass(frozen=True, slots=True)
class Canvas:
    """A background.

    Attributes:
        levels: `(H, W, 3)` uint8 RGB, each level half the size of the one before.
        heat: `(H, W)` uint8 temperature, same levels.
        horizon: Height of the horizon as a fraction of the picture (0 top, 1 bottom): the ground
            begins below it; 1 when all of it is a wall, 0 when it is ground seen from above.
    """

    levels: tuple[Image, ...]
    heat: tuple[Image, ...]
    horizon: float

    @property
    def height(self) -> int:
        """Height of level 0 in pixels."""
        return int(self.levels[0].shape[0])

    @property
    def width(self) -> int:
        """Width of level 0 in pixels."""
        return int(self.levels[0].shape[1])


def make_canvas(rgb: Image, heat: Image, horizon: float) -> Canvas:
    """Build a canvas and its smaller levels; both sides are cut to multiples of 8."""
    height, width = (n // 8 * 8 for n in rgb.shape[:2])
    levels = [np.ascontiguousarray(rgb[:height, :width])]
    heats = [np.ascontiguousarray(heat[:height, :width])]
    for _ in range(1, _LEVELS):
        size = (levels[-1].shape[1] // 2, levels[-1].shape[0] // 2)
        levels.append(np.asarray(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA)))
        heats.append(np.asarray(cv2.resize(heats[-1], size, interpolation=cv2.INTER_AREA)))
    return Canvas(tuple(levels), tuple(heats), horizon)


def heat_of_picture(rng: np.random.Generator, rgb: Image) -> Image:
    """Make up temperatures for a picture without any: surfaces keep their edges, not their order.

    Every grey level gets a temperature from a smooth random curve, so that bright things are warm
    in one picture and cold in the next, and some edges vanish.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), 1.5)
    knots = np.sort(rng.uniform(0, 255, 5))
    curve = np.interp(np.arange(256), knots, rng.uniform(15, 210, 5)).astype(np.uint8)
    heat = cv2.LUT(grey, curve).astype(np.float32)
    height, width = heat.shape
    drift = 60.0 * (smooth_noise(rng, height, width, 2.5, 2) - 0.5)
    mild = rng.uniform(0.35, 1.0)
    return np.asarray(np.clip(heat.mean() + mild * (heat - heat.mean()) + drift, 0, 255), np.uint8)


class _CanvasPainter:
    """A picture in the making: colours and temperatures painted together."""

    def __init__(self, rng: np.random.Generator, bank: SurfaceBank, rgb: Image, heat: float) -> None:
        self.rng, self.bank = rng, bank
        self.rgb = np.ascontiguousarray(rgb)
        self.heat: Image = np.full(rgb.shape[:2], np.uint8(heat), np.uint8)

    def paint(self, points: npt.NDArray[np.float64], fill: Image | Field, heat: float) -> None:
        """Paint a polygon (pixels) with a small surface, repeated, or one colour."""
        height, width = self.heat.shape
        x1, y1 = np.maximum(np.floor(points.min(axis=0)).astype(int), 0)
        x2, y2 = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, (width, height))
        if x2 <= x1 or y2 <= y1:
            return
        fixed = [np.rint(points).astype(np.int32)]
        cv2.fillPoly(self.heat, fixed, float(min(max(heat, 0.0), 255.0)))
        if fill.ndim == 1:
            cv2.fillPoly(self.rgb, fixed, fill.tolist(), cv2.LINE_AA)
            return
        mask = np.zeros((y2 - y1, x2 - x1), np.uint8)
        cv2.fillPoly(mask, [fixed[0] - np.array([x1, y1], np.int32)], 255)
        tiles = (-(-(y2 - y1) // fill.shape[0]), -(-(x2 - x1) // fill.shape[1]), 1)
        tiled = np.tile(fill, tiles)[: y2 - y1, : x2 - x1]
        cv2.copyTo(np.ascontiguousarray(tiled), mask, self.rgb[y1:y2, x1:x2])

    def box(self, x: float, y: float, w: float, h: float, fill: Image | Field, heat: float) -> None:
        """Paint an upright rectangle (pixels)."""
        self.paint(np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]]), fill, heat)

    def finish(self, horizon: float) -> Canvas:
        """Add warm and cold drifts and a little grain; return the canvas."""
        rng, (height, width) = self.rng, self.heat.shape
        drift = 50.0 * (smooth_noise(rng, height, width, 3.0, 4) - 0.5)
        heat = np.clip(cv2.GaussianBlur(self.heat, (0, 0), 1.2) + drift, 0, 255).astype(np.uint8)
        rgb = self.rgb
        if rng.random() < 0.5:
            light = 1.0 + rng.uniform(0.2, 0.7) * (
                smooth_noise(rng, height, width, rng.uniform(1, 5), 3) - 0.5
            )
            rgb = np.clip(rgb * light[..., None], 0, 255).astype(np.uint8)
        return make_canvas(rgb, heat, horizon)


def _tile(bank: SurfaceBank) -> Image:
    return bank.draw(128, 128)


def dead_leaves(rng: np.random.Generator, bank: SurfaceBank) -> Canvas:
    """Discs, boxes and splinters of all sizes covering each other: the statistics of natural edges."""
    ground = _CanvasPainter(rng, bank, surface(rng, _HEIGHT_PX, _WIDTH_PX), rng.uniform(40, 160))
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
    return ground.finish(1.0)


def street(rng: np.random.Generator, bank: SurfaceBank) -> Canvas:
    """Sky, house fronts with windows, a pavement and a road with marks, seen from a person's height."""
    horizon = rng.uniform(0.3, 0.62)
    line = horizon * _HEIGHT_PX
    sky = ramp(
        np.tile(np.linspace(0, 1, _HEIGHT_PX, dtype=np.float32)[:, None], (1, _WIDTH_PX)), palette(rng, 2, 30)
    )
    ground = _CanvasPainter(rng, bank, sky, rng.uniform(5, 40))
    x = rng.uniform(-80, 0)
    while x < _WIDTH_PX:
        wide, tall = rng.uniform(60, 240), rng.uniform(0.35, 1.1) * line
        warm = rng.uniform(50, 150)
        ground.box(
            x, line - tall, wide, tall + 4, colour(rng, 0.2) if rng.random() < 0.5 else _tile(bank), warm
        )
        _windows(ground, x, line - tall, wide, tall, warm)
        x += wide * rng.uniform(0.8, 1.4)
    road: Field = (colour(rng, 0.06) * 0.7).astype(np.float32)
    ground.box(
        0, line, _WIDTH_PX, _HEIGHT_PX, road if rng.random() < 0.6 else _tile(bank), rng.uniform(60, 180)
    )
    kerb = line + rng.uniform(8, 60)
    ground.box(0, line, _WIDTH_PX, kerb - line, colour(rng, 0.1), rng.uniform(60, 160))
    middle = rng.uniform(0, _WIDTH_PX)
    marks: Field = np.full(3, rng.uniform(170, 250), np.float32)
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
        _crown(ground, rng.uniform(0, _WIDTH_PX), line - rng.uniform(0, 60), rng.uniform(25, 90))
    return ground.finish(horizon)


def _windows(ground: _CanvasPainter, x: float, y: float, wide: float, tall: float, warm: float) -> None:
    """Put a grid of windows onto a house front."""
    rng = ground.rng
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


def _crown(ground: _CanvasPainter, x: float, y: float, radius: float) -> None:
    """Put the crown of a tree or a bush: many small leaves."""
    rng = ground.rng
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
    ground = _CanvasPainter(rng, bank, make(rng, _HEIGHT_PX, _WIDTH_PX), rng.uniform(50, 150))
    if horizon > 0.0:
        ground.box(0, -1, _WIDTH_PX, line, colour(rng), rng.uniform(5, 60))
    for _ in range(int(rng.integers(0, 9))):
        y = rng.uniform(line, _HEIGHT_PX)
        _crown(ground, rng.uniform(0, _WIDTH_PX), y, rng.uniform(10, 30 + 0.15 * y))
    return ground.finish(horizon)


def room(rng: np.random.Generator, bank: SurfaceBank) -> Canvas:
    """A wall, a floor or table, shelves, pictures and furniture."""
    horizon = rng.uniform(0.35, 0.8)
    line = horizon * _HEIGHT_PX
    wall = (
        surface(rng, _HEIGHT_PX, _WIDTH_PX)
        if rng.random() < 0.5
        else np.full((_HEIGHT_PX, _WIDTH_PX, 3), colour(rng, 0.15), np.uint8)
    )
    ground = _CanvasPainter(rng, bank, wall.astype(np.uint8), rng.uniform(90, 140))
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
    return ground.finish(horizon)


def aerial(rng: np.random.Generator, bank: SurfaceBank) -> Canvas:
    """Land from above: fields, roads with marks, roofs, rows of trees."""
    ground = _CanvasPainter(rng, bank, surface(rng, _HEIGHT_PX, _WIDTH_PX), rng.uniform(60, 150))
    for _ in range(int(rng.integers(0, 8))):
        corner = rng.random(2) * (_WIDTH_PX, _HEIGHT_PX)
        size, angle = rng.uniform(30, 170, 2), rng.uniform(0, np.pi)
        c, s = np.cos(angle), np.sin(angle)
        points = corner + (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size * 0.5) @ np.array(
            [[c, s], [-s, c]]
        )
        ground.paint(points, _tile(bank) if rng.random() < 0.5 else colour(rng, 0.25), rng.uniform(40, 200))
    for _ in range(int(rng.integers(0, 4))):
        _road(ground)
    for _ in range(int(rng.integers(0, 12))):
        x, y = rng.random(2) * (_WIDTH_PX, _HEIGHT_PX)
        _crown(ground, float(x), float(y), rng.uniform(8, 40))
    return ground.finish(0.0)


def _road(ground: _CanvasPainter) -> None:
    """Put a straight road with a broken line across the picture."""
    rng = ground.rng
    centre, angle = rng.random(2) * (_WIDTH_PX, _HEIGHT_PX), rng.uniform(0, np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    half = rng.uniform(10, 60)
    shade: Field = (colour(rng, 0.05) * 0.6).astype(np.float32)

    def strip(start: float, end: float, radius: float) -> npt.NDArray[np.float64]:
        ends = np.array([start, end, end, start])[:, None] * along
        sides = np.array([-radius, -radius, radius, radius])[:, None] * across
        return np.asarray(centre + ends + sides, np.float64)

    ground.paint(strip(-900, 900, half), shade, rng.uniform(70, 190))
    paint: Field = np.full(3, rng.uniform(160, 250), np.float32)
    period, thick = rng.uniform(14, 50), max(0.6, 0.03 * half)
    for start in np.arange(-800, 800, period):
        ground.paint(strip(float(start), float(start + 0.5 * period), thick), paint, 130)


def smooth(rng: np.random.Generator, bank: SurfaceBank) -> Canvas:
    """Almost nothing: sky, water, haze or one big surface."""
    rgb = clouds(rng, _HEIGHT_PX, _WIDTH_PX) if rng.random() < 0.5 else surface(rng, _HEIGHT_PX, _WIDTH_PX)
    if rng.random() < 0.5:
        faint = rng.uniform(0.1, 0.5)
        rgb = np.clip(rgb * faint + (1 - faint) * colour(rng, 0.2), 0, 255).astype(np.uint8)
    return _CanvasPainter(rng, bank, rgb, rng.uniform(10, 150)).finish(float(rng.choice([0.0, 1.0])))


_BUILDERS: tuple[tuple[Callable[[np.random.Generator, SurfaceBank], Canvas], float], ...] = (
    (dead_leaves, 0.3), (street, 0.2), (field, 0.12), (room, 0.15), (aerial, 0.13), (smooth, 0.1),
)  # fmt: skip
_SHARES = np.array([share for _, share in _BUILDERS])


def made_up_canvas(rng: np.random.Generator, bank: SurfaceBank) -> Canvas:
    """Draw one made-up background of any kind."""
    return _BUILDERS[int(rng.choice(len(_BUILDERS), p=_SHARES))][0](rng, bank)


def one_surface(rng: np.random.Generator) -> Canvas:
    """Draw a wall of one surface and nothing else."""
    rgb = surface(rng, _HEIGHT_PX, _WIDTH_PX)
    return make_canvas(rgb, heat_of_picture(rng, rgb), 1.0)
