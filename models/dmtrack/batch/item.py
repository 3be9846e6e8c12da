"""What a batch consists of: recordings to track, those that cannot be, and what was passed over."""

from __future__ import annotations

from dataclasses import dataclass
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

    Attributes:
        id: How the person calls it; unique in a batch, printable, any text.
        rgb: The first stream.
        aux: The second stream.
        modality: What `aux` measures; None finds out.
        boxes: Where the targets are in the first frame wanted, or what is known of them in any.
        box_files: Ground-truth files whose first row is a start box.
        start: First frame wanted.
        end: First frame not wanted any more.
        offset_s: Added to the times of `aux`; None takes what holds for the batch.
        align: Alignment file of the two cameras; None takes what holds for the batch.
        detections: What a detector saw in it.
        origin: Where the item is described, such as `row 7`; empty for one found in a folder.
    """

    id: str
    rgb: Path
    aux: Path | None = None
    modality: Modality | None = None
    boxes: tuple[Box | Keyframe, ...] = ()
    box_files: tuple[Path, ...] = ()
    start: Position | None = None
    end: Position | None = None
    offset_s: Fraction | None = None
    align: Path | None = None
    detections: Path | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A recording that cannot be tracked, and why; it counts as a failed item.

    Attributes:
        id: As in `BatchItem`.
        reason: One line: what, where, what to do.
        origin: As in `BatchItem`.
        without_box: The recording, where a start box is all that it lacks.
    """

    id: str
    reason: str
    origin: str = ""
    without_box: BatchItem | None = None

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
    """What a folder or a manifest holds.

    Attributes:
        entries: Items and problems, in the order of the source.
        left_out: What is no item at all.
    """

    entries: tuple[BatchItem | Problem, ...]
    left_out: tuple[LeftOut, ...] = ()
