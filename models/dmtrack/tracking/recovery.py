"""Lost and found: when a target is doubted, when it is given up, and where it is looked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dmtrack.config import TrackerConfig
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackState

#: Distance of neighbouring windows, as a share of their side: the target is whole in at least one.
_STRIDE = 0.5


@dataclass(slots=True)
class Trust:
    """How much one target's boxes are trusted, from the scores of its frames."""

    box: Box  # the last box that was trusted: what is held while the target is lost
    doubted: int = 0  # frames in a row with a score below `uncertain_score`
    missed: int = 0  # frames since the target was given up; 0 while it is followed

    @property
    def is_lost(self) -> bool:
        """Whether the target is looked for instead of followed."""
        return self.missed > 0

    def judge(self, box: Box, score: float, config: TrackerConfig) -> TrackState:
        """Take note of where the target is thought to be, and say what that is worth.

        A lost target is taken up again only at `found_score`, which is higher than what it takes to
        be followed: a search over many places finds the best of many wrong ones.
        """
        if score >= (config.found_score if self.is_lost else config.uncertain_score):
            self.box, self.doubted, self.missed = box, 0, 0
            return TrackState.TRACKED
        self.doubted += 1
        if self.doubted <= config.lost_after:
            return TrackState.UNCERTAIN
        self.missed += 1
        return TrackState.LOST


def places_to_look(trust: Trust, config: TrackerConfig, width: int, height: int) -> list[Box]:
    """Return the boxes around which a lost target is searched in this frame, at least one.

    First around the place where it was last trusted, wider step by step; after `lost_after` frames,
    every `sweep_interval` frames, a share of the whole frame, so that the cost of a frame has a bound.

    Args:
        trust: Of a lost target.
        config: Numbers of the search.
        width: Of the frame in px.
        height: Of the frame in px.
    """
    step = _STRIDE * config.search_factor * math.sqrt(trust.box.area)
    sweep, since = divmod(trust.missed - config.lost_after, config.sweep_interval)
    if trust.missed > config.lost_after and since == 0:
        grid = _grid(trust.box, step, width, height)
        first = (sweep - 1) * config.sweep_windows % len(grid)
        return (grid + grid)[first : first + min(config.sweep_windows, len(grid))]
    ring = min((trust.missed - 1) // max(1, config.lost_after // 3), 1)
    return _inside([_moved(trust.box, i * step, j * step) for i, j in _RINGS[ring]], width, height)


_RINGS: Sequence[Sequence[tuple[int, int]]] = (
    ((0, 0),),
    ((0, 0), (-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)),
)


def _moved(box: Box, dx: float, dy: float) -> Box:
    return Box(box.x + dx, box.y + dy, box.w, box.h)


def _inside(boxes: Sequence[Box], width: int, height: int) -> list[Box]:
    """Leave out what is centred outside the frame, unless that is everything."""
    inside = [box for box in boxes if 0 <= box.cx < width and 0 <= box.cy < height]
    return inside or list(boxes[:1])


def _grid(box: Box, step: float, width: int, height: int) -> list[Box]:
    """Return boxes over the whole frame, the nearest to `box` first."""
    columns, rows = max(1, math.ceil(width / step)), max(1, math.ceil(height / step))
    centres = [
        ((column + 0.5) * width / columns, (row + 0.5) * height / rows)
        for row in range(rows)
        for column in range(columns)
    ]
    centres.sort(key=lambda centre: math.hypot(centre[0] - box.cx, centre[1] - box.cy))
    return [Box.from_cxcywh(cx, cy, box.w, box.h) for cx, cy in centres]
