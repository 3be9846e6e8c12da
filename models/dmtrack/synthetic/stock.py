"""`Stock`: sprites and backgrounds, slowly renewed, because making one costs far more than using it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dmtrack.synthetic.canvas import Canvas, made_up_canvas
from dmtrack.synthetic.photographs import Photograph, PhotoLibrary
from dmtrack.synthetic.shapes import made_up_sprite
from dmtrack.synthetic.sprite import Pose, Sprite
from dmtrack.synthetic.textures import SurfaceBank


@dataclass(frozen=True, slots=True)
class StockSize:
    """How much is kept, and how often each piece is used on average before another takes its place."""

    sprites: int = 320
    cut_outs: int = 320
    canvases: int = 48
    sprite_uses: int = 25
    canvas_uses: int = 60


@dataclass(frozen=True, slots=True)
class Ground:
    """A background; `photograph` is where it came from, None when it is made up."""

    canvas: Canvas
    photograph: Photograph | None


class Stock:
    """Draws sprites and backgrounds; the pieces depend on the seed of `rng` and the order of calls only.

    Args:
        rng: Source of every draw.
        photographs: Photographs with polygons, or None.
        thermal: Thermal images with boxes, or None.
        size: How much is kept.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        photographs: PhotoLibrary | None,
        thermal: PhotoLibrary | None,
        size: StockSize | None = None,
    ) -> None:
        self._rng = rng
        self._photographs = photographs
        self._thermal = thermal
        self._size = size or StockSize()
        self._bank = SurfaceBank(rng)
        self._sprites: list[Sprite] = []
        self._cut_outs: list[Sprite] = []
        self._canvases: list[Ground] = []
        self._photo_canvases: list[Ground] = []
        self._thermal_canvases: list[Ground] = []

    @property
    def has_photographs(self) -> bool:
        """Whether there are photographs."""
        return self._photographs is not None

    @property
    def has_thermal(self) -> bool:
        """Whether there are thermal images."""
        return self._thermal is not None

    def _index(self, held: int, capacity: int, uses: int) -> tuple[int, bool]:
        """Return which piece to use, and whether to make it anew."""
        rng = self._rng
        if held == 0 or (held < capacity and rng.random() < 0.5):
            return held, True
        return int(rng.integers(held)), bool(rng.random() < 1.0 / uses)

    def sprite(self, *, real: bool) -> Sprite:
        """Draw a thing; `real` asks for one cut from a photograph, where there are any."""
        if real and self._photographs is not None:
            index, fresh = self._index(len(self._cut_outs), self._size.cut_outs, self._size.sprite_uses)
            if fresh:
                self._cut_outs[index : index + 1] = [self._cut_out(self._photographs)]
            return self._cut_outs[index]
        index, fresh = self._index(len(self._sprites), self._size.sprites, self._size.sprite_uses)
        if fresh:
            self._sprites[index : index + 1] = [made_up_sprite(self._rng, self._bank)]
        return self._sprites[index]

    def _cut_out(self, library: PhotoLibrary) -> Sprite:
        for _ in range(50):
            photograph = library.draw_with_things(self._rng)
            if photograph is None:
                break
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

    def ground(self, *, real: bool) -> Ground:
        """Draw a background; `real` asks for a photograph, where there are any."""
        if real and self._photographs is not None:
            return self._kept(self._photo_canvases, self._photographs)
        index, fresh = self._index(len(self._canvases), self._size.canvases, self._size.canvas_uses)
        if fresh:
            self._canvases[index : index + 1] = [Ground(made_up_canvas(self._rng, self._bank), None)]
        return self._canvases[index]

    def ground_with_things(self, *, thermal: bool) -> Ground | None:
        """Draw a real background with at least one known thing in it; None when there is none."""
        library, kept = (
            (self._thermal, self._thermal_canvases) if thermal else (self._photographs, self._photo_canvases)
        )
        if library is None:
            return None
        for _ in range(12):
            ground = self._kept(kept, library)
            if ground.photograph is not None and ground.photograph.whole_things:
                return ground
        return None

    def _kept(self, kept: list[Ground], library: PhotoLibrary) -> Ground:
        # Real pictures are renewed fast: they only need a pyramid and new temperatures.
        index, fresh = self._index(len(kept), self._size.canvases, max(self._size.canvas_uses // 6, 1))
        if fresh:
            photograph = library.draw(self._rng)
            kept[index : index + 1] = [Ground(photograph.canvas(self._rng), photograph)]
        return kept[index]


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


def _within_alpha(
    rgba: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Limit premultiplied colours to their alpha."""
    alpha = cv2.extractChannel(rgba, 3)
    return np.asarray(cv2.min(rgba, cv2.merge([alpha, alpha, alpha, alpha])))
