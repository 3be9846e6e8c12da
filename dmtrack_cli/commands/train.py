"""`dmtrack train`: train a foundation from nothing, or the adapters of one modality on top of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dmtrack.training.config import SYNTHETIC, BadData, DataPart, Stage, TrainRequest, read_train_config
from dmtrack.video.frame import Modality
from dmtrack_cli.options import PhotographsOption, ThermalImagesOption

if TYPE_CHECKING:
    from dmtrack.training.trainer import Progress


def train(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Run folder; resumed when it has a checkpoint.")
    ],
    stage: Annotated[Stage, typer.Option(help="What to train.")] = "adapters",
    preset: Annotated[str, typer.Option(help="Network preset: tiny or base.")] = "tiny",
    modality: Annotated[Modality | None, typer.Option(help="Second stream of the adapter stage.")] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Weights to start from: a .safetensors, tiny (in the box), base (an OSTrack checkpoint "
            "added with `weights add`) or another name in the data folder. The foundation of the "
            "adapter stage.",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER[=WEIGHT]",
            help="Folder of annotated sequences (LasHeR, DepthTrack, VisEvent, RGBT234, VTUAV, plain), or "
            "synthetic. May be repeated: each sample is drawn from one of them by weight. "
            "Default: synthetic.",
            show_default=False,
        ),
    ] = None,
    bad_data: Annotated[
        BadData, typer.Option(help="Data that cannot be used: skip it and say so, or stop.")
    ] = BadData.SKIP,
    photographs: PhotographsOption = None,
    thermal_images: ThermalImagesOption = None,
    collage_share: Annotated[
        float, typer.Option(min=0, max=1, help="Foundation: share of flat collages; the rest are scenes.")
    ] = 0.5,
    config: Annotated[Path | None, typer.Option(help="TOML file with training numbers.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="adamw or muon.")] = None,
    template_size: Annotated[
        int | None, typer.Option(help="Template side in px, to train small first.")
    ] = None,
    search_size: Annotated[int | None, typer.Option(help="Search side in px, to train small first.")] = None,
    templates: Annotated[int | None, typer.Option(help="Templates a sample.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, data and augmentation.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "cpu",
    bf16: Annotated[bool, typer.Option(help="bfloat16 autocast.")] = True,
    workers: Annotated[int, typer.Option(help="Processes that make samples; 0: in the main one.")] = 1,
    threads: Annotated[int | None, typer.Option(help="Threads of the network on a CPU.")] = None,
    store: Annotated[Literal["fp32", "fp16"], typer.Option(help="Numbers in weights.safetensors.")] = "fp32",
    validate: Annotated[
        Path | None, typer.Option("--val", help="Folder of annotated clips to validate on.")
    ] = None,
    validate_every: Annotated[int, typer.Option("--val-every", help="Steps between validations.")] = 1000,
) -> None:
    """Train the foundation tracker, its quality tower alone, or the adapters of one modality.

    The run folder gets config.json, curve.csv, validation.csv, curve.png, checkpoint.pt and, at the end,
    weights.safetensors. The same command continues a run that was stopped. Started by torchrun, several
    processes share each batch.
    """
    from dmtrack.training.training_run import train as progress_of

    request = TrainRequest(
        output=output,
        train=read_train_config(
            config,
            stage,
            preset,
            modality,
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            optimizer=optimizer,
            templates=templates,
            seed=seed,
        ),
        preset=preset,
        modality=modality,
        init=init,
        data=tuple(DataPart.parse(text) for text in data or [SYNTHETIC]),
        bad_data=bad_data,
        photographs=photographs,
        thermal_images=thermal_images,
        collage_share=collage_share,
        template_size=template_size,
        search_size=search_size,
        device=device,
        bf16=bf16,
        workers=workers,
        threads=threads,
        store=store,
        validate=validate,
        validate_every=validate_every,
    )
    for progress in progress_of(request, lambda line: typer.echo(line, err=True)):
        typer.echo(_line(progress, request.train.steps), err=True)


def _line(p: Progress, steps: int) -> str:
    return (
        f"step {p.step}/{steps} loss {p.loss:.3f} (focal {p.focal:.3f} giou {p.giou:.3f} l1 {p.l1:.4f} "
        f"quality {p.quality:.3f}) iou {p.iou:.3f} lr {p.learning_rate:.2e} grad {p.gradient_norm:.2f} "
        f"{p.samples_per_s:.1f} samples/s, {p.data_wait:.0%} waiting"
    )
