"""Events of one window drawn as a picture.

`visevent` is the look that RGB-E trackers are trained on. The others show more of the time within the
window, to people and to networks trained on them.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import FormatError
from dmtrack.video.events.batch import EventBatch
from dmtrack.video.events.stream import Size

CANVAS_RGB: Final = (255, 255, 255)
POSITIVE_RGB: Final = (220, 30, 30)
NEGATIVE_RGB: Final = (30, 30, 200)
VOXEL_BINS: Final = 3
VOXEL_FULL: Final = 3.0
"""So many events of one sign in one bin give full brightness or darkness."""

Picture = npt.NDArray[np.uint8]


class EventLook(StrEnum):
    """What a picture of events looks like."""

    VISEVENT = "visevent"
    VOXEL = "voxel"
    TIME_SURFACE = "time-surface"

    @property
    def draw(self) -> Callable[[EventBatch, Size], Picture]:
        """The function that draws events of one window onto a sensor of a size."""
        return {
            EventLook.VISEVENT: visevent_picture,
            EventLook.VOXEL: voxel_picture,
            EventLook.TIME_SURFACE: time_surface_picture,
        }[self]


def visevent_picture(events: EventBatch, size: Size) -> Picture:
    """Draw a white canvas, positive events red, negative events blue.

    Args:
        events: Those of one window; their order does not matter.
        size: Width and height of the sensor in pixels.

    Returns:
        `(H, W, 3)` uint8 in RGB order. Negative events are painted last, so they win where both occur.

    Raises:
        FormatError: An event lies outside the sensor.

    Source: inputs-and-metrics 3 (the look of VisEvent's event pictures).
    """
    width, height = size
    pixels = _pixels(events, size)
    # a palette is painted, not colours: one byte a pixel instead of three
    painted = np.zeros(width * height, dtype=np.uint8)
    painted[pixels[events.p]] = 1
    painted[pixels[~events.p]] = 2
    palette = np.array([CANVAS_RGB, POSITIVE_RGB, NEGATIVE_RGB], dtype=np.uint8)
    return palette.take(painted, axis=0).reshape(height, width, 3)


def voxel_picture(events: EventBatch, size: Size) -> Picture:
    """Draw a voxel grid of three bins of time as red, green and blue: early, middle, late.

    Each event adds its sign to the two bins nearest in time, the nearer one more. Grey 127 is no change.

    Args:
        events: Those of one window.
        size: Width and height of the sensor in pixels.

    Returns:
        `(H, W, 3)` uint8.

    Raises:
        FormatError: An event lies outside the sensor.

    Source: Zhu et al., Unsupervised Event-based Learning of Optical Flow, Depth, and Egomotion (2019),
    section 3.1; the mapping to 8 bits is ours.
    """
    width, height = size
    pixels = _pixels(events, size)
    if len(events) == 0:
        return np.full((height, width, VOXEL_BINS), 127, dtype=np.uint8)
    place = _age(events.t) * (VOXEL_BINS - 1)
    lower = np.minimum(place.astype(np.intp), VOXEL_BINS - 2)
    share = place - lower
    sign = np.where(events.p, 1.0, -1.0)
    cells = pixels * VOXEL_BINS + lower
    length = width * height * VOXEL_BINS
    grid = np.bincount(cells, sign * (1 - share), length) + np.bincount(cells + 1, sign * share, length)
    levels = 127.0 + np.clip(grid / VOXEL_FULL, -1, 1) * 127.0
    return np.rint(levels).astype(np.uint8).reshape(height, width, VOXEL_BINS)


def time_surface_picture(events: EventBatch, size: Size) -> Picture:
    """Draw the last event of each pixel, the paler the longer ago: white before the window began.

    Args:
        events: Those of one window.
        size: Width and height of the sensor in pixels.

    Returns:
        `(H, W, 3)` uint8: red where the last event was positive, blue where it was negative.

    Raises:
        FormatError: An event lies outside the sensor.

    Source: Lagorce et al., HOTS: A Hierarchy of Event-Based Time-Surfaces (2017), with a decay to 5 % over
    the window; the colours are ours.
    """
    width, height = size
    pixels = _pixels(events, size)
    strength = np.zeros(width * height, dtype=np.float32)
    positive = np.zeros(width * height, dtype=np.bool_)
    strength[pixels] = np.exp(3.0 * (_age(events.t) - 1.0))  # in order of time: the last one stays
    positive[pixels] = events.p
    picture = np.full((width * height, 3), CANVAS_RGB, dtype=np.uint8)
    touched = np.flatnonzero(strength)
    tones = np.where(positive[touched, np.newaxis], _float(POSITIVE_RGB), _float(NEGATIVE_RGB))
    canvas = _float(CANVAS_RGB)
    picture[touched] = np.rint(canvas + strength[touched, np.newaxis] * (tones - canvas))
    return picture.reshape(height, width, 3)


def _age(t: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return how far through the window each event is: 0 with the first one, 1 with the last."""
    if len(t) == 0:
        return np.empty(0)
    span = max(1, int(t[-1]) - int(t[0]))
    return np.asarray((t - t[0]) / span, dtype=np.float64)


def _float(colour: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    return np.array(colour, dtype=np.float32)


def _pixels(events: EventBatch, size: Size) -> npt.NDArray[np.intp]:
    """Return the index of the pixel of each event, row by row."""
    width, height = size
    outside = (events.x >= width) | (events.y >= height)
    if outside.any():
        first = int(np.argmax(outside))
        raise FormatError(
            f"event at ({events.x[first]}, {events.y[first]}) lies outside the {width}x{height} sensor"
        )
    return events.y.astype(np.intp) * width + events.x
