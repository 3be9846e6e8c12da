"""`dmtrack train`: train a foundation from nothing, or the adapters of one modality on top of it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dmtrack.errors import CheckpointError, ConfigError, InputError
from dmtrack.training.bad_data import BadData
from dmtrack.video.frame import Modality
from dmtrack_cli.options import PhotographsOption, ThermalImagesOption
from dmtrack_cli.training_data import (
    SYNTHETIC,
    DataPart,
    DataSource,
    Pictures,
    SampleShape,
    TrainingData,
    open_data,
)

if TYPE_CHECKING:
    from dmtrack.config import ModelConfig, TrackerConfig
    from dmtrack.network.model import DMTrack
    from dmtrack.training.config import TrainConfig
    from dmtrack.training.distributed import ProcessGroup
    from dmtrack.training.trainer import Trainer, Validate


class Store(StrEnum):
    """Number format of the weights file."""

    FP32 = "fp32"
    FP16 = "fp16"


class StageOption(StrEnum):
    """What is trained."""

    FOUNDATION = "foundation"
    QUALITY = "quality"
    ADAPTERS = "adapters"


def train(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Run folder; resumed when it has a checkpoint.")
    ],
    stage: Annotated[StageOption, typer.Option(help="What to train.")] = StageOption.ADAPTERS,
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
    init_adapters: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Adapters to start from, maybe of another foundation of this shape."
        ),
    ] = None,
    imagenet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Foundation: put EfficientNet-Lite0 (a .pth of its weights) beside the convolutional stem.",
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
    strong: Annotated[
        bool,
        typer.Option("--strong", help="Sequences in --data are few: vary what is drawn from them far more."),
    ] = False,
    absent_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="--strong: share of search crops without the target.")
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
    store: Annotated[Store, typer.Option(help="Numbers in weights.safetensors.")] = Store.FP32,
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
    import torch

    from dmtrack.tracking.device import choose_device
    from dmtrack.training.distributed import joined_group

    chosen = choose_device(device)  # now, in one line, not when the network moves there
    device = chosen.type if device == "auto" else device
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
    given = {name: value for name, value in given.items() if value is not None}
    train_config = _train_config(stage, preset, modality, config, given)
    request = _Request(
        stage=stage,
        modality=modality,
        model=_model_config(preset, modality, template_size, search_size),
        train=train_config,
        init=None if init is None else _init_file(init),
        imagenet=imagenet,
        init_adapters=init_adapters,
        data=TrainingData(
            [DataPart.parse(text) for text in data or [SYNTHETIC]],
            Pictures(photographs, thermal_images),
            collage_share,
            strong,
            absent_share,
        ),
        bad_data=bad_data,
        output=output,
        device=device,
        bf16=bf16,
        workers=workers,
        validate=validate,
        validate_every=validate_every,
        store=store,
    )
    with joined_group(device) as group:
        _train(request, group)


@dataclass(frozen=True, slots=True)
class _Request:
    """What the command line asks for."""

    stage: StageOption
    modality: Modality | None
    model: ModelConfig
    train: TrainConfig
    init: Path | None
    imagenet: Path | None
    init_adapters: Path | None
    data: TrainingData
    bad_data: BadData
    output: Path
    device: str
    bf16: bool
    workers: int
    validate: Path | None
    validate_every: int
    store: Store


def _train(request: _Request, group: ProcessGroup) -> None:
    """Train in this process, alone or as one of a group."""
    import torch

    from dmtrack.training.run_folder import ReadOnlyRunFolder, RunFolder
    from dmtrack.training.trainer import Trainer

    # The model before the data, and seeded right before it: the same seed is the same network.
    torch.manual_seed(request.train.seed)
    model = _build_model(request.stage, request.model, request.init, request.imagenet)
    if request.init_adapters is not None and model.adapters is not None:
        from dmtrack.network.checkpoint import load_weights

        tensors = load_weights(request.init_adapters).tensors
        model.adapters.load_state_dict({name.removeprefix("adapters."): t for name, t in tensors.items()})
    source = _open_data(request, model.config)
    device = group.device(request.device)
    trainer = Trainer(
        model.to(device),
        request.train,
        source.factory,
        (RunFolder if group.is_first else ReadOnlyRunFolder)(request.output),
        device=device,
        bf16=request.bf16,
        workers=request.workers,
        validate=_validation(request) if group.is_first else None,
        validate_interval=request.validate_every,
        group=group,
    )
    trainer.folder.write_config(
        {
            "model": model.config.to_dict(),
            "train": request.train.to_dict(),
            "init": request.init,
            "modality": request.modality,
            "data": [part._asdict() for part in request.data.parts],
        }
    )
    if group.is_first:
        for note in source.notes:
            typer.echo(note, err=True)
    _run(trainer)
    if group.is_first:
        _save(trainer, request, source.trained_on)


def _open_data(request: _Request, model_config: ModelConfig) -> DataSource:
    """Open what samples are drawn from: pairs for adapters, one stream for a foundation.

    Raises:
        ConfigError: The adapter stage was given no modality.
    """
    pairs = request.stage is StageOption.ADAPTERS
    if pairs and request.modality is None:
        raise ConfigError("the adapter stage needs --modality", hint="thermal, depth or event")
    shape = SampleShape(
        model_config.template_size,
        model_config.search_size,
        request.train.templates,
        request.modality if pairs else None,
    )
    return open_data(request.data, shape, request.bad_data)


def _train_config(
    stage: StageOption, preset: str, modality: Modality | None, path: Path | None, given: dict[str, Any]
) -> TrainConfig:
    """Merge preset < file < flags."""
    from dmtrack.training.config import TrainConfig, train_preset

    values = train_preset(stage.value, preset, modality).to_dict()
    if path is not None:
        try:
            values |= tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", where=path) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"not TOML ({error})", where=path) from error
    return TrainConfig.from_dict(values | given)


def _model_config(
    preset: str, modality: Modality | None, template_size: int | None, search_size: int | None
) -> ModelConfig:
    from dmtrack.config import model_preset

    config = model_preset(preset, modality)
    return replace(
        config,
        template_size=template_size or config.template_size,
        search_size=search_size or config.search_size,
    )


def _init_file(asked: str) -> Path:
    """Return the weights file that `--init` means: a path, or a name that `--weights` knows, too.

    Raises:
        CheckpointError: There are no such weights; for `base`, the message says how to get them.
    """
    from dmtrack.network.store import find_weights

    path = Path(asked).expanduser()
    return path if path.is_file() else find_weights(asked, None)[0].path


def _build_model(
    stage: StageOption, config: ModelConfig, init: Path | None, imagenet: Path | None = None
) -> DMTrack:
    """Build the network of the stage and load what it starts from.

    Raises:
        CheckpointError: The adapter stage was given no foundation, or the weights do not fit.
        ConfigError: The weights are of another preset.
    """
    from dmtrack.config import PRESETS
    from dmtrack.network.checkpoint import load_weights
    from dmtrack.network.model import DMTrack
    from dmtrack.network.resize import resize_positions

    adapters = stage is StageOption.ADAPTERS
    if init is None:
        if stage is not StageOption.FOUNDATION:
            raise CheckpointError(
                f"the {stage} stage needs a foundation", hint="give its weights with --init"
            )
        return _with_imagenet(DMTrack(config, with_adapters=False), imagenet)
    weights = load_weights(init)
    if weights.meta.kind == "full":
        weights = weights.part("foundation")
    if weights.meta.kind != "foundation":
        raise CheckpointError("these are adapters, not a foundation", where=init)
    known = weights.meta.config
    if known.name in PRESETS and known.name != config.name:
        raise ConfigError(
            f"a {known.name} foundation, but the preset is {config.name}",
            where=init,
            hint=f"give --preset {known.name}",
        )
    model = DMTrack(
        replace(
            config,
            width=known.width,
            depth=known.depth,
            heads=known.heads,
            mlp_ratio=known.mlp_ratio,
            stem=known.stem,
            head_width=known.head_width,
            # A foundation may grow these parts; adapters take the foundation as it is.
            template_prompt=known.template_prompt or (config.template_prompt and not adapters),
            quality_head=known.quality_head or (config.quality_head and not adapters),
        ),
        with_adapters=adapters,
    )
    tensors = resize_positions(weights.tensors, model.config)
    if imagenet is not None and known.stem == "conv":
        model = DMTrack(replace(model.config, stem="lite"), with_adapters=False)
        tensors = {
            name.replace("foundation.stem.", "foundation.stem.conv."): t for name, t in tensors.items()
        }
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    if model.config.stem != known.stem:
        missing = [name for name in missing if not name.startswith("foundation.stem.")]
        _with_imagenet(model, imagenet)
    fresh = ("adapters.",) if adapters else ("foundation.foreground", "foundation.head.quality.")
    wrong = [name for name in missing if not name.startswith(fresh)] + list(unexpected)
    if wrong:
        raise CheckpointError(f"{len(wrong)} keys do not fit, first {wrong[0]}", where=init)
    return model


def _with_imagenet(model: DMTrack, path: Path | None) -> DMTrack:
    """Load a lite stem's pretrained stages, where there are any.

    Raises:
        CheckpointError: The file is of another network.
    """
    import pickle

    import torch

    from dmtrack.network.lite_stem import LiteStem

    if path is None:
        return model
    stem = model.foundation.stem
    try:
        if not isinstance(stem, LiteStem):
            raise ValueError("this foundation has no lite stem")
        stem.load_imagenet(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"not the weights of EfficientNet-Lite0 ({error})", where=path) from error
    return model


def _tracker_config(preset: str) -> TrackerConfig:
    """Return the inference protocol that suits a preset."""
    from dmtrack.config import PUBLISHED_TRACKER, TINY_TRACKER

    return TINY_TRACKER if preset == "tiny" else PUBLISHED_TRACKER


def _validation(request: _Request) -> Validate | None:
    """Return a function that tracks every annotated clip once and reports mean IoU a clip."""
    from dmtrack.evaluation.clip_validation import ClipValidation

    if request.validate is None:
        return None
    return ClipValidation(request.validate, request.modality, _tracker_config(request.model.name))


def _run(trainer: Trainer) -> None:
    """Train; the first process says one line a report on standard error."""
    resumed = trainer.resume()
    if trainer.group.is_first:
        start = "resumed at" if resumed else "from"
        typer.echo(f"{trainer.trained:,} trained parameters; {start} step {trainer.step}", err=True)
    for p in trainer.run():
        if trainer.group.is_first:
            typer.echo(
                f"step {p.step}/{trainer.config.steps} loss {p.loss:.3f} (focal {p.focal:.3f} "
                f"giou {p.giou:.3f} l1 {p.l1:.4f} quality {p.quality:.3f}) iou {p.iou:.3f} "
                f"lr {p.learning_rate:.2e} grad {p.gradient_norm:.2f} {p.samples_per_s:.1f} samples/s, "
                f"{p.data_wait:.0%} waiting",
                err=True,
            )


def _save(trainer: Trainer, request: _Request, trained_on: str) -> None:
    """Write the averaged weights as `weights.safetensors`."""
    import torch

    from dmtrack.network.checkpoint import WeightsMeta, save_weights, sha256_of

    adapters = trainer.config.stage == "adapters"
    model = trainer.averaged_model
    meta = WeightsMeta(
        config=model.config,
        kind="adapters" if adapters else "foundation",
        modality=request.modality if adapters else None,
        tracker=_tracker_config(model.config.name),
        trained_on=trained_on,
        source_name=request.output.name,
        foundation_sha256=sha256_of(request.init) if adapters and request.init is not None else None,
    )
    path = request.output / "weights.safetensors"
    dtype = torch.float16 if request.store is Store.FP16 else None
    digest = save_weights(path, model.state_dict(), meta, dtype=dtype)
    typer.echo(f"wrote {path} (sha256 {digest})", err=True)
