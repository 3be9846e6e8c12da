"""Tracking from keyframe to keyframe: segments are followed forward and backward, and the ways joined.

A recording with corrections is read twice: first every segment that needs it is tracked, then all results are
written. The rows of a segment depend on the recording, the keyframes and the tracker alone, so step-by-step
corrections give the same result as all keyframes at once.
"""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from dmtrack.boxes.results import FrameBoxes, RecordingResults
from dmtrack.errors import BoxError, ConfigError, DmtrackError, InputError
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState
from dmtrack.tracking.segments import Segment
from dmtrack.tracking.start import TargetStart
from dmtrack.video.frame import FramePair
from dmtrack.video.pairing import PairedSource

if TYPE_CHECKING:
    from dmtrack.network.inference import Array
    from dmtrack.tracking.tracker import Tracker

_log = logging.getLogger(__name__)

OpenAt = Callable[[int, int | None], PairedSource]
"""Opens a recording from a frame on, up to another one (not included) or to its end."""
OnTracked = Callable[[FrameResult], object]
Way = dict[int, tuple[TrackedBox, float]]
"""A target's box and the milliseconds spent on it, by frame, in one direction of time."""

_HELD_BYTES: Final = 256 * 2**20  # memory for pairs that are read ahead while a target is followed backward
_MOST_HELD: Final = 64
_ARRIVES_IOU: Final = 0.3
SAME_PLACE_IOU: Final = 0.5  # from this IoU on the two directions agree


@dataclass(slots=True)
class Rows:
    """Boxes of a recording by frame and target, and the tracker's milliseconds for each frame."""

    boxes: dict[int, dict[int, TrackedBox]] = field(default_factory=lambda: defaultdict(dict))
    infer_ms: dict[int, float] = field(default_factory=lambda: defaultdict(float))

    @classmethod
    def of(cls, results: RecordingResults) -> Rows:
        """Return the rows of a file."""
        rows = cls()
        for frame in results.frames:
            rows.infer_ms[frame.frame_index] = frame.infer_ms or 0.0
            for target in frame.targets:
                rows.boxes[frame.frame_index][target.target_id] = target
        return rows

    def results(self, name: str) -> RecordingResults:
        """Return the rows as results of a recording."""
        return RecordingResults(
            name, tuple(FrameBoxes(index, self.at(index)) for index in sorted(self.boxes))
        )

    def at(self, index: int) -> tuple[TrackedBox, ...]:
        """Return the boxes of a frame, by id."""
        return tuple(row for _, row in sorted(self.boxes.get(index, {}).items()))

    def kept(self, segments: Iterable[Segment]) -> Rows:
        """Return the rows that lie in some segments."""
        kept, stretches = Rows(), defaultdict(list)
        for segment in segments:
            stretches[segment.target_id].append(segment)
        for index, targets in self.boxes.items():
            for target_id, row in targets.items():
                if any(segment.holds(index) for segment in stretches[target_id]):
                    kept.boxes[index][target_id] = row
                    kept.infer_ms[index] = self.infer_ms[index]
        return kept

    def replayed(self, pairs: Iterable[FramePair]) -> Iterator[FrameResult]:
        """Yield the stored boxes of each pair as results, with times and measures of the pair."""
        for pair in pairs:
            index = pair.rgb.index
            here = tuple(row.measured(pair) for row in self.at(index))
            yield FrameResult(pair, here, self.infer_ms.get(index, 0.0))


