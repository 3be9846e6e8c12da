"""`trajectory.png`: paths of targets over the last frame, coloured by time; with depth also from above."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from dmtrack.atomic import reserve, write_atomically
from dmtrack.boxes.results import PictureSize
from dmtrack.drawing.draw import (
    DARK,
    LIGHT,
    SUBPIXEL_BITS,
    Colour,
    Layout,
    LineStyle,
    Mark,
    Pen,
    Picture,
    PlateText,
    compose,
    draw_text,
    subpixel,
    target_colour,
)
from dmtrack.drawing.trail import UNSEEN
from dmtrack.output.sink import Sink
from dmtrack.tracking.result import FrameResult, TrackedBox
from dmtrack.video.frame import FramePair
from dmtrack.video.pictures.picture_file import encoded_picture

MOST_POINTS: Final = 1024  # of a path; above this every second point is dropped
TIME_COLOURS: Final[tuple[Colour, ...]] = ((86, 180, 233), (240, 228, 66), (213, 94, 0))
"""For the first frame, the middle and the last: bright on any picture, and distinct to colour-blind eyes."""
_UNSEEN_COLOUR: Final[Colour] = (170, 170, 170)
_MARGIN: Final = 0.12
_LEAST_SPAN_M: Final = 0.5
_GRID_LINES: Final = 5
_LONGEST_PX: Final = 1920  # larger frames are shrunk: a path needs no picture of ten megabytes

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Step:
    """A point of a path."""

    time_s: float
    middle: Point  # of the box, in px of the frame
    # Metres to the right of the camera and ahead of it; None if unknown
    ground_m: Point | None
    is_joined: bool  # whether the target was in sight all the way from the point before


@dataclass(slots=True)
class TargetPath:
    """The path of a target, in a bounded number of points."""

    last: TrackedBox  # the last box
    steps: list[Step] = field(default_factory=list)  # in order
    is_seen: bool = False  # whether the target was in sight in the last frame
    _every: int = 1
    _since: int = 0

    def add(self, target: TrackedBox, time_s: float) -> None:
        """Add a frame; a lost target interrupts the path."""
        was_seen, self.is_seen = self.is_seen, target.state not in UNSEEN
        if not self.is_seen:
            return
        self.last = target
        place = target.measure and target.measure.position_m
        ground_m = (place[0], place[2]) if place else None
        step = Step(time_s, (target.box.cx, target.box.cy), ground_m, was_seen)
        if self._since and was_seen:  # replace the newest point until it is far enough from the one before
            step = replace(step, is_joined=self.steps.pop().is_joined)
        self.steps.append(step)
        self._since = (self._since + 1) % self._every
        if len(self.steps) > MOST_POINTS:
            self._thin_out()

    def _thin_out(self) -> None:
        joined = [True] * len(self.steps)
        for number in range(2, len(self.steps), 2):
            joined[number] = self.steps[number - 1].is_joined
        self.steps = [
            replace(step, is_joined=step.is_joined and also)
            for step, also in zip(self.steps[::2], joined[::2], strict=True)
        ]
        self._every, self._since = 2 * self._every, 0


class TrajectorySink(Sink):
    """Draws `trajectory.png` when the run ends, however it ends, in constant memory.

    `OutputError`: the file exists, or the folder cannot be written to.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._path = reserve(path, overwrite=overwrite)
        self._first_s = 0.0
        self._last: FramePair | None = None
        self.paths: dict[int, TargetPath] = {}

    def write(self, result: FrameResult) -> None:
        """Add one frame."""
        time_s = float(result.pair.elapsed_s)
        if self._last is None:
            self._first_s = time_s
        self._last = result.pair
        for target in result.targets:
            self.paths.setdefault(target.target_id, TargetPath(target)).add(target, time_s)
        for target_id in self.paths.keys() - {target.target_id for target in result.targets}:
            self.paths[target_id].is_seen = False  # it is absent

    def close(self) -> None:
        """Draw the picture, unless the run has no frames; `OutputError` if it cannot be written."""
        last, self._last = self._last, None
        if last is not None:
            picture = draw_paths(last, list(self.paths.values()), self._first_s)
            write_atomically(self._path, encoded_picture(picture))


