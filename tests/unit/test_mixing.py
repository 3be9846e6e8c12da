"""Samples from several sources by weight, and a run on a mix that is stopped and goes on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import square_clip
from program import csv_rows

from dmtrack.config import TINY
from dmtrack.errors import ConfigError
from dmtrack.network.model import DMTrack
from dmtrack.synthetic.sample import TrainingSample
from dmtrack.training.data import WeightedSource, collate, open_segment
from dmtrack.training.sequences import SequenceConfig, SequenceSource
from dmtrack.training.train_config import TrainConfig, TrainRequest
from dmtrack.training.trainer import Trainer

SMALL = replace(TINY, width=32, depth=1, heads=2, head_width=16, template_size=32, search_size=64)


@dataclass
class Flat:
    """Samples of one grey value, with the seed and the number of the sample in the box."""

    value: int
    seed: int
    count: int = 0

    def sample(self) -> TrainingSample:
        self.count += 1
        box = np.array([0.5, 0.5, 0.1 + (self.seed % 7) / 10, min(0.9, self.count / 100)], np.float32)
        shape = (64, 64, 3)
        templates = np.zeros((2, 32, 32, 3), np.uint8)
        boxes = np.full((2, 4), 0.5, np.float32)
        search, skipped = np.full(shape, self.value, np.uint8), (f"{self.value} skips",)
        return TrainingSample(templates, boxes, search, box, visible=True, skipped=skipped)


@dataclass(frozen=True)
class FlatSource:
    value: int

    def __call__(self, seed: int) -> Flat:
        return Flat(self.value, seed)


def drawn(source: WeightedSource, count: int, seed: int = 0) -> list[int]:
    sampler = source(seed)
    return [int(sampler.sample().search[0, 0, 0]) for _ in range(count)]


def test_each_source_gets_its_share():
    source = WeightedSource((FlatSource(1), FlatSource(2), FlatSource(3)), (2, 1, 5))
    counts = Counter(drawn(source, 8000))
    assert [counts[value] / 1000 for value in (1, 2, 3)] == pytest.approx([2, 1, 5], abs=0.25)


def test_weights_have_no_unit():
    factories = (FlatSource(1), FlatSource(2))
    assert drawn(WeightedSource(factories, (1, 3)), 200) == drawn(WeightedSource(factories, (0.5, 1.5)), 200)


def test_two_sources_are_drawn_as_runs_of_the_past_drew_them():
    """The rule that the bundled weights were trained with: the first one below its share."""
    rng = np.random.default_rng((9, 1))
    expected = [1 if rng.random() < 0.3 else 2 for _ in range(300)]
    assert drawn(WeightedSource((FlatSource(1), FlatSource(2)), (0.3, 1 - 0.3)), 300, seed=9) == expected


def test_the_seed_alone_decides():
    source = WeightedSource((FlatSource(1), FlatSource(2)), (1, 1))
    assert drawn(source, 50, seed=4) == drawn(source, 50, seed=4)
    assert drawn(source, 50, seed=4) != drawn(source, 50, seed=5)


def test_what_any_source_skips_is_told():
    sampler = WeightedSource((FlatSource(1), FlatSource(2)), (1, 1))(0)
    batch = collate([sampler.sample() for _ in range(20)])
    assert set(batch.skipped) == {"1 skips", "2 skips"}
    assert len(batch.skipped) == 20


@pytest.mark.parametrize("weights", [(1,), (1, 0), (1, -2), (1, float("nan")), (float("inf"), 1)])
def test_wrong_weights_are_refused(weights):
    with pytest.raises(ConfigError, match="weight"):
        WeightedSource((FlatSource(1), FlatSource(2)), weights)


def test_no_two_processes_of_a_parallel_run_draw_the_same():
    def searches(rank: int, workers: int = 0) -> list[torch.Tensor]:
        batches = open_segment(
            FlatSource(1), seed=3, segment=2, batches=1, batch_size=1, workers=workers, rank=rank
        )
        return [batch.boxes for batch in batches]

    seeds = {float(searches(rank)[0][0, 2]) for rank in range(6)}
    assert len(seeds) > 2


# --- a whole run ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """A folder with one short clip of a bright square."""
    return square_clip(tmp_path_factory.mktemp("clips") / "walk").parent


def run(folder: Path, clips: Path, *, stop_at: int | None = None) -> list[dict[str, str]]:
    sizes = SequenceConfig(template_size=32, search_size=64, templates=2)
    mix = WeightedSource((FlatSource(90), SequenceSource.open(clips, sizes)), (1, 2))
    config = TrainConfig(
        stage="foundation", steps=6, batch_size=2, schedule="linear", templates=2, checkpoint_interval=2,
        log_interval=1, ema_decay=0.9,
    )  # fmt: skip
    torch.manual_seed(0)
    model = DMTrack(SMALL, with_adapters=False)
    trainer = Trainer(model, TrainRequest(folder, config, bf16=False, workers=0), mix)
    trainer.resume()
    for progress in trainer.run():
        if progress.step == stop_at:
            break
    return [{name: row[name] for name in ("step", "loss", "iou")} for row in csv_rows(folder / "curve.csv")]


@pytest.mark.slow
def test_a_run_on_a_mix_goes_on_as_if_it_had_not_been_stopped(tmp_path, clips):
    whole = run(tmp_path / "whole", clips)
    assert len(run(tmp_path / "stopped", clips, stop_at=3)) == 3
    assert run(tmp_path / "stopped", clips) == whole
    assert len(whole) == 6


def test_what_a_run_skips_is_logged(tmp_path, clips, caplog):
    with caplog.at_level("WARNING", logger="dmtrack.training.trainer"):
        run(tmp_path, clips)
    told = [record.message for record in caplog.records if "drawn again" in record.message]
    counts = [int(message.split()[0]) for message in told]
    assert len(counts) >= 2, "at checkpoints"
    assert counts == sorted(set(counts)), "only when there is news"
    assert "90 skips" in told[-1]
