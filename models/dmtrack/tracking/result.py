"""What the tracker reports: a `TrackedBox` for each target, a `FrameResult` for each frame. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from dmtrack.geometry.box import Box
from dmtrack.video.frame import FramePair
from dmtrack.video.second.gauge import AuxMeasure


class TrackState(StrEnum):
    """How far the tracker trusts a box; `ABSENT`: a person marked the target absent."""

    INIT = "init"
    TRACKED = "tracked"
    UNCERTAIN = "uncertain"
    LOST = "lost"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class TrackedBox:
    """One target in one frame: what the tracker finds, and a row of every file of boxes.

    The tracker fills every field; in a row read from a file, None is what the file does not say.

    Attributes:
        frame_index: 0-based index of the RGB frame.
        target_id: 1-based, stable over the whole run and all outputs.
        box: Pixels of the full RGB frame.
        score: Confidence, usually in [0, 1]; 1.0 on the frame where the box was given.
        state: How far the tracker trusts the box.
        time_s: Exact time of the RGB frame in seconds.
        measure: Distance or temperature, if the second stream measures one and has a partner frame.
    """

    frame_index: int
    target_id: int
    box: Box
    score: float | None = None
    state: TrackState | None = None
    time_s: Fraction | None = None
    measure: AuxMeasure | None = None

    def __post_init__(self) -> None:
        if self.target_id < 1:
            raise ValueError(f"target id {self.target_id} is below 1")

    def measured(self, pair: FramePair) -> TrackedBox:
        """Return the box with its frame's time, and with its measure unless the target is lost or absent."""
        is_there = self.state not in (TrackState.LOST, TrackState.ABSENT)
        measure = pair.measure(self.box) if is_there else None
        return replace(self, time_s=pair.rgb.time_s, measure=measure)


@dataclass(frozen=True, slots=True)
class FrameResult:
    """All targets of one frame, with the frame pair and the tracker's time.

    Attributes:
        pair: The frame pair that the boxes belong to.
        targets: One entry a target, in order of `target_id`; none before the first target starts.
        infer_ms: Milliseconds spent in the tracker on this frame; 0.0 if it had nothing to find.
    """

    pair: FramePair
    targets: tuple[TrackedBox, ...]
    infer_ms: float
