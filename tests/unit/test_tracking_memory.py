"""The ring of templates, and the response that the bundled weights use."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmtrack.config import PUBLISHED_TRACKER, TINY_TRACKER, TrackerConfig
from dmtrack.geometry.box import Box
from dmtrack.network.head import CLAMP, HeadOutput
from dmtrack.network.openvino_network import HostMaps
from dmtrack.tracking.memory import MemoryFrames
from dmtrack.tracking.response import choose_peak, hann_window, size_penalty, voted


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
    assert found.scores.dtype == found.boxes_cxcywh_norm.dtype == found.shown_cxcywh_norm.dtype == np.float32
    assert found.boxes_cxcywh_norm.tolist() == expected.boxes_cxcywh_norm.tolist()
    assert found.shown_cxcywh_norm == pytest.approx(expected.shown_cxcywh_norm.numpy(), abs=1e-6)
    assert found.scores.tolist() == expected.scores.tolist()


def test_cells_whose_boxes_overlap_the_chosen_one_vote_by_their_squared_scores() -> None:
    output = _maps({(5, 5): 0.8, (5, 6): 0.4, (0, 0): 0.7})
    output.score_map[output.score_map < 0.1] = 0
    window, before = torch.from_numpy(hann_window(12)), torch.full((1, 2), 0.25)
    peak = choose_peak(output, window, before, replace(TINY_TRACKER, voting=True))
    alone = choose_peak(output, window, before, replace(TINY_TRACKER, voting=False))
    assert alone.shown_cxcywh_norm is alone.boxes_cxcywh_norm
    assert peak.boxes_cxcywh_norm.equal(alone.boxes_cxcywh_norm), "what is followed stays"
    x = (0.64 * 5.5 + 0.16 * 6.5) / 0.8 / 12
    assert peak.shown_cxcywh_norm.tolist() == [pytest.approx([x, 5.5 / 12, 0.25, 0.25])]
    assert peak.scores.equal(alone.scores)


@given(st.integers(0, 2**31), st.sampled_from([1, 3]))
@settings(max_examples=50, deadline=None)
def test_a_voted_box_lies_among_those_that_voted(seed: int, batch: int) -> None:
    random = np.random.default_rng(seed)
    maps = ((random.random((batch, n, 12, 12), np.float32) ** 3).clip(CLAMP, 1 - CLAMP) for n in (1, 2, 2))
    output = HostMaps(*maps)
    chosen = output.boxes_at(output.score_map.reshape(batch, -1).argmax(1))
    shown = voted(output, chosen)
    for index in range(batch):
        cells = [Box.from_cxcywh(*row) for row in output.boxes_cxcywh_norm()[index].reshape(4, -1).T.tolist()]
        best = Box.from_cxcywh(*chosen[index].tolist())
        heard = [(b.cx, b.cy, b.w, b.h) for b in cells if b.iou(best) > 0.3 - 1e-3]
        assert (np.min(heard, axis=0) - 1e-5 <= shown[index]).all()
        assert (shown[index] <= np.max(heard, axis=0) + 1e-5).all()
