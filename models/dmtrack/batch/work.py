"""One item's work, the same in every engine: into a temporary folder, renamed when whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dmtrack.atomic import os_errors_translated
from dmtrack.batch.item import BatchItem
from dmtrack.batch.result_folder import publish_folder, scratch_path
from dmtrack.batch.summary import SummaryRow
from dmtrack.datasets.ground_truth import find_ground_truth
from dmtrack.errors import DmtrackError, InputError, printable, translated
from dmtrack.output.record import RECORD, RunStatus, read_run_json, to_json
from dmtrack.video.frame import Modality
from dmtrack.video.picture_list import list_images


@dataclass(frozen=True, slots=True)
class StreamStamp:
    """How a stream looked from outside when its item was begun."""

    role: str  # `rgb` or `aux`
    name: str  # of the file or folder, without where it lies: a data set may move
    files: int  # 1, or the number of pictures
    size_bytes: int  # of all files together
    mtime_ns: int  # of the file changed last

    @classmethod
    def of(cls, role: str, path: Path) -> StreamStamp:
        """Look at a video file or a folder of pictures; `InputError` where it cannot be looked at."""
        with translated(InputError, "cannot be read", where=path):
            stats = [file.stat() for file in (list_images(path) if path.is_dir() else [path])]
        size_bytes = sum(stat.st_size for stat in stats)
        return cls(role, path.name, len(stats), size_bytes, max(stat.st_mtime_ns for stat in stats))


@dataclass(frozen=True, slots=True)
class BatchMark:
    """What was asked for; equal marks, equal results."""

    item: str  # the item's id
    streams: tuple[StreamStamp, ...]  # the inputs
    # Hash of everything else that decides the result: boxes (also those in files), start, end, offset,
    # and the options of the batch
    options_sha256: str


def mark_of(item: BatchItem, options: object) -> BatchMark:
    """Return the mark of an item as things are now.

    `options` are those of the batch that decide results, as dataclasses or plain values. `InputError`: a
    stream or a box file cannot be read.
    """
    streams = [StreamStamp.of("rgb", item.rgb)]
    if item.aux is not None:
        streams.append(StreamStamp.of("aux", item.aux))
    asked = [item.modality, item.boxes, item.start, item.end, item.offset_s, list(_digests(item)), options]
    text = json.dumps(to_json(asked), sort_keys=True)
    return BatchMark(item.id, tuple(streams), hashlib.sha256(text.encode()).hexdigest())


def _digests(item: BatchItem) -> Iterator[str]:
    is_given = item.boxes or item.box_files or item.detections
    files = item.box_files if is_given else find_ground_truth(item.rgb)
    seen = [] if item.detections is None else [item.detections]
    if item.detections is not None and item.detections.is_dir():
        seen = sorted(path for path in item.detections.rglob("*.txt") if path.is_file())
    for path in (*files, *([item.align] if item.align else []), *seen):
        with translated(InputError, "cannot be read", where=path):
            data = path.read_bytes()
        yield hashlib.sha256(data).hexdigest()


def is_complete(folder: Path, mark: BatchMark) -> bool:
    """Return whether `folder` holds whole results of exactly what `mark` asks for."""
    try:
        record = read_run_json(folder / RECORD)
    except DmtrackError:
        return False
    outputs = record.get("outputs")
    return (
        record["status"] == RunStatus.COMPLETE
        and record.get("batch") == to_json(mark)
        and isinstance(outputs, list)
        and all((folder / str(name)).is_file() for name in outputs)
    )


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
    """An item is done, well or not."""

    row: SummaryRow  # what `summary.csv` says of it
    worker: str | None = None  # who did it; None for a problem known before, and for kept results
    kept: bool = False  # results of an earlier run were still right


@dataclass(frozen=True, slots=True)
class TaskDone:
    """What an engine says at the end of a task; `run_batch` makes an `ItemFinished` of it."""

    task: Task
    outcome: Outcome
    worker: str


EngineEvent = ItemStarted | ItemAdvanced | ItemRetried | TaskDone
Event = ItemStarted | ItemAdvanced | ItemRetried | ItemFinished


_log = logging.getLogger(__name__)

Report = Callable[[int, int | None], None]
"""Is told how many frames are done, and how many there are, if that is known."""


@dataclass(frozen=True, slots=True)
class WorkerSlot:
    """Where items are tracked, one at a time."""

    name: str = "here"  # for people
    device: str = "cpu"  # of the network
    threads: int = 1  # of the network on a CPU


@dataclass(frozen=True, slots=True)
class Task:
    """An item on its way to a worker."""

    item: BatchItem  # what to track
    folder: Path  # where its results go
    mark: BatchMark  # what its `run.json` must carry as `batch`
    frames: int | None = None  # how many frames are expected


class Runner(Protocol):
    """Tracks one item; is sent to worker processes, so it must be picklable."""

    def options(self, modality: Modality | None) -> object:
        """Return what decides results besides the item, as dataclasses or plain values: it is hashed.

        `DmtrackError`: such an item cannot be tracked, for want of weights.
        """

    def __call__(self, task: Task, folder: Path, slot: WorkerSlot, report: Report) -> None:
        """Track `task.item` and write its results into `folder`.

        They must include a `run.json` that carries `task.mark` as `batch`, and a `boxes.csv`. `DmtrackError`:
        it cannot be done, but what is in the folder by then is valid; `KeyboardInterrupt`: it was stopped.
        """


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended."""

    error: str = ""  # why it failed; empty if it did not
    partial: bool = False  # it failed, but a valid part of the results is there
    interrupted: bool = False  # it was stopped from outside; nothing is there


def execute(task: Task, runner: Runner, slot: WorkerSlot, report: Report) -> Outcome:
    """Do one item; whatever is wrong with it becomes an `Outcome`.

    A failure that leaves a valid part of the results (a recording damaged half way) keeps that part; a
    failure that leaves nothing does not touch results of an earlier run.
    """
    scratch = scratch_path(task.folder)
    try:
        with os_errors_translated(scratch):
            scratch.mkdir(parents=True)
        runner(task, scratch, slot, report)
        publish_folder(scratch, task.folder)
    except KeyboardInterrupt:
        return Outcome("stopped", interrupted=True)
    except DmtrackError as error:
        return _failed(task, scratch, str(error))
    except Exception as error:  # noqa: BLE001 - one item's defect must not end the others
        _log.debug("%s", task.item.id, exc_info=error)
        return _failed(task, scratch, f"unexpected {type(error).__name__}: {error}; please report this")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Outcome()


def _failed(task: Task, scratch: Path, reason: str) -> Outcome:
    said = printable(reason.replace(str(scratch), str(task.folder)))
    if (scratch / RECORD).is_file():
        with contextlib.suppress(DmtrackError):
            publish_folder(scratch, task.folder)
            return Outcome(said, partial=True)
    return Outcome(said)


class Engine(Protocol):
    """Runs tasks somewhere."""

    def run(self, tasks: Sequence[Task], runner: Runner) -> Generator[EngineEvent]:
        """Do all tasks in an order of the engine's choice, and tell what happens: one `TaskDone` a task."""
