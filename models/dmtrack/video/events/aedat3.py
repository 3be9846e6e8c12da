"""AEDAT 3.1 (cAER): packets of little-endian records behind a header of 28 bytes each.

Source: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-3.1.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from dmtrack.errors import DecodeError
from dmtrack.video.events.batch import EventBatch, Times, Triggers
from dmtrack.video.events.stream import Chunk, Damage, EventStream, Size, record_offsets
from dmtrack.video.events.text_header import TextHeader, read_text_header

_PACKET_HEADER: Final = np.dtype(
    [("type", "<i2"), ("source", "<i2")]
    + [(name, "<i4") for name in ("size", "time_offset", "overflow", "capacity", "number", "valid")]
)
_RECORD: Final = np.dtype([("data", "<u4"), ("t", "<i4")])
_SPECIAL, _POLARITY, _LAST_TYPE = 0, 1, 12
_TRIGGER_RISING, _TRIGGER_FALLING = 2, 3
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
_TRUNCATED: Final = "the file ends in the middle of a packet"


class _Packet(NamedTuple):
    type: int
    record_bytes: int
    overflow: int
    records: int

    @property
    def payload_bytes(self) -> int:
        return self.record_bytes * self.records


def open_aedat3(path: Path) -> EventStream:
    """Open an AEDAT 3.1 file.

    Raises:
        DecodeError: The header does not end.
    """
    header = read_text_header(path, b"#", "!END-HEADER")
    return EventStream("AEDAT 3.1", _chunks(path, header.end), size=_size(header))


def _size(header: TextHeader) -> Size | None:
    source = next((line for line in header.lines if re.match(r"\s*Source\b", line)), "").lower()
    return next((size for name, size in _SIZES if name in source), None)


def _chunks(path: Path, offset: int) -> Iterator[Chunk]:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            length = path.stat().st_size
            while head := file.read(_PACKET_HEADER.itemsize):
                if len(head) < _PACKET_HEADER.itemsize:
                    yield _torn(offset)
                    return
                packet = _packet(head, path, offset)
                offset += len(head)
                data = _payload(file, packet, length - offset)
                yield _chunk(packet, data, offset)
                if data is not None and len(data) < packet.payload_bytes:
                    return
                offset += packet.payload_bytes
                file.seek(offset)
    except OSError as error:
        raise DecodeError(f"reading fails at byte {offset}: {error.strerror}", where=path) from error


def _packet(head: bytes, path: Path, offset: int) -> _Packet:
    fields = np.frombuffer(head, _PACKET_HEADER)[0]
    packet = _Packet(int(fields["type"]), int(fields["size"]), int(fields["overflow"]), int(fields["number"]))
    is_sane = (
        0 <= packet.type <= _LAST_TYPE
        and 0 < packet.record_bytes <= _MAX_RECORD_BYTES
        and 0 <= packet.records <= int(fields["capacity"])
        and packet.overflow >= 0
        and (packet.type > _POLARITY or packet.record_bytes == _RECORD.itemsize)
    )
    if not is_sane:
        raise DecodeError(f"at byte {offset} should begin a packet, but what is there is none", where=path)
    return packet


def _payload(file: BinaryIO, packet: _Packet, left_bytes: int) -> bytes | None:
    """Read the records of a packet, no more than the file has; None for those that are not read."""
    if packet.type > _POLARITY and packet.payload_bytes <= left_bytes:
        return None
    return file.read(min(packet.payload_bytes, left_bytes))


def _chunk(packet: _Packet, data: bytes | None, offset: int) -> Chunk:
    whole = 0 if data is None or packet.type > _POLARITY else len(data) // _RECORD.itemsize
    records = np.frombuffer(data or b"", _RECORD, count=whole)
    is_cut = data is not None and len(data) < packet.payload_bytes
    damage = Damage(_TRUNCATED, offset + len(data or b"")) if is_cut else None
    t = (packet.overflow << 31) + records["t"].astype(np.int64)
    data_bits = records["data"]
    places = np.flatnonzero(data_bits & 1)  # the others were declared invalid by the camera's filters
    chosen, t = data_bits[places], t[places]
    if packet.type == _SPECIAL:
        return Chunk(EventBatch.empty(), lambda _: offset, _triggers(chosen, t), damage)
    events = EventBatch(
        t,
        (chosen >> 17).astype(np.uint16),
        ((chosen >> 2) & 0x7FFF).astype(np.uint16),
        (chosen & 2) != 0,
    )
    return Chunk(events, record_offsets(offset, _RECORD.itemsize, places), damage=damage)


def _triggers(data: npt.NDArray[np.uint32], t: Times) -> Triggers | None:
    kinds = (data >> 1) & 0x7F
    chosen = (kinds == _TRIGGER_RISING) | (kinds == _TRIGGER_FALLING)
    if not chosen.any():
        return None
    channels = np.zeros(int(chosen.sum()), np.uint8)
    return Triggers(t[chosen], channels, kinds[chosen] == _TRIGGER_RISING)


def _torn(offset: int) -> Chunk:
    return Chunk(EventBatch.empty(), lambda _: offset, damage=Damage(_TRUNCATED, offset))
