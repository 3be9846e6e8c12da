"""A worker process: takes tasks from a pipe one after the other and says how they go."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

from dmtrack.batch.slots import Slot
from dmtrack.batch.work import Outcome, Runner, Task, execute

_REPORT_EVERY_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Advanced:
    """Frames done, and how many there are."""

    frames: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Logged:
    """A log record of the worker, for the log of the batch."""

    logger: str
    level: int
    message: str


Message = Advanced | Logged | Outcome


class _Line:
    """The worker's end of the pipe; log records may come from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._next_s = 0.0

    def send(self, message: Message) -> None:
        # Without a reader the parent is gone or stopping, and this process is about to end.
        with self._lock, contextlib.suppress(OSError):
            self._connection.send(message)

    def report(self, frames: int, total: int | None) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + _REPORT_EVERY_S
            self.send(Advanced(frames, total))


class _Forward(logging.Handler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        self._line.send(Logged(record.name, record.levelno, record.getMessage()))


def serve(connection: Connection, runner: Runner, slot: Slot, log_level: int) -> None:
    """Do tasks until the pipe closes. Dies at once when the process that started it dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the business of the parent, which ends us
    threading.Thread(target=_die_with_parent, daemon=True).start()
    line = _Line(connection)
    logger = logging.getLogger("dmtrack")
    logger.addHandler(_Forward(line))
    logger.propagate = False
    logger.setLevel(log_level)
    _limit_threads(slot.place.threads)
    while True:
        try:
            task: Task = connection.recv()
        except (EOFError, OSError):
            return
        outcome = execute(task, runner, slot.place, line.report)
        line.send(outcome)
        if outcome.interrupted:
            return


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # nobody is left to clean up for, and the next run must not find us at work


def _limit_threads(threads: int) -> None:
    import cv2

    cv2.setNumThreads(threads)
