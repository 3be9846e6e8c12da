"""Events of one topic of a ROS bag: `dvs_msgs`, `prophesee_event_msgs` and `event_camera_msgs`.

Messages of ROS 1 are packed; those of ROS 2 (CDR) align every number to a multiple of its size. Events are
read as arrays, because a message holds thousands of them.

Source: https://github.com/uzh-rpg/rpg_dvs_ros (dvs_msgs) and
https://github.com/ros-event-camera/event_camera_msgs (encodings evt3, mono, libcaer)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import FormatError, translated
from dmtrack.video.container.bag import bag_tracks, open_log
from dmtrack.video.events.event_batch import Chunk, Damage, EventBatch, OpenedEvents, Size, unwrapped
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.events.evt import Evt3Decoder
from dmtrack.video.track_choice import TrackInfo, TrackKind, TrackPicker

_PACKED: Final = np.dtype([("x", "<u2"), ("y", "<u2"), ("s", "<u4"), ("ns", "<u4"), ("p", "u1")])
_ALIGNED: Final = np.dtype(
    {
        "names": ["x", "y", "s", "ns", "p"],
        "formats": ["<u2", "<u2", "<u4", "<u4", "u1"],
        "offsets": [0, 2, 6, 10, 14],
        "itemsize": 16,
    }
)
"""The events of a CDR message, seen from two bytes before the first; x and y of the first lie elsewhere."""
_MONO: Final = np.dtype([("dt", "<u4"), ("x", "<u2"), ("y", "<u2")])
_LIBCAER: Final = np.dtype([("data", "<u4"), ("t", "<i4")])
_LIBCAER_PERIOD_US: Final = 1 << 31
_NS_PER_US: Final = 1000
_TRIED_MESSAGES: Final = 100
_HINT_ENCODING: Final = "evt3, mono and libcaer are; event_camera_tools convert bags"


def event_topic(path: Path, picker: TrackPicker) -> TrackInfo | None:
    """Pick the topic of a bag; None if it holds no events.

    `VideoError`: the bag is incomplete, or it is unclear which topic to pick.
    """
    with closing(open_log(path)[0]) as log:
        tracks = [track for track, _ in bag_tracks(log)]
    if not any(track.kind is TrackKind.EVENT for track in tracks):
        return None
    track = picker.pick(tracks, path)
    return track if track.kind is TrackKind.EVENT else None


def open_bag_events(path: Path, options: EventOptions) -> OpenedEvents:
    """Open the events of the topic that the options name, else of the first event topic.

    `FormatError`: there is none, or none of its first messages can be read.
    """
    topic = options.topic or event_topic(path, TrackPicker())
    if topic is None:
        raise FormatError("the bag has no events", where=path)
    decoder, reason = _Decoder(), FormatError("the topic has no message", where=path)
    with translated(FormatError, "the bag is damaged", where=path):
        for message in islice(_messages(path, topic), _TRIED_MESSAGES):
            try:
                decoder(message)
            except FormatError as error:
                reason = error
            else:
                return OpenedEvents(f"ROS events ({decoder.kind})", _chunks(path, topic), decoder.size)
    raise reason


def _messages(path: Path, topic: TrackInfo) -> Iterator[_Message]:
    with closing(open_log(path)[0]) as log:
        connection = next(one for track, one in bag_tracks(log) if track == topic)
        is_packet = str(connection.msgtype).startswith(("event_camera_msgs", "event_array_msgs"))
        for _, _, data in log.messages([connection]):
            yield _Message(bytes(data), is_cdr=path.suffix.lower() != ".bag", is_packet=is_packet)


def _chunks(path: Path, topic: TrackInfo) -> Iterator[Chunk]:
    decoder = _Decoder()
    for message in _messages(path, topic):
        try:
            yield decoder(message)
        except FormatError as error:
            yield Chunk(0, damage=Damage(error.what, 0))


class _Message:
    """A message, read field by field.

    `is_cdr`: it is from ROS 2. `is_packet`: it holds encoded events, else a list of them.
    """

    def __init__(self, data: bytes, *, is_cdr: bool, is_packet: bool) -> None:
        self.is_cdr, self.is_packet = is_cdr, is_packet
        self._data, self._at = data[4:] if is_cdr else data, 0
        self.is_little = not is_cdr or data[1:2] == b"\x01"

    def number(self, size: int = 4) -> int:
        """Return the next unsigned number of `size` bytes."""
        if self.is_cdr:
            self._at = -(-self._at // size) * size
        return int.from_bytes(self.bytes(size), "little")

    def text(self) -> str:
        """Return the next text."""
        return self.bytes(self.number()).rstrip(b"\0").decode("utf-8", "replace")

    def bytes(self, size: int) -> bytes:
        """Return the next `size` bytes; `FormatError`: there are fewer."""
        found = self._data[self._at : self._at + size]
        if len(found) < size:
            raise FormatError("a message is shorter than its events")
        self._at += size
        return found

    def events(self) -> npt.NDArray[Any]:
        """Return the rest of the message, a list of events; `FormatError`: it is too short."""
        count = self.number()
        if not self.is_cdr or not count:
            return np.frombuffer(self.bytes(count * _PACKED.itemsize), _PACKED)
        begin = self._at
        self.bytes(count * _ALIGNED.itemsize - 3)
        rows = np.frombuffer(self._data[begin - 2 : self._at] + b"\0", _ALIGNED, count).copy()
        rows["x"][0], rows["y"][0] = np.frombuffer(self._data[begin : begin + 4], "<u2")
        return rows


class _Decoder:
    """Decodes one message after the other.

    `size` is width and height of the sensor as last stated, None if never; `kind` names the encoding of the
    messages for people.
    """

    def __init__(self) -> None:
        self.size: Size | None = None
        self.kind = "no message"
        self._evt3 = Evt3Decoder()
        self._offset_us: int | None = None

    def __call__(self, message: _Message) -> Chunk:
        """Return a message's events, on the clock of ROS; `FormatError`: it is damaged, or unknown."""
        if not message.is_little:
            raise FormatError("the message is damaged, or in big-endian order")
        if not message.is_cdr:
            message.number()  # sequence number
        stamp_us = message.number() * 1_000_000 + message.number() // _NS_PER_US
        message.text()  # name of the camera's coordinate frame
        height, width = message.number(), message.number()
        self.size = (width, height) if width and height else self.size
        if message.is_packet:
            return self._packet(message, stamp_us)
        self.kind = "a list"
        rows = message.events()
        t = rows["s"].astype(np.int64) * 1_000_000 + rows["ns"] // _NS_PER_US
        x, y = (np.ascontiguousarray(rows[name]) for name in "xy")
        return Chunk(0, EventBatch(t, x, y, rows["p"] != 0))

    def _packet(self, message: _Message, stamp_us: int) -> Chunk:
        message.number(8)  # sequence number
        base_us, self.kind, is_big = message.number(8) // _NS_PER_US, message.text(), message.number(1)
        data = message.bytes(message.number())
        if self.kind not in ("evt3", "mono", "libcaer") or is_big:
            order = " in big-endian order" if is_big else ""
            raise FormatError(f"events encoded as {self.kind!r}{order} are not read", hint=_HINT_ENCODING)
        if self.kind == "evt3":
            return self._of_sensor(data[: len(data) // 2 * 2], stamp_us)
        records = np.frombuffer(data, _MONO if self.kind == "mono" else _LIBCAER, len(data) // 8)
        if self.kind == "libcaer":
            words, t = records["data"], unwrapped(records["t"].astype(np.int64), None, _LIBCAER_PERIOD_US)
            x, y = ((words >> shift & 0x7FFF).astype(np.uint16) for shift in (17, 2))
            return Chunk(0, EventBatch(base_us + t, x, y, (words >> 1 & 1) != 0))
        if self._offset_us is None:  # only once: the sensor's own clock is steadier than ROS stamps
            self._offset_us = stamp_us - base_us
        t = self._offset_us + base_us + records["dt"].astype(np.int64) // _NS_PER_US
        x = np.ascontiguousarray(records["x"])
        return Chunk(0, EventBatch(t, x, records["y"] & np.uint16(0x7FFF), records["y"] > 0x7FFF))

    def _of_sensor(self, data: bytes, stamp_us: int) -> Chunk:
        """Decode words of EVT 3.0; the first packet with events sets the offset to the clock of ROS."""
        decoded = self._evt3(data)
        events, unknown = decoded.events, len(decoded.unknown)
        if self._offset_us is None:
            if not len(events):
                return Chunk(0)
            self._offset_us = stamp_us - int(events.t[0])
        damage = Damage("words that EVT3 does not know", 0, unknown) if unknown else None
        return Chunk(0, replace(events, t=events.t + self._offset_us), decoded.triggers, damage)
