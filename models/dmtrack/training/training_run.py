"""A whole training run from a request: the network, the data, the loop and the weights file."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import torch

from dmtrack.atomic import held, inputs_kept, make_folder, refuse_input
from dmtrack.config import PRESETS, ModelConfig, model_preset, tracker_preset
from dmtrack.errors import CheckpointError, ConfigError
from dmtrack.evaluation.clips import ClipValidation
from dmtrack.network.backend import choose_device
from dmtrack.network.model import DMTrack
from dmtrack.network.weights.checkpoint import Weights, load_weights, resize_positions, save_weights
from dmtrack.network.weights.file import WeightsMeta, sha256_of
from dmtrack.network.weights.store import find_weights
from dmtrack.output.record import results_in
from dmtrack.synthetic.sample import SampleShape
from dmtrack.synthetic.sampling import TrainingSampler
from dmtrack.training.data import SamplerFactory, WeightedSource
from dmtrack.training.distributed import joined_group
from dmtrack.training.results_data import modality_of_results
from dmtrack.training.sequences import SequenceConfig, SequenceSource
from dmtrack.training.strong_sequences import QUALITY_ABSENT_SHARE, StrongConfig, StrongSource
from dmtrack.training.train_config import SYNTHETIC, DataPart, Stage, TrainRequest
from dmtrack.training.trainer import Progress, Trainer

WEIGHTS: Final = "weights.safetensors"  # file name in the run folder
_PICTURES: Final = "pictures"  # folder in the run folder for frames of results that are trained on
_FIRST_PACE_S: Final = 10.0
_PACE_EVERY_S: Final = 30.0


def train(request: TrainRequest, tell: Callable[[str], object] = lambda line: None) -> Iterator[Progress]:
    """Train from the start or a checkpoint to the last step, and write `weights.safetensors`.

    Started by `torchrun`, several processes share each batch; the first one reports and writes.

    Args:
        request: The run.
        tell: Called with a line about each folder of data, where the run starts, and what it wrote.

    Yields:
        Means over the steps since the last report.

    Raises:
        CheckpointError: The weights or the checkpoint do not fit the run.
        ConfigError: Two parts of the request contradict each other, or the device does not exist.
        InputError: Data are missing or cannot be used.
    """
    request = _suited_to_results(request)
    chosen = choose_device(request.device)  # now, for an early one-line error
    device = chosen.type if request.device == "auto" else request.device
    if request.threads is not None:
        torch.set_num_threads(request.threads)
    init = None if request.init is None else _init_file(request.init)
    adapters = _init_adapters(request)
    with joined_group(device) as group, _locked_folder(request.output, init, is_first=group.is_first):
        # Seeded right before the model, which is made before the data: the same seed gives the same network.
        torch.manual_seed(request.train.seed)
        model = build_model(request.train.stage, _model_config(request), init, adapters)
        source = open_data(request, model.config)
        validate = _validation(request, model.config) if group.is_first else None
        model.to(group.device(device))
        trainer = Trainer(model, request, source.factory, validate=validate, group=group)
        trainer.folder.write_config(
            {
                "model": model.config.to_dict(),
                "train": request.train.to_dict(),
                "init": init,
                "init_adapters": None if adapters is None else request.init_adapters,
                "modality": request.modality,
                "data": [part._asdict() for part in _parts(request)],
            }
        )
        start = "resumed at" if trainer.resume() else "from"
        if not group.is_first:
            for _ in trainer.run():
                pass
            return
        for note in source.notes:
            tell(note)
        tell(f"{trainer.trained:,} trained parameters; {start} step {trainer.step}")
        pace = _Pace(tell, trainer.step, request.train.steps)
        trainer.on_step = pace.note
        for progress in trainer.run():
            pace.is_over = True
            yield progress
        path, digest = _save(trainer, request, source.trained_on, init)
        tell(f"wrote {path} (sha256 {digest})")
        streams = "RGB" if init is None or request.modality is None else f"RGB {request.modality.upper()}"
        tell(f"track with it: dmtrack track {streams} --weights {shlex.quote(path.as_posix())}")


def _suited_to_results(request: TrainRequest) -> TrainRequest:
    """If all data are results, fill in what they tell: the modality, and adapters to continue from.

    A single recording is too little to train adapters from scratch: those of the name in `--init` are
    continued.
    """
    folders = [part.folder for part in request.data]
    if request.train.stage != "adapters" or not folders:
        return request
    if any(folder is None or not results_in(folder) for folder in folders):
        return request
    modality = request.modality or modality_of_results(folders[0] or Path())
    adapters = request.init_adapters
    if adapters is None and request.init is not None and not Path(request.init).is_file():
        adapters = request.init
    return replace(request, modality=modality, init_adapters=adapters)


@contextmanager
def _locked_folder(folder: Path, init: Path | None, *, is_first: bool) -> Iterator[None]:
    """Lock the run folder, in the first process of a run, and protect the inputs."""
    if not is_first:
        yield
        return
    with inputs_kept(init), held(make_folder(folder)):
        refuse_input(folder / WEIGHTS)
        yield


class _Pace:
    """Reports the speed of a run until its first regular report, which may take an hour."""

    def __init__(self, tell: Callable[[str], object], step: int, steps: int) -> None:
        self.is_over = False
        self._tell, self._first, self._steps = tell, step, steps
        self._begin_s = time.monotonic()
        self._next_s = self._begin_s + _FIRST_PACE_S

    def note(self, step: int) -> None:
        """Record that a step is done."""
        now = time.monotonic()
        if self.is_over or now < self._next_s:
            return
        self._next_s = now + _PACE_EVERY_S
        step_s = (now - self._begin_s) / (step - self._first)
        left_min = (self._steps - step) * step_s / 60
        self._tell(f"step {step}/{self._steps}, {step_s:.2f} s a step, about {left_min:.0f} min left")


def _validation(request: TrainRequest, model: ModelConfig) -> ClipValidation | None:
    if request.validate is None:
        return None
    return ClipValidation(request.validate, request.modality, tracker_preset(model.name))


def _save(trainer: Trainer, request: TrainRequest, trained_on: str, init: Path | None) -> tuple[Path, str]:
    """Write the averaged weights; return the file and its digest."""
    adapters = trainer.config.stage == "adapters"
    model = trainer.averaged_model
    meta = WeightsMeta(
        config=model.config,
        kind="adapters" if adapters else "foundation",
        modality=request.modality if adapters else None,
        tracker=tracker_preset(model.config.name),
        trained_on=trained_on,
        source_name=request.output.name,
        foundation_sha256=sha256_of(init) if adapters and init is not None else None,
    )
    path = request.output / WEIGHTS
    dtype = torch.float16 if request.store == "fp16" else None
    return path, save_weights(path, model.state_dict(), meta, dtype=dtype)


# --- the network --------------------------------------------------------------------------------


def _model_config(request: TrainRequest) -> ModelConfig:
    config = model_preset(request.preset, request.modality)
    return replace(
        config,
        template_size=request.template_size or config.template_size,
        search_size=request.search_size or config.search_size,
    )


def _init_file(asked: str) -> Path:
    """Return the weights file of a path, or of a name as for `--weights`."""
    path = Path(asked).expanduser()
    return path if path.is_file() else find_weights(asked, None)[0].path


def _init_adapters(request: TrainRequest) -> Weights | None:
    """Read the adapters from which the run continues; they may be for an earlier foundation."""
    asked = request.init_adapters
    if asked is None:
        return None
    if request.train.stage != "adapters":
        raise ConfigError("adapters to go on from are for the adapter stage", hint="--stage adapters")
    path = Path(asked).expanduser()
    weights = load_weights(path if path.is_file() else find_weights(asked, request.modality)[-1].path)
    if weights.meta.kind == "full":
        weights = weights.part("adapters")
    if weights.meta.kind != "adapters" or weights.meta.modality != request.modality:
        raise CheckpointError(f"these are no adapters for {request.modality}", where=asked)
    return weights


def build_model(
    stage: Stage, config: ModelConfig, init: Path | None, adapted: Weights | None = None
) -> DMTrack:
    """Build the network of a stage and load the weights it starts from.

    The shapes of the foundation, `init`, override those of `config`. `adapted` are adapters to continue,
    whose share of the second stream is kept; None starts new ones. `CheckpointError`: the stage needs a
    foundation and got none, or the weights do not fit; `ConfigError`: the weights are of another preset.
    """
    adapters = stage == "adapters"
    if init is None:
        if stage != "foundation":
            raise CheckpointError(
                f"the {stage} stage needs a foundation", hint="give --init tiny, or the file of another one"
            )
        return DMTrack(config, with_adapters=False)
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
            # Continued training may add these parts to a foundation; adapters take it as it is.
            template_prompt=known.template_prompt or (config.template_prompt and not adapters),
            quality_head=known.quality_head or (config.quality_head and not adapters),
            aux_share=config.aux_share if adapted is None else adapted.meta.config.aux_share,
        ),
        with_adapters=adapters,
    )
    tensors = resize_positions(weights.tensors, model.config)
    if adapted is not None:
        tensors |= adapted.tensors
        if adapted.meta.config.adapter_parameters != model.config.adapter_parameters:
            raise CheckpointError("the adapters to go on from are of another network", where=init)
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    fresh = ("adapters.",) if adapters else ("foundation.foreground", "foundation.head.quality.")
    wrong = [name for name in missing if not name.startswith(fresh)] + list(unexpected)
    if wrong:
        raise CheckpointError(f"{len(wrong)} keys do not fit, first {wrong[0]}", where=init)
    return model


# --- the data -----------------------------------------------------------------------------------


class DataSource(NamedTuple):
    """The source of a run's samples."""

    factory: SamplerFactory
    trained_on: str  # in words, for the weights file
    notes: Sequence[str]  # a summary for each folder


