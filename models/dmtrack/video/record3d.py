"""`Record3dReader`: colour or depth of a recording of the Record3D app (`.r3d`), a zip archive.

`metadata` is JSON: `dw` and `dh` are the size of depth, `fps` the rate, `frameTimestamps` the times.
`rgbd/N.jpg` is colour, `rgbd/N.depth` depth: metres as float32, compressed with LZFSE (library `lzfse`).

Source: https://record3d.app; https://github.com/lzfse/lzfse (headers of LZFSE blocks)
"""

from __future__ import annotations

import importlib
import json
import logging
import re
import struct
import zipfile
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import DecodeError, FormatError, VideoError, translated
from dmtrack.geometry.intrinsics import Intrinsics, of_document
from dmtrack.video.archive import open_archive, read_member
from dmtrack.video.frame import Pixels, VideoInfo
from dmtrack.video.pictures.counts import CountScale
from dmtrack.video.pictures.picture_file import StoredPicture, decode_picture
from dmtrack.video.source import (
    DEFAULT_FRAME_RATE,
    MAX_CONSECUTIVE_DAMAGED,
    StoredPictures,
    closing_on_error,
)
from dmtrack.video.track_choice import TrackInfo, TrackKind, TrackPicker

RECORD3D_SUFFIX: Final = ".r3d"
_TRACKS: Final = (TrackInfo(0, "color", TrackKind.COLOR), TrackInfo(1, "depth", TrackKind.DEPTH))
_DEPTH_SIZES: Final = ((192, 256), (480, 640))
"""Depth sizes of the LiDAR and the TrueDepth camera, for recordings that state none."""
_MOST_METADATA_BYTES: Final = 1 << 27
_MOST_PICTURE_BYTES: Final = 1 << 26
_MOST_SIDE: Final = 4096
_MILLIMETRES: Final = CountScale(1000.0, is_metres=True)
_NS: Final = Fraction(1, 10**9)
_NAME: Final = re.compile(r"rgbd/(\d{1,9})\.(jpg|png|depth)")

_LOGGER = logging.getLogger(__name__)


class Record3dReader(StoredPictures):
    """Colour or depth of a recording, in order; unreadable pictures are skipped and counted.

    `picker` chooses: stream 0 is colour, 1 depth. `VideoError`: the archive is incomplete, holds no such
    stream, or `lzfse` is missing; `DecodeError`: none of its first pictures can be read.
    """

    def __init__(self, path: Path, picker: TrackPicker) -> None:
        self._archive = open_archive(path)
        with closing_on_error(self.close):
            track = picker.pick(_TRACKS, path)
            self._is_depth = track.kind is TrackKind.DEPTH
            if self._is_depth:
                _lzfse(path)
            self._names = _pictures(self._archive, track)
            metadata = _metadata(self._archive)
            self._depth_size = _depth_size(metadata)
            pts, rate = _stamps(metadata, len(self._names))
            super().__init__(pts)
            first = self._first(path)
        self._shape = first.pixels.shape
        self.info = VideoInfo(
            path=path,
            width=first.pixels.shape[1],
            height=first.pixels.shape[0],
            frame_rate=rate,
            time_base=_NS,
            start_pts=pts[0],
            frame_count=len(self._names),
            pixel_format=first.pixel_format,
            codec="lzfse" if self._is_depth else "jpg",
            bit_depth=first.bit_depth,
            channels=first.channels,
            track=track,
            depth_unit_mm=first.counts.depth_unit_mm,
            counts=first.counts,
            intrinsics=_intrinsics(metadata),
        )

    def _name(self, index: int) -> str:
        return self._names[index]

    def _usable(self, index: int) -> Pixels | None:
        try:
            pixels = self._picture(self._names[index]).pixels
        except FormatError as error:
            fault = error.what
        else:
            if pixels.shape == self._shape:
                return pixels
            fault = "its size differs from the first picture's"
        _LOGGER.warning("%s: %s: skipped: %s", self.info.path, self._names[index], fault)
        return None

    def close(self) -> None:
        """Close the archive. Doing so twice is harmless."""
        self._archive.close()

    def _first(self, path: Path) -> StoredPicture:
        reason = None
        for name in self._names[:MAX_CONSECUTIVE_DAMAGED]:
            try:
                return self._picture(name)
            except FormatError as error:
                reason = reason or error
        raise DecodeError(f"none of its first pictures can be read: {reason}", where=path)

    def _picture(self, name: str) -> StoredPicture:
        data = read_member(self._archive, name, _MOST_PICTURE_BYTES)
        if not self._is_depth:
            return decode_picture(data)
        metres = _unpacked_depth(data, self._depth_size)
        return StoredPicture(_MILLIMETRES.counts(metres), 16, 1, _MILLIMETRES)


