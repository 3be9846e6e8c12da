"""Whether data of a JPEG is missing, which libjpeg fills with grey and tells to standard error alone."""

from __future__ import annotations

from typing import Final

import av
import av.error
import numpy as np

_BLOCK: Final = 8
_FILLED: Final = 128
_SEEN_AT: Final = ((2, 2), (2, 5), (5, 2), (5, 5))  # in a block, away from its edges, which neighbours colour


def lacks_data(picture: np.ndarray, data: bytes) -> bool:
    """Return whether a part of a picture of 8 bits is grey because the JPEG it was decoded from is damaged.

    Where a block is that grey, and only there, the JPEG is decoded once more, by libav, which tells.
    """
    height, width = (side // _BLOCK * _BLOCK for side in picture.shape[:2])
    blocks = (picture if picture.ndim == 2 else picture[..., 0])[:height, :width]
    is_grey = np.True_
    for row, column in _SEEN_AT:
        is_grey = is_grey & (blocks[row::_BLOCK, column::_BLOCK] == _FILLED)
        if not is_grey.any():
            return False
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "explode", "lowres": "3"}
    try:
        decoder.decode(av.Packet(data))
    except av.error.InvalidDataError:
        return True
    return False
