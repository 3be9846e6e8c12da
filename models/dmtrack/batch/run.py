"""`run_batch`: carry out a plan, keep existing results that are complete, write `summary.csv`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator
from dataclasses import astuple, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from dmtrack.atomic import os_errors_translated, prepare_folder, refuse_input, utf8, write_atomically
from dmtrack.batch.item import BatchItem, Problem
from dmtrack.batch.plan import Plan, PlannedItem
from dmtrack.batch.result_folder import batch_lock, require_replaceable, require_uncorrected, sweep
from dmtrack.batch.summary import COLUMNS, SUMMARY, ItemStatus, SummaryRow
from dmtrack.batch.work import (
    Engine,
    EngineEvent,
    Event,
    ItemFinished,
    Outcome,
    Runner,
    Task,
    TaskDone,
    is_complete,
    mark_of,
)
from dmtrack.errors import DmtrackError, OutputError, printable
from dmtrack.output.csv_text import csv_text

_SAVE_EVERY_S: Final = 5.0


class Existing(StrEnum):
    """What to do about existing results."""

    REFUSE = "refuse"
    RESUME = "resume"
    OVERWRITE = "overwrite"


def run_batch(
    plan: Plan, output: Path | str, runner: Runner, engine: Engine, existing: Existing = Existing.REFUSE
) -> Generator[Event]:
    """Track every item of a plan into a folder of its own below `output`.

    A failed item does not stop the others. `summary.csv` is kept up to date and is complete at the end.
    Ending the iteration early (or Ctrl-C) stops the workers; complete results stay, and `Existing.RESUME`
    does the rest.

    `RESUME` keeps complete results whose inputs and options have not changed. Events are yielded, among them
    exactly one `ItemFinished` for each item and problem. `OutputError`: there are results and `existing` is
    `REFUSE`, another batch is running in `output`, or it cannot be written to.
    """
    output = Path(output)
    prepare_folder(output)
    with batch_lock(output, plan.shard):
        run = _Run(plan, output, runner, existing)
        run.refuse_existing()
        run.sweep()
        try:
            yield from run.settled()
            with contextlib.closing(engine.run(run.tasks, runner)) as events:
                for event in events:
                    yield run.noted(event)
        finally:
            run.sweep()
            run.save()


def as_resumed(plan: Plan, output: Path | str, runner: Runner) -> Plan:
    """Return a plan as `Existing.RESUME` would find it: kept items are marked, obstacles become problems.

    Nothing is written.
    """
    run = _Run(plan, Path(output), runner, Existing.RESUME)
    begun = [(planned, run.begin(planned)) for planned in plan.items]
    return replace(
        plan,
        items=tuple(
            replace(planned, is_kept=done is not None) for planned, done in begun if done is None or done.kept
        ),
        problems=(
            *plan.problems,
            *(
                Problem(done.row.id, done.row.error)
                for _, done in begun
                if done is not None and not done.kept
            ),
        ),
    )


def refuse_results(plan: Plan, output: Path) -> None:
    """Raise an `OutputError` if results of a plan are in `output`, as `Existing.REFUSE` does."""
    folders = (output / planned.folder for planned in plan.items)
    for path in (output / SUMMARY.format(plan.shard.suffix), *folders):
        with os_errors_translated(path):
            is_there = path.exists()
        if is_there:
            raise OutputError(
                "there are results already",
                where=path,
                hint="--resume does what is missing or has changed, --overwrite does everything",
            )


class _Run:
    """The rows of the summary so far, and the remaining tasks."""

    def __init__(self, plan: Plan, output: Path, runner: Runner, existing: Existing) -> None:
        self._plan = plan
        self._output = output
        self._runner = runner
        self._existing = existing
        self._summary = output / SUMMARY.format(plan.shard.suffix)
        not_run = [SummaryRow(planned.item.id, ItemStatus.NOT_RUN) for planned in plan.items]
        self._rows = [*not_run, *(SummaryRow.of_problem(problem) for problem in plan.problems)]
        self._place = {planned.folder: index for index, planned in enumerate(plan.items)}
        self._saved_s = time.monotonic()
        self.tasks: list[Task] = []

    def refuse_existing(self) -> None:
        """Raise an `OutputError` if there are results and `existing` is `REFUSE`."""
        refuse_input(self._summary)
        if self._existing is Existing.REFUSE:
            refuse_results(self._plan, self._output)

    def sweep(self) -> None:
        """Delete what killed attempts have left; a shard only deletes leftovers of its own items."""
        sweep(self._output, None if self._plan.shard.is_whole else self._place)

    def settled(self) -> Iterator[ItemFinished]:
        """Yield the items that need no work, and collect tasks for the others."""
        for problem in self._plan.problems:
            yield ItemFinished(SummaryRow.of_problem(problem))
        for planned in self._plan.items:
            finished = self.begin(planned)
            if finished is not None:
                yield finished

    def begin(self, planned: PlannedItem) -> ItemFinished | None:
        """Return how an item ended that needs no work, or cannot be done; None if it became a task."""
        item, folder = _absolute(planned.item), self._output.absolute() / planned.folder
        try:
            mark = mark_of(item, self._runner.options(planned.modality))
            require_replaceable(folder)
            if self._existing is Existing.RESUME:
                if is_complete(folder, mark):
                    with contextlib.suppress(DmtrackError):  # damaged results are made again
                        return self._finished(folder, SummaryRow.of_results(item.id, folder), kept=True)
                require_uncorrected(folder, item)
        except DmtrackError as error:
            problem = Problem(item.id, printable(str(error)), item.origin)
            return self._finished(folder, SummaryRow.of_problem(problem))
        self.tasks.append(Task(item, folder, mark, planned.frames))
        return None

    def noted(self, event: EngineEvent) -> Event:
        """Record an event of the engine, and return the event to yield."""
        if not isinstance(event, TaskDone):
            return event
        row = _row(event.task, event.outcome)
        finished = self._finished(event.task.folder, row, worker=event.worker)
        if time.monotonic() - self._saved_s > _SAVE_EVERY_S:
            self.save()
        return finished

    def save(self) -> None:
        """Write the present summary."""
        write_atomically(self._summary, utf8(csv_text([COLUMNS, *map(astuple, self._rows)])))
        self._saved_s = time.monotonic()

    def _finished(
        self, folder: Path, row: SummaryRow, worker: str | None = None, *, kept: bool = False
    ) -> ItemFinished:
        self._rows[self._place[folder.name]] = row
        return ItemFinished(row, worker, kept)


def _absolute(item: BatchItem) -> BatchItem:
    """Return the item with absolute paths, for other machines."""
    return replace(
        item,
        rgb=item.rgb.absolute(),
        aux=None if item.aux is None else item.aux.absolute(),
        box_files=tuple(path.absolute() for path in item.box_files),
        align=None if item.align is None else item.align.absolute(),
        detections=None if item.detections is None else item.detections.absolute(),
    )


def _row(task: Task, outcome: Outcome) -> SummaryRow:
    item = task.item
    reason = str(Problem(item.id, outcome.error, item.origin)) if outcome.error else ""
    if reason and not outcome.partial:
        return SummaryRow(item.id, ItemStatus.FAILED, error=reason)
    try:
        return SummaryRow.of_results(item.id, task.folder, reason)
    except DmtrackError as error:
        return SummaryRow(item.id, ItemStatus.FAILED, error=reason or printable(str(error)))
