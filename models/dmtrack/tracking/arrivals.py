"""`Arrivals`: start new targets, and find lost ones again, from a detector's boxes.

A detector says where objects are in a frame, not which of them is which. A detection that overlaps a followed
target is that target. Any other that lasts for a few frames is a lost target, if it looks like one and can
have got there, else a new one. Both are recorded as keyframes, from which the result can be reproduced. No
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

SEEN_IN: Final = 3  # an object detected in fewer frames is taken for a false detection
GIVEN_UP_AFTER: Final = 300
"""Frames after which a lost target that a detection started is declared absent and no longer searched."""
_MISSED_FRAMES: Final = 3
"""An object is still the same after fewer misses than this, counted in frames that the detector looked at."""
_SAME_IOU: Final = 0.3
_GROWTH: Final = 2.0
_LINKED_IOU: Final = 0.2
"""Factor by which boxes grow before frames are compared: small objects move by more than their size."""
_ENTERING_FRAMES: Final = 30  # how long an object cut by the frame's edge may take to be seen whole
_EDGE_SHARE: Final = 0.15
"""A box this near the frame's edge, as a share of its longer side, may be cut off."""
_LARGEST_CHANGE: Final = 4.0  # of the area, between where a target was lost and where it is found
_SIDES_A_FRAME: Final = 0.5  # how fast a lost target may move, in sides of its box
_SMALLEST_SIDE_PX: Final = 2.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Detection:
    """An object that a detector saw in a frame."""

    box: Box  # pixels of the full RGB frame
    score: float | None = None  # confidence; None where the file says none
    # The detector's class name; None where the file says nothing
    label: str | None = None


Detections = Mapping[int, Sequence[Detection]]  # detections by the 0-based index of their RGB frame


@dataclass(slots=True)
class _LinkedObject:
    """One object, linked through the frames by the overlap of its boxes."""

    last_frame: int
    last_box: Box
    detections: list[tuple[int, Detection]]  # with their frames


def lasting(detections: Detections, width: int, height: int) -> dict[int, list[Detection]]:
    """Return the detections of objects that are seen in at least `SEEN_IN` frames, highest score first.

    Boxes are clipped to the frame, of `width` x `height` px. An object cut by the frame's edge is left out if
    it is seen whole soon after.
    """
    frames = sorted(detections)
    spacing = median_low([later - one for one, later in pairwise(frames)]) if frames[1:] else 1
    linked: list[_LinkedObject] = []
    found: dict[int, list[Detection]] = defaultdict(list)
    for frame in frames:
        ended = [one for one in linked if frame - one.last_frame > _MISSED_FRAMES * spacing]
        _keep_lasting(ended, found, width, height)
        linked = [one for one in linked if frame - one.last_frame <= _MISSED_FRAMES * spacing]
        here = [replace(one, box=cut) for one in detections[frame] if (cut := _cut(one.box, width, height))]
        linked += _continued(linked, frame, here)
    _keep_lasting(linked, found, width, height)
    for frame in found:
        found[frame].sort(key=lambda one: -math.inf if one.score is None else -one.score)
    return dict(found)


def _cut(box: Box, width: int, height: int) -> Box | None:
    x1, y1, x2, y2 = box.xyxy
    x1, y1, x2, y2 = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
    return Box(x1, y1, x2 - x1, y2 - y1) if min(x2 - x1, y2 - y1) >= _SMALLEST_SIDE_PX else None


def _continued(linked: Sequence[_LinkedObject], frame: int, here: Sequence[Detection]) -> list[_LinkedObject]:
    """Assign each detection to the object it overlaps most; return the others as new objects."""
    left = set(range(len(here)))
    overlaps = _overlaps([one.last_box for one in linked], [one.box for one in here])
    taken: set[int] = set()
    for place in np.argsort(-overlaps, axis=None, kind="stable"):
        row, column = divmod(int(place), max(1, len(here)))
        if overlaps[row, column] < _LINKED_IOU:
            break
        if row not in taken and column in left:
            taken.add(row)
            left.remove(column)
            linked[row].last_frame, linked[row].last_box = frame, here[column].box
            linked[row].detections.append((frame, here[column]))
    return [_LinkedObject(frame, here[number].box, [(frame, here[number])]) for number in sorted(left)]


def _overlaps(these: Sequence[Box], those: Sequence[Box]) -> Floats:
    """Return `(N, M)` the IoU of boxes grown about their centres by `_GROWTH`."""
    one, other = _grown(these)[:, None], _grown(those)[None]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = sides.clip(0).prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (one, other)]
    return np.asarray(shared / (areas[0] + areas[1] - shared), np.float64)


def _grown(boxes: Sequence[Box]) -> Floats:
    corners = [Box.from_cxcywh(b.cx, b.cy, _GROWTH * b.w, _GROWTH * b.h).xyxy for b in boxes]
    return np.array(corners, np.float64).reshape(-1, 4)


def _keep_lasting(
    ended: Sequence[_LinkedObject], found: dict[int, list[Detection]], width: int, height: int
) -> None:
    for one in ended:
        if len(one.detections) < SEEN_IN:
            continue
        whole = [frame for frame, seen in one.detections if not _touches(seen.box, width, height)]
        for frame, seen in one.detections:
            enters = any(0 < later - frame <= _ENTERING_FRAMES for later in whole)
            if not (enters and _touches(seen.box, width, height)):
                found[frame].append(seen)


