"""`dmtrack train`: train a foundation from scratch, or the adapters of one modality on top of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.text import Text

from dmtrack.options import Option
from dmtrack.training.train_config import Stage, TrainRequest, train_numbers
from dmtrack_cli.console import err
from dmtrack_cli.option_groups import grouped

if TYPE_CHECKING:
    from dmtrack.training.trainer import Progress


@grouped
def train(
    request: TrainRequest,
    *,
    stage: Annotated[Stage, Option("--stage", "What to train.")] = "adapters",
    config: Annotated[Path | None, Option("--config", "TOML file with training parameters.")] = None,
    steps: Annotated[int | None, Option("--steps", "Optimiser steps.", least=1)] = None,
    batch_size: Annotated[
        int | None, Option("--batch-size", "Samples per step.", least=1, most=100_000)
    ] = None,
    learning_rate: Annotated[
        float | None, Option("--learning-rate", "Peak learning rate.", least=1e-12, most=10)
    ] = None,
    optimizer: Annotated[str | None, Option("--optimizer", "adamw or muon.")] = None,
    templates: Annotated[int | None, Option("--templates", "Templates per sample.", least=1, most=20)] = None,
    seed: Annotated[int | None, Option("--seed", "Seed of weights, data and augmentation.")] = None,
) -> None:
    """Train the foundation tracker, its quality tower alone, or the adapters of one modality.

    The run folder gets config.json, curve.csv, validation.csv, curve.png, checkpoint.pt and, at the end,
    weights.safetensors. The same command continues a run that was stopped. Started by torchrun, several
    processes share each batch.
    """
    from dmtrack.training.training_run import train as progress_of

    numbers = train_numbers(
        stage,
        request.preset,
        request.modality,
        config,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        templates=templates,
        seed=seed,
    )
    for progress in progress_of(replace(request, train=numbers), _say):
        _say(_line(progress, numbers.steps))


def _say(line: str) -> None:
    err.print(Text(line), soft_wrap=True)


def _line(p: Progress, steps: int) -> str:
    return (
        f"step {p.step}/{steps} loss {p.loss:.3f} (focal {p.focal:.3f} giou {p.giou:.3f} l1 {p.l1:.4f} "
        f"quality {p.quality:.3f}) iou {p.iou:.3f} lr {p.learning_rate:.2e} grad {p.gradient_norm:.2f} "
        f"{p.samples_per_s:.1f} samples/s, {p.data_wait:.0%} waiting"
    )
