"""Where the items of a batch are tracked: processes on a CPU, on each GPU, or a Ray cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from dmtrack.batch.local import LocalEngine
from dmtrack.batch.ray_engine import RayEngine
from dmtrack.batch.work import Engine, WorkerSlot
from dmtrack.errors import ConfigError
from dmtrack.network.backend import choose_device
from dmtrack.options import Option, make_exact
from dmtrack.threads import usable_cores


class EngineChoice(StrEnum):
    """The engine that runs the items."""

    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The options of a batch's workers.

    `ConfigError`: a number is below 1, or an option has no meaning on a cluster.
    """

    PANEL: ClassVar = "Workers"

    devices: Annotated[
        str, Option("--devices", "auto, cpu, mps, or CUDA devices by number (0,1).", metavar="LIST")
    ] = "auto"
    jobs: Annotated[
        int | None, Option("--jobs", "Processes on a CPU. Default: 1.", "N", least=1, most=1024)
    ] = None
    jobs_per_device: Annotated[
        int, Option("--jobs-per-device", "Processes on each GPU.", "N", least=1, most=1024)
    ] = 1
    threads: Annotated[
        int | None,
        Option(
            "--threads",
            "Threads of each process. Default: the cores divided among them (ray: 1).",
            metavar="N",
            least=1,
            most=4096,
        ),
    ] = None
    kind: Annotated[EngineChoice, Option("--engine", "ray: on an existing Ray cluster.")] = EngineChoice.LOCAL
    ray_address: Annotated[
        str, Option("--ray-address", "Address of the Ray cluster's head.", metavar="HOST:PORT")
    ] = "auto"

    def __post_init__(self) -> None:
        make_exact(self)
        if self.kind is EngineChoice.RAY and self.jobs is not None:
            raise ConfigError("--jobs is for this machine; the cluster's own scheduler counts there")
        if self.kind is EngineChoice.RAY and self.devices not in ("auto", "cpu"):
            raise ConfigError("the cluster chooses GPUs itself", hint="--devices auto or cpu")

    def engine(self) -> Engine:
        """Return the engine that runs the items.

        `ConfigError`: a device does not exist, is named twice, or an option cannot be combined with it; or
        Ray is not installed.
        """
        if self.kind is EngineChoice.LOCAL:
            return LocalEngine(self.slots())
        tasks_per_gpu = 0 if self.devices == "cpu" else self.jobs_per_device
        return RayEngine(self.ray_address, self.threads or 1, tasks_per_gpu)

    def slots(self) -> tuple[WorkerSlot, ...]:
        """Return one slot for each worker process of this machine; errors as in `engine`."""
        devices = _devices(self.devices)
        if devices == ["cpu"]:
            return self._on_cpu()
        if self.jobs is not None:
            raise ConfigError(
                f"--jobs counts processes on a CPU, but the batch runs on {', '.join(devices)}",
                hint="give --jobs-per-device, or --devices cpu",
            )
        threads = self.threads or max(1, usable_cores() // (len(devices) * self.jobs_per_device))
        return tuple(
            WorkerSlot(f"{device} #{number}" if self.jobs_per_device > 1 else device, device, threads)
            for number in range(1, self.jobs_per_device + 1)
            for device in devices
        )

    def _on_cpu(self) -> tuple[WorkerSlot, ...]:
        if self.jobs_per_device > 1:
            raise ConfigError(
                "--jobs-per-device counts processes on a GPU, but the batch runs on the CPU",
                hint="give --jobs",
            )
        jobs = self.jobs or 1
        threads = self.threads or max(1, usable_cores() // jobs)
        return tuple(WorkerSlot(f"cpu #{number}", "cpu", threads) for number in range(1, jobs + 1))


def _devices(asked: str) -> list[str]:
    words = [word for word in re.split(r"[\s,]+", asked.strip().lower()) if word]
    if words == ["cpu"]:
        return words
    if words == ["auto"]:
        best = choose_device("auto")
        if best.type != "cuda":
            return [str(best)]
        import torch

        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    named = [str(choose_device(f"cuda:{word}" if word.isdigit() else word)) for word in words]
    if not named or len(set(named)) < len(named) or ("cpu" in named and len(named) > 1):
        raise ConfigError(
            f"--devices {asked!r} cannot be used", hint="auto, cpu, mps, or numbers such as 0,1"
        )
    return named
