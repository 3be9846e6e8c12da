"""Prophesee's files: RAW (EVT 2.0, 2.1 and 3.0) and DAT.

Source: https://docs.prophesee.ai/stable/data/file_formats/raw.html and dat.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from dmtrack.errors import DecodeError, FormatError
from dmtrack.video.events.event_batch import (
    Chunk,
    Damage,
    EventBatch,
    OpenedEvents,
    Size,
    TextHeader,
    read_text_header,
    record_blocks,
    record_offsets,
    unwrapped,
)
from dmtrack.video.events.evt import Counts, DecodedWords, Evt2Decoder, Evt3Decoder, guess_upper_half

MAX_UNKNOWN_SHARE: Final = 0.01
"""A block with a larger share of unknown words is not in the encoding that the header names."""

_MARK: Final = b"% "
_WORD_BYTES: Final = {"EVT2": 4, "EVT21": 8, "EVT3": 2}
_SENSORS: Final = (
    ("genx320", (320, 320)),
    ("imx636", (1280, 720)),
    ("gen4", (1280, 720)),
    ("gen3", (640, 480)),
)
"""Sizes of sensors, by a part of the plug-in's name: old headers do not state the size."""
_SAMPLE_BYTES: Final = 1 << 16

_DAT_PIXEL, _DAT_CD, _DAT_TRIGGER = 0x00, 0x0C, 0x0E
_DAT_RECORD: Final = np.dtype([("t", "<u4"), ("address", "<u4")])
_TIME_PERIOD: Final = 1 << 32


def open_raw(path: Path) -> OpenedEvents:
    """Open a RAW file; `FormatError`: the header names no known encoding."""
    header = read_text_header(path, _MARK, "end")
    name, *options = header.values.get("format", "").split(";")
    name = name.upper() or _name_of_version(header)
    if name not in _WORD_BYTES:
        raise FormatError(
            f"its header names the encoding {name!r}" if name else "its header names no encoding",
            where=path,
            hint="EVT2, EVT21 and EVT3 are read",
        )
    settings = dict(option.split("=", 1) for option in options if "=" in option)
    decode = _word_decoder(path, name, header.end, settings.get("endianness"))
    return OpenedEvents(
        f"Prophesee {name}", _word_chunks(path, header.end, name, decode), _size(header, settings)
    )


def _name_of_version(header: TextHeader) -> str:
    """Turn the older line `evt 3.0` into `EVT3`."""
    major, _, minor = header.values.get("evt", "").partition(".")
    return f"EVT{major}{minor.strip('0')}" if major else ""


def _word_decoder(
    path: Path, name: str, offset: int, endianness: str | None
) -> Callable[[bytes], DecodedWords]:
    byte_order = ">" if endianness == "big" else "<"
    if name == "EVT3":
        return Evt3Decoder(byte_order)
    if name == "EVT2":
        return Evt2Decoder(byte_order)
    with path.open("rb") as file:
        file.seek(offset)
        sample = file.read(_SAMPLE_BYTES)
    return Evt2Decoder(byte_order, 0 if endianness == "legacy" else guess_upper_half(sample, byte_order))


def _size(header: TextHeader, settings: dict[str, str]) -> Size | None:
    """Return the size a header states, or that of the sensor it names."""
    values = header.values
    stated = re.match(r"(\d{1,5})x(\d{1,5})", values.get("geometry", ""))
    width, height = stated.groups() if stated else (settings.get("width"), settings.get("height"))
    width, height = width or values.get("width"), height or values.get("height")
    if width and height and re.fullmatch(r"\d{1,5},\d{1,5}", f"{width},{height}", re.ASCII):
        return int(width), int(height)
    plugin = values.get("plugin_name", "").lower()
    return next((size for word, size in _SENSORS if word in plugin), None)


def _word_chunks(
    path: Path, offset: int, name: str, decode: Callable[[bytes], DecodedWords]
) -> Iterator[Chunk]:
    """Decode the words of a file block by block; `DecodeError`: too many in a block are unknown."""
    word_bytes = _WORD_BYTES[name]
    for begin, data, damage in record_blocks(path, offset, word_bytes):
        decoded = decode(data)
        words, unknown = len(decoded.ends), decoded.unknown
        end = len(decoded.events)
        if len(unknown):
            where = begin + word_bytes * int(unknown[0])
            damage = Damage(f"words that {name} does not know", where, len(unknown))
            if len(unknown) > MAX_UNKNOWN_SHARE * words:
                end = int(decoded.ends[unknown[0]])
        offset_of = partial(_event_offset, begin, word_bytes, decoded.ends)
        yield Chunk(offset_of, decoded.events[:end], decoded.triggers, damage)
        if len(unknown) > MAX_UNKNOWN_SHARE * words:
            raise DecodeError(
                f"at byte {where} begins what is not {name}: {len(unknown)} of {words} words are unknown",
                where=path,
                hint="is the file damaged, or are its bytes in another order than its header says?",
            )


def _event_offset(begin: int, word_bytes: int, ends: Counts, event: int) -> int:
    return begin + word_bytes * int(np.searchsorted(ends, event, side="right"))


def open_dat(path: Path) -> OpenedEvents:
    """Open a DAT file; `FormatError`: it holds other than pixel or trigger events."""
    header = read_text_header(path, _MARK)
    with path.open("rb") as file:
        file.seek(header.end)
        kind_and_length = file.read(2)
    kind = kind_and_length[0] if kind_and_length else _DAT_CD
    if kind not in (_DAT_PIXEL, _DAT_CD, _DAT_TRIGGER) or kind_and_length[1:] not in (b"", b"\x08"):
        raise FormatError(
            f"byte {header.end} announces events of type 0x{kind:02x} and {kind_and_length[-1]} bytes",
            where=path,
            hint="DAT files with pixel events (type 0x00 or 0x0c, 8 bytes) are read",
        )
    chunks = _dat_chunks(
        path, header.end + 2, kind == _DAT_TRIGGER, is_first_version=header.values.get("version") == "1"
    )
    return OpenedEvents("Prophesee DAT", chunks, _size(header, {}))


def _dat_chunks(path: Path, offset: int, is_trigger: bool, *, is_first_version: bool) -> Iterator[Chunk]:
    column_bits, row_bits, polarity_bit = (9, 8, 17) if is_first_version else (14, 14, 28)
    last: int | None = None
    for begin, data, damage in record_blocks(path, offset, _DAT_RECORD.itemsize):
        records = np.frombuffer(data, _DAT_RECORD)
        if is_trigger:
            yield Chunk(begin, triggers=len(records), damage=damage)
            continue
        address = records["address"]
        t = unwrapped(records["t"].astype(np.int64), last, _TIME_PERIOD)
        last = int(t[-1]) if len(t) else last
        events = EventBatch(
            t,
            (address & ((1 << column_bits) - 1)).astype(np.uint16),
            ((address >> column_bits) & ((1 << row_bits) - 1)).astype(np.uint16),
            ((address >> polarity_bit) & 1) != 0,
        )
        yield Chunk(record_offsets(begin, _DAT_RECORD.itemsize), events, damage=damage)
