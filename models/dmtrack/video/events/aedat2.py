"""AEDAT 2.0 (jAER): big-endian pairs of an address and a time in microseconds.

What the bits of an address mean depends on the chip, which the header names. Rows count from the bottom,
columns of these chips from the right; both are turned round here.

Source: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-2.0.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import FormatError
from dmtrack.video.events.batch import EventBatch, Triggers
from dmtrack.video.events.stream import Chunk, EventStream, Size, record_blocks
from dmtrack.video.events.text_header import TextHeader, read_text_header
from dmtrack.video.events.words import unwrapped

_RECORD: Final = np.dtype([("address", ">u4"), ("t", ">u4")])
_TIME_PERIOD: Final = 1 << 32
_TRIGGER_FALLING, _TRIGGER_RISING, _TRIGGER_PULSE = 0x402, 0x403, 0x404


@dataclass(frozen=True, slots=True)
class _Chip:
    """How a family of chips packs an event into an address.

    Attributes:
        size: Width and height.
        x, y: Lowest bit and number of bits of column and row.
        polarity_bit: Its place.
        brighter: Its value where the light became brighter.
        others: Bits that are 0 in events of pixels.
    """

    size: Size
    x: tuple[int, int]
    y: tuple[int, int]
    polarity_bit: int
    brighter: int
    others: int


def _davis(width: int, height: int) -> _Chip:
    return _Chip((width, height), (12, 10), (22, 9), polarity_bit=11, brighter=1, others=0x8000_0400)


_CHIPS: Final = (
    (r"dvs128", _Chip((128, 128), (1, 7), (8, 7), polarity_bit=0, brighter=0, others=0xFFFF_8000)),
    (r"davis_?240|sbret10", _davis(240, 180)),
    (r"davis_?346", _davis(346, 260)),
    (r"davis_?128", _davis(128, 128)),
    (r"davis_?208", _davis(208, 192)),
    (r"davis_?640", _davis(640, 480)),
)


def open_aedat2(path: Path) -> EventStream:
    """Open an AEDAT 2.0 file.

    Raises:
        FormatError: The header names no chip that is known.
        DecodeError: The header does not end.
    """
    header = read_text_header(path, b"#")
    name = _chip_name(header)
    chip = next((chip for pattern, chip in _CHIPS if re.search(pattern, name.lower())), None)
    if chip is None:
        raise FormatError(
            f"its header names the chip {name!r}" if name else "its header names no chip (AEChip)",
            where=path,
            hint="DVS128, DAVIS128, 208, 240, 346 and 640 are known",
        )
    return EventStream(f"AEDAT 2.0 ({name.rpartition('.')[2]})", _chunks(path, header.end, chip), chip.size)


def _chip_name(header: TextHeader) -> str:
    found = (re.match(r"\s*AEChip:\s*(\S+)", line) for line in header.lines)
    return next((match[1] for match in found if match), "")


def _chunks(path: Path, offset: int, chip: _Chip) -> Iterator[Chunk]:
    last: int | None = None
    for block in record_blocks(path, offset, _RECORD.itemsize):
        records = np.frombuffer(block.data, _RECORD)
        address = records["address"].astype(np.uint32)
        t = unwrapped(records["t"].astype(np.int64), last, _TIME_PERIOD)
        last = int(t[-1]) if len(t) else last
        places = np.flatnonzero((address & np.uint32(chip.others)) == 0)
        chosen = address[places]
        # A coordinate beyond the sensor wraps round to a number that no sensor has.
        events = EventBatch(
            t[places],
            np.uint16(chip.size[0] - 1) - _field(chosen, chip.x),
            np.uint16(chip.size[1] - 1) - _field(chosen, chip.y),
            ((chosen >> chip.polarity_bit) & 1) == chip.brighter,
        )
        offset_of = block.offset_of(_RECORD.itemsize, places)
        yield Chunk(events, offset_of, _triggers(address, t, chip), block.damage)


def _field(address: npt.NDArray[np.uint32], bits: tuple[int, int]) -> npt.NDArray[np.uint16]:
    return ((address >> bits[0]) & ((1 << bits[1]) - 1)).astype(np.uint16)


def _triggers(address: npt.NDArray[np.uint32], t: npt.NDArray[np.int64], chip: _Chip) -> Triggers | None:
    if chip.polarity_bit != 11:
        return None
    places = np.flatnonzero((address >= _TRIGGER_FALLING) & (address <= _TRIGGER_PULSE))
    if len(places) == 0:
        return None
    rising = address[places] != _TRIGGER_FALLING
    return Triggers(t[places], np.zeros(len(places), np.uint8), rising)
