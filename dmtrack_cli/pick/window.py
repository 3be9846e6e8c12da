"""A window in which the person draws boxes on the first frame, both streams side by side."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.boxes.results import PictureSize
from dmtrack.drawing.draw import Layout, Mark, compose, drawing_scale, target_colour
from dmtrack.errors import ConfigError
from dmtrack.geometry.box import Box
from dmtrack.run.start_boxes import DrawingScene
from dmtrack.tracking.start import TargetStart
from dmtrack_cli.console import Stopped
from dmtrack_cli.pick.drawing import box_between

_TITLE: Final = "dmtrack: draw the targets"
_KEYS: Final = "drag: box    u: undo    Enter: track    Esc: cancel"
_NOTHING_YET: Final = "no box yet: drag from one corner of a target to the opposite one"
_PROBE = "import cv2; cv2.namedWindow('dmtrack'); cv2.waitKey(1); cv2.destroyAllWindows()"
_PROBE_TIMEOUT_S = 30
_POLL_MS: Final = 20
_ENTER: Final = (10, 13, 32, 141)  # 141: the one of the number pad, as Qt says it
_UNDO: Final = (8, 26, 127, ord("u"), ord("z"))  # Backspace, Ctrl-Z, Delete
_ESCAPE: Final = 27
_STRIP_PX: Final = 28

Picture = npt.NDArray[np.uint8]


def why_no_window() -> str | None:
    """Return why no window can be opened here, or None if one can.

    OpenCV ends the whole process when a display is named but not there, so another process tries first.
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


def draw_in_window(scene: DrawingScene) -> tuple[TargetStart, ...]:
    """Show the first frame and return the boxes drawn on it.

    Raises:
        ConfigError: The window fails.
        Stopped: The person cancelled.
    """
    board = Board(scene)
    try:
        cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        picture = board.picture()
        cv2.resizeWindow(_TITLE, *window_size(picture.shape[1], picture.shape[0]))
        cv2.imshow(_TITLE, picture)
        cv2.setMouseCallback(_TITLE, lambda event, x, y, *_: board.on_mouse(event, x, y))
        _draw_until_done(board)
    except cv2.error as error:
        raise ConfigError(f"the window failed: {error.err}", hint="--pick web draws in a browser") from error
    except KeyboardInterrupt:
        raise Stopped("no box was drawn, nothing was tracked") from None
    finally:
        cv2.destroyAllWindows()
        cv2.waitKey(1)
    return board.starts()


def _draw_until_done(board: Board) -> None:
    while True:
        key = cv2.waitKey(_POLL_MS) & 0xFF
        if key == _ESCAPE or cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1:
            raise Stopped("no box was drawn, nothing was tracked")
        if key in _UNDO:
            board.undo()
        if key in _ENTER and board.accept():
            return
        if board.changed:
            cv2.imshow(_TITLE, board.picture())


@dataclass(slots=True)
class Board:
    """The boxes so far and the one that is being drawn, independent of any window.

    Args:
        scene: What is drawn on.
    """

    scene: DrawingScene
    changed: bool = True
    _boxes: list[Box] = field(default_factory=list)
    _anchor: tuple[float, float] | None = None
    _pointer: tuple[float, float] = (0.0, 0.0)
    _panel: int = 0
    _message: str = _KEYS

    def on_mouse(self, event: int, x: int, y: int) -> None:
        """Take a mouse event of OpenCV, in pixels of `picture`."""
        point = self._in_frame(x, y)
        if event == cv2.EVENT_LBUTTONDOWN:
            self._anchor = self._pointer = point
        elif event == cv2.EVENT_MOUSEMOVE and self._anchor is not None:
            self._pointer = point
        elif event == cv2.EVENT_LBUTTONUP and self._anchor is not None:
            self._pointer = point
            box = self._pending()
            if box is not None and len(self._boxes) < len(self.scene.ids):
                self._boxes.append(box)
            self._anchor = None
        else:
            return
        self._message, self.changed = _KEYS, True

    def undo(self) -> None:
        """Take the last box back, or the drag that is going on."""
        if self._anchor is None and self._boxes:
            self._boxes.pop()
        self._anchor, self.changed = None, True

    def accept(self) -> bool:
        """Return whether there is something to track; say so in the picture if not."""
        if not self._boxes:
            self._message, self.changed = _NOTHING_YET, True
        return bool(self._boxes)

    def starts(self) -> tuple[TargetStart, ...]:
        """Return the targets."""
        index = self.scene.first.rgb.index
        return tuple(self.scene.start(number, box, index) for number, box in enumerate(self._boxes))

    def picture(self) -> Picture:
        """Return `(H, W, 3)` uint8 in OpenCV's order: both streams, the boxes with ids, the keys."""
        pending = self._pending()
        boxes = self._boxes if pending is None else [*self._boxes, pending]
        ids = self.scene.ids
        marks = [Mark(box, str(ids[n]), target_colour(ids[n])) for n, box in enumerate(boxes[: len(ids)])]
        drawn = compose(self.scene.first, marks, Layout.SIDE)
        height = round(_STRIP_PX * max(1.0, drawn.shape[0] / 720))
        strip = np.full((height, drawn.shape[1], 3), 32, np.uint8)
        font = cv2.FONT_HERSHEY_SIMPLEX
        (width, _), _ = cv2.getTextSize(self._message, font, height / 50, 1)
        scale = height / 50 * min(1.0, (drawn.shape[1] - 16) / width)
        place = (8, round(height * 0.7))
        cv2.putText(strip, self._message, place, font, scale, (240, 240, 240), 1, cv2.LINE_AA)
        self.changed = False
        return np.ascontiguousarray(np.vstack([drawn, strip])[..., ::-1])

    def _pending(self) -> Box | None:
        rgb = self.scene.first.rgb
        if self._anchor is None:
            return None
        return box_between(self._anchor, self._pointer, rgb.width, rgb.height)

    def _in_frame(self, x: int, y: int) -> tuple[float, float]:
        """Turn the middle of a pixel of the picture into a place in the frame."""
        rgb, panels = self.scene.first.rgb, self._panels
        scale = drawing_scale(PictureSize(rgb.width, rgb.height), panels)
        width, height = round(rgb.width * scale), round(rgb.height * scale)
        if self._anchor is None:  # a drag keeps to the panel it began in
            self._panel = min(panels - 1, max(0, x // width))
        inside = x + 0.5 - self._panel * width
        return inside * rgb.width / width, (y + 0.5) * rgb.height / height

    @property
    def _panels(self) -> int:
        return 1 if self.scene.first.aux_image is None else 2


def window_size(width: int, height: int) -> tuple[int, int]:
    """Return a size that fits most screens and shows small pictures enlarged."""
    scale = min(1280 / width, 760 / height, 2.0)
    return max(1, round(width * scale)), max(1, round(height * scale))
