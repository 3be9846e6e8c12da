"""`Sampling`: which pixels of a frame make each pixel of a crop, as tables.

What `Crop.cut` does with OpenCV, for devices where OpenCV does not run: the same half-pixel centres, the same
11-bit weights, and black outside the frame and on its last column and row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.geometry.crop import Crop

#: The weights of two neighbours add up to this.
WHOLE_WEIGHT: Final = 1 << 11

_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """Where B crops of one size take their pixels from.

    Attributes:
        rows: The rows of the frame that any crop reads: first, and past the last; at least one.
        columns: The columns likewise.
        tables: `(2, 2, 2, B, size)` int32. First axis: down, along. Second: index, counted from the first
            row or column read, and weight, 0 for what is black. Third: the two neighbours.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    tables: npt.NDArray[np.int32]

    @classmethod
    def of(cls, crops: Sequence[Crop], width: int, height: int) -> Sampling:
        """Return the tables of crops of one size, at least one, of a frame `width` x `height`."""
        sides = np.array([crop.side_px for crop in crops])
        index, weight = _neighbours(sides, crops[0].size_px)
        rows, down = _on_frame(index + np.array([c.top_px for c in crops])[:, None], weight, height)
        columns, along = _on_frame(index + np.array([c.left_px for c in crops])[:, None], weight, width)
        return cls(rows, columns, np.stack((down, along)))


def _neighbours(sides: _Integers, size: int) -> tuple[_Integers, _Integers]:
    """Return the two nearest positions in a square, and their weights: `(2, B, size)` each.

    Positions are rounded to float32 where OpenCV does it, which decides some weights.
    """
    scale = 1 / (size / sides[:, None])
    position = ((np.arange(size) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(position)
    second_weight = position - first
    weight = np.stack((np.float32(1) - second_weight, second_weight)) * np.float32(WHOLE_WEIGHT)
    index = np.stack((first, first + 1)).astype(np.int64)
    return index.clip(0, sides[:, None] - 1), np.rint(weight).astype(np.int64)


def _on_frame(
    index: _Integers, weight: _Integers, length: int
) -> tuple[tuple[int, int], npt.NDArray[np.int32]]:
    """Return what is read of an axis of the frame, and the table `(2, 2, B, size)` for it."""
    black = (index < 0) | (index >= length - 1)
    low = min(max(int(index.min()), 0), length - 1)
    high = max(min(int(index.max()) + 1, length), low + 1)
    table = np.stack((index.clip(low, high - 1) - low, np.where(black, 0, weight)))
    return (low, high), table.astype(np.int32)
