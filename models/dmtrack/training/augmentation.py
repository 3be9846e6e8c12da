"""What is done to crops and boxes so that no two samples are alike.

Source: specification 4; where it differs from the published training (section 8), it says so.
"""

from __future__ import annotations

import math
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.geometry.box import Box

Image8 = npt.NDArray[np.uint8]


def jittered(box: Box, rng: np.random.Generator, *, scale: float, centre: float) -> Box:
    """Return the box that the search crop is cut around, as if the tracker had lost its aim.

    Args:
        box: The true box.
        rng: What is drawn with.
        scale: Width and height are multiplied by `exp(scale * n)`, n normal, each its own.
        centre: The centre moves by `centre * sqrt(w' h') * (u - 0.5)` an axis, u uniform in [0, 1).
    """
    w, h = (np.array((box.w, box.h)) * np.exp(scale * rng.standard_normal(2))).tolist()
    dx, dy = (centre * math.sqrt(w * h) * (rng.random(2) - 0.5)).tolist()
    return Box.from_cxcywh(box.cx + dx, box.cy + dy, w, h)


def brightened(crop: Image8, factor: float) -> Image8:
    """Multiply `(H, W, C)` by `factor`, all channels alike, and clip."""
    return cast(Image8, cv2.convertScaleAbs(crop, alpha=factor))


def greyed(crop: Image8) -> Image8:
    """Take the colour out of the first three channels of `(H, W, C)`.

    The second stream is left as it is: its colours mean depth or polarity. (The published
    augmentation fails on six channels and never happens.)
    """
    grey = cv2.cvtColor(cv2.cvtColor(crop[..., :3], cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.concatenate((cast(Image8, grey), crop[..., 3:]), axis=2)


def mirrored(crop: Image8) -> Image8:
    """Flip `(H, W, C)` left to right."""
    return np.ascontiguousarray(crop[:, ::-1])
