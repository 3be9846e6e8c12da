"""`SceneFactory`: draws whole scenes: their actors and motions, and the light."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from dmtrack.synthetic import affine
from dmtrack.synthetic.affine import STILL, Motion, Wave
from dmtrack.synthetic.picture import Canvas, Sprite
from dmtrack.synthetic.scene import Actor, Backdrop, Scene
from dmtrack.synthetic.stock import Stock
from dmtrack.synthetic.textures import Image, colour, smooth_noise

_FRAMES = ((640, 480), (640, 360), (480, 360), (960, 540), (640, 512), (360, 240), (1280, 720))
_FRAME_SHARES = np.array([0.3, 0.2, 0.15, 0.1, 0.1, 0.1, 0.05])
#: Share of collages that are on a photograph, if there are any; the others are on a plain surface.
_COLLAGE_PHOTOGRAPHS = 0.75


@dataclass(frozen=True, slots=True)
class CastingConfig:
    """The composition of scenes; every `..._share` is a probability."""

    # Real photographs as background and, independently, real cut-outs as sprites
    photograph_share: float = 0.6
    # Among scenes on a photograph: the target is a thing in the photograph itself
    in_place_share: float = 0.35
    occluder_share: float = 0.25  # something nearer crosses the target
    lookalike_share: float = 0.6  # there are one to five look-alikes
    spinning_share: float = 0.15  # the target rotates by any angle
    smallest_px: float = 10.0  # smallest target, square root of the box area in frame pixels
    largest_px: float = 300.0  # largest target
    longest_frames: float = 150.0  # longest time between the first template and the search frame


class SceneFactory:
    """Draws scenes."""

    def __init__(self, config: CastingConfig, stock: Stock, rng: np.random.Generator) -> None:
        self._config = config
        self._stock = stock
        self._rng = rng

    def draw(self, size: tuple[int, int] | None = None) -> Scene:
        """Draw a scene: sprites before a background, or things of a photograph itself.

        `size` is width and height of the frame in pixels; None draws a usual one.
        """
        rng = self._rng
        frame = size or _FRAMES[int(rng.choice(len(_FRAMES), p=_FRAME_SHARES))]
        real = bool(self._stock.photographs) and rng.random() < self._config.photograph_share
        if real and rng.random() < self._config.in_place_share:
            canvas = self._stock.canvas_with_things(thermal=False)
            if canvas is not None:
                return self._in_place(canvas, frame)
        canvas = self._stock.canvas(real=real)
        return self._staged(self._backdrop(canvas, frame), frame)

    def draw_collage(self) -> Scene:
        """Draw sprites pasted on a flat picture that fills the frame, without fog or shade."""
        canvas = self._stock.canvas(real=bool(self._rng.random() < _COLLAGE_PHOTOGRAPHS), plain=True)
        scene = self._staged(Backdrop(canvas, np.eye(3), 3000.0, 6000.0), (canvas.width, canvas.height))
        return replace(scene, fog=None, shade=None)

    def draw_thermal(self) -> Scene | None:
        """Draw a scene on a real thermal image, with one of its things as target; None if there are none."""
        canvas = self._stock.canvas_with_things(thermal=True)
        return None if canvas is None else self._in_place(canvas, (640, 512))

    # -- the two kinds of scene --

    def _staged(self, backdrop: Backdrop, frame: tuple[int, int]) -> Scene:
        """Draw a scene whose target is a sprite that moves over the background."""
        rng = self._rng
        sprite = self._sprite()
        largest = min(self._config.largest_px, (0.55 if rng.random() < 0.15 else 0.3) * min(frame))
        size = math.exp(rng.uniform(math.log(self._config.smallest_px), math.log(largest)))
        start = (rng.uniform(0.07, 0.93, 2) if rng.random() < 0.4 else rng.uniform(0.25, 0.75, 2)) * frame
        motion = self._motion(sprite, size, (float(start[0]), float(start[1])))
        distance = self._distance(backdrop, motion, sprite, size)
        target = self._actor(sprite, motion, distance)
        span = self._span()
        return self._scene(frame, backdrop, (target, *self._company(target, sprite, size, span)), span)

    def _in_place(self, canvas: Canvas, frame: tuple[int, int]) -> Scene:
        """Draw a scene whose target is a thing of the picture itself; only the camera moves."""
        rng = self._rng
        backdrop = self._backdrop(canvas, frame)
        outline = self._thing(canvas.whole_things, backdrop, 0.35 * min(frame))
        centre = affine.transform(backdrop.layout, outline.mean(axis=0, keepdims=True))[0]
        wish = rng.uniform(0.2, 0.8, 2) * frame
        # Move the picture so that the thing lies inside the frame, by no more than needed.
        inside = np.clip(
            centre, np.minimum(wish, 0.15 * np.array(frame)), np.maximum(wish, 0.85 * np.array(frame))
        )
        backdrop = replace(backdrop, layout=affine.translation(*(inside - centre)) @ backdrop.layout)
        extent = np.ptp(affine.transform(backdrop.layout, outline), axis=0)
        size = float(np.sqrt(np.prod(np.maximum(extent, 1.0))))
        target = self._fixture(
            outline, backdrop, (float(inside[0]), float(inside[1])), thermal=canvas.thermal
        )
        span = self._span()
        company = self._company(target, None, size, span) if rng.random() < 0.5 else ()
        behind = 1.01 * target.distance_mm
        fixtures = (
            self._fixture(other, backdrop, (0.0, 0.0), thermal=canvas.thermal)
            for other in canvas.things[:12]
            if other is not outline
        )
        others = (*company, *(replace(f, distance_mm=max(f.distance_mm, behind)) for f in fixtures))
        return self._scene(frame, backdrop, (target, *others), span)

    def _span(self) -> float:
        """Draw a duration in frames, log-uniformly."""
        return math.exp(self._rng.uniform(math.log(3.0), math.log(self._config.longest_frames)))

    def _scene(
        self, frame: tuple[int, int], backdrop: Backdrop, actors: tuple[Actor, ...], span: float
    ) -> Scene:
        rng = self._rng
        fog = None
        if rng.random() < 0.06:
            red, green, blue = colour(rng, 0.1).tolist()
            fog = ((red, green, blue), float(backdrop.far_mm * rng.uniform(0.5, 3.0)))
        shade = self._shade() if rng.random() < 0.25 else None
        return Scene(*frame, backdrop, actors, 0, self._camera(frame), shade=shade, fog=fog, duration=span)

    # -- parts --

    def _thing(
        self, outlines: tuple[affine.Points, ...], backdrop: Backdrop, largest_px: float
    ) -> affine.Points:
        """Draw a thing of the picture; large ones, whose search region leaves the frame, are rare."""
        scale = affine.magnification(backdrop.layout)
        small = [o for o in outlines if scale * math.sqrt(float(np.prod(np.ptp(o, axis=0)))) < largest_px]
        choice = small if small and self._rng.random() < 0.9 else outlines
        return choice[int(self._rng.integers(len(choice)))]

    def _fixture(
        self, outline: affine.Points, backdrop: Backdrop, place: tuple[float, float], *, thermal: bool
    ) -> Actor:
        """Return a thing of the background picture, with a distance and, in photographs, a temperature."""
        rng = self._rng
        still = replace(STILL, x=Wave(place[0]), y=Wave(place[1]))
        warmth = 0.0 if thermal else float(rng.normal(25.0, 45.0))
        distance = float(rng.uniform(0.3, 0.85)) * backdrop.near_mm
        return Actor(None, still, distance, outline, warmth=warmth)

    def _sprite(self) -> Sprite:
        return self._stock.sprite(real=bool(self._rng.random() < self._config.photograph_share))

    def _backdrop(self, canvas: Canvas, frame: tuple[int, int]) -> Backdrop:
        """Lay out the canvas so that it covers the frame, usually with some margin."""
        rng = self._rng
        cover = max(frame[0] / canvas.width, frame[1] / canvas.height)
        scale = cover * rng.uniform(1.0, 1.35)
        spare = 0.5 * (scale * np.array([canvas.width, canvas.height]) - frame)
        shift = 0.5 * np.array(frame) + rng.uniform(-1.0, 1.0, 2) * spare
        turn = rng.normal(0.0, 0.04) if rng.random() < 0.3 else 0.0
        layout = affine.placement(float(shift[0]), float(shift[1]), scale, scale, turn)
        layout = layout @ affine.translation(-0.5 * canvas.width, -0.5 * canvas.height)
        far = math.exp(rng.uniform(math.log(1500.0), math.log(14000.0)))
        return Backdrop(canvas, layout, far * rng.uniform(0.15, 0.5), far)

    def _distance(self, backdrop: Backdrop, motion: Motion, sprite: Sprite, size: float) -> float:
        """Return a distance before the ground on which the thing seems to stand."""
        foot = np.array([[motion.x(0.0), motion.y(0.0) + 0.5 * size]])
        row = (
            affine.transform(np.asarray(np.linalg.inv(backdrop.layout), np.float64), foot)[0, 1]
            / backdrop.canvas.height
        )
        horizon = backdrop.canvas.horizon
        below = min(max(row - horizon, 0.0) / max(1.0 - horizon, 0.05), 1.2)
        inverse = 1.0 / backdrop.far_mm + below * (1.0 / backdrop.near_mm - 1.0 / backdrop.far_mm)
        low = 0.85 if sprite.upright and horizon < 1.0 else 0.35
        return float(self._rng.uniform(low, 0.97) / inverse)

    def _actor(self, sprite: Sprite, motion: Motion, distance: float) -> Actor:
        rng = self._rng
        light = Wave.wander(rng, 0.0, rng.uniform(0.05, 0.4), (20.0, 200.0)) if rng.random() < 0.3 else None
        pace = 1.0 / math.exp(rng.uniform(math.log(12.0), math.log(60.0))) if len(sprite.poses) > 1 else 0.0
        relief = rng.uniform(0.0, 0.12) * distance if rng.random() < 0.6 else 0.0
        return Actor(sprite, motion, distance, pace=pace, light=light, relief_mm=relief)

    def _motion(self, sprite: Sprite, size: float, start: tuple[float, float]) -> Motion:
        """Draw the motion of a target of `size` pixels that is at `start` at time 0."""
        rng = self._rng
        native = math.sqrt(sprite.box_size[0] * sprite.box_size[1])
        reach = size * math.exp(rng.uniform(math.log(0.2), math.log(4.0)))
        slope = rng.normal(0.0, 0.012, 2) * size
        spin, base, turn = 0.0, rng.normal(0.0, 0.06), 0.05
        if rng.random() < self._config.spinning_share:
            spin, base, turn = rng.normal(0.0, 0.05), rng.uniform(0.0, 2 * np.pi), rng.uniform(0.3, 1.5)
        elif not sprite.upright:
            base = rng.uniform(0.0, 2 * np.pi) if rng.random() < 0.6 else rng.normal(0.0, 0.1)
            turn = rng.choice([0.03, 0.2, 0.7])
        aspect = rng.normal(0.0, 0.12)
        return Motion(
            Wave.wander(rng, 0.0, reach, slope=float(slope[0])).anchored(0.0, start[0]),
            Wave.wander(rng, 0.0, 0.5 * reach, slope=0.5 * float(slope[1])).anchored(0.0, start[1]),
            Wave.wander(rng, 0.0, rng.choice([0.03, 0.15, 0.4])).anchored(0.0, math.log(size / native)),
            Wave.wander(rng, base, turn, slope=spin),
            Wave.wander(rng, aspect, rng.choice([0.03, 0.1, 0.3])),
        )

    def _company(self, target: Actor, sprite: Sprite | None, size: float, span: float) -> tuple[Actor, ...]:
        """Draw look-alikes, other things and occluders, most of them near the target at some time."""
        rng, config = self._rng, self._config
        cast: list[Actor] = []
        if sprite is not None and rng.random() < config.lookalike_share:
            for _ in range(1 + int(rng.integers(0, 5) * rng.random())):
                twin = self._stock.like(sprite, real=bool(rng.random() < 0.5))
                own = size * math.exp(rng.normal(0.0, 0.15))
                cast.append(self._extra(twin, target, own, span, rng.uniform(0.8, 1.25), 0.9))
        for _ in range(int(rng.integers(0, 4))):
            nearer = rng.uniform(1.02, 1.6) if rng.random() < 0.7 else rng.uniform(0.7, 1.0)
            own = size * math.exp(rng.normal(0.0, 0.5))
            cast.append(self._extra(self._sprite(), target, own, span, nearer, 0.9))
        if rng.random() < config.occluder_share:
            for _ in range(1 + int(rng.random() < 0.3)):
                wide = size * math.exp(rng.uniform(math.log(0.4), math.log(1.3)))
                cast.append(self._extra(self._sprite(), target, wide, span, rng.uniform(0.35, 0.9), 0.0))
        return tuple(cast)

    def _extra(
        self, sprite: Sprite, target: Actor, size: float, span: float, nearer: float, apart: float
    ) -> Actor:
        """Place a thing that is about `apart` to 2.3 target sizes from the target at some time of the span.

        An `apart` of 0 makes it cross the target.
        """
        rng = self._rng
        meet = rng.uniform(0.3, 1.0) * span
        own = math.exp(target.motion.log_scale(meet)) if target.sprite is not None else 1.0
        near = (
            size
            if target.sprite is None
            else own * math.sqrt(target.sprite.box_size[0] * target.sprite.box_size[1])
        )
        angle = rng.uniform(0.0, 2.0 * np.pi)
        far = (
            rng.uniform(0.0, 0.55) * near
            if apart == 0.0
            else rng.uniform(apart, 2.3) * 0.5 * (near + size) + 0.2 * near
        )
        x = target.motion.x(meet) + far * math.cos(angle)
        y = target.motion.y(meet) + far * math.sin(angle)
        motion = self._motion(sprite, size, (x, y))
        drift = rng.uniform(0.3, 1.0) * motion.x.slope + rng.normal(0.0, 0.03) * size
        sink = 0.3 * rng.normal(0.0, 0.03) * size
        motion = replace(
            motion,
            x=Wave(0.0, target.motion.x.slope + drift, motion.x.sines).anchored(meet, x),
            y=Wave(0.0, target.motion.y.slope + sink, motion.y.sines).anchored(meet, y),
        )
        return self._actor(sprite, motion, max(target.distance_mm * nearer, 150.0))

    def _camera(self, frame: tuple[int, int]) -> Motion:
        rng = self._rng
        pan = max(frame) * (rng.uniform(0.0, 0.12) if rng.random() < 0.6 else 0.0)
        shake = rng.uniform(0.3, 5.0) if rng.random() < 0.35 else 0.0
        fast = [Wave.wander(rng, 0.0, shake, (4.0, 14.0)).sines for _ in range(2)]
        x, y = Wave.wander(rng, 0.0, pan), Wave.wander(rng, 0.0, 0.6 * pan)
        return Motion(
            Wave(-x(0.0), 0.0, x.sines + fast[0]),
            Wave(-y(0.0), 0.0, y.sines + fast[1]),
            Wave.wander(rng, 0.0, rng.choice([0.0, 0.05, 0.2])),
            Wave.wander(rng, 0.0, rng.choice([0.0, 0.02, 0.15])),
            Wave.wander(rng, 0.0, rng.choice([0.0, 0.0, 0.08])),
        )

    def _shade(self) -> Image:
        """Draw patches of shadow or lamp light, slightly coloured."""
        rng = self._rng
        soft = smooth_noise(rng, 48, 64, rng.uniform(1.5, 7.0), 2)
        if rng.random() < 0.5:
            soft = np.clip((soft - 0.5) * rng.uniform(3.0, 12.0) + 0.5, 0.0, 1.0).astype(np.float32)
        dark = rng.uniform(0.25, 0.8)
        tint = 1.0 + rng.normal(0.0, 0.05, 3)
        light = 128.0 * (dark + (1.25 - dark) * soft)[..., None] * tint
        return np.asarray(cv2.GaussianBlur(np.clip(light, 0, 255).astype(np.uint8), (3, 3), 0))
