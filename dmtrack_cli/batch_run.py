"""Runs the plan of a batch, with a bar for all items and one for each worker, or lines, or JSON lines."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from dmtrack.batch.plan import Plan
from dmtrack.batch.run import Existing, run_batch
from dmtrack.batch.summary import SUMMARY, ItemStatus, SummaryRow
from dmtrack.batch.track_item import TrackItem
from dmtrack.batch.work import Engine, Event, ItemAdvanced, ItemFinished, ItemRetried, ItemStarted
from dmtrack.errors import counted
from dmtrack_cli.console import Stopped, err, out
from dmtrack_cli.interrupt import PromptStop
from dmtrack_cli.progress import LINE_EVERY_S, Meter, ProgressKind, Shown, clock_text, say_json


@dataclass(slots=True)
class BatchOutcome:
    """Counts of finished items."""

    summary: Path  # path of `summary.csv`
    complete: int = 0  # items with complete results, kept ones included
    kept: int = 0  # items whose results of an earlier run were kept
    failed: int = 0  # items without complete results, those that could not be started included
    frames: int = 0  # frames tracked in this run
    started_s: float = field(default_factory=time.monotonic)

    def take(self, event: Event) -> None:
        """Count an item that has ended."""
        if not isinstance(event, ItemFinished):
            return
        self.complete += event.row.status is ItemStatus.COMPLETE
        self.failed += event.row.status is ItemStatus.FAILED
        self.kept += event.kept
        self.frames += 0 if event.kept else event.row.frames

    def say(self) -> None:
        """Print the counts as a line of JSON."""
        say_json(
            "end",
            complete=self.complete,
            kept=self.kept,
            failed=self.failed,
            frames=self.frames,
            wall_s=round(self._wall_s, 3),
            summary=str(self.summary),
        )

    @property
    def _wall_s(self) -> float:
        return time.monotonic() - self.started_s

    def __str__(self) -> str:
        """Return the counts as one line for people."""
        kept = f" ({self.kept} kept from before)" if self.kept else ""
        speed = f", {self.frames / self._wall_s:.1f} fps together" if self.frames else ""
        took = f"{counted(self.frames, 'frame')} in {clock_text(self._wall_s)}{speed}"
        return f"{self.complete} complete{kept}, {self.failed} failed, {took}; see {self.summary}"


def run_plan(
    plan: Plan, output: Path, runner: TrackItem, engine: Engine, existing: Existing, kind: ProgressKind
) -> BatchOutcome:
    """Run a plan, and return its outcome.

    `Stopped`: the person stopped it; `OutputError`: the results exist or cannot be written.
    """
    outcome = BatchOutcome(output / SUMMARY.format(plan.shard.suffix))
    events = run_batch(plan, output, runner, engine, existing)
    try:
        with PromptStop(), make_batch_reporter(kind, len(plan.items) + len(plan.problems), err) as reporter:
            try:
                for event in events:
                    outcome.take(event)
                    reporter.take(event)
            finally:
                events.close()
    except KeyboardInterrupt:
        raise Stopped(f"{outcome}; the same command with --resume does the rest") from None
    if kind is ProgressKind.JSON:
        outcome.say()
    elif kind is not ProgressKind.NONE:
        out.print(str(outcome), soft_wrap=True, markup=False)
    return outcome


# --- progress ------------------------------------------------------------------------------------


class BatchReporter(Shown):
    """Takes the events of a batch; this one shows only failures."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._noted: set[str] = set()

    def take(self, event: Event) -> None:
        """Show an event, or ignore it."""
        if isinstance(event, ItemFinished) and event.row.status is ItemStatus.FAILED:
            self._console.print(_end_text(event), soft_wrap=True)

    def _note(self, event: ItemFinished) -> None:
        """Print the remarks on an item, equal ones only once; `summary.csv` has all."""
        notes = event.row.notes
        if notes and notes not in self._noted:
            self._noted.add(notes)
            line = Text.assemble(("note: ", "yellow"), f"{event.row.id}: {notes}")
            self._console.print(line, soft_wrap=True)


def make_batch_reporter(kind: ProgressKind, items: int, console: Console) -> BatchReporter:
    """Return the reporter of this kind.

    `auto` is bars on a terminal and plain lines elsewhere, both on `console`; JSON lines go to standard
    output.
    """
    kind = kind.on(console)
    if kind is ProgressKind.RICH:
        return BatchBars(items, console)
    if kind is ProgressKind.PLAIN:
        return BatchLines(items, console)
    return BatchJson(console) if kind is ProgressKind.JSON else BatchReporter(console)


