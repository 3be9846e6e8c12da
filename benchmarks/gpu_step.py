"""Frames a second on a GPU, without and with what is done for GPUs, and how much of the card that uses.

    python benchmarks/gpu_step.py [--device cuda] [--presets base,tiny] [--targets 1,10] [--steps 100]

For every preset, number of targets and precision, in turn:

    eager    `--backend eager`: kernels started one by one, crops cut on the CPU
    graphs   `--backend torch`: one CUDA graph a step, crops cut on the GPU

`step ms` is the network's step alone, many in a row. `frames/s` is `Tracker.update` on a 640x480 frame with
everything that belongs to it: crops, network, choice of the cell, new templates as often as the preset renews
them, and reading the boxes, for which every frame waits. The network is really run, but the boxes are held,
so that all frames cost the same. `TFLOP/s` is what the products of a step take by PyTorch's counter (two for
every multiplication with its addition; in the packed form 167 GFLOP for `base` and one target, 4.3 for
`tiny`) over `step ms`, and `share` that over the rate of one product of two large matrices in bfloat16
(float16 where the card has no bfloat16), timed before. Targets that a graph is padded with do not count.
Medians of rounds.

It runs on a CPU too (`--device cpu`, only `eager`), which says that it runs, and no more.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dmtrack.config import Backend, Precision, model_preset, tracker_preset
from dmtrack.errors import ConfigError
from dmtrack.geometry.box import Box
from dmtrack.network.backend import choose_device, choose_precision, inference_network
from dmtrack.network.head import HeadOutput
from dmtrack.network.inference import Network
from dmtrack.network.model import DMTrack
from dmtrack.network.torch_network import DTYPES
from dmtrack.tracking.cropping import cropper_for
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Frame, FramePair, Modality

FRAME = (480, 640)
BOX_SIDE = 40
ROUNDS = 5
WARM_UP = 5


class Held:
    """Runs a network, and says whatever it found that every target stayed where it was, of the same size."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.config, self.streams, self.device = network.config, network.streams, network.device
        self._said: dict[int, HeadOutput] = {}

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """See `Network`."""
        tokens: Tensor = self.network.embed_template(crops, boxes)
        return tokens

    def step(self, memory: Tensor, crops: Tensor, aux_share: Tensor | None = None) -> HeadOutput:
        """See `Network`."""
        self.network.step(memory, crops, aux_share)
        targets = memory.shape[1]
        if targets not in self._said:
            side = self.config.search_grid
            maps = torch.zeros(targets, 6, side, side, device=str(self.device))
            maps[:, :2, side // 2, side // 2] = 0.9  # score and quality
            maps[:, 2:4] = 0.25  # a search region has four times the side of its target
            self._said[targets] = HeadOutput(maps[:, :1], maps[:, 2:4], maps[:, 4:], maps[:, 1:2])
        return self._said[targets]


class Row(NamedTuple):
    """What is measured at once: the same work in one or two forms."""

    preset: str
    targets: int
    precision: Precision


class Speed(NamedTuple):
    """Medians of one form of a row."""

    step_s: float
    update_s: float


def made_up(preset: str) -> DMTrack:
    """Return a network of that shape with random weights: speed does not depend on them."""
    torch.manual_seed(0)
    return DMTrack(model_preset(preset)).eval()


def step_of(network: Network, targets: int, device: torch.device) -> Callable[[], object]:
    """Return one step on crops of noise, the memory full."""
    config = network.config
    tokens = config.memory_frames * config.template_grid**2
    memory = torch.randn(2, targets, tokens, config.width, device=device)
    side = config.search_size
    crops = torch.randint(0, 256, (targets, side, side, 6), dtype=torch.uint8, device=device)

    def run() -> object:
        with torch.inference_mode():
            return network.step(memory, crops)

    return run


def flops_of_step(model: DMTrack, targets: int) -> int:
    """Return what the products of one step take, counted on tensors without values."""
    meta = torch.device("meta")
    run = step_of(inference_network(model, device=meta), targets, meta)
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def update_of(network: Network, preset: str, backend: Backend, targets: int) -> Callable[[], object]:
    """Return one frame of a tracker whose memory is full."""
    config = tracker_preset(preset)
    held = Held(network)
    tracker = Tracker(
        held, replace(config, recovery=False, update_score=0.0), cropper=cropper_for(network.device, backend)
    )
    image = np.random.default_rng(0).integers(0, 256, (*FRAME, 6), dtype=np.uint8)
    rgb, aux = (Frame(0, 0, Fraction(1, 30), half) for half in (image[..., :3], image[..., 3:]))
    pair = FramePair(rgb, aux, Modality.THERMAL, image)
    places = [(60 + 90 * (i % 6), 60 + 70 * (i // 6 % 5)) for i in range(targets)]
    tracker.initialize(pair, [Box(x, y, BOX_SIDE, BOX_SIDE) for x, y in places])
    for _ in range(network.config.memory_frames * config.update_interval):
        tracker.update(pair)
    return lambda: tracker.update(pair)


def seconds(run: Callable[[], object], times: int, device: torch.device) -> float:
    """Return the time of one run, of so many in a row until the device is done."""
    _wait(device)
    begin = time.perf_counter()
    for _ in range(times):
        run()
    _wait(device)
    return (time.perf_counter() - begin) / times


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(device: torch.device, side: int) -> tuple[float, str]:
    """Return the FLOP/s of one product of two square matrices, and in which precision."""
    precision: Precision = "bf16"
    try:
        choose_precision(precision, device)
    except ConfigError:
        precision = "fp16"
    a, b = (torch.randn(side, side, device=device, dtype=DTYPES[precision]) for _ in range(2))
    for _ in range(WARM_UP):
        a @ b
    times = [seconds(lambda: a @ b, 10, device) for _ in range(ROUNDS)]
    return 2 * side**3 / statistics.median(times), precision


def measure(row: Row, model: DMTrack, device: torch.device, steps: int) -> dict[Backend, Speed]:
    """Measure a row in each form that the device has, in turn."""
    backends: tuple[Backend, ...] = ("eager", "torch") if device.type == "cuda" else ("eager",)
    runs = {}
    for backend in backends:
        network = inference_network(model, row.precision, device, recorded=backend == "torch")
        step = step_of(network, row.targets, device)
        update = update_of(network, row.preset, backend, row.targets)
        for _ in range(WARM_UP):
            step()
            update()
        runs[backend] = step, update
    times: dict[Backend, list[tuple[float, float]]] = {backend: [] for backend in backends}
    for _ in range(ROUNDS):
        for backend, (step, update) in runs.items():
            times[backend].append((seconds(step, steps, device), seconds(update, steps, device)))
    return {
        backend: Speed(*(statistics.median(each) for each in zip(*rounds, strict=True)))
        for backend, rounds in times.items()
    }


def rows(presets: str, targets: str, precisions: str, device: torch.device) -> Iterator[Row]:
    """Yield every choice; a precision that the device has not is left out."""
    for preset in presets.split(","):
        for count in targets.split(","):
            for precision in precisions.split(","):
                try:
                    yield Row(preset, int(count), choose_precision(precision, device))  # type: ignore[arg-type]
                except ConfigError as error:
                    print(f"{precision} left out: {error}")


def main(words: list[str] | None = None) -> None:
    """Print a line for each row and form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--presets", default="base,tiny")
    parser.add_argument("--targets", default="1,10")
    parser.add_argument("--precisions", default="fp32,bf16,fp16")
    parser.add_argument("--steps", type=int, default=100, help="in a row, in each of five rounds")
    parser.add_argument("--matrix", type=int, default=8192, help="side of the large matrices")
    asked = parser.parse_args(words)
    device = torch.device(str(choose_device(asked.device)))
    rate, kind = matrix_rate(device, asked.matrix)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    print(f"{name}, PyTorch {torch.__version__}: {rate / 1e12:.2f} TFLOP/s in one {kind} product")
    print(
        f"{'preset':8s} {'targets':>7s} {'precision':>9s} {'form':>7s} {'step ms':>8s} {'frames/s':>8s} "
        f"{'TFLOP/s':>8s} {'share':>6s}"
    )
    for row in rows(asked.presets, asked.targets, asked.precisions, device):
        model = made_up(row.preset)
        work = flops_of_step(model, row.targets)
        for backend, speed in measure(row, model, device, asked.steps).items():
            form, reached = "graphs" if backend == "torch" else backend, work / speed.step_s
            print(
                f"{row.preset:8s} {row.targets:7d} {row.precision:>9s} {form:>7s} {speed.step_s * 1e3:8.2f} "
                f"{1 / speed.update_s:8.1f} {reached / 1e12:8.2f} {reached / rate:6.1%}"
            )


if __name__ == "__main__":
    main()
