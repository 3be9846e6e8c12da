"""What each stage trains, and the loop: a segment of data, then a checkpoint, until the steps are done."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import nn

from dmtrack.errors import CheckpointError, ConfigError, DmtrackError
from dmtrack.network.backbone import Block
from dmtrack.network.backend import gpu_errors_translated
from dmtrack.network.lite_stem import LiteStem
from dmtrack.network.model import DMTrack, normalize
from dmtrack.training.data import Batch, SamplerFactory, SkipTally, open_segment
from dmtrack.training.distributed import ALONE, ProcessGroup
from dmtrack.training.muon import Muon
from dmtrack.training.objective import Losses, tracking_losses
from dmtrack.training.run_folder import RunFolder
from dmtrack.training.train_config import TrainConfig, TrainRequest

_LOGGER = logging.getLogger(__name__)

Validate = Callable[[DMTrack], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Progress:
    """Means over the steps since the last report."""

    step: int  # steps done
    loss: float  # weighted sum of the losses below
    focal: float
    giou: float
    l1: float
    quality: float
    iou: float  # IoU of the predicted box with the truth
    learning_rate: float
    gradient_norm: float
    samples_per_s: float  # training samples a second, waiting included
    data_wait: float  # share of the time spent waiting for data


class Trainer:
    """Trains one stage of one network.

    The model must be on its device, with the foundation loaded for the adapter stage. `validate` is called
    with the averaged weights every `validate_every` steps; its figures go to `validation.csv`. The first
    process of `group` reports, validates and writes. `ConfigError`: the batch cannot be divided among the
    processes.
    """

    def __init__(
        self,
        model: DMTrack,
        request: TrainRequest,
        factory: SamplerFactory,
        *,
        validate: Validate | None = None,
        group: ProcessGroup = ALONE,
    ) -> None:
        self.model, self.request, self.factory = model, request, factory
        self.config = config = request.train
        self.folder = RunFolder(request.output, read_only=not group.is_first)
        self.device = next(model.parameters()).device
        self.validate, self.group = validate, group
        self.local_batch_size = group.share(config.batch_size)
        self.trained = select_trainable(model, config)
        self.optimizers = build_optimizers(model, config)
        self.ema = (
            ModelEmaV3(model, decay=config.ema_decay, use_warmup=True) if config.ema_decay > 0 else None
        )
        self.step = 0
        self.skips = SkipTally()
        self.on_step: Callable[[int], object] = lambda step: None  # called after each step, with its number
        self._network = group.parallel(model)
        if group.size > 1:
            # Dropout and stochastic depth must differ between processes; the models are equal by now.
            torch.manual_seed(config.seed + group.rank)

    @property
    def averaged_model(self) -> DMTrack:
        """The network to validate and ship: the running average, or the model itself if there is none."""
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
            due = last or self.step % self.request.validate_every == 0
            if self.validate and self.group.is_first and due:
                self._run_validation(self.validate)
            self.folder.plot_curves()
            if news := self.skips.news():
                _LOGGER.warning("%s", news)

    def resume(self) -> bool:
        """Continue from the folder's checkpoint; False if there is none.

        `CheckpointError`: the checkpoint is damaged or of another network.
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
        """Return the states of the CPU's random generator and, on a GPU, of the GPU's."""
        states = [torch.get_rng_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        return states

    def _restore_random_state(self, state: Mapping[str, Any]) -> None:
        """Restore this process's random state; a process without a saved one keeps its own seed."""
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
            workers=self.request.workers,
            rank=self.group.rank,
        )
        meter = _Meter(self.config.batch_size, self.group)
        end = min((segment + 1) * interval, self.config.steps)
        while self.step < end:
            begin = time.perf_counter()
            batch = next(batches)
            meter.waited_s += time.perf_counter() - begin
            self.skips.add(batch.skipped)
            with gpu_errors_translated(self.device, "a smaller --batch-size"):
                losses, norm = self._train_step(batch)
            self.step += 1
            meter.add(losses, norm)
            self.on_step(self.step)
            if self.step % self.config.log_interval == 0:
                progress = meter.report(self.step, self._learning_rate())
                self.folder.append_row("curve.csv", asdict(progress))
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
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            figures = validate(model)
        self.folder.append_row("validation.csv", {"step": self.step, **figures})

    def _autocast(self) -> AbstractContextManager[Any]:
        if not self.request.bf16:
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
        total, focal, giou, l1, quality, iou, norm = self.group.mean(self.sums / self.count).tolist()
        speed, wait = self.count * self.batch_size / elapsed, self.waited_s / elapsed
        self._reset()
        return Progress(step, total, focal, giou, l1, quality, iou, learning_rate, norm, speed, wait)


