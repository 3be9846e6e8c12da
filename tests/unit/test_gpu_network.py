"""The network on a GPU, as far as a machine without one can try it: which device and numbers, what a step
waits for, and recorded steps.

The device `meta` stands in for a GPU where nothing may wait: its tensors have no values, so whatever would
stop the host until a GPU has computed them fails, or is noticed as a copy between devices. The recorder of
the tests runs the function again on every replay, into the same tensor, as a CUDA graph does.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from fractions import Fraction
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from clips import written
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dmtrack.config import PUBLISHED_TRACKER, TINY, TINY_TRACKER
from dmtrack.errors import ConfigError
from dmtrack.geometry.box import Box
from dmtrack.network import backend, torch_network
from dmtrack.network import cuda_graphs as graphs
from dmtrack.network.backend import (
    choose_backend,
    choose_device,
    choose_precision,
    cpu_multiplies_bf16,
    inference_network,
    network_for,
)
from dmtrack.network.cuda_graphs import CudaRecorder, GraphedNetwork, bucket
from dmtrack.network.head import HeadOutput
from dmtrack.network.inference import Network
from dmtrack.network.model import DMTrack
from dmtrack.network.torch_network import TorchNetwork
from dmtrack.tracking import cropping
from dmtrack.tracking.cropping import DeviceCropper, HostCropper, cropper_for
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Frame, FramePair, Modality

SMALL = replace(TINY, width=48, depth=2, template_size=32, search_size=64, head_width=16)
#: Another batch size lets the products add in another order.
ROUNDING = 2e-5


class Again:
    """Records by running once, replays by running again into the same tensor."""

    def __init__(self) -> None:
        self.recorded = 0

    def record(self, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        self.recorded += 1
        out = run()

        def replay() -> Tensor:
            return out.copy_(run())

        return replay


class Unable(Again):
    """Fails as a driver without CUDA graphs would."""

    def record(self, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        super().record(run)
        raise RuntimeError("operation not permitted when stream is capturing\nmore lines")


@pytest.fixture(scope="module")
def model() -> DMTrack:
    torch.manual_seed(3)
    return DMTrack(SMALL).eval()


@pytest.fixture(scope="module")
def network(model) -> Network:
    return inference_network(model)


def inputs(network: Network, targets: int, *, templates: int = 1, streams: int = 2) -> tuple[Tensor, Tensor]:
    """Tokens and crops that were never seen before."""
    width = network.config.width
    memory = torch.randn(streams, targets, templates * network.config.template_grid**2, width)
    side = network.config.search_size
    return memory, torch.randint(0, 256, (targets, side, side, 3 * streams), dtype=torch.uint8)


def same(found: HeadOutput, expected: HeadOutput) -> bool:
    return all(torch.allclose(a, b, rtol=0, atol=ROUNDING) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("targets", "expected"),
    [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (8, 8), (9, 12), (12, 12), (13, 16), (17, 20), (61, 64)],
)
def test_targets_are_rounded_up(targets, expected):
    assert bucket(targets) == expected


@pytest.mark.parametrize("streams", [1, 2])
def test_a_replayed_step_is_the_step(network, streams):
    recorded = GraphedNetwork(network, Again())
    for targets in (1, 3, 2, 3, 4, 1, 2):
        shown = inputs(network, targets, streams=streams)
        assert same(recorded.step(*shown), network.step(*shown))


def test_a_replayed_step_heeds_the_share_of_its_targets_alone(network):
    recorded = GraphedNetwork(network, Again())
    for share in (None, (0.1, 0.9, 0.3), None, (0.8, 0.2, 0.5)):
        shown = inputs(network, 3)
        given = () if share is None else (torch.tensor(share),)
        assert same(recorded.step(*shown, *given), network.step(*shown, *given))


def test_a_shape_is_recorded_when_it_comes_again(network):
    recorder = Again()
    recorded = GraphedNetwork(network, recorder)
    counts = []
    for targets, templates in ((1, 1), (1, 2), (1, 2), (1, 2), (1, 1), (3, 1), (4, 1), (3, 1)):
        recorded.step(*inputs(network, targets, templates=templates))
        counts.append(recorder.recorded)
    assert counts == [0, 0, 1, 1, 2, 2, 3, 3]


def test_what_a_step_returned_is_not_overwritten(network):
    recorded = GraphedNetwork(network, Again())
    for _ in range(2):
        recorded.step(*inputs(network, 2))
    kept = recorded.step(*inputs(network, 2))
    before = [maps.clone() for maps in kept]
    recorded.step(*inputs(network, 2))
    assert all(torch.equal(a, b) for a, b in zip(kept, before, strict=True))


def test_rows_of_no_target_reach_nobody(network):
    recorded = GraphedNetwork(network, Again())
    memory, crops = inputs(network, 4)
    for _ in range(2):
        recorded.step(torch.full_like(memory, torch.nan), crops)
    shown = inputs(network, 3)
    assert same(recorded.step(*shown), network.step(*shown))


def test_a_failure_is_said_once_and_the_steps_go_on(network, caplog):
    recorder = Unable()
    recorded = GraphedNetwork(network, recorder)
    with caplog.at_level(logging.WARNING, graphs.__name__):
        for targets in (1, 1, 1, 2, 2):
            shown = inputs(network, targets)
            assert same(recorded.step(*shown), network.step(*shown))
    assert recorder.recorded == 1
    (line,) = caplog.messages
    assert "stream is capturing" in line
    assert "\n" not in line


def test_the_shape_not_used_for_longest_goes(network):
    recorder = Again()
    recorded = GraphedNetwork(network, recorder, most_graphs=2)
    counts = []
    for targets in (1, 1, 2, 2, 1, 4, 4, 1, 2):
        recorded.step(*inputs(network, targets))
        counts.append(recorder.recorded)
    # Of 1 and 2, the second is dropped for 4, because 1 was used since.
    assert counts == [0, 1, 1, 2, 2, 2, 3, 3, 4]


def test_many_targets_run_unrecorded(network):
    recorder = Again()
    recorded = GraphedNetwork(network, recorder, most_targets=4)
    for _ in range(3):
        recorded.step(*inputs(network, 5))
    assert recorder.recorded == 0


def test_a_wrong_input_is_not_a_failure_to_record():
    recorder = Again()
    recorded = GraphedNetwork(inference_network(DMTrack(SMALL, with_adapters=False).eval()), recorder)
    for _ in range(3):
        with pytest.raises(ValueError, match="adapters"):
            recorded.step(*inputs(recorded, 1))
    for _ in range(2):
        recorded.step(*inputs(recorded, 1, streams=1))
    assert recorder.recorded == 3  # tried again each time, and in the end done


def pair(number: int) -> FramePair:
    image = np.random.default_rng(number).integers(0, 255, (90, 120, 6), dtype=np.uint8)
    rgb, aux = (Frame(number, number, Fraction(1, 30), half) for half in (image[..., :3], image[..., 3:]))
    return FramePair(rgb, aux, Modality.THERMAL, image)


def test_a_tracker_follows_alike(network):
    """Targets are added and lost on the way, so that groups and their sizes change."""
    config = replace(TINY_TRACKER, update_interval=2, update_score=0.0, lost_after=2, sweep_interval=1)
    device = torch.device("cpu")
    recorder = Again()
    trackers = (
        Tracker(network, config),
        Tracker(GraphedNetwork(network, recorder), config, cropper=DeviceCropper(device)),
    )
    for number in range(9):
        found = []
        for tracker in trackers:
            if number in (0, 3):
                tracker.add(pair(number), [Box(20 + 9 * number, 20, 14, 12), Box(60, 40, 20, 10)])
                continue
            found.append([(*target.box.xywh, target.score) for target in tracker.update(pair(number))])
        if found:
            np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-3)
    assert recorder.recorded > 0


class FakeCuda:
    """Notes what is asked of `torch.cuda`, in order."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.said: list[str] = []
        self.pools: list[object] = []
        self.current = "main"
        patch.setattr(torch.cuda, "device", self._device)
        patch.setattr(torch.cuda, "Stream", lambda device: _Stream(self, f"side of {device}"))
        patch.setattr(torch.cuda, "current_stream", lambda: _Stream(self, self.current))
        patch.setattr(torch.cuda, "stream", lambda stream: self._on(stream.name))
        patch.setattr(torch.cuda, "CUDAGraph", lambda: _Graph(self))
        patch.setattr(torch.cuda, "graph_pool_handle", object)
        patch.setattr(torch.cuda, "graph", self._capture)

    @contextmanager
    def _device(self, device: torch.device) -> Iterator[None]:
        yield

    @contextmanager
    def _on(self, name: str) -> Iterator[None]:
        before, self.current = self.current, name
        yield
        self.current = before

    @contextmanager
    def _capture(self, graph: Any, *, pool: object, stream: Any, capture_error_mode: str) -> Iterator[None]:
        self.pools.append(pool)
        self.said.append("capture")
        with self._on(stream.name):
            yield
        self.said.append("captured")


