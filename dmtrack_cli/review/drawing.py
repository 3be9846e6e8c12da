"""`PickSession`: a person draws the first boxes of targets, and the program waits. No HTTP here."""

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
from dmtrack_cli.interrupt import PromptStop
from dmtrack_cli.review.frames import FrameShelf
from dmtrack_cli.review.server import Send, served

_POLL_S: Final = 0.2


class PickSession:
    """One drawing by one person; called by the server's threads while the program waits for it.

    `timeout_s` is how long to wait for the next action.
    """

    questions: Final = ("submit", "alive", "cancel")

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

    @property
    def name(self) -> str:
        """The name of the recording."""
        return self.scene.name

    def setup(self) -> dict[str, Any]:
        """Return what the page needs at its start."""
        return scene_setup(self.scene, "pick")

    def answer(self, question: str, body: bytes, send: Send) -> None:
        """Take the boxes, a sign of life, or a cancellation.

        If the program then goes on, the answer is sent first, so that the page gets it.
        """
        if question == "submit":
            self.submit(body, lambda: send({"ok": True}))
            return
        send({"ok": True})
        if question == "cancel":
            self.cancel()

    def touch(self) -> None:
        """Restart the timeout, because the person did something."""
        self._deadline_s = self._clock() + self._timeout_s

    def submit(self, body: bytes, answer: Callable[[], None] = lambda: None) -> None:
        """Take the boxes of the page: `{"boxes": [{"frame": 0, "x": 1, "y": 2, "w": 3, "h": 4}, ...]}`.

        `answer` tells the page that they are accepted, before the wait and the server end. `FormatError`:
        other JSON; `BoxError`: there is no box, or one lies outside the frame or is too small.
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
        """Wait for the boxes; `BoxError`: nothing happened in time; `Stopped`: the person cancelled."""
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
        values = json_in(body)
        rows = values.get("boxes") if isinstance(values, dict) else None
        if not isinstance(rows, list):
            raise FormatError('the request has no list "boxes"')
        if not rows:
            raise BoxError("no box was drawn")
        if len(rows) > len(self.scene.ids):
            raise BoxError(f"{len(rows)} boxes are too many, {len(self.scene.ids)} is the limit")
        return tuple(self._start(number, row) for number, row in enumerate(rows))

    def _start(self, number: int, row: object) -> TargetStart:
        where = f"box {number + 1}"
        if not isinstance(row, dict):
            raise FormatError(f"{where} is not an object")
        frame = row.get("frame")
        if not isinstance(frame, int) or isinstance(frame, bool) or not self.scene.holds(frame):
            raise FormatError(f"{where}: {frame!r} is not a frame of this recording")
        return self.scene.start(number, box_in(row, where), frame)


def draw_on_page(
    scene: DrawingScene, timeout_s: float, *, opens_browser: bool = False
) -> tuple[TargetStart, ...]:
    """Serve the page, print its address, and return the boxes drawn on it.

    Ctrl-C and termination end the wait even if they were ignored, as in programs that a shell starts in the
    background.

    `timeout_s` is how long to wait for the next action; `opens_browser` opens the page if there is a desktop.
    `BoxError`: nobody drew anything in time; `Stopped`: the person cancelled, on the page or with Ctrl-C.
    """
    session = PickSession(scene, timeout_s)
    what_for = f"draw the targets in a browser (it waits {timeout_s:g} s for you each time; Ctrl-C stops):"
    try:
        with PromptStop(), served(session, FrameShelf(scene), what_for, opens_browser=opens_browser):
            return session.wait()
    except KeyboardInterrupt:
        raise Stopped("no box was drawn, nothing was tracked") from None
    finally:
        session.cancel()


def scene_setup(scene: DrawingScene, mode: str) -> dict[str, Any]:
    """Return what the page needs to know of a scene.

    `mode` is `pick`, to draw first boxes, or `review`, to correct tracks.
    """
    rgb, modality = scene.first.rgb, scene.first.modality
    return {
        "mode": mode,
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


def json_in(body: bytes) -> object:
    """Return the JSON of a request; `FormatError` if it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise FormatError("the request is not JSON") from None


def box_in(row: dict[str, Any], where: str) -> Box:
    """Return the box `x, y, w, h` of a JSON object; `FormatError`: a side is not a number; or `BoxError`."""
    return Box(*(_side(row, name, where) for name in "xywh"))


def _side(row: dict[str, Any], name: str, where: str) -> float:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"{where}: {name} is {value!r}, not a number")
    try:
        return float(value)
    except OverflowError:
        raise FormatError(f"{where}: {name} is too large") from None
