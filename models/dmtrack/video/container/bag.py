"""`BagReader`: one picture topic of a ROS bag, as RealSense cameras and robots record them.

ROS 1 (`.bag`, which RealSense recorders before 2.57 write) and ROS 2 (`.db3`, which later ones write,
`.mcap`, and the folder that `ros2 bag record` makes). Reading needs the optional library `rosbags`; no
camera maker's library is needed.
"""

from __future__ import annotations

import importlib
import logging
import re
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, cast

import cv2
import numpy as np

from dmtrack.errors import DecodeError, FormatError, VideoError, translated
from dmtrack.geometry.intrinsics import Intrinsics, of_numbers
from dmtrack.numbers import finite
from dmtrack.video.container.bag_unpacking import BagPath, bound_unpacking
from dmtrack.video.frame import Frame, Pixels, VideoInfo
from dmtrack.video.pictures.counts import AS_STORED, CountScale
from dmtrack.video.pictures.picture_file import decode_picture
from dmtrack.video.position import Position
from dmtrack.video.source import FrameSource, closing_on_error
from dmtrack.video.track_choice import TrackChoice, TrackInfo, TrackKind, TrackPicker, kind_of_track

_SUFFIXES: Final = frozenset({".bag", ".db3", ".mcap"})
_FOLDER_RECORD: Final = "metadata.yaml"
"""`ros2 bag record` writes this file into the folder; the folder is one recording."""
MAX_CONSECUTIVE_DAMAGED: Final = 100
_PICTURE_TYPES: Final = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_EVENT_TYPES: Final = (
    "dvs_msgs/msg/EventArray",
    "prophesee_event_msgs/msg/EventArray",
    "event_camera_msgs/msg/EventPacket",
    "event_array_msgs/msg/EventArray",
)
_NS_PER_S: Final = 1_000_000_000
_TIME_BASE: Final = Fraction(1, _NS_PER_S)
_LOGGER = logging.getLogger(__name__)
_HEAD_BYTES: Final = 12
_DEPTH_HEADER_BYTES: Final = 12
"""`compressedDepth` has a header before the PNG. For `32FC1` it says a, b: `a / (count - b)` metres."""

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
"""Encoding -> bytes per pixel, and OpenCV's conversion to RGB."""
_GREY: Final = {
    "mono8": "u1",
    "8uc1": "u1",
    "mono16": "u2",
    "16uc1": "u2",
    "y16": "u2",
    "z16": "u2",
    "32fc1": "f4",
}


def is_bag(path: Path) -> bool:
    """Return whether a path is a bag: a file with a bag's suffix, or a folder that ROS 2 recorded."""
    if not path.is_dir():
        return path.suffix.lower() in _SUFFIXES
    return (path / _FOLDER_RECORD).is_file() and any(
        one.name.endswith((".db3", ".mcap", ".zstd")) for one in path.iterdir()
    )


