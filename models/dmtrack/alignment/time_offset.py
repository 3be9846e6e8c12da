"""The offset between two streams' clocks, found from the motion that both see."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.alignment.edges import Channels, EdgeMap, aux_channels, edge_map, floats, rgb_channels
from dmtrack.alignment.surfaces import parabola_peak
from dmtrack.errors import AlignmentError
from dmtrack.video.frame import Frame, Modality, Pixels

Floats = npt.NDArray[np.float64]

LEAST_CONFIDENCE: Final = 0.5
CELLS: Final = (4, 3)
"""Columns and rows of the cells over which motion is summed; coarse, as the views need not be aligned."""
_CELL_PX: Final = 24


@dataclass(frozen=True, slots=True)
class MotionSignal:
    """Motion energy over time."""

    times_s: Floats  # `(T,)` times in seconds, increasing
    energy: Floats  # `(T, cells)` amount of change, in units of the stream
    # `(T, 2)` speed of the whole picture to the right and down, in picture widths a second
    drift: Floats

    @property
    def step_s(self) -> float:
        """The median time between two samples."""
        return float(np.median(np.diff(self.times_s)))

    def at(self, times_s: Floats, values: Floats) -> Floats:
        """Return energy `(N, cells)`, or drift `(N, 2)`, at other times, by linear interpolation."""
        return np.stack([np.interp(times_s, self.times_s, part) for part in values.T], axis=1)


def motion_signal(
    frames: Iterable[Frame], modality: Modality | None, longest_s: Fraction = Fraction(180)
) -> MotionSignal:
    """Measure the motion of a stream between consecutive frames; empty with fewer than two.

    The change between two frames belongs to the time midway between them. An event picture already holds the
    change, over the time since the frame before.

    At most `longest_s` seconds are read; `modality` is None for the RGB stream.
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
    """Return how far the edges moved between two frames, given their spectra, with subpixel precision."""
    agreement = np.fft.ifft2(after * np.conj(before)).real
    row, column = np.unravel_index(int(np.argmax(agreement)), agreement.shape)
    height, width = agreement.shape
    across = np.roll(agreement[row], width // 2 - int(column))
    down = np.roll(agreement[:, column], height // 2 - int(row))
    dx = int(column) + parabola_peak(across, width // 2) - width // 2
    dy = int(row) + parabola_peak(down, height // 2) - height // 2
    return (dx - width if dx > width / 2 else dx), (dy - height if dy > height / 2 else dy)


_TREND_S: Final = 2.0  # changes slower than this (exposure, drift, a sunset) are removed
_LEAST_OVERLAP_S: Final = 1.0
_LEAST_OVERLAP_SHARE: Final = 0.4
_FINEST_S: Final = 1 / 120
_LEAST_MOMENTS: Final = 8
_LEAST_OFFSETS: Final = 24  # with fewer offsets to choose from, the best one means nothing
_QUIET_ENERGY: Final = 0.05  # a smaller relative change of the motion energy is noise
_QUIET_DRIFT: Final = 0.02  # a smaller drift, in picture widths a second, is noise


@dataclass(frozen=True, slots=True)
class TimeOffset:
    """The time to add to the second stream's clock."""

    offset_s: float  # in seconds
    confidence: float  # 0 to 1
    peak: float  # correlation at the offset, in [-1, 1]
    second: float  # the highest correlation at any other peak
    overlap_s: float  # seconds that both streams cover at the offset


def find_offset(rgb: MotionSignal, aux: MotionSignal, largest_s: float = 10.0) -> TimeOffset:
    """Find the offset at which the motion in both streams agrees best.

    Each signal has its own rate and clock. Offsets up to `largest_s` are tried, both around 0 and around the
    one at which both start together. `AlignmentError`: there is no clear best one; the message says why.
    """
    found = propose_offset(rgb, aux, largest_s)
    if found is None:
        raise AlignmentError(
            "no time offset can be found: the streams are too short, or nothing moves in one of them",
            hint="give --offset-ms by hand",
        )
    if found.confidence < LEAST_CONFIDENCE:
        raise AlignmentError(
            f"no clear time offset (confidence {found.confidence:.2f}): motion agrees best at "
            f"{found.offset_s * 1000:.0f} ms, with a correlation of {found.peak:.2f} and of "
            f"{found.second:.2f} elsewhere",
            hint="use a longer part in which something moves, or give --offset-ms by hand",
        )
    return found


def propose_offset(rgb: MotionSignal, aux: MotionSignal, largest_s: float = 10.0) -> TimeOffset | None:
    """Return the best offset, however weak; None if there is nothing to compare."""
    if min(len(rgb.times_s), len(aux.times_s)) < _LEAST_MOMENTS:
        return None
    step_s = max(_FINEST_S, min(rgb.step_s, aux.step_s) / 2)
    first, second = _prepared(rgb, aux, step_s), _prepared(aux, rgb, step_s)
    if not (first.any() and second.any()):
        return None
    start_s = float(rgb.times_s[0] - aux.times_s[0])  # the offset at which both start together
    reach = math.ceil((largest_s + abs(start_s)) / step_s)
    shortest = max(_LEAST_OVERLAP_S / step_s, _LEAST_OVERLAP_SHARE * min(len(first), len(second)))
    lags = np.arange(-min(reach, len(second)), min(reach, len(first)) + 1)
    scores = np.array([_correlation(first, second, int(lag), shortest) for lag in lags])
    if np.isfinite(scores).sum() < _LEAST_OFFSETS:
        return None
    best = int(np.nanargmax(scores))
    width = max(1, round(1.5 * max(rgb.step_s, aux.step_s) / step_s))
    elsewhere = _second_peak(scores, best, width)
    lag = float(lags[0]) + parabola_peak(np.nan_to_num(scores, nan=-1.0), best)
    overlap = min(len(first), len(second) + int(lags[best])) - max(0, int(lags[best]))
    peak = float(scores[best])
    return TimeOffset(start_s + lag * step_s, _confidence(peak, elsewhere), peak, elsewhere, overlap * step_s)


def _prepared(signal: MotionSignal, other: MotionSignal, step_s: float) -> Floats:
    """Return energy and drift resampled at `step_s`, blurred to the slower stream's step, without trend."""
    times = np.arange(signal.times_s[0], signal.times_s[-1] + step_s / 2, step_s)
    # cells without motion are scaled by the whole picture's mean, so that compression noise stays small
    level = np.maximum(np.median(signal.energy, axis=0), max(float(signal.energy.mean()), 1e-9))
    slower = max(signal.step_s, other.step_s)
    blur = slower / step_s if slower > signal.step_s * 1.2 else 0.0
    energy = _without_trend(np.log1p(signal.at(times, signal.energy) / level), blur, _TREND_S / step_s)
    drift = _without_trend(signal.at(times, signal.drift), blur, _TREND_S / step_s)
    return np.concatenate([_scaled(energy, _QUIET_ENERGY), _scaled(drift, _QUIET_DRIFT)], axis=1)


def _without_trend(values: Floats, blur: float, trend: float) -> Floats:
    smooth = _averaged(values, blur)
    return smooth - _averaged(smooth, trend)


def _scaled(values: Floats, quiet: float) -> Floats:
    """Scale to unit spread, so that energy and drift weigh the same, unless there is only noise."""
    spread = math.sqrt(float(np.square(values).sum(axis=1).mean()))
    return values / max(spread, quiet)


def _averaged(values: Floats, width: float) -> Floats:
    """Return the running mean over `width` samples, over fewer at the ends."""
    half = max(0, round(width / 2))
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    index = np.arange(len(values))
    low, high = np.maximum(0, index - half), np.minimum(len(values), index + half + 1)
    return np.asarray((total[high] - total[low]) / (high - low)[:, None])


def _correlation(first: Floats, second: Floats, lag: int, shortest: float) -> float:
    """Correlate all cells where `second`, moved by `lag` samples, overlaps `first`; NaN if too short."""
    start, end = max(0, lag), min(len(first), len(second) + lag)
    if end - start < shortest:
        return math.nan
    a, b = first[start:end], second[start - lag : end - lag]
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    energy = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / energy if energy > 0 else math.nan


def _second_peak(scores: Floats, best: int, width: int) -> float:
    """Return the highest local peak that is not on the flank of the best one."""
    values = np.nan_to_num(scores, nan=-1.0)
    inner = values[1:-1]
    is_peak = (inner >= values[:-2]) & (inner >= values[2:])
    places = np.flatnonzero(is_peak) + 1
    far = places[np.abs(places - best) > width]
    return float(values[far].max()) if len(far) else 0.0


def _confidence(peak: float, second: float) -> float:
    """Return the confidence: wrong pairs reach correlations of 0.42 and leads of 0.2; right ones over 0.5."""
    high = 1 / (1 + math.exp(-(peak - 0.43) / 0.03))
    ahead = 1 / (1 + math.exp(-(peak - max(second, 0.0) - 0.15) / 0.03))
    return high * ahead
