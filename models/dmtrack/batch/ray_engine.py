"""`RayEngine`: runs the items on the machines of an existing Ray cluster.

Each item is one Ray task, with its CPUs and GPUs declared; Ray queues, places and retries. Inputs and results
must lie in a folder that every machine sees under the same path; this is checked.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
from collections.abc import Generator, Iterator, Sequence
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


class RayEngine:
    """Runs tasks on an existing Ray cluster (`pip install "dmtrack[ray]"`).

    `address` is that of the head (`HOST:PORT`); `auto` takes the cluster of this machine, or the one in
    `RAY_ADDRESS`. `cpus` are the cores, and network threads, of a task; `tasks_per_gpu` tasks share a GPU, if
    the cluster has any; 0: they need none. `ConfigError`: Ray is not installed.
    """

    def __init__(self, address: str = "auto", cpus: int = 1, tasks_per_gpu: int = 1) -> None:
        self._address, self._cpus, self._tasks_per_gpu = address, cpus, tasks_per_gpu
        with library_needed("Ray is not installed here", 'pip install "dmtrack[ray]"'):
            import ray
        self._ray: ModuleType = ray

    def run(self, tasks: Sequence[Task], runner: Runner) -> Generator[EngineEvent]:
        """Do all tasks, as `Engine.run`; ending the iteration early cancels them.

        `ConfigError`: the cluster cannot be reached; `OutputError`: the folder of results cannot be written
        to.
        """
        if not tasks:
            return
        with _connected(self._ray, self._address), _token(tasks[0].folder) as token:
            yield from self._run(tasks, runner, token)

    def _run(self, tasks: Sequence[Task], runner: Runner, token: Path) -> Generator[EngineEvent]:
        has_gpus = self._tasks_per_gpu and self._ray.cluster_resources().get("GPU", 0) > 0
        gpus = 1 / self._tasks_per_gpu if has_gpus else 0
        # Ray shows a task only the GPU assigned to it, as its first one.
        slot = WorkerSlot("ray", "cuda:0" if gpus else "cpu", self._cpus)
        remote = self._ray.remote(_on_a_node).options(
            num_cpus=self._cpus, num_gpus=gpus, max_retries=_RETRIES, name="dmtrack item"
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
            outcome, node = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            sweep(task.folder.parent, [task.folder.name])
            first = str(error).strip().splitlines()[0]
            return TaskDone(task, Outcome(f"the cluster could not do it ({first})"), "ray")
        return TaskDone(task, outcome, node)


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
        raise _no_answer(address, first) from None
    try:
        yield
    finally:
        ray.shutdown()


def _require_listener(address: str) -> None:
    """Check that `HOST:PORT` answers: Ray itself would try for minutes and then end the whole process."""
    match = re.fullmatch(r"(?:ray://)?(?P<host>.+):(?P<port>\d{1,5})", address)
    if match is None:
        return
    try:
        socket.create_connection((match["host"].strip("[]"), int(match["port"])), _KNOCK_S).close()
    except (OSError, OverflowError) as error:
        raise _no_answer(address, error) from None


def _no_answer(address: str, why: object) -> ConfigError:
    what = f"no Ray cluster answers at {address!r} ({why})"
    return ConfigError(what, hint="start one with ray start --head")


@contextlib.contextmanager
def _token(folder: Path) -> Iterator[Path]:
    """Yield a new file with a unique name: a machine that sees it sees the folder of results."""
    token = scratch_path(folder.with_name("shared")).absolute()
    with os_errors_translated(token):
        token.touch()
    try:
        yield token
    finally:
        token.unlink(missing_ok=True)


def _on_a_node(task: Task, runner: Runner, slot: WorkerSlot, token: Path) -> tuple[Outcome, str]:
    """Do one task on a machine of the cluster, and return its outcome and the name of the machine."""
    import ray

    node = f"{socket.gethostname()} {ray.get_runtime_context().get_node_id()[:8]}"
    if not os.access(token, os.R_OK):
        return Outcome(f"machine {node} does not see {token.parent}; results need a shared folder"), node
    return execute(task, runner, slot, lambda frames, total: None), node  # Ray says when a task ends
