"""`AuxEncoder`: encodes the second stream's pictures for the network, as the options say.

The published encoding is the default. The others map counts to grey levels by a fixed range (counts,
millimetres, or degrees of a linear-temperature camera), or by percentiles that follow the scene slowly, so
that the picture does not flicker.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cache
from typing import Annotated, ClassVar, Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.errors import ConfigError
from dmtrack.numbers import exact, finite
from dmtrack.options import Option, make_exact, number_text
from dmtrack.video.frame import Modality, Pixels
from dmtrack.video.pictures.counts import AS_STORED, CountScale
from dmtrack.video.second.encoding import GreyRange, Image8, ModalityEncoder, RangeFollower, is_grey, to_8_bit
from dmtrack.video.second.gauge import AuxUnit, CountMeaning

DEPTH_HIGH_PERCENTILE: Final = 99.0
ZERO_CELSIUS_K: Final = 273.15
_KELVIN_PER_COUNT: Final = (0.01, 0.04, 0.1, 0.4)
_SCENE_CELSIUS: Final = (-60.0, 150.0)
"""The median of a scene lies between these. In kelvin the upper end is less than 2.5 times the lower one, so
at most one of the steps fits."""
_SMOOTHER: Final = 4.0
_FINE_KELVIN, _HOT_KELVIN = 0.01, 0.1
_FINE_CELSIUS: Final = (-30.0, 50.0)
"""If the median of a scene lies between these, 16-bit counts are taken as hundredths of a kelvin unasked."""
_LIGHT, _COLOURED = 200, 60  # white: no channel is darker; colour: channels are farther apart
_ABOUT_GROUND: Final = (
    "The event pictures are not on white, and shown as they are; weights learn from red (brighter) and blue "
    "points on white, as `dmtrack events` draws an event file."
)
_HINT_RANGE: Final = "write LOW,HIGH in counts (7000,9000), millimetres of depth, or degrees (15C,45C)"


class AuxNorm(StrEnum):
    """How counts become grey levels.

    `PUBLISHED`: 8-bit thermal and event pictures unchanged, depth from its minimum to its clipped maximum;
    16-bit thermal, for which nothing is published, as `PERCENTILE`. `PERCENTILE`: from the 1st to the 99.8th
    percentile, smoothed over time (depth: to the 99th of the measured pixels, clipped at three times the
    median). `FIXED`: a given range.
    """

    PUBLISHED = "published"
    PERCENTILE = "percentile"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class AuxRange:
    """The values shown as black and white: counts, millimetres of depth, or degrees Celsius.

    `ConfigError`: the range is empty or reversed.
    """

    low: float
    high: float
    is_celsius: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"range {self} is empty", hint=_HINT_RANGE)

    def __str__(self) -> str:
        """Return the range the way `parse_aux_range` reads it."""
        unit = "C" if self.is_celsius else ""
        return f"{self.low:g}{unit},{self.high:g}{unit}"


def parse_aux_range(text: str) -> AuxRange:
    """Read `7000,9000` or `15C,45C`; `ConfigError` where the text is neither."""
    number = r"\s*([+-]?[0-9]{1,12}(?:\.[0-9]{0,12})?)\s*°?([cC]?)\s*"
    match = re.fullmatch(number + "," + number, text)
    if match is None or bool(match[2]) != bool(match[4]):
        raise ConfigError(f"{text!r} is not a range", hint=_HINT_RANGE)
    return AuxRange(finite(match[1]), finite(match[3]), bool(match[2]))


@dataclass(frozen=True, slots=True)
class EncodingOptions:
    """How the second stream's counts become pictures.

    Raises:
        ConfigError: The choices contradict each other, or the scale is not positive.
    """

    PANEL: ClassVar = "Sensor counts"

    norm: Annotated[
        AuxNorm | None,
        Option(
            "--aux-norm",
            "How sensor counts become a picture. published: as the weights expect. percentile: percentiles "
            "of the scene, smoothed over time. fixed: --aux-range. Default: fixed with --aux-range, else "
            "published.",
        ),
    ] = None
    range: Annotated[
        AuxRange | None,
        Option(
            "--aux-range",
            "Values shown as black and white: counts (7000,9000), millimetres of depth, or degrees of a "
            "linear-temperature camera (15C,45C).",
            metavar="LOW,HIGH",
            parse=parse_aux_range,
        ),
    ] = None
    depth_scale_mm: Annotated[
        Fraction | None,
        Option(
            "--depth-scale",
            "Millimetres per count of depth. Default: that in the file, else 1.",
            metavar="MM",
            parse=exact,
            write=number_text,
        ),
    ] = None

    def __post_init__(self) -> None:
        make_exact(self)
        if self.norm is AuxNorm.FIXED and self.range is None:
            raise ConfigError("--aux-norm fixed needs a range", hint="add --aux-range LOW,HIGH")
        if self.range is not None and self.norm not in (None, AuxNorm.FIXED):
            raise ConfigError(
                f"--aux-range fixes what --aux-norm {self.norm} measures", hint="give one of them"
            )
        if self.depth_scale_mm is not None and self.depth_scale_mm <= 0:
            raise ConfigError(f"depth scale {float(self.depth_scale_mm):g} is not positive")

    @property
    def resolved_norm(self) -> AuxNorm:
        """How counts become grey levels."""
        return self.norm or (AuxNorm.PUBLISHED if self.range is None else AuxNorm.FIXED)

    def require_fit(self, modality: Modality) -> None:
        """Check that the options fit a modality.

        Raises:
            ConfigError: They do not.
        """
        if modality is Modality.EVENT and self.resolved_norm is not AuxNorm.PUBLISHED:
            raise ConfigError(
                "event pictures have no range of counts", hint="leave out --aux-norm, --aux-range"
            )
        if modality is not Modality.DEPTH and self.depth_scale_mm is not None:
            raise ConfigError(f"--depth-scale is for depth, and the second stream is {modality}")
        if modality is not Modality.THERMAL and self.range is not None and self.range.is_celsius:
            raise ConfigError(f"degrees are for thermal, and the second stream is {modality}")


AS_PUBLISHED: Final = EncodingOptions()


class AuxEncoder:
    """Encodes one running second stream; `ConfigError`: the options do not fit the modality.

    `stated_unit_mm` is millimetres per count of depth, where the file states it; `counts` is how stored
    values became counts; the options refer to stored values. `meaning` says what counts mean in metres,
    degrees or events; None where unknown, and before the first picture that is not empty.
    """

    def __init__(
        self,
        modality: Modality,
        options: EncodingOptions | None = None,
        stated_unit_mm: Fraction | None = None,
        counts: CountScale = AS_STORED,
    ) -> None:
        self._options = options or EncodingOptions()
        self._options.require_fit(modality)
        self._modality = modality
        self._published = ModalityEncoder(modality)
        self._counts = counts
        self._scale_mm = mm_per_count(self._options, stated_unit_mm, counts)
        is_depth = modality is Modality.DEPTH
        self._follower = RangeFollower(DEPTH_HIGH_PERCENTILE) if is_depth else RangeFollower()
        self._fixed: GreyRange | None = None
        self._seen = self._is_cut = False
        self._remarks: list[str] = []
        self._is_depth_known = (self._options.depth_scale_mm or stated_unit_mm) is not None
        is_stated = stated_unit_mm is not None and counts == AS_STORED
        self._is_unit_said = is_stated or self._options.depth_scale_mm is not None
        self.meaning: CountMeaning | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks for a person on the pictures so far, one sentence each."""
        return tuple(self._remarks)

    def __call__(self, pixels: Pixels) -> Image8:
        """Return `(H, W, 3)` uint8 for the next frame's pixels.

        `FormatError`: the picture cannot be of this modality; `ConfigError`: the range is in degrees, but the
        counts are not those of a linear-temperature camera.
        """
        if not self._seen and pixels.any():
            self._look_at_first(pixels)
            self._seen = True
        elif not self._seen and not self._remarks:
            self._remarks.append("The second stream begins with an empty picture.")
        self._say_what_is_cut(pixels)
        if self._modality is Modality.DEPTH:
            pixels = scaled_depth(pixels, self._scale_mm)
        if self._options.resolved_norm is AuxNorm.PUBLISHED:
            return self._published(pixels)
        counts = pixels
        if pixels.ndim == 3:
            counts = cast(Pixels, cv2.cvtColor(to_8_bit(pixels), cv2.COLOR_RGB2GRAY))
        if self._modality is Modality.DEPTH:
            return encode_depth_range(counts, self._fixed or self._follower.follow(near_depth(counts)))
        grey_range = self._fixed or self._follower.follow(counts)
        return cast(Image8, cv2.cvtColor(_levels(counts, grey_range, 0), cv2.COLOR_GRAY2RGB))

    def _say_what_is_cut(self, pixels: Pixels) -> None:
        """Remark once that temperatures overflow counts that were made from degrees."""
        most, meaning = np.iinfo(np.uint16).max, self.meaning
        is_made = self._counts != AS_STORED and meaning is not None and meaning.unit is AuxUnit.CELSIUS
        if is_made and meaning is not None and not self._is_cut and pixels.max() == most:
            self._is_cut = True
            hottest = most * meaning.per_count + meaning.zero
            self._remarks.append(
                f"What is hotter than {hottest:.0f} C does not fit, and counts as not measured."
            )

    def _look_at_first(self, pixels: Pixels) -> None:
        wanted = self._options.range
        if wanted is not None and wanted.is_celsius:
            self._fixed = self._degrees(wanted, pixels)
        elif wanted is not None:
            is_depth = self._modality is Modality.DEPTH
            ends = (wanted.low, wanted.high)
            self._fixed = GreyRange(*(ends if is_depth else map(self._counts.count_of, ends)))
        self.meaning = self._meaning_of(pixels)
        if self._modality is Modality.DEPTH:
            self._remarks += self._about_depth(pixels)
        if pixels.dtype == np.uint16 and _is_swapped(pixels):
            self._remarks.append("The byte order of the second stream's counts looks swapped.")
        if self._modality is Modality.DEPTH and self._options.resolved_norm is AuxNorm.PUBLISHED:
            self._remarks += sparse_depth_remarks(pixels)
        if self._modality is Modality.THERMAL and pixels.ndim == 3 and not is_grey(to_8_bit(pixels)):
            self._remarks.append(_about_colour(to_8_bit(pixels), self._options.resolved_norm))
        if self._modality is Modality.EVENT and pixels.dtype == np.uint8 and not _is_on_white(pixels):
            self._remarks.append(_ABOUT_GROUND)

    def _about_depth(self, pixels: Pixels) -> list[str]:
        """Return remarks on what is assumed about the unit of depth, or why it is not measured."""
        if pixels.ndim == 3:
            if is_grey(to_8_bit(pixels)):
                return []
            return ["The depth pictures are in colour, and shown as they are: nothing is measured of them."]
        if self.meaning is None:
            what = "are negative" if self._counts.zero else "have 8 bits"
            return [f"Depth counts {what}: nothing is measured of them."]
        if self._is_unit_said:
            return [] if self._scale_mm == 1 else [f"One count of depth is {float(self._scale_mm):g} mm."]
        half_m = float(np.median(_known(pixels))) * self.meaning.per_count
        unit = "metres" if self._counts.is_metres else "millimetres"
        return [f"Depth is read as {unit}, half of it within {half_m:.1f} m: if not, give --depth-scale."]

    def _degrees(self, wanted: AuxRange, pixels: Pixels) -> GreyRange:
        ends = (wanted.low, wanted.high)
        if self._counts != AS_STORED:  # stored values are Celsius or kelvin
            zero = ZERO_CELSIUS_K if self._middle(pixels) > _SCENE_CELSIUS[1] else 0.0
            return GreyRange(*(self._counts.count_of(celsius + zero) for celsius in ends))
        step = kelvin_per_count(pixels)
        return GreyRange(*((celsius + ZERO_CELSIUS_K) / step for celsius in ends))

    def _middle(self, pixels: Pixels) -> float:
        """Return the median of the measured pixels, in stored units."""
        return float(np.median(_known(pixels))) / self._counts.per_unit + self._counts.zero

    def _meaning_of(self, pixels: Pixels) -> CountMeaning | None:
        """Return the meaning of counts, from the options, the stored type, or the first picture."""
        if self._modality is Modality.EVENT:
            return CountMeaning(1.0, 0.0, AuxUnit.EVENTS)
        if pixels.ndim == 3:
            return None
        if self._modality is Modality.DEPTH:
            is_known = (self._is_depth_known or pixels.dtype == np.uint16) and self._counts.zero == 0
            return CountMeaning(float(self._scale_mm) / 1000, 0.0, AuxUnit.METRE) if is_known else None
        if self._counts != AS_STORED:
            return self._stored_degrees(self._middle(pixels))
        is_said = self._options.range is not None and self._options.range.is_celsius
        if not is_said and not is_fine_temperature(pixels):
            return None
        step = kelvin_per_count(pixels) if is_said else _FINE_KELVIN
        self._remarks.append(f"Thermal counts are read as linear temperature, {step:g} K per count.")
        return CountMeaning(step, -ZERO_CELSIUS_K, AuxUnit.CELSIUS)

    def _stored_degrees(self, middle: float) -> CountMeaning | None:
        """Return the meaning of counts made from degrees: Celsius or kelvin, by the median of the scene."""
        low, high = _SCENE_CELSIUS
        per_count = float(self._counts.count_unit)
        if self._counts.zero == -ZERO_CELSIUS_K:  # negative values can only be Celsius
            return CountMeaning(per_count, self._counts.zero, AuxUnit.CELSIUS)
        for zero in (0.0, -ZERO_CELSIUS_K):
            if self._counts.zero == 0 and low <= middle + zero <= high:
                if middle + zero > _FINE_CELSIUS[1]:
                    other = "Celsius" if zero else "Fahrenheit"
                    self._remarks.append(
                        f"Half of the scene is hotter than {middle + zero:.0f} C: is it in {other}?"
                    )
                return CountMeaning(per_count, zero, AuxUnit.CELSIUS)
        return None


