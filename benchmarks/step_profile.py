"""Where the time of one step goes on a CPU, and how near its products are to what the machine can do.

The machine's rate is that of one product of two large matrices with packed weights, in the same precision and
with the same threads. `floor` is the arithmetic of the step at that rate: no arrangement of the same products
is quicker. What is above it is spread over the rows of the table.

    python benchmarks/step_profile.py [--preset tiny] [--precision bf16] [--targets 1] [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

import torch
from network_step import PlainNetwork, made_up, program, step
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from dmtrack.config import Precision
from dmtrack.network.fast.folding import Affine
from dmtrack.network.fast.kernels import DTYPES, Kernels, Packing
from dmtrack.network.inference import Network
from dmtrack.network.model import DMTrack

KINDS: Final = {
    "mkldnn::_linear_pointwise": "linear maps of the blocks",
    "quantized::linear_dynamic": "linear maps of the blocks",
    "mkldnn::_convolution_pointwise": "convolutions of stem and head",
    "aten::bmm": "products of attention",
    "aten::_scaled_dot_product_flash_attention_for_cpu": "fused attention",
    "aten::_softmax": "softmax",
    "aten::baddbmm": "low-rank maps of the adapters",
    "aten::gelu": "GELU outside of products",
    "aten::native_layer_norm": "layer norm",
    "aten::copy_": "copies and conversions",
    "aten::cat": "copies and conversions",
}
LARGE: Final = 2048
RUNS: Final = 10


def median_ms(run: Callable[[], object]) -> float:
    """Return the median time of some runs, the first ones left out."""
    times = []
    for _ in range(RUNS + 4):
        begin = time.perf_counter()
        run()
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times[4:])


def machine_gmacs(precision: Precision) -> float:
    """Return 10^9 multiplications with addition a second of one large product."""
    packing: Packing = "int8" if precision == "int8" else "onednn"
    kernels = Kernels(DTYPES[precision], torch.float32, torch.device("cpu"), packing)
    noise = torch.Generator().manual_seed(0)
    weight = torch.rand(LARGE, LARGE, generator=noise, dtype=torch.float64)
    layer = kernels.linear(Affine(weight, torch.zeros(LARGE, dtype=torch.float64)), LARGE)
    x = torch.rand(LARGE, LARGE, generator=noise).to(DTYPES[precision])
    with torch.inference_mode():
        return LARGE**3 / 1e6 / median_ms(lambda: layer(x))


def step_gmacs(model: DMTrack, targets: int) -> float:
    """Return 10^9 multiplications with addition of a step; the trained form's, the packed one has fewer."""
    run = step(PlainNetwork(model), model, targets)
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops()) / 2e9


def shares_ms(run: Callable[[], object]) -> dict[str, float]:
    """Return the time of each kind of work in one run."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(RUNS):
            run()
    sums: defaultdict[str, float] = defaultdict(float)
    for event in found.key_averages():
        sums[KINDS.get(event.key, "everything else")] += event.self_cpu_time_total / 1e3 / RUNS
    return dict(sums)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--precision", default="bf16", choices=("fp32", "bf16", "int8"))
    parser.add_argument("--targets", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    model = made_up(asked.preset)
    network: Network = program(model, asked.precision)
    run = step(network, model, asked.targets)
    whole, shares = median_ms(run), shares_ms(run)
    rate, work = machine_gmacs(asked.precision), step_gmacs(model, asked.targets)
    print(f"{asked.preset} {asked.precision}, {asked.targets} targets, {asked.threads} threads")
    print(f"step {whole:.1f} ms; {work:.2f} GMAC, at this machine's {rate:.0f} GMAC/s a floor of ", end="")
    print(f"{work / rate * 1e3:.1f} ms")
    for name, ms in sorted(shares.items(), key=lambda item: -item[1]):
        print(f"  {name:32s} {ms / sum(shares.values()):6.1%}")


if __name__ == "__main__":
    main()
