"""AEDAT 4.0 (DV): compressed packets, read by the library `aedat`; the framing is checked here.

Source: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-4.0.html
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from dmtrack.errors import ConfigError, DecodeError
from dmtrack.video.events.batch import EventBatch, Triggers
from dmtrack.video.events.stream import Chunk, Damage, EventStream, Size

MAGIC: Final = b"#!AER-DAT4"
_FRAMING_BYTES: Final = 8
_TRIGGER_RISING, _TRIGGER_FALLING = 1, 2


def open_aedat4(path: Path) -> EventStream:
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
    size: Size = (int(streams[wanted]["width"]), int(streams[wanted]["height"]))
    return EventStream("AEDAT 4.0", _chunks(path, decoder, wanted, set(streams)), size=size)


def _chunks(path: Path, decoder: Any, wanted: int, known: set[int]) -> Iterator[Chunk]:  # noqa: ANN401 - untyped
    length = path.stat().st_size
    with path.open("rb") as file:
        offset = _first_packet(file)
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
            chunk = _chunk(packet, wanted, offset)
            if chunk is not None:
                yield chunk
            offset += _FRAMING_BYTES + packet_bytes


def _first_packet(file: BinaryIO) -> int:
    """Return where the packets begin: behind the line of the version and the header with its length."""
    line = file.readline(64)
    return len(line) + 4 + int.from_bytes(file.read(4), "little")


def _framing(file: BinaryIO, offset: int) -> tuple[int | None, int]:
    """Return the stream and the length of the packet at a byte; None at the end of the file."""
    file.seek(offset)
    head = file.read(_FRAMING_BYTES)
    if len(head) < _FRAMING_BYTES:
        return None, 0
    return int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")


def _chunk(packet: dict[str, Any], wanted: int, offset: int) -> Chunk | None:
    if "triggers" in packet:
        found = packet["triggers"]
        edges = found[np.isin(found["source"], (_TRIGGER_RISING, _TRIGGER_FALLING))]
        triggers = Triggers(
            edges["t"].astype(np.int64), np.zeros(len(edges), np.uint8), edges["source"] == _TRIGGER_RISING
        )
        return Chunk(EventBatch.empty(), lambda _: offset, triggers)
    if packet["stream_id"] != wanted:
        return None
    events = packet["events"]
    batch = EventBatch(
        events["t"].astype(np.int64),
        np.ascontiguousarray(events["x"]),
        np.ascontiguousarray(events["y"]),
        np.ascontiguousarray(events["p"]),
    )
    return Chunk(batch, lambda _: offset)


def _torn(offset: int) -> Chunk:
    damage = Damage("the file ends in the middle of a packet", offset)
    return Chunk(EventBatch.empty(), lambda _: offset, damage=damage)
