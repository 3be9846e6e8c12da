"""`LostWatch`: whether a run is still worth going on with. No torch here."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

from dmtrack.tracking.result import FrameResult, TrackState


class LostWatch:
    """Watches for how long every target of a run has been lost.

    Args:
        after_s: Seconds of the recording after which it is over; None never.
        target_ids: Every target of the run: while one of them has not started, it is not over.
    """

    def __init__(self, after_s: Fraction | None, target_ids: Collection[int]) -> None:
        self._after_s = after_s
        self._awaited = set(target_ids)
        self._since_s: Fraction | None = None

    def is_over(self, result: FrameResult) -> bool:
        """Take note of a frame and return whether all targets have been lost for long enough."""
        self._awaited -= {target.target_id for target in result.targets}
        time_s = result.pair.rgb.time_s
        if self._awaited or any(target.state is not TrackState.LOST for target in result.targets):
            self._since_s = None
            return False
        if self._since_s is None:
            self._since_s = time_s
        return self._after_s is not None and time_s - self._since_s >= self._after_s
