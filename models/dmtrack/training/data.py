"""Batches from worker processes, the same after a resume as without a stop.

A run is cut into segments (one checkpoint interval each). Worker w of a segment is seeded by
(seed, segment, w) alone, so that segment k gives the same samples whether the run came here in one
go or was resumed from a checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from dmtrack.synthetic.sample import TrainingSample


class Sampler(Protocol):
    """Draws training samples for ever."""

    def sample(self) -> TrainingSample:
        """Return the next sample."""
        ...


class SamplerFactory(Protocol):
    """Makes a `Sampler` in a worker process; must be picklable."""

    def __call__(self, seed: int) -> Sampler:
        """Return a sampler whose samples depend on `seed` alone."""
        ...


class Batch(NamedTuple):
    """B samples of T templates.

    Attributes:
        templates: `(B, T, z, z, C)` uint8.
        search: `(B, x, x, C)` uint8.
        boxes: `(B, 4)` float32 cx, cy, w, h in fractions of the search crop's side.
        visible: `(B,)` bool.
    """

    templates: Tensor
    search: Tensor
    boxes: Tensor
    visible: Tensor


def collate(samples: list[TrainingSample]) -> Batch:
    """Stack samples."""
    return Batch(
        templates=torch.from_numpy(np.stack([s.templates for s in samples])),
        search=torch.from_numpy(np.stack([s.search for s in samples])),
        boxes=torch.from_numpy(np.stack([s.box_cxcywh for s in samples]).astype(np.float32)),
        visible=torch.tensor([s.visible for s in samples]),
    )


class SampleStream(IterableDataset[Batch]):
    """The batches of one segment; each worker makes whole batches of its own."""

    def __init__(
        self, factory: SamplerFactory, seed: int, segment: int, batches: int, batch_size: int
    ) -> None:
        super().__init__()
        self.factory = factory
        self.seed = seed
        self.segment = segment
        self.batches = batches
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[Batch]:
        """Yield this worker's share of the segment."""
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        if info is not None:
            cv2.setNumThreads(0)
            torch.set_num_threads(1)
        seed = int(np.random.SeedSequence((self.seed, self.segment, worker)).generate_state(1)[0])
        sampler = self.factory(seed)
        for _ in range(worker, self.batches, workers):
            yield collate([sampler.sample() for _ in range(self.batch_size)])


def open_segment(
    factory: SamplerFactory, *, seed: int, segment: int, batches: int, batch_size: int, workers: int
) -> Iterator[Batch]:
    """Return the batches of one segment, made in `workers` processes (0: in this one)."""
    stream = SampleStream(factory, seed, segment, batches, batch_size)
    loader = DataLoader(stream, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)
    return iter(loader)