def mm_per_count(options: EncodingOptions, stated_unit_mm: Fraction | None, counts: CountScale) -> Fraction:
    """Return millimetres per count of depth: from the options, else as the file states, else 1."""
    if options.depth_scale_mm is not None:
        return options.depth_scale_mm * counts.count_unit
    return stated_unit_mm or Fraction(1)


def sparse_depth_remarks(pixels: Pixels) -> list[str]:
    """Return a remark on a depth picture of which more than half is 0: as published it is one colour."""
    holes = float(np.mean(pixels == 0)) if pixels.ndim == 2 else 0.0
    if holes <= 0.5:
        return []
    return [
        f"{holes:.0%} of the depth picture is not measured, and as published it becomes one colour: "
        "give --aux-norm percentile."
    ]


def scaled_depth(pixels: Pixels, scale_mm: Fraction) -> Pixels:
    """Convert depth to millimetres, rounded, at most 65535 and at least 1; 0 stays 0.

    `pixels` are `(H, W)` uint8 or uint16 counts of `scale_mm`; the result is uint16. Pictures of three
    channels, or with a scale of 1, are returned unchanged.
    """
    if scale_mm == 1 or pixels.ndim == 3:
        return pixels
    counts = np.arange(np.iinfo(pixels.dtype).max + 1, dtype=np.float64)
    table = np.minimum(np.rint(counts * float(scale_mm)), 65535).astype(np.uint16)
    table[1:] = np.maximum(table[1:], 1)  # 0 means no measurement
    return cast(Pixels, table[pixels])


