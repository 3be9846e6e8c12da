"""FLIR's radiometric pictures (JPEG, FFF) and recordings (SEQ, CSQ): raw counts, and the degrees they mean.

A JPEG carries a file of records (FFF) in its APP1 segments; SEQ and CSQ are sequences of such files. One
record holds the raw picture, uncompressed, as PNG or (CSQ) as JPEG-LS; another one the parameters of the
camera and the atmosphere.

Source: names and offsets of the fields as ExifTool documents them (https://exiftool.org/TagNames/FLIR.html);
the radiometric equation of FLIR's manuals (object, reflection and atmosphere), as in Minkina and Dudzik,
"Infrared Thermography: Errors and Uncertainties".
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast

import av
import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.errors import FormatError, translated
from dmtrack.video.pictures.counts import AS_STORED, Counts, CountScale
from dmtrack.video.pictures.jpeg import jpeg_segments, said_bits

FLIR_SUFFIXES: Final = frozenset({".fff", ".seq", ".csq"})
MAGIC: Final = b"FFF\0"
_SEGMENT: Final = b"FLIR\0"
_APP1: Final = 0xE1
_HEADER_BYTES, _ENTRY_BYTES, _RAW_HEADER_BYTES = 64, 32, 32
_RAW_RECORD, _CAMERA_RECORD = 1, 0x20
_MOST_RECORDS: Final = 256
_MOST_VERSION: Final = 0xFFFF
_MOST_CAMERA_BYTES: Final = 1 << 12
_LARGEST_PIXELS: Final = 1 << 23  # no thermal sensor has more
_CELSIUS_K: Final = 273.15
_HOTTEST_IN_HUNDREDTHS: Final = 350.0
_NS: Final = 10**9
_BITS: Final = 16
_JPEG_LS: Final = b"\xff\xd8\xff\xf7"
_PNG: Final = b"\x89PNG"

Celsius = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Radiometry:
    """The parameters that convert counts to degrees."""

    planck: tuple[float, float, float, float, float]  # R1, B, F, O, R2
    emissivity: float  # of the object
    distance_m: float  # of the object
    reflected_k: float  # temperature that the object reflects, in kelvin
    air_k: float  # of the air
    humidity: float  # of the air, 0 to 1
    air: tuple[float, float, float, float, float]  # alpha 1 and 2, beta 1 and 2, X of the atmosphere
    hottest_k: float  # upper end of the camera's range

    def celsius(self) -> Celsius:
        """Return the temperature of each count, `(65536,)` degrees Celsius; NaN if it has none."""
        r1, b, f, o, r2 = self.planck
        tau, emissivity, surroundings = self._transmission(), self.emissivity, (self.reflected_k, self.air_k)
        with np.errstate(all="ignore"):
            counts = np.arange(1 << 16, dtype=np.float64)
            reflected, air = (r1 / (r2 * (np.exp(b / kelvin) - f)) - o for kelvin in surroundings)
            own = (counts - (1 - emissivity) * tau * reflected - (1 - tau) * air) / (emissivity * tau)
            kelvin = b / np.log(r1 / (r2 * (own + o)) + f)
            return np.where(np.isfinite(kelvin) & (kelvin > 0), kelvin - _CELSIUS_K, np.nan)

    def scale(self) -> CountScale:
        """Return the scale: hundredths of a kelvin, or tenths if the camera's range exceeds these."""
        is_hot = self.hottest_k - _CELSIUS_K > _HOTTEST_IN_HUNDREDTHS
        return CountScale(10.0 if is_hot else 100.0, -_CELSIUS_K)

    def _transmission(self) -> float:
        alpha_1, alpha_2, beta_1, beta_2, x = self.air
        celsius = min(100.0, max(-100.0, self.air_k - _CELSIUS_K))
        water = self.humidity * math.exp(
            1.5587 + 6.939e-2 * celsius - 2.7816e-4 * celsius**2 + 6.8455e-7 * celsius**3
        )
        root, wet = math.sqrt(self.distance_m), math.sqrt(water)
        first, second = (
            math.exp(min(1.0, -root * (alpha + beta * wet)))
            for alpha, beta in ((alpha_1, beta_1), (alpha_2, beta_2))
        )
        tau = x * first + (1 - x) * second
        return tau if 0 < tau <= 1 else 1.0


@dataclass(frozen=True, slots=True)
class Camera:
    """What the camera states about a picture."""

    radiometry: Radiometry | None = None  # what converts its counts to degrees; None if incomplete
    time_ns: int | None = None  # when it was taken, since 1970; None if not stated


