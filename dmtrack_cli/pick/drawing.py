"""What drawing is about: the frames that can be shown, and what the person may choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from dmtrack.errors import BoxError
from dmtrack.geometry.box import Box
from dmtrack.tracking.start import TargetStart
from dmtrack.video.frame import FramePair
from dmtrack.video.pairing import PairedSource

MOST_DRAWN: Final = 100
"""So many boxes can be drawn in one go."""
SMALLEST_SIDE_PX: Final = 2.0
"""A drag that is shorter than this, in frame pixels, is taken for a click."""
OTHER_WAYS: Final = "give --box x,y,w,h in pixels, or --box-file FILE"


class PickKind(StrEnum):
    """Where boxes are drawn; `auto` is a window where one can be opened, and a page elsewhere."""

    AUTO = "auto"
    WINDOW = "window"
    WEB = "web"


class Draw(Protocol):
    """Lets the person draw boxes."""

    def __call__(self, ids: tuple[int, ...], lowest_frame: int) -> tuple[TargetStart, ...]:
        """Return what was drawn, at least one box.

        Args:
            ids: Ids of the boxes, in the order of drawing.
            lowest_frame: First frame that may be chosen, where frames can be chosen.
        """


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn on.

    Attributes:
        first: The frame that is shown first.
        open_at: Opens the recording so that its first pair is that of an index.
        lowest: Index of the first frame that may be chosen.
        last: Index of the last one, as the container claims; None if it does not say.
        ids: Ids of the boxes, in the order of drawing.
        name: What the recording is called.
    """

    first: FramePair
    open_at: Callable[[int], PairedSource]
    lowest: int
    last: int | None
    ids: tuple[int, ...]
    name: str = "recording"

    def start(self, number: int, box: Box, frame_index: int) -> TargetStart:
        """Return the target of the box that was drawn as number `number`, from 0.

        Raises:
            BoxError: The box lies outside the frame, or is a line or a point.
        """
        box.require_inside(self.first.rgb.width, self.first.rgb.height)
        if min(box.w, box.h) < SMALLEST_SIDE_PX:
            raise BoxError(f"box {box} is too small", hint="drag from one corner to the opposite one")
        return TargetStart(box, self.ids[number], frame_index)


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
