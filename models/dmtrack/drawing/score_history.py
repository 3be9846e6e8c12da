"""`ScoreHistory`: scores, states and skews over a whole run, in constant memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dmtrack.tracking.result import FrameResult, TrackState

MOST_SPANS: Final = 1024
"""Above this, neighbouring spans are joined: more than a picture has columns."""

_WORST_LAST: Final = (TrackState.INIT, TrackState.TRACKED, TrackState.UNCERTAIN, TrackState.LOST)


@dataclass(slots=True)
class TargetSpan:
    """One target over some frames in a row.

    Attributes:
        lowest: Lowest score.
        total: Sum of the scores.
        frames: Their number.
        state: The worst state: init, tracked, uncertain, lost.
    """

    lowest: float
    total: float
    frames: int
    state: TrackState

    @property
    def mean(self) -> float:
        """The mean score."""
        return self.total / self.frames

    def join(self, other: TargetSpan) -> None:
        """Take in the frames of another span."""
        self.lowest = min(self.lowest, other.lowest)
        self.total += other.total
        self.frames += other.frames
        self.state = max(self.state, other.state, key=_WORST_LAST.index)


@dataclass(slots=True)
class Span:
    """Some frames in a row.

    Attributes:
        start_s: Time of the first one.
        frames: Their number.
        targets: What is known of each target, by id.
        skew_ms: The skew that is farthest from 0; None where no frame has a partner.
        alone: Frames without a partner.
    """

    start_s: float
    frames: int
    targets: dict[int, TargetSpan]
    skew_ms: float | None
    alone: int

    @classmethod
    def of(cls, result: FrameResult) -> Span:
        """Return the span of a single frame."""
        targets = {
            target.target_id: TargetSpan(target.score, target.score, 1, target.state)
            for target in result.targets
            if target.score is not None and target.state is not None
        }
        pair = result.pair
        skew_ms = None if pair.skew_s is None else float(pair.skew_s * 1000)
        return cls(float(pair.rgb.time_s), 1, targets, skew_ms, int(pair.aux is None))

    def join(self, other: Span) -> None:
        """Take in the frames of the span that follows."""
        self.frames += other.frames
        self.alone += other.alone
        for target_id, span in other.targets.items():
            if target_id in self.targets:
                self.targets[target_id].join(span)
            else:
                self.targets[target_id] = span
        skews = [skew for skew in (self.skew_ms, other.skew_ms) if skew is not None]
        self.skew_ms = max(skews, key=abs, default=None)


class ScoreHistory:
    """What `score.png` shows: spans of equally many frames, their number doubled when there are too many."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._frames_a_span = 1
        self.end_s = 0.0

    @property
    def spans(self) -> Sequence[Span]:
        """The spans so far, in order."""
        return self._spans

    def add(self, result: FrameResult) -> None:
        """Take note of the next frame."""
        span = Span.of(result)
        self.end_s = span.start_s
        if self._spans and self._spans[-1].frames < self._frames_a_span:
            self._spans[-1].join(span)
            return
        if len(self._spans) == MOST_SPANS:
            for first, second in zip(self._spans[::2], self._spans[1::2], strict=True):
                first.join(second)
            del self._spans[1::2]
            self._frames_a_span *= 2
        self._spans.append(span)
