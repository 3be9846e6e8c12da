"""`dmtrack events`: the pictures of an event file, written without loss."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dmtrack.errors import ConfigError
from dmtrack.video.events.looks import EventLook
from dmtrack.video.position import parse_position
from dmtrack_cli.console import Stopped, err
from dmtrack_cli.event_options import (
    ColumnsOption,
    CountOption,
    SizeOption,
    TimeUnitOption,
    WindowOption,
    event_options,
)
from dmtrack_cli.events_run import EventsRun, opened_events, print_totals, say_totals
from dmtrack_cli.options import EndOption, StartOption, folder_rate, seconds_of_ms
from dmtrack_cli.progress import ProgressKind, make_reporter
from dmtrack_cli.results_folder import default_folder


def events(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Event file of any known format.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="Video (.mkv, lossless) or folder of pictures. Default: dmtrack-results/NAME/events.mkv.",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            metavar="FPS",
            help="Pictures a second. Default: 30; with --events alone, a picture as often as so many came.",
            show_default=False,
        ),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like",
            metavar="RGB",
            help="A picture for each frame of this video or folder.",
            show_default=False,
        ),
    ] = None,
    offset_ms: Annotated[
        float, typer.Option("--offset-ms", metavar="MS", help="With --like: added to the times of FILE.")
    ] = 0.0,
    window_ms: WindowOption = None,
    count: CountOption = None,
    look: Annotated[
        EventLook, typer.Option("--look", help="What a picture looks like; networks know visevent.")
    ] = EventLook.VISEVENT,
    columns: ColumnsOption = None,
    unit: TimeUnitOption = None,
    size: SizeOption = None,
    start: StartOption = None,
    end: EndOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing pictures.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no summary.")] = False,
    progress: Annotated[
        ProgressKind, typer.Option("--progress", help="How progress is shown; auto: a bar on a terminal.")
    ] = ProgressKind.AUTO,
) -> None:
    """Draw the events of a file as pictures, and say what is in it.

    With `--like`, the first event is taken to be at the first frame; `--offset-ms` moves the events.
    """
    if rate is not None and like is not None:
        raise ConfigError("--rate and --like both say when pictures are due: give one")
    options = event_options(window_ms, count, look, columns, unit, size)
    target = output or default_folder(file) / "events.mkv"
    first, last = (None if position is None else parse_position(position) for position in (start, end))
    by_count = count is not None and rate is None
    frame_rate = None if by_count else folder_rate(30.0 if rate is None else rate, "--rate")
    with opened_events(file, options, like, frame_rate, seconds_of_ms(offset_ms)) as source:
        run = EventsRun(source, target, offset_s=seconds_of_ms(offset_ms) if like is not None else None)
        kind = ProgressKind.NONE if quiet else progress
        reporter = make_reporter(kind, run.expected_frames(last), err, "drawing")
        try:
            run.execute(first, last, reporter, overwrite=overwrite)
        except KeyboardInterrupt:
            raise Stopped(f"the first {run.pictures} pictures are in {target}") from None
    if kind is ProgressKind.JSON:
        say_totals(run)
    elif not quiet:
        print_totals(run)
