"""A window in which the person draws the target's box."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2
import numpy as np

from dmtrack.errors import BoxError, ConfigError
from dmtrack.geometry.box import Box
from dmtrack.video.frame import FramePair
from dmtrack_cli.console import Stopped

_TITLE = "dmtrack: draw a box; Enter or Space accepts, Esc cancels"
_OTHER_WAYS = "give --box x,y,w,h in pixels, or --box-file FILE"
_PROBE = "import cv2; cv2.namedWindow('dmtrack'); cv2.waitKey(1); cv2.destroyAllWindows()"
_PROBE_TIMEOUT_S = 30


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


def draw_box(pair: FramePair) -> Box:
    """Show a frame and return the box drawn on it, in pixels of the frame.

    Raises:
        ConfigError: No window can be opened.
        Stopped: The person cancelled.
        BoxError: What was drawn is a line or a point.
    """
    reason = why_no_window()
    if reason is not None:
        raise ConfigError(f"a box cannot be drawn: {reason}", hint=_OTHER_WAYS)
    picture = np.ascontiguousarray(pair.image[..., 2::-1])
    cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
    cv2.resizeWindow(_TITLE, *_window_size(pair.rgb.width, pair.rgb.height))
    try:
        x, y, w, h = cv2.selectROI(_TITLE, picture, showCrosshair=False, fromCenter=False)
    except cv2.error as error:
        raise ConfigError(f"a box cannot be drawn: {error.err}", hint=_OTHER_WAYS) from error
    finally:
        cv2.destroyAllWindows()
        cv2.waitKey(1)
    if (x, y, w, h) == (0, 0, 0, 0):
        raise Stopped("no box was drawn, nothing was tracked")
    if w < 1 or h < 1:
        raise BoxError("the box that was drawn has no area", hint="drag from one corner to the opposite one")
    return Box(x, y, w, h)


def _window_size(width: int, height: int) -> tuple[int, int]:
    """Return a size that fits most screens and shows small frames enlarged."""
    scale = min(1280 / width, 720 / height, 2.0)
    return max(1, round(width * scale)), max(1, round(height * scale))
