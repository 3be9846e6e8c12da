"""Picture files: which of a folder are some, in which order, and their pixels as they are stored.

Orientation stored in EXIF is ignored, for every format alike, because boxes and the second stream refer to
the pixels as stored; alpha is dropped; 16-bit colour loses its lower byte, but not grey that is stored as
three equal channels. Grey whose 0 is white is turned round, as it is shown, but not counts of more than 8
bits. Numbers with a sign or a fraction become counts (`dmtrack.video.counts`).

A file of a few bytes may claim billions of pixels, and a decoder that believes it takes the memory first and
notices afterwards: what cannot be is refused by its header.
"""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from io import BytesIO
from itertools import pairwise, takewhile
from pathlib import Path
from statistics import median_low
from typing import Final, cast

import cv2
import imagesize
import numpy as np

from dmtrack.errors import DecodeError, FormatError, VideoError, counted, translated
from dmtrack.numbers import file_bytes
from dmtrack.video.counts import AS_STORED, CountScale
from dmtrack.video.exr import EXR_MAGIC, decode_exr
from dmtrack.video.flir import FLIR_SUFFIXES, decode_fff, fff_of_jpeg, find_pictures, read_fff
from dmtrack.video.foreign import LFS_POINTER
from dmtrack.video.frame import Pixels
from dmtrack.video.jpeg import lacks_data
from dmtrack.video.tiff import (
    as_stored,
    directories,
    is_multiplied,
    is_of_one_bit,
    page_bytes,
    spare_bits,
)

