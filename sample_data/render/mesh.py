"""Triangle meshes with smooth normals, and their rasterisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from render.camera import NEAR_M, Camera, Floats, unit
from render.surface import Material

Pixels = tuple[np.ndarray, np.ndarray, Floats, Floats, Floats]


@dataclass(frozen=True)
class Mesh:
    """A mesh placed in the world.

    Args:
        vertices: `(V, 3)` in the coordinates of the model.
        normals: `(V, 3)` unit, in the same coordinates.
        faces: `(F, 3)` vertex numbers, counter-clockwise seen from outside.
        centre: World position of the model's origin.
        turn: `(3, 3)`, rows are the model's axes in the world.
        material: How its points look; it sees model coordinates.
    """

    vertices: Floats
    normals: Floats
    faces: np.ndarray
    centre: tuple[float, float, float]
    turn: Floats
    material: Material

    def corners(self) -> Floats:
        """Return the world corners of the model's bounding box."""
        low, high = self.vertices.min(axis=0), self.vertices.max(axis=0)
        box = np.array(
            [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
        )
        return self._placed(box.astype(np.float32))

    def rasterise(
        self, camera: Camera, window: tuple[slice, slice], shift: tuple[float, float], depth: Floats
    ) -> Pixels | None:
        """Return rows, columns, depths, model points and world normals of the pixels that see the mesh."""
        pixels, vertex_depth = camera.project(self._placed(self.vertices))
        if (vertex_depth < NEAR_M).any():
            return None
        top, left = window[0].start, window[1].start
        corners = (
            pixels[self.faces] - np.float32(0.5) - np.array([shift[0] + left, shift[1] + top], np.float32)
        )
        inverse = (1 / vertex_depth)[self.faces]
        nearest = 1 / depth[window]
        owner = np.full(nearest.shape, -1, np.int32)
        weights = np.zeros((*nearest.shape, 3), np.float32)
        for face in _front_faces(corners):
            _fill(corners[face], inverse[face], int(face), nearest, owner, weights)
        rows, columns = np.nonzero(owner >= 0)
        if rows.size == 0:
            return None
        faces, w = self.faces[owner[rows, columns]], weights[rows, columns][..., None]
        w = w / w.sum(axis=1, keepdims=True)
        local = (self.vertices[faces] * w).sum(axis=1)
        normal = (self.normals[faces] * w).sum(axis=1)
        return rows + top, columns + left, 1 / nearest[rows, columns], local, unit(normal) @ self.turn

    def _placed(self, points: Floats) -> Floats:
        return points @ self.turn + np.asarray(self.centre, np.float32)


def _front_faces(corners: Floats) -> np.ndarray:
    """Return the numbers of the triangles that face the camera (rows of the image point down)."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.nonzero(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < -1e-6)[0]


def _fill(
    corners: Floats, inverse: Floats, face: int, nearest: Floats, owner: np.ndarray, weights: Floats
) -> None:
    """Draw one triangle into the arrays; `nearest` holds inverse depth."""
    height, width = nearest.shape
    x0, y0 = np.maximum(np.ceil(corners.min(axis=0)).astype(int), 0)
    x1, y1 = np.floor(corners.max(axis=0)).astype(int) + 1
    x1, y1 = min(x1, width), min(y1, height)
    if x0 >= x1 or y0 >= y1:
        return
    x, y = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)[:, None]
    (ax, ay), (bx, by), (cx, cy) = corners
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    wb = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
    wc = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
    wa = 1 - wb - wc
    here = wa * inverse[0] + wb * inverse[1] + wc * inverse[2]
    patch = slice(y0, y1), slice(x0, x1)
    seen = (wa >= 0) & (wb >= 0) & (wc >= 0) & (here > nearest[patch])
    if not seen.any():
        return
    nearest[patch][seen] = here[seen]
    owner[patch][seen] = face
    weights[patch][seen] = np.stack([wa * inverse[0], wb * inverse[1], wc * inverse[2]], axis=-1)[seen]


def grid_mesh(points: Floats) -> tuple[Floats, Floats, np.ndarray]:
    """Return vertices, smooth normals and faces of a `(rows, columns, 3)` net of points."""
    rows, columns = points.shape[:2]
    vertices = points.reshape(-1, 3).astype(np.float32)
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.concatenate([np.stack(q, axis=-1).reshape(-1, 3) for q in ((a, b, c), (a, c, d))])
    edges = vertices[faces]
    flat = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], flat)
    return vertices, unit(normals), faces
