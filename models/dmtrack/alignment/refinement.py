"""From a similarity to a homography: the eight parameters under which all blocks agree best.

In each round the second picture is warped by the present estimate, the blocks are correlated, and the sum of
their sharpened surfaces is maximised over the eight parameters of a homography. Rounds go from small pictures
and wide surfaces to large pictures and narrow surfaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from dmtrack.alignment.edges import Matrix, Samples
from dmtrack.alignment.surfaces import BlockSurfaces, Floats, block_surfaces


@dataclass(frozen=True, slots=True)
class _Round:
    side_px: int
    radius_px: int
    stiffness: float


_ROUNDS: Final = (
    _Round(160, 10, 30.0),
    _Round(160, 8, 10.0),
    _Round(240, 8, 3.0),
    _Round(320, 6, 1.0),
    _Round(480, 6, 0.3),
    _Round(480, 4, 0.3),
)
"""Stiffness keeps the homography near a similarity while the pictures are small."""
_BLOCK_SHARE: Final = 1 / 5
_BLURS: Final = (0.4, 0.2, 0.1)  # blur of the surfaces, in radii
_STEPS: Final = 12
_BORDER_PX: Final = 5
_AGREES: Final = 0.5  # a block agrees if its score is at least this share of its own best


@dataclass(frozen=True, slots=True)
class Refined:
    """A homography and how well the blocks agree with it."""

    matrix: Matrix  # maps pixels of the full second picture to pixels of the full first one
    # Root mean square distance of the agreeing blocks from their own best shift, across their edges, in
    # pixels of the full first picture
    residual_px: float
    agreement: float  # share of the blocks that agree
    score: float  # mean score of the blocks


def refine(samples: Samples, start: Matrix) -> Refined | None:
    """Refine a map from the second picture to the first that is within a few percent of the truth.

    Returns None if the pictures no longer overlap.
    """
    matrix = start
    refined = None
    for step in _ROUNDS:
        surfaces, to_work = _surfaces(samples, matrix, step)
        if surfaces is None:
            return None
        change = _climb(surfaces, step)
        refined = _assess(surfaces, change, to_work)
        matrix = np.linalg.inv(to_work) @ change @ to_work @ matrix
        matrix = matrix / matrix[2, 2]
    return None if refined is None else Refined(matrix, refined.residual_px, refined.agreement, refined.score)


def _surfaces(samples: Samples, matrix: Matrix, step: _Round) -> tuple[BlockSurfaces | None, Matrix]:
    """Warp the second pictures by `matrix` to the working size, and correlate the blocks."""
    still, moving = [], []
    covered = None
    for rgb, aux in samples:
        first = rgb.shrunk(step.side_px)
        near = aux.shrunk(_near_side(first.from_full @ matrix, aux.from_full, aux.size))
        warp = first.from_full @ matrix @ np.linalg.inv(near.from_full)
        moved = cv2.warpPerspective(
            near.channels, warp, first.size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        if covered is None:
            ones = np.ones(near.channels.shape[:2], np.float32)
            whole = cv2.warpPerspective(ones, warp, first.size)
            inner = cv2.erode(whole, np.ones((_BORDER_PX, _BORDER_PX), np.uint8), borderValue=1)
            covered = (inner > 0.99).astype(np.float32)
            to_work = first.from_full
        still.append(first.edges())
        moving.append(near.edges_of(moved))
    if covered is None:
        raise ValueError("no frame pair to refine on")
    block = max(24, round(max(covered.shape) * _BLOCK_SHARE))
    return block_surfaces(still, moving, covered, min(block, *covered.shape), step.radius_px), to_work


def _near_side(to_grid: Matrix, from_full: Matrix, aux_size: tuple[int, int]) -> float:
    """Return the long side at which the second picture has 1.5 times the density of the grid."""
    warp = to_grid @ np.linalg.inv(from_full)
    density = np.sqrt(abs(np.linalg.det(warp[:2, :2] / warp[2, 2])))
    return float(max(aux_size) * min(1.0, 1.5 * density))


def _climb(surfaces: BlockSurfaces, step: _Round) -> Matrix:
    """Return the homography of the working grid that maximises the sum of the surfaces."""
    centre, half = _frame(surfaces.centres)
    places = (surfaces.centres - centre) / half
    parameters = np.zeros(8)
    sharp = surfaces.sharpened().finer()
    for share in _BLURS:
        smooth = sharp.blurred(max(0.7, share * surfaces.radius_px))
        parameters = _ascend(smooth, places, parameters, step.stiffness)
    normal = np.array([[1 / half, 0, -centre[0] / half], [0, 1 / half, -centre[1] / half], [0, 0, 1]])
    return np.asarray(np.linalg.inv(normal) @ _homography(parameters / half) @ normal, np.float64)


def _ascend(surfaces: BlockSurfaces, places: Floats, parameters: Floats, stiffness: float) -> Floats:
    """Maximise by damped Newton steps; parameters are pixels of displacement at the edge."""
    _, half = _frame(surfaces.centres)
    basis = _basis(places)
    prior = stiffness * len(places) * 0.002 * _PENALTY
    damping = 1e-3
    slopes = surfaces.slopes()

    def height(candidate: Floats) -> float:
        return float(
            surfaces.at(_shifts(candidate, places, half)).sum() - 0.5 * candidate @ prior @ candidate
        )

    best = height(parameters)
    for _ in range(_STEPS):
        gradient, bend = slopes.at(_shifts(parameters, places, half))
        slope = np.einsum("bij,bi->j", basis, gradient) - prior @ parameters
        curvature = np.einsum("bij,bik,bkl->jl", basis, bend, basis) + prior
        scaled = curvature + damping * np.diag(np.diag(curvature)) + 1e-9 * np.eye(8)
        candidate = parameters + np.linalg.solve(scaled, slope)
        reached = height(candidate)
        if reached > best:
            if reached - best < 1e-7 * abs(best):
                return candidate
            parameters, best, damping = candidate, reached, damping * 0.3
        else:
            damping *= 8
    return parameters


def _assess(surfaces: BlockSurfaces, change: Matrix, to_work: Matrix) -> Refined:
    smooth = surfaces.finer().blurred(0.7)
    moved = _mapped(change, surfaces.centres) - surfaces.centres
    reached = smooth.at(moved)
    highest = smooth.scores.max(axis=(1, 2))
    agree = (reached >= _AGREES * highest) & (reached > 0)
    away = smooth.peaks() - moved
    _, bend = smooth.slopes().at(moved)
    stiffest = np.linalg.eigvalsh(bend)[:, 1]
    squared = np.einsum("bi,bij,bj->b", away, bend, away) / stiffest
    residual = float(np.sqrt(np.average(squared[agree], weights=highest[agree]))) if agree.any() else np.inf
    return Refined(change, residual / float(to_work[0, 0]), float(agree.mean()), float(reached.mean()))


_PENALTY: Final = np.array(
    [  # a, d, b, f, c, e, g, h: penalises different scales in x and y, shear, and perspective
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 5, -5, 0, 0, 0, 0],
        [0, 0, -5, 5, 0, 0, 0, 0],
        [0, 0, 0, 0, 5, 5, 0, 0],
        [0, 0, 0, 0, 5, 5, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 1],
    ],
    np.float64,
)


def _homography(p: Floats) -> Matrix:
    a, d, b, f, c, e, g, h = p
    return np.array([[1 + b, c, a], [e, 1 + f, d], [-g, -h, 1]], np.float64)


def _basis(places: Floats) -> Floats:
    """Return the displacements `(B, 2, 8)` for one unit of each parameter, to first order."""
    x, y = places.T
    zero, one = np.zeros_like(x), np.ones_like(x)
    in_x = np.stack([one, zero, x, zero, y, zero, x * x, x * y], axis=1)
    in_y = np.stack([zero, one, zero, y, zero, x, x * y, y * y], axis=1)
    return np.stack([in_x, in_y], axis=1)


def _shifts(parameters: Floats, places: Floats, half: float) -> Floats:
    return (_mapped(_homography(parameters / half), places) - places) * half


def _mapped(matrix: Matrix, points: Floats) -> Floats:
    return np.asarray(cv2.perspectiveTransform(points[None], matrix)[0], np.float64)


def _frame(centres: Floats) -> tuple[Floats, float]:
    """Return the middle of the blocks and half their extent."""
    low, high = centres.min(axis=0), centres.max(axis=0)
    return (low + high) / 2, max(1.0, float((high - low).max() / 2))
