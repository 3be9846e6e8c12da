"""`PickSession`: what the web page may say, how it is checked, and waiting for it. No HTTP here."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from dmtrack.drawing.draw import PALETTE, target_colour
from dmtrack.errors import BoxError, FormatError
from dmtrack.geometry.box import Box
from dmtrack.run.start_boxes import SMALLEST_SIDE_PX, DrawingScene
from dmtrack.tracking.start import TargetStart
from dmtrack_cli.console import Stopped

_POLL_S: Final = 0.2


class PickSession:
    """One drawing by one person; asked by the threads of the server and waited for by the program.

    Args:
        scene: What is drawn on.
        timeout_s: How long to wait for the next action.
        clock: Seconds.
    """

    def __init__(
        self, scene: DrawingScene, timeout_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.scene = scene
        self._timeout_s = timeout_s
        self._clock = clock
        self._deadline_s = clock() + timeout_s
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._starts: tuple[TargetStart, ...] = ()

    def setup(self) -> str:
        """Return JSON of what the page needs to know."""
        rgb, scene = self.scene.first.rgb, self.scene
        modality = self.scene.first.modality
        values = {
            "width": rgb.width,
            "height": rgb.height,
            "aux": None if modality is None else str(modality),
            "first": rgb.index,
            "lowest": scene.lowest,
            "last": scene.last,
            "ids": scene.ids,
            "colours": [target_colour(number) for number in range(1, len(PALETTE) + 1)],
            "smallest": SMALLEST_SIDE_PX,
        }
        return json.dumps(values)

    def touch(self) -> None:
        """Take note that the person did something: the time to wait begins anew."""
        self._deadline_s = self._clock() + self._timeout_s

    def submit(self, body: bytes, answer: Callable[[], None] = lambda: None) -> None:
        """Take the boxes of the page: `{"boxes": [{"frame": 0, "x": 1, "y": 2, "w": 3, "h": 4}, ...]}`.

        Args:
            body: JSON.
            answer: Tells the page that they are taken, before the waiting ends and the server with it.

        Raises:
            FormatError: It is not that.
            BoxError: There is no box, or one lies outside the frame or is too small.
        """
        starts = self._parse(body)
        with self._lock:
            if self._over.is_set():
                raise FormatError("boxes were handed in already, or drawing was cancelled")
            self._starts = starts
            try:
                answer()
            finally:
                self._over.set()

    def cancel(self) -> None:
        """End without boxes."""
        with self._lock:
            self._over.set()

    def wait(self) -> tuple[TargetStart, ...]:
        """Wait for the boxes.

        Raises:
            BoxError: Nothing happened in time.
            Stopped: The person cancelled.
        """
        while not self._over.wait(_POLL_S):
            if self._clock() >= self._deadline_s and not self._over.is_set():
                self.cancel()
                raise BoxError(
                    f"nobody drew a box within {self._timeout_s:g} s",
                    hint="--pick-timeout waits longer, or give --box x,y,w,h in pixels, or --box-file FILE",
                )
        if not self._starts:
            raise Stopped("no box was drawn, nothing was tracked")
        return self._starts

    def _parse(self, body: bytes) -> tuple[TargetStart, ...]:
        try:
            values = json.loads(body)
        except (ValueError, RecursionError):
            raise FormatError("the request is not JSON") from None
        rows = values.get("boxes") if isinstance(values, dict) else None
        if not isinstance(rows, list):
            raise FormatError('the request has no list "boxes"')
        if not rows:
            raise BoxError("no box was drawn")
        if len(rows) > len(self.scene.ids):
            raise BoxError(f"{len(rows)} boxes are too many, {len(self.scene.ids)} is the limit")
        return tuple(self._start(number, row) for number, row in enumerate(rows))

    def _start(self, number: int, row: object) -> TargetStart:
        if not isinstance(row, dict):
            raise FormatError(f"box {number + 1} is not an object")
        frame = row.get("frame")
        if not isinstance(frame, int) or isinstance(frame, bool) or not self._may_start_at(frame):
            raise FormatError(f"box {number + 1}: {frame!r} is not a frame of this recording")
        return self.scene.start(number, Box(*(_side(row, name, number) for name in "xywh")), frame)

    def _may_start_at(self, frame: int) -> bool:
        last = self.scene.last
        return self.scene.lowest <= frame and (last is None or frame <= last)


def _side(row: dict[str, Any], name: str, number: int) -> float:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"box {number + 1}: {name} is {value!r}, not a number")
    try:
        return float(value)
    except OverflowError:
        raise FormatError(f"box {number + 1}: {name} is too large") from None
