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

#: How long processes wait for each other, such as for the validation in the first one.
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """This process among those that train together."""

    rank: int = 0  # number of this process, from 0; the first one writes
    size: int = 1  # number of processes
    local_rank: int = 0  # number of this process on its machine, and of its GPU

    @property
    def is_first(self) -> bool:
        """Whether this process writes, validates and reports."""
        return self.rank == 0

    def share(self, batch_size: int) -> int:
        """Return the samples of a batch that this process makes; `ConfigError` if shares are not equal."""
        if batch_size % self.size:
            raise ConfigError(f"batch_size={batch_size} cannot be divided among {self.size} processes")
        return batch_size // self.size

    def device(self, name: str) -> torch.device:
        """Return the device `name` for this process; `cuda` is the GPU of its local rank."""
        if name == "cuda" and self.size > 1:
            return torch.device("cuda", self.local_rank)
        return torch.device(name)

    def parallel(self, model: nn.Module) -> nn.Module:
        """Return a module to call instead of `model`, which averages gradients over all processes.

        All processes get the parameters of the first one.
        """
        if self.size == 1:
            return model
        device = next(model.parameters()).device
        return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of `values` over all processes; they must all call it."""
        if self.size == 1:
            return values
        # NCCL only transfers tensors on the process's GPU.
        device = self.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")
        total = values.to(device)
        dist.all_reduce(total)
        return total.to(values.device) / self.size

    def gather(self, value: _Value) -> list[_Value]:
        """Return the values of all processes, by rank; they must all call it."""
        if self.size == 1:
            return [value]
        values: list[_Value | None] = [None] * self.size
        dist.all_gather_object(values, value)
        return cast(list[_Value], values)


ALONE = ProcessGroup()  # a run in one process


@contextmanager
def joined_group(device: str) -> Iterator[ProcessGroup]:
    """Join the processes that `torchrun` started, and leave them at the end.

    They communicate by NCCL if the network is on `cuda`, else by Gloo. `ConfigError`: the environment is not
    `torchrun`'s, there is no GPU for each process, or the processes cannot connect.
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
