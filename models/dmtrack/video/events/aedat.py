"""AEDAT 3.1 (cAER): packets of records; AEDAT 4.0 (DV): compressed packets of FlatBuffers.

Source: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-3.1.html and
aedat-4.0.html
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np

from dmtrack.errors import DecodeError, FormatError, library_needed
from dmtrack.video.events.event_batch import (
    Chunk,
    Damage,
    EventBatch,
    OpenedEvents,
    Size,
    read_text_header,
    record_offsets,
)

_HEADER_3: Final = np.dtype(
    [("type", "<i2"), ("source", "<i2")]
    + [(name, "<i4") for name in ("size", "time_offset", "overflow", "capacity", "number", "valid")]
)
_RECORD_3: Final = np.dtype([("data", "<u4"), ("t", "<i4")])
_SPECIAL, _POLARITY, _LAST_TYPE = 0, 1, 12
_EDGES_3 = (2, 3)  # rising, falling
_MAX_RECORD_BYTES: Final = 1 << 26
"""No camera has larger pictures: a header that says more is damaged."""
_SIZES: Final = (
    ("dvs128", (128, 128)),
    ("davis240", (240, 180)),
    ("davis346", (346, 260)),
    ("davis128", (128, 128)),
    ("davis208", (208, 192)),
    ("davis640", (640, 480)),
)
_FRAMING_BYTES: Final = 8
_EVENT_4: Final = np.dtype(
    {
        "names": ["t", "x", "y", "p"],
        "formats": ["<i8", "<i2", "<i2", "u1"],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)
_MAX_VERSION_LINE: Final = 64
_MAX_HEADER_4: Final = 1 << 20
_MAX_PACKET_BYTES: Final = 1 << 26  # unpacked; a packet holds some milliseconds
_EDGES_4 = (1, 2)  # rising, falling


class _Packet3(NamedTuple):
    type: int
    record_bytes: int
    overflow: int
    records: int

    @property
    def payload_bytes(self) -> int:
        return self.record_bytes * self.records


def open_aedat3(path: Path) -> OpenedEvents:
    """Open an AEDAT 3.1 file."""
    header = read_text_header(path, b"#", "!END-HEADER")
    source = next((line for line in header.lines if re.match(r"\s*Source\b", line)), "").lower()
    size = next((size for name, size in _SIZES if name in source), None)
    return OpenedEvents("AEDAT 3.1", _chunks_3(path, header.end), size)


def _chunks_3(path: Path, offset: int) -> Iterator[Chunk]:
    with path.open("rb") as file:
        file.seek(offset)
        length = path.stat().st_size
        while head := file.read(_HEADER_3.itemsize):
            if len(head) < _HEADER_3.itemsize:
                yield _torn(offset)
                return
            packet = _packet_3(head, offset)
            offset += len(head)
            if packet.type <= _POLARITY:
                data = file.read(min(packet.payload_bytes, length - offset))
                yield _chunk_3(packet, data, offset)
            if packet.payload_bytes > length - offset:
                yield _torn(length)
                return
            offset += packet.payload_bytes
            file.seek(offset)


def _packet_3(head: bytes, offset: int) -> _Packet3:
    fields = np.frombuffer(head, _HEADER_3)[0]
    packet = _Packet3(*(int(fields[name]) for name in ("type", "size", "overflow", "number")))
    is_sane = (
        0 <= packet.type <= _LAST_TYPE
        and 0 < packet.record_bytes <= _MAX_RECORD_BYTES
        and 0 <= packet.records <= int(fields["capacity"])
        and packet.overflow >= 0
        and (packet.type > _POLARITY or packet.record_bytes == _RECORD_3.itemsize)
    )
    if not is_sane:
        raise DecodeError(f"no packet begins at byte {offset}, where one should")
    return packet


def _chunk_3(packet: _Packet3, data: bytes, offset: int) -> Chunk:
    records = np.frombuffer(data, _RECORD_3, count=len(data) // _RECORD_3.itemsize)
    places = np.flatnonzero(records["data"] & 1)  # the camera's filters declared the others invalid
    bits = records["data"][places]
    if packet.type == _SPECIAL:
        return Chunk(offset, triggers=int(np.isin((bits >> 1) & 0x7F, _EDGES_3).sum()))
    t = (packet.overflow << 31) + records["t"][places].astype(np.int64)
    events = EventBatch(
        t, (bits >> 17).astype(np.uint16), ((bits >> 2) & 0x7FFF).astype(np.uint16), (bits & 2) != 0
    )
    return Chunk(record_offsets(offset, _RECORD_3.itemsize, places), events)


def _torn(offset: int) -> Chunk:
    return Chunk(offset, damage=Damage("the file ends in the middle of a packet", offset))


def open_aedat4(path: Path) -> OpenedEvents:
    """Open an AEDAT 4.0 file.

    `ConfigError`: a library for unpacking is not installed; `DecodeError`: the header is damaged, or lists
    no stream of events; `FormatError`: the compression is unknown.
    """
    with path.open("rb") as file:
        begin = len(file.readline(_MAX_VERSION_LINE))
        file.seek(begin)
        header_bytes = int.from_bytes(file.read(4), "little")
        data = file.read(min(header_bytes, _MAX_HEADER_4))
    if len(data) < header_bytes:
        raise DecodeError(f"the header is damaged: it claims {header_bytes} bytes")
    header = _FlatTable.root(data)
    streams = _streams_4(header.text(2))
    wanted = next((number for number, stream in streams.items() if stream.kind == "EVTS"), None)
    if wanted is None:
        kinds = ", ".join(stream.kind for stream in streams.values()) or "none"
        raise DecodeError(f"it has no stream of events (streams: {kinds})")
    length = path.stat().st_size
    end = header.number(1, "<q", -1)  # where a table of packets begins; without it the file was not closed
    begin += 4 + header_bytes
    end = end if begin <= end <= length else length
    chunks = _chunks_4(path, begin, end, streams, wanted, _unpacker(header.number(0, "<i", 0)))
    return OpenedEvents("AEDAT 4.0", chunks, streams[wanted].size)


class _Stream4(NamedTuple):
    kind: str
    size: Size | None


def _streams_4(info: str) -> dict[int, _Stream4]:
    """Return the streams listed by the header's XML, by their numbers."""
    _, *parts = re.split(r'<node name="(\d{1,9})"', info)
    streams = {}
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        kind = re.search(r'key="typeIdentifier"[^>]*>(\w*)<', text)
        sides = [re.search(rf'key="size{side}"[^>]*>(\d{{1,5}})<', text) for side in "XY"]
        size = (int(sides[0][1]), int(sides[1][1])) if sides[0] and sides[1] else None
        streams[int(number)] = _Stream4(kind[1] if kind else "", size)
    return streams


