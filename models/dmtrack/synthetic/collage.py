"""Collages: cut-out objects and made-up shapes moving over photographs. The first course of training.

Flat pictures pasted on flat pictures, drawn straight into the crops: several hundred samples a second on
one core. What it lacks in physics (no depth, no temperature, no light) `dmtrack.synthetic.scene` adds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.errors import DatasetError
from dmtrack.geometry.box import Box
from dmtrack.synthetic import textures
from dmtrack.synthetic.annotation import (
    AnnotationHabit,
    annotated,
    believed,
    flipped,
    in_square,
    template_spread,
)
from dmtrack.synthetic.sample import TrainingSample

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

#: Longest side of a stored cut-out, in px: crops never show more.
_SPRITE_PX = 144
_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}


@dataclass(frozen=True, slots=True)
class CollageConfig:
    """What collages look like.

    Attributes:
        template_size: Side of a template in px.
        search_size: Side of the search crop in px.
        templates: Templates T a sample; the first is the initial frame, the others are recent.
        template_factor: Template side over sqrt(w h).
        search_factor: Search side over sqrt(w h).
        thermal_share: Share of samples taken from thermal images, where a folder of them is given.
        grey_share: Share of samples turned grey.
        habit_share: Share of samples whose boxes are not tight, see `AnnotationHabit`.
        absent_share: Share of samples whose target is not in the search frame.
    """

    template_size: int = 96
    search_size: int = 192
    templates: int = 2
    template_factor: float = 2.0
    search_factor: float = 4.0
    thermal_share: float = 0.15
    grey_share: float = 0.12
    habit_share: float = 0.5
    absent_share: float = 0.1


@dataclass(frozen=True, slots=True)
class Sprite:
    """A cut-out: `rgba (h, w, 4)` uint8 and its outline `(K, 2)` in sprite px."""

    rgba: Image
    outline: Points


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a sprite is: centre and geometric-mean size in canvas px, aspect and angle."""

    x: float
    y: float
    size: float
    log_aspect: float
    angle_rad: float

    def matrix(self, sprite: Sprite) -> Points:
        """Return the `(2, 3)` map from sprite px to canvas px."""
        height, width = sprite.rgba.shape[:2]
        scale = self.size / math.sqrt(width * height)
        sx, sy = scale * math.exp(self.log_aspect / 2), scale * math.exp(-self.log_aspect / 2)
        c, s = math.cos(self.angle_rad), math.sin(self.angle_rad)
        linear = np.array([[c * sx, -s * sy], [s * sx, c * sy]])
        shift = np.array([self.x, self.y]) - linear @ np.array([width / 2, height / 2])
        matrix: Points = np.column_stack((linear, shift))
        return matrix


@dataclass(frozen=True, slots=True)
class View:
    """A square of the canvas: top left corner and side in canvas px."""

    x: float
    y: float
    side: float


def load_sprites(folder: Path, images: dict[str, Image]) -> list[Sprite]:
    """Cut objects out of photographs along their polygons.

    Args:
        folder: Holds `instance_polygons/*/*.txt`: a line an object, the class and then normalised x y.
        images: Photographs by file stem.
    """
    sprites = []
    for path in sorted(folder.glob("instance_polygons/*/*.txt")):
        image = images.get(path.stem)
        if image is None:
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            values = np.array(line.split()[1:], np.float64)
            sprite = _cut_out(image, values.reshape(-1, 2)) if values.size >= 6 else None
            if sprite is not None:
                sprites.append(sprite)
    return sprites


