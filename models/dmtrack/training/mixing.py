"""Several sources of samples drawn from by weight."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from dmtrack.errors import ConfigError
from dmtrack.synthetic.sample import TrainingSample
from dmtrack.training.data import Sampler, SamplerFactory, skipped_by


@dataclass(frozen=True, slots=True)
class WeightedSource:
    """Draws each sample from one of several sources.

    Attributes:
        factories: The sources. Each gets the seed of the mix: a source that must differ from another of
            its kind mixes something of its own into it.
        weights: How often each is drawn, in any unit.

    Raises:
        ConfigError: There is no source, a weight is missing, or one is not above 0.
    """

    factories: tuple[SamplerFactory, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.factories or len(self.factories) != len(self.weights):
            raise ConfigError(f"{len(self.factories)} sources of samples, but {len(self.weights)} weights")
        for weight in self.weights:
            if not (math.isfinite(weight) and weight > 0):
                raise ConfigError(f"weight {weight} of a source of samples is not above 0")

    def __call__(self, seed: int) -> Sampler:
        """Return a sampler whose samples depend on `seed` alone."""
        return _WeightedSampler([factory(seed) for factory in self.factories], self.weights, seed)


class _WeightedSampler:
    def __init__(self, samplers: Sequence[Sampler], weights: Sequence[float], seed: int) -> None:
        self._samplers = samplers
        total = math.fsum(weights)
        self._upper_edges = [edge / total for edge in accumulate(weights[:-1])]
        self._rng = np.random.default_rng((seed, 1))

    def sample(self) -> TrainingSample:
        return self._samplers[bisect_right(self._upper_edges, self._rng.random())].sample()

    def take_skipped(self) -> list[str]:
        return [message for sampler in self._samplers for message in skipped_by(sampler)]
