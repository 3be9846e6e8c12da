"""The configuration of a training run: every number with its source, the data, and the request as a whole."""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self

from dmtrack.config import _Config
from dmtrack.errors import ConfigError, InputError, translated
from dmtrack.numbers import file_bytes, finite, shown
from dmtrack.options import Option, make_exact
from dmtrack.video.frame import Modality

if TYPE_CHECKING:
    from dmtrack.synthetic.sample import SampleShape
    from dmtrack.synthetic.sampling import SamplerConfig

Stage = Literal["foundation", "quality", "adapters"]

SYNTHETIC = "synthetic"  # what `--data` calls made-up samples


class BadData(StrEnum):
    """What is done about data that cannot be used."""

    SKIP = "skip"
    FATAL = "fatal"


@dataclass(frozen=True, slots=True)
class TrainConfig(_Config):
    """How one stage is trained. The defaults are the published adapter stage (specification 4)."""

    # `foundation` trains the one-stream tracker from nothing; `quality` freezes all of it but the
    # head's quality tower; `adapters` freezes it and trains the adapters of one modality
    stage: Stage = "adapters"
    steps: int = 56_220  # optimiser steps. Published: 60 epochs of 60,000 samples at batch 64.
    batch_size: int = 64  # samples a step, over all processes. Published: 4 processes of 16.
    learning_rate: float = 4e-4  # peak rate of AdamW. Published: 4e-4.
    # `adamw` (published), or `muon`: orthogonalised momentum for the weight matrices of the blocks and
    # AdamW for the rest
    optimizer: Literal["adamw", "muon"] = "adamw"
    warmup_steps: int = 0  # linear warm-up. Published: none.
    # `step` (published): a tenth of the rate from 80 % on. `linear`: down to 0 over the last
    # `decay_share` of the steps.
    schedule: Literal["step", "linear"] = "step"
    decay_share: float = 0.4  # see `schedule`
    weight_decay: float = 1e-4  # decoupled weight decay. Published: 1e-4.
    grad_clip: float = 0.1  # largest gradient norm. Published: 0.1.
    ema_decay: float = 0.0  # decay of the averaged weights that are validated and shipped; 0 is off
    giou_weight: float = 2.0  # weight of the GIoU loss. Published: 2.
    l1_weight: float = 5.0  # weight of the L1 loss. Published: 5.
    focal_weight: float = 1.0  # weight of the focal loss. Published: 1.
    quality_weight: float = 0.5  # weight of the quality loss, for networks with a quality tower. Ours.
    templates: int = 3  # templates T a sample. Published: 3; 2 for depth.
    seed: int = 0  # seed of initial values, data order and augmentation
    # Steps between checkpoints. Data is re-seeded at each, so that a resumed run sees what an
    # uninterrupted one sees.
    checkpoint_interval: int = 500
    log_interval: int = 20  # steps between rows of `curve.csv`

    def __post_init__(self) -> None:
        self._require_plain()
        self._require_positive("steps", "batch_size", "templates", "checkpoint_interval", "log_interval")
        if not 0 < self.learning_rate <= 10:
            raise ConfigError(f"learning_rate={self.learning_rate:g} must be above 0 and at most 10")
        if not (0 <= self.decay_share <= 1 and 0 <= self.ema_decay < 1 and self.grad_clip > 0):
            raise ConfigError("decay_share must be in [0, 1], ema_decay in [0, 1) and grad_clip above 0")
        weights = ("giou_weight", "l1_weight", "focal_weight", "quality_weight", "weight_decay")
        for name in ("warmup_steps", "seed", *weights):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name}={getattr(self, name)} must not be below 0")

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


def train_numbers(
    stage: str, network: str, modality: str | None = None, file: Path | str | None = None, **given: object
) -> TrainConfig:
    """Return the numbers that suit a stage, changed by a TOML file and then by `given`.

    Args:
        stage: `foundation`, `quality` or `adapters`.
        network: `tiny`, or `base`, whose adapters get the published numbers.
        modality: Of the adapters: `base` takes 2 templates for depth, 3 otherwise (specification 3.1).
        file: The TOML file, or None.
        **given: Numbers of `TrainConfig` by name; None leaves one as it is.

    Raises:
        ConfigError: The file is not TOML, or a stage, a name or a number is wrong.
        InputError: The file cannot be read.
    """
    preset = {"foundation": TINY_FOUNDATION, "quality": TINY_QUALITY, "adapters": TINY_ADAPTERS}.get(stage)
    if preset is None:
        raise ConfigError(f"unknown stage {stage!r}", hint="foundation, quality or adapters")
    if stage == "adapters" and network != "tiny":
        preset = TrainConfig(templates=2) if modality == "depth" else TrainConfig()
    values = preset.to_dict()
    if file is not None:
        with translated(InputError, "cannot be read", where=file):
            data = file_bytes(Path(file))
        with translated(ConfigError, "not TOML", where=file):
            values |= tomllib.loads(data.decode())
    return TrainConfig.from_dict(values | {name: v for name, v in given.items() if v is not None})


