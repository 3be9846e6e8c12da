"""Where training samples come from, as the command line says it: `--data` and the folders of pictures."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from dmtrack.errors import ConfigError, InputError
from dmtrack.video.frame import Modality

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dmtrack.training.bad_data import BadData
    from dmtrack.training.data import SamplerFactory

SYNTHETIC = "synthetic"


class Pictures(NamedTuple):
    """Folders of pictures that synthesis draws on."""

    photographs: Path | None = None
    thermal_images: Path | None = None

    def require_folders(self) -> None:
        """Raise an `InputError` that names a folder which is not there."""
        for folder in self:
            if folder is not None and not folder.is_dir():
                raise InputError("no such folder", where=folder)


class DataPart(NamedTuple):
    """One `--data`: a folder of annotated sequences, or None for synthesis, and how often it is drawn."""

    folder: Path | None
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `synthetic`, `FOLDER`, `synthetic=WEIGHT` or `FOLDER=WEIGHT`.

        Raises:
            ConfigError: The weight is not a number above 0.
            InputError: There is no such folder.
        """
        name, equals, number = text.rpartition("=")
        if not equals or Path(text).is_dir():
            name, number = text, "1"
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not (math.isfinite(weight) and weight > 0):
            raise ConfigError(f"--data {text}: the weight {number!r} is not a number above 0")
        if name == SYNTHETIC:
            return cls(None, weight)
        if not name or not Path(name).is_dir():
            raise InputError(
                "no such folder", where=name, hint=f"--data takes FOLDER[=WEIGHT] or {SYNTHETIC}[=WEIGHT]"
            )
        return cls(Path(name), weight)


class SampleShape(NamedTuple):
    """What a sample must be, whatever it is drawn from.

    Attributes:
        template_size: In px.
        search_size: In px.
        templates: Number T.
        modality: Second stream of pairs; None for one stream.
    """

    template_size: int
    search_size: int
    templates: int
    modality: Modality | None


class TrainingData(NamedTuple):
    """Everything the command line says about data.

    Attributes:
        parts: What is mixed; only synthesis when nothing is said.
        pictures: What synthesis draws on.
        collage_share: One stream: share of flat collages among the synthetic samples.
        strong: Real sequences are few: see `dmtrack.training.strong_sequences`.
        absent_share: With `strong`: share of search crops without the target; None leaves the usual one.
    """

    parts: Sequence[DataPart]
    pictures: Pictures
    collage_share: float
    strong: bool = False
    absent_share: float | None = None


class DataSource(NamedTuple):
    """What makes the samples of a run.

    Attributes:
        factory: Makes samplers.
        trained_on: In words, for the weights file.
        notes: A line a folder on what was found in it.
    """

    factory: SamplerFactory
    trained_on: str
    notes: Sequence[str]


def open_data(data: TrainingData, shape: SampleShape, bad_data: BadData) -> DataSource:
    """Open all parts and mix them by weight.

    Raises:
        ConfigError: Pictures for synthesis were given, but synthesis is no part of the data.
        InputError: A folder is missing.
        DatasetError: A folder holds nothing to draw samples from, or bad data is fatal.
    """
    from dmtrack.training.mixing import WeightedSource
    from dmtrack.training.sequence_config import SequenceConfig
    from dmtrack.training.sequence_source import SequenceSource
    from dmtrack.training.strong_sequences import StrongConfig, StrongSource

    data.pictures.require_folders()
    synthetic = any(part.folder is None for part in data.parts)
    if any(data.pictures) and not synthetic:
        raise ConfigError("photographs and thermal images are for synthesis", hint=f"add --data {SYNTHETIC}")
    weighted: list[tuple[SamplerFactory, float]] = []
    words: list[str] = list(_synthetic_words(data.pictures)) if synthetic else []
    notes: list[str] = []
    for part in data.parts:
        if part.folder is None:
            weighted += [(f, part.weight * share) for f, share in _synthetic_sources(data, shape)]
            continue
        source: SequenceSource | StrongSource
        if data.strong:
            strong_config = StrongConfig(**shape._asdict())
            if data.absent_share is not None:
                strong_config = replace(strong_config, absent_share=data.absent_share)
            source = StrongSource.open(part.folder, strong_config, bad_data)
        else:
            source = SequenceSource.open(part.folder, SequenceConfig(**shape._asdict()), bad_data)
        weighted.append((source, part.weight))
        words += [f"{count} {layout} sequences" for layout, count in source.listing.layouts.items()]
        notes.append(f"{part.folder}: {source.listing}")
    factories, weights = zip(*weighted, strict=True)
    factory = factories[0] if len(factories) == 1 else WeightedSource(factories, weights)
    return DataSource(factory, ", ".join(words), notes)


def synthetic_factory(shape: SampleShape, pictures: Pictures, collage_share: float) -> SamplerFactory:
    """Return what makes synthetic samples alone (see `open_data` for the errors)."""
    from dmtrack.training.bad_data import BadData

    data = TrainingData([DataPart(None)], pictures, collage_share)
    return open_data(data, shape, BadData.FATAL).factory


def _synthetic_words(pictures: Pictures) -> Iterator[str]:
    yield "synthetic sequences"
    if pictures.photographs:
        yield "photographs with polygons"
    if pictures.thermal_images:
        yield "thermal images"


def _synthetic_sources(data: TrainingData, shape: SampleShape) -> Iterator[tuple[SamplerFactory, float]]:
    """Yield scenes as pairs for adapters, collages and scenes for a foundation, each with its share."""
    from dmtrack.synthetic.collage import CollageConfig
    from dmtrack.synthetic.sampling import SamplerConfig
    from dmtrack.training.synthetic_source import CollageSource, SceneSource

    photographs, thermal_images = data.pictures
    collage_share = data.collage_share if shape.modality is None else 0.0
    if collage_share > 0:
        sizes = CollageConfig(
            template_size=shape.template_size, search_size=shape.search_size, templates=shape.templates
        )
        yield CollageSource(sizes, photographs, thermal_images), collage_share
    if collage_share < 1:
        scenes = SamplerConfig(
            **shape._asdict(),
            photographs=photographs,
            thermal_images=thermal_images,
            # A foundation must know the look of every second stream: adapters cannot teach it to see.
            event_share=0.08,
            depth_share=0.08,
        )
        yield SceneSource(scenes), 1 - collage_share
