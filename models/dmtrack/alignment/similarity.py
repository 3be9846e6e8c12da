"""The coarse search for the scale, rotation and shift that bring the second picture onto the first.

All frame pairs of a recording share one alignment, so their correlations are added, in the frequency domain,
where one product tries every shift at once. How much better the best alignment is than chance is measured on
the recording itself: the second picture mirrored, or turned by 180 degrees, has the same kinds of edges but
fits nowhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.alignment.edges import EdgeMap, Matrix, Samples

Spectrum = npt.NDArray[np.complexfloating]

SCALES: Final = tuple(math.exp(step * 0.08) for step in range(-7, 8))
"""Scales tried, relative to pictures of the same area: 0.57 to 1.75."""
TURNS_DEG: Final = (-8.0, -4.0, 0.0, 4.0, 8.0)
SEARCH_SIDE_PX: Final = 112
_LEAST_OVERLAP: Final = 0.3
_SPARE: Final = 2.0
"""The canvas is this many times as large as the picture, so that shifts do not wrap around."""
_BORDER_PX: Final = 5


@dataclass(frozen=True, slots=True)
class SimilarityMatch:
    """The best similarity found."""

    matrix: Matrix  # maps pixels of the full second picture to pixels of the full first one
    score: float  # correlation times the root of the overlap: in units of the chance level
    chance: float  # the best score of the second picture mirrored in x, in y, or in both

    @property
    def ratio(self) -> float:
        """The score over that of chance."""
        return self.score / max(self.chance, 1e-6)


def find_similarity(samples: Samples) -> SimilarityMatch:
    """Search all scales, rotations and shifts of at least one frame pair, then finely around the best."""
    search = _ShiftSearch(samples, SEARCH_SIDE_PX)
    tried = [search.best_shift(scale, math.radians(turn)) for scale in SCALES for turn in TURNS_DEG]
    chance = max(trial.chance for trial in tried)
    best = max(tried, key=lambda trial: trial.score)
    for scale_step, turn_step in ((0.04, 2.0), (0.02, 1.0)):
        near = [
            search.best_shift(best.scale * math.exp(i * scale_step), best.turn + math.radians(j * turn_step))
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
            if i or j
        ]
        best = max([best, *near], key=lambda trial: trial.score)
    return SimilarityMatch(search.full_matrix(best), best.score, chance)


@dataclass(frozen=True, slots=True)
class _Trial:
    score: float
    chance: float
    scale: float
    turn: float
    dx: float
    dy: float


class _ShiftSearch:
    """Holds the spectra of the first pictures, and correlates transformed second pictures with them."""

    def __init__(self, samples: Samples, side_px: int) -> None:
        rgbs = [rgb.shrunk(side_px) for rgb, _ in samples]
        self._rgb = rgbs[0]
        width, height = self._rgb.size
        self._canvas = (_fft_size(width * _SPARE), _fft_size(height * _SPARE))
        self._origin = ((self._canvas[0] - width) // 2, (self._canvas[1] - height) // 2)
        inside = self._placed(np.ones((height, width), np.complex64))
        maps = [self._placed(_without_mean(rgb.edges(), None)) for rgb in rgbs]
        self._spectra = [np.fft.fft2(placed) for placed in maps]
        self._energy = np.fft.fft2(np.sum([np.abs(placed) ** 2 for placed in maps], axis=0))
        self._inside = np.fft.fft2(inside.real)
        self._area = float(width * height)
        aux_width, aux_height = samples[0][1].size
        near_side = max(aux_width, aux_height) * 1.5 * math.sqrt(self._area / (aux_width * aux_height))
        self._aux = [aux.shrunk(near_side) for _, aux in samples]

    def best_shift(self, scale: float, turn: float) -> _Trial:
        """Return the best shift for one scale and rotation, with the score of chance."""
        transform = self._transform(scale, turn, 0.0, 0.0)
        covered = self._covered(transform)
        cross = np.zeros((1 + len(_MIRRORS), *covered.shape), np.complex64)
        energy = np.zeros(covered.shape, np.float32)
        for spectrum, aux in zip(self._spectra, self._aux, strict=True):
            moved = cv2.warpAffine(
                aux.channels,
                transform[:2],
                self._canvas,
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            edges = _without_mean(aux.edges_of(moved), covered)
            moving = np.fft.fft2(edges)
            cross[0] += spectrum * np.conj(moving)
            for place, mirror in enumerate(_MIRRORS, start=1):
                cross[place] += spectrum * np.conj(mirror.edges(moving))
            energy += np.abs(edges) ** 2
        return self._trial(scale, turn, cross, (np.fft.fft2(covered), np.fft.fft2(energy)))

    def full_matrix(self, trial: _Trial) -> Matrix:
        """Return the map between the full pictures for a trial."""
        canvas_of_aux = self._transform(trial.scale, trial.turn, trial.dx, trial.dy)
        left, top = self._origin
        canvas_of_rgb = np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64) @ self._rgb.from_full
        full = np.linalg.inv(canvas_of_rgb) @ canvas_of_aux @ self._aux[0].from_full
        return np.asarray(full / full[2, 2], np.float64)

    def _trial(self, scale: float, turn: float, cross: Spectrum, moving: tuple[Spectrum, Spectrum]) -> _Trial:
        score = self._scores(cross[0], *moving)
        row, column = np.unravel_index(int(np.argmax(score)), score.shape)
        chances = [
            float(self._scores(cross[place], mirror.real(moving[0]), mirror.real(moving[1])).max())
            for place, mirror in enumerate(_MIRRORS, start=1)
        ]
        dy, dx = _signed(int(row), score.shape[0]), _signed(int(column), score.shape[1])
        return _Trial(float(score[row, column]), max(chances), scale, turn, float(dx), float(dy))

    def _scores(self, cross: Spectrum, covered: Spectrum, energy: Spectrum) -> npt.NDArray[np.float32]:
        """Return, for every shift, the correlation over the root of the energies' geometric mean."""
        aux_energy = np.fft.ifft2(self._inside * np.conj(energy)).real
        rgb_energy = np.fft.ifft2(self._energy * np.conj(covered)).real
        overlap = np.fft.ifft2(self._inside * np.conj(covered)).real / self._area
        scale = np.sqrt(np.sqrt(np.maximum(aux_energy, 1e-3) * np.maximum(rgb_energy, 1e-3)))
        scores = np.fft.ifft2(cross).real / scale
        return np.where(overlap >= _LEAST_OVERLAP, scores, -np.inf).astype(np.float32)

    def _covered(self, transform: Matrix) -> npt.NDArray[np.float32]:
        """Return 1 where the transformed second picture has pixels, without its border, else 0."""
        width, height = self._aux[0].size
        whole = cv2.warpAffine(np.ones((height, width), np.float32), transform[:2], self._canvas)
        inner = cv2.erode(whole, np.ones((_BORDER_PX, _BORDER_PX), np.uint8), borderValue=0)
        return (inner > 0.99).astype(np.float32)

    def _transform(self, scale: float, turn: float, dx: float, dy: float) -> Matrix:
        """Return the map from the small second picture to the canvas, about the two centres."""
        (aux_width, aux_height), (width, height) = self._aux[0].size, self._rgb.size
        factor = scale * math.sqrt(self._area / (aux_width * aux_height))
        cos, sin = factor * math.cos(turn), factor * math.sin(turn)
        about = np.array([[1, 0, -(aux_width - 1) / 2], [0, 1, -(aux_height - 1) / 2], [0, 0, 1]])
        x, y = self._origin[0] + (width - 1) / 2 + dx, self._origin[1] + (height - 1) / 2 + dy
        return np.asarray(np.array([[cos, -sin, x], [sin, cos, y], [0, 0, 1]]) @ about, np.float64)

    def _placed(self, edges: EdgeMap) -> EdgeMap:
        canvas = np.zeros((self._canvas[1], self._canvas[0]), np.complex64)
        left, top = self._origin
        canvas[top : top + edges.shape[0], left : left + edges.shape[1]] = edges
        return canvas


