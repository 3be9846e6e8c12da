"""`Arrivals`: which objects that a detector saw are targets that enter, and which a lost target found again.

A detector says where things are in a frame, not which of them is which. What overlaps a target that is
followed is that target. What does not, and is seen in a few frames, is a lost target if it looks like one and
can have come there, else a new one. Both are keyframes: with these alone the result can be made again. No
torch here.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median_low
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.tracking.segments import MOST_SHOWN
from dmtrack.tracking.start import Absence, Keyframe, TargetStart, free_ids
from dmtrack.video.frame import FramePair

if TYPE_CHECKING:
    from dmtrack.network.inference import Array
    from dmtrack.tracking.tracker import Tracker

SEEN_IN: Final = 3  # what a detector sees in fewer frames is taken for a mistake of it
GIVEN_UP_AFTER: Final = 300
"""Frames after which a target of a detector that stays lost is said to be absent, and costs nothing more."""
_MISSED_FRAMES: Final = 3
"""An object may be missed in so many frames less one, counted in those in which the detector looked."""
_SAME_IOU: Final = 0.3
_REACH: Final = 2.0
_LINKED_IOU: Final = 0.2
"""For the same object in two frames boxes are grown so much: small ones move by more than their size."""
_ENTERING_FRAMES: Final = 30  # so long it is waited for an object at the edge of the picture to be seen whole
_EDGE_SHARE: Final = 0.15
"""An object whose edge is so near that of the picture, in its longer sides, may be cut."""
_LARGEST_CHANGE: Final = 4.0  # of the area, from where a target was lost to where it is found
_SIDES_A_FRAME: Final = 0.5  # so fast a target may move while it is lost, in its own sides
_SMALLEST_SIDE_PX: Final = 2.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Detection:
    """An object that a detector saw in a frame."""

    box: Box  # pixels of the full RGB frame
    score: float | None = None  # confidence; None where the file says none
    # What kind of thing it is, in the detector's words; None where the file says nothing
    label: str | None = None


Detections = Mapping[int, Sequence[Detection]]  # detections by the 0-based index of their RGB frame


@dataclass(slots=True)
class _Sighting:
    """One object through the frames of a file, as far as boxes tell."""

    frame: int
    box: Box
    seen: list[tuple[int, Detection]]


def lasting(detections: Detections, width: int, height: int) -> dict[int, list[Detection]]:
    """Return the detections of objects that are seen in at least `SEEN_IN` frames, most certain first.

    Boxes are cut to the frame. While an object enters the picture, and is soon seen whole, it is left out.

    Width and height are those of the frame in px.
    """
    frames = sorted(detections)
    spacing = median_low([later - one for one, later in pairwise(frames)]) if frames[1:] else 1
    going_on: list[_Sighting] = []
    found: dict[int, list[Detection]] = defaultdict(list)
    for frame in frames:
        over = [one for one in going_on if frame - one.frame > _MISSED_FRAMES * spacing]
        _keep(over, found, width, height)
        going_on = [one for one in going_on if frame - one.frame <= _MISSED_FRAMES * spacing]
        here = [replace(one, box=cut) for one in detections[frame] if (cut := _cut(one.box, width, height))]
        going_on += _continued(going_on, frame, here)
    _keep(going_on, found, width, height)
    for frame in found:
        found[frame].sort(key=lambda one: -math.inf if one.score is None else -one.score)
    return dict(found)


def _cut(box: Box, width: int, height: int) -> Box | None:
    x1, y1, x2, y2 = box.xyxy
    x1, y1, x2, y2 = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
    return Box(x1, y1, x2 - x1, y2 - y1) if min(x2 - x1, y2 - y1) >= _SMALLEST_SIDE_PX else None


def _continued(going_on: Sequence[_Sighting], frame: int, here: Sequence[Detection]) -> list[_Sighting]:
    """Give each detection to the object that it overlaps most, and return new objects of the others."""
    left = set(range(len(here)))
    overlaps = _overlaps([one.box for one in going_on], [one.box for one in here])
    taken: set[int] = set()
    for place in np.argsort(-overlaps, axis=None, kind="stable"):
        row, column = divmod(int(place), max(1, len(here)))
        if overlaps[row, column] < _LINKED_IOU:
            break
        if row not in taken and column in left:
            taken.add(row)
            left.remove(column)
            going_on[row].frame, going_on[row].box = frame, here[column].box
            going_on[row].seen.append((frame, here[column]))
    return [_Sighting(frame, here[number].box, [(frame, here[number])]) for number in sorted(left)]


def _overlaps(these: Sequence[Box], those: Sequence[Box]) -> Floats:
    """Return `(N, M)` the IoU of boxes that are grown about their centres."""
    one, other = _grown(these)[:, None], _grown(those)[None]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = sides.clip(0).prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (one, other)]
    return np.asarray(shared / (areas[0] + areas[1] - shared), np.float64)


def _grown(boxes: Sequence[Box]) -> Floats:
    corners = [Box.from_cxcywh(b.cx, b.cy, _REACH * b.w, _REACH * b.h).xyxy for b in boxes]
    return np.array(corners, np.float64).reshape(-1, 4)


def _keep(over: Sequence[_Sighting], found: dict[int, list[Detection]], width: int, height: int) -> None:
    for one in over:
        if len(one.seen) < SEEN_IN:
            continue
        whole = [frame for frame, seen in one.seen if not _touches(seen.box, width, height)]
        for frame, seen in one.seen:
            enters = any(0 < later - frame <= _ENTERING_FRAMES for later in whole)
            if not (enters and _touches(seen.box, width, height)):
                found[frame].append(seen)


def _touches(box: Box, width: int, height: int) -> bool:
    x1, y1, x2, y2 = box.xyxy
    near_px = _EDGE_SHARE * max(box.w, box.h)
    return min(x1, y1, width - x2, height - y2) < near_px


class Arrivals:
    """Starts targets and takes lost ones up again, frame by frame, as a detector says.

    `seen` is what `lasting` returns, `ids` are those of targets that are given; `on_keyframe` is called with
    all keyframes when there are more. `keyframes` are those that were settled so far, in order of time.
    """

    def __init__(
        self,
        seen: Detections,
        ids: Sequence[int] = (),
        on_keyframe: Callable[[Sequence[Keyframe]], object] = lambda _: None,
    ) -> None:
        self.keyframes: list[Keyframe] = []
        self._seen = seen
        self._ids = set(ids)
        self._own: set[int] = set()
        self._labels: dict[int, str | None] = {}
        self._shown: dict[int, list[Array]] = {}
        self._unseen: Counter[int] = Counter()
        self._held: dict[int, Box] = {}
        self._on_keyframe = on_keyframe

    def given(self, pair: FramePair, tracker: Tracker, starts: Sequence[TargetStart]) -> None:
        """Take note of targets that were given, and follow from this frame on."""
        for start in starts:
            self._shown[start.target_id] = tracker.templates(pair, [start.box])
            self._held[start.target_id] = start.box

    def take(self, pair: FramePair, tracker: Tracker, found: Sequence[TrackedBox]) -> tuple[TrackedBox, ...]:
        """Return the targets of a frame, with those that enter or are found again; `tracker` follows them."""
        before = len(self.keyframes)
        rows = {row.target_id: row for row in found}
        self._note(pair.rgb.index, tracker, rows)
        here = self._seen.get(pair.rgb.index, ())
        doubted = [row for row in rows.values() if not _is_seen(row, here)]
        for detection in here:
            followed = [row.box for row in rows.values() if row.state is not TrackState.LOST]
            if any(_is_same(detection.box, box) for box in followed):
                continue
            target_id = self._found_again(pair, tracker, detection, doubted)
            if target_id is not None:
                doubted = [row for row in doubted if row.target_id != target_id]
            row = self._begin(pair, tracker, detection, target_id)
            rows[row.target_id] = row
        if len(self.keyframes) > before:
            self._on_keyframe(self.keyframes)
        return tuple(rows[target_id] for target_id in sorted(rows))

    def _note(self, index: int, tracker: Tracker, rows: dict[int, TrackedBox]) -> None:
        """Take note of who is followed, and give up what has been lost for long."""
        for target_id, row in list(rows.items()):
            if row.state in (TrackState.INIT, TrackState.TRACKED):
                self._unseen[target_id], self._held[target_id] = 0, row.box
                continue
            self._unseen[target_id] += 1
            if target_id in self._own and self._unseen[target_id] >= GIVEN_UP_AFTER:
                tracker.drop(target_id)
                del rows[target_id], self._shown[target_id]
                self.keyframes.append(Absence(target_id, index))

    def _found_again(
        self, pair: FramePair, tracker: Tracker, detection: Detection, doubted: Sequence[TrackedBox]
    ) -> int | None:
        """Return the target that a detection shows again: of those that fit, the one most alike."""
        best, best_score = None, tracker.config.uncertain_score
        for row in doubted:
            if self._can_be(row.target_id, detection):
                box, score = tracker.look(pair, row.target_id, detection.box)
                if score >= best_score and box.iou(detection.box) >= _SAME_IOU:
                    best, best_score = row.target_id, score
        return best

    def _can_be(self, target_id: int, detection: Detection) -> bool:
        held, box = self._held[target_id], detection.box
        if self._labels.get(target_id) not in (None, detection.label):
            return False
        change = max(box.area / held.area, held.area / box.area)
        way_px = math.hypot(box.cx - held.cx, box.cy - held.cy)
        sides = 1 + _SIDES_A_FRAME * self._unseen[target_id]
        return change <= _LARGEST_CHANGE and way_px <= sides * math.sqrt(held.area)

    def _begin(
        self, pair: FramePair, tracker: Tracker, detection: Detection, target_id: int | None
    ) -> TrackedBox:
        """Follow a new target, or a lost one, from a detection on; of a lost one earlier boxes are known."""
        known: list[Array] = []
        if target_id is None:
            target_id = next(free_ids(self._ids))
            self._ids.add(target_id)
            self._own.add(target_id)
            self._labels[target_id] = detection.label
        else:
            tracker.drop(target_id)
            known = self._shown[target_id][1 - MOST_SHOWN :]
        (row,) = tracker.add(pair, [detection.box], [target_id], [known])
        self._shown[target_id] = [*known, *tracker.templates(pair, [detection.box])]
        self._unseen[target_id], self._held[target_id] = 0, detection.box
        start = TargetStart(detection.box, target_id, pair.rgb.index, back=not known)
        self.keyframes.append(start)
        return row


def _is_seen(row: TrackedBox, detections: Sequence[Detection]) -> bool:
    """Return whether a target is followed, and, where that is uncertain, a detection says so too."""
    if row.state is TrackState.UNCERTAIN:
        return any(_is_same(detection.box, row.box) for detection in detections)
    return row.state is not TrackState.LOST


def _is_same(one: Box, other: Box) -> bool:
    """Return whether two boxes of a frame are of one object: they overlap, or hold each other's centre."""
    return one.iou(other) >= _SAME_IOU or (_holds(one, other) and _holds(other, one))


def _holds(box: Box, other: Box) -> bool:
    x1, y1, x2, y2 = box.xyxy
    return x1 <= other.cx <= x2 and y1 <= other.cy <= y2
