"""The events of one window drawn as a picture, in the look that RGB-E trackers are trained on."""

from __future__ import annotations

from typing import Final

import numpy as np

from dmtrack.errors import FormatError
from dmtrack.video.events.batch import EventBatch, Size
from dmtrack.video.frame import Pixels

CANVAS_RGB: Final = (255, 255, 255)
POSITIVE_RGB: Final = (220, 30, 30)
NEGATIVE_RGB: Final = (30, 30, 200)


def visevent_picture(events: EventBatch, size: Size) -> Pixels:
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
    outside = (events.x >= width) | (events.y >= height)
    if outside.any():
        first = int(np.argmax(outside))
        raise FormatError(
            f"event at ({events.x[first]}, {events.y[first]}) lies outside the {width}x{height} sensor"
        )
    pixels = events.y.astype(np.intp) * width + events.x
    # a palette is painted, not colours: one byte a pixel instead of three
    painted = np.zeros(width * height, dtype=np.uint8)
    painted[pixels[events.p]] = 1
    painted[pixels[~events.p]] = 2
    palette = np.array([CANVAS_RGB, POSITIVE_RGB, NEGATIVE_RGB], dtype=np.uint8)
    return palette.take(painted, axis=0).reshape(height, width, 3)