class _Stream:
    def __init__(self, cuda: FakeCuda, name: str) -> None:
        self.cuda, self.name = cuda, name

    def wait_stream(self, other: _Stream) -> None:
        self.cuda.said.append(f"{self.name} waits for {other.name}")


class _Graph:
    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda

    def replay(self) -> None:
        self.cuda.said.append("replay")


def test_cuda_records_after_a_warm_up_on_a_side_stream(monkeypatch):
    cuda = FakeCuda(monkeypatch)
    recorder = CudaRecorder(torch.device("cuda", 1))
    out = torch.zeros(1)

    def run() -> Tensor:
        cuda.said.append(f"run on {cuda.current}")
        return out

    replay = recorder.record(run)
    assert replay() is out
    side = "side of cuda:1"
    assert cuda.said == [
        f"{side} waits for main",
        *[f"run on {side}"] * graphs.WARM_UP,
        f"main waits for {side}",
        "capture",
        f"run on {side}",
        "captured",
        "replay",
    ]
    recorder.record(run)
    assert cuda.pools[0] is cuda.pools[1]


# --- what a step waits for --------------------------------------------------------------------------

AWAY = torch.device("meta")


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
def uploads(monkeypatch) -> list[tuple[int, ...]]:
    """What goes to the device by `upload`, which does not wait."""
    sent: list[tuple[int, ...]] = []

    def upload(values: np.ndarray, device: torch.device) -> Tensor:
        sent.append(values.shape)
        return torch.empty(values.shape, dtype=torch.from_numpy(values.ravel()[:0]).dtype, device=device)

    monkeypatch.setattr("dmtrack.tracking.cropping.upload", upload)
    monkeypatch.setattr("dmtrack.tracking.tracker.upload", upload)
    return sent


