"""Encodes sensor pictures as the three 8-bit channels that the network takes.

`encode_thermal`, `encode_depth` and `encode_event` are the published encodings. `ModalityEncoder` applies
them to a running stream: it smooths the grey range of 16-bit thermal video, so that the picture does not
flicker.
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
"""Channels no farther apart than this are grey: chroma subsampling leaves grey video a few levels off."""


# --- thermal -------------------------------------------------------------------------------


def stretch_thermal16(pixels: Pixels, grey_range: GreyRange | None = None) -> Image8:
    """Map 16-bit thermal counts to 8 bit, hot to bright.

    The map is linear, clipped at the ends of the range: by default the 1st and the 99.8th percentile of the
    frame, because outliers would ruin plain min-max.

    `pixels` are `(H, W)` uint16 counts (10-, 12-, 14- or 16-bit, any offset); the result is `(H, W)` uint8.
    """
    limits = grey_range or measure_grey_range(pixels)
    scaled = (pixels.astype(np.float32) - limits.low) * (255.0 / (limits.high - limits.low))
    return cast(Image8, np.clip(np.rint(scaled), 0, 255).astype(np.uint8))


def encode_thermal(pixels: Pixels, stretch: Callable[[Pixels], Image8] = stretch_thermal16) -> Image8:
    """Encode a thermal picture as `(H, W, 3)` uint8: 8 bit unchanged, 16 bit through `stretch`.

    `pixels` are `(H, W, 3)` or `(H, W)` uint8, or `(H, W)` uint16, one channel being repeated; of
    `(H, W, 3)` uint16 the upper byte is taken. `stretch` maps `(H, W)` uint16 to `(H, W)` uint8.

    Source: specification 3.6 ("rgbrgb"), for 8 bit; the 16-bit mapping is ours.
    """
    if pixels.ndim == 2:
        gray = pixels if pixels.dtype == np.uint8 else stretch(pixels)
        return _three_channels(cast(Image8, gray))
    return to_8_bit(pixels)


# --- depth ---------------------------------------------------------------------------------


def encode_depth(pixels: Pixels) -> Image8:
    """Encode depth as published: clip, min-max stretch in the integer type, JET, BGR order.

    The limit is `min(3 * median, 10000)` in the unit of the picture (millimetres). Zeros (no measurement)
    count in the median on purpose, as in the training of the published weights. If more than half of the
    picture is 0, the result is one colour.

    `pixels` are `(H, W)` uint16 millimetres, or uint8, treated the same. Of grey `(H, W, 3)` uint8 one
    channel is used; coloured `(H, W, 3)` is depth already colour-mapped, and only its channel order is
    changed. The result is `(H, W, 3)` uint8 in BGR order, as the published weights expect.

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

    `pixels` are `(H, W, 3)` uint8 in RGB order, or `(H, W)` uint8. `FormatError`: the picture has 16 bits.

    Source: specification 3.6 ("rgbrgb").
    """
    if pixels.dtype != np.uint8:
        raise FormatError(
            "a 16-bit picture is not an event picture", hint="choose --modality thermal or --modality depth"
        )
    return _three_channels(cast(Image8, pixels)) if pixels.ndim == 2 else to_8_bit(pixels)


# --- any of them ---------------------------------------------------------------------------


def encode(pixels: Pixels, modality: Modality) -> Image8:
    """Encode one picture of a modality as `(H, W, 3)` uint8, independent of other frames.

    `FormatError`: the picture cannot be of this modality.
    """
    return ModalityEncoder(modality)(pixels)


class ModalityEncoder:
    """Encodes one running stream as published; smooths the grey range of 16-bit thermal over time."""

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
    """Return whether `(H, W, 3)` pixels have no colour, apart from chroma rounding."""
    sample = pixels[::4, ::4].astype(np.int16)
    spread = sample.max(axis=2) - sample.min(axis=2)
    return bool(np.percentile(spread, 99) <= COLOUR_TOLERANCE)


def _three_channels(gray: Image8) -> Image8:
    return cast(Image8, cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB))


def to_8_bit(pixels: Pixels) -> Image8:
    """Return uint8 pixels unchanged, and the upper byte of uint16 pixels."""
    return cast(Image8, pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8))


# --- the grey range ------------------------------------------------------------------------

LOW_PERCENTILE: Final = 1.0
HIGH_PERCENTILE: Final = 99.8
MIN_SPAN_COUNTS: Final = 32.0
"""A scene flatter than this many sensor counts is not stretched to full contrast: it is noise."""
_WRITTEN_ROWS, _FEWEST_ROWS = 4, 48  # camera cores write telemetry into so many rows at either end
_FEW_COUNTS: Final = 16  # different counts of a drawn picture, whose background is no border
#: Pixels that registering mixed from a border and the scene lie outside these percentiles.
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
    """Return the percentiles of a frame as a range, at least `MIN_SPAN_COUNTS` wide.

    0, the largest count of 14 or 16 bits, and the most frequent count at the edge are no measurement if they
    are far from all other counts: registered pictures have borders of them. The first and last rows of large
    pictures are skipped: camera cores write telemetry there.

    `pixels` are `(H, W)` uint16 (or uint8) sensor counts. `high_percentile` is the white end, in percent:
    below 100, because one hot pixel would otherwise darken everything else.
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
            # in a rotated picture, pixels next to the border mix it with the scene
            near = cv2.dilate((seen == end).astype(np.uint8), np.ones((5, 5), np.uint8))
            far = seen[near == 0]
            rest = np.minimum(rest, np.bincount(far, minlength=len(counts))) if far.size else rest
        low_measured, high_measured = _percentiles(rest, shares)
        if _away(end, low_measured, high_measured):  # a border, or pixels without a measurement
            counts, low, high = rest, low_measured, high_measured
    missing = max(0.0, MIN_SPAN_COUNTS - float(high - low))
    return GreyRange(float(low) - missing / 2, float(high) + missing / 2)


def _away(end: int, low: int, high: int) -> bool:
    """Return whether a count is farther outside a range than the range is wide."""
    return max(low - end, end - high) > high - low


def _percentiles(counts: npt.NDArray[np.intp], shares: tuple[float, float]) -> tuple[int, int]:
    cumulative = np.cumsum(counts)
    low, high = np.searchsorted(cumulative, [float(cumulative[-1]) * share for share in shares])
    return int(low), int(high)


class RangeFollower:
    """Follows the grey range of a running stream slowly; jumps where the new range does not overlap it.

    `high_percentile` is the white end, in percent, as in `measure_grey_range`.
    """

    def __init__(self, high_percentile: float = HIGH_PERCENTILE) -> None:
        self._high_percentile = high_percentile
        self._range: GreyRange | None = None

    def follow(self, counts: Pixels) -> GreyRange | None:
        """Update the range with a frame's measured counts, of any shape; None before there are any."""
        if counts.size == 0:
            return self._range
        measured = measure_grey_range(counts, high_percentile=self._high_percentile)
        if self._range is None or not self._range.overlaps(measured):
            self._range = measured  # a shutter correction or a cut
        else:
            self._range = self._range.blended(measured, SMOOTHING)
        return self._range
