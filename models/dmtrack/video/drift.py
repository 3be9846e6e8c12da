"""How two clocks that measured the same time differ in rate."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from dmtrack.video.frame import VideoInfo

_LIKELY: Final = Fraction(2, 100)
"""Clocks differ by parts in a million, nominal frame rates by a few in a thousand: a larger
difference is rather a stream that ends early."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Two durations that differ by more than a frame.

    Attributes:
        rgb_s: How long the first stream lasts.
        aux_s: How long the second one lasts.
    """

    rgb_s: Fraction
    aux_s: Fraction

    @property
    def rate_ratio(self) -> Fraction:
        """What the second clock has to be multiplied by for both to last equally long."""
        return (self.rgb_s / self.aux_s).limit_denominator(100_000)

    @property
    def is_likely(self) -> bool:
        """Whether the difference can be one of clocks."""
        return abs(self.rate_ratio - 1) <= _LIKELY

    def __str__(self) -> str:
        """Say it in one sentence, with the option that corrects it."""
        seems = "its clock seems to differ" if self.is_likely else "it starts late or ends early"
        ratio = self.rate_ratio
        return (
            f"RGB lasts {float(self.rgb_s):.3f} s and the second stream {float(self.aux_s):.3f} s: {seems}; "
            f"if both cover the same time, say --rate-ratio {ratio} ({float(ratio):.6f})."
        )


def find_drift(rgb: VideoInfo, aux: VideoInfo) -> Drift | None:
    """Return by how much two streams differ in length; None if a frame or less, or if it is not known."""
    rates = [info.frame_rate for info in (rgb, aux) if info.frame_rate is not None]
    if rgb.duration_s is None or aux.duration_s is None or not rates or not aux.duration_s:
        return None
    if abs(rgb.duration_s - aux.duration_s) <= 1 / min(rates):
        return None
    return Drift(rgb.duration_s, aux.duration_s)
