"""Every number of a training run, with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dmtrack.config import _Config
from dmtrack.errors import ConfigError

Stage = Literal["foundation", "quality", "adapters"]


@dataclass(frozen=True, slots=True)
class TrainConfig(_Config):
    """How one stage is trained. The defaults are the published adapter stage (specification 4).

    Attributes:
        stage: `foundation` trains the one-stream tracker from nothing; `quality` freezes all of it but the
            head's quality tower; `adapters` freezes it and trains the adapters of one modality.
        steps: Optimiser steps. Published: 60 epochs of 60,000 samples at batch 64.
        batch_size: Samples a step, over all processes. Published: 4 processes of 16.
        learning_rate: Peak rate of AdamW. Published: 4e-4.
        optimizer: `adamw` (published), or `muon`: orthogonalised momentum for the weight matrices of
            the blocks and AdamW for the rest.
        warmup_steps: Linear warm-up. Published: none.
        schedule: `step` (published): a tenth of the rate from 80 % on. `linear`: down to 0 over the last
            `decay_share` of the steps.
        decay_share: See `schedule`.
        weight_decay: Decoupled weight decay. Published: 1e-4.
        grad_clip: Largest gradient norm. Published: 0.1.
        ema_decay: Decay of the averaged weights that are validated and shipped; 0 is off.
        giou_weight: Weight of the GIoU loss. Published: 2.
        l1_weight: Weight of the L1 loss. Published: 5.
        focal_weight: Weight of the focal loss. Published: 1.
        quality_weight: Weight of the quality loss, for networks with a quality tower. Ours.
        templates: Templates T a sample. Published: 3; 2 for depth.
        pretrained_rate: Rate of the ImageNet stages of a `lite` stem, as a share of the others'; 0 freezes
            them.
        seed: Seed of initial values, data order and augmentation.
        checkpoint_interval: Steps between checkpoints. Data is re-seeded at each, so that a resumed run
            sees what an uninterrupted one sees.
        log_interval: Steps between rows of `curve.csv`.
    """

    stage: Stage = "adapters"
    steps: int = 56_220
    batch_size: int = 64
    learning_rate: float = 4e-4
    optimizer: Literal["adamw", "muon"] = "adamw"
    warmup_steps: int = 0
    schedule: Literal["step", "linear"] = "step"
    decay_share: float = 0.4
    weight_decay: float = 1e-4
    grad_clip: float = 0.1
    ema_decay: float = 0.0
    giou_weight: float = 2.0
    l1_weight: float = 5.0
    focal_weight: float = 1.0
    quality_weight: float = 0.5
    templates: int = 3
    pretrained_rate: float = 0.15
    seed: int = 0
    checkpoint_interval: int = 500
    log_interval: int = 20

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "templates", "checkpoint_interval", "log_interval"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} must be at least 1")
        if self.optimizer not in ("adamw", "muon"):
            raise ConfigError(f"unknown optimizer {self.optimizer!r}", hint="adamw or muon")
        if self.stage not in ("foundation", "quality", "adapters") or self.schedule not in ("step", "linear"):
            raise ConfigError(f"unknown stage {self.stage!r} or schedule {self.schedule!r}")
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate={self.learning_rate} must be above 0")

    def rate(self, step: int) -> float:
        """Return the share of `learning_rate` used at 0-based `step`."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        if self.schedule == "step":
            return warm * (0.1 if step >= 0.8 * self.steps else 1.0)
        remaining = (self.steps - step) / max(1.0, self.steps * self.decay_share)
        return warm * min(1.0, remaining)


#: The bundled foundation: from nothing, on synthetic sequences, for `tiny`.
TINY_FOUNDATION = TrainConfig(
    stage="foundation",
    steps=3000,
    learning_rate=1e-3,
    optimizer="muon",
    warmup_steps=200,
    schedule="linear",
    weight_decay=1e-2,
    grad_clip=1.0,
    ema_decay=0.998,
    templates=2,
    checkpoint_interval=250,
)

#: The bundled foundation's quality tower: what the boxes of the finished foundation are worth.
TINY_QUALITY = TrainConfig(
    stage="quality",
    steps=150,
    learning_rate=2e-3,
    warmup_steps=10,
    schedule="linear",
    grad_clip=1.0,
    ema_decay=0.98,
    templates=2,
    checkpoint_interval=75,
)

#: The bundled adapters: the paper's frozen foundation, on synthetic pairs.
TINY_ADAPTERS = TrainConfig(
    stage="adapters",
    steps=400,
    batch_size=32,
    learning_rate=1e-3,
    warmup_steps=20,
    schedule="linear",
    grad_clip=1.0,
    ema_decay=0.99,
    templates=2,
    checkpoint_interval=100,
)


def train_preset(stage: str, network: str, modality: str | None = None) -> TrainConfig:
    """Return the numbers that suit a stage and a network preset: published for `base` adapters.

    Args:
        stage: `foundation`, `quality` or `adapters`.
        network: `tiny` or `base`.
        modality: Of the adapters: `base` takes 2 templates for depth, 3 otherwise (specification 3.1).

    Raises:
        ConfigError: There is no recipe for that stage.
    """
    if stage == "foundation":
        return TINY_FOUNDATION
    if stage == "quality":
        return TINY_QUALITY
    if stage == "adapters":
        published = TrainConfig(templates=2) if modality == "depth" else TrainConfig()
        return TINY_ADAPTERS if network == "tiny" else published
    raise ConfigError(f"unknown stage {stage!r}", hint="foundation, quality or adapters")
