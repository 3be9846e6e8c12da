"""`RayEngine`: the same items on the machines of a Ray cluster that is there already.

One Ray task an item, with its CPUs and GPUs declared; Ray queues, places and retries. Inputs and results
must lie in a folder that every machine sees under the same path; that is checked, not assumed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import socket
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from dmtrack.atomic import os_errors_translated
from dmtrack.batch.local import longest_first
from dmtrack.batch.result_folder import scratch_path, sweep
from dmtrack.batch.work import EngineEvent, ItemStarted, Outcome, Runner, Task, TaskDone, WorkerSlot, execute
from dmtrack.errors import ConfigError, library_needed

_POLL_S: Final = 1.0
_RETRIES: Final = 1
_KNOCK_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Token:
    """A file that shows whether a machine sees the folder of results."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class _Report:
    """What comes back from a machine."""

    outcome: Outcome
    node: str


class RayEngine:
    """Runs tasks on an existing Ray cluster (`pip install "dmtrack[ray]"`).

    Args:
        address: Of the head (`HOST:PORT`); `auto` takes the cluster this machine belongs to, or the one
            in `RAY_ADDRESS`.
        cpus: Cores of a task; its network has as many threads.
        tasks_per_gpu: How many tasks share a GPU, where the cluster has any; 0: they need none.

    Raises:
        ConfigError: Ray is not installed.
    """

    def __init__(self, address: str = "auto", cpus: int = 1, tasks_per_gpu: int = 1) -> None:
        self._address, self._cpus, self._tasks_per_gpu = address, cpus, tasks_per_gpu
        self._ray = _import_ray()

    def run(self, tasks: Sequence[Task], runner: Runner) -> Generator[EngineEvent]:
        """Do all tasks, as `Engine.run`; ending the iteration early cancels them.

        Raises:
            ConfigError: The cluster cannot be reached.
            OutputError: The folder of results cannot be written to.
        """
        if not tasks:
            return
        with _connected(self._ray, self._address), _token(tasks[0].folder) as token:
            yield from self._run(tasks, runner, token)

    def _run(self, tasks: Sequence[Task], runner: Runner, token: _Token) -> Generator[EngineEvent]:
        slot = self._slot()
        remote = self._ray.remote(_on_a_node).options(
            num_cpus=self._cpus, num_gpus=self._gpus(), max_retries=_RETRIES, name="dmtrack item"
        )
        running: dict[Any, Task] = {
            remote.remote(task, runner, slot, token): task for task in longest_first(tasks)
        }
        try:
            for task in running.values():
                yield ItemStarted(task.item.id, "ray", 1, task.frames)
            while running:
                done, _ = self._ray.wait(list(running), timeout=_POLL_S)
                for reference in done:
                    yield self._finished(reference, running.pop(reference))
        finally:
            for reference in running:
                self._ray.cancel(reference, force=True)

    def _finished(self, reference: Any, task: Task) -> TaskDone:  # noqa: ANN401 - Ray is not typed for us
        try:
            report: _Report = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            sweep(task.folder.parent, [task.folder.name])
            first = str(error).strip().splitlines()[0]
            return TaskDone(task, Outcome(f"the cluster could not do it ({first})"), "ray")
        return TaskDone(task, report.outcome, report.node)

    def _gpus(self) -> float:
        has_gpus = self._tasks_per_gpu and self._ray.cluster_resources().get("GPU", 0) > 0
        return 1 / self._tasks_per_gpu if has_gpus else 0

    def _slot(self) -> WorkerSlot:
        # Ray shows a task only the GPU it was given, which is then the first one.
        return WorkerSlot("ray", "cuda:0" if self._gpus() else "cpu", self._cpus)


def _import_ray() -> ModuleType:
    with library_needed("Ray is not installed here", 'pip install "dmtrack[ray]"'):
        import ray
    module: ModuleType = ray
    return module


@contextlib.contextmanager
def _connected(ray: ModuleType, address: str) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    _require_listener(os.environ.get("RAY_ADDRESS", address) if address == "auto" else address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"no Ray cluster answers at {address!r} ({first})", hint="start one with ray start --head"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _require_listener(address: str) -> None:
    """Knock at `HOST:PORT`: Ray itself would try for minutes and then end the whole process."""
    match = re.fullmatch(r"(?:ray://)?(?P<host>.+):(?P<port>\d{1,5})", address)
    if match is None:
        return
    try:
        socket.create_connection((match["host"].strip("[]"), int(match["port"])), _KNOCK_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"no Ray cluster answers at {address!r} ({error})", hint="start one with ray start --head"
        ) from None


@contextlib.contextmanager
def _token(folder: Path) -> Iterator[_Token]:
    token = _Token(scratch_path(folder.with_name("shared")).absolute(), secrets.token_hex(16))
    with os_errors_translated(token.path):
        token.path.write_text(token.text)
    try:
        yield token
    finally:
        token.path.unlink(missing_ok=True)


def _on_a_node(task: Task, runner: Runner, slot: WorkerSlot, token: _Token) -> _Report:
    """Do one task; runs on some machine of the cluster."""
    import ray

    node = f"{socket.gethostname()} {ray.get_runtime_context().get_node_id()[:8]}"
    try:
        shared = token.path.read_text() == token.text
    except OSError:
        shared = False
    if not shared:
        return _Report(
            Outcome(f"machine {node} does not see {token.path.parent}; results need a shared folder"), node
        )
    return _Report(execute(task, runner, slot, _say_nothing), node)


def _say_nothing(frames: int, total: int | None) -> None:
    """Ray tells when a task ends; frames are not counted across machines."""
