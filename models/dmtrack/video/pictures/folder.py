"""`FolderReader`: a folder of pictures, read like a video.

Pictures have no clock: their times are those in their names, or follow from an assumed frame rate.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from typing import Final, cast

import cv2
import numpy as np

from dmtrack.errors import ConfigError, DecodeError, FormatError
from dmtrack.numbers import file_bytes
from dmtrack.video.foreign import picture_notes
from dmtrack.video.frame import Pixels, VideoInfo
from dmtrack.video.pictures.counts import AS_STORED, CountScale
from dmtrack.video.pictures.flir import FLIR_SUFFIXES, find_pictures
from dmtrack.video.pictures.picture_file import (
    StoredPicture,
    load_picture,
    page_count,
    picture_count,
    stored_numbers,
    stored_white,
)
from dmtrack.video.pictures.picture_list import IMAGE_SUFFIXES, doubts_about, list_images
from dmtrack.video.pictures.picture_names import times_in_names
from dmtrack.video.source import DEFAULT_FRAME_RATE, MAX_CONSECUTIVE_DAMAGED, StoredPictures, follows

_NS: Final = Fraction(1, 10**9)
_DAY_S: Final = 86_400
_DARK_BITS: Final = 4
_LOOKED_AT: Final = 8  # so many pictures, evenly spaced, are examined for the scale of counts and for notes

_LOGGER = logging.getLogger(__name__)


class FolderReader(StoredPictures):
    """The pictures of a folder in natural order (`2.png` before `10.png`), or those of one file.

    A frame's index is its place in that order, so rows of a ground-truth file stay with their picture even
    if one cannot be read. If all names are times, these are the frames' times; else times follow from the
    place and `frame_rate`. Pictures that cannot be read are skipped and counted, incomplete ones are used and
    counted. Grey and colour, and bit depths, may alternate, as between night and day; a picture of another
    size is scaled to that of the first.

    The folder holds jpg, png, tif, bmp, pgm, ppm, exr or fff files; a file is a TIFF of several pictures or a
    FLIR recording. `frame_rate` and the time of the first picture, `start_s`, are assumed; `is_beside`: that
    is the time of a stream with a clock, and times in names over a day from it are shifted to begin there.
    `VideoError`: there is no such folder, or it holds no pictures; `DecodeError`: none of the first
    `MAX_CONSECUTIVE_DAMAGED` pictures can be read; `ConfigError`: the rate is not positive.
    """

    def __init__(
        self,
        path: Path,
        *,
        frame_rate: Fraction = DEFAULT_FRAME_RATE,
        start_s: Fraction = Fraction(0),
        is_beside: bool = False,
    ) -> None:
        if frame_rate <= 0:
            raise ConfigError(f"frame rate {frame_rate} is not positive")
        is_file = path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
        files = (path,) if is_file else list_images(path)
        pages = max(1, page_count(files[0])) if len(files) == 1 else 1
        self.files: Sequence[Path] = files * pages
        self._pages: Sequence[int | None] = range(pages) if pages > 1 else [None] * len(files)
        self._scaled = 0
        self._of_other_bits = False
        start_pts, time_base = exact_stamps(frame_rate, start_s)
        step = round(1 / (frame_rate * time_base))
        super().__init__(range(start_pts, start_pts + step * len(self.files), step))
        file, first = self._find_first()
        self._size, self._counts = first.pixels.shape[1::-1], self._scale(first.counts)
        self._start_s = start_s
        self.info = VideoInfo(
            path=path,
            width=first.pixels.shape[1],
            height=first.pixels.shape[0],
            frame_rate=frame_rate,
            time_base=time_base,
            start_pts=start_pts,
            frame_count=len(self.files),
            pixel_format=first.pixel_format,
            codec=file.suffix.lower().lstrip("."),
            bit_depth=first.bit_depth,
            channels=first.channels,
            depth_unit_mm=self._counts.depth_unit_mm,
            counts=self._counts,
            notes=(*_notes(path, file, files), *_dark(path.name, first, file)),
        )
        times_s = _times_in_file(path) if is_file else times_in_names(files)
        self.has_clock = times_s is not None
        if times_s is not None:
            is_far = is_beside and abs(times_s[0] - start_s) > _DAY_S
            origin_s = times_s[0] - start_s if is_far else 0
            self._date([round((time_s - origin_s) / _NS) for time_s in times_s], _NS)

    def number(self, numbers: Sequence[int], origin: int, frame_rate: Fraction) -> None:
        """Set the times from ascending numbers in names, one per picture, so that gaps stay gaps.

        `origin` is the number of the start time, `frame_rate` how many numbers make a second.
        """
        start_pts, time_base = exact_stamps(frame_rate, self._start_s)
        step = round(1 / (frame_rate * time_base))
        self._date([start_pts + (number - origin) * step for number in numbers], time_base)
        usual = median_low(later - earlier for earlier, later in pairwise(numbers)) if numbers[1:] else 1
        self.info = replace(self.info, frame_rate=frame_rate / usual)
        self.has_clock = True

    def date(self, seconds: Sequence[int]) -> None:
        """Set the times to ascending whole seconds, one per picture."""
        self._date(seconds, Fraction(1))
        self.has_clock = True

    def _date(self, stamps: Sequence[int], time_base: Fraction) -> None:
        self._pts = stamps
        span_s = (stamps[-1] - stamps[0]) * time_base
        rate = (len(stamps) - 1) / span_s if span_s else self.info.frame_rate
        known = follows(stamps, time_base)
        self.info = replace(
            self.info, time_base=time_base, start_pts=stamps[0], frame_rate=rate, follows_s=known
        )

    def _name(self, index: int) -> Path:
        return self.files[index]

    def close(self) -> None:
        """Do nothing: no file stays open between two pictures."""

    def _find_first(self) -> tuple[Path, StoredPicture]:
        reason = ""
        for index, file in enumerate(self.files[:MAX_CONSECUTIVE_DAMAGED]):
            try:
                return file, load_picture(file, page=self._pages[index])
            except (FormatError, DecodeError) as error:
                reason = reason or error.what
                self._damaged.add(index)
        raise DecodeError(
            f"this picture cannot be read, nor can those after it: {reason}", where=self.files[0]
        )

    def _scale(self, first: CountScale) -> CountScale:
        """Return the scale of counts that fits pictures from all over the stream."""
        if first == AS_STORED:
            return first
        places = [(self.files[at], self._pages[at]) for at in _spread(self.files)]
        numbers = [stored_numbers(*place) for place in places]
        found = [one for one in numbers if one.size and one.dtype.kind == numbers[0].dtype.kind]
        if found:
            return CountScale.of(np.concatenate(found))
        scales = [first]  # a FLIR camera may switch its range within a recording
        for file, page in places:
            with suppress(FormatError, DecodeError):
                scales.append(load_picture(file, page=page).counts)
        return min((one for one in scales if one.zero == first.zero), key=lambda scale: scale.per_unit)

    def _usable(self, index: int) -> Pixels | None:
        file = self.files[index]
        try:
            picture = load_picture(file, self._counts, self._pages[index])
        except (FormatError, DecodeError) as error:
            _LOGGER.warning("%s: skipped, the picture cannot be read: %s", file, error.what)
            return None
        pixels = picture.pixels
        if picture.is_damaged:
            self._damaged.add(index)
            _LOGGER.warning("%s: a part of the picture is missing and shown grey", file)
        if pixels.ndim == 2 and self.info.channels == 1 and picture.bit_depth != self.info.bit_depth:
            if not self._of_other_bits:
                said = "%s: %d bits, unlike the first picture: its counts are others, and not measured"
                _LOGGER.warning(said, file, picture.bit_depth)
            self._of_other_bits = True
        if pixels.shape[1::-1] == self._size:
            return pixels
        if not self._scaled:
            height, width = pixels.shape[:2]
            _LOGGER.warning("%s: %dx%d, unlike the first picture: scaled", file, width, height)
        self._scaled += 1
        method = cv2.INTER_NEAREST if pixels.ndim == 2 else cv2.INTER_AREA  # counts must not be averaged
        return cast(Pixels, cv2.resize(pixels, self._size, interpolation=method))


def _spread(files: Sequence[Path]) -> range:
    return range(0, len(files), max(1, len(files) // _LOOKED_AT))


def _notes(path: Path, first: Path, files: Sequence[Path]) -> tuple[str, ...]:
    """Return notes on the pictures of `path`, a sentence each; `first` is an undamaged one."""
    looked_at = [first, *(files[at] for at in _spread(files))]
    found = list(picture_notes(looked_at))
    several = [file for file in looked_at if picture_count(file) > (1 if files[1:] else page_count(file))]
    if several:
        holds = f"{several[0].name} holds {picture_count(several[0])} pictures"
        found.append(f"{path.name}: {holds}; of each file one is read.")
    return (*found, *(doubts_about(path) if path.is_dir() else ()))


def _dark(name: str, first: StoredPicture, file: Path) -> Iterator[str]:
    """Yield a note if pictures use only the lower part of their range, and so look dark."""
    white = stored_white(file_bytes(file)) if file.suffix.lower() == ".pgm" else 0
    if 0 < white < 255 and first.channels == 1:
        yield f"{name}: {white} is white in its PGM, and stays as stored, which is dark: save them with 255."
    used = int(first.pixels.max()).bit_length()
    if first.channels == 3 and first.bit_depth > 8 and used <= _DARK_BITS:
        bits = f"{first.bit_depth} bits, of which the upper 8 are read"
        yield f"{name}: its first picture is nearly black for {bits}: multiply colours by {1 << (8 - used)}."


def _times_in_file(path: Path) -> list[Fraction] | None:
    """Return the times of a FLIR recording in seconds; None without any."""
    if path.suffix.lower() not in FLIR_SUFFIXES:
        return None
    times_ns = find_pictures(path).times_ns
    return None if times_ns is None else [time_ns * _NS for time_ns in times_ns]


def exact_stamps(frame_rate: Fraction, start_s: Fraction) -> tuple[int, Fraction]:
    """Return the first stamp and a time base in which it and every frame time are exact."""
    interval = 1 / frame_rate
    scale = interval.denominator * start_s.denominator
    time_base = Fraction(1, scale) if start_s else interval
    return int(start_s / time_base), time_base