def fine_heat(pixels: Pixels, meaning: CountMeaning | None) -> Pixels:
    """Convert temperature counts to hundredths of a kelvin, which other programs read; 0 stays 0.

    Counts coarser than 0.01 K, as for hot scenes, become tenths. `pixels` are `(H, W)` uint16. Pictures
    without temperatures, counts of 1 K or more, and usual steps of kelvin are returned unchanged.
    """
    is_heat = meaning is not None and meaning.unit is AuxUnit.CELSIUS and pixels.dtype == np.uint16
    is_kelvin = meaning is not None and meaning.zero == -ZERO_CELSIUS_K
    if not is_heat or meaning is None or meaning.per_count >= 1:
        return pixels
    if is_kelvin and meaning.per_count in _KELVIN_PER_COUNT:
        return pixels
    step = _FINE_KELVIN if meaning.per_count <= _FINE_KELVIN else _HOT_KELVIN
    celsius = np.arange(1 << 16, dtype=np.float64) * meaning.per_count + meaning.zero
    table = np.clip(np.rint((celsius + ZERO_CELSIUS_K) / step), 1, 65535).astype(np.uint16)
    table[0] = 0
    return cast(Pixels, table[pixels])


def near_depth(depth_mm: Pixels) -> Pixels:
    """Return the measured depths, `(N,)`, clipped at three times their median like the published limit.

    Otherwise a far wall would leave the things in front of it one colour.
    """
    measured = depth_mm[depth_mm > 0]
    if measured.size == 0:
        return measured
    limit = min(3.0 * float(np.median(measured)), float(np.iinfo(measured.dtype).max))
    return np.minimum(measured, measured.dtype.type(limit))


