"""`dmtrack track`: follow targets through a recording."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final

import cv2  # noqa: F401 - before PyAV: loaded after it, OpenCV hangs in the first window that --show opens
from rich.text import Text

from dmtrack.errors import DmtrackError
from dmtrack.options import Option
from dmtrack.run.request import TrackRequest
from dmtrack.run.session import TrackRun, prepared_run
from dmtrack.run.start_boxes import DrawingScene
from dmtrack.tracking.result import FrameResult
from dmtrack.tracking.start import TargetStart
from dmtrack_cli.console import Stopped, err, say_line, stopped_after
from dmtrack_cli.interrupt import GracefulStop
from dmtrack_cli.option_groups import grouped
from dmtrack_cli.progress import ProgressKind, make_reporter, say_json
from dmtrack_cli.shared_options import ProgressOption, QuietOption
from dmtrack_cli.summary import say_end

MOST_NAMED: Final = 6  # most boxes printed at the start; the rest is counted
PICK_TIMEOUT_S: Final = 600.0


class PickKind(StrEnum):
    """How the page for drawing boxes is shown."""

    AUTO = "auto"
    WEB = "web"
    WINDOW = "window"


@grouped
def track(
    request: TrackRequest,
    pick: Annotated[
        PickKind,
        Option(
            "--pick",
            "How a bare --box is drawn: on a page that opens in the browser on a desktop; web: only print "
            "its address; window: as auto.",
        ),
    ] = PickKind.AUTO,
    pick_timeout: Annotated[
        float,
        Option(
            "--pick-timeout", "How long the page waits for the next action.", "SECONDS", least=0.05, most=1e7
        ),
    ] = PICK_TIMEOUT_S,
    show: Annotated[bool, Option("--show", "Show the annotated view in a window; q stops.")] = False,
    quiet: QuietOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Track one or several targets through a recording or live streams.

    Writes annotated.mp4, boxes.txt (MOT), boxes.csv, keyframes.csv, plots and run.json. Everything is checked
    before tracking begins; Ctrl-C keeps what was tracked.
    """
    kind = ProgressKind.NONE if quiet else progress

    def draw(scene: DrawingScene) -> tuple[TargetStart, ...]:
        from dmtrack_cli.review.drawing import draw_on_page  # only runs with boxes to draw need the server

        return draw_on_page(scene, pick_timeout, opens_browser=pick is not PickKind.WEB)

    with prepared_run(request, draw) as run:
        _say_start(run, kind, quiet=quiet)
        said = run.pairs.remarks
        _say_remarks(said, kind, quiet=quiet)
        try:
            _execute(run, kind, show=show)
        except KeyboardInterrupt:
            if run.earlier is not None:
                raise Stopped(f"the results in {run.folder} are as they were") from None
            say_end(run, kind, quiet=quiet)
            raise stopped_after(run.record.counts.frames, "frame", run.folder) from None
        except DmtrackError:  # a live stream ended, or a disk is full
            if run.earlier is None and run.record.counts.frames:
                say_end(run, kind, quiet=quiet)
            raise
        say_end(run, kind, quiet=quiet)
        _say_remarks([remark for remark in run.pairs.remarks if remark not in said], kind, quiet=quiet)


def _execute(run: TrackRun, kind: ProgressKind, *, show: bool) -> None:
    """Track with progress and, if asked for, a window; a signal or `q` in the window ends it."""
    viewer = None
    if show:
        from dmtrack_cli.viewer import open_viewer  # only needed for a window

        viewer = open_viewer(run.request.output.layout)
    reporter = make_reporter(kind, run.expected_frames, err)
    with GracefulStop() as stop, reporter:

        def is_over() -> bool:
            stop.check()
            return viewer is not None and viewer.is_over

        run.execute(lambda result: reporter.advance(_mean_score(result)), is_over, viewer)


def _mean_score(result: FrameResult) -> float | None:
    scores = [target.score for target in result.targets if target.score is not None]
    return sum(scores) / len(scores) if scores else None


def _say_remarks(remarks: Sequence[str], kind: ProgressKind, *, quiet: bool) -> None:
    if not quiet and kind is not ProgressKind.JSON:
        for remark in remarks:
            say_line("note", remark, "yellow")


def _say_start(run: TrackRun, kind: ProgressKind, *, quiet: bool) -> None:
    """Print what was found out rather than given."""
    targets = run.start.targets
    modality, reason = run.pairs.modality, run.pairs.modality_reason
    if kind is ProgressKind.JSON:
        say_json(
            "start",
            total=run.expected_frames,
            boxes=[str(target.box) for target in targets],
            ids=[target.target_id for target in targets],
            frames=[target.frame_index for target in targets],
            boxes_from=run.start.origin,
            modality=modality,
            modality_from=reason,
            remarks=list(run.pairs.remarks),
            device=run.record.device,
            precision=run.record.precision,
            backend=run.record.backend,
        )
    elif not quiet:
        boxes = " and ".join(_start_text(target, run.first.rgb.index) for target in targets[:MOST_NAMED])
        more = f" and {len(targets) - MOST_NAMED} more" if len(targets) > MOST_NAMED else ""
        said = f"box {boxes}{more}" if targets else "targets as they enter"
        err.print(Text(f"{said} ({run.start.origin})"), soft_wrap=True)
        if modality is not None:
            err.print(Text(f"second stream: {modality} ({reason})"), soft_wrap=True)


def _start_text(target: TargetStart, first_frame: int) -> str:
    later = target.frame_index is not None and target.frame_index > first_frame
    return f"{target.box} from frame {target.frame_index}" if later else str(target.box)
