"""Runs the plan of a batch with progress on the terminal."""

from __future__ import annotations

from pathlib import Path

from dmtrack.batch.plan import Plan
from dmtrack.batch.run import Existing, run_batch
from dmtrack.batch.summary import SUMMARY
from dmtrack.batch.track_item import TrackItem
from dmtrack.batch.work import Engine
from dmtrack_cli.batch_outcome import BatchOutcome
from dmtrack_cli.batch_progress import make_batch_reporter
from dmtrack_cli.console import Stopped, err, out
from dmtrack_cli.interrupt import PromptStop
from dmtrack_cli.progress import ProgressKind


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
