"""`dmtrack review`: look at results, correct them, and have them tracked again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

from rich.text import Text

from dmtrack.boxes.keyframes import KEYFRAMES
from dmtrack.errors import ConfigError
from dmtrack.options import Option
from dmtrack.run.request import TrackRequest
from dmtrack.run.review import Review, results_worst_first
from dmtrack_cli.console import Stopped, err, out, say_line
from dmtrack_cli.interrupt import PromptStop
from dmtrack_cli.option_groups import grouped
from dmtrack_cli.review.correcting import ReviewSession
from dmtrack_cli.review.frames import FrameShelf
from dmtrack_cli.review.server import served
from dmtrack_cli.shared_options import QuietOption

_LOOK_S: Final = 0.3


@grouped
def review(
    request: TrackRequest,
    opens_browser: Annotated[
        bool, Option("--open/--no-open", "Open the page in a browser, if there is a desktop.")
    ] = True,
    quiet: QuietOption = False,
) -> None:
    """Look at results in the browser, correct them, and track again what depends on the corrections.

    RGB is the results folder of a run, or of a batch (its recordings one by one, the worst first), or a
    recording without results, whose targets you draw on the page. Each action is saved in keyframes.csv at
    once; the results become those of `dmtrack track --continue`.
    """
    if request.boxes or request.box_files:
        raise ConfigError("boxes are drawn on the page", where="--box, --box-file", hint="leave them out")
    folders = [Path(request.rgb)] if request.aux is not None else results_worst_first(Path(request.rgb))
    if len(folders) > 1 and request.detections.file is not None:
        what = f"is about one recording, and these are {len(folders)}"
        raise ConfigError(what, where="--detections", hint="the page shows those of each run anyway")
    for number, folder in enumerate(folders, start=1):
        asked = request if folders == [Path(request.rgb)] else replace(request, rgb=folder)
        count = f" ({number} of {len(folders)})" if len(folders) > 1 else ""
        with Review.opened(asked) as looked_at:
            _look(looked_at, count, opens_browser=opens_browser, quiet=quiet)
        if not quiet:
            out.print(Text(f"{looked_at.folder}"), soft_wrap=True)


def _look(looked_at: Review, count: str, *, opens_browser: bool, quiet: bool) -> None:
    """Serve the page until the person is done, and track the rest (`Stopped`: left before)."""
    session = ReviewSession(looked_at)
    what_for = f"look at {looked_at.folder}{count} in a browser (Ctrl-C ends; each action is kept):"
    try:
        with (
            PromptStop(),
            served(session, FrameShelf(looked_at.scene), what_for, opens_browser=opens_browser),
        ):
            while not session.finished.wait(_LOOK_S):
                pass
            if looked_at.is_behind and not quiet:
                err.print(Text("tracking what was changed; Ctrl-C leaves it for later"), soft_wrap=True)
            while not looked_at.wait(_LOOK_S):
                pass
    except KeyboardInterrupt:
        if looked_at.is_behind:
            again = f"dmtrack track --continue {looked_at.folder}"
            say_line("note", f"not everything is tracked yet: {again} finishes it", "yellow")
        is_kept = (looked_at.folder / KEYFRAMES).is_file()
        kept = f"your keyframes are kept in {looked_at.folder}" if is_kept else "nothing was said"
        raise Stopped(kept) from None
    error = looked_at.state().progress.error
    if error is not None:
        say_line("warning", error, "yellow")