class BagReader(FrameSource):
    """The pictures of one topic, read once from front to back.

    A frame's time is the camera's, from the message header, or else the time of recording. A message is
    skipped and counted if it is damaged, or its picture differs in size or type from the first one.

    `path` is a `.bag`, `.db3` or `.mcap` file, or the folder of a ROS 2 bag; `stream` is the number of the
    picture topic, from 0 in the order of the file, or picks one. `VideoError`: `rosbags` is missing, the bag
    is incomplete, or it has no such topic; `DecodeError`: no picture of the topic can be read.
    """

    def __init__(self, path: Path, *, stream: int | TrackPicker = 0) -> None:
        self._path = path
        self._is_ros2 = path.suffix.lower() != ".bag"
        self._log, self._typestore = open_log(path)
        self._damaged = 0
        self._reason = "there is none"
        self._kind: tuple[tuple[int, ...], np.dtype[Any]] | None = None
        self._counts: CountScale | None = None
        self._is_open = True
        with closing_on_error(self.close):
            track, self._topic = self._pick(stream)
            start_ns, first, encoding = self._first()
            self.info = self._describe(track, start_ns, first, encoding)

    @property
    def damaged_packets(self) -> int:
        """Messages skipped so far."""
        return self._damaged

    def _read(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        """Yield the frames; `DecodeError`: `MAX_CONSECUTIVE_DAMAGED` messages in a row cannot be used."""
        for index, pts, pixels, _ in self._frames():
            elapsed_s = (pts - self.info.start_pts) * _TIME_BASE
            if end is not None and end.is_reached(index, elapsed_s):
                return
            if start is None or start.is_reached(index, elapsed_s):
                yield Frame(index, pts, _TIME_BASE, pixels)

    def stamps(self) -> Sequence[int]:
        """Return the time stamps of all pictures in ns, read from the message headers without decoding.

        `DecodeError`: the bag is damaged.
        """
        found: list[int] = []
        for recorded_ns, data in self._messages():
            if len(data) >= _HEAD_BYTES:
                seconds, ns = struct.unpack_from("<iI", data, 4)  # the same place in ROS 1 and in CDR
                found.append(_later(seconds * _NS_PER_S + ns or recorded_ns, found[-1] if found else None))
        return found

    def close(self) -> None:
        """Close the file. Doing so twice is harmless."""
        if self._is_open:
            self._is_open = False
            self._log.close()

    def _pick(self, stream: int | TrackPicker) -> tuple[TrackInfo, Any]:
        tracks = bag_tracks(self._log)
        if not tracks or tracks[0][0].kind is TrackKind.EVENT:
            raise VideoError("the bag has no pictures", where=self._path, hint=_kinds(self._log.connections))
        picker = stream if isinstance(stream, TrackPicker) else TrackPicker(TrackChoice(number=stream))
        track = picker.pick([track for track, _ in tracks], self._path)
        return tracks[track.number]

    def _first(self) -> tuple[int, Pixels, str]:
        """Return time stamp in ns, pixels and encoding of the first picture, and reset the damage count."""
        for _, start_ns, pixels, encoding in self._frames():
            self._damaged = 0
            return start_ns, pixels, encoding
        raise DecodeError(f"no picture of {self._topic.topic} can be read: {self._reason}", where=self._path)

    def _frames(self) -> Iterator[tuple[int, int, Pixels, str]]:
        """Yield index, time stamp in ns, pixels and encoding of every usable picture."""
        index = in_a_row = 0
        last_ns: int | None = None
        for recorded_ns, data in self._messages():
            try:
                with translated(FormatError, "the message is damaged"):
                    message = self._message(data)
                    pixels = self._as_counts(_picture(message))
                    stamp_ns = int(message.header.stamp.sec) * _NS_PER_S + int(message.header.stamp.nanosec)
                    self._require_alike(pixels)
            except FormatError as error:
                self._damaged += 1
                self._reason = str(error)
                in_a_row += 1
                _LOGGER.info("%s: skipped after frame %d: %s", self._path, index, error)
                if in_a_row >= MAX_CONSECUTIVE_DAMAGED:
                    raise DecodeError(
                        f"{in_a_row} pictures in a row cannot be used: {error}", where=self._path
                    ) from error
                continue
            in_a_row = 0
            last_ns = _later(stamp_ns or recorded_ns, last_ns)
            yield index, last_ns, pixels, _encoding(message)
            index += 1

    def _messages(self) -> Iterator[tuple[int, bytes]]:
        with translated(DecodeError, "the bag is damaged", where=self._path):
            for _, recorded_ns, data in self._log.messages([self._topic]):
                yield recorded_ns, data

    def _message(self, data: bytes, kind: str | None = None) -> Any:  # noqa: ANN401
        kind = kind or self._topic.msgtype
        if self._is_ros2:
            return self._typestore.deserialize_cdr(data, kind)
        # not the store's `deserialize_ros1`: it refuses the depth unit that the RealSense recorder appends
        definition = self._typestore.get_msgdef(kind)
        return definition.deserialize_ros1(data, 0, definition.cls, self._typestore)[0]

    def _as_counts(self, samples: np.ndarray) -> Pixels:
        if samples.dtype in (np.uint8, np.uint16):
            return cast(Pixels, samples)
        if self._counts is None:
            self._counts = CountScale.of(samples)
        return self._counts.counts(samples)

    def _require_alike(self, pixels: Pixels) -> None:
        kind = (pixels.shape, pixels.dtype)
        if self._kind is not None and kind != self._kind:
            raise FormatError(f"its shape {pixels.shape} differs from the first picture's")
        self._kind = kind

    def _describe(self, track: TrackInfo, start_ns: int, first: Pixels, encoding: str) -> VideoInfo:
        bits = first.dtype.itemsize * 8
        count = int(self._topic.msgcount)
        seconds = Fraction(self._recorded_ns(), _NS_PER_S)
        rate = ((count - 1) / seconds).limit_denominator(1000) if count > 1 and seconds > 0 else None
        is_grey = first.ndim == 2
        counts = self._counts or AS_STORED
        return VideoInfo(
            path=self._path,
            width=first.shape[1],
            height=first.shape[0],
            frame_rate=rate or None,
            time_base=_TIME_BASE,
            start_pts=start_ns,
            frame_count=count,
            pixel_format="rgb24" if not is_grey else "gray" if bits == 8 else "gray16le",
            codec=f"ros {encoding}",
            bit_depth=bits,
            channels=1 if is_grey else 3,
            track=track,
            depth_unit_mm=self._stated_unit_mm() or counts.depth_unit_mm,
            counts=counts,
            intrinsics=self._intrinsics(),
        )

    def _intrinsics(self) -> Intrinsics | None:
        """Return the intrinsics from the `camera_info` topic nearest to the pictures'; None if unclear."""

        def nearness(connection: Any) -> int:  # noqa: ANN401
            parts = zip(connection.topic.split("/"), self._topic.topic.split("/"), strict=False)
            return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], parts))

        found = [one for one in self._log.connections if one.msgtype == "sensor_msgs/msg/CameraInfo"]
        found.sort(key=nearness, reverse=True)
        if not found or (len(found) > 1 and nearness(found[0]) == nearness(found[1])):
            return None
        try:
            with translated(FormatError, "the camera_info cannot be read", where=self._path):
                _, _, data = next(iter(self._log.messages([found[0]])))
                message = self._message(data, found[0].msgtype)
                matrix = message.k if self._is_ros2 else message.K
                return of_numbers([float(cell) for cell in matrix], (int(message.width), int(message.height)))
        except FormatError as error:  # an uncalibrated camera writes zeros
            _LOGGER.info("%s", error)
            return None

    def _recorded_ns(self) -> int:
        """Return the duration of the topic in ns, or that of the bag where the topic has no index."""
        index = getattr(self._log, "indexes", {}).get(self._topic.id, [])
        if index:
            return int(index[-1].time - index[0].time)
        return int(self._log.end_time - self._log.start_time)

    def _stated_unit_mm(self) -> Fraction | None:
        """Return the depth unit in mm that a RealSense recorder stored with the sensor; None without one."""
        sensor = re.match(r"(/device_\d+/sensor_\d+)/Depth_\d+/", self._topic.topic)
        if sensor is None:
            return None
        name = re.compile(re.escape(sensor[1]) + r"/option/Depth.Units/value")
        for connection in self._log.connections:
            if not name.fullmatch(connection.topic):
                continue
            try:
                with translated(FormatError, "the unit of depth cannot be read", where=self._path):
                    _, _, data = next(iter(self._log.messages([connection])))
                    if self._is_ros2:
                        return unit_mm(finite(self._typestore.deserialize_cdr(data, connection.msgtype).data))
                    return unit_mm(*struct.unpack_from("<f", data))
            except FormatError as error:
                _LOGGER.warning("%s", error)
        return None


