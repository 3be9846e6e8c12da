"""Smooth functions of time: how layers move, turn, grow and change."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dmtrack.synthetic import affine


@dataclass(frozen=True, slots=True)
class Wave:
    """`base + slope * t` plus sines, each `(amplitude, radians per frame, phase)`; `t` in frames."""

    base: float = 0.0
    slope: float = 0.0
    sines: tuple[tuple[float, float, float], ...] = ()

    def __call__(self, t: float) -> float:
        """Return the value at time `t`."""
        value = self.base + self.slope * t
        for amplitude, omega, phase in self.sines:
            value += amplitude * math.sin(omega * t + phase)
        return value

    @classmethod
    def wander(
        cls,
        rng: np.random.Generator,
        base: float,
        amplitude: float,
        period: tuple[float, float] = (60.0, 300.0),
        *,
        slope: float = 0.0,
        sines: int = 2,
    ) -> Wave:
        """Draw a wave around `base` that moves by about `amplitude`, with periods in frames."""
        if amplitude <= 0.0:
            return cls(base, slope)
        draws = rng.random((sines, 3))
        return cls(
            base,
            slope,
            tuple(
                (
                    amplitude * (0.4 + 0.6 * float(a)) / (k + 1),
                    2.0 * math.pi * (k + 1) / (period[0] * (period[1] / period[0]) ** float(p)),
                    2.0 * math.pi * float(phase),
                )
                for k, (a, p, phase) in enumerate(draws)
            ),
        )

    def anchored(self, t: float, value: float) -> Wave:
        """Return the same wave shifted so that it has `value` at time `t`."""
        return Wave(self.base + value - self(t), self.slope, self.sines)


@dataclass(frozen=True, slots=True)
class Motion:
    """Where a layer is: position in pixels, natural logarithms of size and aspect, angle in radians."""

    x: Wave
    y: Wave
    log_scale: Wave = Wave()
    angle_rad: Wave = Wave()
    log_aspect: Wave = Wave()

    def matrix(self, t: float) -> affine.Matrix:
        """Return the `(3, 3)` matrix from layer coordinates (origin at its centre) at time `t`."""
        scale, half = self.log_scale(t), 0.5 * self.log_aspect(t)
        return affine.placement(
            self.x(t), self.y(t), math.exp(scale + half), math.exp(scale - half), self.angle_rad(t)
        )


STILL = Motion(Wave(), Wave())
