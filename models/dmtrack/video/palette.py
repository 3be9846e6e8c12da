"""Which colour palette a thermal camera has laid over its picture."""

from __future__ import annotations

from functools import cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

MAX_DISTANCE: Final = 20.0
"""Compression moves colours of a palette by 5 to 13 levels; no photograph of 60 lies within 30 of one."""
_SHARE: Final = 80.0
"""Percent of the pixels that have to be near: the rest may be lettering and edges."""
_SAMPLE: Final = (64, 48)
_IRON: Final = ((0, 0, 0), (32, 0, 140), (180, 0, 150), (240, 90, 20), (255, 190, 0), (255, 255, 220))
"""Black over violet, red and yellow to white, in equal steps: what most makers call iron."""
_OF_OPENCV: Final = {
    "inferno": cv2.COLORMAP_INFERNO,
    "hot": cv2.COLORMAP_HOT,
    "rainbow": cv2.COLORMAP_RAINBOW,
    "jet": cv2.COLORMAP_JET,
    "plasma": cv2.COLORMAP_PLASMA,
    "magma": cv2.COLORMAP_MAGMA,
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
}


def find_palette(colour: npt.NDArray[np.uint8]) -> str | None:
    """Return the name of the palette that nearly all colours of a picture come from; None if it is another.

    Args:
        colour: `(H, W, 3)` uint8 RGB.
    """
    sample = cv2.resize(colour, _SAMPLE, interpolation=cv2.INTER_NEAREST).reshape(-1, 1, 3).astype(np.int16)
    distances = {name: _distance(sample, entries) for name, entries in palettes().items()}
    nearest = min(distances, key=lambda name: distances[name])
    return nearest if distances[nearest] <= MAX_DISTANCE else None


@cache
def palettes() -> dict[str, npt.NDArray[np.uint8]]:
    """Return the known palettes by name, `(256, 3)` uint8 RGB each, cold first."""
    grey = np.arange(256, dtype=np.uint8).reshape(1, -1)
    known = {
        name: np.array(cv2.applyColorMap(grey, number).reshape(-1, 3)[:, ::-1], dtype=np.uint8)
        for name, number in _OF_OPENCV.items()
    }
    stops = np.array(_IRON, dtype=np.float64)
    at, steps = np.linspace(0, 1, 256), np.linspace(0, 1, len(stops))
    iron = np.stack([np.interp(at, steps, stops[:, channel]) for channel in range(3)], axis=1)
    return {"iron": iron.astype(np.uint8), **known}


def _distance(sample: npt.NDArray[np.int16], entries: npt.NDArray[np.uint8]) -> float:
    apart = np.abs(sample - entries[None].astype(np.int16)).max(axis=2).min(axis=1)
    return float(np.percentile(apart, _SHARE))
