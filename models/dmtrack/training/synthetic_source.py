"""Makes synthetic samplers in worker processes: flat collages, layered scenes, or both by share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dmtrack.synthetic.collage import CollageConfig, CollageLibrary, CollageSampler
from dmtrack.synthetic.sample import TrainingSample
from dmtrack.synthetic.sampling import SamplerConfig, TrainingSampler
from dmtrack.training.data import Sampler, SamplerFactory


@dataclass(frozen=True, slots=True)
class CollageSource:
    """Collages from photographs and made-up shapes (one stream); pictures are read once a process.

    Attributes:
        config: Sizes and shares.
        photographs: Folder of photographs with instance polygons, or None.
        thermal_images: Folder of thermal images with boxes, or None.
    """

    config: CollageConfig
    photographs: Path | None = None
    thermal_images: Path | None = None

    def __call__(self, seed: int) -> CollageSampler:
        """Return a sampler whose samples depend on `seed` alone."""
        library = CollageLibrary(np.random.default_rng(seed), self.photographs, self.thermal_images)
        return CollageSampler(self.config, library, seed)


@dataclass(frozen=True, slots=True)
class SceneSource:
    """Layered scenes with a physical second stream, of one stream or as pairs."""

    config: SamplerConfig

    def __call__(self, seed: int) -> TrainingSampler:
        """Return a sampler whose samples depend on `seed` alone."""
        return TrainingSampler(self.config, seed)


@dataclass(frozen=True, slots=True)
class MixedSource:
    """Draws each sample from one of two sources.

    Attributes:
        first: Drawn from with probability `first_share`.
        second: Drawn from otherwise.
        first_share: In [0, 1].
    """

    first: SamplerFactory
    second: SamplerFactory
    first_share: float

    def __call__(self, seed: int) -> Sampler:
        """Return a sampler whose samples depend on `seed` alone."""
        return _MixedSampler(self.first(seed), self.second(seed), self.first_share, seed)


class _MixedSampler:
    def __init__(self, first: Sampler, second: Sampler, first_share: float, seed: int) -> None:
        self._samplers = (first, second)
        self._first_share = first_share
        self._rng = np.random.default_rng((seed, 1))

    def sample(self) -> TrainingSample:
        return self._samplers[int(self._rng.random() >= self._first_share)].sample()
