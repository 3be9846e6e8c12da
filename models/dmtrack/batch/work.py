"""The work on one item, the same in every engine: into a temporary folder, renamed when complete."""

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
from dmtrack.video.pictures.picture_list import list_images


@dataclass(frozen=True, slots=True)
class StreamStamp:
    """Name, size and time of a stream when work on its item began."""

    role: str  # `rgb` or `aux`
    name: str  # of the file or folder, without its path: a data set may move
    files: int  # 1, or the number of pictures
    size_bytes: int  # of all files together
    mtime_ns: int  # of the file changed last

    @classmethod
    def of(cls, role: str, path: Path) -> StreamStamp:
        """Inspect a video file or a folder of pictures; `InputError` if that fails."""
        with translated(InputError, "cannot be read", where=path):
            stats = [file.stat() for file in (list_images(path) if path.is_dir() else [path])]
        size_bytes = sum(stat.st_size for stat in stats)
        return cls(role, path.name, len(stats), size_bytes, max(stat.st_mtime_ns for stat in stats))


@dataclass(frozen=True, slots=True)
class BatchMark:
    """Everything that decides an item's results; equal marks, equal results."""

    item: str  # the item's id
    streams: tuple[StreamStamp, ...]  # the inputs
    # Hash of everything else that decides the result: boxes (also those in files), start, end, offset,
    # and the options of the batch
    options_sha256: str


def mark_of(item: BatchItem, options: object) -> BatchMark:
    """Return the present mark of an item.

    `options` are the batch's options that decide results, as dataclasses or plain values. `InputError`: a
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
    """Return whether `folder` holds complete results for exactly this mark."""
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
    """`frames` frames of an item are done, out of `total` if that is known."""

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
    """An item is done, successfully or not."""

    row: SummaryRow  # its row in `summary.csv`
    worker: str | None = None  # None for a problem known before, and for kept results
    kept: bool = False  # whether results of an earlier run were kept


@dataclass(frozen=True, slots=True)
class TaskDone:
    """An engine's event at the end of a task, which `run_batch` turns into an `ItemFinished`."""

    task: Task
    outcome: Outcome
    worker: str


EngineEvent = ItemStarted | ItemAdvanced | ItemRetried | TaskDone
Event = ItemStarted | ItemAdvanced | ItemRetried | ItemFinished


_log = logging.getLogger(__name__)

Report = Callable[[int, int | None], None]
"""Called with the number of frames done, and the total if that is known."""


@dataclass(frozen=True, slots=True)
class WorkerSlot:
    """A place where items are tracked, one at a time."""

    name: str = "here"  # for people
    device: str = "cpu"  # of the network
    threads: int = 1  # of the network on a CPU


@dataclass(frozen=True, slots=True)
class Task:
    """An item on its way to a worker."""

    item: BatchItem
    folder: Path  # for its results
    mark: BatchMark  # to be stored in `run.json` as `batch`
    frames: int | None = None  # expected number of frames


class Runner(Protocol):
    """Tracks one item; it is sent to worker processes, so it must be picklable."""

    def options(self, modality: Modality | None) -> object:
        """Return what decides results besides the item, as dataclasses or plain values, for a hash.

        `DmtrackError`: items of this modality cannot be tracked, because there are no weights.
        """

    def __call__(self, task: Task, folder: Path, slot: WorkerSlot, report: Report) -> None:
        """Track `task.item` and write its results into `folder`.

        They must include a `run.json` with `task.mark` as `batch`, and a `boxes.csv`. `DmtrackError`: it
        failed, but what is in the folder is valid; `KeyboardInterrupt`: it was stopped.
        """


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended."""

    error: str = ""  # why it failed; empty if it succeeded
    partial: bool = False  # it failed, but left a valid part of the results
    interrupted: bool = False  # it was stopped from outside, and left nothing


def execute(task: Task, runner: Runner, slot: WorkerSlot, report: Report) -> Outcome:
    """Do one item; every error becomes an `Outcome`.

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
    except Exception as error:  # noqa: BLE001 - a defect in one item must not end the others
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
        """Do all tasks in any order, and yield events: one `TaskDone` for each task."""
