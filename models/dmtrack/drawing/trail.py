"""Trails, the recent paths of targets, and the options of a video of boxes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Annotated, Final

from dmtrack.drawing.draw import LARGEST_SIDE_PX, Colour, Trail, target_colour
from dmtrack.options import Option, make_exact
from dmtrack.tracking.result import TrackedBox, TrackState

UNSEEN: Final = frozenset({TrackState.LOST, TrackState.ABSENT})
"""States in which the place of the target is unknown."""


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """What a video of boxes shows besides them, and its size."""

    trail_frames: Annotated[
        int,
        Option(
            "--trail",
            "Draw each target's path over the last FRAMES frames; 0: none.",
            metavar="FRAMES",
            most=5000,
        ),
    ] = 0
    height_px: Annotated[
        int | None,
        Option(
            "--video-height",
            "Height of the video in px; the width follows. Default: that of RGB, enlarged if small.",
            metavar="PX",
            least=64,
            most=LARGEST_SIDE_PX,
        ),
    ] = None

    def __post_init__(self) -> None:
        make_exact(self)


PLAIN: Final = VideoOptions()


@dataclass(slots=True)
class Trails:
    """The trails of all targets, frame by frame."""

    frames: int  # length in frames
    _seen: dict[tuple[int, int], deque[tuple[int, tuple[float, float] | None]]] = field(default_factory=dict)
    _colours: dict[tuple[int, int], Colour] = field(default_factory=dict)
    _steps: dict[tuple[int, int], int] = field(default_factory=dict)

    def note(
        self,
        frame_index: int,
        target: TrackedBox,
        colour: Colour | None = None,
        layer: int = 0,
        step: int = 1,
    ) -> None:
        """Record a target's place.

        `frame_index` rises; a lost target interrupts the trail. `layer` tells targets of several files apart,
        and `step` is the usual distance of frames with boxes.
        """
        if not self.frames:
            return
        key = (layer, target.target_id)
        centre = None if target.state in UNSEEN else (target.box.cx, target.box.cy)
        self._seen.setdefault(key, deque()).append((frame_index, centre))
        self._colours[key], self._steps[key] = colour or target_colour(target.target_id), step

    def at(self, frame_index: int) -> list[Trail]:
        """Return the trails at a frame, after all its targets were noted: one for each unbroken stretch."""
        trails = []
        for key, seen in list(self._seen.items()):
            while seen and seen[0][0] < frame_index - self.frames:
                seen.popleft()
            if not seen:
                del self._seen[key]
            elif seen[-1][0] + self._steps[key] <= frame_index:
                seen.append((frame_index, None))  # it is absent
            stretch: list[tuple[float, float]] = []
            for _, centre in (*seen, (0, None)):
                if centre is not None:
                    stretch.append(centre)
                elif stretch:
                    trails.append(Trail(tuple(stretch), self._colours[key]))
                    stretch = []
        return trails