def _cut_out(image: Image, polygon_norm: Points) -> Sprite | None:
    """Cut one object; None when it is too small, or too much of the picture to be a thing."""
    height, width = image.shape[:2]
    polygon = polygon_norm * (width, height)
    x1, y1 = np.floor(polygon.min(0)).astype(int)
    x2, y2 = np.ceil(polygon.max(0)).astype(int)
    if min(x2 - x1, y2 - y1) < 20 or (x2 - x1) * (y2 - y1) > 0.6 * width * height:
        return None
    alpha = np.zeros((y2 - y1, x2 - x1), np.uint8)
    cv2.fillPoly(alpha, [np.round(polygon - (x1, y1)).astype(np.int32)], 255)
    if alpha.mean() < 0.25 * 255:
        return None
    rgba = np.dstack((image[y1:y2, x1:x2], cv2.blur(alpha, (3, 3))[: image[y1:y2].shape[0]]))
    shrink = min(1.0, _SPRITE_PX / max(rgba.shape[:2]))
    size = (max(8, round(rgba.shape[1] * shrink)), max(8, round(rgba.shape[0] * shrink)))
    small = cv2.resize(rgba, size, interpolation=cv2.INTER_AREA)
    outline = (polygon - (x1, y1)) * (size[0] / rgba.shape[1], size[1] / rgba.shape[0])
    return Sprite(np.asarray(small, np.uint8), outline)


def made_up_sprite(rng: np.random.Generator) -> Sprite:
    """Make a shape: a blob, polygon or slim figure with a few parts, each of its own surface."""
    width, height = _shape_size(rng)
    alpha = np.zeros((height, width), np.uint8)
    outline = _shape_outline(rng, width, height)
    cv2.fillPoly(alpha, [np.round(outline).astype(np.int32)], 255, cv2.LINE_AA)
    colour = textures.surface(rng, height, width).copy()
    for _ in range(int(rng.integers(0, 4))):
        part = _shape_outline(rng, width, height) * rng.uniform(0.2, 0.6) + rng.uniform(0, 0.6, 2) * (
            width,
            height,
        )
        mask = np.zeros_like(alpha)
        cv2.fillPoly(mask, [np.round(part).astype(np.int32)], 255)
        surface = textures.surface(rng, height, width)
        colour[mask > 0] = surface[mask > 0]
    return Sprite(np.dstack((colour, alpha)), outline)


def _shape_size(rng: np.random.Generator) -> tuple[int, int]:
    """Draw a width and height: boxes, slim standing figures and long low vehicles."""
    kind = rng.random()
    aspect = (
        rng.uniform(0.25, 0.5)
        if kind < 0.3
        else rng.uniform(1.6, 3.0)
        if kind < 0.45
        else rng.uniform(0.6, 1.6)
    )
    height = rng.uniform(60, 110)
    return max(14, round(height * math.sqrt(aspect))), max(14, round(height / math.sqrt(aspect)))


def _shape_outline(rng: np.random.Generator, width: int, height: int) -> Points:
    """Draw an outline that fills `width` x `height`: a smooth blob, a polygon or a rounded box."""
    kind = rng.random()
    count = 48 if kind < 0.5 else int(rng.integers(3, 9)) if kind < 0.75 else 48
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.uniform(0, 2 * np.pi)
    if kind < 0.5:
        waves = sum(rng.normal(0, 0.25 / k) * np.cos(k * angle + rng.uniform(0, 7)) for k in range(1, 6))
        radius = np.clip(1 + waves, 0.35, 2)
    elif kind < 0.75:
        radius = rng.uniform(0.6, 1.0, count)
    else:
        radius = 1 / np.maximum(np.abs(np.cos(angle)), np.abs(np.sin(angle)))
    points = np.stack((np.cos(angle) * radius, np.sin(angle) * radius), axis=1)
    low, high = points.min(0), points.max(0)
    filled: Points = (points - low) / (high - low) * (width - 1, height - 1)
    return filled


