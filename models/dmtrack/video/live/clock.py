"""`ArrivalClock`: the stamps of a live stream on this machine's clock."""

from __future__ import annotations

from typing import Final

_DRIFT: Final = 1e-3
"""So fast, in seconds a second, two clocks may drift apart and still be followed."""
_JUMP_S: Final = 2.0
"""A frame that is later than this belongs to another count of time: the sender began anew."""


class ArrivalClock:
    """Tells when a frame was taken, free of the jitter of the network.

    Stamps are even but count from anywhere; arrivals are on our clock but late by different amounts. The
    frame that is late least shows by how much the two clocks differ.
    """

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._last_s = 0.0

    def time_s(self, arrival_s: float, stamp_s: float | None) -> float:
        """Return the time of a frame in seconds of the clock that arrivals are measured by.

        Args:
            arrival_s: When it came.
            stamp_s: What the stream says; None where it says nothing.
        """
        if stamp_s is None:
            return arrival_s
        late_s = arrival_s - stamp_s
        if self._offset_s is None or late_s - self._offset_s > _JUMP_S:
            self._offset_s = late_s
        else:
            self._offset_s = min(self._offset_s + _DRIFT * (arrival_s - self._last_s), late_s)
        self._last_s = arrival_s
        return stamp_s + self._offset_s
