"""Nothing in a step waits for the device but the one reading of the boxes.

The device `meta` stands in for a GPU: its tensors have no values, so whatever would stop the host until a
GPU has computed them fails, or is noticed as a copy between devices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dmtrack.config import PUBLISHED_TRACKER, TINY, TINY_TRACKER, TrackerConfig
from dmtrack.geometry.box import Box
from dmtrack.network import backend
from dmtrack.network.backend import inference_network, network_for
from dmtrack.network.fast.recorded import GraphedNetwork
from dmtrack.network.model import DMTrack
from dmtrack.tracking import cropping
from dmtrack.tracking.cropping import DeviceCropper, HostCropper, cropper_for
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Frame, FramePair, Modality

AWAY = torch.device("meta")
SMALL = replace(TINY, width=48, depth=2, template_size=32, search_size=64, head_width=16)


class Crossings(TorchDispatchMode):
    """Notes every operation with tensors of more than one device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        met = {one.device.type for one in tree_leaves((args, kwargs, out)) if isinstance(one, Tensor)}
        if len(met) > 1:
            self.found.append(str(function))
        return out


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """What goes to the device by `upload`, which does not wait."""
    sent: list[tuple[int, ...]] = []

    def upload(values: np.ndarray, device: torch.device) -> Tensor:
        sent.append(values.shape)
        return torch.empty(values.shape, dtype=torch.from_numpy(values.ravel()[:0]).dtype, device=device)

    monkeypatch.setattr("dmtrack.tracking.cropping.upload", upload)
    monkeypatch.setattr("dmtrack.tracking.tracker.upload", upload)
    return sent


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """What is read of the device: each row says 'in the middle, a quarter of the crop, surely'."""
    read: list[torch.Size] = []

    def tolist(self: Tensor) -> list[list[float]]:
        assert self.device == AWAY
        read.append(self.shape)
        return [[0.5, 0.5, 0.25, 0.25, 0.9]] * len(self)

    monkeypatch.setattr(torch.Tensor, "tolist", tolist)
    return read


def pair(number: int) -> FramePair:
    image = np.zeros((90, 120, 6), np.uint8)
    rgb, aux = (Frame(number, number, Fraction(1, 30), half) for half in (image[..., :3], image[..., 3:]))
    return FramePair(rgb, aux, Modality.THERMAL, image)


@pytest.fixture(scope="module")
def model() -> DMTrack:
    return DMTrack(SMALL).eval()


@pytest.mark.parametrize(
    "config", [PUBLISHED_TRACKER, replace(TINY_TRACKER, update_interval=2)], ids=["published", "tiny"]
)
def test_a_step_reads_the_device_once(
    model: DMTrack,
    config: TrackerConfig,
    uploads: list[tuple[int, ...]],
    readings: list[torch.Size],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracker = Tracker(inference_network(model, device=AWAY), config, cropper=DeviceCropper(AWAY))
    tracker.initialize(pair(0), [Box(20, 20, 14, 12)])
    tracker.update(pair(1))
    tracker.add(pair(2), [Box(60, 40, 20, 10), Box(10, 50, 20, 10)])  # a group of their own: fewer templates
    # A tensor made of Python's numbers is copied to a device while the host waits; no dispatch shows it.
    monkeypatch.setattr(torch, "tensor", lambda *_, **__: pytest.fail("torch.tensor(…) in a step"))
    for number in (3, 4):
        readings.clear()
        uploads.clear()
        with Crossings() as crossings:
            tracker.update(pair(number))
        assert crossings.found == []
        assert readings == [(3, 5)]
        assert uploads


@pytest.mark.parametrize(
    "wait",
    [
        lambda values: values.sum().item(),
        lambda values: values[values > 0],
        lambda values: values.nonzero(),
        lambda values: values.cpu(),
        lambda values: bool((values > 0).any()),
    ],
    ids=["item", "mask", "nonzero", "cpu", "bool"],
)
def test_what_waits_would_fail(wait: Callable[[Tensor], object]) -> None:
    with pytest.raises((RuntimeError, NotImplementedError)):
        wait(torch.empty(4, device=AWAY))


def test_what_is_copied_unpinned_is_noticed() -> None:
    with Crossings() as crossings:
        torch.ones(2).to(AWAY)
    assert len(crossings.found) == 1


def test_what_goes_to_cuda_is_pinned_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: asked.append("pinned") or self)
    monkeypatch.setattr(Tensor, "to", lambda self, device, **how: asked.append((device.type, how)) or self)
    cropping.upload(np.zeros(3, np.float32), torch.device("cuda", 0))
    assert asked == ["pinned", ("cuda", {"non_blocking": True})]


class OnCuda(torch.nn.Module):
    """A packed network that says it is on a GPU."""

    config, streams, device = SMALL, 2, torch.device("cuda", 0)

    def __init__(self, *_: object) -> None:
        super().__init__()


@pytest.mark.parametrize(("graphs", "kind"), [(True, GraphedNetwork), (False, OnCuda)])
def test_on_cuda_steps_are_recorded_unless_that_is_turned_off(
    model: DMTrack, monkeypatch: pytest.MonkeyPatch, graphs: bool, kind: type
) -> None:
    monkeypatch.setattr(backend, "PackedNetwork", OnCuda)
    assert isinstance(inference_network(model, device="cuda:0", recorded=graphs), kind)


def test_the_backend_eager_turns_both_off(model: DMTrack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "PackedNetwork", OnCuda)
    weights: Any = SimpleNamespace(model=model)
    cuda = torch.device("cuda", 0)
    assert isinstance(network_for(weights, "bf16", cuda, "torch"), GraphedNetwork)
    assert isinstance(network_for(weights, "bf16", cuda, "eager"), OnCuda)
    assert isinstance(cropper_for(cuda, "eager"), HostCropper)