class BatchLines(BatchReporter):
    """A line for every item that ends, for logs and pipes."""

    def __init__(self, items: int, console: Console) -> None:
        super().__init__(console)
        self._items = items
        self._done = 0

    def take(self, event: Event) -> None:
        """Print an item that ended or is tried again."""
        if isinstance(event, ItemFinished):
            self._done += 1
            end = _end_text(event)
            self._console.print(Text(f"{self._done}/{self._items} ").append_text(end), soft_wrap=True)
            self._note(event)
        elif isinstance(event, ItemRetried):
            self._console.print(_retry_text(event), soft_wrap=True)


class BatchBars(BatchReporter):
    """A bar for the batch, and below it one for each busy worker."""

    def __init__(self, items: int, console: Console) -> None:
        super().__init__(console)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            expand=True,
        )
        self._all = self._progress.add_task("items", total=items, note="")
        self._bars: dict[str, TaskID] = {}
        self._meters: dict[str, Meter] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *about: object) -> None:
        """Leave the bar of the batch on screen, and remove those of the workers."""
        for bar in self._bars.values():
            self._progress.update(bar, visible=False)
        self._progress.stop()

    def take(self, event: Event) -> None:
        """Move the bars; print failures above them."""
        if isinstance(event, ItemStarted):
            self._start(event)
        elif isinstance(event, ItemAdvanced):
            self._advance(event)
        elif isinstance(event, ItemRetried):
            self._console.print(_retry_text(event), soft_wrap=True)
        else:
            self._finish(event)

    def _start(self, event: ItemStarted) -> None:
        bar = self._bars.get(event.worker)
        if bar is None:
            bar = self._bars[event.worker] = self._progress.add_task("", note="", visible=False)
        name = event.item_id if len(event.item_id) <= 32 else f"{event.item_id[:31]}…"
        self._meters[event.worker] = Meter(event.frames)
        self._progress.reset(bar, description=f"{event.worker}  {name}", total=event.frames, note="")
        self._progress.update(bar, visible=True)

    def _advance(self, event: ItemAdvanced) -> None:
        meter = self._meters[event.worker]
        meter.total = event.total
        meter.count_to(event.frames)
        fps = "" if meter.fps is None else f"{meter.fps:.1f} fps"
        left = "" if meter.left_s is None else f", ETA {clock_text(meter.left_s)}"
        self._progress.update(
            self._bars[event.worker], completed=event.frames, total=meter.total, note=fps + left
        )

    def _finish(self, event: ItemFinished) -> None:
        self._progress.advance(self._all)
        self._note(event)
        if event.worker in self._bars:
            self._progress.update(self._bars[event.worker], visible=False)
        super().take(event)


class BatchJson(BatchReporter):
    """JSON lines on standard output, for programs."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console)
        self._clock = clock
        self._next_s: dict[str, float] = {}

    def take(self, event: Event) -> None:
        """Print the event; progress of one worker at most every `LINE_EVERY_S` seconds."""
        if isinstance(event, ItemStarted):
            say_json("item_start", id=event.item_id, worker=event.worker, attempt=event.attempt)
        elif isinstance(event, ItemRetried):
            say_json("retry", id=event.item_id, worker=event.worker, reason=event.reason)
        elif isinstance(event, ItemFinished):
            say_json("item_end", worker=event.worker, kept=event.kept, **asdict(event.row))
        elif self._clock() >= self._next_s.get(event.worker, 0.0):
            self._next_s[event.worker] = self._clock() + LINE_EVERY_S
            say_json(
                "progress", id=event.item_id, worker=event.worker, frames=event.frames, total=event.total
            )


def _retry_text(event: ItemRetried) -> Text:
    return Text.assemble(("again: ", "yellow"), f"{event.item_id}: its worker {event.reason}")


def _end_text(event: ItemFinished) -> Text:
    row = event.row
    if row.status is ItemStatus.FAILED:
        kept = f" ({counted(row.frames, 'frame')} kept)" if row.frames else ""
        return Text.assemble(("failed: ", "bold red"), f"{row.id}: {row.error}{kept}")
    what = "kept" if event.kept else "done"
    return Text(f"{what}: {row.id}: {_figures(row)}")


def _figures(row: SummaryRow) -> str:
    parts = [counted(row.frames, "frame")]
    parts += [] if row.fps is None else [f"{row.fps:.1f} fps"]
    parts += [] if row.mean_score is None else [f"score {row.mean_score:.2f}"]
    return ", ".join(parts)
