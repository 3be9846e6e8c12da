"""From what a sensor writes to the three 8-bit channels the network takes.

The published encodings are functions of their own: `encode_thermal`, `encode_depth`,
`encode_event`. `ModalityEncoder` is the same for a running stream: it keeps the smoothed
grey range of 16-bit thermal video, so that the picture does not flicker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.errors import FormatError
from dmtrack.video.frame import Modality, Pixels

Image8 = npt.NDArray[np.uint8]

MAX_DEPTH_MM: Final = 10_000.0
COLOUR_TOLERANCE: Final = 12
"""Channels nearer than this are grey: chroma subsampling leaves grey video a few levels off."""


# --- thermal -------------------------------------------------------------------------------


def stretch_thermal16(pixels: Pixels, grey_range: GreyRange | None = None) -> Image8:
    """Map 16-bit thermal counts to 8 bit, hot to bright.

    Linear between two counts, clipped outside them. Plain min-max would be ruined by outliers,
    so the range is the 1st to the 99.8th percentile of the frame unless one is given.

    `pixels` are `(H, W)` uint16 counts (10-, 12-, 14- or 16-bit, any offset); the result is `(H, W)` uint8.
    """
    limits = grey_range or measure_grey_range(pixels)
    scaled = (pixels.astype(np.float32) - limits.low) * (255.0 / (limits.high - limits.low))
    return cast(Image8, np.clip(np.rint(scaled), 0, 255).astype(np.uint8))


def encode_thermal(pixels: Pixels, stretch: Callable[[Pixels], Image8] = stretch_thermal16) -> Image8:
    """Encode a thermal picture as `(H, W, 3)` uint8: 8 bit as it is, 16 bit through `stretch`.

    `pixels` are `(H, W, 3)` or `(H, W)` uint8, unchanged but for the channel count, or `(H, W)` uint16;
    `(H, W, 3)` uint16 loses its lower byte. `stretch` maps `(H, W)` uint16 to `(H, W)` uint8.

    Source: specification 3.6 ("rgbrgb"), for 8 bit; the 16-bit mapping is ours.
    """
    if pixels.ndim == 2:
        gray = pixels if pixels.dtype == np.uint8 else stretch(pixels)
        return _three_channels(cast(Image8, gray))
    return to_8_bit(pixels)


# --- depth ---------------------------------------------------------------------------------


def encode_depth(pixels: Pixels) -> Image8:
    """Encode depth as published: clip, min-max stretch in the integer type, JET, BGR order.

    The limit is `min(3 * median, 10000)` in the unit of the picture (millimetres). Zeros (no
    measurement) take part in the median on purpose: published weights were trained so. When
    more than half of the picture is 0 the result is one colour.

    `pixels` are `(H, W)` uint16 millimetres. uint8 is taken the same way. `(H, W, 3)` uint8 is a grey video
    (one channel is used) or, when it has colour, depth that is colour-mapped already: only the channel order
    is changed. The result is `(H, W, 3)` uint8, in BGR order, as the published weights expect.

    Source: specification 3.6 ("rgbcolormap" with depth clipping).
    """
    if pixels.ndim == 3:
        colour = to_8_bit(pixels)
        if not is_grey(colour):
            return np.ascontiguousarray(colour[..., ::-1])
        pixels = colour[..., 0]
    limit = int(min(3.0 * float(np.median(pixels)), MAX_DEPTH_MM, float(np.iinfo(pixels.dtype).max)))
    clipped = np.minimum(pixels, pixels.dtype.type(limit))
    blank = np.empty_like(clipped)
    stretched = cv2.normalize(clipped, blank, alpha=0, beta=255, norm_type=cv2.NORM_MINMAX)
    return cast(Image8, cv2.applyColorMap(np.asarray(stretched, dtype=np.uint8), cv2.COLORMAP_JET))


# --- event ---------------------------------------------------------------------------------


def encode_event(pixels: Pixels) -> Image8:
    """Encode an event picture as `(H, W, 3)` uint8: unchanged, as published; one channel is repeated.

    `pixels` are `(H, W, 3)` uint8 in RGB order, or `(H, W)` uint8. `FormatError`: the picture has 16 bits,
    which no event picture has.

    Source: specification 3.6 ("rgbrgb").
    """
    if pixels.dtype != np.uint8:
        raise FormatError(
            "a 16-bit picture is not an event picture", hint="choose --modality thermal or --modality depth"
        )
    return _three_channels(cast(Image8, pixels)) if pixels.ndim == 2 else to_8_bit(pixels)


# --- any of them ---------------------------------------------------------------------------


def encode(pixels: Pixels, modality: Modality) -> Image8:
    """Encode one picture by its modality to `(H, W, 3)` uint8, without memory of other frames.

    `FormatError`: the picture cannot be of this modality.
    """
    return ModalityEncoder(modality)(pixels)


class ModalityEncoder:
    """The encoding of one running stream; the grey range of 16-bit thermal is followed slowly."""

    def __init__(self, modality: Modality) -> None:
        self.modality = modality
        self._follower = RangeFollower()

    def __call__(self, pixels: Pixels) -> Image8:
        """Return `(H, W, 3)` uint8 for the next frame's pixels.

        `FormatError`: the picture cannot be of this modality.
        """
        if self.modality is Modality.DEPTH:
            return encode_depth(pixels)
        if self.modality is Modality.EVENT:
            return encode_event(pixels)
        return encode_thermal(pixels, lambda counts: stretch_thermal16(counts, self._follower.follow(counts)))


def is_grey(pixels: Image8) -> bool:
    """Return whether `(H, W, 3)` pixels hold no colour, but for chroma rounding."""
    sample = pixels[::4, ::4].astype(np.int16)
    spread = sample.max(axis=2) - sample.min(axis=2)
    return bool(np.percentile(spread, 99) <= COLOUR_TOLERANCE)


def _three_channels(gray: Image8) -> Image8:
    return cast(Image8, cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB))


def to_8_bit(pixels: Pixels) -> Image8:
    """Return pixels without the lower byte of 16 bits."""
    return cast(Image8, pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8))


# --- the grey range ------------------------------------------------------------------------

LOW_PERCENTILE: Final = 1.0
HIGH_PERCENTILE: Final = 99.8
MIN_SPAN_COUNTS: Final = 32.0
"""A scene flatter than this many sensor counts is not stretched to full contrast: it is noise."""
_WRITTEN_ROWS, _FEWEST_ROWS = 4, 48  # telemetry of cores: at most so many at either end of pictures so high
_FEW_COUNTS: Final = 16  # of a picture that is drawn, whose ground is no border
#: Between these lies no pixel that registering has mixed from a border and the scene.
_INNER_SHARES: Final = (0.1, 0.9)
_NO_SCENE: Final = (0, (1 << 14) - 1, (1 << 16) - 1)
SMOOTHING: Final = 0.1  # share of a new frame in the followed range


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


def measure_grey_range(pixels: Pixels, high_percentile: float = HIGH_PERCENTILE) -> GreyRange:
    """Return the percentiles of a frame, at least `MIN_SPAN_COUNTS` apart.

    What is far below or above all other counts, and is 0, the largest count of 14 or 16 bits, or the usual
    one at the edge, is no measurement: registered pictures have borders of it. The first and the last rows
    are not looked at: cores write there what they know of themselves.

    `pixels` are `(H, W)` uint16 (or uint8) sensor counts. The rest of the share `high_percentile`, in
    percent, may turn white: below 100, because one hot pixel would otherwise darken everything else.
    """
    shares = (LOW_PERCENTILE / 100, high_percentile / 100)
    is_large = pixels.ndim == 2 and len(pixels) >= _FEWEST_ROWS
    seen = pixels[_WRITTEN_ROWS:-_WRITTEN_ROWS] if is_large else pixels
    counts = np.bincount(seen.ravel(), minlength=1)
    low, high = _percentiles(counts, shares)
    ends = [one for one in _NO_SCENE if one < len(counts)]
    if is_large and np.count_nonzero(counts) > _FEW_COUNTS:
        edges = np.concatenate((seen[0], seen[-1], seen[:, 0], seen[:, -1]))
        ends.append(int(np.bincount(edges).argmax()))
    for end in (one for one in ends if 0 < counts[one] < counts.sum()):
        rest = counts.copy()
        rest[end] = 0
        if is_large and _away(end, *_percentiles(rest, _INNER_SHARES)):
            # what lies next to the border is of both, when the picture was turned
            near = cv2.dilate((seen == end).astype(np.uint8), np.ones((5, 5), np.uint8))
            far = seen[near == 0]
            rest = np.minimum(rest, np.bincount(far, minlength=len(counts))) if far.size else rest
        low_measured, high_measured = _percentiles(rest, shares)
        if _away(end, low_measured, high_measured):  # no scene: a border, or pixels without a count
            counts, low, high = rest, low_measured, high_measured
    missing = max(0.0, MIN_SPAN_COUNTS - float(high - low))
    return GreyRange(float(low) - missing / 2, float(high) + missing / 2)


def _away(end: int, low: int, high: int) -> bool:
    """Return whether a count is farther from a range than that is wide."""
    return max(low - end, end - high) > high - low


def _percentiles(counts: npt.NDArray[np.intp], shares: tuple[float, float]) -> tuple[int, int]:
    cumulative = np.cumsum(counts)
    low, high = np.searchsorted(cumulative, [float(cumulative[-1]) * share for share in shares])
    return int(low), int(high)


class RangeFollower:
    """Follows the percentiles of a running stream slowly; jumps where the old range says nothing.

    The rest of the share `high_percentile`, in percent, may turn white.
    """

    def __init__(self, high_percentile: float = HIGH_PERCENTILE) -> None:
        self._high_percentile = high_percentile
        self._range: GreyRange | None = None

    def follow(self, counts: Pixels) -> GreyRange | None:
        """Return the range after a frame's measured counts, of any shape; None before there are any."""
        if counts.size == 0:
            return self._range
        measured = measure_grey_range(counts, high_percentile=self._high_percentile)
        if self._range is None or not self._range.overlaps(measured):
            self._range = measured  # a shutter correction or a cut
        else:
            self._range = self._range.blended(measured, SMOOTHING)
        return self._range
