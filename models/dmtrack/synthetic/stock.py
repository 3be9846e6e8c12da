"""Backgrounds and things, synthetic or from real photographs and thermal images, kept in memory.

Two folder layouts are read: photographs with polygons (`images/*/NAME.jpg` and
`instance_polygons/*/NAME.txt`, one thing a line: class, then x y pairs as fractions), and thermal images with
boxes (`images/NAME.jpg` and `boxes_xywh.json`, name to a list of boxes in pixels).
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from dmtrack.errors import DatasetError
from dmtrack.synthetic.affine import Points
from dmtrack.synthetic.backgrounds import made_up_canvas, one_surface
from dmtrack.synthetic.picture import Canvas, Pose, Sprite, heat_of_picture, make_canvas, make_sprite
from dmtrack.synthetic.shapes import made_up_sprite
from dmtrack.synthetic.textures import Image, RenewedStock, SurfaceBank, palette, ramp
from dmtrack.video.pictures.picture_file import opencv_picture

_LONGEST_SIDE_PX = 640
_SPRITE_SIDE_PX = 144
_SMALLEST_THING_PX = 20
_UPRIGHT_CLASSES = frozenset({0, 1, 2, 3, 5, 6, 7, 17, 18, 19, 20, 21, 22, 23})
"""Of the 80 classes: people, cycles, road vehicles and large animals rarely turn over."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture with the known things in it."""

    pixels: Image  # `(H, W, 3)` uint8 RGB, or `(H, W)` uint8 for a thermal image
    outlines: tuple[Points, ...]  # per thing, `(N, 2)` points in pixels; its bounding box is tight
    upright: tuple[bool, ...]  # per thing, whether it rarely turns over
    thermal: bool  # whether the picture shows temperatures
    horizon: float  # see `Canvas`

    def canvas(self, rng: np.random.Generator) -> Canvas:
        """Return the picture as a background; a photograph gets made-up temperatures."""
        if not self.thermal:
            return make_canvas(self.pixels, heat_of_picture(rng, self.pixels), self.horizon, self.outlines)
        # A thermal image has no colours: it gets some along a random ramp, so that it can be paired, too.
        heat = self.pixels
        colours = palette(rng, 4)
        dull = rng.uniform(0.2, 1.0)
        colours = dull * colours + (1.0 - dull) * colours.mean(axis=1, keepdims=True)
        rgb = ramp(heat.astype(np.float32) / 255.0, colours)
        return make_canvas(rgb, heat, self.horizon, self.outlines, thermal=True)

    def cut_out(self, rng: np.random.Generator, index: int) -> Sprite | None:
        """Cut thing `index` out along its outline, with temperatures; None if nothing is left of it."""
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
    """Read a folder of either layout (see the module), once; returns at least one picture.

    `DatasetError`: the folder has neither layout, or a file in it cannot be read.
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
    picture = opencv_picture(path, flags)
    if picture is None:
        raise DatasetError("cannot be read as a picture", where=path)
    shrink = _LONGEST_SIDE_PX / max(picture.shape[:2])
    if shrink < 1.0:
        picture = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.asarray(picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _read_polygons(path: Path, rgb: Image) -> tuple[tuple[Points, ...], tuple[bool, ...]]:
    """Read the things that are large enough, not the whole picture and not cut by its border."""
    height, width = rgb.shape[:2]
    outlines, upright = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            label, *values = (float(word) for word in line.split())
            points = np.array(values).reshape(-1, 2) * (width, height)
        except ValueError:
            raise DatasetError(f"line {number} is not a class and x y pairs", where=path) from None
        if _usable(points, width, height):
            outlines.append(points)
            upright.append(int(label) in _UPRIGHT_CLASSES)
    return tuple(outlines), tuple(upright)


def _usable(points: Points, width: int, height: int) -> bool:
    if len(points) < 3:
        return False
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    w, h = x2 - x1, y2 - y1
    filled = abs(float(cv2.contourArea(points.astype(np.float32)))) / max(w * h, 1e-6)
    cut = (x1 < 1.5) + (y1 < 1.5) + (x2 > width - 1.5) + (y2 > height - 1.5)
    large = w * h > 0.45 * width * height
    return bool(min(w, h) >= _SMALLEST_THING_PX * 0.5 and max(w, h) >= _SMALLEST_THING_PX and filled > 0.2
                and cut < 2 and not large and max(w, h) < 6 * min(w, h))  # fmt: skip


def _oval(x: float, y: float, w: float, h: float) -> Points:
    """Return the ellipse inside a box: rotated, its box grows as little as that of the thing itself."""
    t = np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)
    return np.stack([x + 0.5 * w * (1.0 + np.cos(t)), y + 0.5 * h * (1.0 + np.sin(t))], axis=-1)


def _load_thermal(folder: Path) -> tuple[Photograph, ...]:
    path = folder / "boxes_xywh.json"
    try:
        boxes_by_name = json.loads(path.read_text(encoding="utf-8"))
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


# --- the stock ------------------------------------------------------------------------------------


class Stock:
    """Draws sprites and backgrounds; they depend only on the seed of `rng` and the order of calls."""

    def __init__(
        self,
        rng: np.random.Generator,
        photographs: tuple[Photograph, ...] = (),
        thermal: tuple[Photograph, ...] = (),
    ) -> None:
        self._rng = rng
        self.photographs = photographs
        self.thermal = thermal
        self._with_things = tuple(p for p in photographs if p.outlines)
        self._bank = SurfaceBank(rng)
        self._shapes: RenewedStock[Sprite] = RenewedStock(rng, 320, 25)
        self._cut_outs: RenewedStock[Sprite] = RenewedStock(rng, 320, 25)
        self._made_up: RenewedStock[Canvas] = RenewedStock(rng, 48, 60)
        self._surfaces: RenewedStock[Canvas] = RenewedStock(rng, 48, 60)
        # Real pictures are cheap to renew: they only need a pyramid and new temperatures.
        self._real: dict[bool, RenewedStock[Canvas]] = {k: RenewedStock(rng, 48, 10) for k in (False, True)}

    def sprite(self, *, real: bool) -> Sprite:
        """Draw a sprite; `real` asks for one cut from a photograph, if there are any."""
        if real and self._with_things:
            return self._cut_outs.draw(self._cut_out)
        return self._shapes.draw(lambda: made_up_sprite(self._rng, self._bank))

    def _cut_out(self) -> Sprite:
        for _ in range(50):
            photograph = _one_of(self._rng, self._with_things)
            sprite = photograph.cut_out(self._rng, int(self._rng.integers(len(photograph.outlines))))
            if sprite is not None and min(sprite.box_size) >= 12:
                return sprite
        return made_up_sprite(self._rng, self._bank)

    def like(self, sprite: Sprite, *, real: bool) -> Sprite:
        """Draw a look-alike: another thing of similar proportions, or the same one in other colours."""
        if self._rng.random() < 0.5:
            return recoloured(self._rng, sprite)
        shape = sprite.box_size[0] / sprite.box_size[1]
        rivals = [self.sprite(real=real) for _ in range(5)]
        return min(
            rivals,
            key=lambda s: abs(np.log(s.box_size[0] / s.box_size[1] / shape)) + (s.upright != sprite.upright),
        )

    def canvas(self, *, real: bool, plain: bool = False) -> Canvas:
        """Draw a background: a photograph if `real` and there is one, a surface if `plain`, else a view."""
        if real and self.photographs:
            return self._photograph(thermal=False)
        if plain:
            return self._surfaces.draw(lambda: one_surface(self._rng))
        return self._made_up.draw(lambda: made_up_canvas(self._rng, self._bank))

    def canvas_with_things(self, *, thermal: bool) -> Canvas | None:
        """Draw a real background with at least one known thing in it; None if there is none."""
        if not (self.thermal if thermal else self.photographs):
            return None
        for _ in range(12):
            canvas = self._photograph(thermal=thermal)
            if canvas.whole_things:
                return canvas
        return None

    def _photograph(self, *, thermal: bool) -> Canvas:
        known = self.thermal if thermal else self.photographs
        return self._real[thermal].draw(lambda: _one_of(self._rng, known).canvas(self._rng))


def _one_of(rng: np.random.Generator, photographs: tuple[Photograph, ...]) -> Photograph:
    return photographs[int(rng.integers(len(photographs)))]


def recoloured(rng: np.random.Generator, sprite: Sprite) -> Sprite:
    """Return the sprite with its colours mixed and its temperature changed, by a little or a lot."""
    strength = rng.uniform(0.15, 0.9)
    mix = np.eye(3) + strength * rng.normal(0.0, 0.5, (3, 3))
    # An offset proportional to alpha keeps premultiplied colours consistent.
    offset = strength * rng.normal(0.0, 0.35, (3, 1))
    matrix = np.zeros((4, 4), np.float32)
    matrix[:3, :3], matrix[:3, 3:], matrix[3, 3] = mix, offset, 1.0
    warmth = float(np.exp(strength * rng.normal(0.0, 0.5)))
    poses = sprite.poses if len(sprite.poses) == 1 else sprite.poses[:: max(1, len(sprite.poses) // 4)]

    def change(pose: Pose) -> Pose:
        levels = tuple(_within_alpha(np.asarray(cv2.transform(level, matrix))) for level in pose.levels)
        heats = tuple(
            np.minimum(np.asarray(cv2.convertScaleAbs(heat, alpha=warmth), np.uint8), level[..., 3])
            for heat, level in zip(pose.heat, levels, strict=True)
        )
        return Pose(levels, heats, pose.outline)

    return Sprite(
        tuple(change(p) for p in poses), sprite.width, sprite.height, sprite.box_size, sprite.upright
    )


def _within_alpha(rgba: Image) -> Image:
    """Limit premultiplied colours to their alpha."""
    alpha = cv2.extractChannel(rgba, 3)
    return np.asarray(cv2.min(rgba, cv2.merge([alpha, alpha, alpha, alpha])))
