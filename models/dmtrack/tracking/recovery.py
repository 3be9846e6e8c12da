"""Lost and found: when a target is doubted, when it is given up, and where it is searched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dmtrack.config import TrackerConfig
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackState

#: Distance of neighbouring windows, as a share of their side: the target is whole in at least one.
_STRIDE = 0.5
#: How far from its last trusted box a target may be at once, in sizes of that box; its speed adds to this.
_NEAR = 1.0
#: Possible error of the estimated camera motion, as a share of it.
_ASTRAY = 0.4
#: Weight of the newest step in a target's smoothed speed.
_NEWEST = 0.1
_PATIENCE = 6  # after this many times `lost_after` frames a lost target may be anywhere


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate for a target's place in a frame, not yet clipped to the frame."""

    box: Box
    score: float
    shown: Box  # the box to report, see `TrackerConfig.voting`
    weight: float = 1.0  # prior of its place: multiplies the score when the find of a sure target is chosen

    def moved(self, dx: float, dy: float) -> Found:
        """Return the find moved by (dx, dy) pixels."""
        return replace(self, box=self.box.moved(dx, dy), shown=self.shown.moved(dx, dy))


@dataclass(slots=True)
class Trust:
    """How far one target's boxes are trusted, by their scores and by how far it can have moved."""

    box: Box  # the last trusted box, which is held while the target is lost
    doubted: int = 0  # frames in a row that were not trusted
    missed: int = 0  # frames since the target was given up; 0 while it is followed
    speed: float = math.inf  # smoothed, in sizes of its box a frame; infinite while unknown
    lookalikes: list[Box] = field(default_factory=list)  # last boxes of objects that cannot be the target
    carried: float = 0.0  # how far the camera has moved `box` since, in sizes of it

    @property
    def is_lost(self) -> bool:
        """Whether the target is searched instead of followed."""
        return self.missed > 0

    @property
    def is_sure(self) -> bool:
        """Whether the target is neither doubted nor lost."""
        return not (self.doubted or self.missed)

    def choose(self, finds: Sequence[Found], config: TrackerConfig) -> Found:
        """Return which find of a frame, at least one a searched window, is the target.

        For a sure target that is the highest weighted score. For a doubted or lost one, a find that scores as
        a target but is out of its reach is a look-alike, and is excluded from then on wherever it moves. Of
        the rest the score weighted by nearness decides; if nothing is left, the trusted box is held.
        """
        if self.is_sure:
            return max(finds, key=lambda find: find.score * find.weight)
        reach = self._reach(config)
        known = [] if math.isinf(reach) else self.lookalikes
        good = [find for find in finds if find.score >= config.found_score]
        wrong = known + [find.box for find in good if self._distance(find.box) > reach]
        mine = [find for find in good if all(find.box.iou(box) == 0 for box in wrong)]
        others = [find.box for find in good if find not in mine]
        self.lookalikes = others + [box for box in known if all(box.iou(other) == 0 for other in others)]
        if mine:
            return max(mine, key=lambda find: find.score * self._nearness(find.box, reach))
        poor = [find for find in finds if find.score < config.found_score]
        return max(poor, key=lambda find: find.score, default=Found(self.box, 0.0, self.box))

    def carry(self, shift_px: tuple[float, float], width: int, height: int) -> None:
        """Move the box and the look-alikes with the camera; a box that would leave the frame stays."""
        self.box = _inside([self.box.moved(*shift_px), self.box], width, height)[0]
        self.carried += math.hypot(*shift_px) / math.sqrt(self.box.area)
        self.lookalikes = [box.moved(*shift_px) for box in self.lookalikes]

    def judge(self, box: Box, score: float, config: TrackerConfig) -> TrackState:
        """Update the trust by the box found in a frame, and return its state.

        A doubted target is resumed only within its reach, and a lost one only at `found_score`, which is
        higher than the score to keep following: the best of many searched places is often a wrong one.
        """
        is_within = not self.doubted or self._distance(box) <= self._reach(config)
        if is_within and score >= (config.found_score if self.is_lost else config.uncertain_score):
            if self.is_sure:
                step = self._distance(box)
                self.speed = step if math.isinf(self.speed) else self.speed + _NEWEST * (step - self.speed)
            self.box, self.doubted, self.missed, self.carried, self.lookalikes = box, 0, 0, 0.0, []
            return TrackState.TRACKED
        self.doubted += 1
        if self.doubted <= config.lost_after:
            return TrackState.UNCERTAIN
        self.missed += 1
        return TrackState.LOST

    def _distance(self, box: Box) -> float:
        """Return the distance of a box from the last trusted one, in sizes of that."""
        return math.hypot(box.cx - self.box.cx, box.cy - self.box.cy) / math.sqrt(self.box.area)

    def _nearness(self, box: Box, reach: float) -> float:
        """Return 1 at the last trusted box and less farther away: a Gaussian with `reach` at 2 sigma."""
        return math.exp(-2 * (self._distance(box) / reach) ** 2)

    def _reach(self, config: TrackerConfig) -> float:
        """Return how far from the last trusted box the target can be in this frame, in sizes of it."""
        if self.missed > _PATIENCE * config.lost_after:
            return math.inf
        return _NEAR + self.speed * (self.doubted + 1) + _ASTRAY * self.carried


def places_to_look(trust: Trust, config: TrackerConfig, width: int, height: int) -> list[Box]:
    """Return the boxes around which a lost target is searched in this frame, at least one.

    First around the last trusted box, in widening rings; after `lost_after` frames, every `sweep_interval`
    frames also a part of the whole frame, of at most `sweep_windows` windows. Width and height in px.
    """
    step = _STRIDE * config.search_factor * math.sqrt(trust.box.area)
    sweep, since = divmod(trust.missed - config.lost_after, config.sweep_interval)
    if trust.missed > config.lost_after and since == 0:
        grid = _grid(trust.box, step, width, height)
        first = (sweep - 1) * config.sweep_windows % len(grid)
        return (grid + grid)[first : first + min(config.sweep_windows, len(grid))]
    ring = min((trust.missed - 1) // max(1, config.lost_after // 3), 1)
    return _inside([trust.box.moved(i * step, j * step) for i, j in _RINGS[ring]], width, height)


_RINGS: Sequence[Sequence[tuple[int, int]]] = (
    ((0, 0),),
    ((0, 0), (-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)),
)


def is_inside(box: Box, width: int, height: int) -> bool:
    """Return whether a box is centred inside the frame."""
    return 0 <= box.cx < width and 0 <= box.cy < height


def _inside(boxes: Sequence[Box], width: int, height: int) -> list[Box]:
    """Drop boxes centred outside the frame; if that is all of them, keep the first."""
    inside = [box for box in boxes if is_inside(box, width, height)]
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