class DataPart(NamedTuple):
    """A folder of annotated sequences or of results, or None for synthesis, and how often it is drawn."""

    folder: Path | None
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `synthetic`, `FOLDER`, `synthetic=WEIGHT` or `FOLDER=WEIGHT`.

        `ConfigError`: the weight is not a number above 0; `InputError`: there is no such folder.
        """
        name, equals, number = text.rpartition("=")
        if not equals or Path(text).is_dir():
            name, number = text, "1"
        try:
            weight = finite(number)
        except ValueError:
            weight = math.nan
        if not weight > 0:
            raise ConfigError(f"the weight {shown(number)} of {shown(name)} is not a number above 0")
        if name == SYNTHETIC:
            return cls(None, weight)
        if not name or not Path(name).is_dir():
            raise InputError(
                "no such folder", where=name, hint=f"--data takes FOLDER[=WEIGHT] or {SYNTHETIC}[=WEIGHT]"
            )
        return cls(Path(name), weight)


@dataclass(frozen=True, slots=True)
class Pictures:
    """What synthesis draws on."""

    photographs: Annotated[
        Path | None,
        Option("--photographs", "Folder of photographs with instance polygons, to cut objects from.", "DIR"),
    ] = None
    thermal_images: Annotated[
        Path | None, Option("--thermal-images", "Folder of thermal images with boxes_xywh.json.", "DIR")
    ] = None
    collage_share: Annotated[
        float,
        Option(
            "--collage-share", "One stream: fraction of flat collages, 0 to 1; the rest are scenes.", most=1
        ),
    ] = 0.5

    def require_folders(self) -> None:
        """Make sure that the folders are there; `InputError` where one is not."""
        for folder in (self.photographs, self.thermal_images):
            if folder is not None and not folder.is_dir():
                raise InputError("no such folder", where=folder)

    def sampler_config(self, shape: SampleShape) -> SamplerConfig:
        """Return how samples of this shape are made up of them."""
        from dmtrack.synthetic.sampling import SamplerConfig

        return SamplerConfig(
            **asdict(shape),
            photographs=self.photographs,
            thermal_images=self.thermal_images,
            collage_share=self.collage_share,
            # A foundation must know the look of every second stream: adapters cannot teach it to see.
            event_share=0.08,
            depth_share=0.08,
        )


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """One training run, see `dmtrack.training.training_run.train`."""

    output: Annotated[
        Path, Option("-o --output", "Run folder; if it has a checkpoint, training continues from it.", "DIR")
    ]
    train: TrainConfig = TrainConfig()
    """The stage and its numbers."""
    preset: Annotated[str, Option("--preset", "Network preset: tiny or base.", "NAME")] = "tiny"
    modality: Annotated[Modality | None, Option("--modality", "Second stream of the adapter stage.")] = None
    init: Annotated[
        str | None,
        Option(
            "--init",
            "Weights to start from: a .safetensors, tiny (built in), base (an OSTrack checkpoint added with "
            "`weights add`) or another name in the data folder. In the adapter stage, the foundation.",
            metavar="NAME|PATH",
        ),
    ] = None
    init_adapters: Annotated[
        str | None,
        Option(
            "--init-adapters",
            "Adapter stage: adapters to start from, a .safetensors or a name as in --init. Default: new "
            "ones.",
            metavar="NAME|PATH",
        ),
    ] = None
    data: Annotated[
        tuple[DataPart, ...],
        Option(
            "--data",
            "Folder of annotated sequences (LasHeR, DepthTrack, VisEvent, RGBT234, VTUAV, plain), results "
            "of track or batch, or synthetic. Repeatable: samples are drawn by weight. Default: synthetic.",
            metavar="FOLDER[=WEIGHT]",
            parse=DataPart.parse,
        ),
    ] = ()
    strong: Annotated[bool, Option("--strong", "Augment far more, for few sequences in --data.")] = False
    bad_data: Annotated[
        BadData, Option("--bad-data", "On unusable data: skip it with a message, or stop.")
    ] = BadData.SKIP
    pictures: Pictures = Pictures()
    template_size: Annotated[
        int | None,
        Option(
            "--template-size", "Template side in px, for training a smaller network.", least=16, most=1024
        ),
    ] = None
    search_size: Annotated[
        int | None,
        Option("--search-size", "Search side in px, for training a smaller network.", least=16, most=2048),
    ] = None
    device: Annotated[str, Option("--device", "auto, cpu, cuda or mps.", "NAME")] = "auto"
    bf16: Annotated[bool, Option("--bf16/--no-bf16", "Use bfloat16 autocast.")] = True
    workers: Annotated[
        int, Option("--workers", "Processes that make samples; 0: the main process.", most=1024)
    ] = 1
    threads: Annotated[
        int | None, Option("--threads", "Threads of the network on a CPU.", least=1, most=4096)
    ] = None
    store: Annotated[Literal["fp32", "fp16"], Option("--store", "Number format in weights.safetensors.")] = (
        "fp32"
    )
    validate: Annotated[Path | None, Option("--val", "Folder of annotated clips to validate on.", "DIR")] = (
        None
    )
    validate_every: Annotated[int, Option("--val-every", "Steps between validations.", least=1)] = 1000

    def __post_init__(self) -> None:
        make_exact(self)
