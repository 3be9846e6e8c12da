"""Runs the plan of a batch with progress on the terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from dmtrack.batch.plan import Plan
from dmtrack.batch.run import Existing, run_batch
from dmtrack.batch.summary import SUMMARY, ItemStatus
from dmtrack.batch.track_item import TrackItem
from dmtrack.batch.work import Engine, Event, ItemFinished
from dmtrack.errors import counted
from dmtrack_cli.batch_progress import make_batch_reporter
from dmtrack_cli.console import Stopped, err, out
from dmtrack_cli.interrupt import PromptStop
from dmtrack_cli.progress import ProgressKind, clock_text, say_json


@dataclass(slots=True)
class BatchOutcome:
    """Counts what ends.

    Attributes:
        summary: Where `summary.csv` is.
        complete: Items with whole results, kept ones included.
        kept: Items whose results of an earlier run were still right.
        failed: Items without whole results, those that could not be begun included.
        frames: Frames tracked in this run.
    """

    summary: Path
    complete: int = 0
    kept: int = 0
    failed: int = 0
    frames: int = 0
    started_s: float = field(default_factory=time.monotonic)

    def take(self, event: Event) -> None:
        """Take note of an item that has ended."""
        if not isinstance(event, ItemFinished):
            return
        self.complete += event.row.status is ItemStatus.COMPLETE
        self.failed += event.row.status is ItemStatus.FAILED
        self.kept += event.kept
        self.frames += 0 if event.kept else event.row.frames

    def say(self) -> None:
        """Print a line of JSON."""
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
        """Return one line for people."""
        kept = f" ({self.kept} kept from before)" if self.kept else ""
        speed = f", {self.frames / self._wall_s:.1f} fps together" if self.frames else ""
        took = f"{counted(self.frames, 'frame')} in {clock_text(self._wall_s)}{speed}"
        return f"{self.complete} complete{kept}, {self.failed} failed, {took}; see {self.summary}"


def run_plan(
    plan: Plan, output: Path, runner: TrackItem, engine: Engine, existing: Existing, kind: ProgressKind
) -> BatchOutcome:
    """Do what a plan says, and return how it went.

    Raises:
        Stopped: The person stopped it.
        OutputError: The results exist or cannot be written.
    """
    outcome = BatchOutcome(output / SUMMARY.format(plan.shard.suffix))
    events = run_batch(plan, output, runner, engine, existing)
    try:
        with (
            PromptStop(),
            make_batch_reporter(kind, len(plan.items) + len(plan.problems), err) as reporter,
        ):
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
