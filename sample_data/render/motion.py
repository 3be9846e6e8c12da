"""Smooth motion as functions of time: camera shake, easing, paths through points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Shake:
    """Low-pass tremor: a few sines of random phase, weaker the faster they are.

    Args:
        seed: Chooses the phases.
        amplitude: Root-mean-square size of the tremor.
        slow_hz: Lowest frequency.
        fast_hz: Highest frequency.
    """

    seed: int
    amplitude: float
    slow_hz: float = 0.3
    fast_hz: float = 4.0

    def __call__(self, time_s: float) -> float:
        """Return the displacement at `time_s`."""
        rng = np.random.default_rng(self.seed)
        frequencies = np.geomspace(self.slow_hz, self.fast_hz, 7) * rng.uniform(0.85, 1.15, 7)
        weights = frequencies**-0.8
        weights *= self.amplitude * np.sqrt(2 / np.sum(weights**2))
        phases = rng.uniform(0, 2 * np.pi, 7)
        return float(np.sum(weights * np.sin(2 * np.pi * frequencies * time_s + phases)))


def smoothstep(low: float, high: float, value: float) -> float:
    """Return 0 below `low`, 1 above `high`, and a smooth ramp between."""
    x = min(max((value - low) / (high - low), 0.0), 1.0)
    return x * x * (3 - 2 * x)


def path(times_s: Sequence[float], points: Sequence[Sequence[float]], time_s: float) -> np.ndarray:
    """Return the position at `time_s` on a smooth curve through `points` (Hermite, flat at both ends)."""
    times, knots = np.asarray(times_s, float), np.asarray(points, float)
    time_s = float(np.clip(time_s, times[0], times[-1]))
    i = int(np.clip(np.searchsorted(times, time_s, side="right") - 1, 0, len(times) - 2))
    slopes = np.zeros_like(knots)
    slopes[1:-1] = (knots[2:] - knots[:-2]) / (times[2:] - times[:-2])[:, None]
    span = times[i + 1] - times[i]
    u = (time_s - times[i]) / span
    return (
        (2 * u**3 - 3 * u**2 + 1) * knots[i]
        + (u**3 - 2 * u**2 + u) * span * slopes[i]
        + (3 * u**2 - 2 * u**3) * knots[i + 1]
        + (u**3 - u**2) * span * slopes[i + 1]
    )
