"""Where the workers of this machine run: processes on a CPU, or one and more on each GPU."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dmtrack.batch.work import Place
from dmtrack.errors import ConfigError
from dmtrack.threads import usable_cores


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one worker process, and what it is called."""

    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class SlotOptions:
    """What a person may say about workers.

    Attributes:
        devices: `auto` (every CUDA device, else MPS, else the CPU), `cpu`, `mps`, or CUDA devices by
            number: `0,1`.
        jobs: Processes on a CPU; None is 1.
        jobs_per_device: Processes on each GPU.
        threads: Threads of the network in each process; None shares out the cores.
    """

    devices: str = "auto"
    jobs: int | None = None
    jobs_per_device: int = 1
    threads: int | None = None

    def __post_init__(self) -> None:
        numbers = {
            "--jobs": self.jobs,
            "--jobs-per-device": self.jobs_per_device,
            "--threads": self.threads,
        }
        for name, number in numbers.items():
            if number is not None and number < 1:
                raise ConfigError(f"{name} {number} is below 1")


def make_slots(options: SlotOptions) -> tuple[Slot, ...]:
    """Return one slot a worker process.

    Raises:
        ConfigError: A device is not there, is named twice, or an option does not go with it.
    """
    devices = _devices(options.devices)
    if devices == ["cpu"]:
        return _on_cpu(options)
    if options.jobs is not None:
        raise ConfigError(
            f"--jobs counts processes on a CPU, but the batch runs on {', '.join(devices)}",
            hint="give --jobs-per-device, or --devices cpu",
        )
    count = len(devices) * options.jobs_per_device
    threads = options.threads or max(1, usable_cores() // count)
    return tuple(
        Slot(f"{device} #{number}" if options.jobs_per_device > 1 else device, Place(device, threads))
        for number in range(1, options.jobs_per_device + 1)
        for device in devices
    )


def _on_cpu(options: SlotOptions) -> tuple[Slot, ...]:
    if options.jobs_per_device > 1:
        raise ConfigError(
            "--jobs-per-device counts processes on a GPU, but the batch runs on the CPU", hint="give --jobs"
        )
    jobs = options.jobs or 1
    threads = options.threads or max(1, usable_cores() // jobs)
    place = Place("cpu", threads, tuned=options.threads is None)
    return tuple(Slot(f"cpu #{number}", place) for number in range(1, jobs + 1))


def _devices(asked: str) -> list[str]:
    words = [word for word in re.split(r"[\s,]+", asked.strip().lower()) if word]
    if words == ["cpu"]:
        return words
    # Only from here on torch is needed.
    from dmtrack.network.backend import choose_device

    if words == ["auto"]:
        import torch

        cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return [f"cuda:{index}" for index in range(cuda)] or [str(choose_device("auto"))]
    named = [str(choose_device(f"cuda:{word}" if word.isdigit() else word)) for word in words]
    if not named or len(set(named)) < len(named) or ("cpu" in named and len(named) > 1):
        raise ConfigError(
            f"--devices {asked!r} cannot be used", hint="auto, cpu, mps, or numbers such as 0,1"
        )
    return named
