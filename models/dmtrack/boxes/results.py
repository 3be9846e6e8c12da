"""`RecordingResults`: the boxes of one recording, frames by targets, from a file of any format.

Everything but the boxes may be unknown: a ground-truth file has no scores, a MOT file no times. Unknown
values are None, never made up.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dmtrack.errors import FormatError, library_needed
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState
from dmtrack.video.second.gauge import MEASURE_COLUMNS, AuxMeasure, measure_cells

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_LABEL: Final = "target"
"""The label written for a target without one, in formats that require one."""

_MOST_ROWS: Final = 10_000_000
_FEWEST_STEPS: Final = 3


class PictureSize(NamedTuple):
    """Width and height of a picture in px."""

    width: int
    height: int


def of_another_size(own: tuple[int, int] | None, size: tuple[int, int] | None) -> str:
    """Return a note if boxes are of pictures of another size; empty if the sizes agree or one is unknown."""
    if own is None or size is None or tuple(own) == tuple(size):
        return ""
    return "its boxes are of pictures of {}x{}, not {}x{}".format(*own, *size)


def are_shares(boxes: Sequence[Box]) -> bool:
    """Return whether there are boxes, and all lie within the first pixel, as fractions of the picture do."""
    return bool(boxes) and all(max(box.xywh) <= 1 > box.area for box in boxes)


@dataclass(frozen=True, slots=True)
class AbsentTarget:
    """A target that has no box in a frame, according to a file."""

    target_id: int  # from 1
    score: float | None = None  # confidence, usually in [0, 1]
    # `init` if the tracker was given the box, and the file does not repeat it
    state: TrackState | None = None
    box: None = field(default=None, init=False)  # always None, so that it reads like a `TrackedBox`


@dataclass(frozen=True, slots=True)
class FrameBoxes:
    """All boxes of one frame, if any."""

    frame_index: int  # 0-based index of the RGB frame
    targets: tuple[TrackedBox, ...] = ()  # the boxes, in order of their target ids
    # Targets said to have no box here; nothing is known of targets not mentioned
    absent: tuple[AbsentTarget, ...] = ()
    time_s: float | None = None  # time of the RGB frame in seconds, as in the file
    aux_present: bool | None = None  # whether the frame has a partner in the second stream
    aux_time_s: float | None = None  # the partner's time in seconds
    skew_ms: float | None = None  # the partner's time minus that of the RGB frame
    infer_ms: float | None = None  # milliseconds spent in the tracker, all targets together

    @classmethod
    def of(cls, result: FrameResult) -> FrameBoxes:
        """Return the boxes of a tracked frame, with its times."""
        pair = result.pair
        return cls(
            pair.rgb.index,
            result.targets,
            time_s=float(pair.rgb.time_s),
            aux_present=pair.aux is not None,
            aux_time_s=None if pair.aux is None else float(pair.aux.time_s),
            skew_ms=None if pair.skew_s is None else float(pair.skew_s * 1000),
            infer_ms=result.infer_ms,
        )

    @property
    def entries(self) -> list[TrackedBox | AbsentTarget]:
        """The boxes and the targets without one, in order of their ids."""
        return sorted((*self.targets, *self.absent), key=lambda entry: entry.target_id)

    def target(self, target_id: int) -> TrackedBox | AbsentTarget | None:
        """Return the entry of a target, if there is one."""
        return next((entry for entry in self.entries if entry.target_id == target_id), None)


@dataclass(frozen=True, slots=True)
class RecordingResults:
    """The results of one recording."""

    name: str  # of the recording; any text
    frames: tuple[FrameBoxes, ...]  # in order; frames that were not looked at are missing
    size: PictureSize | None = None  # of the RGB frames
    # The class of a target in the annotator's words, by target id
    labels: Mapping[int, str] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[TrackedBox, ...]:
        """The boxes of all frames, in order of frames and, in each, of target ids."""
        return tuple(target for frame in self.frames for target in frame.targets)

    @property
    def target_ids(self) -> tuple[int, ...]:
        """The ids of all targets, in order."""
        return tuple(sorted({entry.target_id for frame in self.frames for entry in frame.entries}))

    @property
    def boxed_ids(self) -> tuple[int, ...]:
        """The ids of the targets that have a box anywhere, in order."""
        return tuple(sorted({row.target_id for row in self.rows}))

    @property
    def usual_step(self) -> int:
        """The usual step between frames that were looked at: more than 1 in sparse ground truth.

        1 unless more than half of the steps are equal: else a target may be absent in the missing frames.
        """
        steps = Counter(later.frame_index - one.frame_index for one, later in pairwise(self.frames))
        step, often = max(steps.items(), key=itemgetter(1), default=(1, 0))
        return step if often >= _FEWEST_STEPS and 2 * often > steps.total() else 1

    def counted_from(self, first: int) -> RecordingResults:
        """Return the results with the frame `first` as frame 0; none may lie before it."""
        frames = tuple(
            replace(
                frame,
                frame_index=frame.frame_index - first,
                targets=tuple(replace(row, frame_index=row.frame_index - first) for row in frame.targets),
            )
            for frame in self.frames
        )
        return replace(self, frames=frames)

    def without_lost(self) -> RecordingResults:
        """Return the results without the boxes of lost targets."""
        frames = tuple(
            replace(frame, targets=tuple(row for row in frame.targets if row.state is not TrackState.LOST))
            for frame in self.frames
        )
        return replace(self, frames=frames)

    def every_frame(self) -> Iterator[FrameBoxes]:
        """Yield a frame for every index from 0 to the last; those that were not looked at are empty.

        `FormatError`: the last index is implausibly large.
        """
        if self.frames and self.frames[-1].frame_index >= _MOST_ROWS:
            what = f"frame {self.frames[-1].frame_index} is too far for one row a frame"
            raise FormatError(what, where=self.name)
        expected = 0
        for frame in self.frames:
            for index in range(expected, frame.frame_index):
                yield FrameBoxes(index)
            yield frame
            expected = frame.frame_index + 1


@dataclass(slots=True)
class ResultsGatherer:
    """Builds `RecordingResults` from the values of a file, added in any order."""

    size: PictureSize | None = None  # of the RGB frames, if the file has it
    labels: dict[int, str] = field(default_factory=dict)  # by target id
    _frames: dict[int, dict[str, Any]] = field(default_factory=dict)
    _entries: dict[int, dict[int, TrackedBox | AbsentTarget]] = field(default_factory=dict)

    @property
    def target_ids(self) -> set[int]:
        """The ids of all targets so far."""
        return {target_id for entries in self._entries.values() for target_id in entries}

    def add_size(self, size: PictureSize | None) -> None:
        """Note the size of a picture, if known; `FormatError` if an earlier one differs."""
        if said := of_another_size(size, self.size):
            raise FormatError(said, hint="a recording has pictures of one size")
        self.size = self.size or size

    def add_frame(self, index: int, **said: float | None) -> None:
        """Note a frame and what is known of it, as fields of `FrameBoxes`; earlier values are kept.

        `FormatError`: the index is negative.
        """
        if index < 0:
            raise FormatError(f"frame {index} is below 0")
        known = self._frames.setdefault(index, {})
        for name, value in said.items():
            if value is not None:
                known.setdefault(name, value)

    def add(
        self,
        index: int,
        target_id: int,
        box: Box | None,
        score: float | None = None,
        state: TrackState | None = None,
        measure: AuxMeasure | None = None,
    ) -> None:
        """Note a target in a frame; the measure of one without a box is ignored.

        `FormatError`: the frame already holds this target, the id is below 1, the index below 0, or the score
        not finite.
        """
        self.add_frame(index)
        if target_id < 1:
            raise FormatError(f"target id {target_id} is below 1")
        if score is not None and not math.isfinite(score):
            raise FormatError(f"score {score} of target {target_id} is not finite")
        entries = self._entries.setdefault(index, {})
        if target_id in entries:
            raise FormatError(f"target {target_id} is in this frame already")
        if box is None:
            entries[target_id] = AbsentTarget(target_id, score, state)
        else:
            entries[target_id] = TrackedBox(index, target_id, box, score, state, None, measure)

    def results(self, name: str) -> RecordingResults:
        """Return everything noted, in order; it may be empty."""
        frames = tuple(self._frame(index) for index in sorted(self._frames))
        return RecordingResults(name, frames, self.size, dict(sorted(self.labels.items())))

    def _frame(self, index: int) -> FrameBoxes:
        said = self._frames[index]
        time_s = Fraction(said["time_s"]) if "time_s" in said else None
        entries = sorted(self._entries.get(index, {}).values(), key=lambda entry: entry.target_id)
        targets = tuple(replace(one, time_s=time_s) for one in entries if isinstance(one, TrackedBox))
        absent = tuple(one for one in entries if isinstance(one, AbsentTarget))
        return FrameBoxes(index, targets, absent, **said)


def data_frame(boxes: Iterable[TrackedBox]) -> pd.DataFrame:
    """Return a table with one row per box: frame, id, x, y, w, h (px), score, state, time_s, measure.

    Args:
        boxes: What `track` yields, or `read_rows` returns.

    Raises:
        ConfigError: pandas is not installed.
    """
    with library_needed("a table needs pandas, which is not installed", "pip install pandas"):
        import pandas as pd
    rows = [
        {
            "frame": box.frame_index,
            "id": box.target_id,
            **dict(zip("xywh", box.box.xywh, strict=True)),
            "score": box.score,
            "state": None if box.state is None else str(box.state),
            "time_s": None if box.time_s is None else float(box.time_s),
            **measure_cells(box.measure),
        }
        for box in boxes
    ]
    columns = ["frame", "id", "x", "y", "w", "h", "score", "state", "time_s", *MEASURE_COLUMNS]
    return pd.DataFrame(rows, columns=columns)