def encode_depth_range(depth_mm: Pixels, limits: GreyRange | None) -> Image8:
    """Colour depth by a range; pixels without a measurement get the nearest colour.

    `depth_mm` is `(H, W)`, 0 without a measurement; `limits` are the ends of the colour map in millimetres,
    None before anything was measured. The result is like that of `encode_depth`.
    """
    levels = _levels(depth_mm, limits, 1)
    levels[depth_mm == 0] = 0
    return cast(Image8, cv2.applyColorMap(levels, cv2.COLORMAP_JET))


def kelvin_per_count(pixels: Pixels) -> float:
    """Guess the kelvin per count of a linear-temperature camera: the step that gives a plausible scene.

    `pixels` are `(H, W)` uint16 counts. `ConfigError`: no known step does.

    Source: linear-temperature output of common cores: 10 or 100 mK a count (16 bit), 40 or 400 mK (14 bit).
    """
    is_known = pixels.ndim == 2 and pixels.dtype == np.uint16 and pixels.any()
    median = float(np.median(_known(pixels))) if is_known else 0.0
    low, high = (celsius + ZERO_CELSIUS_K for celsius in _SCENE_CELSIUS)
    for step in _KELVIN_PER_COUNT:
        if low <= median * step <= high:
            return step
    raise ConfigError(
        f"the thermal counts (median {median:g}) are no linear temperature, so degrees have no meaning",
        hint="give --aux-range in counts",
    )


