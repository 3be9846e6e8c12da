"""How much moves in a stream, moment by moment: what two sensors of one scene agree on in time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.alignment.edges import Channels, EdgeMap, aux_channels, edge_map, floats, rgb_channels
from dmtrack.alignment.surfaces import parabola_peak
from dmtrack.video.frame import Frame, Modality, Pixels

Floats = npt.NDArray[np.float64]

CELLS: Final = (4, 3)
"""Columns and rows of the cells that motion is summed in; coarse, as the views need not be aligned."""
_CELL_PX: Final = 24


@dataclass(frozen=True, slots=True)
class MotionSignal:
    """Motion energy over time.

    Attributes:
        times_s: `(T,)` moments in seconds, increasing.
        energy: `(T, cells)` how much changes, in units of the stream's own.
        drift: `(T, 2)` how fast the whole picture moves to the right and down, in picture widths a second.
    """

    times_s: Floats
    energy: Floats
    drift: Floats

    @property
    def step_s(self) -> float:
        """The usual time between two moments."""
        return float(np.median(np.diff(self.times_s)))

    def energy_at(self, times_s: Floats) -> Floats:
        """Return the energy `(N, cells)` at other moments, linear in between."""
        return np.stack([np.interp(times_s, self.times_s, cell) for cell in self.energy.T], axis=1)

    def drift_at(self, times_s: Floats) -> Floats:
        """Return the drift `(N, 2)` at other moments, linear in between."""
        return np.stack([np.interp(times_s, self.times_s, part) for part in self.drift.T], axis=1)


def motion_signal(
    frames: Iterable[Frame], modality: Modality | None, longest_s: Fraction = Fraction(180)
) -> MotionSignal:
    """Measure the motion of a stream.

    The change between two frames belongs to the moment between them. An event picture holds
    what changed already, over the time since the frame before.

    Args:
        frames: The stream from its start.
        modality: What it measures; None for the RGB stream.
        longest_s: No more than so many seconds are read.

    Returns:
        A signal of one moment less than there are frames; empty with fewer than two.
    """
    moments: list[float] = []
    energy: list[Floats] = []
    drift: list[tuple[float, float]] = []
    before: tuple[Frame, Channels, EdgeMap] | None = None
    start_s: Fraction | None = None
    size = (CELLS[0] * _CELL_PX, CELLS[1] * _CELL_PX)
    for frame in frames:
        start_s = frame.time_s if start_s is None else start_s
        if frame.time_s - start_s > longest_s:
            break
        small = _small(frame, modality)
        spectrum = np.asarray(np.fft.fft2(edge_map(small)), np.complex64)
        if before is not None:
            step_s = float(frame.time_s - before[0].time_s)
            change = small if modality is Modality.EVENT else np.abs(small - before[1])
            moments.append(float(frame.time_s + before[0].time_s) / 2)
            energy.append(_cell_means(change) / step_s)
            dx, dy = _shift_px(before[2], spectrum)
            drift.append((dx / size[0] / step_s, dy / size[0] / step_s))
        before = (frame, small, spectrum)
    count = len(moments)
    return MotionSignal(
        np.array(moments), np.reshape(energy, (count, CELLS[0] * CELLS[1])), np.reshape(drift, (count, 2))
    )


def _small(frame: Frame, modality: Modality | None) -> Channels:
    pixels = frame.pixels
    size = (CELLS[0] * _CELL_PX, CELLS[1] * _CELL_PX)
    if modality is Modality.DEPTH:  # holes must not blend with depth
        thin = cast(Pixels, cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST))
        return aux_channels(thin, modality).reshape(size[1], size[0], -1)[..., :1]
    channels = rgb_channels(pixels) if modality is None else aux_channels(pixels, modality)
    return floats(cv2.resize(channels, size, interpolation=cv2.INTER_AREA))


def _cell_means(change: Channels) -> Floats:
    flat = change.mean(axis=2)
    columns, rows = CELLS
    cells = flat.reshape(rows, _CELL_PX, columns, _CELL_PX).mean(axis=(1, 3))
    return np.asarray(cells.ravel(), np.float64)


def _shift_px(before: EdgeMap, after: EdgeMap) -> tuple[float, float]:
    """Return how far the edges moved between two frames, given their spectra, to parts of a pixel."""
    agreement = np.fft.ifft2(after * np.conj(before)).real
    row, column = np.unravel_index(int(np.argmax(agreement)), agreement.shape)
    height, width = agreement.shape
    across = np.roll(agreement[row], width // 2 - int(column))
    down = np.roll(agreement[:, column], height // 2 - int(row))
    dx = int(column) + parabola_peak(across, width // 2) - width // 2
    dy = int(row) + parabola_peak(down, height // 2) - height // 2
    return (dx - width if dx > width / 2 else dx), (dy - height if dy > height / 2 else dy)
