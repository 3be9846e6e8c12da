"""One item's work, the same in every engine: into a temporary folder, renamed when whole."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dmtrack.batch.item import BatchItem, printable
from dmtrack.batch.mark import BatchMark
from dmtrack.batch.result_folder import publish_folder, scratch_path
from dmtrack.errors import DmtrackError
from dmtrack.output.atomic import os_errors_translated
from dmtrack.output.record import RECORD
from dmtrack.video.frame import Modality

_log = logging.getLogger(__name__)

Report = Callable[[int, int | None], None]
"""Is told how many frames are done, and how many there are, if that is known."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item is tracked.

    Attributes:
        device: Of the network.
        threads: Of the network on a CPU, at most.
        tuned: Whether fewer threads are used where that is found to be faster.
    """

    device: str = "cpu"
    threads: int = 1
    tuned: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """An item on its way to a worker.

    Attributes:
        item: What to track.
        folder: Where its results go.
        mark: What its `run.json` must carry as `batch`.
        frames: How many frames are expected.
    """

    item: BatchItem
    folder: Path
    mark: BatchMark
    frames: int | None = None


class Runner(Protocol):
    """Tracks one item; is sent to worker processes, so it must be picklable."""

    def options(self, modality: Modality | None) -> object:
        """Return what decides results besides the item, as dataclasses or plain values: it is hashed.

        Args:
            modality: What the item's second stream measures; None without one.

        Raises:
            DmtrackError: Such an item cannot be tracked, for want of weights.
        """

    def __call__(self, task: Task, folder: Path, place: Place, report: Report) -> None:
        """Track `task.item` and write its results into `folder`.

        They must include a `run.json` that carries `task.mark` as `batch`, and a `boxes.csv`.

        Raises:
            DmtrackError: It cannot be done; what is in the folder by then is valid.
            KeyboardInterrupt: It was stopped from outside.
        """


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        error: Why it failed; empty if it did not.
        partial: It failed, but a valid part of the results is there.
        interrupted: It was stopped from outside; nothing is there.
    """

    error: str = ""
    partial: bool = False
    interrupted: bool = False


def execute(task: Task, runner: Runner, place: Place, report: Report) -> Outcome:
    """Do one item; whatever is wrong with it becomes an `Outcome`.

    A failure that leaves a valid part of the results (a recording damaged half way) keeps that part; a
    failure that leaves nothing does not touch results of an earlier run.
    """
    scratch = scratch_path(task.folder)
    try:
        with os_errors_translated(scratch):
            scratch.mkdir(parents=True)
        runner(task, scratch, place, report)
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
