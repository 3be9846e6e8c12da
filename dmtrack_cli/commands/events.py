"""`dmtrack events`: the pictures of an event file, written without loss."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from dmtrack.drawing.pictures import DrawnEvents, draw_events
from dmtrack.errors import ConfigError
from dmtrack.options import Option, ms_text, number_text, seconds_of_ms
from dmtrack.run.results_folder import default_folder
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.source import DEFAULT_FRAME_RATE
from dmtrack.video.streams import parse_rate
from dmtrack_cli.console import err, facts_table, out, stopped_after
from dmtrack_cli.interrupt import GracefulStop
from dmtrack_cli.option_groups import grouped
from dmtrack_cli.progress import ProgressKind, Reporter, make_reporter, say_json
from dmtrack_cli.shared_options import EndOption, ProgressOption, QuietOption, StartOption
from dmtrack_cli.summary import size_text


@grouped
def events(
    file: Annotated[Path, Option("FILE", "Event file of any known format.")],
    output: Annotated[
        Path | None,
        Option(
            "-o --output",
            "Video (.mkv, lossless) or folder of pictures. Default: events.mkv in dmtrack-results/NAME.",
            metavar="PATH",
        ),
    ] = None,
    rate: Annotated[
        Fraction | None,
        Option(
            "--rate",
            "Pictures per second. Default: 30; with --events alone, one picture per N events.",
            metavar="FPS",
            parse=parse_rate,
            write=number_text,
        ),
    ] = None,
    like: Annotated[
        Path | None,
        Option("--like", "Draw one picture for each frame of this video or folder.", metavar="RGB"),
    ] = None,
    offset_ms: Annotated[
        Fraction,
        Option(
            "--offset-ms",
            "With --like: added to FILE's times.",
            metavar="MS",
            parse=seconds_of_ms,
            write=ms_text,
        ),
    ] = Fraction(0),
    start: StartOption = None,
    end: EndOption = None,
    overwrite: Annotated[bool, Option("--overwrite", "Replace existing pictures.")] = False,
    quiet: QuietOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
    *,
    options: EventOptions,
) -> None:
    """Draw an event file as pictures, and show what is in it.

    With `--like`, the first event is placed at the first frame; `--offset-ms` shifts the events.
    """
    if rate is not None and like is not None:
        raise ConfigError("--rate and --like exclude each other")
    if offset_ms and like is None:
        raise ConfigError(
            "shifts events relative to the frames of --like", where="--offset-ms", hint="give --like as well"
        )
    target = output or default_folder(file) / "events.mkv"
    by_count = options.count is not None and rate is None
    frame_rate = None if by_count else rate or DEFAULT_FRAME_RATE
    kind = ProgressKind.NONE if quiet else progress
    with ExitStack() as shown:
        view = _DrawingView(shown, kind)
        try:
            drawn = draw_events(
                file,
                target,
                options,
                frame_rate=frame_rate,
                like=like,
                offset_s=offset_ms,
                start=start,
                end=end,
                overwrite=overwrite,
                watch=view,
            )
        except KeyboardInterrupt:
            raise stopped_after(view.pictures, "picture", target) from None
    if kind is ProgressKind.JSON:
        _say_totals(drawn, target)
    elif not quiet:
        _print_totals(drawn, target)


class _DrawingView:
    """Shows progress, and stops the drawing between two pictures."""

    def __init__(self, shown: ExitStack, kind: ProgressKind) -> None:
        self.pictures = 0
        self._shown = shown
        self._kind = kind
        self._reporter: Reporter | None = None
        self._stop = GracefulStop()

    def __call__(self, pictures: int, expected: int | None) -> None:
        """Count one more picture; `KeyboardInterrupt` if the person stopped it."""
        self.pictures = pictures
        if self._reporter is None:
            self._shown.enter_context(self._stop)
            reporter = make_reporter(self._kind, expected, err, "drawing")
            self._reporter = self._shown.enter_context(reporter)
        else:
            self._reporter.advance(None)
        self._stop.check()


def _print_totals(drawn: DrawnEvents, target: Path) -> None:
    """Print a table of what was drawn."""
    totals, info = drawn.totals, drawn.info
    share = totals.positive / totals.events if totals.events else 0.0
    begin_s = (totals.first_us or 0) / 1e6
    facts = {
        "format": "\n".join([f"{info.codec}, {info.width}x{info.height}", *drawn.notes]),
        "events": f"{totals.events} ({share:.0%} brighter)",
        "time": f"{totals.duration_s:.6f} s, from {begin_s:.6f} s on its clock",
    }
    if totals.duration_s > 0:
        facts["rate"] = f"{totals.events / totals.duration_s / 1e6:.3f} million events/s"
    if totals.triggers:
        facts["triggers"] = str(totals.triggers)
    facts["damaged"] = f"{drawn.damaged} events or records left out" if drawn.damaged else "none"
    rate = info.frame_rate
    how = "one as often as so many events came" if rate is None else f"{float(rate):.3f} a second"
    facts["pictures"] = f"{drawn.pictures}, {how}"
    size = f"  ({size_text(target.stat().st_size)})" if target.is_file() else ""
    out.print(facts_table([*facts.items(), ("written to", f"{target}{size}")]))


def _say_totals(drawn: DrawnEvents, target: Path) -> None:
    """Print what was drawn as a line of JSON."""
    shape = {"format": drawn.info.codec, "width": drawn.info.width, "height": drawn.info.height}
    told = {"pictures": drawn.pictures, "damaged": drawn.damaged, "notes": list(drawn.notes)}
    say_json("end", file=str(target), **shape, **asdict(drawn.totals), **told)
