"""The TorchScript program of a step is the step, and whatever cannot be one runs as it is."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dmtrack.config import BASE, TINY, ModelConfig, Precision
from dmtrack.network.backend import inference_network
from dmtrack.network.fast import recorded as traced
from dmtrack.network.fast.kernels import int8_works
from dmtrack.network.fast.packed import PackedNetwork
from dmtrack.network.fast.recorded import TracedNetwork
from dmtrack.network.model import DMTrack

SIZES: dict[str, Any] = {
    "width": 48,
    "depth": 2,
    "heads": 3,
    "template_size": 32,
    "search_size": 64,
    "head_width": 16,
}
CONFIGS = {"tiny": replace(TINY, **SIZES), "base": replace(BASE, **SIZES)}


def packed(config: ModelConfig, precision: Precision = "fp32", *, adapters: bool = True) -> PackedNetwork:
    torch.manual_seed(0)
    model = DMTrack(config, with_adapters=adapters).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.1)
    network = inference_network(model, precision, recorded=False)
    assert isinstance(network, PackedNetwork)
    return network


def inputs(network: PackedNetwork, targets: int, streams: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    noise = torch.Generator().manual_seed(seed)
    config = network.config
    shape = (streams, targets, config.memory_frames * config.template_grid**2, config.width)
    crops = torch.randint(0, 256, (targets, 64, 64, 3 * streams), dtype=torch.uint8, generator=noise)
    return torch.randn(shape, generator=noise), crops


def same(network: TracedNetwork, targets: int, streams: int = 2, seed: int = 0) -> bool:
    shown = inputs(network.network, targets, streams, seed)
    pairs = zip(network.step(*shown), network.network.step(*shown), strict=True)
    return all(a is b is None or torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("preset", ["tiny", "base"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_a_program_gives_the_bits_of_the_step(preset: str, precision: Precision) -> None:
    if precision == "int8" and not int8_works():
        pytest.skip("this build of PyTorch has no 8-bit products")
    network = TracedNetwork(packed(CONFIGS[preset], precision), after=1)
    assert all(same(network, targets=1, seed=seed) for seed in range(3))


def test_each_shape_has_a_program_of_its_own() -> None:
    network = TracedNetwork(packed(CONFIGS["tiny"]), after=1)
    for targets, streams in ((1, 2), (1, 2), (3, 2), (3, 2), (1, 1), (1, 1), (3, 2), (1, 2)):
        assert same(network, targets, streams, seed=targets)


def count_programs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    made: list[int] = []
    trace = traced.traced

    def counted(network: PackedNetwork, memory: Tensor, crops: Tensor) -> object:
        made.append(memory.shape[1])
        return trace(network, memory, crops)

    monkeypatch.setattr(traced, "traced", counted)
    return made


def test_a_shape_that_comes_seldom_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    made = count_programs(monkeypatch)
    network = TracedNetwork(packed(CONFIGS["tiny"]), after=3)
    for targets in (1, 1, 2, 1, 1, 1):
        network.step(*inputs(network.network, targets))
    assert made == [1]


def test_without_torchscript_the_step_runs_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(torch.jit, "trace")
    network = TracedNetwork(packed(CONFIGS["tiny"]), after=1)
    with caplog.at_level(logging.WARNING):
        assert all(same(network, targets=1) for _ in range(3))
    (line,) = caplog.messages
    assert "has no TorchScript" in line


@pytest.mark.parametrize("wrong", ["raises", "differs"])
def test_without_a_program_the_step_runs_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    def trace(maps: Any, shown: tuple[Tensor, ...], **_: object) -> object:
        if wrong == "raises":
            raise RuntimeError("torch.jit.trace is not there any more\nmore lines")
        return lambda *given: tuple(found + 0.01 for found in maps(*given))

    monkeypatch.setattr(torch.jit, "trace", trace)
    network = TracedNetwork(packed(CONFIGS["tiny"]), after=1)
    with caplog.at_level(logging.WARNING):
        assert all(same(network, targets=1) for _ in range(4))
    (line,) = caplog.messages
    assert "TorchScript" in line
    assert ("not there any more" if wrong == "raises" else "differ") in line


def test_a_network_on_a_cpu_has_programs_unless_that_is_turned_off() -> None:
    model = DMTrack(CONFIGS["tiny"]).eval()
    assert isinstance(inference_network(model), TracedNetwork)
    assert isinstance(inference_network(model, recorded=False), PackedNetwork)
