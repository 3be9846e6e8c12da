"""`Scene`: layers in depth order over a background, drawn directly into any view.

A view is an affine window onto the frame: training draws only the crops it needs, a sequence draws the whole
frame. Colours, temperatures and distances come from the same layers, so the streams have the same shapes but
nothing else in common.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.geometry.box import Box
from dmtrack.synthetic import affine
from dmtrack.synthetic.affine import Motion, Wave
from dmtrack.synthetic.picture import Canvas, Pose, Sprite
from dmtrack.synthetic.textures import Image

Depth = npt.NDArray[np.uint16]

_NO_DRAWING_PX = 3000.0
_REMEMBERED_INSTANTS = 16


@dataclass(frozen=True, slots=True)
class View:
    """A window onto the frame."""

    matrix: affine.Matrix  # `(3, 3)` from frame pixels to picture pixels, continuous coordinates
    width: int  # of the picture in pixels
    height: int  # of the picture in pixels

    @classmethod
    def whole(cls, width: int, height: int) -> View:
        """Return the frame itself."""
        return cls(np.eye(3), width, height)

    @classmethod
    def square(cls, left_px: float, top_px: float, side_px: float, size: int) -> View:
        """Return the square of the frame at `(left, top)` with `side_px`, drawn `size` pixels wide."""
        scale = size / side_px
        matrix = affine.scaling(scale, scale) @ affine.translation(-left_px, -top_px)
        return cls(matrix, size, size)

    def blacken(self, picture: Image, frame_width: int, frame_height: int) -> None:
        """Blacken, in place, everything outside the frame, as in a published crop.

        Views are never rotated. Scenes continue beyond the frame, so this comes after lens and sensor.
        """
        frame = np.array([[0.0, 0.0], [float(frame_width), float(frame_height)]])
        (x1, y1), (x2, y2) = np.rint(affine.transform(self.matrix, frame)).astype(int)
        picture[: max(y1, 0)] = 0
        picture[max(y2, 0) :] = 0
        picture[:, : max(x1, 0)] = 0
        picture[:, max(x2, 0) :] = 0


@dataclass(frozen=True, slots=True)
class Actor:
    """Something in the scene."""

    # Its appearance; None for a thing that is part of the background, defined by its outline
    sprite: Sprite | None
    motion: Motion  # of a sprite in the world; unused for a part of the background
    distance_mm: float  # from the camera at time 0; nearer actors cover farther ones
    # For a part of the background: `(N, 2)` points in pixels of the canvas
    outline: affine.Points | None = None
    pace: float = 0.0  # cycles of the sprite's poses per frame
    light: Wave | None = None  # natural logarithm of a brightness factor over time
    relief_mm: float = 0.0  # how much nearer its middle is than its rim
    warmth: float = 0.0  # for a part of the background: added to the temperature of the picture

    def outline_at(self, t: float) -> affine.Points:
        """Return the outline at time `t`, in layer pixels with the origin at the sprite's centre."""
        if self.sprite is None:
            assert self.outline is not None  # noqa: S101
            return self.outline
        centre = (0.5 * self.sprite.width, 0.5 * self.sprite.height)
        return self.sprite.pose(self.pace * t).outline - centre


@dataclass(frozen=True, slots=True)
class Backdrop:
    """The background: a canvas laid out in the world."""

    canvas: Canvas  # colours and temperatures
    layout: affine.Matrix  # `(3, 3)` from canvas pixels to world pixels
    near_mm: float  # distance of the ground at the lower edge
    far_mm: float  # distance of the wall or horizon


@dataclass(frozen=True, slots=True)
class Rendering:
    """The pictures of a camera at one instant through a view; those not asked for are None."""

    rgb: Image | None  # `(h, w, 3)` uint8, before the sensor
    heat: Image | None  # `(h, w)` uint8 temperature in arbitrary units, before the sensor
    depth_mm: Depth | None  # `(h, w)` uint16, before the sensor
    visible_share: float  # uncovered part of the target, 0 to 1; 0 if it is gone


