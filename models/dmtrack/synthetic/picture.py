"""Pictures with temperatures at several resolutions: a `Canvas` as background, a `Sprite` before it.

Both are painted on a `Drawing`, colours and temperatures together.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dmtrack.synthetic import affine
from dmtrack.synthetic.textures import Colour, Image, smooth_noise

_OPAQUE = 127
_SMALLEST_LEVEL_PX = 6
_CANVAS_LEVELS = 4
_BORDER_PX = 2.5


@dataclass(frozen=True, slots=True)
class Canvas:
    """A background."""

    levels: tuple[Image, ...]  # `(H, W, 3)` uint8 RGB, each level half the size of the one before
    heat: tuple[Image, ...]  # `(H, W)` uint8 temperature, same levels
    # Height of the horizon as a fraction of the picture (0 top, 1 bottom), below which the ground begins;
    # 1 if all of it is a wall, 0 if it is ground seen from above
    horizon: float
    # Outlines of known things in a real picture, each `(N, 2)` in pixels of level 0
    things: tuple[affine.Points, ...] = ()
    thermal: bool = False  # whether it is a thermal image: `heat` is measured, colours are made up

    @property
    def height(self) -> int:
        """Height of level 0 in pixels."""
        return int(self.levels[0].shape[0])

    @property
    def width(self) -> int:
        """Width of level 0 in pixels."""
        return int(self.levels[0].shape[1])

    @property
    def whole_things(self) -> tuple[affine.Points, ...]:
        """The things that are not cut by the border of the picture."""
        far = np.array([self.width, self.height]) - _BORDER_PX
        return tuple(o for o in self.things if bool((o > _BORDER_PX).all() and (o < far).all()))


def make_canvas(
    rgb: Image, heat: Image, horizon: float, things: tuple[affine.Points, ...] = (), *, thermal: bool = False
) -> Canvas:
    """Build a canvas with its smaller levels; both sides are cut to multiples of 8."""
    height, width = (n // 8 * 8 for n in rgb.shape[:2])
    levels, heats = (_pyramid(picture[:height, :width], _CANVAS_LEVELS) for picture in (rgb, heat))
    return Canvas(levels, heats, horizon, things, thermal)


def heat_of_picture(rng: np.random.Generator, rgb: Image) -> Image:
    """Make up temperatures for a picture: surfaces keep their edges, but not their order.

    Every grey level gets a temperature from a smooth random curve, so that bright things are warm in one
    picture and cold in the next, and some edges vanish.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), 1.5)
    knots = np.sort(rng.uniform(0, 255, 5))
    curve = np.interp(np.arange(256), knots, rng.uniform(15, 210, 5)).astype(np.uint8)
    heat = cv2.LUT(grey, curve).astype(np.float32)
    height, width = heat.shape
    drift = 60.0 * (smooth_noise(rng, height, width, 2.5, 2) - 0.5)
    mild = rng.uniform(0.35, 1.0)
    return np.asarray(np.clip(heat.mean() + mild * (heat - heat.mean()) + drift, 0, 255), np.uint8)


@dataclass(frozen=True, slots=True)
class Pose:
    """A sprite in one pose."""

    # `(h, w, 4)` uint8 RGB + alpha, colours premultiplied, each half the size of the one before
    levels: tuple[Image, ...]
    heat: tuple[Image, ...]  # `(h, w)` uint8 temperature, premultiplied with the same alpha, same levels
    # `(N, 2)` points in pixels of level 0 whose bounding box is tight under any affine map
    outline: affine.Points


@dataclass(frozen=True, slots=True)
class Sprite:
    """A thing in one or more poses, all of the same picture size."""

    poses: tuple[Pose, ...]  # one, or the frames of a repeating movement (a stride, a wing beat)
    width: int  # of level 0, in pixels
    height: int  # of level 0, in pixels
    box_size: tuple[float, float]  # width and height of the outline in the first pose, in pixels
    upright: bool  # True for things that rarely turn over: people, cars seen from the side

    def pose(self, phase: float) -> Pose:
        """Return the pose at `phase`, in cycles."""
        return self.poses[int(phase * len(self.poses)) % len(self.poses)]


def make_pose(rgb: Image, alpha: Image, heat: Image) -> Pose | None:
    """Build a pose from `(h, w, 3)` colours, `(h, w)` alpha and temperature; None if nothing is opaque."""
    outline = outline_of(alpha)
    if outline is None:
        return None
    weight = cv2.merge([alpha, alpha, alpha])
    rgba = np.asarray(cv2.merge([*cv2.split(cv2.multiply(rgb, weight, scale=1 / 255)), alpha]), np.uint8)
    warm = np.asarray(cv2.multiply(heat, alpha, scale=1 / 255), np.uint8)
    return Pose(_pyramid(rgba), _pyramid(warm), outline)


