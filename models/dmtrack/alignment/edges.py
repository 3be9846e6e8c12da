"""`edge_map`: the position and orientation of edges, which pictures of different sensors have in common.

An edge may be bright to dark in one sensor and dark to bright in the other, and strong in one and weak in
the other. So an edge is stored as a complex number: its doubled angle (which is the same for both signs) and
a strength between 0 and 1 that says how much it stands out from its surroundings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self, cast

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.geometry.homography import Homography
from dmtrack.video.frame import Modality, Pixels

Channels = npt.NDArray[np.float32]  # `(H, W, C)` float32, the input of `edge_map`
EdgeMap = npt.NDArray[np.complex64]
"""`(H, W)` complex64: strength in [0, 1) times `exp(2i * angle of the gradient)`."""
Matrix = npt.NDArray[np.float64]  # `(3, 3)` float64, maps homogeneous pixels

_BLUR_PX: Final = 1.0
_SURROUNDINGS_PX: Final = 8.0
_NOISE_SHARE: Final = 0.5  # share of the picture's mean strength below which an edge counts as noise
_NEAREST: Final = 4.0  # inverse depth is clipped at this many times the median
_HOLE: Final = 9.0
_HOLE_WEIGHT: Final = 0.3
"""Borders of depth holes are edges too, but weaker evidence: shadows of the projector have them as well."""


def floats(picture: cv2.typing.MatLike) -> Channels:
    """Return OpenCV's output as `(H, W, C)` float32; OpenCV drops the axis of a single channel."""
    return np.asarray(picture, np.float32).reshape(*picture.shape[:2], -1)


def rgb_channels(pixels: Pixels) -> Channels:
    """Return the square root of an RGB or grey picture, so that lamps do not dominate."""
    return np.sqrt(_with_channels(pixels).astype(np.float32))


def aux_channels(pixels: Pixels, modality: Modality) -> Channels:
    """Return the channels to search for edges: brightness, inverse depth and holes, or event density."""
    if modality is Modality.DEPTH and pixels.ndim == 2:
        return _depth_channels(pixels)
    colour = _with_channels(pixels).astype(np.float32)
    if modality is Modality.EVENT:
        return cast(Channels, (255 - colour.min(axis=2, keepdims=True)) / 255)
    if modality is Modality.DEPTH:
        return cast(Channels, colour / 255)
    grey = colour.mean(axis=2, keepdims=True)
    low, high = np.percentile(grey, (1.0, 99.5))
    return cast(Channels, np.clip((grey - low) / max(high - low, 1.0), 0, 1).astype(np.float32))


def edge_map(channels: Channels, *, steps_only: bool = False) -> EdgeMap:
    """Return the edges of a picture, from the squared complex gradient summed over its channels.

    `channels` are `(H, W, C)` float32. `steps_only` drops gradients that are no stronger than their
    surroundings: a table in a depth map is one even slope, which would match any horizontal line.
    """
    height, width = channels.shape[:2]
    smooth = cv2.GaussianBlur(channels, (0, 0), _BLUR_PX).reshape(height, width, -1)
    squared = np.zeros((height, width), np.complex64)
    for channel in np.moveaxis(smooth, 2, 0):
        layer = np.ascontiguousarray(channel)
        dx = cv2.Scharr(layer, cv2.CV_32F, 1, 0, scale=1 / 32)
        dy = cv2.Scharr(layer, cv2.CV_32F, 0, 1, scale=1 / 32)
        squared.real += dx * dx - dy * dy
        squared.imag += 2 * dx * dy
    strength = np.sqrt(np.abs(squared))
    around = cv2.GaussianBlur(strength, (0, 0), _BLUR_PX * _SURROUNDINGS_PX)
    noise = _NOISE_SHARE * float(strength.mean()) + 1e-6
    above = np.maximum(strength - around, 0) if steps_only else strength
    relative = above / (around + noise)
    squared *= relative / (1 + relative) / (strength * strength + 1e-12)
    return cast(EdgeMap, squared)


@dataclass(frozen=True, slots=True)
class SearchPicture:
    """A picture shrunk for the search."""

    channels: Channels  # `(h, w, C)` float32
    from_full: Matrix  # maps pixels of the full picture to pixels of this one
    steps_only: bool = False  # ignore even slopes (see `edge_map`)

    @classmethod
    def of(cls, channels: Channels, long_side_px: int, *, steps_only: bool = False) -> Self:
        """Shrink full-size channels to a long side of at most `long_side_px`."""
        return cls(channels, np.eye(3), steps_only).shrunk(long_side_px)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return int(self.channels.shape[1]), int(self.channels.shape[0])

    def shrunk(self, long_side_px: float) -> Self:
        """Return the picture with a long side of at most `long_side_px`."""
        width, height = self.size
        factor = long_side_px / max(width, height)
        if factor >= 1:
            return self
        size = (max(8, round(width * factor)), max(8, round(height * factor)))
        small = cv2.resize(self.channels, size, interpolation=cv2.INTER_AREA)
        resized = Homography.stretch(self.size, size).matrix
        return replace(self, channels=floats(small), from_full=resized @ self.from_full)

    def edges(self) -> EdgeMap:
        """Return the edges of the picture."""
        return edge_map(self.channels, steps_only=self.steps_only)

    def edges_of(self, warped: cv2.typing.MatLike) -> EdgeMap:
        """Return the edges of this picture after OpenCV warped it."""
        return edge_map(floats(warped), steps_only=self.steps_only)


Samples = Sequence[tuple[SearchPicture, SearchPicture]]
"""Pairs of RGB and second picture, each stream of one size."""


def _with_channels(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _depth_channels(pixels: Pixels) -> Channels:
    """Return inverse depth, with holes filled from their farther side, and the holes themselves."""
    depth = pixels.astype(np.float32)
    hole = depth <= 0
    middle = float(np.median(depth[~hole])) if not hole.all() else 1.0
    inverse = np.minimum(np.float32(middle) / np.maximum(depth, np.float32(1)), np.float32(_NEAREST))
    inverse[hole] = _HOLE
    while hole.any() and not hole.all():  # a shadow hides what is behind the object: fill it with that
        farther = cv2.erode(inverse, np.ones((3, 3), np.uint8))
        inverse = np.where(inverse >= _HOLE, farther, inverse)
        if float(inverse.max()) < _HOLE:
            break
    return np.dstack([inverse, np.float32(_HOLE_WEIGHT) * hole.astype(np.float32)])
