"""Backgrounds and things cut from real photographs and thermal images, kept in memory.

Two layouts are read: photographs with polygons (`images/*/NAME.jpg` and
`instance_polygons/*/NAME.txt`, one thing a line: class, then x y pairs as fractions), and thermal
images with boxes (`images/NAME.jpg` and `boxes_xywh.json`, name to a list of boxes in pixels).
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.errors import DatasetError
from dmtrack.synthetic.canvas import Canvas, heat_of_picture, make_canvas
from dmtrack.synthetic.sprite import Image, Sprite, make_sprite
from dmtrack.synthetic.textures import palette, ramp

_LONGEST_SIDE_PX = 640
_SPRITE_SIDE_PX = 144
_SMALLEST_THING_PX = 20
_BORDER_PX = 2.5
_UPRIGHT_CLASSES = frozenset({0, 1, 2, 3, 5, 6, 7, 17, 18, 19, 20, 21, 22, 23})
"""Of the 80 classes: people, cycles, road vehicles and large animals rarely turn over."""

Outline = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture with the things known in it.

    Attributes:
        pixels: `(H, W, 3)` uint8 RGB, or `(H, W)` uint8 for a thermal image.
        outlines: Per thing, `(N, 2)` points in pixels; its bounding box is tight.
        upright: Per thing, whether it rarely turns over.
        thermal: Whether the picture shows temperatures.
        horizon: See `Canvas`.
    """

    pixels: Image
    outlines: tuple[Outline, ...]
    upright: tuple[bool, ...]
    thermal: bool
    horizon: float

    @property
    def whole_things(self) -> tuple[Outline, ...]:
        """Outlines of the things that the border of the picture does not cut."""
        size = np.array([self.pixels.shape[1], self.pixels.shape[0]])
        return tuple(
            o for o in self.outlines if bool((o > _BORDER_PX).all() and (o < size - _BORDER_PX).all())
        )

    def canvas(self, rng: np.random.Generator) -> Canvas:
        """Return the picture as a background; a photograph gets made-up temperatures."""
        if not self.thermal:
            return make_canvas(self.pixels, heat_of_picture(rng, self.pixels), self.horizon)
        # A thermal image has no colours: it gets some along a random ramp, so that pairs exist for it too.
        heat = self.pixels
        colours = palette(rng, 4)
        dull = rng.uniform(0.2, 1.0)
        colours = dull * colours + (1.0 - dull) * colours.mean(axis=1, keepdims=True)
        return make_canvas(ramp(heat.astype(np.float32) / 255.0, colours), heat, self.horizon)

    def cut_out(self, rng: np.random.Generator, index: int) -> Sprite | None:
        """Cut thing `index` out along its outline, with temperatures; None when nothing is left of it."""
        points, (height, width) = self.outlines[index], self.pixels.shape[:2]
        x1, y1 = np.maximum(np.floor(points.min(axis=0)).astype(int), 0)
        x2, y2 = np.minimum(np.ceil(points.max(axis=0)).astype(int), (width, height))
        piece = self.pixels[y1:y2, x1:x2]
        rgb = np.asarray(cv2.cvtColor(piece, cv2.COLOR_GRAY2RGB) if self.thermal else piece.copy(), np.uint8)
        alpha = np.zeros(rgb.shape[:2], np.uint8)
        fixed = np.rint((points - (x1, y1) - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(alpha, [fixed], 255, cv2.LINE_AA, 4)
        shrink = _SPRITE_SIDE_PX / max(rgb.shape[:2])
        if shrink < 1.0:
            size = (max(4, round(rgb.shape[1] * shrink)), max(4, round(rgb.shape[0] * shrink)))
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
            alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA))
        heat = rgb[..., 0].copy() if self.thermal else self._heat(rng, rgb, warm=self.upright[index])
        return make_sprite([(rgb, alpha, heat)], upright=self.upright[index])

    @staticmethod
    def _heat(rng: np.random.Generator, rgb: Image, *, warm: bool) -> Image:
        level = rng.uniform(120, 240) if warm else rng.uniform(20, 235)
        structure = heat_of_picture(rng, rgb).astype(np.float32)
        mild = rng.uniform(0.1, 0.6)
        return np.asarray(np.clip(level + mild * (structure - structure.mean()), 0, 255), np.uint8)


