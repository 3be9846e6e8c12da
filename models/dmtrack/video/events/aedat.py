"""AEDAT 3.1 (cAER): packets of records; AEDAT 4.0 (DV): compressed packets, read by the library `aedat`.

Source: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-3.1.html and
aedat-4.0.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np

from dmtrack.errors import ConfigError, DecodeError
from dmtrack.video.events.batch import Chunk, Damage, EventBatch, OpenedEvents, Triggers
from dmtrack.video.events.binary import read_text_header, record_offsets

_HEADER_3: Final = np.dtype(
    [("type", "<i2"), ("source", "<i2")]
    + [(name, "<i4") for name in ("size", "time_offset", "overflow", "capacity", "number", "valid")]
)
_RECORD_3: Final = np.dtype([("data", "<u4"), ("t", "<i4")])
_SPECIAL, _POLARITY, _LAST_TYPE = 0, 1, 12
_RISING_3, _FALLING_3 = 2, 3
_MAX_RECORD_BYTES: Final = 1 << 26
"""No camera has pictures larger than this: a header that says more is damaged."""
_SIZES: Final = (
    ("dvs128", (128, 128)),
    ("davis240", (240, 180)),
    ("davis346", (346, 260)),
    ("davis128", (128, 128)),
    ("davis208", (208, 192)),
    ("davis640", (640, 480)),
)
_FRAMING_BYTES: Final = 8
_RISING_4, _FALLING_4 = 1, 2


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
            packet = _packet_3(head, path, offset)
            offset += len(head)
            if packet.type <= _POLARITY:
                data = file.read(min(packet.payload_bytes, length - offset))
                yield _chunk_3(packet, data, offset)
            if packet.payload_bytes > length - offset:
                yield _torn(length)
                return
            offset += packet.payload_bytes
            file.seek(offset)


def _packet_3(head: bytes, path: Path, offset: int) -> _Packet3:
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
        raise DecodeError(f"at byte {offset} should begin a packet, but what is there is none", where=path)
    return packet


def _chunk_3(packet: _Packet3, data: bytes, offset: int) -> Chunk:
    records = np.frombuffer(data, _RECORD_3, count=len(data) // _RECORD_3.itemsize)
    places = np.flatnonzero(records["data"] & 1)  # the others were declared invalid by the camera's filters
    bits = records["data"][places]
    t = (packet.overflow << 31) + records["t"][places].astype(np.int64)
    if packet.type == _SPECIAL:
        kinds = (bits >> 1) & 0x7F
        edges = (kinds == _RISING_3) | (kinds == _FALLING_3)
        return Chunk(offset, triggers=Triggers.of_one_input(t[edges], kinds[edges] == _RISING_3))
    events = EventBatch(
        t, (bits >> 17).astype(np.uint16), ((bits >> 2) & 0x7FFF).astype(np.uint16), (bits & 2) != 0
    )
    return Chunk(record_offsets(offset, _RECORD_3.itemsize, places), events)


def _torn(offset: int) -> Chunk:
    return Chunk(offset, damage=Damage("the file ends in the middle of a packet", offset))


def open_aedat4(path: Path) -> OpenedEvents:
    """Open an AEDAT 4.0 file.

    Raises:
        ConfigError: The library `aedat` is not installed.
        DecodeError: The header is damaged, or announces no stream of events.
    """
    try:
        import aedat
    except ImportError as error:
        raise ConfigError(
            "AEDAT 4 needs the library aedat", where=path, hint="pip install 'dmtrack[aedat]'"
        ) from error
    try:
        decoder = aedat.Decoder(path)
    except RuntimeError as error:
        raise DecodeError(f"the header is damaged ({error})", where=path) from error
    streams = decoder.id_to_stream()
    wanted = next((number for number, stream in streams.items() if stream["type"] == "events"), None)
    if wanted is None:
        kinds = ", ".join(stream["type"] for stream in streams.values()) or "none"
        raise DecodeError(f"it has no stream of events (streams: {kinds})", where=path)
    size = (int(streams[wanted]["width"]), int(streams[wanted]["height"]))
    return OpenedEvents("AEDAT 4.0", _chunks_4(path, decoder, wanted, set(streams)), size)


def _chunks_4(path: Path, decoder: Any, wanted: int, known: set[int]) -> Iterator[Chunk]:  # noqa: ANN401 - untyped
    length = path.stat().st_size
    with path.open("rb") as file:
        line = file.readline(64)  # of the version; the header follows, which begins with its length
        offset = len(line) + 4 + int.from_bytes(file.read(4), "little")
        for number in count():
            stream, packet_bytes = _framing(file, offset)
            if stream is None or (stream in known and offset + _FRAMING_BYTES + packet_bytes > length):
                if stream is not None or offset < length:
                    yield _torn(offset)
                return
            try:
                packet = next(decoder, None)
            except (RuntimeError, ValueError) as error:
                raise DecodeError(
                    f"packet {number}, at byte {offset}, cannot be decoded ({error})", where=path
                ) from error
            if packet is None:
                return
            yield chunk_of_packet(packet, wanted, offset)
            offset += _FRAMING_BYTES + packet_bytes


def _framing(file: BinaryIO, offset: int) -> tuple[int | None, int]:
    """Return the stream and the length of the packet at a byte; None at the end of the file."""
    file.seek(offset)
    head = file.read(_FRAMING_BYTES)
    if len(head) < _FRAMING_BYTES:
        return None, 0
    return int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")


def chunk_of_packet(packet: dict[str, Any], wanted: int, offset: int) -> Chunk:
    """Return what is in a packet as the library gives it; of other streams than `wanted`, nothing."""
    if "triggers" in packet:
        found = packet["triggers"]
        edges = found[np.isin(found["source"], (_RISING_4, _FALLING_4))]
        return Chunk(
            offset,
            triggers=Triggers.of_one_input(edges["t"].astype(np.int64), edges["source"] == _RISING_4),
        )
    if packet["stream_id"] != wanted:
        return Chunk(offset)
    events = packet["events"]
    x, y, p = (np.ascontiguousarray(events[name]) for name in "xyp")
    return Chunk(offset, EventBatch(events["t"].astype(np.int64), x, y, p))
