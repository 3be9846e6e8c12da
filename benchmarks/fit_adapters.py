"""Write adapters anew for another foundation of the same shape, with what they add made smaller.

    python benchmarks/fit_adapters.py ADAPTERS FOUNDATION SCALE AUX_SHARE OUT        (.safetensors each)

AUX_SHARE is the second stream's share of what the head reads; a half is the plain mean.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from dmtrack.network.weights.checkpoint import load_weights, save_weights
from dmtrack.network.weights.file import sha256_of

adapters, foundation, out = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[5])
scale, aux_share = float(sys.argv[3]), float(sys.argv[4])
old, config = load_weights(adapters), load_weights(foundation).meta.config
scaled = {name: tensor * scale if ".up." in name else tensor for name, tensor in old.tensors.items()}
meta = replace(old.meta, config=replace(config, aux_share=aux_share), foundation_sha256=sha256_of(foundation))
save_weights(out, scaled, meta, dtype=torch.float16)
