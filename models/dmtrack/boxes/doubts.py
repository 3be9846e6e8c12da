"""Places to look at first: where a correction is worth most, judged from the results alone.

A target is right where a person gave its box, and may go wrong in every later frame. How easily is the hazard
of a frame: small everywhere, higher where the score is low, the box jumps or changes its size, the target is
lost, or two targets are on one object. The chance that a box is wrong follows from the hazards summed since
the last keyframe; if a later keyframe ends the stretch, tracking also runs backwards from it, and the lower
of both chances counts. The worth of a correction is the number of wrong boxes that it is expected to mend:
those after it and, by backward tracking, those before it. If no hazard stands out, the middle of the stretch
is taken: the sum alone would say two thirds, where a correction mended less on eleven of fourteen targets
(`benchmarks/corrections.py`), since backward tracking mends less than forward.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.boxes.results import RecordingResults
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.tracking.segments import Segment, segments_of
from dmtrack.tracking.start import Keyframe, TargetStart

Floats = npt.NDArray[np.float64]

_BASE: Final = 0.002
_SURE_SCORE_SHARE: Final = 0.8  # scores below this share of the target's usual score are low
_WEIGHTS: Final = {"low score": 0.15, "jump": 0.25, "change of size": 0.2, "lost": 0.5, "two targets": 0.3}
_AFTER_CORRECTION: Final = 0.03
"""Share of the hazards that remains after a correction before them: most follow from an earlier error."""
_LEAST_REASON: Final = 0.1  # least sum of a hazard that is given as the reason
_NO_REASON: Final = "long without a look"
_MOST_PLACES: Final = 256  # frames of a stretch that are compared; longer ones are thinned
_SAME_OBJECT_IOU: Final = 0.7


@dataclass(frozen=True, slots=True)
class Doubt:
    """A place worth looking at."""

    target_id: int
    frame_index: int  # 0-based index of the RGB frame
    worth: float  # number of wrong boxes that a correction here is expected to mend
    reason: str  # in words

    def __str__(self) -> str:
        """Return `frame 90, target 1: low score`."""
        return f"frame {self.frame_index}, target {self.target_id}: {self.reason}"


def doubtful_places(results: RecordingResults, keyframes: Collection[Keyframe] = ()) -> list[Doubt]:
    """Return the best place in every stretch between two keyframes, the one of most worth first.

    `keyframes` are the given ones; if empty, boxes in state `init` are taken. A target that is now absent, or
    no longer exists, gives no place, even if the results still have boxes of it there.
    """
    stretches: dict[int, list[Segment]] = defaultdict(list)
    for segment in segments_of(keyframes):
        stretches[segment.target_id].append(segment)
    rows: dict[int, list[TrackedBox]] = defaultdict(list)
    for row in results.rows:
        if not keyframes or any(one.holds(row.frame_index) for one in stretches[row.target_id]):
            rows[row.target_id].append(row)
    given: dict[int, set[int]] = defaultdict(set)
    for key in keyframes:
        if isinstance(key, TargetStart):
            given[key.target_id].add(key.frame_index or 0)
    at: dict[int, list[TrackedBox]] = defaultdict(list)
    for row in results.rows:
        at[row.frame_index].append(row)
    doubts = []
    for target_id, own in rows.items():
        frames = np.array([row.frame_index for row in own])
        known = given[target_id] or {row.frame_index for row in own if row.state is TrackState.INIT}
        edges = sorted({0, *np.searchsorted(frames, sorted(known)).tolist(), len(own)} - {len(own)})
        hazards = _hazards(own, at)
        for first, end in zip(edges, [*edges[1:], len(own)], strict=True):
            stretch = {name: one[first:end] for name, one in hazards.items()}
            place = _best_place(own[first:end], stretch, is_closed=end < len(own))
            if place is not None:
                doubts.append(place)
    return sorted(doubts, key=lambda doubt: (-doubt.worth, doubt.frame_index, doubt.target_id))


def _hazards(rows: list[TrackedBox], at: Mapping[int, list[TrackedBox]]) -> dict[str, Floats]:
    """Return for each reason the hazard of every frame, `(N,)`; 0 where the box was given."""
    boxes = np.array([row.box.xywh for row in rows], np.float64)
    centres, sizes = boxes[:, :2] + boxes[:, 2:] / 2, np.sqrt(boxes[:, 2] * boxes[:, 3])
    steps = np.diff(np.array([row.frame_index for row in rows]), prepend=rows[0].frame_index - 1).clip(1)
    moved = np.linalg.norm(np.diff(centres, axis=0, prepend=centres[:1]), axis=1) / sizes / steps
    grown = np.abs(np.diff(np.log(sizes), prepend=np.log(sizes[0]))) / steps
    scores = np.array([1.0 if row.score is None else row.score for row in rows])
    found = np.array([row.state is not TrackState.INIT for row in rows])
    usual = float(np.quantile(scores[found], 0.8)) if found.any() else 1.0
    low = (1 - scores / max(usual, 1e-6) - (1 - _SURE_SCORE_SHARE)).clip(0) / _SURE_SCORE_SHARE
    measured = {
        "low score": low,
        "jump": (moved - 3 * np.median(moved) - 0.15).clip(0, 1),
        "change of size": (grown - 3 * np.median(grown) - 0.05).clip(0, 0.5) * 2,
        "lost": np.array([float(row.state is TrackState.LOST) for row in rows]),
        "two targets": _shared(rows, at),
    }
    return {name: _WEIGHTS[name] * values * found for name, values in measured.items()}


def _shared(rows: list[TrackedBox], at: Mapping[int, list[TrackedBox]]) -> Floats:
    """Return `(N,)` 1 where the box of another target is in the same place."""

    def is_shared(row: TrackedBox) -> bool:
        others = (other for other in at[row.frame_index] if other.target_id != row.target_id)
        return any(row.box.iou(other.box) >= _SAME_OBJECT_IOU for other in others)

    return np.array([float(is_shared(row)) for row in rows])


def _best_place(rows: list[TrackedBox], hazards: dict[str, Floats], *, is_closed: bool) -> Doubt | None:
    """Return where in a stretch a correction is worth most; None if it has a single box."""
    length = len(rows)
    if length < 2:
        return None
    odd = np.stack(list(hazards.values())).sum(axis=0)
    since = _summed(odd)
    wrong = 1 - np.exp(-since)
    if is_closed:
        wrong = np.minimum(wrong, 1 - np.exp(since - since[-1]))
    places = np.unique(np.linspace(1, length - 1, min(length - 1, _MOST_PLACES)).astype(int))
    corrected = _summed(_AFTER_CORRECTION * odd)
    left = np.minimum(1 - np.exp(-np.abs(corrected[None, :] - corrected[places, None])), wrong[None, :])
    worth = wrong.sum() - left.sum(axis=1)
    reason = max(hazards, key=lambda name: float(hazards[name].sum()))
    is_odd = hazards[reason].sum() >= _LEAST_REASON
    best = int(worth.argmax()) if is_odd else len(places) // 2
    row = rows[int(places[best])]
    said = reason if is_odd else _NO_REASON
    return Doubt(row.target_id, row.frame_index, float(worth[best]), said)


def _summed(odd: Floats) -> Floats:
    """Return `(N,)` the hazards summed up to each frame: `1 - exp(-sum)` is the chance of being wrong."""
    steps = -np.log1p(-(odd + _BASE).clip(0, 0.95))
    steps[0] = 0.0
    return np.asarray(np.cumsum(steps), np.float64)
