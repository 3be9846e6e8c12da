"""`Gauge`: measures a target in the second stream: its distance, its temperature, or its rate of events.

A box holds more than its target: background, and things in front of it. The target's counts are those that
are frequent in the middle of the box and rare around it. So the counts in the box form a histogram, weighted
by nearness to the middle; the target is the mode whose share exceeds its share of the surroundings the most.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dmtrack.geometry.box import Box
from dmtrack.geometry.intrinsics import Intrinsics

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[Any]

_AROUND: Final = 0.25  # width of the surroundings, in sides of the box; at least `_LEAST_AROUND_PX`
_LEAST_AROUND_PX: Final = 2.0
_MOST_SIDE: Final = 48
"""At most so many columns or rows are read: of larger boxes every second, third, ... one."""
_MIDDLE: Final = 0.4  # standard deviation of the weights, in half sides of the box
_AGAINST: Final = 0.7  # weight of a share of the surroundings against the same share of the box
_LEAST_KNOWN: Final = 0.1  # if a smaller share of a box, by weight, is measured, there is no result
_DEPTH_BIN: Final = 0.02
"""Width of a bin of depth, as a share of the depth: noise grows with distance."""
_HEAT_BINS: Final = 32
_VALLEY: Final = 0.3
"""A mode ends where the histogram falls below this share of its peak, or rises again by `_RISE`."""
_RISE: Final = 1.2
_MOST_MODES: Final = 6
_TAIL: Final = 0.05  # share of a target's depths left out at either end: flying pixels


MEASURE_COLUMNS: Final = ("aux_median", "aux_min", "aux_max", "aux_unit", "x_m", "y_m", "z_m")
"""The names of a measure's parts in tables."""


class AuxUnit(StrEnum):
    """The unit of a measure."""

    METRE = "m"
    CELSIUS = "C"
    EVENTS = "events/s"


@dataclass(frozen=True, slots=True)
class AuxMeasure:
    """What the second stream measures of a target in one frame.

    Attributes:
        median: Median of the target, without things behind or in front of it; events: their rate in the box.
        low: Depth: the target's 5th percentile. Temperature: the coldest point in the box. Events: None.
        high: Depth: the target's 95th percentile. Temperature: the hottest point in the box. Events: None.
        unit: The unit of these three.
        position_m: The target's middle from the RGB camera: right, down and ahead, in metres.
    """

    median: float
    low: float | None
    high: float | None
    unit: AuxUnit
    position_m: tuple[float, float, float] | None = None

    def __str__(self) -> str:
        """Return the median as `2.41 m`, `36.2 C` or `1250 events/s`."""
        decimals = {AuxUnit.METRE: 2, AuxUnit.CELSIUS: 1, AuxUnit.EVENTS: 0}[self.unit]
        return f"{self.median:.{decimals}f} {self.unit}"


def measure_cells(measure: AuxMeasure | None) -> dict[str, float | str | None]:
    """Return the parts of a measure by `MEASURE_COLUMNS`, None where unknown."""
    if measure is None:
        return dict.fromkeys(MEASURE_COLUMNS)
    place = measure.position_m or (None, None, None)
    cells = (measure.median, measure.low, measure.high, str(measure.unit), *place)
    return dict(zip(MEASURE_COLUMNS, cells, strict=True))


@dataclass(frozen=True, slots=True)
class EventWindow:
    """The events drawn in one picture."""

    x: npt.NDArray[np.uint16]  # `(N,)` columns in pixels
    y: npt.NDArray[np.uint16]  # `(N,)` rows
    length_us: int  # the time over which they were collected


@dataclass(frozen=True, slots=True)
class CountMeaning:
    """The meaning of a stream's counts: `count * per_count + zero`, in `unit`; count 0 is no measurement."""

    per_count: float
    zero: float
    unit: AuxUnit