def fff_of_jpeg(data: bytes) -> bytes | None:
    """Return the file of records in a JPEG; None if there is none.

    Source: APP1 segments that begin with `FLIR`, 0, 1, their own number and that of the last one.
    """
    if data.find(_SEGMENT, 0, 1 << 17) < 0:
        return None
    parts = {
        data[start + 6]: data[start + 8 : end]
        for kind, start, end in jpeg_segments(data)
        if kind == _APP1 and data.startswith(_SEGMENT, start) and end - start > 8
    }
    return b"".join(parts[number] for number in sorted(parts)) or None


def decode_fff(data: bytes, counts: CountScale | None = None) -> tuple[Counts, CountScale]:
    """Return the picture of a file of records, as temperatures or else raw counts, and its scale.

    `counts` says how degrees become counts; None takes the scale of this camera. `FormatError`: the file is
    damaged, or its picture is stored in an unknown way.
    """
    with translated(FormatError, "the FLIR records are damaged"):
        records = _records(data)
        if _RAW_RECORD not in records:
            raise FormatError("the FLIR file holds no raw picture")
        raw = _raw_picture(data, *records[_RAW_RECORD])
        radiometry = _camera(data, records).radiometry
    if radiometry is None:
        return raw, AS_STORED
    scale = counts or radiometry.scale()
    return _table(radiometry, scale)[raw], scale


@lru_cache(maxsize=64)
def _table(radiometry: Radiometry, scale: CountScale) -> Counts:
    return scale.counts(radiometry.celsius())


def _records(data: bytes) -> dict[int, tuple[int, int]]:
    """Return offset and length of the first record of each kind."""
    order = _order(data)
    begin, count = struct.unpack_from(f"{order}II", data, 0x18)
    found: dict[int, tuple[int, int]] = {}
    for number in range(min(count, _MOST_RECORDS)):
        at = begin + number * _ENTRY_BYTES
        (kind,) = struct.unpack_from(f"{order}H", data, at)
        offset, length = struct.unpack_from(f"{order}II", data, at + 0x0C)
        if length and offset + length <= len(data):
            found.setdefault(kind, (offset, length))
    return found


def _order(data: bytes) -> str:
    """Return the byte order: in the right one, the version of the format is a small number."""
    return "<" if struct.unpack_from("<I", data, 0x14)[0] <= _MOST_VERSION else ">"


def _raw_picture(data: bytes, offset: int, length: int) -> Counts:
    order = "<" if struct.unpack_from("<H", data, offset)[0] == 2 else ">"
    width, height = struct.unpack_from(f"{order}HH", data, offset + 2)
    stored = data[offset + _RAW_HEADER_BYTES : offset + length]
    if not 0 < width * height <= _LARGEST_PIXELS:
        raise FormatError(f"it claims a thermal picture of {width}x{height} pixels")
    if stored.startswith(_PNG):
        return _of_png(stored, width, height)
    if stored.startswith(_JPEG_LS):
        return _of_jpeg_ls(stored, width, height)
    if len(stored) < 2 * width * height:
        raise FormatError("its raw picture is cut off, or stored in a way that is not known")
    pixels = np.frombuffer(stored, f"{order}u2", width * height).reshape(height, width)
    return pixels.astype(np.uint16)


def _of_png(stored: bytes, width: int, height: int) -> Counts:
    if struct.unpack_from(">II", stored, 16) != (width, height):
        raise FormatError("its raw picture has another size than it says")
    pixels = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 2:
        raise FormatError("its raw picture is no whole PNG of 16 bits")
    swapped = pixels.byteswap()  # as cameras write it, against the standard
    return cast(Counts, swapped if _roughness(swapped) <= _roughness(pixels) else pixels)


def _roughness(pixels: npt.NDArray[Any]) -> float:
    return float(np.abs(np.diff(pixels.astype(np.int32), axis=1)).mean()) if pixels.shape[1] > 1 else 0.0


def _of_jpeg_ls(stored: bytes, width: int, height: int) -> Counts:
    decoder = av.CodecContext.create("jpegls", "r")
    decoder.options = {"max_pixels": str(_LARGEST_PIXELS)}
    frames = [*decoder.decode(av.Packet(stored)), *decoder.decode(None)]
    if not frames or frames[0].format.name not in ("gray16le", "gray16be"):
        raise FormatError("its raw picture is no whole JPEG-LS of 16 bits")
    pixels = frames[0].to_ndarray()
    if pixels.shape != (height, width):
        raise FormatError("its raw picture has another size than it says")
    return cast(Counts, pixels.astype(np.uint16) >> _BITS - (said_bits(stored) or _BITS))


