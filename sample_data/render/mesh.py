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
        found = _fill(corners, inverse, _front_faces(corners), nearest)
        if found is None:
            return None
        rows, columns, owner, here, weights = found
        w = (weights / weights.sum(axis=1, keepdims=True))[..., None]
        faces = self.faces[owner]
        local = (self.vertices[faces] * w).sum(axis=1)
        normal = (self.normals[faces] * w).sum(axis=1)
        return rows + top, columns + left, 1 / here, local, unit(normal) @ self.turn

    def _placed(self, points: Floats) -> Floats:
        return points @ self.turn + np.asarray(self.centre, np.float32)


def _front_faces(corners: Floats) -> np.ndarray:
    """Return the numbers of the triangles that face the camera (rows of the image point down)."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.nonzero(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < -1e-6)[0]


def _fill(corners: Floats, inverse: Floats, faces: np.ndarray, nearest: Floats) -> Pixels | None:
    """Draw triangles where they are nearer than `nearest` (inverse depth).

    Returns:
        Rows, columns, faces, inverse depths and corner weights `(N, 3)` of the pixels covered.
    """
    tri, x, y = _covered(corners, faces, nearest.shape)
    (ax, ay), (bx, by), (cx, cy) = corners[tri].transpose(1, 2, 0)
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    px, py = x.astype(np.float32), y.astype(np.float32)
    wb = ((px - ax) * (cy - ay) - (py - ay) * (cx - ax)) / area
    wc = ((bx - ax) * (py - ay) - (by - ay) * (px - ax)) / area
    wa = 1 - wb - wc
    shares = np.stack([wa, wb, wc], axis=1) * inverse[tri]
    here = shares[:, 0] + shares[:, 1] + shares[:, 2]
    seen = np.nonzero((wa >= 0) & (wb >= 0) & (wc >= 0) & (here > nearest[y, x]))[0]
    if seen.size == 0:
        return None
    seen = seen[np.lexsort((-tri[seen], here[seen]))]  # the nearest is written last and stays
    winner = np.full(nearest.shape, -1, np.int64)
    winner[y[seen], x[seen]] = seen
    rows, columns = np.nonzero(winner >= 0)
    won = winner[rows, columns]
    return rows, columns, tri[won], here[won], shares[won]


def _covered(
    corners: Floats, faces: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every pair of a face and a pixel of its bounding rectangle: faces, columns, rows."""
    low = np.maximum(np.ceil(corners[faces].min(axis=1)).astype(int), 0)
    high = np.minimum(np.floor(corners[faces].max(axis=1)).astype(int) + 1, [shape[1], shape[0]])
    width, height = np.maximum(high - low, 0).T
    counts = width * height
    first = np.repeat(np.cumsum(counts) - counts, counts)
    place = np.arange(counts.sum()) - first
    wide = np.repeat(width, counts)
    x, y = np.repeat(low[:, 0], counts) + place % wide, np.repeat(low[:, 1], counts) + place // wide
    return np.repeat(faces, counts), x, y


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