class Retracker:
    """Follows targets through segments.

    With `two_way` each segment is also followed backward from its closing keyframe. `on_tracked` is called
    after each frame, and may raise `KeyboardInterrupt`.
    """

    def __init__(
        self,
        open_at: OpenAt,
        tracker: Tracker,
        *,
        two_way: bool = True,
        on_tracked: OnTracked = lambda _: None,
    ) -> None:
        self._open_at = open_at
        self._tracker = tracker
        self._two_way = two_way
        self._on_tracked = on_tracked
        self._templates: dict[TargetStart, Array] = {}

    def track(self, segments: Sequence[Segment], rows: Rows) -> None:
        """Track segments and add their boxes to `rows`.

        `BoxError`: a keyframe lies outside the frame or behind the end of the recording; `InputError`: the
        recording cannot be read.
        """
        together: dict[tuple[int, int | None], list[Segment]] = defaultdict(list)
        for segment in segments:
            together[segment.first, segment.end].append(segment)
        opened = [one.first for one in segments] + [key.frame_index or 0 for s in segments for key in s.known]
        if opened:  # so that a keyframe behind the end is an error before anything is tracked
            self._pair_at(max(opened))
        for (first, end), group in together.items():
            forward = self._forward(first, end, group)
            for segment in group:
                found = forward[segment.target_id]
                if self._two_way and segment.closing is not None:
                    lowest = segment.first + segment.opens_with_box
                    found = joined(segment, found, self._backward(segment, lowest))
                for index, (row, infer_ms) in found.items():
                    rows.boxes[index][segment.target_id] = row
                    rows.infer_ms[index] += infer_ms / len(group)

    def _forward(self, first: int, end: int | None, group: Sequence[Segment]) -> dict[int, Way]:
        known = [[self._template(key) for key in s.known if key.frame_index != s.first] for s in group]
        tracker, found = self._tracker, {segment.target_id: Way() for segment in group}
        with self._opened(first, end) as pairs:
            for number, pair in enumerate(pairs):
                rows: tuple[TrackedBox, ...] = ()
                if number == 0:
                    if pair.rgb.index != first:
                        ids = ", ".join(str(segment.target_id) for segment in group)
                        said = "frame %d is missing: target %s goes on from frame %d"
                        _log.warning(said, first, ids, pair.rgb.index)
                    tracker.initialize(pair, [])
                    given = [(s, k) for s, k in zip(group, known, strict=True) if s.opens_with_box]
                    for segment, templates in zip(group, known, strict=True):
                        if not segment.opens_with_box:
                            tracker.seek(segment.last_seen.box, segment.target_id, templates)
                    rows = tracker.update(pair) if tracker.targets else ()
                    infer_ms = tracker.infer_ms if rows else 0.0
                    if given:
                        rows += tracker.add(
                            pair,
                            [segment.last_seen.box for segment, _ in given],
                            [segment.target_id for segment, _ in given],
                            [templates for _, templates in given],
                        )
                else:
                    rows, infer_ms = tracker.update(pair), tracker.infer_ms
                for row in rows:
                    found[row.target_id][pair.rgb.index] = (row, infer_ms)
                self._on_tracked(FrameResult(pair, rows, infer_ms))
        return found

    def _backward(self, segment: Segment, lowest: int) -> Way:
        """Follow a target from the closing keyframe of a segment down to the frame `lowest`."""
        closing, tracker, found = segment.closing, self._tracker, Way()
        if closing is None or segment.end is None:
            raise ValueError("a segment that no keyframe closes has no way back")
        known = [self._template(key) for key in segment.known if key is not closing]
        start = self._pair_at(segment.end)
        tracker.initialize(start, [])
        tracker.add(start, [closing.box], [segment.target_id], [known])
        for pair in self._reversed(lowest, segment.end, start):
            (row,) = tracker.update(pair)
            found[pair.rgb.index] = (row, tracker.infer_ms)
            self._on_tracked(FrameResult(pair, (row,), tracker.infer_ms))
        return found

    def _reversed(self, first: int, end: int, alike: FramePair) -> Iterator[FramePair]:
        """Yield the pairs before `end` down to `first`, reading a few at a time; `alike` tells their size."""
        held = max(8, min(_MOST_HELD, _HELD_BYTES // alike.image.nbytes))
        for stop in range(end, first, -held):
            with self._open_at(max(first, stop - held), stop) as pairs:
                yield from reversed(list(pairs))

    def _template(self, key: TargetStart) -> Array:
        if key not in self._templates:
            pair = self._pair_at(key.frame_index or 0)
            key.box.require_inside(pair.rgb.width, pair.rgb.height)
            (self._templates[key],) = self._tracker.templates(pair, [key.box])
        return self._templates[key]

    def _pair_at(self, index: int) -> FramePair:
        with self._opened(index, None) as pairs:
            return next(pairs)

    @contextlib.contextmanager
    def _opened(self, first: int, end: int | None) -> Iterator[Iterator[FramePair]]:
        """Open the recording at a keyframe and yield its pairs, at least one; `BoxError` if there is none."""
        with contextlib.ExitStack() as stack:
            try:
                pairs = iter(stack.enter_context(self._open_at(first, end)))
                opening = next(pairs)
            except (InputError, ConfigError, StopIteration) as error:
                what = f"frame {first} of a keyframe cannot be read"
                what += f" ({error.what})" if isinstance(error, DmtrackError) else ""
                raise BoxError(what, hint="is it a frame of this recording?") from None
            yield chain([opening], pairs)


def joined(segment: Segment, forward: Way, backward: Way) -> Way:
    """Join the two directions of a segment.

    Where they agree, the box is their mean, weighted by score and nearness to the keyframe, with the higher
    score. Where they do not, the direction that arrives at the other keyframe wins, if only one does; else
    the one with the higher weight, as uncertain and with its score lowered.
    """
    made, length = Way(), (segment.end or 0) - segment.first
    arrives = _arrives(forward, segment.closing)
    leading = None
    if segment.opens_with_box and arrives != _arrives(backward, segment.last_seen):
        leading = arrives
    for index, (row, infer_ms) in forward.items():
        other = backward.get(index)
        if other is None:
            made[index] = (row, infer_ms)
            continue
        nearness = ((segment.end or 0) - index) / length
        made[index] = (_join(row, other[0], nearness, leading), infer_ms + other[1])
    return made


def _arrives(found: Way, keyframe: TargetStart | None) -> bool:
    """Return whether a way ends at a keyframe: its box in the nearest frame overlaps the keyframe's."""
    if keyframe is None or not found:
        return False
    beside = min(found, key=lambda index: abs(index - (keyframe.frame_index or 0)))
    return found[beside][0].box.iou(keyframe.box) >= _ARRIVES_IOU


def _join(forward: TrackedBox, backward: TrackedBox, nearness: float, is_forward: bool | None) -> TrackedBox:
    """Join two boxes of a frame.

    `nearness` is 1 at the keyframe of the forward way, 0 at that of the backward way; `is_forward` says which
    way wins where they disagree, None: the one with the higher weight.
    """
    weight = nearness * (forward.score or 0.0)
    other = (1 - nearness) * (backward.score or 0.0)
    leading = forward if weight >= other else backward
    overlap = forward.box.iou(backward.box)
    if overlap < SAME_PLACE_IOU or weight + other == 0:
        if is_forward is not None:
            return forward if is_forward else backward
        return replace(leading, score=(leading.score or 0.0) * overlap, state=TrackState.UNCERTAIN)
    share = weight / (weight + other)
    numbers = zip(forward.box.xywh, backward.box.xywh, strict=True)
    box = Box(*(share * one + (1 - share) * two for one, two in numbers))
    return replace(leading, box=box, score=max(forward.score or 0.0, backward.score or 0.0))