@dataclass(frozen=True, slots=True)
class _Mirror:
    """Mirrors a picture given its spectrum, along `axes`."""

    axes: tuple[int, ...]

    def real(self, spectrum: Spectrum) -> Spectrum:
        """Return the spectrum of the mirrored picture, for a real one."""
        return np.asarray(np.roll(np.flip(spectrum, self.axes), 1, self.axes))

    def edges(self, spectrum: Spectrum) -> Spectrum:
        """Return the spectrum of the mirrored edge map; along one axis, the edges' angles change sign too."""
        if len(self.axes) == 2:
            return self.real(spectrum)
        (axis,) = self.axes
        mirrored: Spectrum = np.conj(_Mirror((1 - axis,)).real(spectrum))
        return mirrored


_MIRRORS: Final = (_Mirror((0,)), _Mirror((1,)), _Mirror((0, 1)))


def _without_mean(edges: EdgeMap, covered: npt.NDArray[np.float32] | None) -> EdgeMap:
    """Subtract the mean (pictures full of horizontal lines match anywhere) and zero what is not covered."""
    if covered is None:
        return np.asarray(edges - edges.mean(), np.complex64)
    share = float(covered.sum())
    mean = (edges * covered).sum() / max(share, 1.0)
    return np.asarray((edges - mean) * covered, np.complex64)


def _fft_size(length: float) -> int:
    """Return an even length with small prime factors, at least `length`."""
    return cv2.getOptimalDFTSize((math.ceil(length) + 1) // 2) * 2


def _signed(index: int, length: int) -> int:
    return index - length if index > length // 2 else index
