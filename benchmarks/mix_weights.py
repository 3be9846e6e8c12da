"""Write the weighted mean of a foundation and of one trained on from it: keeps what the first could do.

    python benchmarks/mix_weights.py FIRST.safetensors RUN/checkpoint.pt SHARE OUT.safetensors [PART]

With PART (`head.quality`) only the tensors with that in their name are mixed; the others are the first's.

Source: Wortsman et al., "Robust fine-tuning of zero-shot models" (WiSE-FT), arXiv 2109.01903.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from dmtrack.network.weights.checkpoint import load_weights, save_weights

first, run, share, out = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
part = sys.argv[5] if len(sys.argv) > 5 else ""
old = load_weights(first)
new = torch.load(run, weights_only=True)["ema"] if run.suffix == ".pt" else load_weights(run).tensors
mixed = {
    name: share * new[name] + (1 - share) * before if part in name and before.is_floating_point() else before
    for name, before in old.tensors.items()
}
save_weights(out, mixed, replace(old.meta, source_name=f"{share:g} of {run}"))