def bag_tracks(log: Any) -> list[tuple[TrackInfo, Any]]:  # noqa: ANN401 - `rosbags` is optional
    """Return the topics that can be streams, each with its connection: first pictures, then events."""
    pictures = [one for one in log.connections if one.msgtype in _PICTURE_TYPES]
    events = [one for one in log.connections if one.msgtype in _EVENT_TYPES]
    kinds = [kind_of_track(one.topic) for one in pictures] + [TrackKind.EVENT] * len(events)
    topics = zip((*pictures, *events), kinds, strict=True)
    return [(TrackInfo(number, one.topic, kind), one) for number, (one, kind) in enumerate(topics)]


def open_log(path: Path) -> tuple[Any, Any]:
    """Open a bag; return it and its type store. `VideoError`: it is incomplete, or `rosbags` is missing."""
    is_ros2 = path.suffix.lower() != ".bag"
    try:
        module = importlib.import_module("rosbags.rosbag2" if is_ros2 else "rosbags.rosbag1")
        types = importlib.import_module("rosbags.typesys")
        bound_unpacking()
    except ImportError as error:
        raise VideoError(
            "reading ROS and RealSense bags needs the library rosbags",
            where=path,
            hint='pip install "dmtrack[realsense]"',
        ) from error
    hint = "an interrupted recording can be repaired with `rosbag reindex`" if not is_ros2 else None
    with translated(VideoError, "this is no whole ROS bag", where=path, hint=hint):
        log = module.Reader(BagPath(path))
        log.open()
    store = types.Stores.ROS2_HUMBLE if is_ros2 else types.Stores.ROS1_NOETIC
    return log, types.get_typestore(store)