class CollageLibrary:
    """Photographs, thermal images and cut-outs, read once; and a stock of made-up shapes and grounds.

    Args:
        rng: Draws the made-up part.
        photographs: Folder with `images/*/*` and `instance_polygons/*/*.txt`, or None.
        thermal_images: Folder with `images/*` and `boxes_xywh.json` (stem or name -> boxes), or None.

    Raises:
        DatasetError: A folder has no images.
    """

    def __init__(
        self, rng: np.random.Generator, photographs: Path | None = None, thermal_images: Path | None = None
    ) -> None:
        named = {} if photographs is None else _read_images(photographs / "images", 0.75)
        self.photographs = list(named.values())
        self.cut_outs = [] if photographs is None else load_sprites(photographs, named)
        self.thermal = [] if thermal_images is None else _read_thermal(thermal_images)
        self.surfaces = [textures.surface(rng, 400, 480) for _ in range(40)]
        self.shapes = [made_up_sprite(rng) for _ in range(300)]

    def renew(self, rng: np.random.Generator) -> None:
        """Replace one shape, and now and then one ground, so that the stock never ends."""
        self.shapes[int(rng.integers(len(self.shapes)))] = made_up_sprite(rng)
        if rng.random() < 0.1:
            self.surfaces[int(rng.integers(len(self.surfaces)))] = textures.surface(rng, 400, 480)

    def canvas(self, rng: np.random.Generator) -> Image:
        """Draw a ground: a photograph, or now and then a made-up surface."""
        if self.photographs and rng.random() < 0.75:
            return self.photographs[int(rng.integers(len(self.photographs)))]
        return self.surfaces[int(rng.integers(len(self.surfaces)))]

    def sprite(self, rng: np.random.Generator) -> Sprite:
        """Draw a cut-out or a shape."""
        stock = self.cut_outs if self.cut_outs and rng.random() < 0.6 else self.shapes
        return stock[int(rng.integers(len(stock)))]


def _read_images(folder: Path, scale: float) -> dict[str, Image]:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _IMAGE_SUFFIXES)
    if not paths:
        raise DatasetError("no images in it", where=folder)
    images = {}
    for path in paths:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise DatasetError("cannot be read as an image", where=path)
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        images[path.stem] = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
    return {stem: np.asarray(image, np.uint8) for stem, image in images.items()}


def _read_thermal(folder: Path) -> list[tuple[Image, Points]]:
    """Return `(image, boxes (K, 4))` for every image with boxes; boxes in px of the stored image."""
    boxes = json.loads((folder / "boxes_xywh.json").read_text(encoding="utf-8"))
    images = _read_images(folder / "images", 1.0)
    found = []
    for name, rows in boxes.items():
        image = images.get(Path(name).stem)
        useful = np.array([row for row in rows if min(row[2:]) >= 8], np.float64)
        if image is not None and len(useful):
            found.append((image, useful))
    return found


