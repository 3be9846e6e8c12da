"""Several processes that train together: shares, and that two of them do what one does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from clips import written
from program import csv_rows, new_process

from dmtrack.errors import ConfigError
from dmtrack.training.distributed import ALONE, ProcessGroup, joined_group

SCRIPT = '''
import sys
from dataclasses import dataclass, replace
from pathlib import Path
import numpy as np
import torch
from dmtrack.config import TINY
from dmtrack.network.model import DMTrack
from dmtrack.synthetic.sample import TrainingSample
from dmtrack.training.train_config import TrainConfig, TrainRequest
from dmtrack.training.distributed import joined_group
from dmtrack.training.trainer import Trainer

SMALL = replace(TINY, width=32, depth=2, heads=2, head_width=16, template_size=32, search_size=64)


@dataclass
class Same:
    """One sample for ever, whatever the seed, so that every split of a batch has the same mean."""
    channels: int
    def sample(self):
        picture = np.random.default_rng(0).integers(0, 256, (64, 64, self.channels), dtype=np.uint8)
        box = np.array([0.4, 0.6, 0.3, 0.2], np.float32)
        boxes = np.full((2, 4), 0.5, np.float32)
        return TrainingSample(np.stack([picture[:32, :32]] * 2), boxes, picture, box, visible=True)


@dataclass
class Source:
    channels: int
    def __call__(self, seed):
        return Same(self.channels)


def train(stage, group, folder):
    pair = stage == "adapters"
    torch.manual_seed(group.rank)  # the parameters of rank 0 must become those of all
    model = DMTrack(SMALL, with_adapters=pair)
    torch.save(model.state_dict(), folder / f"start{group.rank}.pt")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    config = TrainConfig(stage=stage, steps=2, batch_size=4, learning_rate=1e-3, templates=2, ema_decay=0.5,
                         schedule="linear", checkpoint_interval=2, log_interval=1, grad_clip=1.0)
    request = TrainRequest(folder, config, bf16=False, workers=0)
    trainer = Trainer(model, request, Source(6 if pair else 3), group=group)
    assert not trainer.resume()
    for _ in trainer.run():
        pass
    torch.save(model.state_dict(), folder / f"rank{group.rank}.pt")
    assert len(trainer.state()["rng_by_rank"]) == group.size


with joined_group("cpu") as group:
    out = Path(sys.argv[1])
    for stage in ("foundation", "adapters"):
        (out / stage).mkdir(parents=True, exist_ok=True)
        train(stage, group, out / stage)
'''


def test_one_process_is_a_group_of_its_own(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined_group("cpu") as group:
        assert group is ALONE
    assert group.is_first
    assert group.share(7) == 7
    assert group.gather("x") == ["x"]
    assert group.device("cuda") == torch.device("cuda")
    model = torch.nn.Linear(1, 1)
    assert group.parallel(model) is model
    values = torch.ones(2)
    assert group.mean(values) is values


def test_a_batch_is_shared_evenly_and_each_process_has_a_gpu():
    group = ProcessGroup(rank=5, size=8, local_rank=1)
    assert not group.is_first
    assert group.share(64) == 8
    assert group.device("cuda") == torch.device("cuda", 1)
    assert group.device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="batch_size=10 cannot be divided among 8 processes"):
        group.share(10)


@pytest.mark.parametrize(
    ("variables", "said"),
    [({"WORLD_SIZE": "two"}, "WORLD_SIZE='two'"), ({"WORLD_SIZE": "2", "RANK": "0"}, "torchrun")],
    ids=["not a number", "no torchrun"],
)
def test_an_environment_without_torchrun_is_named(variables, said, monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=said), joined_group("cpu"):
        pass


@pytest.mark.parametrize(
    ("device", "said"),
    [("cuda:0", "2 processes cannot share cuda:0"), ("cuda", "there is no cuda:1; this machine has cuda:0")],
)
def test_each_process_needs_a_gpu_of_its_own(device, said, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=said), joined_group(device):
        pass


def launch(script: Path, processes: int, out: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    runner = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    words = [*(runner if processes > 1 else []), script, out]
    done = new_process(*words, env=environment, timeout_s=600)
    assert done.returncode == 0, done.stderr


def change(folder: Path) -> torch.Tensor:
    """What training changed, from the start of the first process to its end, as one vector."""
    start, end = (torch.load(folder / name) for name in ("start0.pt", "rank0.pt"))
    return torch.cat([(end[name] - start[name]).flatten() for name in end if end[name].is_floating_point()])


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path):
    script = written(tmp_path / "parallel.py", SCRIPT)
    launch(script, 1, tmp_path / "one")
    launch(script, 2, tmp_path / "two")
    for stage in ("foundation", "adapters"):
        first, second = (torch.load(tmp_path / "two" / stage / f"rank{rank}.pt") for rank in (0, 1))
        for name, tensor in first.items():
            torch.testing.assert_close(second[name], tensor, rtol=0, atol=0)
        # All together: where a gradient is 0 but for rounding, AdamW makes a step of the rounding.
        moved, moved_alone = (change(tmp_path / run / stage) for run in ("two", "one"))
        assert moved_alone.norm() > 0
        assert (moved - moved_alone).norm() < 0.02 * moved_alone.norm()
        rows = []
        for run in ("one", "two"):
            curve = csv_rows(tmp_path / run / stage / "curve.csv")
            rows.append([(row["step"], float(row["loss"])) for row in curve])
        assert [step for step, _ in rows[1]] == ["1", "2"], "one process writes"
        assert [loss for _, loss in rows[1]] == pytest.approx([loss for _, loss in rows[0]], rel=1e-4)