_LOGGER = logging.getLogger(__name__)
IMAGE_SUFFIXES: Final = FLIR_SUFFIXES | frozenset(
    {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".pgm", ".ppm", ".exr"}
)
VIDEO_SUFFIXES: Final = frozenset(
    {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv"}
    | {".3gp", ".asf", ".dv", ".flv", ".m2t", ".m2ts", ".mxf", ".nut", ".ogv", ".qt", ".vob", ".y4m"}
    | {".264", ".265", ".h264", ".h265", ".hevc", ".mjpeg", ".mjpg"}
)
_RECORDINGS: Final = VIDEO_SUFFIXES | {".bag", ".db3", ".mcap"}
_NOT_READ: Final = frozenset(
    {".webp", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".gif", ".tga"}
    | {".pbm", ".pnm", ".pfm", ".hdr", ".npy"}
    | {".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"}
)
"""Pictures all the same."""
MAX_PIXELS: Final = 1 << 28  # 16384 x 16384: more than any camera makes
SMALL_PIXELS: Final = 1 << 25
PIXELS_PER_BYTE: Final = 64
"""A picture larger than 33 megapixels is believed only with so many bytes: memory goes by the file."""
MAX_DEFLATED: Final = 1032  # Deflate packs at most so many bytes into one
MAX_PIXELS_PER_BYTE: Final = 2 * MAX_DEFLATED  # for what does not say how many bits a pixel has
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_END: Final = b"IEND"  # the kind of its last part
_PNG_KIND: Final = 25  # where a PNG says what its channels are; the bits of each stand before
_PNG_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_JPEG: Final = b"\xff\xd8"
_NETPBM: Final = re.compile(rb"P([2356])" + 3 * rb"(?:\s|#[^\n]*\n)+(\d{1,9})" + rb"\s")
_BMP_HEAD_BYTES, _BY_MASKS, _USUAL_MASKS = 66, 3, [0xFF0000, 0xFF00, 0xFF]
_WITH_SIZE: Final = (_PNG, _JPEG, b"BM", b"II*\0", b"MM\0*", b"P5", b"P6")
_CHANNELS: Final = (1, 3, 4)
_MANY: Final = 10
"""Where so many pictures have a number, one without is none of them."""
_TIME: Final = re.compile(
    r"(?<![\d.])(?:(?:(?<!\d\d[-_.:h]\d\d[-_.:m])\d\d?|\d{3,10})\.\d{1,12}|1\d{12}|1\d{15}|1\d{18})(?![\d.])"
)
_REST: Final = r"(?:[-_]?(?P<rest>\d{9}|\d{6}|\d{3})|[.,](?P<fraction>\d{1,9}))?(?!\d)"
_DAY: Final = r"(?<!\d)(?P<year>20\d\d)[-_.]?(?P<month>\d\d)[-_.]?(?P<day>\d\d)[-_.T ]?"
_OF_DAY: Final = r"(?P<hour>[01]\d|2[0-3]){0}(?P<minute>[0-5]\d){1}(?P<second>[0-5]\d)"
_CALENDAR: Final = _DAY + _OF_DAY.format("[-_.:h]?", "[-_.:m]?")
_OTHER_DAY: Final = r"(?<!\d)(?:[0-3]\d[01]\d20\d\d|\d\d[01]\d[0-3]\d|[0-3]\d[01]\d\d\d)[-_.T ]"
_CLOCKS: Final = (
    re.compile(f"{_CALENDAR}s?{_REST}"),
    re.compile(r"(?<!\d)" + _OF_DAY.format("[-_.:h]", "[-_.:m]") + f"s?{_REST}"),
    re.compile(_OTHER_DAY + _OF_DAY.format("", "") + _REST),
    re.compile(r"(?<!\d)(?P<seconds>1\d{9})[-_](?P<rest>\d{9}|\d{6})(?!\d)"),
)
_WHOLE_SECONDS: Final = (re.compile(_CALENDAR + r"(?!\d)"), re.compile(r"(?<!\d)(?P<seconds>1\d{9})(?!\d)"))
_HALF_DAY_S: Final = 43_200
_HHMMSS: Final = re.compile(_OF_DAY.format("", "") + r"\.\d+")
_EARLIEST_HHMMSS: Final = 10_000  # before one o'clock, digits may as well be seconds
_COPY: Final = re.compile(r"(?P<of>.+?)( \(\d+\)|[ _-]+(copy|kopie|copia|edited)\b.*)", re.IGNORECASE)
_DAY_FIRST: Final = re.compile(r"(?<!\d)(\d\d)([-_.]?)(\d\d)\2(20\d\d)(?=[-_.T ]+\d)")
_HALF_DAY: Final = re.compile(r"(?<!\d)(\d\d?)(?:[-_.:]\d\d)+\S*[-_. ]?([ap])\.?m(?![a-z])", re.IGNORECASE)
_MONTH: Final = re.compile(r"(?<![a-z])(jan|feb|m[aä]r|apr|ma[iy]|ju[nl]|aug|sep|o[ck]t|nov|de[cz])\D{0,9}\d")
_HEX: Final = "([0-9a-f]+)"
_HEX_DIGITS: Final = 4
_TIME_DIGITS, _FINE_DIGITS = 9, 3
"""Seconds since 1970 have so many digits; of smaller numbers, so many of a fraction make it a time."""
_SHORTEST_S, _DAY_S = Fraction(1, 1000), 86_400


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture as stored: its pixels, and what they were before they became 8-bit colour or counts.

    `is_damaged`: a part of it is missing.
    """

    pixels: Pixels
    bit_depth: int
    channels: int
    counts: CountScale = AS_STORED
    is_damaged: bool = False

    @property
    def pixel_format(self) -> str:
        """The libav name of such pixels."""
        names = ("gray", "gray16le") if self.channels == 1 else ("rgb24", "rgb48le")
        return names[self.bit_depth > 8]


def list_images(folder: Path) -> tuple[Path, ...]:
    """Return the pictures of a folder in natural order (`2.png` before `10.png`); hidden files do not count.

    `VideoError`: the folder cannot be listed, or holds no pictures.
    """
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError as error:
        raise VideoError("no such folder", where=folder) from error
    except OSError as error:
        raise VideoError(f"the folder cannot be listed: {error.strerror}", where=folder) from error
    images = natural_order([entry for entry in entries if entry.suffix.lower() in IMAGE_SUFFIXES])
    if not images:
        below = sorted(entry.name for entry in entries if entry.is_dir())
        hint = f"it has the sub-folders {', '.join(below[:6])}: name one of them" if below else None
        if others := sorted({entry.suffix for entry in entries if _is_unread_frame(entry.name)}):
            hint = f"it has {', '.join(others)}: save them as PNG or TIFF"
        elif videos := sorted(entry.name for entry in entries if entry.suffix.lower() in _RECORDINGS):
            hint = f"it has {', '.join(videos[:6])}: name one of them"
        elif not below and any(entry.suffix.lower() == ".csv" for entry in entries):
            hint = "tables are not read: save them as TIFF of floats"
        raise VideoError("the folder holds no pictures (jpg, png, tif, bmp)", where=folder, hint=hint)
    return tuple(_one_series(images, folder))


def doubts_about(folder: Path) -> Iterator[str]:
    """Yield what a person may miss or not mean among the pictures of a folder, a sentence each."""
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    kinds = {name: f".{name.rpartition('.')[2].lower()}" for name in names}
    read = {name.rpartition(".")[0] for name, kind in kinds.items() if kind in IMAGE_SUFFIXES}
    others = [name for name in names if _is_unread_frame(name) and name.rpartition(".")[0] not in read]
    if others:
        are = counted(len(others), "file") + (" is" if len(others) == 1 else " are")
        yield f"{folder.name}: {are} not read, such as {others[0]}: save pictures as PNG or TIFF."
    videos = [name for name, kind in kinds.items() if kind in VIDEO_SUFFIXES]
    if videos:
        yield f"{folder.name}: its pictures are read, not {videos[0]}: name that to read it."
    copies = sorted(stem for stem in read if (copy := _COPY.fullmatch(stem)) and copy["of"] in read)
    if 0 < _MANY * len(copies) <= len(read):
        yield f"{folder.name}: what looks like a copy counts as a frame, such as {copies[0]!r}."
    if not _are_in_time(read):
        what = "its pictures are in the order of the numbers in their names, which is not that of time"
        yield f"{folder.name}: {what}: name them by year, month, day and a clock of 24 hours."


def _are_in_time(stems: Collection[str]) -> bool:
    """Tell whether numbers in names rise with time.

    Not where months are words or follow days, PM follows AM, or a clock without a day passes midnight.
    """
    if len({month[1] for stem in stems if (month := _MONTH.search(stem.lower())) is not None}) > 1:
        return False
    first = next(iter(stems), "")
    clock = _CLOCKS[1].search(first)
    if clock is not None and not re.search(r"\d\d", first[: clock.start()]):
        times_s = sorted(_seconds(match) for match in map(_CLOCKS[1].search, stems) if match is not None)
        if any(later - earlier > _HALF_DAY_S for earlier, later in pairwise(times_s)):
            return False
    if not any(pattern.search(first) for pattern in (_DAY_FIRST, _HALF_DAY)):
        return True
    found = [match for match in map(_DAY_FIRST.search, stems) if match is not None]
    days = sorted({(int(one[1]), int(one[3]), int(one[4])) for one in found})
    of_europe = [(year, two, one) for one, two, year in days]
    of_america = [(year, one, two) for one, two, year in days]
    possible = [dates for dates in (of_europe, of_america) if all(0 < month < 13 for _, month, _ in dates)]
    clocks = {
        (int(match[1]), match[2].lower()) for match in map(_HALF_DAY.search, stems) if match is not None
    }
    hours, halves = ({clock[place] for clock in clocks} for place in (0, 1))
    has_noon = len(halves) > 1 or (12 in hours and len(hours) > 1)
    return not has_noon and all(dates == sorted(dates) for dates in possible)


def _is_unread_frame(name: str) -> bool:
    """Return whether a file may be one of many pictures, of a kind that is not read: not `K.npy`."""
    stem, _, kind = name.rpartition(".")
    return f".{kind.lower()}" in _NOT_READ and any(map(str.isdigit, stem))


def _one_series(images: Sequence[Path], folder: Path) -> Sequence[Path]:
    """Return pictures without the few that have no number where all others have one, such as a thumbnail.

    `VideoError`: pictures of two kinds of name have the same numbers: they are two streams.
    """
    series: dict[tuple[str, str], dict[tuple[int, ...], Path]] = {}
    digits, base = (_HEX, 16) if _are_hexadecimal(images) else (r"(\d+)", 10)
    for image in images:
        words = re.split(digits, image.stem.lower())
        kind = "#".join(words[::2]), image.suffix.lower()
        series.setdefault(kind, {})[tuple(int(word, base) for word in words[1::2])] = image
    seen: dict[tuple[int, ...], Path] = {}
    for pictures in sorted(series.values(), key=len, reverse=True):
        twice = [number for number in pictures if number in seen]
        if len(twice) > 2 and 2 * len(twice) >= len(pictures):
            both = f"{seen[twice[0]].name} and {pictures[twice[0]].name}"
            hint = "give each of them a folder of its own"
            raise VideoError(f"it holds two series of pictures, as {both}", where=folder, hint=hint)
        seen |= pictures
    texts = {text.strip("#_-. ()") for text, _ in series if "#" in text}
    strays = [one[()] for (text, _), one in series.items() if () in one and text.strip("_-. ()") not in texts]
    if not 0 < _MANY * len(strays) <= len(images):
        return images
    _LOGGER.warning("%s: left out, it has no number as the others have: %s", folder, strays[0].name)
    return [image for image in images if image not in strays]


def natural_order(files: Sequence[Path]) -> list[Path]:
    """Return files in order of the numbers in their names; the rest is text, without case.

    After a number of nine digits and more, which is a time, a point begins a fraction: `str(time.time())`
    leaves out zeros at the end. After a smaller one it does where the lengths of all fractions say so
    (`0.05`, `0.1`); else the two are numbers of their own, so that version 1.2 comes before 1.10. Names of
    four and more hexadecimal digits, all of one length, are one number each.
    """
    if _are_hexadecimal(files):
        return sorted(files, key=lambda file: (file.stem.lower(), file.name))
    words = re.compile(r"\d+\.\d+|\d+|\D+" if _has_fractions(files) else r"\d{9,}\.\d+|\d+|\D+")

    def key(file: Path) -> tuple[list[tuple[int, Decimal, str]], str]:
        parts = words.findall(file.stem.lower())
        return [
            (0, Decimal(part), "") if part[0].isdecimal() else (1, Decimal(0), part) for part in parts
        ], file.name

    return sorted(files, key=key)


def _are_hexadecimal(files: Sequence[Path]) -> bool:
    stems = [file.stem.lower() for file in files]
    lengths = {len(stem) for stem in stems}
    return (
        len(lengths) == 1 and lengths.pop() >= _HEX_DIGITS and all(re.fullmatch(_HEX, one) for one in stems)
    )


def _has_fractions(files: Sequence[Path]) -> bool:
    """Return whether what follows points in names is of several lengths, as fractions are, not versions."""
    fractions = [digits for file in files for digits in re.findall(r"\d\.(\d+)", file.stem)]
    if len({len(digits) for digits in fractions}) < 2:
        return False
    if any(len(digits) > 3 or (digits[0] == "0" and len(digits) > 1) for digits in fractions):
        return True
    return not any(digits[-1] == "0" and len(digits) > 1 for digits in fractions)


def times_in_names(files: Sequence[Path]) -> list[Fraction] | None:
    """Return the times in seconds that the names of pictures are, such as `1305031102.175304.png`.

    Numbers of 13, 16 and 19 digits are milliseconds, microseconds and nanoseconds since 1970; a time of the
    day with a fraction, and maybe a date (`20240131_235959_950`, `2024-01-31T23:59:59.95`, `235959.950`), or
    seconds and their fraction in two numbers (`1305031102_175304000`), are times too. None where a name holds
    no time, or several, or they do not rise.
    """
    if (split_s := _split_times(files)) is not None:
        return split_s
    if len(files) < 2 or len(_TIME.findall(files[0].stem)) != 1:
        return None
    found = [_TIME.findall(file.stem) for file in files]
    if any(len(one) != 1 for one in found):
        return None
    words = [one[0] for one in found]
    if any(len(word.partition(".")[0]) < _TIME_DIGITS for word in words) and not (
        _has_fractions(files) or all(len(word.partition(".")[2]) >= _FINE_DIGITS for word in words)
    ):
        return None
    times_s = [Fraction(word) / (1 if "." in word else 10 ** (len(word) - 10)) for word in words]
    clocks = [match for match in map(_HHMMSS.fullmatch, words) if match is not None]
    if len(clocks) == len(words) and times_s[0] >= _EARLIEST_HHMMSS:
        times_s = [_seconds(match) + time_s % 1 for match, time_s in zip(clocks, times_s, strict=True)]
    return times_s if _are_frames(times_s) else None


def _are_frames(times_s: Sequence[Fraction]) -> bool:
    """Tell whether times rise as those of frames do, pauses or not; a clock of no day may pass midnight."""
    steps_s = [later - earlier for earlier, later in pairwise(times_s)]
    is_of_a_day = times_s[-1] >= _DAY_S or max(steps_s) < _HALF_DAY_S
    return min(steps_s) > 0 and _SHORTEST_S <= median_low(steps_s) <= _DAY_S and is_of_a_day


def _split_times(files: Sequence[Path]) -> list[Fraction] | None:
    """Return the times that names hold in several numbers; what counts by ones at their end is no time.

    Nor is what stays within one second, where no date says that it is one: numbers of scene, camera and shot.
    """
    for found, whole_s in _clocks_in_names(_CLOCKS, files):
        words = [match.groupdict() for match in found]
        rests = [one["rest"] or one.get("fraction") or "" for one in words]
        if len({len(one["rest"] or "") for one in words}) > 1 or 2 * rests.count("") > len(rests):
            continue  # Python leaves out a fraction of 0
        tick_s = Fraction(1, 10 ** max(map(len, rests)))
        if "hour" in words[0] and "year" not in words[0] and whole_s[0] == whole_s[-1]:
            continue
        times_s = [whole + Fraction(f"0.{rest}0") for whole, rest in zip(whole_s, rests, strict=True)]
        steps_s = [later - earlier for earlier, later in pairwise(times_s)]
        if median_low(steps_s) > tick_s and _are_frames(times_s):
            return times_s
    return None


def seconds_in_names(files: Sequence[Path]) -> list[int] | None:
    """Return the whole seconds since 1970 that names end with: a date and a time of the day, or their number.

    None where they are none, do not rise, or a number follows, which counts better.
    """
    for found, times_s in _clocks_in_names(_WHOLE_SECONDS, files):
        if not any(re.search(r"\d", one.string[one.end() :]) for one in found):
            return times_s if _are_frames([Fraction(one) for one in times_s]) else None
    return None


def _clocks_in_names(
    patterns: Iterable[re.Pattern[str]], files: Sequence[Path]
) -> Iterator[tuple[list[re.Match[str]], list[int]]]:
    """Yield, for each pattern that all names of several have, where it is found and its whole seconds."""
    for pattern in patterns:
        matches = takewhile(bool, (pattern.search(file.stem) for file in files))
        found = [match for match in matches if match is not None]
        with suppress(ValueError):  # there is no such day
            if len(found) == len(files) > 1:
                yield found, [_seconds(match) for match in found]


def _seconds(match: re.Match[str]) -> int:
    words = match.groupdict()
    if "hour" not in words:
        return int(match["seconds"])
    if "year" not in words:
        return int(match["hour"]) * 3600 + int(match["minute"]) * 60 + int(match["second"])
    numbers = [int(match[name]) for name in ("year", "month", "day", "hour", "minute", "second")]
    return int(datetime(*numbers, tzinfo=UTC).timestamp())  # type: ignore[arg-type, misc]


def read_picture(file: Path) -> Pixels:
    """Read one picture as it is stored: `(H, W, 3)` in RGB order, or `(H, W)` uint8 or uint16.

    `DecodeError`: the file is missing, or it is no picture that can be used.
    """
    try:
        return load_picture(file).pixels
    except FormatError as error:
        raise DecodeError(f"the picture cannot be read: {error.what}", where=file) from error


def load_picture(file: Path, counts: CountScale | None = None, page: int | None = None) -> StoredPicture:
    """Read a picture file as it is stored.

    `counts` says how numbers with a sign or a fraction become counts; None finds out from this picture.
    `page` is which picture of a TIFF that holds several, from 0. `FormatError`: it is no picture that can be
    used; `DecodeError`: the file cannot be read.
    """
    try:
        if file.suffix.lower() in FLIR_SUFFIXES:
            return _of_flir(read_fff(file, page or 0), counts)
        if page is not None:
            return _as_pixels(_decoded(page_bytes(file, page)), counts)
        return decode_picture(file_bytes(file), counts)
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror}", where=file) from error
    except ValueError as error:
        raise FormatError(str(error)) from error


def decode_picture(data: bytes, counts: CountScale | None = None) -> StoredPicture:
    """Decode a picture file as it is stored, in RGB order; a `FormatError` says why it cannot be used."""
    if not data:
        raise FormatError("the file is empty")
    if data.startswith(LFS_POINTER):
        raise FormatError("it is a Git LFS pointer, not the picture itself: run `git lfs pull`")
    is_jpeg = data.startswith(_JPEG)
    if is_jpeg and (fff := fff_of_jpeg(data)) is not None:
        return _of_flir(fff, counts)
    picture = _as_pixels(_decoded(data), counts)
    return replace(picture, is_damaged=True) if is_jpeg and lacks_data(picture.pixels, data) else picture


def stored_numbers(file: Path, page: int | None = None) -> np.ndarray:
    """Return the numbers of a picture as they are stored; nothing where it cannot be read, or is of bytes."""
    if file.suffix.lower() in FLIR_SUFFIXES:
        return np.empty(0)
    try:
        stored = _decoded(file_bytes(file) if page is None else page_bytes(file, page))
    except (FormatError, OSError, ValueError):
        stored = None
    return np.empty(0) if stored is None or stored.dtype == np.uint8 else stored.ravel()


def _decoded(data: bytes) -> np.ndarray | None:
    with translated(FormatError, "this is no whole picture"):
        if data.startswith(EXR_MAGIC):
            most = min(MAX_PIXELS, max(SMALL_PIXELS, PIXELS_PER_BYTE * len(data)), MAX_DEFLATED * len(data))
            return decode_exr(data, most)
        if not is_believable(data):
            raise FormatError("it claims to be larger than the file can hold")
        if data.startswith(_PNG) and all(kind != _PNG_END for kind, _ in _png_chunks(data)):
            return None  # as OpenCV would, but libpng writes a line to standard error as well
        if (stored := _of_masks(data)) is not None:
            return stored
        data += b"\n" * data.startswith((b"P2", b"P3"))  # OpenCV loses the last number without
        stored = cv2.imdecode(np.frombuffer(as_stored(data), np.uint8), cv2.IMREAD_UNCHANGED)
        if stored is None or stored.dtype not in (np.uint8, np.uint16):
            return stored
        if stored.ndim == 3:
            return _colours(cast(Pixels, stored), data)
        if data.startswith(b"P2") and 0 < (white := stored_white(data)) < 255:  # OpenCV spreads them to 255
            return ((stored.astype(np.uint16) * white + 254) // 255).astype(np.uint8)
        return np.right_shift(cast(Pixels, stored), spare) if (spare := spare_bits(data)) else stored


def _of_masks(data: bytes) -> np.ndarray | None:
    """Return `(H, W, 3)` BGR of a whole BMP whose masks say where colours lie, unless they lie as usual."""
    if not data.startswith(b"BM") or len(data) < _BMP_HEAD_BYTES:
        return None
    begin, width, height, bits, packing, *masks = struct.unpack_from("<I4xii2xHI20x3I", data, 10)
    if packing != _BY_MASKS or bits not in (16, 32) or not 0 < min(masks) <= max(masks) < 1 << bits:
        return None
    row_bytes, pixel_bytes = -(-width * bits // 32) * 4, bits // 8
    end = begin + row_bytes * (abs(height) - 1) + width * pixel_bytes
    if min(width, abs(height)) < 1 or end > len(data) or (bits == 32 and masks == _USUAL_MASKS):
        return None
    rows = np.ndarray((abs(height), width), f"<u{pixel_bytes}", data, begin, (row_bytes, pixel_bytes))
    levels = [np.rint((rows & mask) * (255 / mask)).astype(np.uint8) for mask in masks[::-1]]
    return np.dstack(levels)[:: -1 if height > 0 else 1]


def _colours(stored: Pixels, data: bytes) -> Pixels:
    """Return colours as bright as a file means them: white is the maximum of a PPM, alpha divides them."""
    most = np.iinfo(stored.dtype).max
    if stored.shape[2] == 4 and is_multiplied(data):
        alpha = np.where(stored[..., 3:] == 0, most, stored[..., 3:])  # nothing, and yet a colour: unused
        stored[..., :3] = np.minimum(np.rint(stored[..., :3] * (most / alpha)), most)
    white = stored_white(data)
    if not 0 < white < most or (most > 255 and _is_repeated(stored)):
        return stored
    table = np.rint(np.minimum(np.arange(most + 1) / white, 1) * most).astype(stored.dtype)
    return cast(Pixels, table[stored])


def stored_white(data: bytes) -> int:
    """Return the number that a Netpbm picture says is white; 0 of others, and where OpenCV heeds it."""
    head = _NETPBM.match(data)
    return 0 if head is None or (head[1] == b"3" and int(head[4]) <= 255) else int(head[4])


def _of_flir(data: bytes, counts: CountScale | None) -> StoredPicture:
    pixels, scale = decode_fff(data, counts)
    return StoredPicture(pixels, 16, 1, scale)


def _as_pixels(stored: np.ndarray | None, counts: CountScale | None) -> StoredPicture:
    if stored is None:
        raise FormatError("this is no whole picture")
    if stored.ndim == 3 and stored.shape[2] not in _CHANNELS:
        raise FormatError(f"pictures of {stored.shape[2]} channels are not supported")
    depth = stored.dtype.itemsize * 8
    if stored.ndim == 2 or stored.shape[2] == 1 or (depth > 8 and _is_repeated(stored)):
        grey = stored if stored.ndim == 2 else np.ascontiguousarray(stored[..., 0])
        if grey.dtype in (np.uint8, np.uint16):
            return StoredPicture(cast(Pixels, grey), depth, 1)
        scale = counts or CountScale.of(grey)
        return StoredPicture(scale.counts(grey), 16, 1, scale)
    if stored.dtype not in (np.uint8, np.uint16):
        raise FormatError(f"colour pictures of {stored.dtype} are not supported")
    to_rgb = cv2.COLOR_BGR2RGB if stored.shape[2] == 3 else cv2.COLOR_BGRA2RGB
    colour = cast(Pixels, cv2.cvtColor(stored, to_rgb))
    return StoredPicture(colour if depth == 8 else (colour >> 8).astype(np.uint8), depth, 3)


def _is_repeated(stored: np.ndarray) -> bool:
    """Return whether three channels are one, stored three times."""
    blue, green, red = (stored[..., channel] for channel in range(3))
    return bool((blue == green).all() and (green == red).all())


def is_believable(data: bytes) -> bool:
    """Return whether so few bytes can hold the picture that they claim; True where the size is unknown."""
    if not data.startswith(_WITH_SIZE):
        return True
    width, height = imagesize.get(BytesIO(data), exif_rotation=False)  # -1, -1: unknown
    if abs(width * height) > max(SMALL_PIXELS, PIXELS_PER_BYTE * len(data)):
        return False
    if data.startswith(_PNG) and not _are_chunks_believable(data):
        return False
    pixels_per_byte = MAX_PIXELS_PER_BYTE
    if data.startswith(_PNG) and len(data) > _PNG_KIND:
        bits = data[_PNG_KIND - 1] * _PNG_CHANNELS.get(data[_PNG_KIND], 1)
        pixels_per_byte = MAX_DEFLATED * 8 // max(1, bits)
    elif is_of_one_bit(data):
        pixels_per_byte = SMALL_PIXELS
    return bool(abs(width * height) <= min(MAX_PIXELS, pixels_per_byte * len(data)))


def _are_chunks_believable(data: bytes) -> bool:
    """Return whether no part of a PNG claims to be longer than the file: OpenCV takes that much memory."""
    return all(length <= len(data) for _, length in _png_chunks(data))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield kind and length in bytes of each part of a PNG, up to its last; what follows is none."""
    at = len(_PNG)
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        at += length + 12
        if at > len(data):
            kind = b""  # broken off
        yield kind, length
        if kind == _PNG_END:
            return


def opencv_picture(file: Path, flags: int) -> np.ndarray | None:
    """Return what OpenCV reads of a file, in BGR order; None where it cannot.

    Its own `imread` and `imwrite` find no name beyond ASCII on Windows.
    """
    with suppress(OSError, ValueError, cv2.error):
        return cv2.imdecode(np.frombuffer(file_bytes(file), np.uint8), flags)
    return None


def page_count(file: Path) -> int:
    """Return how many pictures a file holds: a TIFF or a FLIR recording may hold several."""
    if file.suffix.lower() in FLIR_SUFFIXES:
        return len(find_pictures(file).places)
    return len(directories(file)) if file.suffix.lower() in (".tif", ".tiff") else 1


def picture_count(file: Path) -> int:
    """Return how many pictures a file holds; an animated PNG counts too, which is read as a video."""
    with suppress(OSError):  # said when it is read
        if file.suffix.lower() != ".png":
            return page_count(file)
        with file.open("rb") as opened:
            head = opened.read(1 << 16).partition(b"IDAT")[0]
        return int.from_bytes(head.partition(b"acTL")[2][:4] or b"\1", "big")
    return 1


def encoded_picture(pixels: Pixels, suffix: str = ".png", level: int | None = None) -> bytes:
    """Return a picture as the bytes of a file.

    `pixels` are `(H, W, 3)` RGB or `(H, W)` grey, of 8 bits or (PNG) of 16; the suffix is `.png` or `.jpg`;
    `level` is how well PNG packs, 0 to 9, or the quality of JPEG, to 100; None: as usual.
    """
    turned = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    option = cv2.IMWRITE_JPEG_QUALITY if suffix == ".jpg" else cv2.IMWRITE_PNG_COMPRESSION
    _, data = cv2.imencode(suffix, np.ascontiguousarray(turned), () if level is None else (option, level))
    return bytes(data)
