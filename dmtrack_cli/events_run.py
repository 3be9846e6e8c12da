"""One run of `dmtrack events`: event pictures written to a video or folder, and what there was to see."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from rich.table import Table
from rich.text import Text

from dmtrack.drawing.pictures import picture_writer
from dmtrack.errors import ConfigError
from dmtrack.video.encoding import encode_event
from dmtrack.video.events.source import EventOptions, EventSource, FrameClock
from dmtrack.video.matching import shifted
from dmtrack.video.position import Position
from dmtrack.video.stream_files import open_source
from dmtrack_cli.console import out
from dmtrack_cli.interrupt import GracefulStop
from dmtrack_cli.progress import Reporter, say_json
from dmtrack_cli.summary import size_text


def opened_events(
    file: Path,
    options: EventOptions,
    like: Path | None,
    frame_rate: Fraction | None,
    offset_s: Fraction,
) -> EventSource:
    """Open an event file, with the frames of a video beside it if there is one.

    Raises:
        InputError: One of them cannot be opened or read.
        ConfigError: A library is missing, or an option is invalid.
    """
    clock = None
    if like is not None:
        with open_source(like, threads=1) as video:
            clock = FrameClock(video.info, video.stamps(), offset_s)
    return EventSource(file, options, like=clock, frame_rate=frame_rate)


class EventsRun:
    """Draws an opened event file.

    Args:
        source: The file.
        target: A video or folder to write.
        offset_s: What the times of the pictures were moved by, which is undone when they are written.
    """

    def __init__(self, source: EventSource, target: Path, *, offset_s: Fraction | None = None) -> None:
        self.source = source
        self.target = target
        self.pictures = 0
        self._offset_s = offset_s or Fraction(0)

    def expected_frames(self, end: Position | None) -> int | None:
        """How many pictures are expected, if that is known."""
        return self.source.info.frame_count if end is None or end.index is None else end.index

    def execute(
        self, start: Position | None, end: Position | None, reporter: Reporter, *, overwrite: bool
    ) -> None:
        """Draw to the end. However it ends, what was drawn is on disk.

        Raises:
            KeyboardInterrupt: The person stopped it.
            InputError: The file is damaged.
            OutputError: The pictures exist, or cannot be written.
            ConfigError: No picture lies between start and end.
        """
        writer = picture_writer(self.target, overwrite=overwrite)
        try:
            with GracefulStop() as stop, reporter:
                for frame in self.source.read(start, end):
                    moved = shifted(frame, self._offset_s)
                    writer.write(encode_event(moved.pixels), moved.pts, moved.time_base)
                    self.pictures += 1
                    reporter.advance(None)
                    stop.check()
        finally:
            writer.close()
        if self.pictures == 0:
            raise ConfigError("no picture lies between start and end", where=self.source.info.path)


def print_totals(run: EventsRun) -> None:
    """Print a table of what there was."""
    totals, info = run.source.totals, run.source.info
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("format", f"{info.codec}, {info.width}x{info.height}")
    for note in run.source.notes:
        table.add_row("", Text(note))
    table.add_row("events", f"{totals.events} ({_share(totals.positive, totals.events)} brighter)")
    begin_s = (totals.first_us or 0) / 1e6
    table.add_row("time", f"{totals.duration_s:.6f} s, from {begin_s:.6f} s on its clock")
    if totals.duration_s > 0:
        table.add_row("rate", f"{totals.events / totals.duration_s / 1e6:.3f} million events/s")
    if totals.triggers:
        table.add_row("triggers", str(totals.triggers))
    damaged = run.source.damaged_packets
    table.add_row("damaged", f"{damaged} events or records left out" if damaged else "none")
    table.add_row("pictures", f"{run.pictures}, {_what(run)}")
    table.add_row("written to", Text(f"{run.target}{_bytes(run.target)}"))
    out.print(table)


def say_totals(run: EventsRun) -> None:
    """Print a line of JSON."""
    totals, info = run.source.totals, run.source.info
    say_json(
        "end",
        file=str(run.target),
        pictures=run.pictures,
        format=info.codec,
        width=info.width,
        height=info.height,
        events=totals.events,
        positive=totals.positive,
        first_us=totals.first_us,
        last_us=totals.last_us,
        triggers=totals.triggers,
        damaged=run.source.damaged_packets,
        notes=list(run.source.notes),
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "0%"


def _what(run: EventsRun) -> str:
    rate = run.source.info.frame_rate
    return "one as often as so many events came" if rate is None else f"{float(rate):.3f} a second"


def _bytes(path: Path) -> str:
    return f"  ({size_text(path.stat().st_size)})" if path.is_file() else ""