@pytest.fixture
def readings(monkeypatch) -> list[torch.Size]:
    """What is read of the device: each row says 'in the middle, a quarter of the crop, surely'."""
    read: list[torch.Size] = []

    def tolist(self: Tensor) -> list[list[float]]:
        assert self.device == AWAY
        read.append(self.shape)
        return [[0.5, 0.5, 0.25, 0.25, 0.9, 0.5, 0.5, 0.25, 0.25]] * len(self)

    monkeypatch.setattr(torch.Tensor, "tolist", tolist)
    return read


OFTEN = replace(TINY_TRACKER, update_interval=2, update_score=0.0)


@pytest.mark.parametrize(
    ("config", "aux_share"),
    [(PUBLISHED_TRACKER, 0.5), (OFTEN, 0.5), (OFTEN, 0.05)],
    ids=["published", "tiny", "a second stream that is read more where RGB fades"],
)
def test_a_step_reads_the_device_once(model, config, aux_share, uploads, readings, monkeypatch):
    network = inference_network(model, device=AWAY)
    monkeypatch.setattr(network, "config", replace(network.config, aux_share=aux_share))
    tracker = Tracker(network, config, cropper=DeviceCropper(AWAY))
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
        assert readings == [(3, 9)]
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
def test_what_waits_would_fail(wait):
    with pytest.raises((RuntimeError, NotImplementedError)):
        wait(torch.empty(4, device=AWAY))


def test_what_is_copied_unpinned_is_noticed():
    with Crossings() as crossings:
        torch.ones(2).to(AWAY)
    assert len(crossings.found) == 1


def test_what_goes_to_cuda_is_pinned_and_not_waited_for(monkeypatch):
    asked: list[object] = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: asked.append("pinned") or self)
    monkeypatch.setattr(Tensor, "to", lambda self, device, **how: asked.append((device.type, how)) or self)
    cropping.upload(np.zeros(3, np.float32), torch.device("cuda", 0))
    assert asked == ["pinned", ("cuda", {"non_blocking": True})]


