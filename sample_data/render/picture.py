"""The picture under construction: nearest surface per pixel, and its lighting."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from render.camera import Camera, Floats
from render.mesh import Mesh
from render.shapes import Shape
from render.surface import Hit, Surface


class Picture:
    """Per pixel: depth, and the surface seen there.

    Attributes:
        depth: `(H, W)` metres along the optical axis; infinity is the sky.
        albedo, emit, normal: `(H, W, 3)`.
        gloss, heat: `(H, W)`.
    """

    def __init__(self, camera: Camera, shift_x_px: float = 0.0, shift_y_px: float = 0.0) -> None:
        self.camera = camera
        self.origin = np.asarray(camera.position, np.float32)
        self.rays = camera.rays(shift_x_px, shift_y_px)
        self.shift = (shift_x_px, shift_y_px)
        size = (camera.height, camera.width)
        self.depth = np.full(size, np.inf, np.float32)
        self.albedo = np.zeros((*size, 3), np.float32)
        self.emit = np.zeros((*size, 3), np.float32)
        self.normal = np.zeros((*size, 3), np.float32)
        self.gloss = np.zeros(size, np.float32)
        self.heat = np.zeros(size, np.float32)

    def draw(self, shapes: Iterable[Shape | Mesh]) -> None:
        """Draw every shape where it is nearer than what is there."""
        for shape in shapes:
            window = self.camera.window(shape.corners())
            if window is None:
                continue
            if isinstance(shape, Mesh):
                self._draw_mesh(shape, window)
            else:
                self._draw_shape(shape, window)

    def points(self) -> Floats:
        """Return the world point `(H, W, 3)` seen by every pixel (the sky is put 1 km away)."""
        return self.origin + self.rays * np.minimum(self.depth, 1000.0)[..., None]

    def _draw_shape(self, shape: Shape, window: tuple[slice, slice]) -> None:
        rays = self.rays[window].reshape(-1, 3)
        t = shape.distance(self.origin, rays).reshape(self.depth[window].shape)
        rows, columns = np.nonzero(t < self.depth[window])
        if rows.size == 0:
            return
        t = t[rows, columns]
        rows, columns = rows + window[0].start, columns + window[1].start
        world = self.origin + self.rays[rows, columns] * t[:, None]
        hit = Hit(shape.local(world), world, shape.normal(world), t / self.camera.focal_px)
        self._store(rows, columns, t, hit.normal, shape.material(hit))

    def _draw_mesh(self, mesh: Mesh, window: tuple[slice, slice]) -> None:
        found = mesh.rasterise(self.camera, window, self.shift, self.depth)
        if found is None:
            return
        rows, columns, t, local, normal = found
        world = self.origin + self.rays[rows, columns] * t[:, None]
        hit = Hit(local, world, normal, t / self.camera.focal_px)
        self._store(rows, columns, t, normal, mesh.material(hit))

    def _store(
        self, rows: np.ndarray, columns: np.ndarray, t: Floats, normal: Floats, surface: Surface
    ) -> None:
        self.depth[rows, columns] = t
        self.normal[rows, columns] = normal
        self.albedo[rows, columns] = surface.albedo
        self.emit[rows, columns] = surface.emit
        self.gloss[rows, columns] = surface.gloss
        self.heat[rows, columns] = surface.heat