def _later(stamp_ns: int, last_ns: int | None) -> int:
    """Return the stamp, raised to just after the previous one where it is not later."""
    return stamp_ns if last_ns is None or stamp_ns > last_ns else last_ns + 1


def _kinds(connections: list[Any]) -> str:
    kinds = sorted({str(one.msgtype) for one in connections})
    return f"it holds {', '.join(kinds[:6]) or 'nothing'}"


def _picture(message: Any) -> np.ndarray:  # noqa: ANN401 - `rosbags` makes its types as it runs
    """Decode an `Image` or `CompressedImage`: `(H, W, 3)` uint8 RGB, or `(H, W)` uint8, uint16, float32."""
    name = _encoding(message).lower()
    if hasattr(message, "format"):
        return _decompressed(name, memoryview(message.data))
    if name in _GREY:
        dtype = np.dtype(_GREY[name]).newbyteorder(">" if message.is_bigendian else "<")
        samples = _samples(message, dtype, 1)[..., 0]
        return samples.astype(samples.dtype.newbyteorder("="))
    if name not in _COLOUR:
        raise FormatError(f"pictures encoded as {message.encoding!r} are not supported")
    channels, conversion = _COLOUR[name]
    stored = _samples(message, np.dtype(np.uint8), channels)
    return np.asarray(stored.copy() if conversion is None else cv2.cvtColor(stored, conversion))


def _encoding(message: Any) -> str:  # noqa: ANN401
    return str(message.format if hasattr(message, "format") else message.encoding)


def _decompressed(name: str, data: memoryview) -> np.ndarray:
    if "compresseddepth" not in name:
        return decode_picture(bytes(data)).pixels
    pixels = decode_picture(bytes(data[_DEPTH_HEADER_BYTES:])).pixels
    if name.startswith("16uc1"):
        return pixels
    if not name.startswith("32fc1") or pixels.dtype != np.uint16:
        raise FormatError(f"compressed depth of kind {name!r} is not supported", hint="16UC1 is")
    scale, shift = struct.unpack_from("<ff", data, 4)
    inverse = np.where(pixels > 0, pixels.astype(np.float32) - np.float32(shift), np.inf)
    return np.asarray(np.float32(scale) / inverse)


def _samples(message: Any, dtype: np.dtype[Any], channels: int) -> np.ndarray:  # noqa: ANN401
    height, width, step = message.height, message.width, message.step
    row = width * channels * dtype.itemsize
    if step < row or step * height > len(message.data) or not width * height:
        raise FormatError(
            f"a picture of {width}x{height} ({message.encoding}) does not fit into {len(message.data)} bytes"
        )
    rows = np.frombuffer(message.data, np.uint8, step * height).reshape(height, step)
    return np.ascontiguousarray(rows[:, :row]).view(dtype).reshape(height, width, channels)


def unit_mm(metres: float) -> Fraction | None:
    """Convert a depth unit from metres to millimetres, undoing single precision; None outside 0 to 1 m."""
    unit = Fraction(f"{metres:.6g}") * 1000 if 0 < metres < 1 else Fraction(0)
    return unit or None
