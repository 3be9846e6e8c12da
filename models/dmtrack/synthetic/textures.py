"""Procedural surfaces: noise, stripes, checks, bricks, writing and dead leaves, as `(H, W, 3)` uint8."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Generic, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float32]
Colour = npt.NDArray[np.float32]

_Piece = TypeVar("_Piece")


def smooth_noise(rng: np.random.Generator, height: int, width: int, cells: float, octaves: int = 4) -> Field:
    """Return `(H, W)` multi-octave value noise in [0, 1]; `cells` counts the coarsest cells per width."""
    total = np.zeros((height, width), np.float32)
    weight, persistence = 1.0, rng.uniform(0.4, 0.75)
    for _ in range(octaves):
        rows, columns = max(2, round(cells * height / width) + 1), max(2, round(cells) + 1)
        if rows >= height or columns >= width:
            break
        grid = rng.random((rows, columns), dtype=np.float32) * np.float32(weight)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weight, cells = weight * persistence, cells * 2.0
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def colour(rng: np.random.Generator, saturation: float | None = None) -> Colour:
    """Draw one RGB colour, 0 to 255; greys and earth tones are as frequent as in the real world."""
    value = rng.uniform(15.0, 245.0)
    s = rng.beta(1.2, 2.2) if saturation is None else saturation
    hue = rng.random(3)
    hue = (hue - hue.min()) / max(float(np.ptp(hue)), 1e-6)
    return np.asarray(value * (1.0 - s + s * hue), np.float32)


def palette(rng: np.random.Generator, count: int, spread: float | None = None) -> npt.NDArray[np.float32]:
    """Draw `(count, 3)` related colours."""
    base = colour(rng)
    width = rng.uniform(15.0, 90.0) if spread is None else spread
    return np.clip(base + rng.normal(0.0, width, (count, 3)), 0, 255).astype(np.float32)


def ramp(field: Field, colours: npt.NDArray[np.float32]) -> Image:
    """Colour a field in [0, 1] along the ramp through `colours (K, 3)`."""
    stops = np.linspace(0, 255, len(colours))
    table = np.stack([np.interp(np.arange(256), stops, colours[:, c]) for c in range(3)], axis=-1)
    grey = np.clip(field * 255.0, 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(grey, table.astype(np.uint8).reshape(256, 1, 3)))


def plain(rng: np.random.Generator, height: int, width: int) -> Image:
    """One colour with a faint gradient and grain."""
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    slope = rng.normal(0.0, 25.0, 2)
    light = slope[0] * (xx / width - 0.5) + slope[1] * (yy / height - 0.5)
    grain = rng.normal(0.0, rng.uniform(0.5, 6.0), (height, width)).astype(np.float32)
    return np.asarray(np.clip(colour(rng) + (light + grain)[..., None], 0, 255), np.uint8)


def clouds(rng: np.random.Generator, height: int, width: int) -> Image:
    """Multi-octave noise along a ramp of related colours."""
    field = smooth_noise(rng, height, width, rng.uniform(1.5, 12.0), int(rng.integers(2, 7)))
    if rng.random() < 0.3:
        field = np.abs(2.0 * field - 1.0)
    return ramp(field, palette(rng, int(rng.integers(2, 5))))


def _oblique(rng: np.random.Generator, height: int, width: int) -> tuple[Field, Field]:
    """Return rotated, slightly bent coordinates in pixels."""
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.choice([0.0, 0.5 * np.pi, rng.uniform(0.0, np.pi)])
    bend = rng.uniform(0.0, 10.0) * (smooth_noise(rng, height, width, 2.0, 1) if rng.random() < 0.4 else 0.0)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * xx + s * yy + bend, c * yy - s * xx + bend


def stripes(rng: np.random.Generator, height: int, width: int) -> Image:
    """Stripes, hard or soft, of two to four colours."""
    u, _ = _oblique(rng, height, width)
    period = rng.uniform(4.0, 40.0)
    phase = (u / period) % 1.0
    if rng.random() < 0.5:
        return ramp(np.abs(2.0 * phase - 1.0), palette(rng, 2, 70.0))
    count = int(rng.integers(2, 5))
    return ramp(np.floor(phase * count) / max(count - 1, 1), palette(rng, count, 70.0))


def checks(rng: np.random.Generator, height: int, width: int) -> Image:
    """A checker board or tartan."""
    u, v = _oblique(rng, height, width)
    period = rng.uniform(5.0, 36.0)
    a, b = (u / period) % 2.0 < 1.0, (v / (period * rng.uniform(0.6, 1.6))) % 2.0 < rng.uniform(0.3, 1.0)
    field = (a ^ b) if rng.random() < 0.5 else 0.5 * a + 0.5 * b
    return ramp(np.asarray(field, np.float32), palette(rng, 3, 60.0))


def bricks(rng: np.random.Generator, height: int, width: int) -> Image:
    """Courses of bricks or tiles with joints, each brick of its own shade."""
    tall, wide, joint = int(rng.integers(5, 24)), int(rng.integers(8, 48)), int(rng.integers(1, 3))
    shades = palette(rng, 64, rng.uniform(8.0, 25.0))
    image = np.empty((height, width, 3), np.uint8)
    image[:] = colour(rng).astype(np.uint8)
    shift = wide // 2 if rng.random() < 0.6 else 0
    for row, y in enumerate(range(0, height, tall)):
        for x in range(-(row % 2) * shift, width, wide):
            shade = shades[int(rng.integers(64))].tolist()
            cv2.rectangle(image, (x, y), (x + wide - joint - 1, y + tall - joint - 1), shade, -1)
    return image


def spots(rng: np.random.Generator, height: int, width: int) -> Image:
    """Dots or short strokes scattered over a ground (fur, foliage, gravel, confetti)."""
    image = clouds(rng, height, width) if rng.random() < 0.5 else plain(rng, height, width)
    colours = palette(rng, 12, rng.uniform(15.0, 70.0))
    radius = rng.uniform(1.0, 6.0)
    count = int(min(700, rng.uniform(0.2, 0.8) * height * width / (3.0 * radius * radius)))
    places = rng.random((count, 2)) * (width, height)
    strokes = rng.random() < 0.5
    spread = rng.normal(0.0, 2.5 * radius, (count, 2)) + rng.normal(0.0, 3.0 * radius, 2)
    for k, (place, stroke) in enumerate(zip(places, spread, strict=True)):
        shade = colours[k % 12].tolist()
        here = (int(place[0]), int(place[1]))
        if strokes:
            there = (int(place[0] + stroke[0]), int(place[1] + stroke[1]))
            cv2.line(image, here, there, shade, max(1, int(radius * 0.6)), cv2.LINE_AA)
        else:
            cv2.circle(image, here, max(1, int(radius * (0.5 + (k % 7) / 7.0))), shade, -1, cv2.LINE_AA)
    return image


def writing(rng: np.random.Generator, height: int, width: int) -> Image:
    """Lines of characters, as on signs, parcels and shirts."""
    image = plain(rng, height, width)
    letters = np.array(list(string.ascii_letters + string.digits))
    ink, y = colour(rng).tolist(), 0
    while y < height:
        scale = rng.uniform(0.3, 1.6)
        y += int(26 * scale)
        text = "".join(rng.choice(letters, 24))
        place = (int(rng.uniform(-40, 0.3 * width)), y)
        cv2.putText(
            image, text, place, int(rng.integers(0, 8)), scale, ink, int(rng.integers(1, 4)), cv2.LINE_AA
        )
    return image


_SURFACES: tuple[Callable[[np.random.Generator, int, int], Image], ...] = (
    plain, clouds, stripes, checks, bricks, spots, writing,
)  # fmt: skip
_WEIGHTS = np.array([0.26, 0.26, 0.11, 0.08, 0.07, 0.15, 0.07])


def surface(rng: np.random.Generator, height: int, width: int) -> Image:
    """Draw one surface of any family, `(H, W, 3)` uint8."""
    image = _SURFACES[int(rng.choice(len(_SURFACES), p=_WEIGHTS))](rng, height, width)
    if rng.random() < 0.35:
        shade = smooth_noise(rng, height, width, rng.uniform(1.0, 4.0), 2)
        gain = 1.0 + rng.uniform(0.2, 0.8) * (shade - 0.5)
        image = np.clip(image * gain[..., None], 0, 255).astype(np.uint8)
    return image


class RenewedStock(Generic[_Piece]):
    """A slowly changing stock: making a piece costs far more than using it.

    A piece, of `capacity`, is replaced after `uses` uses in the mean.
    """

    def __init__(self, rng: np.random.Generator, capacity: int, uses: int) -> None:
        self._rng = rng
        self._capacity = capacity
        self._renewal = 1.0 / uses
        self._pieces: list[_Piece] = []

    def draw(self, make: Callable[[], _Piece]) -> _Piece:
        """Return a piece: made now, while there is room and half of the time, or one made before."""
        rng, held = self._rng, len(self._pieces)
        if held == 0 or (held < self._capacity and rng.random() < 0.5):
            self._pieces.append(make())
            return self._pieces[-1]
        index = int(rng.integers(held))
        if rng.random() < self._renewal:
            self._pieces[index] = make()
        return self._pieces[index]


class SurfaceBank:
    """Square surfaces to cut pieces from."""

    SIDE_PX = 160

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._stock: RenewedStock[Image] = RenewedStock(rng, capacity=96, uses=60)

    def draw(self, height: int, width: int) -> Image:
        """Return a random `(height, width, 3)` piece, each side at most `SIDE_PX`."""
        rng, side = self._rng, self.SIDE_PX
        chosen = self._stock.draw(lambda: surface(rng, side, side))
        x, y = int(rng.integers(side - width + 1)), int(rng.integers(side - height + 1))
        piece = chosen[y : y + height, x : x + width]
        return np.ascontiguousarray(piece[:, ::-1]) if rng.random() < 0.5 else piece
