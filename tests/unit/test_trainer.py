"""The loop: what is trained, and that a resumed run is the run that was not stopped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from program import csv_rows

from dmtrack.config import TINY, ModelConfig
from dmtrack.errors import CheckpointError, ConfigError, DmtrackError
from dmtrack.network.model import DMTrack
from dmtrack.synthetic.sample import TrainingSample
from dmtrack.training.train_config import TrainConfig, TrainRequest
from dmtrack.training.trainer import Trainer, build_optimizers, select_trainable

SMALL: ModelConfig = replace(
    TINY, width=32, depth=2, heads=2, head_width=16, template_size=32, search_size=64, memory_frames=2
)
CONFIG = TrainConfig(
    stage="foundation",
    steps=6,
    batch_size=4,
    learning_rate=1e-3,
    schedule="linear",
    grad_clip=1.0,
    ema_decay=0.9,
    templates=2,
    checkpoint_interval=3,
    log_interval=1,
)


@dataclass
class Square:
    """A bright square on a dark ground."""

    channels: int
    seed: int

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def sample(self) -> TrainingSample:
        col, row = self.rng.integers(0, 48, 2)
        search = np.zeros((64, 64, self.channels), np.uint8)
        search[row : row + 16, col : col + 16] = 255
        template = np.zeros((2, 32, 32, self.channels), np.uint8)
        template[:, 8:24, 8:24] = 255
        box = np.array([(col + 8) / 64, (row + 8) / 64, 0.25, 0.25], np.float32)
        boxes = np.full((2, 4), 0.5, np.float32)
        return TrainingSample(template, boxes, search, box, visible=True)


@dataclass
class SquareSource:
    channels: int = 3

    def __call__(self, seed: int) -> Square:
        return Square(self.channels, seed)


def _trainer(folder: Path, config: TrainConfig = CONFIG, *, pair: bool = False) -> Trainer:
    torch.manual_seed(0)
    model = DMTrack(SMALL, with_adapters=pair)
    request = TrainRequest(folder, config, bf16=False, workers=0)
    return Trainer(model, request, SquareSource(6 if pair else 3))


def _losses(folder: Path) -> list[tuple[str, str]]:
    return [(row["step"], row["loss"]) for row in csv_rows(folder / "curve.csv")]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_killed_after_a_checkpoint_goes_on_with_the_same_curve(tmp_path, optimizer):
    if optimizer == "muon" and not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    config = replace(CONFIG, optimizer=optimizer)
    for _ in _trainer(tmp_path / "whole", config).run():
        pass
    for progress in _trainer(tmp_path / "killed", config).run():
        if progress.step == 5:  # two steps past the checkpoint: both are done again
            break
    resumed = _trainer(tmp_path / "killed", config)
    assert resumed.resume()
    assert resumed.step == 3
    for _ in resumed.run():
        pass
    assert _losses(tmp_path / "killed") == _losses(tmp_path / "whole")
    assert len(_losses(tmp_path / "whole")) == 6


@pytest.mark.slow
def test_training_learns_to_find_the_square(tmp_path):
    config = replace(CONFIG, steps=150, batch_size=16, learning_rate=3e-3, checkpoint_interval=150)
    ious = [progress.iou for progress in _trainer(tmp_path, config).run()]
    assert np.mean(ious[-5:]) > np.mean(ious[:5]) + 0.3


@pytest.mark.parametrize(
    ("stage", "trained"), [("adapters", "adapters."), ("quality", "foundation.head.quality.")]
)
def test_a_stage_changes_what_it_trains_and_nothing_else(tmp_path, stage, trained):
    trainer = _trainer(tmp_path, replace(CONFIG, stage=stage, steps=3), pair=stage == "adapters")
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    for _ in trainer.run():
        pass
    changed = {n for n, v in trainer.model.state_dict().items() if not torch.equal(v, before[n])}
    assert changed
    assert all(name.startswith(trained) for name in changed)
    assert stage != "adapters" or trainer.trained == SMALL.adapter_parameters


def test_adapters_start_as_the_foundation_alone():
    torch.manual_seed(0)
    model = DMTrack(SMALL).eval()
    templates, search = torch.randn(1, 2, 3, 32, 32), torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        boxes = torch.full((1, 2, 4), 0.5)
        alone = model(templates, search, boxes)
        both = model(templates.repeat(1, 1, 2, 1, 1), search.repeat(1, 2, 1, 1), boxes)
    torch.testing.assert_close(both.score_map, alone.score_map, atol=1e-6, rtol=1e-5)


def test_the_adapter_stage_needs_adapters():
    with pytest.raises(ConfigError, match="adapters"):
        select_trainable(DMTrack(SMALL, with_adapters=False), replace(CONFIG, stage="adapters"))


def test_every_trained_parameter_has_one_optimizer():
    model = DMTrack(SMALL, with_adapters=False)
    select_trainable(model, CONFIG)
    owned = [
        id(p)
        for optimizer in build_optimizers(model, replace(CONFIG, optimizer="adamw"))
        for group in optimizer.param_groups
        for p in group["params"]
    ]
    assert sorted(owned) == sorted(id(p) for p in model.parameters())


def test_a_loss_that_is_not_a_number_stops_the_run(tmp_path):
    trainer = _trainer(tmp_path)
    with torch.no_grad():
        trainer.model.foundation.pos_search.fill_(float("nan"))
    with pytest.raises(DmtrackError, match="step 0"):
        list(trainer.run())


def test_a_damaged_checkpoint_is_named(tmp_path):
    trainer = _trainer(tmp_path)
    trainer.folder.checkpoint_path.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt"):
        trainer.resume()


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    trainer = _trainer(tmp_path)
    list(trainer.run())
    torch.manual_seed(0)
    request = TrainRequest(tmp_path, CONFIG, bf16=False, workers=0)
    other = Trainer(DMTrack(replace(SMALL, width=64), with_adapters=False), request, SquareSource())
    with pytest.raises(CheckpointError, match="not of this run"):
        other.resume()


def test_worker_processes_give_the_same_samples_as_none_would_resume(tmp_path):
    """Segment 1 alone equals segment 1 after segment 0: the seed is of the segment, not of the history."""
    from dmtrack.training.data import open_segment

    def segment(number: int) -> list[torch.Tensor]:
        batches = open_segment(SquareSource(), seed=7, segment=number, batches=3, batch_size=2, workers=0)
        return [batch.boxes for batch in batches]

    first, again, other = segment(1), segment(1), segment(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_the_rate_follows_the_schedule():
    linear = replace(CONFIG, steps=100, warmup_steps=10, decay_share=0.5)
    assert linear.rate(0) == pytest.approx(0.1)
    assert linear.rate(30) == 1.0
    assert linear.rate(75) == pytest.approx(0.5)
    published = TrainConfig(steps=60)
    assert published.rate(47) == 1.0
    assert published.rate(48) == pytest.approx(0.1)


def test_the_quality_stage_needs_a_quality_tower():
    model = DMTrack(replace(SMALL, quality_head=False), with_adapters=False)
    with pytest.raises(ConfigError, match="quality"):
        select_trainable(model, replace(CONFIG, stage="quality"))
