"""`Stock`: sprites and backgrounds, slowly renewed, because making one costs far more than using it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dmtrack.synthetic.canvas import Canvas, made_up_canvas, one_surface
from dmtrack.synthetic.photographs import Photograph
from dmtrack.synthetic.shapes import made_up_sprite
from dmtrack.synthetic.sprite import Image, Pose, Sprite
from dmtrack.synthetic.textures import RenewedStock, SurfaceBank


@dataclass(frozen=True, slots=True)
class Ground:
    """A background; `photograph` is where it came from, None when it is made up."""

    canvas: Canvas
    photograph: Photograph | None


class Stock:
    """Draws sprites and backgrounds; the pieces depend on the seed of `rng` and the order of calls only.

    Args:
        rng: Source of every draw.
        photographs: Photographs with polygons; may be none.
        thermal: Thermal images with boxes; may be none.
    """

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
        self._made_up: RenewedStock[Ground] = RenewedStock(rng, 48, 60)
        self._surfaces: RenewedStock[Ground] = RenewedStock(rng, 48, 60)
        # Real pictures are renewed fast: they only need a pyramid and new temperatures.
        self._real: dict[bool, RenewedStock[Ground]] = {k: RenewedStock(rng, 48, 10) for k in (False, True)}

    def sprite(self, *, real: bool) -> Sprite:
        """Draw a thing; `real` asks for one cut from a photograph, where there are any."""
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

    def ground(self, *, real: bool, plain: bool = False) -> Ground:
        """Draw a background: a photograph, where there are any, a made-up view, or (`plain`) one surface."""
        if real and self.photographs:
            return self._photograph(thermal=False)
        if plain:
            return self._surfaces.draw(lambda: Ground(one_surface(self._rng), None))
        return self._made_up.draw(lambda: Ground(made_up_canvas(self._rng, self._bank), None))

    def ground_with_things(self, *, thermal: bool) -> Ground | None:
        """Draw a real background with at least one known thing in it; None when there is none."""
        if not (self.thermal if thermal else self.photographs):
            return None
        for _ in range(12):
            ground = self._photograph(thermal=thermal)
            if ground.photograph is not None and ground.photograph.whole_things:
                return ground
        return None

    def _photograph(self, *, thermal: bool) -> Ground:
        def make() -> Ground:
            photograph = _one_of(self._rng, self.thermal if thermal else self.photographs)
            return Ground(photograph.canvas(self._rng), photograph)

        return self._real[thermal].draw(make)


def _one_of(rng: np.random.Generator, photographs: tuple[Photograph, ...]) -> Photograph:
    return photographs[int(rng.integers(len(photographs)))]


def recoloured(rng: np.random.Generator, sprite: Sprite) -> Sprite:
    """Return the sprite with its colours mixed and its temperature moved, by a little or a lot."""
    strength = rng.uniform(0.15, 0.9)
    mix = np.eye(3) + strength * rng.normal(0.0, 0.5, (3, 3))
    # An offset in proportion to alpha keeps premultiplied colours consistent.
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