def _lzfse(path: Path | None = None) -> Any:  # noqa: ANN401 - optional, untyped
    try:
        return importlib.import_module("lzfse")
    except ImportError as error:
        hint = 'pip install "dmtrack[record3d]"'
        raise VideoError("depth of Record3D needs the library lzfse", where=path, hint=hint) from error


def _pictures(archive: zipfile.ZipFile, track: TrackInfo) -> list[str]:
    found = [match for match in map(_NAME.fullmatch, archive.namelist()) if match]
    found = [match for match in found if (match[2] == "depth") == (track.kind is TrackKind.DEPTH)]
    if not found:
        raise VideoError(f"it is no recording of Record3D with {track.title}", where=archive.filename)
    return [match[0] for match in sorted(found, key=lambda match: int(match[1]))]


def _metadata(archive: zipfile.ZipFile) -> dict[str, Any]:
    with translated(VideoError, "its metadata cannot be read", where=archive.filename):
        found = json.loads(read_member(archive, "metadata", _MOST_METADATA_BYTES))
        return found if isinstance(found, dict) else {}


def _intrinsics(metadata: dict[str, Any]) -> Intrinsics | None:
    try:
        return of_document(metadata)
    except FormatError:
        return None


def _depth_size(metadata: dict[str, Any]) -> tuple[int, int] | None:
    width, height = metadata.get("dw"), metadata.get("dh")
    if not isinstance(width, int) or not isinstance(height, int):
        return None
    return (width, height) if 0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE else None


def _stamps(metadata: dict[str, Any], count: int) -> tuple[Sequence[int], Fraction]:
    """Return one time stamp per picture, in nanoseconds, and the frame rate."""
    fps = metadata.get("fps")
    is_rate = isinstance(fps, int | float) and 0.01 < fps < 10_000
    rate = Fraction(str(fps)).limit_denominator(1000) if is_rate else DEFAULT_FRAME_RATE
    told = metadata.get("frameTimestamps")
    if isinstance(told, list) and len(told) == count > 1:
        with translated(VideoError, "its time stamps cannot be read"):
            stamps = [round(Fraction(str(one)) / _NS) for one in told]
        if all(early < late for early, late in pairwise(stamps)):
            return stamps, (count - 1) / ((stamps[-1] - stamps[0]) * _NS)
    return [round(number / rate / _NS) for number in range(count)], rate


def _unpacked_depth(data: bytes, size: tuple[int, int] | None) -> npt.NDArray[np.float32]:
    """Return depth as `(H, W)` float32 metres; `FormatError` if it is damaged, or of another size."""
    raw_bytes = _raw_bytes(data)
    if size is None:
        size = next((one for one in _DEPTH_SIZES if one[0] * one[1] * 4 == raw_bytes), None)
    if size is None or raw_bytes != size[0] * size[1] * 4:
        raise FormatError(f"its depth has {raw_bytes} bytes, and that is no picture")
    with translated(FormatError, "its depth is damaged"):
        return np.frombuffer(_lzfse().decompress(data), np.float32).reshape(size[1], size[0])


def _raw_bytes(data: bytes) -> int:
    """Return the unpacked size in bytes that LZFSE blocks claim; `FormatError` if they are not LZFSE."""
    at, total = 0, 0
    while data[at : at + 4] != b"bvx$":
        kind, head = data[at : at + 4], data[at + 4 : at + 32]
        if kind not in (b"bvx-", b"bvxn", b"bvx2") or len(head) < 8:
            raise FormatError("its depth is not packed with LZFSE")
        raw, second = struct.unpack_from("<II", head)
        total += raw
        if kind == b"bvx2":
            fields = struct.unpack_from("<QQQ", head.ljust(28, b"\0"), 4)
            at += (fields[2] & 0xFFFFFFFF) + (fields[0] >> 20 & 0xFFFFF) + (fields[1] >> 40 & 0xFFFFF)
            at += 0 if fields[2] & 0xFFFFFFFF else 32
        else:
            at += 8 + raw if kind == b"bvx-" else 12 + second
    return total
