"""Tracks as annotation tools keep them: boxes in some frames, linear interpolation between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Annotated, Final

import numpy as np

from dmtrack.boxes.results import ResultsGatherer
from dmtrack.errors import FormatError
from dmtrack.geometry.box import Box
from dmtrack.options import Option
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.video.second.gauge import AuxMeasure

MOST_FILLED: Final = 300_000
"""Most boxes that are interpolated for one file: few bytes can stand for a thousand targets."""


@dataclass(frozen=True, slots=True)
class AnnotatorOptions:
    """How tracks are written for annotation tools."""

    keyframe_px: Annotated[
        float,
        Option(
            "--keyframe-px",
            "cvat-video, label-studio: largest distance of a box from the line between two keyframes; 0 "
            "makes every frame a keyframe.",
            metavar="PX",
            most=1000,
        ),
    ] = 0.0


EVERY_FRAME: Final = AnnotatorOptions()


@dataclass(frozen=True, slots=True)
class Waypoint:
    """The box of a target in one frame of an annotation file."""

    frame_index: int  # 0-based
    box: Box
    is_shown: bool = True  # whether the target is present in this frame
    goes_on: bool = True  # whether it is present in the frames up to the next waypoint
    score: float | None = None  # confidence
    state: TrackState | None = None  # the tracker's trust in the box
    measure: AuxMeasure | None = None  # what the second stream measures of it


def add_tracks(
    gatherer: ResultsGatherer, tracks: Mapping[int, Sequence[Waypoint]], end: int | None = None
) -> None:
    """Add the boxes of all targets, interpolated between waypoints.

    Waypoints may be in any order, one per frame; the last box is kept up to `end`, where the recording ends.
    `FormatError`: two are for one frame, or more than `MOST_FILLED` boxes lie between them.
    """
    room = MOST_FILLED
    for target_id, waypoints in tracks.items():
        ordered = sorted(waypoints, key=lambda point: point.frame_index)
        for one, other in zip_longest(ordered, ordered[1:]):
            if one.is_shown:
                gatherer.add(one.frame_index, target_id, one.box, one.score, one.state, one.measure)
            if not one.goes_on:
                continue
            stop = (end or 0) if other is None else other.frame_index
            room -= max(0, stop - one.frame_index - 1)
            if room < 0:
                raise FormatError(f"more than {MOST_FILLED} boxes would lie between keyframes")
            for index, box in _between(one, other, stop):
                gatherer.add(index, target_id, box)


def _between(one: Waypoint, other: Waypoint | None, stop: int) -> Iterator[tuple[int, Box]]:
    start, to = one.box.xywh, (other or one).box.xywh
    for index in range(one.frame_index + 1, stop):
        share = (index - one.frame_index) / (stop - one.frame_index)
        x, y, w, h = (a + share * (b - a) for a, b in zip(start, to, strict=True))
        yield index, Box(x, y, w, h)


def keyframes_among(rows: Sequence[TrackedBox], keyframe_px: float) -> set[int]:
    """Return the frames of a target that must be keyframes.

    Rows are in order of frames. A new line begins after a missing frame, at a given box, and where the target
    is lost or found again. Each number of a box may be `keyframe_px` off its line; 0 keeps all frames.
    """
    frames = np.array([row.frame_index for row in rows])
    if keyframe_px <= 0:
        return set(frames.tolist())
    values = np.array([row.box.xywh for row in rows])
    begins = [
        place
        for place, (before, row) in enumerate(pairwise(rows), start=1)
        if row.frame_index > before.frame_index + 1
        or row.state is TrackState.INIT
        or (row.state is TrackState.LOST) != (before.state is TrackState.LOST)
    ]
    spans = [(first, stop - 1) for first, stop in pairwise([0, *begins, len(rows)])]
    kept: set[int] = {place for span in spans for place in span}
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        shares = np.linspace(0, 1, last - first + 1)[1:-1, None]
        lines = values[first] + shares * (values[last] - values[first])
        distances = np.abs(values[first + 1 : last] - lines).max(axis=1)
        if distances.max() > keyframe_px:
            middle = first + 1 + int(distances.argmax())
            kept.add(middle)
            spans += [(first, middle), (middle, last)]
    return {int(frames[place]) for place in kept}


def upright(box: Box, rotation_deg: float, about: tuple[float, float]) -> Box:
    """Return the upright box around one that is rotated clockwise about a point."""
    if not rotation_deg % 360:
        return box
    turn = math.radians(rotation_deg)
    x1, y1, x2, y2 = box.xyxy
    corners = [(x - about[0], y - about[1]) for x in (x1, x2) for y in (y1, y2)]
    xs = [about[0] + x * math.cos(turn) - y * math.sin(turn) for x, y in corners]
    ys = [about[1] + x * math.sin(turn) + y * math.cos(turn) for x, y in corners]
    return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def ids_from_one(ids: Iterable[int]) -> int:
    """Return what to add to the ids of a file so that they count from 1: 1 if one of them is 0, else 0."""
    return int(0 in set(ids))