def _pyramid(picture: Image, most: int = 99) -> tuple[Image, ...]:
    """Return a picture and smaller levels, by 2x2 means; an odd side is first padded with empty pixels.

    Levels halve exactly, so that one matrix, times 2 for each level, serves all.
    """
    levels = [np.ascontiguousarray(picture)]
    while len(levels) < most and min(levels[-1].shape[:2]) > 2 * _SMALLEST_LEVEL_PX:
        image = levels[-1]
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = np.asarray(
                cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT, value=0)
            )
        size = (image.shape[1] // 2, image.shape[0] // 2)
        levels.append(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)))
    return tuple(levels)


def outline_of(alpha: Image) -> affine.Points | None:
    """Return the corners of the opaque pixels on the convex hull, `(N, 2)`; None if there are none.

    The bounding box of a set under an affine map is that of its convex hull, so no other point is needed.
    """
    rows = np.flatnonzero(alpha.max(axis=1) > _OPAQUE)
    if rows.size == 0:
        return None
    mask = (alpha > _OPAQUE).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull = cv2.convexHull(np.concatenate(contours)).reshape(-1, 2)
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    points = cv2.convexHull((hull[:, None] + corners).reshape(-1, 2).astype(np.float32)).reshape(-1, 2)
    return np.asarray(points, np.float64)


def make_sprite(pictures: list[tuple[Image, Image, Image]], *, upright: bool = False) -> Sprite | None:
    """Build a sprite from `(rgb, alpha, heat)` for each pose, cropped together to the opaque part."""
    covered = np.max([alpha for _, alpha, _ in pictures], axis=0)
    rows, columns = np.flatnonzero(covered.max(axis=1)), np.flatnonzero(covered.max(axis=0))
    if rows.size < 3 or columns.size < 3:
        return None
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    poses = [make_pose(np.ascontiguousarray(rgb[window]), np.ascontiguousarray(alpha[window]),
                       np.ascontiguousarray(heat[window])) for rgb, alpha, heat in pictures]  # fmt: skip
    if any(pose is None for pose in poses):
        return None
    kept = tuple(pose for pose in poses if pose is not None)
    extent = np.ptp(kept[0].outline, axis=0)
    height, width = covered[window].shape
    return Sprite(kept, width, height, (float(extent[0]), float(extent[1])), upright)


class Drawing:
    """A picture, with alpha and temperature, onto which parts are painted.

    It starts with `rgb`, `(H, W, 3)` uint8, the temperature `heat` and `alpha`: 255 for a background, 0 for a
    thing. Coordinates of parts are in units of `unit_px` pixels.
    """

    def __init__(self, rgb: Image, heat: float, *, alpha: int = 255, unit_px: float = 1.0) -> None:
        self.rgb = np.ascontiguousarray(rgb)
        self.alpha: Image = np.full(rgb.shape[:2], alpha, np.uint8)
        self.heat: Image = np.full(rgb.shape[:2], heat, np.uint8)
        self.unit_px = unit_px

    @classmethod
    def of_thing(cls, side_px: int = 128) -> Drawing:
        """Return an empty square; coordinates are fractions of its side."""
        return cls(np.zeros((side_px, side_px, 3), np.uint8), 0, alpha=0, unit_px=side_px)

    def paint(self, points: affine.Points, fill: Image | Colour, heat: float) -> None:
        """Paint the polygon `points (N, 2)` with a colour, or a surface that is repeated if too small."""
        at = np.asarray(points) * self.unit_px
        x1, y1 = np.maximum(np.floor(at.min(axis=0)).astype(int) - 1, 0)
        x2, y2 = np.minimum(np.ceil(at.max(axis=0)).astype(int) + 2, self.alpha.shape[::-1])
        if x2 <= x1 or y2 <= y1:
            return
        window = (slice(y1, y2), slice(x1, x2))
        mask = np.zeros((y2 - y1, x2 - x1), np.uint8)
        cv2.fillPoly(mask, [np.rint((at - (x1, y1)) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        inside = cv2.threshold(mask, 127, 255, cv2.THRESH_BINARY)[1]
        if fill.ndim == 3:
            rows, columns = np.arange(y1, y2) % fill.shape[0], np.arange(x1, x2) % fill.shape[1]
            surface = fill[np.ix_(rows, columns)]
        else:
            surface = np.empty((*mask.shape, 3), np.uint8)
            surface[:] = fill.astype(np.uint8)
        cv2.copyTo(surface, inside, self.rgb[window])
        warm = np.full_like(mask, min(max(heat, 0.0), 255.0))
        cv2.copyTo(warm, inside, self.heat[window])
        np.maximum(self.alpha[window], mask, out=self.alpha[window])

    def box(self, x: float, y: float, w: float, h: float, fill: Image | Colour, heat: float) -> None:
        """Paint an upright rectangle."""
        self.paint(np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]]), fill, heat)

    def picture(self) -> tuple[Image, Image, Image]:
        """Return colours, alpha and temperature; soft edges get the neighbouring colour."""
        fringe = cv2.inRange(self.alpha, 1, 127)
        around = np.ones((3, 3), np.uint8)
        cv2.copyTo(cv2.dilate(self.rgb, around), fringe, self.rgb)
        cv2.copyTo(cv2.dilate(self.heat, around), fringe, self.heat)
        return self.rgb, self.alpha, self.heat
