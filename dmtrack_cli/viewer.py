"""A window with the annotated view while tracking goes on; results never depend on it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import cv2
import numpy as np

from dmtrack.drawing.draw import Layout, compose_result
from dmtrack.output.sink import Sink
from dmtrack.tracking.result import FrameResult
from dmtrack_cli.console import say_line

_TITLE: Final = "dmtrack: q stops"
_STOP_KEYS: Final = (ord("q"), ord("Q"), 27)
_PROBE: Final = "import cv2; cv2.namedWindow('dmtrack'); cv2.waitKey(1); cv2.destroyAllWindows()"
_PROBE_TIMEOUT_S: Final = 30


def why_no_window() -> str | None:
    """Return why no window can be opened here, or None if one can.

    OpenCV ends the whole process if the named display does not exist, so another process tries first.
    """
    on_linux = sys.platform.startswith("linux")
    if on_linux and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"
    try:
        probe = subprocess.run(  # noqa: S603 - our own interpreter and our own words
            [sys.executable, "-c", _PROBE], capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return "the display does not answer"
    if probe.returncode == 0:
        return None
    if b"not implemented" in probe.stderr:
        return "this OpenCV was built without windows"
    return "the display cannot be used"


def open_viewer(layout: Layout) -> Viewer | None:
    """Return a viewer; without a display print why and return None."""
    reason = why_no_window()
    if reason is not None:
        say_line("warning", f"--show does not work: {reason}; tracking goes on", "yellow")
        return None
    return Viewer(layout)


class Viewer(Sink):
    """Shows every frame in a window until the person presses q or closes it."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._is_open = self._has_failed = False
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Return whether the person wants the run to end; keeps the window responsive between frames."""
        if self._is_open:
            try:
                self._listen()
            except cv2.error as error:
                self._fail(error)
        return self._is_over

    def write(self, result: FrameResult) -> None:
        """Show one frame. A failing window is reported once; the results go on."""
        if self._has_failed or self._is_over:
            return
        picture = np.ascontiguousarray(compose_result(result, self._layout)[..., ::-1])
        try:
            if not self._is_open:
                cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
                cv2.resizeWindow(_TITLE, *_window_size(picture.shape[1], picture.shape[0]))
            cv2.imshow(_TITLE, picture)
            self._listen()  # some window systems only show the window then
            self._is_open = True
        except cv2.error as error:
            self._fail(error)

    def close(self) -> None:
        """Close the window."""
        if self._is_open:
            self._is_open = False
            cv2.destroyAllWindows()
            cv2.waitKey(1)

    def __exit__(self, *about: object) -> None:
        """Close the window, however the run ended."""
        self.close()

    def _listen(self) -> None:
        key = cv2.waitKey(1) & 0xFF
        is_closed = self._is_open and cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1
        self._is_over = self._is_over or key in _STOP_KEYS or is_closed

    def _fail(self, error: cv2.error) -> None:
        self._has_failed, self._is_open = True, False
        say_line("warning", f"the window failed ({error.err}); tracking goes on", "yellow")


def _window_size(width: int, height: int) -> tuple[int, int]:
    """Return a size that fits most screens and enlarges small pictures."""
    scale = min(1280 / width, 760 / height, 2.0)
    return max(1, round(width * scale)), max(1, round(height * scale))
