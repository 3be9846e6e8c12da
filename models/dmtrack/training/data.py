"""Samplers, mixes of them, and batches from worker processes, reproducible across resumes.

A run is cut into segments of one checkpoint interval each. Worker w of a segment is seeded by
(seed, segment, w) alone, so segment k has the same samples whether the run got there in one go or was
resumed from a checkpoint.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from dmtrack.errors import ConfigError, DmtrackError, counted
from dmtrack.synthetic.sample import TrainingSample

NAMED = 3  # most faults that a summary names


class Sampler(Protocol):
    """Draws training samples without end."""

    def sample(self) -> TrainingSample:
        """Return the next sample."""
        ...


class SamplerFactory(Protocol):
    """Makes a `Sampler` in a worker process; must be picklable."""

    def __call__(self, seed: int) -> Sampler:
        """Return a sampler whose samples depend on `seed` alone."""
        ...


@dataclass(frozen=True, slots=True)
class WeightedSource:
    """Draws each sample from one of several sources.

    `ConfigError`: there is no source, a weight is missing, or one is not above 0.
    """

    # Each gets the seed of the mix; sources that must not draw in step mix something of their own into it.
    factories: tuple[SamplerFactory, ...]
    weights: tuple[float, ...]  # relative frequency of each source

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


class SkipTally:
    """Counts the samples skipped in a whole run, and keeps the first messages."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []
        self._last_reported = 0

    def add(self, messages: Iterable[str]) -> None:
        """Count the messages of a batch."""
        for message in messages:
            self.count += 1
            if len(self.first) < NAMED and message not in self.first:
                self.first.append(message)

    def news(self) -> str | None:
        """Return a line about all skipped samples so far; None if there are no new ones."""
        if self.count == self._last_reported:
            return None
        self._last_reported = self.count
        what = f"{counted(self.count, 'sample')} could not be made, drawn again"
        return f"{what}; first: {' | '.join(self.first)}"


# --- batches ------------------------------------------------------------------------------------


class Batch(NamedTuple):
    """B samples of T templates."""

    templates: Tensor  # `(B, T, z, z, C)` uint8
    template_boxes: Tensor  # `(B, T, 4)` float32 cx, cy, w, h in fractions of the template's side
    search: Tensor  # `(B, x, x, C)` uint8
    boxes: Tensor  # `(B, 4)` float32 cx, cy, w, h in fractions of the search crop's side
    visible: Tensor  # `(B,)` bool
    skipped: Sequence[str] = ()  # a message for each sample that could not be made on the way


def collate(samples: list[TrainingSample]) -> Batch:
    """Stack samples."""
    return Batch(
        templates=torch.from_numpy(np.stack([s.templates for s in samples])),
        template_boxes=torch.from_numpy(np.stack([s.template_boxes for s in samples]).astype(np.float32)),
        search=torch.from_numpy(np.stack([s.search for s in samples])),
        boxes=torch.from_numpy(np.stack([s.box_cxcywh for s in samples]).astype(np.float32)),
        visible=torch.tensor([s.visible for s in samples]),
        skipped=[message for s in samples for message in s.skipped],
    )


@dataclass(eq=False)
class SampleStream(IterableDataset[Batch | DmtrackError]):
    """The batches of one segment; each worker makes whole batches.

    An error is yielded as the last item, because a worker process would turn an exception into a traceback.
    """

    factory: SamplerFactory
    seed: int
    segment: int
    batches: int
    batch_size: int
    first_worker: int

    def __iter__(self) -> Iterator[Batch | DmtrackError]:
        """Yield this worker's share of the segment."""
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        if info is not None:
            cv2.setNumThreads(0)
            torch.set_num_threads(1)
        entropy = (self.seed, self.segment, self.first_worker + worker)
        try:
            sampler = self.factory(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
            for _ in range(worker, self.batches, workers):
                yield collate([sampler.sample() for _ in range(self.batch_size)])
        except DmtrackError as error:
            yield error


def open_segment(
    factory: SamplerFactory,
    *,
    seed: int,
    segment: int,
    batches: int,
    batch_size: int,
    workers: int,
    rank: int = 0,
) -> Iterator[Batch]:
    """Return the batches of one segment, made in `workers` processes (0: in this one); raises their errors.

    `seed` is that of the run, `rank` that of this process in a parallel run: no two draw the same samples.
    """
    stream = SampleStream(factory, seed, segment, batches, batch_size, rank * max(workers, 1))
    loader = DataLoader(stream, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)
    return _raised(iter(loader))


def _raised(items: Iterator[Batch | DmtrackError]) -> Iterator[Batch]:
    for item in items:
        if isinstance(item, DmtrackError):
            raise item
        yield item
