"""What all scenes share: the moment a frame is exposed, and the true box of the target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from render.camera import Camera
from render.mesh import Mesh
from render.picture import Picture
from render.shapes import Shape

Drawable = Shape | Mesh
PixelBox = tuple[float, float, float, float]

# Where inside a pixel the sub-exposures look (base 2 and 3 radical inverses, centred).
_JITTER = ((0.0, -0.17), (-0.25, 0.17), (0.25, -0.39), (-0.38, -0.06), (0.12, 0.28), (-0.12, -0.28))


def exposures(time_s: float, shutter_s: float, count: int) -> Iterator[tuple[float, float, float]]:
    """Yield time and sub-pixel shift of every part of one exposure centred on `time_s`."""
    for i in range(count):
        dx, dy = _JITTER[i % len(_JITTER)]
        yield time_s + shutter_s * ((i + 0.5) / count - 0.5), dx, dy


def true_box(camera: Camera, target: Sequence[Drawable]) -> PixelBox:
    """Return the tight box of the target alone, as if nothing stood before it, to a quarter of a pixel.

    The box may not leave the picture: a scene keeps its target inside.
    """
    fine = 4
    picture = Picture(camera.scaled(fine))
    picture.draw(target)
    rows, columns = np.nonzero(np.isfinite(picture.depth))
    x0, x1 = columns.min() / fine, (columns.max() + 1) / fine
    y0, y1 = rows.min() / fine, (rows.max() + 1) / fine
    return float(x0), float(y0), float(x1 - x0), float(y1 - y0)


def visible_share(camera: Camera, target: Sequence[Drawable], others: Iterable[Drawable]) -> float:
    """Return how much of the target's outline nothing covers."""
    alone, together = Picture(camera), Picture(camera)
    alone.draw(target)
    together.draw([*target, *others])
    outline = np.isfinite(alone.depth)
    return float((together.depth[outline] >= alone.depth[outline] - 1e-4).mean())
