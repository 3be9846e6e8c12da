"""Time of one step of the network: every form and precision against the plainest evaluation, in turn.

The plainest evaluation is the one of the parity tests: streams one after the other, attention matrices
formed, the pixel-wise attention a mapped layer. All run in one process, A B A B ..., on the same made-up
crops; ratios are taken round by round, so that a machine whose speed drifts does not favour one. CPU time is
what the process used, wall time what a person waits.

    python benchmarks/network_step.py [--preset tiny] [--targets 1] [--threads 1] [--rounds 9]

`base` runs with random weights: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from dmtrack.config import model_preset
from dmtrack.network.inference import Array, Network, arrays_of
from dmtrack.network.model import DMTrack
from dmtrack.network.openvino_network import OpenVinoNetwork, computed_precisions
from dmtrack.network.torch_network import TorchNetwork

#: Rounds that do not count: programs are made.
WARM_UP = 4
REFERENCE = Path(__file__).parents[1] / "tests" / "parity" / "reference.py"


def reference_network(model: DMTrack) -> Any:  # noqa: ANN401 (a test module, loaded by its path)
    """Return the plainest evaluation."""
    spec = importlib.util.spec_from_file_location("parity_reference", REFERENCE)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(REFERENCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Reference(model)


def made_up(preset: str) -> DMTrack:
    """Return a network of that shape with random weights."""
    torch.manual_seed(0)
    model = DMTrack(model_preset(preset))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, parameter[0].numel() ** -0.5)
    return model.eval()


def networks(model: DMTrack, folder: Path) -> dict[str, Network]:
    """Return what is compared; the first is what the others are divided into."""
    forms: dict[str, Network] = {"plainest": reference_network(model), "torch fp32": TorchNetwork(model)}
    trained: Any = SimpleNamespace(model=model, config=model.config, streams=2)
    for precision in ("fp32", "bf16", "fp16", "int8"):
        if precision in computed_precisions():
            forms[f"openvino {precision}"] = OpenVinoNetwork(trained, folder, precision)
    return forms


def step(network: Network, model: DMTrack, targets: int) -> Callable[[], object]:
    """Return one step on made-up crops, the memory full."""
    config = model.config
    generator = torch.Generator().manual_seed(0)

    def crops(side: int) -> Array:
        return torch.randint(0, 256, (targets, side, side, 6), dtype=torch.uint8, generator=generator)

    search, template = crops(config.search_size), crops(config.template_size)
    boxes: Array = torch.rand(targets, 4)
    if isinstance(network, OpenVinoNetwork):
        search, template, boxes = search.numpy(), template.numpy(), boxes.numpy()
    with torch.inference_mode():
        tokens = network.embed_template(template, boxes)
        memory = arrays_of(tokens).concat([tokens] * config.memory_frames, 2)

    def run() -> object:
        with torch.inference_mode():
            return network.step(memory, search)

    return run


def main() -> None:
    """Print medians, and how many times faster than the first each is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--targets", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    model = made_up(asked.preset)
    with tempfile.TemporaryDirectory() as folder:
        compared = networks(model, Path(folder))
        steps = {name: step(network, model, asked.targets) for name, network in compared.items()}
        for run in steps.values():
            run()
    wall: dict[str, list[float]] = {name: [] for name in steps}
    cpu: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(asked.rounds + WARM_UP):
        for name, run in steps.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            run()
            if turn >= WARM_UP:
                wall[name].append((time.perf_counter() - began) * 1e3)
                cpu[name].append((time.process_time() - began_cpu) * 1e3)
    print(f"{asked.preset}, {asked.targets} targets, {asked.threads} threads, medians of {asked.rounds}")
    print(f"{'':16s} {'wall ms':>9s} {'CPU ms':>9s} {'least ms':>9s} {'times as fast (CPU)':>20s}")
    first = next(iter(steps))
    for name in steps:
        ratio = statistics.median(a / b for a, b in zip(cpu[first], cpu[name], strict=True))
        middle, used, least = statistics.median(wall[name]), statistics.median(cpu[name]), min(cpu[name])
        print(f"{name:16s} {middle:9.1f} {used:9.1f} {least:9.1f} {ratio:20.2f}")


if __name__ == "__main__":
    main()
