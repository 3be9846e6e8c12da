"""What a batch says while it goes on."""

from __future__ import annotations

from dataclasses import dataclass

from dmtrack.batch.summary import SummaryRow
from dmtrack.batch.work import Outcome, Task


@dataclass(frozen=True, slots=True)
class ItemStarted:
    """A worker has taken an item; `attempt` counts from 1."""

    item_id: str
    worker: str
    attempt: int
    frames: int | None


@dataclass(frozen=True, slots=True)
class ItemAdvanced:
    """So many frames of an item are done, out of `total` if that is known."""

    item_id: str
    worker: str
    frames: int
    total: int | None


@dataclass(frozen=True, slots=True)
class ItemRetried:
    """The worker of an item died; the item is tried again."""

    item_id: str
    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class ItemFinished:
    """An item is done, well or not.

    Attributes:
        row: What `summary.csv` says of it.
        worker: Who did it; None for a problem known before, and for kept results.
        kept: Results of an earlier run were still right.
    """

    row: SummaryRow
    worker: str | None = None
    kept: bool = False


@dataclass(frozen=True, slots=True)
class TaskDone:
    """What an engine says at the end of a task; `run_batch` makes an `ItemFinished` of it."""

    task: Task
    outcome: Outcome
    worker: str


EngineEvent = ItemStarted | ItemAdvanced | ItemRetried | TaskDone
Event = ItemStarted | ItemAdvanced | ItemRetried | ItemFinished