def is_fine_temperature(pixels: Pixels) -> bool:
    """Return whether counts look like hundredths of a kelvin, as most cameras of linear temperature write."""
    if pixels.dtype != np.uint16 or pixels.ndim != 2 or not pixels.any():
        return False
    percentiles = np.percentile(_known(pixels), (1, 50, 99)) * _FINE_KELVIN - ZERO_CELSIUS_K
    low, middle, high = percentiles.tolist()
    is_scene = _SCENE_CELSIUS[0] <= low and high <= _SCENE_CELSIUS[1]
    return bool(is_scene and _FINE_CELSIUS[0] <= middle <= _FINE_CELSIUS[1])


def _known(counts: Pixels) -> Pixels:
    """Return the measured counts, `(N,)`: not 0, nor the largest number unless there is no other."""
    measured = counts[counts > 0]
    below = measured[measured < np.iinfo(counts.dtype).max]
    return below if below.size else measured


def _is_swapped(counts: Pixels) -> bool:
    """Return whether a 16-bit picture is far smoother with the two bytes of each count swapped."""

    def roughness(picture: Pixels) -> float:
        step = np.abs(np.diff(picture.astype(np.float64), axis=-1))
        return float(step.mean() / max(1e-9, picture.std()))

    has_steps = counts.ndim == 2 and counts.shape[1] > 1
    return has_steps and roughness(counts.byteswap()) * _SMOOTHER < roughness(counts)


