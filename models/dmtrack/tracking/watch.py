"""Summaries of a run's states: which spans to look at, and whether to go on. No torch here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState

MOST_DOUBTED: Final = 1000  # most spans kept; the states are counted in full elsewhere


@dataclass(slots=True)
class DoubtedSpan:
    """Consecutive frames in which a target was uncertain or lost."""

    target_id: int  # from 1
    state: TrackState  # `uncertain` or `lost`
    first_frame: int  # 0-based index of the first one
    last_frame: int  # of the last one
    first_s: float  # time of the first frame, in seconds since the recording began
    last_s: float  # of the last one
    to_the_end: bool = False  # the recording ended before the state did

    def __str__(self) -> str:
        """Return `target 1 lost from 6.8 s to the end`."""
        first, last = f"{self.first_s:.1f}", f"{self.last_s:.1f}"
        if self.to_the_end:
            when = f"from {first} s to the end"
        elif first == last:
            when = f"at {first} s"
        else:
            when = f"from {first} to {last} s"
        return f"target {self.target_id} {self.state} {when}"


class DoubtWatch:
    """Collects the spans in which targets were uncertain or lost."""

    def __init__(self) -> None:
        self._spans: list[DoubtedSpan] = []
        self._going_on: dict[int, DoubtedSpan] = {}

    def note(self, result: FrameResult) -> None:
        """Record the states of a frame."""
        before, self._going_on = self._going_on, {}
        for target in result.targets:
            if target.state in (TrackState.UNCERTAIN, TrackState.LOST):
                span = before.get(target.target_id)
                time_s = round(float(result.pair.elapsed_s), 6)
                if span is None or span.state is not target.state:
                    span = self._begun(target, time_s)
                span.last_frame, span.last_s = target.frame_index, time_s
                self._going_on[target.target_id] = span

    def _begun(self, target: TrackedBox, time_s: float) -> DoubtedSpan:
        state = target.state or TrackState.UNCERTAIN
        frame = target.frame_index
        span = DoubtedSpan(target.target_id, state, frame, frame, time_s, time_s)
        if len(self._spans) < MOST_DOUBTED:
            self._spans.append(span)
        return span

    def spans(self) -> tuple[DoubtedSpan, ...]:
        """Return the spans so far, in order of time; those still open are marked as lasting to the end."""
        going_on = list(map(id, self._going_on.values()))
        for span in self._spans:
            span.to_the_end = id(span) in going_on
        return tuple(self._spans)


def worst_first(spans: Collection[DoubtedSpan]) -> list[DoubtedSpan]:
    """Sort spans by interest: lost before uncertain, long before short."""
    return sorted(spans, key=lambda one: (one.state is not TrackState.LOST, one.first_frame - one.last_frame))


class LostWatch:
    """Detects that every target of a run has been lost for a while.

    It is over after `after_s` seconds of the recording, or never if that is None, and never before frame
    `last_given`, the last one with a keyframe.
    """

    def __init__(self, after_s: Fraction | None, last_given: int) -> None:
        self._after_s = after_s
        self._last_given = last_given
        self._since_s: Fraction | None = None

    def is_over(self, result: FrameResult) -> bool:
        """Record a frame and return whether all targets have been lost for long enough."""
        time_s = result.pair.rgb.time_s
        states = {target.state for target in result.targets}  # none: absent, or not come yet
        if result.pair.rgb.index < self._last_given or states != {TrackState.LOST}:
            self._since_s = None
            return False
        if self._since_s is None:
            self._since_s = time_s
        return self._after_s is not None and time_s - self._since_s >= self._after_s
