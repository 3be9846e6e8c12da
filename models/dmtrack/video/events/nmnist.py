"""The 40-bit records of N-MNIST and N-Caltech101 (`.bin`), which have no header.

Source: https://www.garrickorchard.com/datasets/n-mnist (bit 39-32 x, 31-24 y, 23 polarity, 22-0 time in
microseconds; a record with y = 240 stands for a lap of 8.192 ms and is no event).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from dmtrack.video.events.batch import EventBatch
from dmtrack.video.events.stream import Chunk, EventStream, record_blocks

RECORD_BYTES: Final = 5
_LAP_ROW: Final = 240
_LAP_US: Final = 1 << 13


def open_nmnist(path: Path) -> EventStream:
    """Open a file of 40-bit records."""
    return EventStream("N-MNIST", _chunks(path))


def _chunks(path: Path) -> Iterator[Chunk]:
    laps = 0
    for block in record_blocks(path, 0, RECORD_BYTES):
        columns = np.frombuffer(block.data, np.uint8).reshape(-1, RECORD_BYTES).T
        x, y, mixed, middle, low = columns
        is_lap = y == _LAP_ROW
        t = (mixed & 0x7F).astype(np.int64) << 16 | middle.astype(np.int64) << 8 | low
        t += (laps + np.cumsum(is_lap)) * _LAP_US
        laps += int(is_lap.sum())
        places = np.flatnonzero(~is_lap)
        events = EventBatch(
            t[places], x[places].astype(np.uint16), y[places].astype(np.uint16), (mixed[places] & 0x80) != 0
        )
        yield Chunk(events, block.offset_of(RECORD_BYTES, places), damage=block.damage)