# --- in which numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_weights_are_cast_once_and_not_in_every_step(model, monkeypatch, precision):
    network = TorchNetwork(model, precision)
    monkeypatch.setattr(torch_network, "_store_products_in", lambda *_: None)
    plain = TorchNetwork(model, precision)
    shown = inputs(network, 2, templates=2)
    with Casts(network) as stored, Casts(plain) as cast:
        found, expected = network.step(*shown), plain.step(*shown)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert stored.count == 0
    assert cast.count > 20


class Casts(TorchDispatchMode):
    """Counts how often a weight of a network is cast: on a GPU a kernel each time."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self._weights = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.ops.aten._to_copy.default:
            self.count += args[0].untyped_storage().data_ptr() in self._weights
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(("device", "allowed"), [("cuda:0", False), ("cpu", True)])
def test_fp32_on_cuda_rounds_no_convolution_to_tf32(model, device, allowed):
    network = TorchNetwork(model)
    network.device = torch.device(device)
    seen = []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(lambda *_: seen.append(torch.backends.cudnn.allow_tf32))
    shown = inputs(network, 1)
    boxes = torch.full((1, 4), 0.5)
    network.step(*shown)
    network.embed_template(shown[1][:, : SMALL.template_size, : SMALL.template_size], boxes)
    assert len(seen) > 2
    assert set(seen) == {allowed}
    assert torch.backends.cudnn.allow_tf32


# --- what a GPU says -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore"), "too little memory"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), "too little memory"),
        (RuntimeError("CUDA error: no kernel image is available\nmore"), r"fails \(CUDA error: no kernel"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"), "fails"),
    ],
    ids=["full", "full mps", "too new", "cudnn"],
)
@pytest.mark.parametrize("when", ["embed_template", "step", "tolist"])
def test_what_a_gpu_says_is_one_line(model, monkeypatch, raised, said, when):
    network = inference_network(model)
    tracker = Tracker(network)
    begin = partial(tracker.initialize, pair(0), [Box(20, 20, 14, 12)])
    if when != "embed_template":
        begin()

    def fails(*_: object) -> None:
        raise raised

    monkeypatch.setattr(torch.Tensor if when == "tolist" else network, when, fails)
    run = begin if when == "embed_template" else partial(tracker.update, pair(1))
    with pytest.raises(ConfigError, match=said) as caught:
        run()
    assert "more" not in str(caught.value)


def test_a_defect_is_no_gpu_that_fails(model, monkeypatch):
    network = inference_network(model)
    monkeypatch.setattr(network, "step", lambda *_: torch.ones(2) + torch.ones(3))
    tracker = Tracker(network)
    tracker.initialize(pair(0), [Box(20, 20, 14, 12)])
    with pytest.raises(RuntimeError, match="size of tensor"):
        tracker.update(pair(1))


class OnCuda(torch.nn.Module):
    """A network that says it is on a GPU."""

    config, streams, device = SMALL, 2, torch.device("cuda", 0)

    def __init__(self, *_: object) -> None:
        super().__init__()


@pytest.mark.parametrize(("graphs", "kind"), [(True, GraphedNetwork), (False, OnCuda)])
def test_on_cuda_steps_are_recorded_unless_that_is_turned_off(model, monkeypatch, graphs, kind):
    monkeypatch.setattr(torch_network, "TorchNetwork", OnCuda)
    assert isinstance(inference_network(model, device="cuda:0", recorded=graphs), kind)


def test_the_backend_eager_turns_both_off(model, monkeypatch):
    monkeypatch.setattr(torch_network, "TorchNetwork", OnCuda)
    weights: Any = SimpleNamespace(model=model)
    cuda = torch.device("cuda", 0)
    assert isinstance(network_for(weights, "bf16", cuda, "torch"), GraphedNetwork)
    assert isinstance(network_for(weights, "bf16", cuda, "eager"), OnCuda)
    assert isinstance(cropper_for(cuda, "eager"), HostCropper)


# --- which device, in which numbers ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("maker", "flags", "expected"),
    [
        pytest.param("AuthenticAMD", "sse2 avx512f avx512_bf16", "bf16", id="zen4"),
        pytest.param("AuthenticAMD", "sse2 avx2", "fp32", id="zen3"),
        pytest.param("GenuineIntel", "sse2 avx512f avx512_bf16 amx_tile amx_bf16", "bf16", id="amx"),
        pytest.param("GenuineIntel", "sse2 avx512f avx512_bf16", "fp32", id="amx-hidden"),
        pytest.param("GenuineIntel", "sse2 avx2 avx512f", "fp32", id="older"),
    ],
)
def test_auto_on_a_cpu_takes_bf16_where_it_is_faster(monkeypatch, tmp_path, maker, flags, expected):
    cpu_info = written(tmp_path / "cpuinfo", f"processor\t: 0\nvendor_id\t: {maker}\nflags\t\t: {flags}\n")
    has_bf16 = cpu_multiplies_bf16(cpu_info)
    monkeypatch.setattr("dmtrack.network.backend.cpu_multiplies_bf16", lambda: has_bf16)
    assert choose_precision("auto", torch.device("cpu")) == expected


def test_a_cpu_that_says_nothing_computes_in_fp32(tmp_path):
    assert not cpu_multiplies_bf16(tmp_path / "there is no such file")


def test_int8_is_for_cpus():
    with pytest.raises(ConfigError, match="int8"):
        choose_precision("int8", torch.device("cuda", 0))


@pytest.mark.parametrize(
    ("bf16", "expected"), [pytest.param(True, "bf16", id="ampere"), pytest.param(False, "fp16", id="older")]
)
def test_auto_on_cuda_asks_the_device(monkeypatch, bf16, expected):
    asked = []
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext(asked.append(device)))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)
    assert choose_precision("auto", torch.device("cuda", 1)) == expected
    assert asked == ["cuda:1"]


def test_bf16_is_refused_where_the_device_has_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    with pytest.raises(ConfigError, match="fp16"):
        choose_precision("bf16", torch.device("cuda", 0))


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(1, True, "cuda:0"), (0, True, "cpu"), (0, False, "cpu")],
    ids=["cuda-first", "mps-only-by-its-name", "then-cpu"],
)
def test_auto_takes_the_best_device(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert str(choose_device("auto")) == expected


def test_cuda_devices_are_counted(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert str(choose_device("cuda")) == "cuda:0"
    assert str(choose_device("cuda:1")) == "cuda:1"
    with pytest.raises(ConfigError, match="cuda:0 to cuda:1"):
        choose_device("cuda:2")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AssertionError("Torch not compiled with CUDA enabled"), "(Torch not compiled with CUDA enabled)"),
        (RuntimeError("The NVIDIA driver on your system is too old. Please"), "is too old)"),
    ],
    ids=["a build for CPUs", "an old driver"],
)
def test_why_there_is_no_cuda_is_said(monkeypatch, error, said):
    def init() -> None:
        raise error

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    with pytest.raises(ConfigError, match=re.escape(said)):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["meta", "xpu", "cpu:3", "", "gpu"])
def test_unsupported_devices(name):
    with pytest.raises(ConfigError):
        choose_device(name)


@pytest.mark.parametrize(
    ("asked", "precision", "device", "said", "expected"),
    [
        ("auto", "auto", "cpu", "auto", "openvino"),
        ("auto", "bf16", "cpu", "auto", "torch"),  # this processor has no instructions for it
        ("auto", "auto", "cpu", "torch", "torch"),
        ("auto", "int8", "cpu", "torch", "openvino"),
        ("auto", "auto", "cuda:0", "auto", "torch"),
        ("torch", "auto", "cpu", "auto", "torch"),
        ("eager", "auto", "cuda:0", "openvino", "eager"),
    ],
)
def test_what_computes_the_network(monkeypatch, asked, precision, device, said, expected):
    monkeypatch.setenv(backend.BACKEND_VARIABLE, said)
    monkeypatch.setattr(backend, "computed_precisions", lambda: frozenset({"fp32", "int8"}))
    assert choose_backend(asked, precision, torch.device(device)) == expected


def test_without_openvino_pytorch_computes(monkeypatch):
    monkeypatch.delenv(backend.BACKEND_VARIABLE)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert choose_backend("auto", "auto", torch.device("cpu")) == "torch"


def test_openvino_is_for_cpus():
    with pytest.raises(ConfigError, match="runs on the CPU"):
        choose_backend("openvino", "auto", torch.device("cuda:0"))
