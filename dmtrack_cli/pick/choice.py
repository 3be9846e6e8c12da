"""`draw_targets`: a window or a web page, whichever is asked for or can be had."""

from __future__ import annotations

from typing import Final

from dmtrack.errors import ConfigError
from dmtrack.run.start_boxes import DrawingScene
from dmtrack.tracking.start import TargetStart
from dmtrack_cli.pick.drawing import OTHER_WAYS, PickKind

PICK_TIMEOUT_S: Final = 600.0
"""So long the web page waits for the next action of the person."""


def draw_targets(scene: DrawingScene, kind: PickKind, timeout_s: float) -> tuple[TargetStart, ...]:
    """Let the person draw boxes.

    Raises:
        ConfigError: A window is asked for and cannot be opened.
        BoxError: Nobody drew anything in time.
        Stopped: The person cancelled.
    """
    # Imported late: a run whose boxes are given needs neither.
    from dmtrack_cli.pick.web import draw_on_page
    from dmtrack_cli.pick.window import draw_in_window, why_no_window

    if kind is not PickKind.WEB:
        reason = why_no_window()
        if reason is None:
            return draw_in_window(scene)
        if kind is PickKind.WINDOW:
            raise ConfigError(
                f"no window can be opened: {reason}", hint=f"--pick web draws in a browser, or {OTHER_WAYS}"
            )
    return draw_on_page(scene, timeout_s)
