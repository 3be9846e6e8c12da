"""Data-parallel training in several processes, as `torchrun` starts them.

    torchrun --nproc-per-node 4 -m dmtrack_cli train --device cuda ...

Every process makes its own share of each batch; gradients are averaged; the first process writes.
A run of one process takes the same path with `ALONE`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dmtrack.errors import ConfigError
from dmtrack.network.backend import choose_device

_Value = TypeVar("_Value")

#: How long processes wait for each other: the first one validates while the others wait.
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """This process among those that train together."""

    rank: int = 0  # its number, from 0; the first one writes
    size: int = 1  # how many there are
    local_rank: int = 0  # its number on this machine: which GPU it has

    @property
    def is_first(self) -> bool:
        """Whether this process writes, validates and reports."""
        return self.rank == 0

    def share(self, batch_size: int) -> int:
        """Return how many samples of a batch this process makes; `ConfigError` where it is no equal share."""
        if batch_size % self.size:
            raise ConfigError(f"batch_size={batch_size} cannot be divided among {self.size} processes")
        return batch_size // self.size

    def device(self, name: str) -> torch.device:
        """Return the device that `name` means for this process: `cuda` is the GPU of its number."""
        if name == "cuda" and self.size > 1:
            return torch.device("cuda", self.local_rank)
        return torch.device(name)

    def parallel(self, model: nn.Module) -> nn.Module:
        """Return what to call instead of `model` so that gradients are averaged over all processes.

        The parameters of the first process become those of all.
        """
        if self.size == 1:
            return model
        device = next(model.parameters()).device
        return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of `values` over all processes; they must all call it."""
        if self.size == 1:
            return values
        # NCCL moves nothing but what is on its GPU.
        device = self.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")
        total = values.to(device)
        dist.all_reduce(total)
        return total.to(values.device) / self.size

    def gather(self, value: _Value) -> list[_Value]:
        """Return what each process gave, by rank; they must all call it."""
        if self.size == 1:
            return [value]
        values: list[_Value | None] = [None] * self.size
        dist.all_gather_object(values, value)
        return cast(list[_Value], values)


ALONE = ProcessGroup()  # a run in one process


@contextmanager
def joined_group(device: str) -> Iterator[ProcessGroup]:
    """Join the processes that `torchrun` started, and leave them at the end.

    `cuda`, where the network will be, talks over NCCL, all else over Gloo. `ConfigError`: the environment is
    not one that `torchrun` makes, there is no GPU for each process, or the processes do not meet.
    """
    size = _number("WORLD_SIZE", 1)
    if size <= 1:
        yield ALONE
        return
    group = ProcessGroup(_number("RANK", 0), size, _number("LOCAL_RANK", 0))
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu and device != "cuda":
        raise ConfigError(f"{size} processes cannot share {device}", hint="--device cuda: each takes its own")
    if on_gpu:
        torch.cuda.set_device(str(choose_device(str(group.device(device)))))
    try:
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"the {size} processes cannot meet ({error})", hint="start them with torchrun"
        ) from error
    try:
        yield group
    finally:
        dist.destroy_process_group()


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, "")
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"{variable}={text!r} is not a number", hint="torchrun sets it") from None
