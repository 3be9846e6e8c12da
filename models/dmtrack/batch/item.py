"""What a batch consists of: recordings to track, those that cannot be, and what was passed over."""

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
    """One recording of a batch, as its source describes it; nothing of it was opened.

    With neither `boxes`, `box_files` nor `detections`, ground truth beside `rgb` is meant.
    """

    id: str  # how the person calls it; unique in a batch, printable, any text
    rgb: Path  # the first stream
    aux: Path | None = None  # the second stream
    modality: Modality | None = None  # what `aux` measures; None finds out
    # Where the targets are in the first frame wanted, or what is known of them in any
    boxes: tuple[Box | Keyframe, ...] = ()
    box_files: tuple[Path, ...] = ()  # ground-truth files whose first row is a start box
    start: Position | None = None  # first frame wanted
    end: Position | None = None  # first frame not wanted any more
    offset_s: Fraction | None = None  # added to the times of `aux`; None takes what holds for the batch
    align: Path | None = None  # alignment file of the two cameras; None takes what holds for the batch
    detections: Path | None = None  # what a detector saw in it
    origin: str = ""  # where the item is described, such as `row 7`; empty for one found in a folder


@dataclass(frozen=True, slots=True)
class Problem:
    """A recording that cannot be tracked, and why; it counts as a failed item."""

    id: str  # as in `BatchItem`
    reason: str  # one line: what, where, what to do
    origin: str = ""  # as in `BatchItem`
    without_box: BatchItem | None = None  # the recording, where a start box is all that it lacks

    def __str__(self) -> str:
        """Return the reason, after the row it is about."""
        return f"{self.origin}: {self.reason}" if self.origin else self.reason


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something in a folder that is no recording to track (a link back, earlier results), and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What a folder or a manifest holds."""

    entries: tuple[BatchItem | Problem, ...]  # items and problems, in the order of the source
    left_out: tuple[LeftOut, ...] = ()  # what is no item at all

    def with_modality(self, modality: Modality | None) -> Findings:
        """Return the same, with what second streams measure whose item does not say."""
        if modality is None:
            return self
        entries = tuple(
            replace(one, modality=modality) if isinstance(one, BatchItem) and one.modality is None else one
            for one in self.entries
        )
        return replace(self, entries=entries)
