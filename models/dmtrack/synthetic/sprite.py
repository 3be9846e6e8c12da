"""`Sprite`: one thing that can be put into a scene, in a few poses, at several resolutions."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.synthetic import affine

Image = npt.NDArray[np.uint8]

_OPAQUE = 127
_SMALLEST_LEVEL_PX = 6


@dataclass(frozen=True, slots=True)
class Pose:
    """A sprite in one pose.

    Attributes:
        levels: `(h, w, 4)` uint8 RGB + alpha, colours premultiplied, each half the size of the one before.
        heat: `(h, w)` uint8 temperature, premultiplied with the same alpha, same levels.
        outline: `(N, 2)` points in pixels of level 0 whose bounding box is tight under any affine map.
    """

    levels: tuple[Image, ...]
    heat: tuple[Image, ...]
    outline: affine.Points


@dataclass(frozen=True, slots=True)
class Sprite:
    """A thing in one or more poses, all of the same picture size.

    Attributes:
        poses: One, or the frames of a repeating movement (a stride, a wing beat).
        width: Of level 0, in pixels.
        height: Of level 0, in pixels.
        box_size: Width and height of the outline in the first pose, in pixels.
        upright: True for things that rarely turn over: people, cars seen from the side.
    """

    poses: tuple[Pose, ...]
    width: int
    height: int
    box_size: tuple[float, float]
    upright: bool

    def pose(self, phase: float) -> Pose:
        """Return the pose at `phase`, in cycles."""
        return self.poses[int(phase * len(self.poses)) % len(self.poses)]


def make_pose(rgb: Image, alpha: Image, heat: Image) -> Pose | None:
    """Build a pose from `(h, w, 3)` colours, `(h, w)` alpha and temperature; None if nothing is opaque."""
    outline = outline_of(alpha)
    if outline is None:
        return None
    height, width = alpha.shape
    weight = cv2.merge([alpha, alpha, alpha])
    rgba = np.asarray(cv2.merge([*cv2.split(cv2.multiply(rgb, weight, scale=1 / 255)), alpha]), np.uint8)
    warm = np.asarray(cv2.multiply(heat, alpha, scale=1 / 255), np.uint8)
    levels, heats = [rgba], [warm]
    while min(height, width) > 2 * _SMALLEST_LEVEL_PX:
        # Levels halve exactly, so that one matrix times 2 per level serves all.
        height, width = (height + 1) // 2, (width + 1) // 2
        levels.append(_halved(levels[-1]))
        heats.append(_halved(heats[-1]))
    return Pose(tuple(levels), tuple(heats), outline)


def _halved(image: Image) -> Image:
    """Halve both sides by 2x2 means; an odd side is padded with empty pixels first."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.asarray(
            cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT, value=0)
        )
    size = (image.shape[1] // 2, image.shape[0] // 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


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
    """Build a sprite from `(rgb, alpha, heat)` per pose, cropped together to what is opaque."""
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
