"""From what a sensor writes to the three 8-bit channels the network takes, and which sensor it was.

The published encodings are functions of their own: `encode_thermal`, `encode_depth`,
`encode_event`. `ModalityEncoder` is the same for a running stream: it keeps the smoothed
grey range of 16-bit thermal video, so that the picture does not flicker.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.errors import ConfigError, FormatError
from dmtrack.video.frame import Modality, Pixels
from dmtrack.video.grey_range import GreyRange, RangeFollower, measure_grey_range

Image8 = npt.NDArray[np.uint8]

MAX_DEPTH_MM: Final = 10_000.0
COLOUR_TOLERANCE: Final = 12
"""Channels nearer than this are grey: chroma subsampling leaves grey video a few levels off."""


# --- thermal -------------------------------------------------------------------------------


def stretch_thermal16(pixels: Pixels, grey_range: GreyRange | None = None) -> Image8:
    """Map 16-bit thermal counts to 8 bit, hot to bright.

    Linear between two counts, clipped outside them. Plain min-max would be ruined by outliers,
    so the range is the 1st to the 99.8th percentile of the frame unless one is given.

    Args:
        pixels: `(H, W)` uint16 counts (10-, 12-, 14- or 16-bit, any offset).
        grey_range: The counts that become 0 and 255; None measures this frame.

    Returns:
        `(H, W)` uint8.
    """
    limits = grey_range or measure_grey_range(pixels)
    scaled = (pixels.astype(np.float32) - limits.low) * (255.0 / (limits.high - limits.low))
    return cast(Image8, np.clip(np.rint(scaled), 0, 255).astype(np.uint8))


class ThermalStretch:
    """`stretch_thermal16` for a stream: the range follows the scene slowly.

    Args:
        weight: Share of each new frame in the range, in (0, 1]; 1 stretches every frame alone.
    """

    def __init__(self, weight: float = 0.1) -> None:
        self._follower = RangeFollower(weight=weight)

    def __call__(self, pixels: Pixels) -> Image8:
        """Return `(H, W)` uint8 for the next `(H, W)` uint16 frame of the stream."""
        return stretch_thermal16(pixels, self._follower.follow(pixels))


def encode_thermal(pixels: Pixels, stretch: Callable[[Pixels], Image8] = stretch_thermal16) -> Image8:
    """Encode a thermal picture: 8 bit as it is, 16 bit through `stretch`.

    Args:
        pixels: `(H, W, 3)` or `(H, W)` uint8, unchanged but for the channel count;
            `(H, W)` uint16; `(H, W, 3)` uint16 loses its lower byte.
        stretch: Maps `(H, W)` uint16 to `(H, W)` uint8.

    Returns:
        `(H, W, 3)` uint8.

    Source: specification 3.6 ("rgbrgb"), for 8 bit; the 16-bit mapping is ours.
    """
    if pixels.ndim == 2:
        gray = pixels if pixels.dtype == np.uint8 else stretch(pixels)
        return _three_channels(cast(Image8, gray))
    return _to_8bit_colour(pixels)


# --- depth ---------------------------------------------------------------------------------


def encode_depth(pixels: Pixels) -> Image8:
    """Encode depth as published: clip, min-max stretch in the integer type, JET, BGR order.

    The limit is `min(3 * median, 10000)` in the unit of the picture (millimetres). Zeros (no
    measurement) take part in the median on purpose: published weights were trained so. When
    more than half of the picture is 0 the result is one colour.

    Args:
        pixels: `(H, W)` uint16 millimetres. uint8 is taken the same way. `(H, W, 3)` uint8 is a
            grey video (one channel is used) or, when it has colour, depth that is colour-mapped
            already: only the channel order is changed.

    Returns:
        `(H, W, 3)` uint8; the channels stay in BGR order, as the published weights expect.

    Source: specification 3.6 ("rgbcolormap" with depth clipping).
    """
    if pixels.ndim == 3:
        colour = _to_8bit_colour(pixels)
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
    """Encode an event picture: unchanged, as published; one channel is repeated.

    Args:
        pixels: `(H, W, 3)` uint8 in RGB order, or `(H, W)` uint8.

    Returns:
        `(H, W, 3)` uint8.

    Raises:
        FormatError: The picture has 16 bits, which no event picture has.

    Source: specification 3.6 ("rgbrgb").
    """
    if pixels.dtype != np.uint8:
        raise FormatError(
            "a 16-bit picture is not an event picture", hint="choose --modality thermal or --modality depth"
        )
    return _three_channels(cast(Image8, pixels)) if pixels.ndim == 2 else _to_8bit_colour(pixels)


# --- any of them ---------------------------------------------------------------------------


def encode(pixels: Pixels, modality: Modality) -> Image8:
    """Encode one picture by its modality to `(H, W, 3)` uint8, without memory of other frames.

    Raises:
        FormatError: The picture cannot be of this modality.
    """
    return ModalityEncoder(modality)(pixels)


class ModalityEncoder:
    """The encoding of one running stream.

    Args:
        modality: What the stream measures.
        thermal_smoothing: Share of a new frame in the grey range of 16-bit thermal, in (0, 1].
    """

    def __init__(self, modality: Modality, *, thermal_smoothing: float = 0.1) -> None:
        self.modality = modality
        self._stretch = ThermalStretch(thermal_smoothing)

    def __call__(self, pixels: Pixels) -> Image8:
        """Return `(H, W, 3)` uint8 for the next frame's pixels.

        Raises:
            FormatError: The picture cannot be of this modality.
        """
        if self.modality is Modality.DEPTH:
            return encode_depth(pixels)
        if self.modality is Modality.EVENT:
            return encode_event(pixels)
        return encode_thermal(pixels, self._stretch)


def is_grey(pixels: Image8) -> bool:
    """Return whether `(H, W, 3)` pixels hold no colour, but for chroma rounding."""
    sample = pixels[::4, ::4].astype(np.int16)
    spread = sample.max(axis=2) - sample.min(axis=2)
    return bool(np.percentile(spread, 99) <= COLOUR_TOLERANCE)


def _three_channels(gray: Image8) -> Image8:
    return cast(Image8, cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB))


def _to_8bit_colour(pixels: Pixels) -> Image8:
    colour = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    return cast(Image8, colour)


# --- guessing ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModalityGuess:
    """A modality found by looking, and the evidence in words."""

    modality: Modality
    reason: str


_LONG_WORDS: Final = {
    "thermal": Modality.THERMAL,
    "infrared": Modality.THERMAL,
    "lwir": Modality.THERMAL,
    "flir": Modality.THERMAL,
    "depth": Modality.DEPTH,
    "event": Modality.EVENT,
}
"""Recognised at the start or the end of a word (`depthmap`, `rawdepth`)."""
_WHOLE_WORDS: Final = {
    "ir": Modality.THERMAL,
    "tir": Modality.THERMAL,
    "evt": Modality.EVENT,
    "dvs": Modality.EVENT,
    "rgbt": Modality.THERMAL,
    "rgbtir": Modality.THERMAL,
    "rgbd": Modality.DEPTH,
    "rgbe": Modality.EVENT,
}
_GTOT_THERMAL_FOLDER: Final = "i"
_NAMED_FOLDERS_ABOVE: Final = 2


def guess_modality(path: Path, samples: Iterable[Pixels] = ()) -> ModalityGuess:
    """Find out what a second stream measures, from its name, else from a few of its pictures.

    Args:
        path: The video file or image folder; its own name counts before those of the two
            folders above.
        samples: Pictures of the stream as its reader gave them, any number; they are asked for
            only if the name says nothing.

    Raises:
        ConfigError: Neither the name nor the pictures say.
    """
    guess = _guess_from_names(path)
    if guess is None:
        guess = _guess_from_pixels(samples)
    if guess is None:
        raise ConfigError(
            "cannot tell what the second stream measures",
            where=path,
            hint="say --modality thermal, depth or event",
        )
    return guess


def _guess_from_names(path: Path) -> ModalityGuess | None:
    names = [path.stem if path.suffix else path.name, *(folder.name for folder in path.parents)]
    if names[0] == _GTOT_THERMAL_FOLDER:
        return ModalityGuess(Modality.THERMAL, "the folder is called 'i', as in GTOT")
    for name in names[: 1 + _NAMED_FOLDERS_ABOVE]:
        for word in re.findall(r"[a-z]+", _split_camel_case(name).lower()):
            modality = _modality_of_word(word)
            if modality is not None:
                return ModalityGuess(modality, f"the name {name!r} says {word!r}")
    return None


def _split_camel_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)


def _modality_of_word(word: str) -> Modality | None:
    if word in _WHOLE_WORDS:
        return _WHOLE_WORDS[word]
    for known, modality in _LONG_WORDS.items():
        # "prevent" ends in "event": a long word may only begin with that one
        if word.startswith(known) or (known != "event" and word.endswith(known)):
            return modality
    return None


def _guess_from_pixels(samples: Iterable[Pixels]) -> ModalityGuess | None:
    guesses = [_guess_from_picture(pixels) for pixels in samples if not _is_blank(pixels)]
    if not guesses or guesses[0] is None:
        return None
    modality = guesses[0].modality
    agreed = all(guess is not None and guess.modality is modality for guess in guesses)
    return guesses[0] if agreed else None


def _is_blank(pixels: Pixels) -> bool:
    """Return whether a picture shows nothing: a white canvas without events, a closed shutter."""
    return int(pixels.max()) - int(pixels.min()) <= COLOUR_TOLERANCE


def _guess_from_picture(pixels: Pixels) -> ModalityGuess | None:
    if pixels.ndim == 2:
        return _guess_from_counts(pixels) if pixels.dtype == np.uint16 else _GREY_8BIT
    colour = _to_8bit_colour(pixels)
    if _is_event_picture(colour):
        return ModalityGuess(Modality.EVENT, "white pictures with red and blue points")
    return _GREY_8BIT if is_grey(colour) else None


_GREY_8BIT: Final = ModalityGuess(Modality.THERMAL, "8-bit pictures without colour")


def _guess_from_counts(pixels: Pixels) -> ModalityGuess | None:
    """Tell depth (holes, wide range) from thermal counts (no holes, narrow range)."""
    holes = float(np.mean(pixels == 0))
    measured = pixels[pixels > 0]
    if measured.size == 0:
        return None
    low, middle, high = np.percentile(measured, (1, 50, 99))
    relative_range = float(high - low) / float(middle)
    facts = f"16-bit pictures, {holes:.1%} zeros, range {relative_range:.0%} of the median"
    if holes > 0.001 and relative_range > 0.3:
        return ModalityGuess(Modality.DEPTH, facts)
    if holes <= 0.001 and relative_range < 0.3:
        return ModalityGuess(Modality.THERMAL, facts)
    return None


def _is_event_picture(colour: Image8) -> bool:
    """Return whether most of the picture is white and the rest red or blue."""
    red, green, blue = (colour[..., channel].astype(np.int16) for channel in range(3))
    white = np.minimum(np.minimum(red, green), blue) > 240
    if float(np.mean(white)) < 0.5:
        return False
    rest = ~white
    if not rest.any():
        return False
    vivid = np.abs(red - blue)[rest] > 60
    green_lowest = (green <= np.maximum(red, blue) + 8)[rest]
    return bool(np.mean(vivid & green_lowest) > 0.6)
