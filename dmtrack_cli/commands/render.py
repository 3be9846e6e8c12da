"""`dmtrack render`: boxes from files, drawn on a recording."""

from __future__ import annotations

from rich.text import Text

from dmtrack.errors import counted
from dmtrack.run.rendering import RenderRequest, prepared_rendering
from dmtrack_cli.console import err, out, say_line, stopped_after
from dmtrack_cli.interrupt import GracefulStop
from dmtrack_cli.option_groups import grouped
from dmtrack_cli.progress import ProgressKind, make_reporter, say_json
from dmtrack_cli.shared_options import ProgressOption, QuietOption
from dmtrack_cli.summary import size_text


@grouped
def render(
    request: RenderRequest,
    quiet: QuietOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Draw boxes from files on a recording, without the network.

    The video has the time stamps of RGB. Ctrl-C keeps what was drawn.
    """
    kind = ProgressKind.NONE if quiet else progress
    drawn, video = 0, request.path

    with prepared_rendering(request) as rendering:
        reporter = make_reporter(kind, rendering.expected_frames, err, "drawing")
        with GracefulStop() as stop, reporter:

            def on_frame(frames: int) -> None:
                nonlocal drawn
                drawn = frames
                reporter.advance(None)
                stop.check()

            try:
                done = rendering.execute(on_frame)
            except KeyboardInterrupt:
                raise stopped_after(drawn, "frame", video) from None
    for remark in rendering.pairs.remarks:
        say_line("note", remark, "yellow")
    for remark in rendering.warnings:
        say_line("warning", remark, "yellow")
    if kind is ProgressKind.JSON:
        say_json("end", file=str(video), frames=done.frames, boxes=done.boxes)
    elif not quiet:
        size = size_text(video.stat().st_size)
        out.print(Text(f"{video}  ({counted(done.frames, 'frame')}, {size})"), soft_wrap=True)
