"""`dmtrack train`: train a foundation from nothing, or the adapters of one modality on top of it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from dmtrack.errors import CheckpointError, ConfigError, InputError
from dmtrack.video.frame import Modality

if TYPE_CHECKING:
    from dmtrack.config import ModelConfig
    from dmtrack.network.model import DMTrack
    from dmtrack.training.config import TrainConfig
    from dmtrack.training.data import SamplerFactory
    from dmtrack.training.trainer import Trainer, Validate


class Pictures(NamedTuple):
    """Folders of pictures that synthesis draws on."""

    photographs: Path | None
    thermal_images: Path | None


class Store(StrEnum):
    """Number format of the weights file."""

    FP32 = "fp32"
    FP16 = "fp16"


class StageOption(StrEnum):
    """What is trained."""

    FOUNDATION = "foundation"
    ADAPTERS = "adapters"


def train(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Run folder; resumed when it has a checkpoint.")
    ],
    stage: Annotated[StageOption, typer.Option(help="What to train.")] = StageOption.ADAPTERS,
    preset: Annotated[str, typer.Option(help="Network preset: tiny or base.")] = "tiny",
    modality: Annotated[Modality | None, typer.Option(help="Second stream of the adapter stage.")] = None,
    init: Annotated[
        Path | None,
        typer.Option(help="Weights to start from (.safetensors); the foundation of the adapter stage."),
    ] = None,
    photographs: Annotated[
        Path | None, typer.Option(help="Folder of photographs with instance polygons, to cut objects from.")
    ] = None,
    thermal_images: Annotated[
        Path | None, typer.Option(help="Folder of thermal images with boxes_xywh.json.")
    ] = None,
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
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    bf16: Annotated[bool, typer.Option(help="bfloat16 autocast.")] = True,
    workers: Annotated[int, typer.Option(help="Processes that make samples; 0: in the main one.")] = 1,
    threads: Annotated[int | None, typer.Option(help="Threads of the network on a CPU.")] = None,
    store: Annotated[Store, typer.Option(help="Numbers in weights.safetensors.")] = Store.FP32,
    validate: Annotated[
        Path | None, typer.Option("--val", help="Folder of annotated clips to validate on.")
    ] = None,
    validate_every: Annotated[int, typer.Option("--val-every", help="Steps between validations.")] = 1000,
) -> None:
    """Train the foundation tracker, or the adapters of one modality on a frozen foundation.

    The run folder gets config.json, curve.csv, validation.csv, checkpoint.pt and, at the end,
    weights.safetensors. The same command continues a run that was stopped.
    """
    import torch

    from dmtrack.training.run_folder import RunFolder
    from dmtrack.training.trainer import Trainer

    if threads is not None:
        torch.set_num_threads(threads)
    given = {
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "optimizer": optimizer,
        "templates": templates,
        "seed": seed,
    }
    pictures = Pictures(photographs, thermal_images)
    train_config = _train_config(stage, preset, config, {k: v for k, v in given.items() if v is not None})
    torch.manual_seed(train_config.seed)
    model = _build_model(stage, _model_config(preset, template_size, search_size), init)
    trainer = Trainer(
        model.to(device),
        train_config,
        _sampler_factory(model.config, train_config, modality, pictures, collage_share),
        RunFolder(output),
        device=torch.device(device),
        bf16=bf16,
        workers=workers,
        validate=None if validate is None else _validation(validate, modality),
        validate_interval=validate_every,
    )
    trainer.folder.write_config(
        {"model": model.config.to_dict(), "train": train_config.to_dict(), "init": init, "modality": modality}
    )
    _run(trainer)
    _save(trainer, modality, output, init, pictures, store)


def _train_config(stage: StageOption, preset: str, path: Path | None, given: dict[str, Any]) -> TrainConfig:
    """Merge preset < file < flags."""
    from dmtrack.training.config import train_preset

    values = train_preset(stage.value, preset).to_dict()
    if path is not None:
        try:
            values |= tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", where=path) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"not TOML ({error})", where=path) from error
    from dmtrack.training.config import TrainConfig

    return TrainConfig.from_dict(values | given)


def _model_config(preset: str, template_size: int | None, search_size: int | None) -> ModelConfig:
    from dmtrack.config import model_preset

    config = model_preset(preset)
    return replace(
        config,
        template_size=template_size or config.template_size,
        search_size=search_size or config.search_size,
    )


def _build_model(stage: StageOption, config: ModelConfig, init: Path | None) -> DMTrack:
    """Build the network of the stage and load what it starts from.

    Raises:
        CheckpointError: The adapter stage was given no foundation, or the weights do not fit.
    """
    from dmtrack.network.checkpoint import load_weights
    from dmtrack.network.model import DMTrack
    from dmtrack.network.resize import resize_positions

    adapters = stage is StageOption.ADAPTERS
    if init is None:
        if adapters:
            raise CheckpointError("the adapter stage needs a foundation", hint="give its weights with --init")
        return DMTrack(config, with_adapters=False)
    weights = load_weights(init)
    if weights.meta.kind == "full":
        weights = weights.part("foundation")
    if weights.meta.kind != "foundation":
        raise CheckpointError("these are adapters, not a foundation", where=init)
    model = DMTrack(
        replace(
            config,
            width=weights.meta.config.width,
            depth=weights.meta.config.depth,
            heads=weights.meta.config.heads,
            stem=weights.meta.config.stem,
            head_width=weights.meta.config.head_width,
        ),
        with_adapters=adapters,
    )
    missing, unexpected = model.load_state_dict(resize_positions(weights.tensors, model.config), strict=False)
    wrong = [name for name in missing if not name.startswith("adapters.")] + list(unexpected)
    if wrong:
        raise CheckpointError(f"{len(wrong)} keys do not fit, first {wrong[0]}", where=init)
    return model


def _sampler_factory(
    model_config: ModelConfig,
    train_config: TrainConfig,
    modality: Modality | None,
    pictures: Pictures,
    collage_share: float,
) -> SamplerFactory:
    """Return what makes samples: scenes as pairs for adapters, collages and scenes for a foundation.

    Raises:
        ConfigError: The adapter stage was given no modality.
        InputError: A folder of pictures is missing.
    """
    from dmtrack.synthetic.collage import CollageConfig
    from dmtrack.synthetic.sampling import SamplerConfig
    from dmtrack.training.synthetic_source import CollageSource, MixedSource, SceneSource

    pairs = train_config.stage == "adapters"
    if pairs and modality is None:
        raise ConfigError("the adapter stage needs --modality", hint="thermal, depth or event")
    for folder in pictures:
        if folder is not None and not folder.is_dir():
            raise InputError("no such folder", where=folder)
    scenes = SceneSource(
        SamplerConfig(
            template_size=model_config.template_size,
            search_size=model_config.search_size,
            templates=train_config.templates,
            modality=modality if pairs else None,
            photographs=pictures.photographs,
            thermal_images=pictures.thermal_images,
            # A foundation must know the look of every second stream: adapters cannot teach it to see.
            event_share=0.08,
            depth_share=0.08,
        )
    )
    if pairs or collage_share == 0:
        return scenes
    sizes = CollageConfig(
        template_size=model_config.template_size,
        search_size=model_config.search_size,
        templates=train_config.templates,
    )
    collages = CollageSource(sizes, pictures.photographs, pictures.thermal_images)
    return collages if collage_share == 1 else MixedSource(collages, scenes, collage_share)


def _validation(folder: Path, modality: Modality | None) -> Validate:
    """Return a function that tracks every annotated clip once and reports mean IoU a clip."""
    from dmtrack.config import TINY_TRACKER
    from dmtrack.evaluation.clip_validation import ClipValidation

    return ClipValidation(folder, modality, TINY_TRACKER)


def _run(trainer: Trainer) -> None:
    """Train with one line a report on standard error."""
    resumed = trainer.resume()
    start = "resumed at" if resumed else "from"
    typer.echo(f"{trainer.trained:,} trained parameters; {start} step {trainer.step}", err=True)
    for p in trainer.run():
        typer.echo(
            f"step {p.step}/{trainer.config.steps} loss {p.loss:.3f} (focal {p.focal:.3f} giou {p.giou:.3f} "
            f"l1 {p.l1:.4f}) iou {p.iou:.3f} lr {p.learning_rate:.2e} grad {p.gradient_norm:.2f} "
            f"{p.samples_per_s:.1f} samples/s, {p.data_wait:.0%} waiting",
            err=True,
        )


def _save(
    trainer: Trainer,
    modality: Modality | None,
    output: Path,
    init: Path | None,
    pictures: Pictures,
    store: Store,
) -> None:
    """Write the averaged weights as `weights.safetensors`."""
    import torch

    from dmtrack.config import PUBLISHED_TRACKER, TINY_TRACKER
    from dmtrack.network.checkpoint import WeightsMeta, save_weights, sha256_of

    adapters = trainer.config.stage == "adapters"
    model = trainer.averaged_model
    sources = ["synthetic sequences"]
    sources += ["photographs with polygons"] if pictures.photographs else []
    sources += ["thermal images"] if pictures.thermal_images else []
    meta = WeightsMeta(
        config=model.config,
        kind="adapters" if adapters else "foundation",
        modality=modality if adapters else None,
        tracker=TINY_TRACKER if model.config.name == "tiny" else PUBLISHED_TRACKER,
        trained_on=", ".join(sources),
        source_name=output.name,
        foundation_sha256=sha256_of(init) if adapters and init is not None else None,
    )
    path = output / "weights.safetensors"
    dtype = torch.float16 if store is Store.FP16 else None
    digest = save_weights(path, model.state_dict(), meta, dtype=dtype)
    typer.echo(f"wrote {path} (sha256 {digest})", err=True)