@dataclass(frozen=True, slots=True)
class Gauge:
    """Measures targets in the second stream, at boxes of the RGB picture."""

    meaning: CountMeaning  # of the counts
    aux_size: tuple[int, int]  # width and height of the second picture in pixels
    # `(3, 3)`, pixels of the RGB picture to pixels of the second one; pixel centres at whole numbers
    to_aux: Floats
    camera: Intrinsics | None = None  # the RGB camera; None if unknown
    bits: int = 16  # of the counts; pictures with other bits are not measured

    def measure(self, counts: Numbers, box: Box) -> AuxMeasure | None:
        """Measure the distance or temperature of the target in a box.

        `counts` are the `(H, W)` second picture; `box` is in pixels of RGB. None: the picture has another
        size or bits, the box lies outside it, hardly any of it is measured, or the stream is of events.
        """
        is_alike = counts.shape[::-1] == self.aux_size and 8 * counts.itemsize == self.bits
        if not is_alike or self.meaning.unit is AuxUnit.EVENTS:
            return None
        own_box = mapped_box(self.to_aux, box)
        area = None if own_box is None else _Area.of(own_box, counts)
        if area is None or area.known < _LEAST_KNOWN:
            return None
        own = area.own_counts(self.meaning.unit)
        tail = int(_TAIL * len(own))
        ends = (own[tail], own[-1 - tail])
        if self.meaning.unit is AuxUnit.CELSIUS:
            whole = area.inside[_is_known(area.inside)]
            ends = (whole.min(), whole.max())
        numbers = (float(count) * self.meaning.per_count for count in (own[len(own) // 2], *ends))
        median, low, high = (number + self.meaning.zero for number in numbers)
        place = None
        if self.camera is not None and self.meaning.unit is AuxUnit.METRE:
            place = self.camera.position_m(box.cx, box.cy, median)
        return AuxMeasure(median, low, high, self.meaning.unit, place)

    def event_rate(self, events: EventWindow, box: Box) -> AuxMeasure | None:
        """Return the event rate in a box; None if it lies outside the picture, or the window has no length.

        `events` are those of the second picture; `box` is in pixels of RGB.
        """
        own_box = mapped_box(self.to_aux, box)
        if own_box is None or events.length_us <= 0:
            return None
        left, top, right, bottom = (edge - 0.5 for edge in own_box.xyxy)
        width, height = self.aux_size
        if right <= -0.5 or bottom <= -0.5 or left >= width - 0.5 or top >= height - 0.5:
            return None
        across, down = (events.x >= left) & (events.x < right), (events.y >= top) & (events.y < bottom)
        count = int(np.count_nonzero(across & down))
        return AuxMeasure(count * 1e6 / events.length_us, None, None, AuxUnit.EVENTS)


def mapped_box(to_aux: Floats, box: Box) -> Box | None:
    """Map a box to the upright box around it in the second picture; None if part is behind the camera.

    `to_aux` is as in `Gauge`; `box` is in pixels of RGB.
    """
    x1, y1, x2, y2 = (edge - 0.5 for edge in box.xyxy)  # in a homography, pixel centres are whole numbers
    across, down, depth = to_aux @ np.array([[x1, x2, x2, x1], [y1, y1, y2, y2], [1, 1, 1, 1]])
    if not depth.min() > 0:
        return None
    x, y = across / depth + 0.5, down / depth + 0.5
    left, top = float(x.min()), float(y.min())
    return Box(left, top, float(x.max()) - left, float(y.max()) - top)


@dataclass(frozen=True, slots=True)
class _Area:
    """The counts in a box and around it."""

    counts: Floats  # `(N,)` measured counts, subsampled in large boxes
    weights: Floats  # `(N,)` by nearness to the middle of the box; 0 outside it
    inside: Numbers  # `(h, w)` all counts in the box
    known: float  # share of the box that is measured, by weight

    @classmethod
    def of(cls, box: Box, picture: Numbers) -> _Area | None:
        """Return the area of a box; None if the box lies outside the picture."""
        height, width = picture.shape
        left, top, right, bottom = box.xyxy
        across = _Side.of(left, right, width)
        down = _Side.of(top, bottom, height)
        if across is None or down is None:
            return None
        seen = picture[down.near : down.far : down.step, across.near : across.far : across.step]
        weights = down.weights[:, None] * across.weights
        known = _is_known(seen)
        inside = picture[slice(*down.inside), slice(*across.inside)]
        share = float(weights[known].sum() / weights.sum())
        return cls(seen[known].astype(np.float64), weights[known], inside, share)

    def own_counts(self, unit: AuxUnit) -> Floats:
        """Return the counts of the target, sorted; at least one."""
        if unit is AuxUnit.METRE:
            places = np.log(self.counts) / _DEPTH_BIN
        else:
            places = self.counts * (_HEAT_BINS / max(1.0, float(np.ptp(self.counts))))
        bins = np.floor(places - places.min()).astype(np.intp)
        inside = self.weights > 0
        here = np.asarray(np.bincount(bins, self.weights), np.float64)
        around = np.bincount(bins[~inside], minlength=len(here))
        lead = here / here.sum() - _AGAINST * around / max(1, around.sum())
        first, last = max(_modes(here), key=lambda ends: float(lead[ends[0] : ends[1] + 1].sum()))
        return np.sort(self.counts[inside & (bins >= first) & (bins <= last)])


@dataclass(frozen=True, slots=True)
class _Side:
    """One axis of an area: the range and step of columns or rows to read, and their weights."""

    near: int
    far: int
    step: int
    inside: tuple[int, int]
    weights: Floats

    @classmethod
    def of(cls, start: float, end: float, length: int) -> _Side | None:
        first, last = max(0, round(start)), min(length, max(round(start) + 1, round(end)))
        if first >= last or not end > start:
            return None
        around = max(_LEAST_AROUND_PX, _AROUND * (end - start))
        near, far = max(0, round(start - around)), min(length, round(end + around))
        step = -(-(far - near) // _MOST_SIDE)
        places = np.arange(near, far, step)
        away = (places + 0.5 - (start + end) / 2) / ((end - start) / 2)
        weights = np.where((places >= first) & (places < last), np.exp(-((away / _MIDDLE) ** 2) / 2), 0.0)
        if not weights.any():  # nearly all of it lies outside of the picture
            return None
        return cls(near, far, step, (first, last), weights)


def _is_known(counts: Numbers) -> npt.NDArray[np.bool_]:
    """Return where counts are a measurement: neither 0 nor the largest number of their type."""
    return np.asarray((counts > 0) & (counts < np.iinfo(counts.dtype).max))


def _modes(histogram: Floats) -> list[tuple[int, int]]:
    """Return first and last bin of each mode of `(N,)`, highest mode first; at least one."""
    smooth = np.convolve(histogram, (0.5, 1.0, 0.5))[1:-1].tolist()
    taken = [False] * len(smooth)
    modes: list[tuple[int, int]] = []
    for peak in np.argsort(smooth)[::-1].tolist():
        if len(modes) == _MOST_MODES:
            break
        if taken[peak] or histogram[peak] <= 0:
            continue
        ends = []
        for way in (-1, 1):
            at, lowest = peak, _VALLEY * smooth[peak]
            while 0 <= at + way < len(smooth) and not taken[at + way]:
                if not lowest < smooth[at + way] <= _RISE * smooth[at]:
                    break
                at += way
            ends.append(at)
        first, last = min(ends), max(ends)
        taken[first : last + 1] = [True] * (last + 1 - first)
        modes.append((first, last))
    return modes
