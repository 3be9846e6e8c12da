"""`benchmarks/gpu_step.py`, as far as a machine without a GPU can run it."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest

from dmtrack.config import TINY, ModelConfig, model_preset
from dmtrack.network.backend import inference_network
from dmtrack.network.model import DMTrack


@pytest.fixture(scope="module")
def gpu_step(benchmark_script) -> ModuleType:
    return benchmark_script("gpu_step")


SMALL = replace(TINY, width=48, depth=1, template_size=32, search_size=64, head_width=16)


def by_hand(config: ModelConfig) -> float:
    """FLOPs of both streams through whole blocks: twelve C x C products a token, and attention."""
    tokens = config.memory_frames * config.template_grid**2 + config.search_grid**2
    return 2 * config.depth * (2 * tokens * 12 * config.width**2 + 4 * tokens**2 * config.width)


@pytest.mark.slow
def test_flops_are_those_of_blocks_and_a_little(gpu_step):
    """The last block computes less; adapters, stem and head come on top."""
    one, two = (gpu_step.flops_of_step(DMTrack(TINY), targets) for targets in (1, 2))
    assert 0.9 * by_hand(TINY) < one < 1.3 * by_hand(TINY)
    assert two == 2 * one


@pytest.mark.slow
def test_flops_of_the_published_network(gpu_step):
    config = model_preset("base")
    assert gpu_step.flops_of_step(DMTrack(config), 1) == pytest.approx(by_hand(config), rel=0.05)


def test_boxes_are_held_so_that_frames_cost_the_same(gpu_step):
    update = gpu_step.update_of(inference_network(DMTrack(SMALL).eval()), "base", "eager", 2)
    for _ in range(2):
        assert [target.box.xywh for target in update()] == [
            pytest.approx((60 + 90 * i, 60, 40, 40)) for i in (0, 1)
        ]


def test_it_prints_a_line_for_every_choice(gpu_step, capsys, monkeypatch):
    """Of a small network: where a CPU has no instructions for bf16, that takes minutes of the whole one."""
    monkeypatch.setattr(gpu_step, "model_preset", lambda name: SMALL)
    monkeypatch.setattr(gpu_step, "ROUNDS", 1)
    monkeypatch.setattr(gpu_step, "WARM_UP", 1)
    words = "--device cpu --presets tiny --targets 1,2 --precisions fp32,bf16 --steps 1 --matrix 64"
    gpu_step.main(words.split())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:4] for line in lines[2:]] == [
        ["tiny", targets, precision, "eager"] for targets in "12" for precision in ("fp32", "bf16")
    ]
    assert all(float(line[5]) > 0 for line in lines[2:])