def open_data(request: TrainRequest, model: ModelConfig) -> DataSource:
    """Open all parts of the data and mix them by weight: pairs for adapters, one stream for a foundation.

    `ConfigError`: the adapter stage has no modality, or pictures for synthesis were given without synthetic
    data; `InputError`: a folder is missing; `DatasetError`: a folder holds nothing to draw samples from, or
    bad data is fatal.
    """
    pairs = request.train.stage == "adapters"
    if pairs and request.modality is None:
        raise ConfigError("the adapter stage needs --modality", hint="thermal, depth or event")
    modality = request.modality if pairs else None
    shape = SampleShape(model.template_size, model.search_size, request.train.templates, modality)
    parts = _parts(request)
    request.pictures.require_folders()
    pictures = {
        "photographs with polygons": request.pictures.photographs,
        "thermal images": request.pictures.thermal_images,
    }
    synthetic = any(part.folder is None for part in parts)
    if any(pictures.values()) and not synthetic:
        raise ConfigError("photographs and thermal images are for synthesis", hint=f"add --data {SYNTHETIC}")
    words = (
        ["synthetic sequences", *(name for name, folder in pictures.items() if folder)] if synthetic else []
    )
    factories: list[SamplerFactory] = []
    notes: list[str] = []
    for part in parts:
        if part.folder is None:
            # pairs for adapters, scenes and collages for a foundation
            factories.append(partial(TrainingSampler, request.pictures.sampler_config(shape)))
            continue
        source = _sequences(part.folder, request, shape)
        factories.append(source)
        words += [f"{count} {layout} sequences" for layout, count in source.listing.layouts.items()]
        notes.append(f"{part.folder}: {source.listing}")
    weights = tuple(part.weight for part in parts)
    factory = factories[0] if len(factories) == 1 else WeightedSource(tuple(factories), weights)
    return DataSource(factory, ", ".join(words), notes)


def _sequences(folder: Path, request: TrainRequest, shape: SampleShape) -> SequenceSource | StrongSource:
    pictures = request.output / _PICTURES
    if not request.strong:
        return SequenceSource.open(folder, SequenceConfig(**asdict(shape)), request.bad_data, pictures)
    config = StrongConfig(shape.template_size, shape.search_size, shape.templates, modality=shape.modality)
    if request.train.stage == "quality":
        config = replace(config, absent_share=QUALITY_ABSENT_SHARE)
    return StrongSource.open(folder, config, request.bad_data, pictures)


def _parts(request: TrainRequest) -> tuple[DataPart, ...]:
    return request.data or (DataPart(None),)