class CollageSampler:
    """Draws samples whose content depends on `seed` alone.

    Args:
        config: Sizes and shares.
        library: Pictures; shared by samplers, and slowly renewed.
        seed: Of this sampler.
    """

    def __init__(self, config: CollageConfig, library: CollageLibrary, seed: int) -> None:
        self.config = config
        self.library = library
        self._rng = np.random.default_rng(seed)

    def sample(self) -> TrainingSample:
        """Draw the next sample: from a thermal image, or a collage."""
        rng = self._rng
        if self.library.thermal and rng.random() < self.config.thermal_share:
            return self._thermal_sample()
        if rng.random() < 0.3:
            self.library.renew(rng)
        return self._collage_sample()

    def _collage_sample(self) -> TrainingSample:
        rng = self._rng
        canvas = self.library.canvas(rng)
        if rng.random() < 0.5:
            canvas = canvas[:, ::-1]
        layers, target = self._layers(canvas)
        frames = self.config.templates + 1
        camera = _camera_path(rng, frames)
        habit = AnnotationHabit.draw(rng, self.config.habit_share)
        visible = rng.random() >= self.config.absent_share
        crops = []
        for k in range(frames):
            poses = [_seen(pose_path[k], camera[k]) for _, pose_path in layers]
            box = annotated(habit.of(_bounds(layers[target][0], poses[target])), rng)
            view, box = self._view(box, k)
            shown = [i for i in range(len(layers)) if visible or not self._is_search(k) or i != target]
            sprites, shown_poses = [layers[i][0] for i in shown], [poses[i] for i in shown]
            crops.append((_draw(canvas, camera[k], sprites, shown_poses, view, self._size(k)), view, box))
        return self._finish(crops, visible=visible)

    def _is_search(self, k: int) -> bool:
        return k == self.config.templates

    def _size(self, k: int) -> int:
        return self.config.search_size if self._is_search(k) else self.config.template_size

    def _layers(self, canvas: Image) -> tuple[list[tuple[Sprite, list[Pose]]], int]:
        """Draw the target, its distractors and occluders with their paths; return them back to front."""
        rng = self._rng
        height, width = canvas.shape[:2]
        target = self.library.sprite(rng)
        size = math.exp(rng.uniform(math.log(12), math.log(150)))
        start = Pose(
            rng.uniform(0.1, 0.9) * width,
            rng.uniform(0.1, 0.9) * height,
            size,
            rng.normal(0, 0.15),
            rng.normal(0, 0.1),
        )
        frames = self.config.templates + 1
        path = _pose_path(rng, start, frames)
        behind: list[tuple[Sprite, list[Pose]]] = []
        front: list[tuple[Sprite, list[Pose]]] = []
        for _ in range(int(rng.integers(0, 6))):
            alike = rng.random() < 0.3
            sprite = _look_alike(rng, target) if alike else self.library.sprite(rng)
            angle, far = rng.uniform(0, 2 * math.pi), rng.uniform(0.9, 2.4) * size
            other = replace(
                path[-1],
                x=path[-1].x + far * math.cos(angle),
                y=path[-1].y + far * math.sin(angle),
                size=size * math.exp(rng.normal(0, 0.35)),
                log_aspect=rng.normal(0, 0.2),
                angle_rad=rng.normal(0, 0.3),
            )
            (behind if rng.random() < 0.7 else front).append((sprite, _pose_path(rng, other, frames)[::-1]))
        if rng.random() < 0.2:
            near = replace(
                path[-1], x=path[-1].x + rng.normal(0, 0.45) * size, y=path[-1].y + rng.normal(0, 0.45) * size
            )
            near = replace(near, size=size * rng.uniform(0.4, 1.0), angle_rad=rng.uniform(0, 6))
            front.append(
                (
                    self.library.sprite(rng),
                    [replace(near, x=near.x + size * 3 * (frames - 1 - k)) for k in range(frames)],
                )
            )
        return [*behind, (target, path), *front], len(behind)

    def _view(self, box: Box, k: int) -> tuple[View, Box]:
        """Choose the square of crop `k` and the box in it: the true one, or a template's believed one."""
        rng, config = self._rng, self.config
        if not self._is_search(k):
            own = believed(box, rng, template_spread(rng, first=k == 0, usual=0.05))
            return _square(own.cx, own.cy, math.sqrt(own.area) * config.template_factor), own
        size = math.sqrt(box.area)
        shift = 3.0 * (rng.random(2) - 0.5) * size if rng.random() < 0.5 else rng.normal(0, 0.3, 2) * size
        side = size * math.exp(0.22 * rng.normal()) * config.search_factor
        dx, dy = np.clip(shift, -0.5 * side, 0.5 * side)
        return _square(box.cx + dx, box.cy + dy, side), box

    def _thermal_sample(self) -> TrainingSample:
        """Take two looks at one thermal image: shifted, scaled, turned a little, with other gain."""
        rng = self._rng
        image, boxes = self.library.thermal[int(rng.integers(len(self.library.thermal)))]
        box = AnnotationHabit.draw(rng, self.config.habit_share).of(
            Box(*boxes[int(rng.integers(len(boxes)))].tolist())
        )
        crops = []
        for k in range(self.config.templates + 1):
            view, own = self._view(box, k)
            crops.append((_draw(image, (0.0, 0.0, 1.0), [], [], view, self._size(k)), view, own))
        return self._finish(crops, visible=True)

    def _finish(self, crops: Sequence[tuple[Image, View, Box]], *, visible: bool) -> TrainingSample:
        """Change light and noise, flip, and express each box in its crop."""
        rng = self._rng
        grey = rng.random() < self.config.grey_share
        shared = _Light.draw(rng, 0.22)
        flip = rng.random() < 0.5
        images = []
        for crop, view, _ in crops:
            image = _Light.draw(rng, 0.08).apply(shared.apply(crop, rng), rng)
            scale = image.shape[0] / view.side
            image = _sensor(rng, image, scale)
            if grey:
                image = np.repeat(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[..., None], 3, axis=2)
            images.append(np.ascontiguousarray(image[:, ::-1]) if flip else image)
        boxes = np.stack([in_square(box, view.x, view.y, view.side) for _, view, box in crops])
        if flip:
            boxes = flipped(boxes)
        return TrainingSample(np.stack(images[:-1]), boxes[:-1], images[-1], boxes[-1], visible=visible)