def draw_paths(pair: FramePair, paths: Sequence[TargetPath], first_s: float) -> Picture:
    """Return a picture, `(H, W, 3)` uint8 RGB, of paths over a frame, with a time scale below.

    If some path has positions in space, a view from above is beside it.
    """
    marks = []
    for path in paths:
        who, line = path.last.target_id, LineStyle.SOLID if path.is_seen else LineStyle.DOTTED
        marks.append(Mark(path.last.box, str(who), target_colour(who), line))
    frame_px = pair.image.shape[:2]
    is_large = max(frame_px) > _LONGEST_PX
    height_px = max(1, frame_px[0] * _LONGEST_PX // max(frame_px)) if is_large else None
    panel = compose(pair, marks, Layout.RGB, height_px=height_px)
    height, width = panel.shape[:2]
    pen = Pen.for_panel(PictureSize(width, height))
    span = _Span(first_s, max(float(pair.elapsed_s), first_s))
    x_scale, y_scale = width / pair.image.shape[1], height / pair.image.shape[0]
    for path in paths:
        points = [(step.middle[0] * x_scale, step.middle[1] * y_scale) for step in path.steps]
        _draw_path(panel, points, path.steps, span, pen)
    known = [[step for step in path.steps if step.ground_m is not None] for path in paths]
    if any(known):
        panel = np.hstack([panel, _top_view(known, [mark.colour for mark in marks], height, span, pen)])
    return np.vstack([panel, _time_scale(panel.shape[1], span, pen)])


@dataclass(frozen=True, slots=True)
class _Span:
    """The time from the first to the last frame."""

    first_s: float
    last_s: float

    def colours(self, times_s: Sequence[float]) -> list[Colour]:
        """Return the colour of each time."""
        places = np.linspace(self.first_s, self.last_s, len(TIME_COLOURS))
        channels = [np.interp(times_s, places, channel) for channel in zip(*TIME_COLOURS, strict=True)]
        return [(red, green, blue) for red, green, blue in np.rint(channels).astype(int).T.tolist()]


def _draw_path(panel: Picture, points: Sequence[Point], steps: Sequence[Step], span: _Span, pen: Pen) -> None:
    """Draw a path with its rim; a dot at its start, and thin dashes where the target was out of sight."""
    ends = list(pairwise(points))
    dark_px = pen.line_px + 2 * pen.rim_px
    for (start, end), step in zip(ends, steps[1:], strict=True):
        if step.is_joined:
            _line(panel, start, end, DARK, dark_px)
        else:
            _dashes(panel, start, end, pen)
    colours = span.colours([step.time_s for step in steps])
    for (start, end), step, colour in zip(ends, steps[1:], colours[1:], strict=True):
        if step.is_joined:
            _line(panel, start, end, colour, pen.line_px)
    for point, first in zip(points[:1], colours[:1], strict=True):
        for colour, radius_px in ((DARK, 2 * pen.line_px + pen.rim_px), (first, 2 * pen.line_px)):
            centre, radius = subpixel(point), radius_px << SUBPIXEL_BITS
            cv2.circle(panel, centre, radius, colour, cv2.FILLED, cv2.LINE_AA, SUBPIXEL_BITS)


def _dashes(panel: Picture, start: Point, end: Point, pen: Pen) -> None:
    steps = max(1, round(math.dist(start, end) / (4 * pen.line_px)))
    xs, ys = (np.linspace(one, two, steps + 1) for one, two in zip(start, end, strict=True))
    for number in range(0, steps, 2):
        one, two = (xs[number], ys[number]), (xs[number + 1], ys[number + 1])
        _line(panel, one, two, _UNSEEN_COLOUR, max(1, pen.line_px // 2))


def _line(panel: Picture, start: Point, end: Point, colour: Colour, width_px: int) -> None:
    cv2.line(panel, subpixel(start), subpixel(end), colour, width_px, cv2.LINE_AA, SUBPIXEL_BITS)


def _time_scale(width: int, span: _Span, pen: Pen) -> Picture:
    """Return a strip with the colours of time, from the first second to the last."""
    first, last = (PlateText.fitted(f"{s:.1f} s", pen, width // 3) for s in (span.first_s, span.last_s))
    strip: Picture = np.full((first.plate.height, width, 3), DARK, np.uint8)
    room = width - first.plate.width - last.plate.width
    times = np.linspace(span.first_s, span.last_s, max(1, room)).tolist()
    bar = strip[pen.pad_px : -pen.pad_px, first.plate.width : first.plate.width + len(times)]
    bar[:] = span.colours(times)
    draw_text(strip, first.line, (0, 0), pen, DARK)
    draw_text(strip, last.line, (width - last.plate.width, 0), pen, DARK)
    return strip


def _top_view(
    paths: Iterable[Sequence[Step]], colours: Sequence[Colour], side_px: int, span: _Span, pen: Pen
) -> Picture:
    """Return a square view of the paths from above, with the camera at the bottom and a grid of metres."""
    paths = list(paths)
    places = np.array([step.ground_m for path in paths for step in path])
    low, high = places.min(axis=0), places.max(axis=0)
    span_m = max(_LEAST_SPAN_M, float((high - low).max())) * (1 + 2 * _MARGIN)
    origin = (low + high - span_m) / 2  # left, and nearest

    def seen(place: Point) -> Point:
        x, z = (np.asarray(place) - origin) * (side_px / span_m)
        return float(x), side_px - float(z)

    view: Picture = np.full((side_px, side_px, 3), DARK, np.uint8)
    step_m = _round_step(span_m / _GRID_LINES)
    for axis in (0, 1):
        first = math.ceil(origin[axis] / step_m)
        for number in range(first, math.floor((origin[axis] + span_m) / step_m) + 1):
            at = [float(origin[0]), float(origin[1])]
            at[axis] = number * step_m
            x, y = (round(value) for value in seen((at[0], at[1])))
            cv2.line(view, (x, y), (x, 0) if axis == 0 else (side_px, y), (70, 70, 70), 1)
            text = PlateText.fitted(f"{number * step_m:g} m", pen, side_px)
            corner = (x, side_px - text.plate.height) if axis == 0 else (0, y - text.plate.height)
            draw_text(view, text.line, corner, pen, DARK)
    for path, colour in zip(paths, colours, strict=True):
        if path:
            points = [seen(step.ground_m) for step in path if step.ground_m is not None]
            _draw_path(view, points, path, span, pen)
            centre, radius = subpixel(points[-1]), 3 * pen.line_px << SUBPIXEL_BITS
            cv2.circle(view, centre, radius, colour, pen.line_px, cv2.LINE_AA, SUBPIXEL_BITS)
    draw_text(view, "from above", (0, 0), pen, LIGHT)
    return view


def _round_step(step: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step * (1 - 1e-9))