@dataclass(frozen=True, slots=True)
class _FlatTable:
    """A table of a FlatBuffer, whose fields are found by offsets. An offset beyond the data is an error."""

    data: bytes
    begin: int

    @classmethod
    def root(cls, data: bytes) -> Self:
        return cls(data, _number(data, 0, "<I"))

    def place(self, field: int) -> int | None:
        """Return the byte where a field begins; None if it is left out."""
        fields = self.begin - _number(self.data, self.begin, "<i")
        entry = 4 + 2 * field
        offset = _number(self.data, fields + entry, "<H") if entry < _number(self.data, fields, "<H") else 0
        return self.begin + offset if offset else None

    def number(self, field: int, kind: str, missing: int) -> int:
        place = self.place(field)
        return missing if place is None else _number(self.data, place, kind)

    def vector(self, field: int) -> tuple[int, int]:
        """Return the byte where a vector's elements begin, and their number."""
        place = self.place(field)
        if place is None:
            return 0, 0
        begin = place + _number(self.data, place, "<I")
        return begin + 4, _number(self.data, begin, "<I")

    def text(self, field: int) -> str:
        begin, length = self.vector(field)
        return self.data[begin : begin + length].decode("utf-8", "replace")


def _number(data: bytes, place: int, kind: str) -> int:
    if place < 0:
        raise ValueError(f"an offset points to byte {place}")
    return int(struct.unpack_from(kind, data, place)[0])


def _unpacker(compression: int) -> Callable[[bytes], bytes]:
    """Return the function that unpacks a packet, to at most `_MAX_PACKET_BYTES`."""
    if compression == 0:
        return lambda data: data
    with library_needed("AEDAT 4 needs the libraries lz4 and zstandard", "pip install 'dmtrack[aedat]'"):
        import lz4.frame
        import zstandard
    if compression in (1, 2):
        return lambda data: bytes(lz4.frame.LZ4FrameDecompressor().decompress(data, _MAX_PACKET_BYTES))
    if compression in (3, 4):
        zstd = zstandard.ZstdDecompressor(max_window_size=_MAX_PACKET_BYTES)
        return lambda data: bytes(zstd.stream_reader(data).read(_MAX_PACKET_BYTES))
    raise FormatError(f"its packets are packed in way {compression}", hint="LZ4 and ZSTD are known")


def _chunks_4(
    path: Path,
    begin: int,
    end: int,
    streams: Mapping[int, _Stream4],
    wanted: int,
    unpack: Callable[[bytes], bytes],
) -> Iterator[Chunk]:
    with path.open("rb") as file:
        file.seek(begin)
        for packet in count():
            head = file.read(min(_FRAMING_BYTES, end - begin))
            if not head:
                return
            stream, length = struct.unpack("<iI", head) if len(head) == _FRAMING_BYTES else (wanted, 0)
            payload = begin + len(head)
            if len(head) < _FRAMING_BYTES or (stream in streams and payload + length > end):
                yield _torn(begin)
                return
            if stream not in streams:
                raise DecodeError(f"no packet begins at byte {begin}, where one should")
            try:
                chunk = _chunk_4(streams[stream].kind, stream == wanted, unpack(file.read(length)), begin)
            except Exception as error:
                raise DecodeError(
                    f"packet {packet}, at byte {begin}, cannot be decoded ({error!r})"
                ) from error
            yield chunk
            begin = payload + length


def _chunk_4(kind: str, is_wanted: bool, data: bytes, offset: int) -> Chunk:
    """Decode an unpacked packet: events of the wanted stream, or triggers; nothing from other streams."""
    if kind != "TRIG" and not is_wanted:
        return Chunk(offset)
    begin, length = (table := _FlatTable.root(data[4:])).vector(0)
    if length == 0:
        return Chunk(offset)
    if kind == "TRIG":
        places = (begin + 4 * index for index in range(length))
        edges = [_FlatTable(table.data, place + _number(table.data, place, "<I")) for place in places]
        return Chunk(offset, triggers=sum(edge.number(1, "<b", 0) in _EDGES_4 for edge in edges))
    events = np.frombuffer(table.data, _EVENT_4, length, begin)
    x, y = (events[name].astype(np.uint16) for name in "xy")  # negative ones become larger than any sensor
    return Chunk(offset, EventBatch(events["t"].astype(np.int64), x, y, events["p"] != 0))
