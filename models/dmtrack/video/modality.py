"""What a second stream measures, told from its track's label, its name or its pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from dmtrack.errors import ConfigError
from dmtrack.video.events.event_reader import is_event_file
from dmtrack.video.events.event_source import EventSource
from dmtrack.video.frame import Modality, Pixels, VideoInfo
from dmtrack.video.second.aux_encoder import find_palette
from dmtrack.video.second.encoding import COLOUR_TOLERANCE, Image8, is_grey, to_8_bit
from dmtrack.video.source import FrameSource
from dmtrack.video.split import SplitSource
from dmtrack.video.stream_files import open_source
from dmtrack.video.streams import Split
from dmtrack.video.track_choice import TrackInfo, TrackKind


@dataclass(frozen=True, slots=True)
class ModalityGuess:
    """A modality, and the evidence for it in words."""

    modality: Modality
    reason: str


_LONG_WORDS: Final = {
    Modality.THERMAL: ("thermal", "infrared", "lwir", "flir"),
    Modality.DEPTH: ("depth",),
    Modality.EVENT: ("event",),
}
"""Recognised at the start or, but for `event`, the end of a word (`depthmap`, `rawdepth`)."""
_WHOLE_WORDS: Final = {
    Modality.THERMAL: ("ir", "tir", "rgbt", "rgbtir"),
    Modality.DEPTH: ("rgbd",),
    Modality.EVENT: ("evt", "dvs", "rgbe"),
}
_RGB_WORDS: Final = frozenset({"rgb", "visible", "vis", "color", "colour", "eo"})
_DRONE_THERMAL: Final = re.compile(r"\d_T$", re.IGNORECASE)
_DRONE_VISIBLE: Final = re.compile(r"\d_[VWZ]$", re.IGNORECASE)
_GTOT_THERMAL_FOLDER: Final = "i"
_NAMED_FOLDERS_ABOVE: Final = 2


def guess_modality(path: Path, samples: Iterable[Pixels] = ()) -> ModalityGuess:
    """Tell what a second stream measures from its name, else from a few of its pictures.

    The name of the file or folder counts before those of the two folders above. `samples` are any number of
    pictures from the stream's reader, read only if the name says nothing. `ConfigError`: neither the name nor
    the pictures tell.
    """
    guess = _guess_from_names(path) or _guess_from_pixels(samples)
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
        if _DRONE_THERMAL.search(name):
            return ModalityGuess(Modality.THERMAL, f"the name {name!r} ends as drones name thermal")
        for word in re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()):
            modality = _modality_of_word(word)
            if modality is not None:
                return ModalityGuess(modality, f"the name {name!r} says {word!r}")
    return None


def _modality_of_word(word: str) -> Modality | None:
    for modality in Modality:
        if word in _WHOLE_WORDS[modality]:
            return modality
        for known in _LONG_WORDS[modality]:
            # "prevent" ends in "event", so a word may only begin with it
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
    colour = to_8_bit(pixels)
    if _is_event_picture(colour):
        return ModalityGuess(Modality.EVENT, "white pictures with red and blue points")
    return _GREY_8BIT if is_grey(colour) else None


_LEVEL_BITS: Final = 10
"""Counts of at most so many bits without zeros are grey levels, as 8-bit ones are, whatever their range."""
_GREY_8BIT: Final = ModalityGuess(Modality.THERMAL, "8-bit pictures without colour")


def _guess_from_counts(pixels: Pixels) -> ModalityGuess | None:
    """Tell depth (zeros, wide range) from thermal counts (no zeros, narrow range)."""
    holes = float(np.mean(pixels == 0))
    measured = pixels[pixels > 0]
    if measured.size == 0:
        return None
    low, middle, high = np.percentile(measured, (1, 50, 99))
    relative_range = float(high - low) / float(middle)
    facts = f"16-bit pictures, {holes:.1%} zeros, range {relative_range:.0%} of the median"
    if holes > 0.001 and relative_range > 0.3:
        return ModalityGuess(Modality.DEPTH, facts)
    if holes <= 0.001 and (relative_range < 0.3 or high < 1 << _LEVEL_BITS):
        return ModalityGuess(Modality.THERMAL, facts)
    return None


def _is_event_picture(colour: Image8) -> bool:
    """Return whether most of the picture is white and the rest red or blue."""
    red, green, blue = (colour[..., channel].astype(np.int16) for channel in range(3))
    white = np.minimum(np.minimum(red, green), blue) > 240
    if float(np.mean(white)) < 0.5:
        return False
    rest = ~white
    vivid = np.abs(red - blue)[rest] > 60
    green_lowest = (green <= np.maximum(red, blue) + 8)[rest]
    return bool(rest.any() and np.mean(vivid & green_lowest) > 0.6)


_SAMPLES: Final = 4
_SAMPLE_STEP: Final = 8
_MODALITY_OF_TRACK: Final = {TrackKind.DEPTH: Modality.DEPTH, TrackKind.IR: Modality.THERMAL}
"""Near infrared is not thermal, but consists of grey levels in the same way."""


def modality_of(aux: FrameSource, given: Modality | None = None, rgb: Path | None = None) -> ModalityGuess:
    """Return what an opened stream measures: `given`, else what can be found out.

    `rgb` is the path of the first stream; the error says so if the two seem swapped. `ConfigError`: the
    modality cannot be told, or another one was given for an event file; `VideoError`: the stream cannot be
    opened again; `DecodeError`: it has no readable frame.
    """
    if isinstance(aux, EventSource):
        if given not in (None, Modality.EVENT):
            raise ConfigError(f"an event file does not measure {given}", where=aux.info.path)
        return ModalityGuess(Modality.EVENT, aux.description)
    if given is not None:
        return ModalityGuess(given, "it was given")
    try:
        half = aux.half if isinstance(aux, SplitSource) else None
        return find_modality(aux.info.path, aux.info.track, half)
    except ConfigError as error:
        reason = None if rgb is None else _swapped_names(rgb, aux.info.path)
        if reason is None:
            raise
        hint = f"are the two streams swapped ({reason})? RGB comes first"
        raise ConfigError(error.what, where=error.where, hint=hint) from error


def find_modality(path: Path, track: TrackInfo | None = None, half: Split | None = None) -> ModalityGuess:
    """Tell what a stream measures from its track's label, its name, or a few of its first pictures.

    `track` says which stream of the file is meant, `half` which half of its pictures, if it holds several.
    `ConfigError`: none of these tells; `VideoError`: the stream cannot be opened; `DecodeError`: it has no
    readable frame.
    """
    if is_event_file(path):
        return ModalityGuess(Modality.EVENT, "an event file")
    if track is not None and track.kind in _MODALITY_OF_TRACK:
        return ModalityGuess(_MODALITY_OF_TRACK[track.kind], f"the file calls the stream {track.title!r}")
    return guess_modality(path, _sample_pictures(path, 0 if track is None else track.number, half))


def _sample_pictures(path: Path, stream: int, half: Split | None) -> Iterator[Pixels]:
    with open_source(path, stream=stream, threads=1) as whole:
        source = whole if half is None else SplitSource(whole, half)
        for frame in islice(source, 0, _SAMPLES * _SAMPLE_STEP, _SAMPLE_STEP):
            yield frame.pixels


def swap_remarks(rgb: VideoInfo, aux: VideoInfo, first: Pixels, second: Pixels | None) -> list[str]:
    """Return a remark if the two streams seem to have been given in the wrong order, else none."""
    reason = _swapped_names(rgb.path, aux.path)
    if reason is None and second is not None and _is_grey_picture(first) and _is_photograph(second):
        reason = f"{rgb.path.name} is grey and {aux.path.name} is in colour"
    return [f"The streams seem to be swapped ({reason}): RGB comes first, then the other."] if reason else []


def _swapped_names(rgb: Path, aux: Path) -> str | None:
    """Return the evidence in the names for swapped streams, if any; parts that both share do not count."""
    if rgb.absolute() == aux.absolute():
        return None
    own, others = _own_names(rgb, aux), _own_names(aux, rgb)
    guess = _guess_from_names(Path(*own)) if own else None
    if guess is None or any(_says_rgb(name) for name in own):
        return None
    is_second_too = any(_guess_from_names(Path(name)) for name in others)
    return None if is_second_too and not any(map(_says_rgb, others)) else guess.reason


def _own_names(path: Path, other: Path) -> list[str]:
    beside = set(other.absolute().parts)
    return [Path(part).stem for part in path.absolute().parts[-3:] if part not in beside]


def _says_rgb(name: str) -> bool:
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    return bool(_RGB_WORDS & set(words)) or _DRONE_VISIBLE.search(name) is not None


def _is_grey_picture(pixels: Pixels) -> bool:
    return not _is_blank(pixels) and (pixels.ndim == 2 or is_grey(to_8_bit(pixels)))


def _is_photograph(pixels: Pixels) -> bool:
    """Return whether a picture is in colour, but neither events nor a measurement coloured by a palette."""
    if pixels.ndim == 2 or _is_blank(pixels):
        return False
    colour = to_8_bit(pixels)
    return not is_grey(colour) and not _is_event_picture(colour) and find_palette(colour) is None
