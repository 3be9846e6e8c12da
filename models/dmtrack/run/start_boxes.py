"""Sources of the first boxes: given, read from files, drawn by a person, or ground truth beside the input."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from dmtrack.boxes.starts import read_targets
from dmtrack.datasets.ground_truth import box_at, find_ground_truth
from dmtrack.datasets.sequence import Sequence as AnnotatedSequence
from dmtrack.errors import BoxError, ConfigError, listed
from dmtrack.geometry.box import Box, BoxFormat
from dmtrack.run.request import DRAWN, Drawn, TrackRequest
from dmtrack.tracking.start import Absence, Keyframe, TargetStart, free_ids, numbered, starts_and_corrections
from dmtrack.video.frame import FramePair
from dmtrack.video.pairing import PairedSource
from dmtrack.video.position import Position

_log = logging.getLogger(__name__)

MOST_DRAWN: Final = 100  # most boxes that can be drawn at once
SMALLEST_SIDE_PX: Final = 2.0  # a drag shorter than this, in frame pixels, is taken for a click
_LEAST_SHOWN: Final = 0.5  # a box with a smaller share inside the frame may be a mistake
_MOST_NAMED: Final = 5
WAYS: Final = "give --box x,y,w,h in pixels, or --box-file FILE, or a bare --box to draw it"


@dataclass(frozen=True, slots=True)
class StartBoxes:
    """The targets, in order of their ids, and where they come from."""

    targets: tuple[TargetStart, ...]
    origin: str  # in words, for people
    # Index of the run's first frame; not the requested one if a person chose another while drawing
    first_frame: int
    corrections: tuple[Keyframe, ...] = ()  # keyframes of the targets in later frames

    @property
    def keyframes(self) -> tuple[Keyframe, ...]:
        """First boxes and corrections."""
        return (*self.targets, *self.corrections)

    @property
    def last_given(self) -> int:
        """Index of the last frame with a keyframe or the end of an absence."""
        ends = ((isinstance(key, Absence) and key.until) or key.frame_index or 0 for key in self.keyframes)
        return max(ends, default=0)


@dataclass(frozen=True, slots=True)
class DrawingScene:
    """The recording as shown to a person who draws boxes."""

    first: FramePair  # the pair that is shown first
    # Opens the recording so that its first pair has the given index
    open_at: Callable[[int], PairedSource]
    lowest: int  # index of the first frame that may be chosen
    last: int | None  # index of the last one, as the container claims; None if it does not say
    ids: tuple[int, ...]  # ids of the boxes, in the order of drawing
    name: str = "recording"  # shown name

    def holds(self, frame_index: int) -> bool:
        """Return whether a frame may be chosen, by the length that the container claims."""
        return self.lowest <= frame_index and (self.last is None or frame_index <= self.last)

    def start(self, number: int, box: Box, frame_index: int) -> TargetStart:
        """Return the target for the drawn box `number`, counted from 0.

        `BoxError`: the box lies outside the frame, or is a line or a point.
        """
        box.require_inside(self.first.rgb.width, self.first.rgb.height)
        if min(box.w, box.h) < SMALLEST_SIDE_PX:
            raise BoxError(f"box {box} is too small", hint="drag from one corner to the opposite one")
        return TargetStart(box, self.ids[number], frame_index)


Draw = Callable[[DrawingScene], tuple[TargetStart, ...]]
"""Lets a person draw, and returns at least one target."""


@dataclass(frozen=True, slots=True)
class BoxSources:
    """Where the boxes of a run may come from."""

    request: TrackRequest
    sequences: Sequence[AnnotatedSequence]  # the targets of a data-set folder
    # Makes the scene to draw on, from ids and the lowest frame
    scene: Callable[[tuple[int, ...], int], DrawingScene]
    draw: Draw | None  # None: drawing is not available

    def choose(self, first: FramePair) -> StartBoxes:
        """Collect the targets and check that their boxes lie in the frame.

        Ids in files are kept. Other targets are numbered in the order boxes, files, drawn. `BoxError`: there
        is no box, one lies outside the frame, or an id comes twice; `FormatError`: a file of boxes cannot be
        read; `ConfigError`: a box is to be drawn, but drawing is not available.
        """
        request, here = self.request, first.rgb.index
        if not request.says_targets:
            found = self._ground_truth(first)
        else:
            given, corrections = starts_and_corrections(self._given(first))
            drawn = self._drawn(given, here) if DRAWN in request.boxes else ()
            begin = min((target.frame_index or 0 for target in drawn), default=here) if not given else here
            origin = self._origin(is_drawn=bool(drawn))
            found = StartBoxes((*given, *drawn), origin, begin, corrections)
        return replace(found, targets=tuple(sorted(found.targets, key=lambda target: target.target_id)))

    def _given(self, first: FramePair) -> tuple[Keyframe, ...]:
        here, size = first.rgb.index, (first.rgb.width, first.rgb.height)
        targets: list[Box | Keyframe] = []
        for box in self.request.boxes:
            if not isinstance(box, Drawn):
                targets.append(placed_target(box, self.request.box_format, size))
        file_of_id: dict[int, Path] = {}
        for path in self.request.box_files:
            for read in read_targets(Path(path), here, size, self.request.box_format):
                target = placed_target(read, BoxFormat.XYWH, size, path)
                if not isinstance(target, Box) and file_of_id.setdefault(target.target_id, path) is not path:
                    other = file_of_id[target.target_id]
                    raise BoxError(f"target id {target.target_id} is in {other} too", where=path)
                targets.append(target)
        # those of a file have a frame already, and one target may be in both
        placed = [one if isinstance(one, Box) else _from_frame(one, here) for one in targets]
        return tuple(_from_frame(target, here) for target in numbered(placed))

    def _drawn(self, given: Sequence[TargetStart], here: int) -> tuple[TargetStart, ...]:
        if self.draw is None:
            raise ConfigError("there is nobody to draw a box", hint=WAYS)
        ids = tuple(islice(free_ids({target.target_id for target in given}), MOST_DRAWN))
        return self.draw(self.scene(ids, here if given else 0))

    def _origin(self, *, is_drawn: bool) -> str:
        said = ["--box"] if any(box is not DRAWN for box in self.request.boxes) else []
        said += [str(path) for path in (*self.request.box_files, self.request.detections.file) if path]
        return ", ".join([*said, *(["drawn"] if is_drawn else [])])

    def _ground_truth(self, first: FramePair) -> StartBoxes:
        """Return the targets that have ground truth in the requested frame; `BoxError` if there are none."""
        if self.request.live_addresses is not None:
            raise BoxError("where is the target? A live stream has no ground truth", hint=WAYS)
        if not self.sequences:
            return truth_beside(Path(self.request.rgb), first)
        found = [self._first_shown(sequence, first.rgb.index) for sequence in self.sequences]
        starts = enumerate(found, start=1)
        names = ", ".join(sequence.name for sequence in self.sequences)
        return StartBoxes(
            tuple(TargetStart(box, number, index) for number, (box, index) in starts),
            f"ground truth of {names}",
            min(index for _, index in found),
        )

    def _first_shown(self, sequence: AnnotatedSequence, here: int) -> tuple[Box, int]:
        """Return a target's box and frame: `here`, or without `--start` the next one that shows it."""
        is_given = self.request.start is not None
        offset = sequence.source_start
        shown = np.flatnonzero(sequence.visible) + offset
        later = shown[shown >= (here if is_given else max(here, offset + sequence.start_frame))]
        if len(later) == 0 or (is_given and later[0] != here):
            raise BoxError(
                f"no box of {sequence.name} is known in frame {here}",
                where=self.request.rgb,
                hint=f"--start {later[0]} is the next frame with one" if len(later) else WAYS,
            )
        index = int(later[0])
        return sequence.box(index - offset), index


