"""For each block, how well the two edge maps agree for every small shift.

A block with a single straight edge determines its shift across the edge but not along it. A whole surface of
scores expresses this; a single best shift for each block would not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.alignment.edges import EdgeMap

Floats = npt.NDArray[np.float64]
Layers = npt.NDArray[np.floating]

_LEAST_COVERED: Final = 0.5
_SHARPENING: Final = 5.0
_FINER: Final = 4
_FLATTEST: Final = 1e-4  # least curvature that is used, in units of correlation a squared pixel


@dataclass(frozen=True, slots=True)
class BlockSurfaces:
    """The scores of all shifts within a radius, for every block."""

    centres: Floats  # `(B, 2)` block centres x, y in pixels
    # `(B, n, n)` correlation by shift in y and x, no shift in the middle; summed over frames
    scores: npt.NDArray[np.float32]
    step_px: float = 1.0  # from one shift to the next

    @property
    def radius_px(self) -> float:
        """Largest shift."""
        return int(self.scores.shape[1] - 1) / 2 * self.step_px

    def blurred(self, sigma_px: float) -> BlockSurfaces:
        """Return the surfaces smoothed, so that distant peaks attract too."""
        sigma = sigma_px / self.step_px
        smooth = [cv2.GaussianBlur(s, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) for s in self.scores]
        return replace(self, scores=np.asarray(smooth, np.float32))

    def finer(self) -> BlockSurfaces:
        """Return the surfaces at quarter steps; linear interpolation would peak at whole steps only."""
        count = (self.scores.shape[1] - 1) * _FINER + 1
        places = np.arange(count, dtype=np.float32) / _FINER
        columns, rows = np.meshgrid(places, places)
        fine = [
            cv2.remap(s, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE) for s in self.scores
        ]
        return replace(self, scores=np.asarray(fine, np.float32), step_px=self.step_px / _FINER)

    def sharpened(self) -> BlockSurfaces:
        """Return the squares of the scores above the median, which gives more weight to clear peaks."""
        rise = self.scores - np.median(self.scores, axis=(1, 2), keepdims=True)
        return replace(self, scores=(np.maximum(rise, 0) ** 2 * _SHARPENING).astype(np.float32))

    def at(self, shifts: Floats) -> Floats:
        """Return the scores `(B,)` at the shifts `(B, 2)` in x, y, interpolated."""
        return _sampled(self.scores, shifts / self.step_px)

    def slopes(self) -> Slopes:
        """Return the first and second derivatives of the surfaces."""
        dy, dx = (np.asarray(part) for part in np.gradient(self.scores, self.step_px, axis=(1, 2)))
        dxy, dxx = (np.asarray(part) for part in np.gradient(dx, self.step_px, axis=(1, 2)))
        dyy = np.asarray(np.gradient(dy, self.step_px, axis=1))
        return Slopes((dx, dy), (dxx, dxy, dyy), self.step_px)

    def peaks(self) -> Floats:
        """Return the best shift `(B, 2)` of every block in x, y, with subpixel precision."""
        return np.array([_peak(surface) for surface in self.scores], np.float64) * self.step_px


@dataclass(frozen=True, slots=True)
class Slopes:
    """Derivatives of surfaces, layers of `(B, n, n)`."""

    first: tuple[Layers, Layers]  # in x and in y
    second: tuple[Layers, Layers, Layers]  # in x and x, x and y, y and y
    step_px: float  # from one shift to the next

    def at(self, shifts: Floats) -> tuple[Floats, Floats]:
        """Return gradients `(B, 2)` and downward curvatures `(B, 2, 2)`, always positive, at the shifts."""
        places = shifts / self.step_px
        dxx, dxy, dyy = (_sampled(layer, places) for layer in self.second)
        bend = -np.stack([dxx, dxy, dxy, dyy], axis=1).reshape(-1, 2, 2)
        values, vectors = np.linalg.eigh(bend)
        values = np.maximum(values, _FLATTEST)
        gradient = np.stack([_sampled(layer, places) for layer in self.first], axis=1)
        return gradient, np.einsum("bij,bj,bkj->bik", vectors, values, vectors)


def block_surfaces(
    still: Sequence[EdgeMap],
    moving: Sequence[EdgeMap],
    covered: npt.NDArray[np.float32],
    block_px: int,
    radius_px: int,
) -> BlockSurfaces | None:
    """Correlate blocks of `moving` with `still`, frame by frame, and sum over the frames.

    All are `(H, W)` on one grid: edge maps of both streams, and `covered`, 1 where the second stream has
    pixels. `block_px` is the side of a block, `radius_px` the largest shift. Returns the surfaces of the
    blocks that lie mostly in both pictures; None if there are none.
    """
    margin = ((radius_px, radius_px), (radius_px, radius_px))
    wide = [_two_channels(np.pad(edges, margin)) for edges in still]
    narrow = [_two_channels(edges * covered) for edges in moving]
    corners = list(_corners(covered, block_px))
    if not corners:
        return None
    side = block_px + 2 * radius_px
    products, energies = [], []
    for x, y in corners:
        product = np.zeros((2 * radius_px + 1, 2 * radius_px + 1), np.float32)
        own = 0.0
        still_energy = np.zeros((side, side), np.float32)
        for around, edges in zip(wide, narrow, strict=True):
            block = edges[y : y + block_px, x : x + block_px]
            area = around[y : y + side, x : x + side]
            product += cv2.matchTemplate(area, block, cv2.TM_CCORR)
            own += float(np.square(block).sum())
            still_energy += np.square(area).sum(axis=2)
        ones = np.ones((block_px, block_px), np.float32)
        energies.append((own, np.maximum(cv2.matchTemplate(still_energy, ones, cv2.TM_CCORR), 0)))
        products.append(product)
    usual_own = float(np.mean([own for own, _ in energies])) + 1e-6
    usual_still = float(np.mean([still_part.mean() for _, still_part in energies])) + 1e-6
    scores = [
        product / np.sqrt((own + usual_own) * (still_part + usual_still))
        for product, (own, still_part) in zip(products, energies, strict=True)
    ]
    centres = np.array(corners, np.float64) + (block_px - 1) / 2
    return BlockSurfaces(centres, np.asarray(scores, np.float32))


def _corners(covered: npt.NDArray[np.float32], block_px: int) -> Iterator[tuple[int, int]]:
    """Yield the top left corners of the blocks, which overlap each other by half."""
    height, width = covered.shape
    for y in _starts(height, block_px):
        for x in _starts(width, block_px):
            if float(covered[y : y + block_px, x : x + block_px].mean()) >= _LEAST_COVERED:
                yield x, y


def _starts(length: int, block_px: int) -> list[int]:
    count = max(2, round((length - block_px) / (block_px / 2)) + 1)
    return sorted({round(start) for start in np.linspace(0, max(0, length - block_px), count)})


def _two_channels(edges: npt.NDArray[np.complexfloating]) -> npt.NDArray[np.float32]:
    return np.dstack([edges.real, edges.imag]).astype(np.float32)


def _sampled(layers: npt.NDArray[np.floating], places: Floats) -> Floats:
    """Read `(B, n, n)` layers at `(B, 2)` places relative to their middle: bilinear, clamped at borders."""
    last = layers.shape[1] - 1
    place = np.clip(places + last / 2, 0, last - 1e-6)
    x0, y0 = np.floor(place).astype(int).T
    fx, fy = (place - np.floor(place)).T
    block = np.arange(len(layers))
    top = layers[block, y0, x0] * (1 - fx) + layers[block, y0, x0 + 1] * fx
    bottom = layers[block, y0 + 1, x0] * (1 - fx) + layers[block, y0 + 1, x0 + 1] * fx
    return np.asarray(top * (1 - fy) + bottom * fy, np.float64)


def _peak(surface: npt.NDArray[np.float32]) -> tuple[float, float]:
    row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
    middle = (surface.shape[0] - 1) / 2
    dx = parabola_peak(surface[row, :], int(column))
    dy = parabola_peak(surface[:, column], int(row))
    return dx - middle, dy - middle


def parabola_peak(values: npt.NDArray[np.floating], index: int) -> float:
    """Return the position of the vertex of the parabola through a peak and its two neighbours."""
    if not 0 < index < len(values) - 1:
        return float(index)
    before, here, after = (float(values[index + step]) for step in (-1, 0, 1))
    bend = before - 2 * here + after
    return index + (0.5 * (before - after) / bend if bend < 0 else 0.0)
