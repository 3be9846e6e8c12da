"""Which sensor counts become black and white: measured by percentiles, and followed over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dmtrack.errors import ConfigError
from dmtrack.video.frame import Pixels

LOW_PERCENTILE: Final = 1.0
HIGH_PERCENTILE: Final = 99.8
MIN_SPAN_COUNTS: Final = 32.0
"""A scene flatter than this many sensor counts is not stretched to full contrast: it is noise."""
SMOOTHING: Final = 0.1
"""Share of a new frame in the followed range."""


@dataclass(frozen=True, slots=True)
class GreyRange:
    """The sensor counts shown as black (`low`) and white (`high`)."""

    low: float
    high: float

    def overlaps(self, other: GreyRange) -> bool:
        """Return whether the two ranges share any count."""
        return self.low <= other.high and other.low <= self.high

    def blended(self, other: GreyRange, weight: float) -> GreyRange:
        """Return this range moved by `weight` (0 to 1) towards `other`."""
        return GreyRange(
            self.low + weight * (other.low - self.low), self.high + weight * (other.high - self.high)
        )


def measure_grey_range(
    pixels: Pixels, low_percentile: float = LOW_PERCENTILE, high_percentile: float = HIGH_PERCENTILE
) -> GreyRange:
    """Return the percentiles of a frame, at least `MIN_SPAN_COUNTS` apart.

    Args:
        pixels: `(H, W)` uint16 (or uint8) sensor counts.
        low_percentile: Share of pixels, in percent, that may turn black.
        high_percentile: The rest of the share, in percent, may turn white: below 100, because
            one hot pixel would otherwise darken everything else.
    """
    cumulative = np.cumsum(np.bincount(pixels.ravel(), minlength=1))
    total = float(cumulative[-1])
    low, high = np.searchsorted(cumulative, [total * low_percentile / 100, total * high_percentile / 100])
    missing = max(0.0, MIN_SPAN_COUNTS - float(high - low))
    return GreyRange(float(low) - missing / 2, float(high) + missing / 2)


class RangeFollower:
    """Follows the percentiles of a running stream slowly; jumps where the old range says nothing.

    Args:
        high_percentile: The rest of the share, in percent, may turn white.
        weight: Share of each new frame in the range, in (0, 1]; 1 measures every frame alone.

    Raises:
        ConfigError: The weight is out of range.
    """

    def __init__(self, high_percentile: float = HIGH_PERCENTILE, weight: float = SMOOTHING) -> None:
        if not 0 < weight <= 1:
            raise ConfigError(f"smoothing weight {weight} is not in (0, 1]")
        self._high_percentile = high_percentile
        self._weight = weight
        self._range: GreyRange | None = None

    def follow(self, counts: Pixels) -> GreyRange | None:
        """Return the range after a frame's measured counts, of any shape; None before there are any."""
        if counts.size == 0:
            return self._range
        measured = measure_grey_range(counts, high_percentile=self._high_percentile)
        if self._range is None or not self._range.overlaps(measured):
            self._range = measured  # a shutter correction or a cut
        else:
            self._range = self._range.blended(measured, self._weight)
        return self._range
