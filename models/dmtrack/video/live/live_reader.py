"""`LiveReader`: reads a live stream in a thread of its own, and keeps only recent frames."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from dmtrack.errors import DecodeError, DmtrackError, VideoError, translated
from dmtrack.video.frame import Frame, VideoInfo
from dmtrack.video.live.address import LiveAddress
from dmtrack.video.live.capture import TIME_BASE, Capture, Captured, open_capture
from dmtrack.video.position import Position
from dmtrack.video.source import FrameSource

MAX_DELAY_S: Final = 0.2  # a frame that has waited longer is dropped when there is a newer one
TIMEOUT_S: Final = 10.0  # longest silence of a stream
_HISTORY_S: Final = 1.5
_MOST_KEPT: Final = 64
_POLL_S: Final = 0.05
_SHORT_POLL_S: Final = 0.005
_JOIN_S: Final = 0.5

_LOGGER = logging.getLogger(__name__)


_DRIFT: Final = 1e-3  # fastest drift between two clocks that is followed, in seconds per second
_JUMP_S: Final = 2.0
"""A frame that is later than this shows that the sender restarted its time stamps."""


class ArrivalClock:
    """Tells when a frame was taken, free of the jitter of the network.

    Time stamps are even but start anywhere; arrivals are on our clock but delayed by varying amounts. The
    least delayed frame shows the offset between the two clocks.
    """

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._last_s = 0.0

    def time_s(self, arrival_s: float, stamp_s: float | None) -> float:
        """Return the time of a frame in seconds on the clock of the arrivals.

        `stamp_s` is the stream's own time stamp; without one, `arrival_s` is returned.
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


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A picture that nobody has taken yet, with its number in the stream and its time."""

    serial: int
    pts: int
    captured: Captured


@dataclass(frozen=True, slots=True)
class Companion:
    """A second live stream that frames of the first wait for, within limits.

    `offset_s` is added to its times; no frame of the first waits longer than `patience_s` after its arrival.
    """

    reader: LiveReader
    offset_s: Fraction
    patience_s: float

    def is_ready(self, waiting: _Waiting, now_s: float) -> bool:
        """Return whether the second stream has reached the time of `waiting`, or that waited long enough."""
        if now_s - waiting.captured.arrival_s >= self.patience_s:
            return True
        return self.reader.has_reached(waiting.pts * TIME_BASE - self.offset_s)


class LiveReader(FrameSource):
    """The newest frames of a live stream; a `FrameSource` whose `read` waits for them.

    A thread reads all the time, so that nothing piles up in the network or the camera. Frames are converted
    to pixels only when they are taken. Times are seconds since `epoch_s` on `time.perf_counter`, which is
    the same for streams that belong together; indices count the frames that were taken.

    Frames that have waited longer than `max_delay_s`, which may be changed later, are dropped if there is a
    newer one; `timeout_s` is the longest silence. With `is_history` the last frames are kept for `nearest`
    instead of being handed out in order. `capture` is where pictures come from, instead of `address`.
    `stop_when` is called repeatedly while `read` waits for a frame; if it returns true, `read` ends.
    `companion` is a second stream that should reach a frame's time before the frame is handed out.
    """

    def __init__(
        self,
        address: LiveAddress,
        *,
        epoch_s: float,
        max_delay_s: float = MAX_DELAY_S,
        timeout_s: float = TIMEOUT_S,
        is_history: bool = False,
        capture: Capture | None = None,
    ) -> None:
        self.address = address
        self.stop_when: Callable[[], bool] = lambda: False
        self.companion: Companion | None = None
        self._capture = capture or open_capture(address, timeout_s=timeout_s)
        self._epoch_s = epoch_s
        self.max_delay_s = max_delay_s
        self._is_history = is_history
        self._clock = ArrivalClock()
        self._fresh = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._received = self._taken = self._dropped = 0
        self._last_pts = -1
        self._begin_pts: int | None = None
        self._index = 0
        self.longest_delay_s = 0.0
        """Longest wait of a frame from its arrival until it was taken, in seconds, since `begin`."""
        self._ended = self._is_closed = False
        self._error: DmtrackError | None = None
        self._info: VideoInfo | None = None
        self._nearest: tuple[int, Frame] | None = None
        self._thread = threading.Thread(target=self._run, name=f"live {address.shown}", daemon=True)
        self._thread.start()

    @property
    def info(self) -> VideoInfo:  # type: ignore[override] # known when the first picture is there
        """What is known about the stream; waits for its first picture.

        `VideoError`: the stream cannot be opened, or ends before a picture came.
        """
        with self._fresh:
            while self._info is None and not self._ended:
                self._fresh.wait(_POLL_S)
                if self.stop_when():
                    break
            if self._info is None:
                raise self._error or VideoError("no picture came", where=self.address.shown)
            return self._info

    @property
    def damaged_packets(self) -> int:
        """Packets that did not decode."""
        return self._capture.damaged

    @property
    def dropped(self) -> int:
        """Frames since `begin` that were dropped or, with `is_history`, never taken."""
        with self._fresh:
            return max(0, self._received - self._taken) if self._is_history else self._dropped

    def begin(self, index: int = 0) -> None:
        """Discard all waiting frames but the newest, and start counting anew.

        `index` is that of the next frame.
        """
        with self._fresh:
            self._index, self._begin_pts = index, None if index == 0 else self._begin_pts
            while len(self._waiting) > 1:
                self._waiting.popleft()
            self._received, self._taken, self._dropped = len(self._waiting), 0, 0
            self.longest_delay_s = 0.0

    def _guarded(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        # `info` would wait for the first picture, which may never come
        with translated(DecodeError, "reading fails", where=self.address.shown):
            yield from frames

    def _read(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        """Yield frames as they come, each later than the one before, until the stream ends.

        `start` must be None: a live stream begins now; `end` counts from its first frame.
        """
        if start is not None:
            raise ValueError("a live stream begins now")
        while (waiting := self._take()) is not None:
            self._begin_pts = waiting.pts if self._begin_pts is None else self._begin_pts
            elapsed_s = (waiting.pts - self._begin_pts) * TIME_BASE
            if end is not None and end.is_reached(self._index, elapsed_s):
                return
            self._index += 1
            yield Frame(self._index - 1, waiting.pts, TIME_BASE, self._capture.pixels(waiting.captured))

    def nearest(self, moment: Fraction) -> Frame | None:
        """Return the kept frame nearest to `moment`, in seconds since the epoch; None before the first."""
        with self._fresh:
            if not self._waiting:
                return None if self._nearest is None else self._nearest[1]
            found = min(self._waiting, key=lambda one: abs(one.pts * TIME_BASE - moment))
            if self._nearest is not None and self._nearest[0] == found.serial:
                return self._nearest[1]
            self._taken += 1
        frame = Frame(found.serial, found.pts, TIME_BASE, self._capture.pixels(found.captured))
        self._nearest = (found.serial, frame)
        return frame

    def has_reached(self, moment: Fraction) -> bool:
        """Return whether a frame at `moment` (seconds since the epoch) or later has come, or none will."""
        return self._ended or self._last_pts * TIME_BASE >= moment

    def close(self) -> None:
        """Stop reading. The thread ends with the next picture, or when the silence has lasted too long."""
        self._is_closed = True
        self._thread.join(_JOIN_S)

    # --- the reading thread ------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with translated(DecodeError, "reading fails", where=self.address.shown):
                for serial, captured in enumerate(self._capture.pictures()):
                    if self._is_closed:
                        return
                    self._store(serial, captured)
        except DmtrackError as error:
            self._error = error
            _LOGGER.info("%s", error)
        finally:
            with self._fresh:
                self._ended = True
                self._fresh.notify_all()

    def _store(self, serial: int, captured: Captured) -> None:
        time_s = self._clock.time_s(captured.arrival_s, captured.stamp_s) - self._epoch_s
        with self._fresh:
            self._last_pts = max(self._last_pts + 1, round(time_s / float(TIME_BASE)))
            if self._info is None:
                self._info = self._capture.describe(captured, self._last_pts)
            self._received += 1
            self._waiting.append(_Waiting(serial, self._last_pts, captured))
            self._drop_old(captured.arrival_s)
            self._fresh.notify_all()

    def _drop_old(self, now_s: float) -> None:
        """Drop frames that waited too long; the newest one stays, however old it is."""
        kept_s = _HISTORY_S if self._is_history else self.max_delay_s
        while len(self._waiting) > 1 and (
            now_s - self._waiting[0].captured.arrival_s > kept_s or len(self._waiting) > _MOST_KEPT
        ):
            self._waiting.popleft()
            self._dropped += 1

    def _take(self) -> _Waiting | None:
        with self._fresh:
            while not self._is_ready():
                if self._ended and not self._waiting:
                    if self._error is not None:
                        raise self._error
                    return None
                if self.stop_when():
                    return None
                self._fresh.wait(_SHORT_POLL_S if self._waiting else _POLL_S)
            now_s = time.perf_counter()
            waiting = self._waiting.popleft()
            self._taken += 1
            self.longest_delay_s = max(self.longest_delay_s, now_s - waiting.captured.arrival_s)
            return waiting

    def _is_ready(self) -> bool:
        """Return whether a frame can be handed out."""
        if not self._waiting:
            return False
        now_s = time.perf_counter()
        self._drop_old(now_s)
        return self.companion is None or self.companion.is_ready(self._waiting[0], now_s)