def _camera(data: bytes, records: dict[int, tuple[int, int]]) -> Camera:
    offset, length = records.get(_CAMERA_RECORD, (0, 0))
    info = data[offset : offset + length]
    if len(info) < 0x310:
        return Camera()
    order = "<" if struct.unpack_from("<H", info)[0] == 2 else ">"

    def floats(at: int, count: int = 1) -> tuple[float, ...]:
        return struct.unpack_from(f"{order}{count}f", info, at)

    emissivity, distance_m, reflected_k, air_k = floats(0x20, 4)
    (humidity,), (hottest_k,) = floats(0x3C), floats(0x90)
    (offset_o,) = struct.unpack_from(f"{order}i", info, 0x308)
    planck = (*floats(0x58, 3), float(offset_o), *floats(0x30C))
    numbers = (*planck, *floats(0x70, 5), emissivity, distance_m, reflected_k, air_k, humidity, hottest_k)
    is_whole = all(map(math.isfinite, numbers)) and planck[0] > 0 and planck[1] > 0 and planck[4] > 0
    radiometry = None
    if is_whole:
        radiometry = Radiometry(
            planck=cast(tuple[float, float, float, float, float], planck),
            emissivity=emissivity if 0.01 <= emissivity <= 1 else 1.0,
            distance_m=min(1e4, max(0.0, distance_m)),
            reflected_k=reflected_k if reflected_k > 1 else _CELSIUS_K + 20,
            air_k=air_k if air_k > 1 else _CELSIUS_K + 20,
            humidity=min(1.0, max(0.0, humidity / 100 if humidity > 2 else humidity)),
            air=cast(tuple[float, float, float, float, float], floats(0x70, 5)),
            hottest_k=hottest_k,
        )
    time_ns = None
    if len(info) >= 0x38C:
        seconds, fraction = struct.unpack_from(f"{order}II", info, 0x384)
        time_ns = (seconds * 1000 + (fraction & 0xFFFF)) * (_NS // 1000) if seconds else None
    return Camera(radiometry, time_ns)


# --- recordings -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recording:
    """Where the pictures of a SEQ or CSQ file lie."""

    places: tuple[tuple[int, int], ...]  # offset and length of each, in the order of the file
    # When they were taken, since 1970; None if not all state it, or the times do not rise
    times_ns: tuple[int, ...] | None


def find_pictures(path: Path) -> Recording:
    """Find the pictures of a recording, up to the first damage; `OSError` if it cannot be read."""
    stat = path.stat()
    return _found(path, stat.st_size, stat.st_mtime_ns)


def read_fff(path: Path, number: int) -> bytes:
    """Return one picture of a recording; `OSError`: it cannot be read; `FormatError`: it is not there."""
    places = find_pictures(path).places
    if number >= len(places):
        raise FormatError("this is no whole FLIR file")
    offset, length = places[number]
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


@lru_cache(maxsize=8)
def _found(path: Path, size: int, _: int) -> Recording:
    places: list[tuple[int, int]] = []
    times: list[int] = []
    at = 0
    with path.open("rb") as file:
        while (measured := _next_picture(file, at, size)) is not None:
            length, time_ns = measured
            places.append((at, length))
            times += [] if time_ns is None else [time_ns]
            at += length
    is_rising = len(times) == len(places) > 1 and all(early < late for early, late in pairwise(times))
    return Recording(tuple(places), tuple(times) if is_rising else None)


def _next_picture(file: BufferedReader, at: int, size: int) -> tuple[int, int | None] | None:
    """Return length and time of the picture at offset `at`; None if no whole one begins there."""
    file.seek(at)
    head = file.read(_HEADER_BYTES)
    if len(head) < _HEADER_BYTES or not head.startswith(MAGIC):
        return None
    order = _order(head)
    begin, count = struct.unpack_from(f"{order}II", head, 0x18)
    if not 0 < count <= _MOST_RECORDS:
        return None
    file.seek(at + begin)
    directory = file.read(count * _ENTRY_BYTES)
    if len(directory) < count * _ENTRY_BYTES:
        return None
    entries = [
        (kind, offset, length) for kind, offset, length in struct.iter_unpack(f"{order}H10xII12x", directory)
    ]
    end = max([begin + len(directory), *(offset + length for _, offset, length in entries)])
    if at + end > size:
        return None
    _, offset, length = next((one for one in entries if one[0] == _CAMERA_RECORD), (0, 0, 0))
    file.seek(at + offset)
    info = file.read(min(length, _MOST_CAMERA_BYTES))
    return end, _camera(info, {_CAMERA_RECORD: (0, len(info))}).time_ns