@functools.lru_cache(maxsize=4)
def load_photographs(folder: Path) -> tuple[Photograph, ...]:
    """Read a folder of either layout (see the module) once; at least one picture.

    Raises:
        DatasetError: The folder has neither layout, or a file in it cannot be read.
    """
    if (folder / "boxes_xywh.json").is_file():
        return _load_thermal(folder)
    if (folder / "images").is_dir():
        return _load_colour(folder)
    raise DatasetError(
        "no photographs found",
        where=folder,
        hint="expected images/ beside instance_polygons/ or boxes_xywh.json",
    )


def _load_colour(folder: Path) -> tuple[Photograph, ...]:
    found = []
    for path in sorted((folder / "images").rglob("*.jpg")):
        rgb = _read(path, cv2.IMREAD_COLOR)
        polygons = folder / "instance_polygons" / path.parent.name / f"{path.stem}.txt"
        outlines, upright = _read_polygons(polygons, rgb) if polygons.is_file() else ((), ())
        found.append(Photograph(rgb, outlines, upright, thermal=False, horizon=0.5))
    if not found:
        raise DatasetError("holds no .jpg", where=folder / "images")
    return tuple(found)


def _read(path: Path, flags: int) -> Image:
    picture = cv2.imread(str(path), flags)
    if picture is None:
        raise DatasetError("cannot be read as a picture", where=path)
    shrink = _LONGEST_SIDE_PX / max(picture.shape[:2])
    if shrink < 1.0:
        picture = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.asarray(picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _read_polygons(path: Path, rgb: Image) -> tuple[tuple[Outline, ...], tuple[bool, ...]]:
    """Read the things that are large enough, not the whole picture and not cut by its border."""
    height, width = rgb.shape[:2]
    outlines, upright = [], []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            label, *values = (float(word) for word in line.split())
            points = np.array(values).reshape(-1, 2) * (width, height)
        except ValueError:
            raise DatasetError(f"line {number} is not a class and x y pairs", where=path) from None
        if _usable(points, width, height):
            outlines.append(points)
            upright.append(int(label) in _UPRIGHT_CLASSES)
    return tuple(outlines), tuple(upright)


def _usable(points: Outline, width: int, height: int) -> bool:
    if len(points) < 3:
        return False
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    w, h = x2 - x1, y2 - y1
    filled = abs(float(cv2.contourArea(points.astype(np.float32)))) / max(w * h, 1e-6)
    cut = (x1 < 1.5) + (y1 < 1.5) + (x2 > width - 1.5) + (y2 > height - 1.5)
    large = w * h > 0.45 * width * height
    return bool(min(w, h) >= _SMALLEST_THING_PX * 0.5 and max(w, h) >= _SMALLEST_THING_PX and filled > 0.2
                and cut < 2 and not large and max(w, h) < 6 * min(w, h))  # fmt: skip


def _oval(x: float, y: float, w: float, h: float) -> Outline:
    """Return the ellipse inside a box: turned, its box grows as little as that of the thing itself."""
    t = np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)
    return np.stack([x + 0.5 * w * (1.0 + np.cos(t)), y + 0.5 * h * (1.0 + np.sin(t))], axis=-1)


def _load_thermal(folder: Path) -> tuple[Photograph, ...]:
    path = folder / "boxes_xywh.json"
    try:
        boxes_by_name = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise DatasetError(f"is not JSON: {error}", where=path) from error
    found = []
    for name, boxes in sorted(boxes_by_name.items()):
        grey = _read(folder / "images" / name, cv2.IMREAD_GRAYSCALE)
        outlines = tuple(
            _oval(x, y, w, h)
            for x, y, w, h in boxes
            if min(w, h) >= 6 and max(w, h) >= 9 and max(w, h) < 5 * min(w, h)
        )
        found.append(Photograph(grey, outlines, (False,) * len(outlines), thermal=True, horizon=0.0))
    return tuple(found)
