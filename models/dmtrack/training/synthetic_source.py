"""Makes synthetic samplers in worker processes: flat collages and layered scenes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dmtrack.synthetic.collage import CollageConfig, CollageLibrary, CollageSampler
from dmtrack.synthetic.sampling import SamplerConfig, TrainingSampler


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
