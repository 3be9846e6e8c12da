"""A window that shows the annotated view while tracking goes on; results never depend on it."""

from __future__ import annotations

from types import TracebackType
from typing import Final

import cv2
import numpy as np

from dmtrack.drawing.draw import Layout, compose_result
from dmtrack.output.sink import Sink
from dmtrack.tracking.result import FrameResult
from dmtrack_cli.console import say_line
from dmtrack_cli.pick.window import why_no_window, window_size

_TITLE: Final = "dmtrack: q stops"
_STOP_KEYS: Final = (ord("q"), ord("Q"), 27)


def open_viewer(layout: Layout) -> Viewer | None:
    """Return a viewer; without a display say so in one line and return None.

    Args:
        layout: What is shown.
    """
    reason = why_no_window()
    if reason is not None:
        say_line("warning", f"--show shows nothing: {reason}; tracking goes on", "yellow")
        return None
    return Viewer(layout)


class Viewer(Sink):
    """Shows every frame in a window until the person presses q or closes it.

    Args:
        layout: What is shown.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._is_open = self._has_failed = False
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether the person wants the run to end; keeps the window alive where no frame comes."""
        if self._is_open:
            try:
                self._listen()
            except cv2.error as error:
                self._fail(error)
        return self._is_over

    def write(self, result: FrameResult) -> None:
        """Show one frame. A window that fails is said once; the results go on."""
        if self._has_failed or self._is_over:
            return
        picture = np.ascontiguousarray(compose_result(result, self._layout)[..., ::-1])
        try:
            if not self._is_open:
                cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
                cv2.resizeWindow(_TITLE, *window_size(picture.shape[1], picture.shape[0]))
            cv2.imshow(_TITLE, picture)
            self._listen()  # some window systems show it only now
            self._is_open = True
        except cv2.error as error:
            self._fail(error)

    def close(self) -> None:
        """Close the window."""
        if self._is_open:
            self._is_open = False
            cv2.destroyAllWindows()
            cv2.waitKey(1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the window, however the run ended."""
        self.close()

    def _listen(self) -> None:
        key = cv2.waitKey(1) & 0xFF
        is_closed = self._is_open and cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1
        self._is_over = self._is_over or key in _STOP_KEYS or is_closed

    def _fail(self, error: cv2.error) -> None:
        self._has_failed, self._is_open = True, False
        say_line("warning", f"the window failed ({error.err}); tracking goes on", "yellow")
