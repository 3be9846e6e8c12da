"""Lost and found: when a target is doubted, when it is given up, and where it is looked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dmtrack.config import TrackerConfig
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackState

#: Distance of neighbouring windows, as a share of their side: the target is whole in at least one.
_STRIDE = 0.5
#: How far from its last trusted place a target may be at once, in sizes of its box; its speed adds to that.
_NEAR = 1.0
#: Of how far the camera's motion moved it: how wrong that may be.
_ASTRAY = 0.4
#: Share of the newest step in a target's speed.
_NEWEST = 0.1
_PATIENCE = 6  # after so many times `lost_after` frames a lost target may be anywhere


@dataclass(frozen=True, slots=True)
class Found:
    """Where a target is thought to be, not yet clipped to the frame."""

    box: Box
    score: float
    shown: Box  # the same, as it is reported
    weight: float = 1.0  # of its score beside others' of a sure target: how likely its place was beforehand

    def moved(self, dx: float, dy: float) -> Found:
        """Return the same so many pixels away."""
        return replace(self, box=self.box.moved(dx, dy), shown=self.shown.moved(dx, dy))


@dataclass(slots=True)
class Trust:
    """How much one target's boxes are trusted, by their scores and by where it can have got to."""

    box: Box  # the last box that was trusted: what is held while the target is lost
    doubted: int = 0  # frames in a row that were not trusted
    missed: int = 0  # frames since the target was given up; 0 while it is followed
    speed: float = math.inf  # sizes of its box a frame, smoothed; at first nothing is known of it
    lookalikes: list[Box] = field(default_factory=list)  # where what cannot be the target was seen last
    carried: float = 0.0  # how far the camera has moved `box` since, in sizes of it

    @property
    def is_lost(self) -> bool:
        """Whether the target is looked for instead of followed."""
        return self.missed > 0

    @property
    def is_sure(self) -> bool:
        """Whether the target is neither doubted nor lost."""
        return not (self.doubted or self.missed)

    def choose(self, finds: Sequence[Found], config: TrackerConfig) -> Found:
        """Return which find of a frame is the target, the likeliest of a doubted or lost one.

        What scores as a target where that one cannot have got to is a look-alike, and stays one wherever it
        is seen to go. Of what is left a near one is preferred; where nothing is, the trusted box is held.

        There is one find a window that was searched, at least one.
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
        """Take note that the camera's motion moved all that stands still; a place outside is not held."""
        self.box = _inside([self.box.moved(*shift_px), self.box], width, height)[0]
        self.carried += math.hypot(*shift_px) / math.sqrt(self.box.area)
        self.lookalikes = [box.moved(*shift_px) for box in self.lookalikes]

    def judge(self, box: Box, score: float, config: TrackerConfig) -> TrackState:
        """Take note of where the target is thought to be, and say what that is worth.

        A doubted target is taken up again only where it can have got to, and a lost one only at
        `found_score`, which is higher than what it takes to be followed: a search over many places finds the
        best of many wrong ones.
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
        """Return how far a box is from the last trusted one, in sizes of that."""
        return math.hypot(box.cx - self.box.cx, box.cy - self.box.cy) / math.sqrt(self.box.area)

    def _nearness(self, box: Box, reach: float) -> float:
        """Return 1 at the last trusted place, and less farther away: a Gaussian that ends at 2 sigma."""
        return math.exp(-2 * (self._distance(box) / reach) ** 2)

    def _reach(self, config: TrackerConfig) -> float:
        """Return how far the target can be from there in this frame."""
        if self.missed > _PATIENCE * config.lost_after:
            return math.inf
        return _NEAR + self.speed * (self.doubted + 1) + _ASTRAY * self.carried


def places_to_look(trust: Trust, config: TrackerConfig, width: int, height: int) -> list[Box]:
    """Return the boxes around which a lost target is searched in this frame, at least one.

    First around the place where it was last trusted, wider step by step; after `lost_after` frames,
    every `sweep_interval` frames, a share of the whole frame, so that the cost of a frame has a bound.

    Width and height are those of the frame in px.
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
    """Leave out what is centred outside the frame, unless that is everything."""
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
