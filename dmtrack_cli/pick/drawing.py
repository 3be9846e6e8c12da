"""What drawing is about: the frames that can be shown, and what the person may choose."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from dmtrack.geometry.box import Box
from dmtrack.run.start_boxes import SMALLEST_SIDE_PX

OTHER_WAYS: Final = "give --box x,y,w,h in pixels, or --box-file FILE"


class PickKind(StrEnum):
    """Where boxes are drawn; `auto` is a window where one can be opened, and a page elsewhere."""

    AUTO = "auto"
    WINDOW = "window"
    WEB = "web"


def box_between(start: tuple[float, float], end: tuple[float, float], width: int, height: int) -> Box | None:
    """Return the box with these opposite corners, clipped to the frame; None where it is too small.

    Args:
        start: Where the drag began, in frame pixels.
        end: Where it is now.
        width: Of the frame.
        height: Of the frame.
    """
    left, right = sorted(min(max(point[0], 0.0), float(width)) for point in (start, end))
    top, bottom = sorted(min(max(point[1], 0.0), float(height)) for point in (start, end))
    if right - left < SMALLEST_SIDE_PX or bottom - top < SMALLEST_SIDE_PX:
        return None
    return Box(left, top, right - left, bottom - top)
