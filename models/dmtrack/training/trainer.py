"""The training loop: one segment of data, then a checkpoint, until the steps are done.

Run it through `dmtrack train`, or:

    trainer = Trainer(model, config, factory, RunFolder(Path("runs/a")))
    trainer.resume()
    for progress in trainer.run():
        print(progress)
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from timm.utils.model_ema import ModelEmaV3

from dmtrack.errors import CheckpointError, DmtrackError
from dmtrack.network.model import DMTrack
from dmtrack.network.preprocess import normalize
from dmtrack.training.bad_data import SkipTally
from dmtrack.training.config import TrainConfig
from dmtrack.training.data import Batch, SamplerFactory, open_segment
from dmtrack.training.distributed import ALONE, ProcessGroup
from dmtrack.training.losses import Losses, tracking_losses
from dmtrack.training.run_folder import RunFolder
from dmtrack.training.trainable import build_optimizers, select_trainable, set_train_mode

_LOGGER = logging.getLogger(__name__)

Validate = Callable[[DMTrack], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Progress:
    """Means over the steps since the last report.

    Attributes:
        step: Steps done.
        loss: Weighted sum.
        iou: Overlap of the predicted box with the truth.
        samples_per_s: Training samples a second, waiting included.
        data_wait: Share of the time spent waiting for data.
    """

    step: int
    loss: float
    focal: float
    giou: float
    l1: float
    quality: float
    iou: float
    learning_rate: float
    gradient_norm: float
    samples_per_s: float
    data_wait: float


class Trainer:
    """Trains one stage of one network.

    Args:
        model: The network, already on `device`, with the foundation loaded for the adapter stage.
        config: Every number of the run.
        factory: Makes samplers in worker processes.
        folder: Where curves and checkpoints go.
        device: Where the network is.
        bf16: Run the network under bfloat16 autocast.
        workers: Processes that make samples; 0 makes them here.
        validate: Called with the averaged weights every `validate_interval` steps; its figures go to
            `validation.csv`.
        validate_interval: See `validate`.
        group: The processes that train together; the first one reports, validates and writes.

    Raises:
        ConfigError: The batch cannot be divided among the processes.
    """

    def __init__(
        self,
        model: DMTrack,
        config: TrainConfig,
        factory: SamplerFactory,
        folder: RunFolder,
        *,
        device: torch.device | None = None,
        bf16: bool = True,
        workers: int = 1,
        validate: Validate | None = None,
        validate_interval: int = 1000,
        group: ProcessGroup = ALONE,
    ) -> None:
        self.model = model
        self.config = config
        self.factory = factory
        self.folder = folder
        self.device = device or torch.device("cpu")
        self.bf16 = bf16
        self.workers = workers
        self.validate = validate
        self.validate_interval = validate_interval
        self.group = group
        self.local_batch_size = group.share(config.batch_size)
        self.trained = select_trainable(model, config)
        self.optimizers = build_optimizers(model, config)
        self.ema = (
            ModelEmaV3(model, decay=config.ema_decay, use_warmup=True) if config.ema_decay > 0 else None
        )
        self.step = 0
        self.skips = SkipTally()
        self._network = group.parallel(model)
        if group.size > 1:
            # Dropout and stochastic depth must differ between the processes; the model is one by now.
            torch.manual_seed(config.seed + group.rank)

    @property
    def averaged_model(self) -> DMTrack:
        """The network to validate and ship: the running average, or the model itself without one."""
        if self.ema is None:
            return self.model
        averaged: DMTrack = self.ema.module
        return averaged

    def run(self) -> Iterator[Progress]:
        """Train to the last step, reporting every `log_interval` steps."""
        self.folder.cut_rows("curve.csv", self.step + 1)
        while self.step < self.config.steps:
            yield from self._run_segment()
            self.folder.save_checkpoint(self.state())
            last = self.step >= self.config.steps
            if self.validate and self.group.is_first and (last or self.step % self.validate_interval == 0):
                self._run_validation(self.validate)
            self.folder.plot_curves()
            if news := self.skips.news():
                _LOGGER.warning("%s", news)

    def resume(self) -> bool:
        """Continue from the folder's checkpoint; False when there is none.

        Raises:
            CheckpointError: The checkpoint is damaged or of another network.
        """
        state = self.folder.load_checkpoint()
        if state is None:
            return False
        try:
            self.model.load_state_dict(state["model"])
            if self.ema is not None:
                self.ema.module.load_state_dict(state["ema"])
            for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(values)
            self._restore_random_state(state)
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"the checkpoint is not of this run ({error})",
                where=self.folder.checkpoint_path,
                hint="give another run folder with -o",
            ) from error
        self.step = state["step"]
        return True

    def state(self) -> dict[str, Any]:
        """Return everything `resume` needs."""
        random_states = self.group.gather(self._random_state())
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "ema": None if self.ema is None else self.ema.module.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "rng": random_states[0][0],
            "rng_by_rank": random_states,
            "model_config": self.model.config.to_dict(),
            "train_config": self.config.to_dict(),
        }

    def _random_state(self) -> list[torch.Tensor]:
        """Return the state of the generator on the CPU, and of the one on the GPU where there is one."""
        states = [torch.get_rng_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        return states

    def _restore_random_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the numbers of this process; one that was not there before keeps its own seed."""
        saved: list[list[torch.Tensor]] = state.get("rng_by_rank", [[state["rng"]]])
        if self.group.rank >= len(saved):
            return
        on_cpu, *on_gpu = saved[self.group.rank]
        torch.set_rng_state(on_cpu)
        if on_gpu and self.device.type == "cuda":
            torch.cuda.set_rng_state(on_gpu[0], self.device)

    def _run_segment(self) -> Iterator[Progress]:
        interval = self.config.checkpoint_interval
        segment = self.step // interval
        batches = open_segment(
            self.factory,
            seed=self.config.seed,
            segment=segment,
            batches=min(interval, self.config.steps - segment * interval),
            batch_size=self.local_batch_size,
            workers=self.workers,
            rank=self.group.rank,
        )
        meter = _Meter(self.config.batch_size, self.group)
        end = min((segment + 1) * interval, self.config.steps)
        while self.step < end:
            begin = time.perf_counter()
            batch = next(batches)
            meter.waited_s += time.perf_counter() - begin
            self.skips.add(batch.skipped)
            losses, norm = self._train_step(batch)
            self.step += 1
            meter.add(losses, norm)
            if self.step % self.config.log_interval == 0:
                progress = meter.report(self.step, self._learning_rate())
                self.folder.append_row("curve.csv", _row(progress))
                yield progress

    def _train_step(self, batch: Batch) -> tuple[Losses, float]:
        set_train_mode(self.model, self.config)
        rate = self._learning_rate()
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("share", 1.0)
        templates = normalize(batch.templates.to(self.device, non_blocking=True))
        search = normalize(batch.search.to(self.device, non_blocking=True))
        with self._autocast():
            output = self._network(templates, search, batch.template_boxes.to(self.device))
        losses = tracking_losses(
            output,
            batch.boxes.to(self.device),
            batch.visible.to(self.device),
            self.config,
            at_peak=self.config.stage != "foundation",
        )
        if not math.isfinite(float(losses.total.detach())):
            raise DmtrackError(
                f"the loss is {float(losses.total.detach())} at step {self.step}",
                hint="lower --learning-rate",
            )
        losses.total.backward()  # type: ignore[no-untyped-call]
        trained = [p for p in self.model.parameters() if p.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(trained, self.config.grad_clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self.ema is not None:
            self.ema.update(self.model, step=self.step)
        return losses, float(norm)

    def _run_validation(self, validate: Validate) -> None:
        model = self.averaged_model.eval()
        with torch.random.fork_rng():
            figures = validate(model)
        self.folder.append_row("validation.csv", {"step": self.step, **figures})

    def _autocast(self) -> AbstractContextManager[Any]:
        if not self.bf16:
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _learning_rate(self) -> float:
        return self.config.learning_rate * self.config.rate(self.step)


class _Meter:
    """Sums between two reports, over all processes."""

    def __init__(self, batch_size: int, group: ProcessGroup) -> None:
        self.batch_size = batch_size
        self.group = group
        self._reset()

    def _reset(self) -> None:
        self.sums = torch.zeros(len(Losses._fields) + 1)
        self.count = 0
        self.waited_s = 0.0
        self.begin = time.perf_counter()

    def add(self, losses: Losses, norm: float) -> None:
        self.sums += torch.stack([value.detach().cpu() for value in losses] + [torch.tensor(norm)])
        self.count += 1

    def report(self, step: int, learning_rate: float) -> Progress:
        elapsed = time.perf_counter() - self.begin
        loss, focal, giou, l1, quality, iou, norm = self.group.mean(self.sums / self.count).tolist()
        progress = Progress(
            step=step,
            loss=loss,
            focal=focal,
            giou=giou,
            l1=l1,
            quality=quality,
            iou=iou,
            learning_rate=learning_rate,
            gradient_norm=norm,
            samples_per_s=self.count * self.batch_size / elapsed,
            data_wait=self.waited_s / elapsed,
        )
        self._reset()
        return progress


def _row(progress: Progress) -> dict[str, float | int | str]:
    return {name: getattr(progress, name) for name in Progress.__dataclass_fields__}
