"""Events drawn as pictures in the look of VisEvent, which RGB-E trackers are trained on."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import FormatError

CANVAS_RGB: Final = (255, 255, 255)
POSITIVE_RGB: Final = (220, 30, 30)
NEGATIVE_RGB: Final = (30, 30, 200)


def event_picture(
    x: npt.NDArray[np.integer],
    y: npt.NDArray[np.integer],
    positive: npt.NDArray[np.bool_],
    size: tuple[int, int],
) -> npt.NDArray[np.uint8]:
    """Draw the events of one frame: a white canvas, positive events red, negative events blue.

    Args:
        x: `(N,)` columns in pixels, from 0.
        y: `(N,)` rows in pixels, from 0.
        positive: `(N,)` True where the light became brighter.
        size: Width and height of the sensor in pixels.

    Returns:
        `(H, W, 3)` uint8 in RGB order. Negative events are painted last, so they win where both occur;
        the order in time within the slice does not matter.

    Raises:
        FormatError: An event lies outside the sensor.

    Source: inputs-and-metrics 3 (the look of VisEvent's event pictures).
    """
    width, height = size
    outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
    if outside.any():
        first = int(np.argmax(outside))
        raise FormatError(f"event at ({x[first]}, {y[first]}) lies outside the {width}x{height} sensor")
    picture = np.full((height, width, 3), CANVAS_RGB, dtype=np.uint8)
    polarity = positive.astype(np.bool_)
    picture[y[polarity], x[polarity]] = POSITIVE_RGB
    picture[y[~polarity], x[~polarity]] = NEGATIVE_RGB
    return picture


def frame_slices(event_times: npt.NDArray[np.int64], frame_times: npt.NDArray[np.int64]) -> tuple[slice, ...]:
    """Cut a stream of events into one slice a frame: from the frame's time to that of the next one.

    The last frame gets the median interval; a lone frame gets every event from its time on. Events
    before the first frame belong to none.

    Args:
        event_times: `(N,)` time stamps, not decreasing.
        frame_times: `(F,)` time stamps on the same clock, increasing.

    Raises:
        FormatError: Either list of times runs backwards, or there is no frame.
    """
    if len(frame_times) == 0:
        raise FormatError("there is no frame to collect events for")
    if (np.diff(event_times) < 0).any() or (np.diff(frame_times) <= 0).any():
        raise FormatError("the time stamps of events or frames run backwards")
    if len(frame_times) == 1:
        return (slice(int(np.searchsorted(event_times, frame_times[0])), len(event_times)),)
    last_edge = frame_times[-1] + int(np.median(np.diff(frame_times)))
    edges = np.searchsorted(event_times, np.append(frame_times, last_edge))
    return tuple(slice(int(a), int(b)) for a, b in pairwise(edges))
