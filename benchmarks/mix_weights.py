"""Write the weighted mean of a foundation and of one trained on from it: keeps what the first could do.

python benchmarks/mix_weights.py FIRST.safetensors RUN/checkpoint.pt SHARE OUT.safetensors

Source: Wortsman et al., "Robust fine-tuning of zero-shot models" (WiSE-FT), arXiv 2109.01903.
"""

import sys
from pathlib import Path

import torch

from dmtrack.config import TINY_TRACKER, ModelConfig
from dmtrack.network.checkpoint import WeightsMeta, load_weights, save_weights

first, run, share, out = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
old = load_weights(first).tensors
if run.suffix == ".pt":
    state = torch.load(run, weights_only=True)
    config, new = ModelConfig.from_dict(state["model_config"]), state["ema"]
else:
    weights = load_weights(run)
    config, new = weights.meta.config, dict(weights.tensors)
if config.stem == "lite" and not any(name.startswith("foundation.stem.conv.") for name in old):
    old = {name.replace("foundation.stem.", "foundation.stem.conv."): tensor for name, tensor in old.items()}
mixed = {}
for name, tensor in new.items():
    before = old.get(name)
    if before is None:
        grown = name.startswith(("foundation.stem.fine.", "foundation.stem.project."))
        before = torch.zeros_like(tensor) if grown else tensor
    mixed[name] = share * tensor + (1 - share) * before if tensor.is_floating_point() else tensor
meta = WeightsMeta(config, "foundation", None, TINY_TRACKER, "see the runs it was mixed from", f"{share:g} of {run}")
save_weights(out, mixed, meta)
