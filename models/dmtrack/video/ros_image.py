"""Pictures in messages of ROS 1 and 2: `sensor_msgs/Image` and `sensor_msgs/CompressedImage`.

ROS 1 messages are taken apart here, not by a library, because the RealSense recorder appends the unit of
depth to its messages, which a strict reader refuses.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, cast

import cv2
import numpy as np

from dmtrack.errors import FormatError
from dmtrack.video.frame import Pixels
from dmtrack.video.picture_file import decode_picture

IMAGE: Final = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE: Final = "sensor_msgs/msg/CompressedImage"
PICTURE_TYPES: Final = (IMAGE, COMPRESSED_IMAGE)
NS_PER_S: Final = 1_000_000_000
_FARTHEST_M: Final = 65.0
"""No depth camera sees farther: where half of a picture does, it counts millimetres, against REP 118."""
_DEPTH_HEADER_BYTES: Final = 12
"""`compressedDepth` puts its quantisation before the PNG: a depth of `a / (count - b)` metres for `32FC1`."""

_COLOUR: Final = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "8uc3": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
}
"""Encoding -> bytes a pixel, and OpenCV's conversion to RGB."""
_GREY: Final = {
    "mono8": "u1",
    "8uc1": "u1",
    "mono16": "u2",
    "16uc1": "u2",
    "y16": "u2",
    "z16": "u2",
    "32fc1": "f4",
}


@dataclass(frozen=True, slots=True)
class RosImage:
    """A picture message.

    Attributes:
        stamp_ns: When it was taken, in nanoseconds; 0 if the sender did not say.
        encoding: How `data` is to be read: an encoding of `sensor_msgs`, or a compression format.
        size: Width and height in pixels; None where `data` is a compressed file.
        row_bytes: Bytes from one row to the next.
        is_big_endian: Whether samples of two or four bytes have their high byte first.
        data: The picture.
    """

    stamp_ns: int
    encoding: str
    size: tuple[int, int] | None
    row_bytes: int
    is_big_endian: bool
    data: bytes | memoryview

    def pixels(self) -> Pixels:
        """Return `(H, W, 3)` uint8 RGB, or `(H, W)` uint8 or uint16; depth in metres becomes millimetres.

        Raises:
            FormatError: The message is shorter than its picture, or its encoding is unknown.
        """
        return self._compressed() if self.size is None else self._raw(*self.size)

    def _compressed(self) -> Pixels:
        name = self.encoding.lower()
        if "compresseddepth" not in name:
            return decode_picture(bytes(self.data)).pixels
        pixels = decode_picture(bytes(self.data[_DEPTH_HEADER_BYTES:])).pixels
        if name.startswith("16uc1"):
            return pixels
        if not name.startswith("32fc1") or pixels.dtype != np.uint16:
            raise FormatError(f"compressed depth of kind {self.encoding!r} is not supported", hint="16UC1 is")
        scale, shift = struct.unpack_from("<ff", self.data, 4)
        inverse = np.where(pixels > 0, pixels.astype(np.float32) - np.float32(shift), np.inf)
        return _counts(np.float32(scale) / inverse)

    def _raw(self, width: int, height: int) -> Pixels:
        name = self.encoding.lower()
        if name in _GREY:
            dtype = np.dtype(_GREY[name]).newbyteorder(">" if self.is_big_endian else "<")
            return _counts(self._samples(width, height, dtype, 1)[..., 0])
        if name not in _COLOUR:
            raise FormatError(f"pictures encoded as {self.encoding!r} are not supported")
        channels, conversion = _COLOUR[name]
        stored = self._samples(width, height, np.dtype(np.uint8), channels)
        return cast(Pixels, stored.copy() if conversion is None else cv2.cvtColor(stored, conversion))

    def _samples(self, width: int, height: int, dtype: np.dtype, channels: int) -> np.ndarray:
        row = width * channels * dtype.itemsize
        if self.row_bytes < row or self.row_bytes * height > len(self.data) or not width * height:
            raise FormatError(
                f"a picture of {width}x{height} ({self.encoding}) does not fit into {len(self.data)} bytes"
            )
        rows = np.frombuffer(self.data, np.uint8, self.row_bytes * height).reshape(height, self.row_bytes)
        return np.ascontiguousarray(rows[:, :row]).view(dtype).reshape(height, width, channels)


def parse_ros1_image(data: bytes | memoryview, kind: str) -> RosImage:
    """Take a serialised ROS 1 message apart.

    Args:
        data: The message; bytes after its end are ignored.
        kind: One of `PICTURE_TYPES`.

    Raises:
        FormatError: It is shorter than it says.

    Source: ROS 1 serialisation of std_msgs/Header, sensor_msgs/Image and CompressedImage.
    """
    try:
        _, seconds, nanoseconds = struct.unpack_from("<III", data)
        place = _after_string(data, 12)
        stamp_ns = seconds * NS_PER_S + nanoseconds
        if kind == COMPRESSED_IMAGE:
            encoding = _string(data, place)
            (length,) = struct.unpack_from("<I", data, _after_string(data, place))
            start = _after_string(data, place) + 4
            return RosImage(stamp_ns, encoding, None, 0, False, data[start : start + length])
        height, width = struct.unpack_from("<II", data, place)
        encoding = _string(data, place + 8)
        place = _after_string(data, place + 8)
        big_endian, step, length = struct.unpack_from("<BII", data, place)
        picture = data[place + 9 : place + 9 + length]
    except (struct.error, UnicodeDecodeError):
        raise FormatError("a picture message is cut short") from None
    return RosImage(stamp_ns, encoding, (width, height), step, bool(big_endian), picture)


def _string(data: bytes | memoryview, place: int) -> str:
    return bytes(data[place + 4 : _after_string(data, place)]).decode()


def _after_string(data: bytes | memoryview, place: int) -> int:
    (length,) = struct.unpack_from("<I", data, place)
    return place + 4 + int(length)


def _counts(samples: np.ndarray) -> Pixels:
    if samples.dtype.kind != "f":
        return cast(Pixels, samples.astype(samples.dtype.newbyteorder("=")))
    depth = np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    measured = depth[depth > 0]
    is_mm = measured.size and float(np.median(measured)) > _FARTHEST_M
    return np.clip(np.rint(depth if is_mm else depth * 1000), 0, 65535).astype(np.uint16)


def unit_mm(metres: float) -> Fraction | None:
    """Return a unit of depth, as a camera states it in single precision, in millimetres."""
    unit = Fraction(f"{metres:.6g}") * 1000 if 0 < metres < 1 else Fraction(0)
    return unit or None