# --- what a stage trains ------------------------------------------------------------------------

#: Learning rate of a lite stem's linear maps, relative to the others': their inputs are six times as large as
#: those of other layers.
MAP_RATE: Final = 0.3


def select_trainable(model: DMTrack, config: TrainConfig) -> int:
    """Freeze what the stage does not train; return the number of trained parameters.

    `ConfigError`: adapters or a quality tower are to be trained, but the network has none; `AssertionError`:
    the count is not the one that follows from the adapter widths.
    """
    if config.stage == "foundation":
        model.requires_grad_(True)
        stem = model.foundation.stem
        if isinstance(stem, LiteStem):
            stem.requires_grad_(False)
            for parameter in stem.maps():
                parameter.requires_grad_(True)
        return sum(p.numel() for p in model.foundation.parameters() if p.requires_grad)
    model.requires_grad_(False)
    if config.stage == "quality":
        quality = model.foundation.head.quality
        if quality is None:
            raise ConfigError("the quality stage needs a network with a quality tower")
        quality.requires_grad_(True)
        return sum(p.numel() for p in quality.parameters())
    if model.adapters is None:
        raise ConfigError("the adapter stage needs a network with adapters")
    model.adapters.requires_grad_(True)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if trained != model.config.adapter_parameters:
        raise AssertionError(f"{trained} trained parameters, expected {model.config.adapter_parameters}")
    return trained


def set_train_mode(model: DMTrack, config: TrainConfig) -> None:
    """Switch to training mode; frozen batch norms keep their statistics (specification 4)."""
    model.train()
    if config.stage == "foundation":
        return
    for module in model.foundation.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
            module.eval()


def build_optimizers(model: DMTrack, config: TrainConfig) -> Sequence[torch.optim.Optimizer]:
    """Return the optimisers of a run.

    With `muon`, the weight matrices of the transformer blocks take orthogonalised momentum, scaled to the
    size of an AdamW step so that one learning rate serves both.

    Source: Jordan et al., "Muon"; scaling from Liu et al., arXiv 2502.16982.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices: list[nn.Parameter] = []
    if config.optimizer == "muon":
        blocks = [m for m in model.modules() if isinstance(m, Block)]
        matrices = [p for block in blocks for p in block.parameters() if p.ndim == 2 and p.requires_grad]
    stem = model.foundation.stem
    maps = [p for p in stem.maps() if p.requires_grad] if isinstance(stem, LiteStem) else []
    chosen = {id(p) for p in (*matrices, *maps)}
    rest = [p for p in trained.values() if id(p) not in chosen]
    decayed = [p for p in rest if p.ndim > 1]
    plain = [p for p in rest if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        # Published: one weight decay for everything. From nothing, norms and biases are better left alone.
        {"params": plain, "weight_decay": config.weight_decay if config.stage == "adapters" else 0.0},
    ]
    if maps:
        groups.append({"params": maps, "weight_decay": 0.0, "share": MAP_RATE})
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=config.learning_rate)]
    if matrices:
        optimizers.append(Muon(matrices, lr=config.learning_rate, weight_decay=config.weight_decay))
    return optimizers
