"""`LocalEngine`: worker processes on this machine, and a queue with the longest item first.

A worker that dies (out of memory, killed) is replaced, and its item is tried once more.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Final

from dmtrack.batch.result_folder import sweep
from dmtrack.batch.work import (
    EngineEvent,
    ItemAdvanced,
    ItemRetried,
    ItemStarted,
    Outcome,
    Runner,
    Task,
    TaskDone,
    WorkerSlot,
    execute,
)

_REPORT_EVERY_S: Final = 0.25


Message = ItemAdvanced | logging.LogRecord | Outcome


class _PipeEnd:
    """The worker's end of the pipe; log records may come from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._next_s = 0.0

    def send(self, message: Message) -> None:
        # An error means that the parent is gone or stopping, and this process is about to end.
        with self._lock, contextlib.suppress(OSError):
            self._connection.send(message)

    def report(self, item_id: str, worker: str, frames: int, total: int | None) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + _REPORT_EVERY_S
            self.send(ItemAdvanced(item_id, worker, frames, total))


class _Forward(logging.Handler):
    def __init__(self, pipe: _PipeEnd) -> None:
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"name": record.name, "levelno": record.levelno, "msg": record.getMessage()}
        self._pipe.send(logging.makeLogRecord(fields))  # other attributes of a record may not be picklable


def serve(connection: Connection, runner: Runner, slot: WorkerSlot, log_level: int) -> None:
    """Do tasks until the pipe closes, or exit at once when the parent process dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent, which stops us
    threading.Thread(target=_die_with_parent, daemon=True).start()
    pipe = _PipeEnd(connection)
    logger = logging.getLogger("dmtrack")
    logger.addHandler(_Forward(pipe))
    logger.propagate = False
    logger.setLevel(log_level)
    import cv2

    cv2.setNumThreads(slot.threads)
    while True:
        try:
            task: Task = connection.recv()
        except (EOFError, OSError):
            return
        outcome = execute(task, runner, slot, partial(pipe.report, task.item.id, slot.name))
        pipe.send(outcome)
        if outcome.interrupted:
            return


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # without cleaning up: the next run must not find this process at work


_ATTEMPTS: Final = 2
_STOP_S: Final = 10.0  # time for a worker to stop between two frames before it is killed


@dataclass(frozen=True, slots=True)
class _Job:
    """A task and the number of the attempt, from 1."""

    task: Task
    attempt: int = 1


def longest_first(tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks, longest first, so that no long one runs alone at the end.

    Tasks of unknown length come first: they may be long.
    """
    return sorted(tasks, key=lambda task: -(float("inf") if task.frames is None else task.frames))


class LocalEngine:
    """Runs tasks in processes on this machine.

    There is one process for each slot, but no more than there are tasks.
    """

    def __init__(self, slots: Sequence[WorkerSlot]) -> None:
        self._slots = list(slots)

    def run(self, tasks: Sequence[Task], runner: Runner) -> Generator[EngineEvent]:
        """Do all tasks, as `Engine.run`; ending the iteration early stops the workers."""
        queue = deque(_Job(task) for task in longest_first(tasks))
        workers = [_Worker(slot, runner) for slot in self._slots[: len(queue)]]
        try:
            while queue or any(worker.job for worker in workers):
                for worker in workers:
                    if worker.job is None and queue:
                        yield worker.give(queue.popleft())
                yield from _events(workers, queue)
        finally:
            _stop(workers)


def _events(workers: Sequence[_Worker], queue: deque[_Job]) -> Iterator[EngineEvent]:
    """Wait until a worker sends a message or dies, and yield the events that follow."""
    busy = [worker for worker in workers if worker.job is not None]
    with contextlib.suppress(InterruptedError):  # Ctrl-C on Windows, whose handler then runs
        # The process too: on Windows the pipe of one that dies while starting stays open.
        wait([end for worker in busy for end in (worker.connection, worker.process.sentinel)])
    for worker in busy:
        job, is_alive = worker.job, worker.process.is_alive()
        if job is None:
            continue
        try:
            if is_alive and not worker.connection.poll():
                continue
            message = worker.said()
        except (EOFError, OSError):
            reason = worker.replace()
            sweep(job.task.folder.parent, [job.task.folder.name])
            yield _lost(job, reason, worker.name, queue)
            continue
        if isinstance(message, ItemAdvanced):
            yield message
        elif isinstance(message, logging.LogRecord):
            logger = logging.getLogger(message.name)
            logger.log(message.levelno, "%s: %s", job.task.item.id, message.msg)
        else:
            worker.job = None
            if message.interrupted:
                worker.replace()
                yield _lost(job, "was stopped from outside", worker.name, queue)
            else:
                yield TaskDone(job.task, message, worker.name)


def _lost(job: _Job, reason: str, worker: str, queue: deque[_Job]) -> EngineEvent:
    if job.attempt < _ATTEMPTS:
        queue.appendleft(_Job(job.task, job.attempt + 1))
        return ItemRetried(job.task.item.id, worker, reason)
    failure = f"its worker process {reason}, twice; is there enough memory for so many jobs?"
    return TaskDone(job.task, Outcome(failure), worker)


class _Worker:
    """A slot and its present process."""

    def __init__(self, slot: WorkerSlot, runner: Runner) -> None:
        self._slot = slot
        self._runner = runner
        self.job: _Job | None = None
        self.connection, self.process = self._start()

    @property
    def name(self) -> str:
        return self._slot.name

    def give(self, job: _Job) -> ItemStarted:
        """Send a task; a process that has already died is noticed when it is waited for."""
        self.job = job
        with contextlib.suppress(OSError):
            self.connection.send(job.task)
        return ItemStarted(job.task.item.id, self.name, job.attempt, job.task.frames)

    def said(self) -> Message:
        """Return its next message; `EOFError` or `OSError` if it is gone and has no more messages."""
        if not self.connection.poll():
            raise EOFError
        message: Message = self.connection.recv()
        return message

    def replace(self) -> str:
        """Start a new process in place of one that died, and return how that ended."""
        self.process.join(_STOP_S)
        code = self.process.exitcode
        self.job = None
        self.close()
        self.connection, self.process = self._start()
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def close(self, deadline_s: float = 0.0) -> None:
        """Wait for the process until the deadline, then kill it."""
        self.process.join(max(0.0, deadline_s - time.monotonic()))
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()
        self.process.close()

    def _start(self) -> tuple[Connection, multiprocessing.process.BaseProcess]:
        context = multiprocessing.get_context("spawn")  # CUDA and threads do not survive a fork
        ours, theirs = context.Pipe()
        process = context.Process(
            target=serve,
            args=(theirs, self._runner, self._slot, logging.getLogger("dmtrack").getEffectiveLevel()),
            name=f"dmtrack {self._slot.name}",
            daemon=True,
        )
        with _ctrl_c_ignored():
            process.start()
        theirs.close()  # so that the pipe ends with the process
        return ours, process


@contextlib.contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Start processes with Ctrl-C ignored: the parent stops them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _stop(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()  # a busy one stops between two frames, an idle one at once
    deadline_s = time.monotonic() + _STOP_S
    for worker in workers:
        worker.close(deadline_s)