def _square(cx: float, cy: float, side: float) -> View:
    """Return the square around a centre, a whole number of px wide."""
    side = max(8.0, math.ceil(side))
    return View(cx - side / 2, cy - side / 2, side)


def _look_alike(rng: np.random.Generator, sprite: Sprite) -> Sprite:
    """Return the sprite with its colours moved, mirrored or turned."""
    rgba = sprite.rgba.copy()
    shift = rng.normal(0, 45, 3)
    rgba[..., :3] = np.clip(rgba[..., :3].astype(np.float32) + shift, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        rgba[..., :3] = rgba[..., rng.permutation(3)]
    return Sprite(rgba, sprite.outline)


def _pose_path(rng: np.random.Generator, start: Pose, frames: int) -> list[Pose]:
    """Draw where a sprite is in each frame: the first is long ago, the others follow each other closely."""
    path = [start]
    spin = 0.9 if rng.random() < 0.25 else 0.12
    long, short = (
        math.exp(rng.uniform(math.log(0.1), 0)),
        math.exp(rng.uniform(math.log(0.05), math.log(0.5))),
    )
    for k in range(1, frames):
        before, step = path[-1], long if k == 1 else short
        path.append(
            Pose(
                before.x + rng.normal(0, 1.5) * step * before.size,
                before.y + rng.normal(0, 1.0) * step * before.size,
                before.size * math.exp(rng.normal(0, 0.4) * step),
                before.log_aspect + rng.normal(0, 0.3) * step,
                before.angle_rad + rng.normal(0, spin) * step,
            )
        )
    return path


def _camera_path(rng: np.random.Generator, frames: int) -> list[tuple[float, float, float]]:
    """Draw the camera's shift in px and zoom for each frame."""
    path = [(0.0, 0.0, 1.0)]
    for _ in range(1, frames):
        x, y, zoom = path[-1]
        dx, dy = rng.normal(0, 15, 2)
        path.append((x + dx, y + dy, zoom * math.exp(rng.normal(0, 0.05))))
    return path


def _seen(pose: Pose, camera: tuple[float, float, float]) -> Pose:
    """Move a pose from canvas px into the px of the frame that `camera` takes."""
    x, y, zoom = camera
    return replace(pose, x=pose.x * zoom + x, y=pose.y * zoom + y, size=pose.size * zoom)


def _bounds(sprite: Sprite, pose: Pose) -> Box:
    """Return the tight box of a sprite in a pose, in frame px."""
    matrix = pose.matrix(sprite)
    points = sprite.outline @ matrix[:, :2].T + matrix[:, 2]
    low, high = points.min(0), points.max(0)
    return Box.from_cxcywh(*((low + high) / 2).tolist(), *np.maximum(high - low, 4.0).tolist())


def _draw(
    canvas: Image,
    camera: tuple[float, float, float],
    sprites: Sequence[Sprite],
    poses: Sequence[Pose],
    view: View,
    size: int,
) -> Image:
    """Draw a view `size` px wide; small views are drawn at their own size first, then enlarged."""
    native = min(size, max(8, round(view.side)))
    scale = native / view.side
    x, y, zoom = camera
    matrix = np.array([[zoom * scale, 0, (x - view.x) * scale], [0, zoom * scale, (y - view.y) * scale]])
    interpolation = cv2.INTER_LINEAR if zoom * scale > 0.6 else cv2.INTER_AREA
    image: Image = np.array(cv2.warpAffine(canvas, matrix, (native, native), flags=interpolation), np.uint8)
    for sprite, pose in zip(sprites, poses, strict=True):
        _paste(image, sprite, pose, view, scale)
    if native < size:
        image = np.array(cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
    return image


def _paste(image: Image, sprite: Sprite, pose: Pose, view: View, scale: float) -> None:
    """Blend a sprite into `image` in place, touching only the pixels it covers."""
    matrix = pose.matrix(sprite)
    matrix[:, 2] -= (view.x, view.y)
    matrix *= scale
    height, width = sprite.rgba.shape[:2]
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ matrix[:, :2].T + matrix[:, 2]
    x1, y1 = np.maximum(np.floor(corners.min(0)).astype(int), 0)
    x2, y2 = np.minimum(np.ceil(corners.max(0)).astype(int), image.shape[0])
    if x2 <= x1 or y2 <= y1:
        return
    matrix[:, 2] -= (x1, y1)
    rgba = sprite.rgba
    shrink = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    if shrink < 0.5:
        small = (max(2, round(width * shrink)), max(2, round(height * shrink)))
        rgba = np.asarray(cv2.resize(rgba, small, interpolation=cv2.INTER_AREA), np.uint8)
        matrix[:, :2] /= (small[0] / width, small[1] / height)
    drawn = cv2.warpAffine(rgba, matrix, (int(x2 - x1), int(y2 - y1)), flags=cv2.INTER_LINEAR)
    alpha = drawn[..., 3:].astype(np.float32) / 255
    region = image[y1:y2, x1:x2]
    region[:] = (region + alpha * (drawn[..., :3].astype(np.float32) - region)).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class _Light:
    """A change of gain, offset, gamma and colour, as one table a channel."""

    table: Image

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float) -> _Light:
        x = np.arange(256) / 255.0
        gain = math.exp(rng.normal(0, strength))
        gamma = math.exp(rng.normal(0, strength))
        cast = np.exp(rng.normal(0, strength / 3, 3))
        y = gain * x[:, None] ** gamma * cast + rng.normal(0, strength / 4)
        return cls(np.clip(y * 255, 0, 255).astype(np.uint8)[None])

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        return np.asarray(cv2.LUT(image, self.table), np.uint8)


def _sensor(rng: np.random.Generator, image: Image, scale: float) -> Image:
    """Now and then blur, add noise, or compress, as a camera does."""
    if rng.random() < 0.25:
        sigma = rng.uniform(0.5, 1.8) * max(1.0, scale * 0.7)
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
    if rng.random() < 0.15:
        image = _motion_blur(rng, image)
    if rng.random() < 0.4:
        noise = rng.normal(0, rng.uniform(2, 14), image.shape).astype(np.float32)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 80))])
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return image


def _motion_blur(rng: np.random.Generator, image: Image) -> Image:
    length = int(rng.integers(3, 12))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, math.pi)
    half, reach = (length - 1) / 2, (length - 1) / 2
    ends = [
        (round(half + sign * reach * math.cos(angle)), round(half + sign * reach * math.sin(angle)))
        for sign in (-1, 1)
    ]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / max(kernel.sum(), 1e-6)), np.uint8)
