"""`dmtrack review`: look at results, put them right, and have them tracked again."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.text import Text

from dmtrack.errors import ConfigError
from dmtrack.run.request import TrackRequest
from dmtrack.run.review import Review
from dmtrack_cli.console import Stopped, err, say_line
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
        bool,
        typer.Option("--open/--no-open", help="Open the page in a browser, where there is a desktop."),
    ] = True,
    quiet: QuietOption = False,
) -> None:
    """Look at results on a page in a browser, put them right, and track again what depends on it.

    In place of RGB stands the results folder of a run; or a recording without results, whose targets are
    drawn on the page. Each action is kept in keyframes.csv at once, and the folder becomes what
    `dmtrack track --continue` would make of it.
    """
    if request.boxes or request.box_files:
        raise ConfigError("boxes are drawn on the page", where="--box, --box-file", hint="leave them out")
    with Review.opened(request) as looked_at:
        session = ReviewSession(looked_at)
        try:
            with (
                PromptStop(),
                served(
                    session,
                    FrameShelf(looked_at.scene),
                    f"look at {looked_at.folder} in a browser (Ctrl-C ends; each action is kept):",
                    opens_browser=opens_browser,
                ),
            ):
                while not session.finished.wait(_LOOK_S):
                    pass
                if looked_at.is_behind and not quiet:
                    err.print(Text("tracking what was changed; Ctrl-C leaves it for later"), soft_wrap=True)
                while not looked_at.wait(_LOOK_S):
                    pass
        except KeyboardInterrupt:
            if looked_at.is_behind:
                say_line(
                    "note",
                    f"not everything is tracked yet: dmtrack track --continue {looked_at.folder} finishes it",
                    "yellow",
                )
                raise Stopped(f"what was said is kept in {looked_at.folder}") from None
        error = looked_at.state().progress.error
        if error is not None:
            say_line("warning", error, "yellow")
        if not quiet:
            typer.echo(f"{looked_at.folder}")