def _from_frame(target: Keyframe, here: int) -> Keyframe:
    return target if target.frame_index is not None else replace(target, frame_index=here)


def placed_target(
    target: Box | Keyframe, order: BoxFormat, size: tuple[int, int], where: object = None
) -> Box | Keyframe:
    """Return a person's target with its numbers read by `placed_box`.

    With a frame it comes from a file whose box is already `x, y, w, h`, and `order` does not apply.
    """
    if isinstance(target, Box):
        return placed_box(target, order, size, where)
    if isinstance(target, Absence):
        return target
    order = order if target.frame_index is None else BoxFormat.XYWH
    return replace(target, box=placed_box(target.box, order, size, where))


def placed_box(box: Box, order: BoxFormat, size: tuple[int, int], where: object = None) -> Box:
    """Return the box that four numbers mean, and warn if they look like another format.

    `size` is width and height of the frame, `where` the file they are from. `BoxError`: the box lies outside
    the frame.
    """
    meant = box.read_as(order, *size)
    hint = "" if order is BoxFormat.XYXY else _corners_hint(box, size)
    try:
        meant.require_inside(*size)
    except BoxError as error:
        raise BoxError(error.what, where=where, hint=hint or error.hint) from None
    shown = meant.share_inside(*size)
    if shown < (1 if hint else _LEAST_SHOWN):
        what = f"only {shown:.0%} of box {meant} lies in the {size[0]}x{size[1]} frame"
        _log.warning("%s", "; ".join(filter(None, (what if where is None else f"{where}: {what}", hint))))
    return meant


