"""The entries of a batch: recordings to track, those that cannot be, and what was skipped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from dmtrack.geometry.box import Box
from dmtrack.tracking.start import Keyframe
from dmtrack.video.frame import Modality
from dmtrack.video.position import Position


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One recording of a batch, as its source describes it; nothing of it has been opened.

    With neither `boxes`, `box_files` nor `detections`, the ground truth beside `rgb` is used.
    """

    id: str  # the person's name for it; unique in a batch, printable, any text
    rgb: Path  # the first stream
    aux: Path | None = None  # the second stream
    modality: Modality | None = None  # of `aux`; None finds out
    # Boxes in the first frame, or keyframes in any
    boxes: tuple[Box | Keyframe, ...] = ()
    box_files: tuple[Path, ...] = ()  # ground-truth files whose first row is a start box
    start: Position | None = None  # first frame to track
    end: Position | None = None  # first frame that is not tracked any more
    offset_s: Fraction | None = None  # added to the times of `aux`; None takes the batch's
    align: Path | None = None  # alignment file of the two cameras; None takes the batch's
    detections: Path | None = None  # a detector's boxes in it
    origin: str = ""  # where the item is described, such as `row 7`; empty for one found in a folder


@dataclass(frozen=True, slots=True)
class Problem:
    """A recording that cannot be tracked, and why; it counts as a failed item."""

    id: str  # as in `BatchItem`
    reason: str  # one line: what, where, what to do
    origin: str = ""  # as in `BatchItem`
    without_box: BatchItem | None = None  # the recording, if it only lacks a start box

    def __str__(self) -> str:
        """Return the reason, after the origin if there is one."""
        return f"{self.origin}: {self.reason}" if self.origin else self.reason


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something in a folder that is not a recording to track (a link back, earlier results), and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Findings:
    """The content of a folder or a manifest."""

    entries: tuple[BatchItem | Problem, ...]  # items and problems, in the order of the source
    left_out: tuple[LeftOut, ...] = ()  # what is not an item

    def with_modality(self, modality: Modality | None) -> Findings:
        """Return the findings with `modality` filled in for items without one."""
        if modality is None:
            return self
        entries = tuple(
            replace(one, modality=modality) if isinstance(one, BatchItem) and one.modality is None else one
            for one in self.entries
        )
        return replace(self, entries=entries)