@dataclass(frozen=True)
class Scene:
    """A synthetic world with one target."""

    width: int  # of the frame in pixels
    height: int  # of the frame in pixels
    backdrop: Backdrop
    actors: tuple[Actor, ...]  # in any order
    target: int  # index of the target among `actors`
    camera: Motion  # pan, zoom and roll about the middle of the frame
    # `(h, w, 3)` uint8 field of light over the world (128 is neutral) or None
    shade: Image | None = None
    # Colour `(3,)` and the distance in mm at which 63 % of the light is lost, or None
    fog: tuple[tuple[float, float, float], float] | None = None
    target_gone: bool = False  # the target is not drawn; its box says where it would be
    duration: float = 1.0  # useful length in frames, from 0
    _order: tuple[int, ...] = field(init=False, default=())
    _placements: dict[float, tuple[affine.Matrix, ...]] = field(
        init=False, default_factory=dict, compare=False
    )

    def __post_init__(self) -> None:
        order = sorted(range(len(self.actors)), key=lambda k: -self.actors[k].distance_mm)
        object.__setattr__(self, "_order", tuple(order))

    @property
    def movable_target(self) -> bool:
        """Whether the target is a sprite, not a part of the background picture."""
        return self.actors[self.target].sprite is not None

    def camera_matrix(self, t: float) -> affine.Matrix:
        """Return the `(3, 3)` matrix from world pixels to frame pixels at time `t` (frames)."""
        middle = affine.translation(-0.5 * self.width, -0.5 * self.height)
        back = affine.translation(0.5 * self.width, 0.5 * self.height)
        return back @ self.camera.matrix(t) @ middle

    def placements(self, t: float) -> tuple[affine.Matrix, ...]:
        """Return, for each actor, the `(3, 3)` matrix from its layer to the frame at time `t`.

        A few instants are cached: every stream and every box needs the same ones.
        """
        known = self._placements.get(t)
        if known is None:
            camera = self.camera_matrix(t)
            known = tuple(
                camera @ (self.backdrop.layout if actor.sprite is None else actor.motion.matrix(t))
                for actor in self.actors
            )
            if len(self._placements) >= _REMEMBERED_INSTANTS:
                self._placements.clear()
            self._placements[t] = known
        return known

    def box_of(self, index: int, t: float) -> Box:
        """Return the tight box of actor `index` at time `t`, in frame pixels, also where it is covered."""
        actor = self.actors[index]
        points = affine.transform(self.placements(t)[index], actor.outline_at(t))
        (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
        return Box(float(x1), float(y1), float(max(x2 - x1, 1e-3)), float(max(y2 - y1, 1e-3)))

    def target_box(self, t: float) -> Box:
        """Return the tight box of the target at time `t`, in frame pixels, also where it is covered."""
        return self.box_of(self.target, t)

    def render(
        self, t: float, view: View, *, rgb: bool = True, heat: bool = False, depth: bool = False
    ) -> Rendering:
        """Draw the pictures asked for at time `t` (frames) through `view`, back to front."""
        painter = _Painter(self, t, view)
        painter.paint_backdrop(rgb=rgb, heat=heat, depth=depth)
        return painter.paint_actors()


class _Painter:
    """Draws one scene at one time through one view, back to front."""

    def __init__(self, scene: Scene, t: float, view: View) -> None:
        self.scene, self.t, self.view = scene, t, view
        self.camera = view.matrix @ scene.camera_matrix(t)
        self.placements = scene.placements(t)
        self.rgb: Image | None = None
        self.heat: Image | None = None
        self.depth: Depth | None = None
        self.target_mask: Image | None = None
        self.target_pixels = 0.0

    def paint_actors(self) -> Rendering:
        """Draw the actors before the background, and return all pictures."""
        for index in self.scene._order:
            is_target = index == self.scene.target
            if is_target and self.scene.target_gone:
                continue
            actor = self.scene.actors[index]
            if actor.sprite is not None:
                self._sprite(
                    actor, actor.sprite, self.view.matrix @ self.placements[index], is_target=is_target
                )
            elif is_target or self.depth is not None or self.heat is not None:
                self._outline(actor, is_target=is_target)
        self._shade()
        share = 0.0
        if self.target_mask is not None:
            self.view.blacken(self.target_mask, self.scene.width, self.scene.height)
            share = float(cv2.sumElems(self.target_mask)[0]) / max(self.target_pixels, 1.0)
        return Rendering(self.rgb, self.heat, self.depth, share)

    def paint_backdrop(self, *, rgb: bool, heat: bool, depth: bool) -> None:
        """Start the pictures asked for with the background."""
        canvas = self.scene.backdrop.canvas
        matrix = self.camera @ self.scene.backdrop.layout
        level = _level(matrix, len(canvas.levels))
        fine = affine.to_pixel_centres(matrix @ affine.scaling(2.0**level, 2.0**level))

        def seen(layer: Image) -> Image:
            size = (self.view.width, self.view.height)
            return np.asarray(
                cv2.warpAffine(layer, fine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
            )

        self.rgb = seen(canvas.levels[level]) if rgb else None
        self.heat = seen(canvas.heat[level]) if heat else None
        fog = self.scene.fog
        if depth or fog is not None:
            distance = self._ground_mm(matrix)
            if depth:
                self.depth = distance.astype(np.uint16)
            if fog is not None and self.rgb is not None:
                self.rgb = _in_fog(self.rgb, distance, fog)

    def _ground_mm(self, matrix: affine.Matrix) -> npt.NDArray[np.float32]:
        """Return the distance of the bare background at every pixel of the view, `(h, w)`.

        Below the horizon the ground is a plane: distance is inversely proportional to the height below it.
        """
        backdrop = self.scene.backdrop
        inverse = np.linalg.inv(matrix)
        x = np.arange(self.view.width, dtype=np.float32) + np.float32(0.5)
        y = np.arange(self.view.height, dtype=np.float32)[:, None] + np.float32(0.5)
        row = np.float32(inverse[1, 0]) * x + np.float32(inverse[1, 1]) * y + np.float32(inverse[1, 2])
        height, horizon = backdrop.canvas.height, backdrop.canvas.horizon
        below = np.maximum(row / np.float32(height) - np.float32(horizon), np.float32(0.0))
        inverse_far, inverse_near = 1.0 / backdrop.far_mm, 1.0 / backdrop.near_mm
        reach = max(1.0 - horizon, 0.05)
        slope = (inverse_near - inverse_far) / reach
        distance: npt.NDArray[np.float32] = 1.0 / (np.float32(inverse_far) + np.float32(slope) * below)
        return np.minimum(distance, np.float32(65000.0))

    def _sprite(self, actor: Actor, sprite: Sprite, placed: affine.Matrix, *, is_target: bool) -> None:
        matrix = placed @ affine.translation(-0.5 * sprite.width, -0.5 * sprite.height)
        window = _window(matrix, sprite.width, sprite.height, self.view)
        if is_target:
            self.target_pixels = self._target_area(actor, placed)
            self.target_mask = np.zeros((self.view.height, self.view.width), np.uint8)
        if window is None:
            return
        x, y, size = window
        pose = sprite.pose(actor.pace * self.t)
        level = _level(matrix, len(pose.levels))
        local = affine.to_pixel_centres(
            affine.translation(-x, -y) @ matrix @ affine.scaling(2.0**level, 2.0**level)
        )
        region = (slice(y, y + size[1]), slice(x, x + size[0]))
        rgba = np.asarray(cv2.warpAffine(pose.levels[level], local, size, flags=cv2.INTER_LINEAR), np.uint8)
        alpha = np.asarray(cv2.extractChannel(rgba, 3), np.uint8)
        if self.rgb is not None:
            self._blend_rgb(region, rgba, alpha, actor)
        if self.heat is not None:
            warm = cv2.warpAffine(pose.heat[level], local, size, flags=cv2.INTER_LINEAR)
            below = cv2.multiply(self.heat[region], cv2.bitwise_not(alpha), scale=1 / 255)
            self.heat[region] = cv2.add(below, warm)
        if self.depth is not None:
            self._cover_depth(region, alpha, actor, pose, matrix)
        self._update_mask(region, alpha, is_target=is_target)

    def _blend_rgb(self, region: tuple[slice, slice], rgba: Image, alpha: Image, actor: Actor) -> None:
        assert self.rgb is not None  # noqa: S101
        colours = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
        if actor.light is not None:
            colours = cv2.convertScaleAbs(colours, alpha=math.exp(actor.light(self.t)))
        if self.scene.fog is not None:
            colour, reach = self.scene.fog
            through = math.exp(-actor.distance_mm / reach)
            haze = cv2.merge([cv2.convertScaleAbs(alpha, alpha=c * (1.0 - through) / 255.0) for c in colour])
            colours = cv2.add(cv2.convertScaleAbs(colours, alpha=through), haze)
        cover = cv2.bitwise_not(alpha)
        below = cv2.multiply(self.rgb[region], cv2.merge([cover, cover, cover]), scale=1 / 255)
        self.rgb[region] = cv2.add(below, colours)

    def _cover_depth(
        self, region: tuple[slice, slice], alpha: Image, actor: Actor, pose: Pose, matrix: affine.Matrix
    ) -> None:
        """Write the thing's distance where it is opaque; round things are nearer in the middle.

        The bulge is the coarsest level, enlarged smoothly.
        """
        assert self.depth is not None  # noqa: S101
        solid = cv2.threshold(alpha, 127, 255, cv2.THRESH_BINARY)[1]
        distance = np.full(alpha.shape, np.uint16(actor.distance_mm), np.uint16)
        if actor.relief_mm > 0.0:
            last = 2.0 ** (len(pose.levels) - 1)
            corner = affine.translation(-float(region[1].start), -float(region[0].start))
            local = affine.to_pixel_centres(corner @ matrix @ affine.scaling(last, last))
            coarse = np.ascontiguousarray(pose.levels[-1][..., 3])
            bulge = cv2.warpAffine(coarse, local, (alpha.shape[1], alpha.shape[0]), flags=cv2.INTER_LINEAR)
            nearer = np.asarray(bulge, np.float32) * np.float32(actor.relief_mm / 255.0)
            distance = np.maximum(distance - nearer, 100.0).astype(np.uint16)
        cv2.copyTo(distance, solid, self.depth[region])

    def _update_mask(self, region: tuple[slice, slice], alpha: Image, *, is_target: bool) -> None:
        if is_target and self.target_mask is not None:
            self.target_mask[region] = alpha
        elif self.target_mask is not None:
            self.target_mask[region] = cv2.multiply(
                self.target_mask[region], cv2.bitwise_not(alpha), scale=1 / 255
            )

    def _target_area(self, actor: Actor, placed: affine.Matrix) -> float:
        """Return the sum of the target's alpha as if it were uncovered and uncut, in the view's pixels."""
        assert actor.sprite is not None  # noqa: S101
        levels = actor.sprite.pose(actor.pace * self.t).levels
        total = float(cv2.sumElems(levels[-1])[3]) * 4.0 ** (len(levels) - 1)
        return total * affine.magnification(placed) ** 2

    def _outline(self, actor: Actor, *, is_target: bool) -> None:
        """Draw a thing of the background picture: distance, warmth, and the mask if it is the target."""
        assert actor.outline is not None  # noqa: S101
        points = affine.transform(self.camera @ self.scene.backdrop.layout, actor.outline)
        mask = np.zeros((self.view.height, self.view.width), np.uint8)
        if float(np.abs(points).max()) < _NO_DRAWING_PX:
            cv2.fillPoly(mask, [np.rint(points - 0.5).astype(np.int32)], 255)
        if self.depth is not None:
            self.depth[mask > 0] = np.uint16(actor.distance_mm)
        if self.heat is not None and actor.warmth != 0.0:
            inside = mask > 0
            self.heat[inside] = np.clip(self.heat[inside] + actor.warmth, 0, 255).astype(np.uint8)
        if is_target:
            self.target_mask = mask
            self.target_pixels = max(abs(float(cv2.contourArea(points.astype(np.float32)))) * 255.0, 255.0)

    def _shade(self) -> None:
        """Multiply by the field of light, which is fixed in the world."""
        if self.scene.shade is None or self.rgb is None:
            return
        field_height, field_width = self.scene.shade.shape[:2]
        spread = affine.scaling(1.6 * self.scene.width / field_width, 1.6 * self.scene.height / field_height)
        layout = affine.translation(-0.3 * self.scene.width, -0.3 * self.scene.height) @ spread
        matrix = affine.to_pixel_centres(self.camera @ layout)
        light = cv2.warpAffine(self.scene.shade, matrix, (self.view.width, self.view.height),
                               flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
        self.rgb = np.asarray(cv2.multiply(self.rgb, light, scale=1 / 128))


def _level(matrix: affine.Matrix, levels: int) -> int:
    """Return the pyramid level that is at most slightly finer than the picture it is drawn into."""
    scale = affine.magnification(matrix)
    return min(max(math.floor(0.35 - math.log2(max(scale, 1e-6))), 0), levels - 1)


def _window(
    matrix: affine.Matrix, width: int, height: int, view: View
) -> tuple[int, int, tuple[int, int]] | None:
    """Return left, top and size of the pixels a sprite touches inside the view; None if there are none."""
    # Plain numbers for speed: this runs for every sprite of every crop, and most are outside.
    (xx, xy, left), (yx, yy, top) = matrix[:2].tolist()
    xs, ys = (width * xx, height * xy), (width * yx, height * yy)
    x1 = max(math.floor(left + min(xs[0], 0.0) + min(xs[1], 0.0)) - 1, 0)
    x2 = min(math.ceil(left + max(xs[0], 0.0) + max(xs[1], 0.0)) + 1, view.width)
    y1 = max(math.floor(top + min(ys[0], 0.0) + min(ys[1], 0.0)) - 1, 0)
    y2 = min(math.ceil(top + max(ys[0], 0.0) + max(ys[1], 0.0)) + 1, view.height)
    if x2 <= x1 or y2 <= y1:
        return None
    return x1, y1, (x2 - x1, y2 - y1)


def _in_fog(
    rgb: Image, distance: npt.NDArray[np.float32], fog: tuple[tuple[float, float, float], float]
) -> Image:
    colour, reach = fog
    through = np.exp(-distance / np.float32(reach))[..., None]
    mixed = rgb * through + np.asarray(colour, np.float32) * (1.0 - through)
    return np.asarray(mixed, np.uint8)
