"""Conversion of stored numbers of any type to the unsigned 16-bit counts of one-channel pictures."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]
Counts = npt.NDArray[np.uint16]

FARTHEST_M: Final = 65.0
"""No depth camera sees farther: if the median is larger, floats are millimetres, against REP 118."""
_HOT: Final = 20.0
_STEPS: Final = (1000.0, 100.0, _HOT, 10.0, 1.0, 0.1, 0.01, 0.001, 0.0001, 1e-5)
_ROOM: Final = 1.5
_FINE: Final = 100.0
_WARM: Final = 655.0  # kelvin, or millimetres of something very near: the most that fits in hundredths
_MILLI: Final = 1000.0
_HOTTEST: Final = 3000.0  # highest temperature of a scene in degrees: flames, arcs, molten metal
_KELVIN: Final = (213.15, 423.15)  # the median of a scene in kelvin lies between these
_SPECKS: Final = 8  # so many far pixels are a hot target, not noise
_NEAR: Final = 10.0
"""Largest median of a near scene in metres; in degrees it is larger, or numbers fall below 0."""
_ZERO_CELSIUS: Final = -273.15
_LOWEST_CELSIUS: Final = -100.0
_MOST: Final = 65535
_NOTHING: Final = 1e9
"""Numbers so large mean no measurement: renderers write 1e10, or the largest number of the type."""


@dataclass(frozen=True, slots=True)
class CountScale:
    """How stored numbers become counts, the same for a whole stream: `(number - zero) * per_unit`."""

    per_unit: float = 1.0  # counts in one stored unit
    zero: float = 0.0  # the stored number that becomes count 0
    is_metres: bool = False  # the stored unit is metres, if this is depth

    @classmethod
    def of(cls, numbers: Numbers) -> Self:
        """Return the scale that suits a stream which begins with these numbers.

        Floats with a small median are metres, which become millimetres in a near scene, else hundredths: they
        may as well be degrees Celsius, with a target far hotter than the scene. Differing numbers below 0 are
        degrees Celsius, which become hundredths, or signed counts; a single such number means no measurement.
        The scale is coarser if numbers do not fit 16 bits, or a target is hotter than 655 K. Far numbers that
        are all the same are the sky of a renderer.
        """
        known = numbers[_are_known(numbers)]
        below = known[known < 0]
        if below.size and below.min() == below.max():
            known = known[known >= 0]
        if known.size == 0:
            return cls(_MILLI, is_metres=True)  # assume metres of depth: nothing says otherwise yet
        low, farthest = (float(value) for value in np.percentile(known, (1, 99.9)))
        high = farthest * _ROOM
        is_whole = numbers.dtype.kind in "iu"
        for zero in (0.0, -32768.0) if is_whole else ():  # they fit 16 bits, whatever the stored type
            if zero <= low and known.max() - zero <= _MOST:
                return cls(1.0, zero)
        if low < 0:
            is_celsius = not is_whole and low > _LOWEST_CELSIUS
            zero = _ZERO_CELSIUS if is_celsius else min(low * _ROOM, -32768.0)
            high = max(min(high, _HOTTEST), _hottest(known)) if is_celsius else high
            return cls(next(step for step in _STEPS[1:] if (high - zero) * step <= _MOST), zero)
        measured = known[known > 0]
        middle = float(np.median(measured)) if measured.size else 0.0
        if not is_whole and middle <= FARTHEST_M:
            far = np.count_nonzero((known * _MILLI > _MOST + 0.5) & (known <= _WARM))
            hottest_k = _hottest(known - _ZERO_CELSIUS)  # exports count hundredths of a kelvin
            coarse = _HOT if hottest_k * _FINE > _MOST else _FINE
            return cls(_MILLI if middle <= _NEAR and far < _SPECKS else coarse, is_metres=True)
        is_kelvin = not is_whole and _KELVIN[0] <= middle <= _KELVIN[1] and farthest <= _HOTTEST
        high = max(min(high, _HOTTEST), _hottest(known)) if is_kelvin else high
        finest = _FINE if is_kelvin or (not is_whole and high < _WARM) else 1.0
        return cls(next((step for step in _STEPS if step <= finest and high * step <= _MOST), _STEPS[-1]))

    @property
    def depth_unit_mm(self) -> Fraction | None:
        """Millimetres in one count, if this is depth; None if the stored numbers are counts."""
        return None if self == CountScale() else self.count_unit * (1000 if self.is_metres else 1)

    @property
    def count_unit(self) -> Fraction:
        """How many stored units one count is."""
        return 1 / Fraction(str(self.per_unit))

    def counts(self, numbers: Numbers) -> Counts:
        """Return `(H, W)` counts, clipped to 16 bits; NaN and numbers for no measurement are 0."""
        known = np.where(_are_known(numbers), numbers, self.zero).astype(np.float64)
        scaled = (known - self.zero) * self.per_unit
        return np.clip(np.rint(scaled), 0, _MOST).astype(np.uint16)

    def count_of(self, number: float) -> float:
        """Return the count of one number."""
        return (number - self.zero) * self.per_unit


def _hottest(known: Numbers) -> float:
    """Return the largest number that may belong to a hot target, with others near it; 0 if there is none."""
    values = np.unique(known[(known > _KELVIN[1]) & (known <= _HOTTEST)])
    return float(values[-1]) if values.size >= _SPECKS and values[-_SPECKS] > values[-1] / 2 else 0.0


def _are_known(numbers: Numbers) -> npt.NDArray[np.bool_]:
    return (numbers > -_NOTHING) & (numbers < _NOTHING)


AS_STORED: Final = CountScale()