def _corners_hint(box: Box, size: tuple[int, int]) -> str:
    """Return a hint that the numbers may be two corners, if both lie in the frame; else an empty text."""
    if box.w <= box.x or box.h <= box.y:
        return ""
    corners = box.read_as(BoxFormat.XYXY, *size)
    whole = corners.share_inside(*size) == 1
    return f"two corners would be {corners}: --box-format xyxy" if whole else ""


def truth_beside(rgb: Path, first: FramePair) -> StartBoxes:
    """Return the targets of the ground-truth files beside a stream, in its first frame.

    `BoxError`: there is none, or no box in that frame; `FormatError`: a file cannot be read.
    """
    frame_index = first.rgb.index
    paths = find_ground_truth(rgb)
    if not paths:
        raise BoxError("where is the target? No ground truth lies beside this input", where=rgb, hint=WAYS)
    size = (first.rgb.width, first.rgb.height)
    boxes = [placed_box(box_at(path, frame_index), BoxFormat.XYWH, size, path) for path in paths]
    starts, _ = starts_and_corrections(numbered(boxes))
    placed = tuple(replace(start, frame_index=frame_index) for start in starts)
    row = f"row {frame_index + 1} of {', '.join(path.name for path in paths)}"
    return StartBoxes(placed, f"{row}, found beside the input", frame_index)


def startable(start: StartBoxes, pairs: PairedSource, end: Position | None) -> StartBoxes:
    """Drop keyframes from frame `end` on, or behind the last frame, with a warning.

    `end` is the first frame that is not tracked. `BoxError`: no target is left.
    """
    stop = pairs.rgb.end_at(end) if start.last_given > start.first_frame else None
    count, limit, hint = pairs.rgb.frames_before(start.last_given), f"--end {end}", None
    if count is not None and (stop is None or count < stop):
        stop, limit = count, f"the end of the recording, which has {count} frames"
        hint = "are the boxes those of this recording?"
    if stop is None:
        return start
    targets = tuple(target for target in start.targets if (target.frame_index or 0) < stop)
    ids = {target.target_id for target in targets}
    corrections: list[Keyframe] = []
    late: list[Keyframe] = [target for target in start.targets if target not in targets]
    for key in start.corrections:
        if key.target_id not in ids:
            continue
        if (key.frame_index or 0) >= stop:
            late.append(key)
            continue
        if isinstance(key, Absence):
            key = replace(key, until=None if (key.until or stop) >= stop else key.until)
        corrections.append(key)
    what = listed([f"target {key.target_id} in frame {key.frame_index}" for key in late], _MOST_NAMED)
    if late and not targets:
        raise BoxError(f"no target starts before {limit}: {what}", where=start.origin, hint=hint)
    if late:
        _log.warning("%s: left out what lies behind %s: %s", start.origin, limit, what)
    return replace(start, targets=targets, corrections=tuple(corrections))