def _about_colour(colour: Image8, norm: AuxNorm) -> str:
    palette = find_palette(colour)
    kind = "in colour" if palette is None else f"coloured by the palette {palette!r}"
    done = "shown as they are" if norm is AuxNorm.PUBLISHED else "turned into grey by their brightness"
    wanted = "weights learn from grey pictures with hot as white: record those if you can"
    return f"The thermal pictures are {kind} and {done}; {wanted}."


def _is_on_white(picture: Pixels) -> bool:
    """Return whether the most frequent colour of an event picture is white, or a colour of events."""
    small = cv2.resize(picture, _PALETTE_SAMPLE, interpolation=cv2.INTER_NEAREST)
    colours, often = np.unique(
        small.reshape(_PALETTE_SAMPLE[0] * _PALETTE_SAMPLE[1], -1), axis=0, return_counts=True
    )
    ground = colours[often.argmax()]
    return bool(ground.min() >= _LIGHT or np.ptp(ground) > _COLOURED)


def _levels(counts: Pixels, limits: GreyRange | None, lowest: int) -> Image8:
    """Map counts linearly to `lowest` .. 255, clipped."""
    if limits is None:
        return np.zeros(counts.shape, np.uint8)
    # a table is twice as fast as arithmetic on every pixel
    steps = np.arange(np.iinfo(counts.dtype).max + 1, dtype=np.float64)
    scaled = lowest + (steps - limits.low) * ((255.0 - lowest) / (limits.high - limits.low))
    table = np.clip(np.rint(scaled), lowest, 255).astype(np.uint8)
    return np.asarray(table[counts])


# --- palettes ---

MAX_PALETTE_DISTANCE: Final = 20.0
"""Compression shifts palette colours by 5 to 13 levels; none of 60 photographs is within 30 of a palette."""
_NEAR_SHARE: Final = 80.0  # percent of the pixels that must be near; the rest may be lettering and edges
_PALETTE_SAMPLE: Final = (64, 48)
_IRON: Final = ((0, 0, 0), (32, 0, 140), (180, 0, 150), (240, 90, 20), (255, 190, 0), (255, 255, 220))
"""From black through violet, red and yellow to white, in equal steps; most makers call it iron."""
_OF_OPENCV: Final = {
    "inferno": cv2.COLORMAP_INFERNO,
    "hot": cv2.COLORMAP_HOT,
    "rainbow": cv2.COLORMAP_RAINBOW,
    "jet": cv2.COLORMAP_JET,
    "plasma": cv2.COLORMAP_PLASMA,
    "magma": cv2.COLORMAP_MAGMA,
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
}


def find_palette(colour: Image8) -> str | None:
    """Return the palette that at least 80 % of a picture's colours come from; None if no known one fits.

    `colour` is `(H, W, 3)` uint8 RGB.
    """
    small = cv2.resize(colour, _PALETTE_SAMPLE, interpolation=cv2.INTER_NEAREST)
    sample = small.reshape(-1, 1, 3).astype(np.int16)
    distances = {name: _distance(sample, entries) for name, entries in palettes().items()}
    nearest = min(distances, key=lambda name: distances[name])
    return nearest if distances[nearest] <= MAX_PALETTE_DISTANCE else None


@cache
def palettes() -> dict[str, Image8]:
    """Return the known palettes by name, `(256, 3)` uint8 RGB each, cold first."""
    grey = np.arange(256, dtype=np.uint8).reshape(1, -1)
    known = {
        name: np.array(cv2.applyColorMap(grey, number).reshape(-1, 3)[:, ::-1], dtype=np.uint8)
        for name, number in _OF_OPENCV.items()
    }
    stops = np.array(_IRON, dtype=np.float64)
    at, steps = np.linspace(0, 1, 256), np.linspace(0, 1, len(stops))
    iron = np.stack([np.interp(at, steps, stops[:, channel]) for channel in range(3)], axis=1)
    return {"iron": iron.astype(np.uint8), **known}


def _distance(sample: npt.NDArray[np.int16], entries: Image8) -> float:
    apart = np.abs(sample - entries[None].astype(np.int16)).max(axis=2).min(axis=1)
    return float(np.percentile(apart, _NEAR_SHARE))
