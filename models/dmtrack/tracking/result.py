"""What the tracker reports: `TrackedBox` per target, `FrameResult` per frame. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from dmtrack.geometry.box import Box
from dmtrack.video.frame import FramePair


class TrackState(StrEnum):
    """How much the tracker trusts a box."""

    INIT = "init"
    TRACKED = "tracked"
    UNCERTAIN = "uncertain"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class TrackedBox:
    """One target in one frame.

    Attributes:
        frame_index: 0-based index of the RGB frame.
        time_s: Exact time of the RGB frame in seconds.
        box: Pixels of the full RGB frame.
        score: Confidence in [0, 1]; 1.0 on the frame where the box was given.
        state: How much the tracker trusts the box.
        target_id: 1-based, stable over the whole run and all outputs.
    """

    frame_index: int
    time_s: Fraction
    box: Box
    score: float
    state: TrackState
    target_id: int = 1

    def __post_init__(self) -> None:
        if self.target_id < 1:
            raise ValueError(f"target id {self.target_id} is below 1")


@dataclass(frozen=True, slots=True)
class FrameResult:
    """All targets of one frame, with the pair they were found in and the network's time.

    Attributes:
        pair: The frames the boxes belong to.
        targets: One entry a target, in order of `target_id`; none before the first target starts.
        infer_ms: Milliseconds spent in the tracker on this frame; 0.0 where nothing had to be found.
    """

    pair: FramePair
    targets: tuple[TrackedBox, ...]
    infer_ms: float
