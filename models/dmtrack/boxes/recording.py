"""`RecordingResults`: the boxes of one recording, frames by targets, whatever file they come from.

Everything but the boxes may be unknown: a ground-truth file has no scores, a MOT file no times. What is
unknown is None, never a made-up value.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from dmtrack.errors import FormatError
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackState

DEFAULT_LABEL: Final = "target"
"""Stands for the label of a target that has none, in formats where each must have one."""

_MOST_ROWS: Final = 10_000_000


class PictureSize(NamedTuple):
    """Width and height of the RGB frames in px."""

    width: int
    height: int


class TargetLabel(NamedTuple):
    """What kind of thing a target is, in the words of whoever annotated it."""

    target_id: int
    label: str


@dataclass(frozen=True, slots=True)
class TargetBox:
    """One target in one frame.

    Attributes:
        target_id: From 1.
        box: Pixels of the full RGB frame; None where the target has none in this frame (absent).
        score: Confidence, usually in [0, 1].
        state: How much the tracker trusts the box.

    Raises:
        FormatError: The id is below 1, or the score is not finite.
    """

    target_id: int
    box: Box | None
    score: float | None = None
    state: TrackState | None = None

    def __post_init__(self) -> None:
        if self.target_id < 1:
            raise FormatError(f"target id {self.target_id} is below 1")
        if self.score is not None and not math.isfinite(self.score):
            raise FormatError(f"score {self.score} of target {self.target_id} is not finite")


@dataclass(frozen=True, slots=True)
class AuxMatch:
    """How a frame was paired with the second stream.

    Attributes:
        present: Whether it has a partner.
        time_s: The partner's time in seconds.
        skew_ms: The partner's time minus that of the RGB frame.
    """

    present: bool
    time_s: float | None = None
    skew_ms: float | None = None


@dataclass(frozen=True, slots=True)
class FrameBoxes:
    """All targets of one frame; maybe none.

    Attributes:
        frame_index: 0-based index of the RGB frame.
        targets: In order of their ids; a target that is not among them has no box here.
        time_s: Time of the RGB frame in seconds, as the file says it.
        aux: How it was paired.
        infer_ms: Milliseconds spent in the tracker.

    Raises:
        FormatError: The index is negative, or the ids do not rise.
    """

    frame_index: int
    targets: tuple[TargetBox, ...] = ()
    time_s: float | None = None
    aux: AuxMatch | None = None
    infer_ms: float | None = None

    def __post_init__(self) -> None:
        if self.frame_index < 0:
            raise FormatError(f"frame {self.frame_index} is below 0")
        _require_rising([target.target_id for target in self.targets], f"target ids of {self.frame_index}")

    @property
    def has_box(self) -> bool:
        """Whether any target has a box in this frame."""
        return any(target.box is not None for target in self.targets)

    def target(self, target_id: int) -> TargetBox | None:
        """Return the entry of a target, if it has one."""
        return next((target for target in self.targets if target.target_id == target_id), None)


@dataclass(frozen=True, slots=True)
class RecordingResults:
    """The results of one recording.

    Attributes:
        name: What the recording is called; any text.
        frames: In order; a frame that is not among them was not looked at.
        size: Of the RGB frames.
        labels: Of targets, in order of their ids; targets may go without.

    Raises:
        FormatError: There is no frame, or frames or labels are not in order.
    """

    name: str
    frames: tuple[FrameBoxes, ...]
    size: PictureSize | None = None
    labels: tuple[TargetLabel, ...] = ()

    def __post_init__(self) -> None:
        if not self.frames:
            raise FormatError("holds no frame")
        _require_rising([frame.frame_index for frame in self.frames], "frames")
        _require_rising([label.target_id for label in self.labels], "target ids of labels")

    @property
    def target_ids(self) -> tuple[int, ...]:
        """The ids of all targets, in order."""
        return tuple(sorted({target.target_id for frame in self.frames for target in frame.targets}))

    @property
    def boxed_ids(self) -> tuple[int, ...]:
        """The ids of the targets that have a box anywhere, in order."""
        targets = (target for frame in self.frames for target in frame.targets)
        return tuple(sorted({target.target_id for target in targets if target.box is not None}))

    def label(self, target_id: int) -> str | None:
        """Return the label of a target, if it has one."""
        return next((entry.label for entry in self.labels if entry.target_id == target_id), None)

    def only(self, target_id: int) -> RecordingResults:
        """Return the results of one target alone, with all frames."""
        frames = []
        for frame in self.frames:
            target = frame.target(target_id)
            frames.append(replace(frame, targets=() if target is None else (target,)))
        labels = tuple(entry for entry in self.labels if entry.target_id == target_id)
        return replace(self, frames=tuple(frames), labels=labels)

    def every_frame(self) -> Iterator[FrameBoxes]:
        """Yield a frame for every index from 0 to the last; those that were not looked at are empty.

        Raises:
            FormatError: The last index is so large that it must be a mistake.
        """
        last = self.frames[-1].frame_index
        if last >= _MOST_ROWS:
            raise FormatError(f"frame {last} is too far for one row a frame", where=self.name)
        expected = 0
        for frame in self.frames:
            for index in range(expected, frame.frame_index):
                yield FrameBoxes(index)
            yield frame
            expected = frame.frame_index + 1


def _require_rising(numbers: list[int], what: str) -> None:
    if any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
        raise FormatError(f"{what} do not rise")