def _touches(box: Box, width: int, height: int) -> bool:
    x1, y1, x2, y2 = box.xyxy
    near_px = _EDGE_SHARE * max(box.w, box.h)
    return min(x1, y1, width - x2, height - y2) < near_px


class Arrivals:
    """Starts targets, and resumes lost ones, frame by frame from a detector's boxes.

    `seen` comes from `lasting`; `ids` are those of the given targets. `keyframes` are the ones made so far,
    in order of time; `on_keyframe` is called with all of them whenever there is a new one.
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
        self._started: set[int] = set()
        self._labels: dict[int, str | None] = {}
        self._templates: dict[int, list[Array]] = {}
        self._frames_untracked: Counter[int] = Counter()
        self._last_boxes: dict[int, Box] = {}
        self._on_keyframe = on_keyframe

    def given(self, pair: FramePair, tracker: Tracker, starts: Sequence[TargetStart]) -> None:
        """Record given targets, their templates and boxes, so that they can be found again."""
        for start in starts:
            self._templates[start.target_id] = tracker.templates(pair, [start.box])
            self._last_boxes[start.target_id] = start.box

    def take(self, pair: FramePair, tracker: Tracker, found: Sequence[TrackedBox]) -> tuple[TrackedBox, ...]:
        """Return the targets of a frame, with new and refound ones, which `tracker` then follows."""
        before = len(self.keyframes)
        rows = {row.target_id: row for row in found}
        self._update_followed(pair.rgb.index, tracker, rows)
        here = self._seen.get(pair.rgb.index, ())
        doubted = [row for row in rows.values() if not _is_confirmed(row, here)]
        for detection in here:
            followed = [row.box for row in rows.values() if row.state is not TrackState.LOST]
            if any(_is_same(detection.box, box) for box in followed):
                continue
            target_id = self._found_again(pair, tracker, detection, doubted)
            if target_id is not None:
                doubted = [row for row in doubted if row.target_id != target_id]
            row = self._start(pair, tracker, detection, target_id)
            rows[row.target_id] = row
        if len(self.keyframes) > before:
            self._on_keyframe(self.keyframes)
        return tuple(rows[target_id] for target_id in sorted(rows))

    def _update_followed(self, index: int, tracker: Tracker, rows: dict[int, TrackedBox]) -> None:
        """Record the boxes of followed targets; drop targets of a detection that are lost for too long."""
        for target_id, row in list(rows.items()):
            if row.state in (TrackState.INIT, TrackState.TRACKED):
                self._frames_untracked[target_id], self._last_boxes[target_id] = 0, row.box
                continue
            self._frames_untracked[target_id] += 1
            if target_id in self._started and self._frames_untracked[target_id] >= GIVEN_UP_AFTER:
                tracker.drop(target_id)
                del rows[target_id], self._templates[target_id]
                self.keyframes.append(Absence(target_id, index))

    def _found_again(
        self, pair: FramePair, tracker: Tracker, detection: Detection, doubted: Sequence[TrackedBox]
    ) -> int | None:
        """Return the doubted target that a detection shows again: the most similar of those it can be."""
        best, best_score = None, tracker.config.uncertain_score
        for row in doubted:
            if self._can_be(row.target_id, detection):
                box, score = tracker.look(pair, row.target_id, detection.box)
                if score >= best_score and box.iou(detection.box) >= _SAME_IOU:
                    best, best_score = row.target_id, score
        return best

    def _can_be(self, target_id: int, detection: Detection) -> bool:
        last_box, box = self._last_boxes[target_id], detection.box
        if self._labels.get(target_id) not in (None, detection.label):
            return False
        change = max(box.area / last_box.area, last_box.area / box.area)
        distance_px = math.hypot(box.cx - last_box.cx, box.cy - last_box.cy)
        sides = 1 + _SIDES_A_FRAME * self._frames_untracked[target_id]
        return change <= _LARGEST_CHANGE and distance_px <= sides * math.sqrt(last_box.area)

    def _start(
        self, pair: FramePair, tracker: Tracker, detection: Detection, target_id: int | None
    ) -> TrackedBox:
        """Follow a new target (`target_id` None) or a lost one, with its old templates, from a detection."""
        known: list[Array] = []
        if target_id is None:
            target_id = next(free_ids(self._ids))
            self._ids.add(target_id)
            self._started.add(target_id)
            self._labels[target_id] = detection.label
        else:
            tracker.drop(target_id)
            known = self._templates[target_id][1 - MOST_SHOWN :]
        (row,) = tracker.add(pair, [detection.box], [target_id], [known])
        self._templates[target_id] = [*known, *tracker.templates(pair, [detection.box])]
        self._frames_untracked[target_id], self._last_boxes[target_id] = 0, detection.box
        start = TargetStart(detection.box, target_id, pair.rgb.index, back=not known)
        self.keyframes.append(start)
        return row


def _is_confirmed(row: TrackedBox, detections: Sequence[Detection]) -> bool:
    """Return whether a target is followed; an uncertain one must overlap a detection too."""
    if row.state is TrackState.UNCERTAIN:
        return any(_is_same(detection.box, row.box) for detection in detections)
    return row.state is not TrackState.LOST


def _is_same(one: Box, other: Box) -> bool:
    """Return whether two boxes of a frame show one object: they overlap, or hold each other's centre."""
    return one.iou(other) >= _SAME_IOU or (_holds_centre(one, other) and _holds_centre(other, one))


def _holds_centre(box: Box, other: Box) -> bool:
    x1, y1, x2, y2 = box.xyxy
    return x1 <= other.cx <= x2 and y1 <= other.cy <= y2
