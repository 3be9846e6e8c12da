"""Numbers of any kind as the counts that pictures of one channel hold: 16 bits without a sign."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]
Counts = npt.NDArray[np.uint16]

FARTHEST_M: Final = 65.0
"""No depth camera sees farther: where half of a picture does, it counts millimetres, against REP 118."""
_HOT: Final = 20.0
_STEPS: Final = (1000.0, 100.0, _HOT, 10.0, 1.0, 0.1, 0.01, 0.001, 0.0001, 1e-5)
_ROOM: Final = 1.5
_FINE: Final = 100.0
_WARM: Final = 655.0  # Kelvin, or millimetres of what is very near: so much fits in hundredths
_MILLI: Final = 1000.0
_HOTTEST: Final = 3000.0  # of what is measured in degrees: flames, arcs, molten metal
_KELVIN: Final = (213.15, 423.15)  # between these lies the median of a scene
_SPECKS: Final = 8  # so many pixels that are far are a target that is hot, not noise
_NEAR: Final = 10.0
"""Half of a near scene is within so many metres. Degrees of a scene are more, or below 0 somewhere."""
_ZERO_CELSIUS: Final = -273.15
_LOWEST_CELSIUS: Final = -100.0
_MOST: Final = 65535
_NOTHING: Final = 1e9
"""What is as large stands for no measurement: 1e10 of renderers, the largest number of its kind."""


@dataclass(frozen=True, slots=True)
class CountScale:
    """How stored numbers become counts, the same for a whole stream: `(number - zero) * per_unit`."""

    per_unit: float = 1.0  # counts in one unit of what is stored
    zero: float = 0.0  # what count 0 stands for
    is_metres: bool = False  # what is stored is metres, if it is depth

    @classmethod
    def of(cls, numbers: Numbers) -> Self:
        """Return the scale that suits a stream which begins with these numbers.

        Metres become millimetres where a scene is near, else centimetres, whatever sky a renderer has. They
        may as well be degrees Celsius, of which a target may be far hotter than the scene. Different numbers
        below 0 are degrees Celsius, which become hundredths, or counts with a sign; where they are all the
        same, they stand for no measurement. What does not fit is made smaller; so are degrees where a target
        is hotter than 655 K. Far numbers that are all the same are a sky.
        """
        known = numbers[_are_known(numbers)]
        below = known[known < 0]
        if below.size and below.min() == below.max():
            known = known[known >= 0]
        if known.size == 0:
            return cls(_MILLI, is_metres=True)  # metres, as depth is: nothing says otherwise yet
        low, farthest = (float(value) for value in np.percentile(known, (1, 99.9)))
        high = farthest * _ROOM
        is_whole = numbers.dtype.kind in "iu"
        for zero in (0.0, -32768.0) if is_whole else ():  # 16 bits, however they are stored
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
        """Millimetres in one count of depth, if it is; None where what is stored are counts."""
        return None if self == CountScale() else self.count_unit * (1000 if self.is_metres else 1)

    @property
    def count_unit(self) -> Fraction:
        """How much of what is stored one count is."""
        return 1 / Fraction(str(self.per_unit))

    def counts(self, numbers: Numbers) -> Counts:
        """Return `(H, W)` counts; what is no number, or too small, is 0."""
        known = np.where(_are_known(numbers), numbers, self.zero).astype(np.float64)
        scaled = (known - self.zero) * self.per_unit
        return np.clip(np.rint(scaled), 0, _MOST).astype(np.uint16)

    def count_of(self, number: float) -> float:
        """Return the count of one number."""
        return (number - self.zero) * self.per_unit


def _hottest(known: Numbers) -> float:
    """Return the largest number that may be of a hot target: others come near it; 0 where there is none."""
    values = np.unique(known[(known > _KELVIN[1]) & (known <= _HOTTEST)])
    return float(values[-1]) if values.size >= _SPECKS and values[-_SPECKS] > values[-1] / 2 else 0.0


def _are_known(numbers: Numbers) -> npt.NDArray[np.bool_]:
    return (numbers > -_NOTHING) & (numbers < _NOTHING)


AS_STORED: Final = CountScale()
