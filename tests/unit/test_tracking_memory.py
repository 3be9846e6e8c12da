"""The ring of templates, and the response that the bundled weights use."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch

from dmtrack.config import PUBLISHED_TRACKER, TINY_TRACKER, TrackerConfig
from dmtrack.network.head import HeadOutput
from dmtrack.network.openvino_network import HostMaps
from dmtrack.tracking.memory import MemoryFrames
from dmtrack.tracking.response import choose_peak, hann_window, size_penalty


def _template(number: int) -> torch.Tensor:
    return torch.full((1, 1, 1), float(number))


def _held(memory: MemoryFrames) -> list[int]:
    return [int(value) for value in memory.stacked().flatten()]


@pytest.mark.parametrize(
    ("capacity", "anchor", "held"),
    [(3, False, [7, 8, 9]), (2, False, [8, 9]), (1, False, [0]), (3, True, [0, 8, 9]), (2, True, [0, 9])],
    ids=["last three", "last two", "one keeps the first", "anchor and last two", "anchor and last"],
)
def test_which_templates_are_held_after_ten(capacity: int, anchor: bool, held: list[int]) -> None:
    memory = MemoryFrames(capacity, staying=int(anchor))
    for number in range(10):
        memory.push(_template(number))
    assert _held(memory) == held
    assert len(memory) == len(held)


def test_early_frames_have_fewer_templates_oldest_first() -> None:
    memory = MemoryFrames(3)
    memory.push(_template(0))
    assert _held(memory) == [0]
    memory.push(_template(1))
    assert _held(memory) == [0, 1]


def test_memory_is_constant_over_twenty_thousand_frames() -> None:
    """Every template but the last three is freed: the published tracker keeps them all."""
    memory = MemoryFrames(3)
    alive: list[weakref.ref[torch.Tensor]] = []
    for number in range(20_000):
        template = _template(number)
        alive.append(weakref.ref(template))
        memory.push(template)
    del template
    gc.collect()
    assert [index for index, ref in enumerate(alive) if ref() is not None] == [19_997, 19_998, 19_999]


def _maps(scores: dict[tuple[int, int], float], size: float = 0.25) -> HeadOutput:
    score = torch.full((1, 1, 12, 12), 0.01)
    for (row, col), value in scores.items():
        score[0, 0, row, col] = value
    return HeadOutput(score, torch.full((1, 2, 12, 12), size), torch.full((1, 2, 12, 12), 0.5))


def test_the_added_window_prefers_the_near_peak_and_reports_its_own_score() -> None:
    output = _maps({(5, 5): 0.5, (0, 0): 0.6})
    window = torch.from_numpy(hann_window(12))
    peak = choose_peak(output, window, torch.tensor([[0.25, 0.25]]), TINY_TRACKER)
    assert peak.boxes_cxcywh_norm[0, :2].tolist() == pytest.approx([5.5 / 12, 5.5 / 12])
    assert peak.scores.item() == pytest.approx(0.5)


def test_without_a_window_the_higher_peak_wins() -> None:
    config = TrackerConfig(window="add", window_weight=0.0)
    output = _maps({(5, 5): 0.5, (0, 0): 0.6})
    peak = choose_peak(output, torch.from_numpy(hann_window(12)), torch.tensor([[0.25, 0.25]]), config)
    assert peak.scores.item() == pytest.approx(0.6)


def test_a_jump_in_size_is_penalised_and_the_same_size_is_not() -> None:
    output = _maps({})
    same = size_penalty(output, torch.tensor([[0.25, 0.25]]), strength=0.1)
    doubled = size_penalty(output, torch.tensor([[0.125, 0.125]]), strength=0.1)
    assert same.unique().tolist() == pytest.approx([1.0])
    assert doubled.max().item() == pytest.approx(float(torch.exp(torch.tensor(-0.1))))


@pytest.mark.parametrize("config", [TINY_TRACKER, PUBLISHED_TRACKER])
@pytest.mark.parametrize("has_quality", [True, False])
def test_numpy_finds_what_pytorch_finds(config: TrackerConfig, has_quality: bool) -> None:
    score, size, offset, quality = (torch.rand(50, count, 12, 12) for count in (1, 2, 2, 1))
    maps = HeadOutput(score, size, offset, quality if has_quality else None)
    in_numpy = HostMaps(*(None if one is None else one.numpy() for one in maps))
    window, before = hann_window(12), torch.rand(50, 2) + 0.1
    expected = choose_peak(maps, torch.from_numpy(window), before, config)
    found = choose_peak(in_numpy, window, before.numpy(), config)
    assert found.scores.dtype == found.boxes_cxcywh_norm.dtype == np.float32
    assert found.boxes_cxcywh_norm.tolist() == expected.boxes_cxcywh_norm.tolist()
    assert found.scores.tolist() == expected.scores.tolist()
