"""From a trained network to what a tracker runs: which form, which numbers, where.

A tracker knows a network only as `Network`: templates to tokens, and one step. The packed form is what runs
by default; the plain one, module by module as trained, is what it is tested against and the way back.
"""

from __future__ import annotations

import copy
from typing import Protocol

import torch
from torch import Tensor

from dmtrack.config import ModelConfig
from dmtrack.errors import ConfigError
from dmtrack.network.graphs import CudaRecorder, GraphedNetwork
from dmtrack.network.head import HeadOutput
from dmtrack.network.kernels import Kernels, Packing, int8_works, onednn_works
from dmtrack.network.model import DMTrack
from dmtrack.network.packed import PackedNetwork
from dmtrack.network.precision import DTYPES, Precision
from dmtrack.network.preprocess import normalize
from dmtrack.network.traced import TracedNetwork


class Network(Protocol):
    """What a tracker asks of a network.

    S streams, B targets, T templates of P tokens each, F the side of the search grid, C the token width.
    """

    @property
    def config(self) -> ModelConfig:
        """Shapes."""

    @property
    def streams(self) -> int:
        """How many streams it takes at most: 1 or 2."""

    @property
    def device(self) -> torch.device:
        """Where it wants crops and leaves maps."""

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Turn uint8 crops `(B, z, z, 3 S)` and boxes `(B, 4)` in them into tokens `(S, B, P, C)`."""

    def step(self, memory: Tensor, crops: Tensor) -> HeadOutput:
        """Find in uint8 crops `(B, x, x, 3 S)` what the tokens `(S, B, T P, C)` show."""


class PlainNetwork:
    """A `DMTrack` run as it was trained.

    Args:
        model: On its device, in eval mode.
    """

    def __init__(self, model: DMTrack) -> None:
        self.model = model
        self.config = model.config
        self.streams = 1 if model.adapters is None else 2
        position = model.foundation.pos_search
        self.device, self._dtype = position.device, position.dtype

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """See `Network`."""
        return self.model.embed_template(normalize(crops).to(self._dtype), boxes)

    def step(self, memory: Tensor, crops: Tensor) -> HeadOutput:
        """See `Network`."""
        return self.model.forward_tokens(memory, self.model.embed_search(normalize(crops).to(self._dtype)))


def inference_network(
    model: DMTrack,
    precision: Precision = "fp32",
    device: torch.device | str = "cpu",
    *,
    packed: bool = True,
    recorded: bool = True,
) -> Network:
    """Make what a tracker runs; the trained network is not changed.

    Args:
        model: The trained network.
        precision: Numbers of the big products. The head's last layer, the adapters and the residual
            stream of the packed form stay in float32.
        device: Where to run.
        packed: False runs the network as it was trained (not with int8): slower, for comparison.
        recorded: Record the packed form's step: as CUDA graphs on a CUDA device (`GraphedNetwork`), in
            TorchScript on a CPU (`TracedNetwork`).

    Raises:
        ConfigError: The device cannot compute so.
    """
    place = torch.device(device)
    if precision not in DTYPES:
        raise ConfigError(f"unknown precision {precision!r}", hint=f"one of: {', '.join(DTYPES)}")
    dtype = DTYPES[precision]
    if packed:
        kernels = Kernels(dtype, torch.float32, place, _packing(precision, place))
        with torch.no_grad():
            network = PackedNetwork(model, kernels).eval().requires_grad_(requires_grad=False)
        if recorded and place.type == "cuda":
            return GraphedNetwork(network, CudaRecorder(network.device))
        return TracedNetwork(network) if recorded and place.type == "cpu" else network
    if precision == "int8":
        raise ConfigError("int8 runs only in the packed form")
    plain = copy.deepcopy(model).to(place, dtype).eval().requires_grad_(requires_grad=False)
    plain.foundation.head.float()
    return PlainNetwork(plain)


def _packing(precision: Precision, device: torch.device) -> Packing:
    if precision == "int8":
        if device.type != "cpu" or not int8_works():
            raise ConfigError(f"{device} does not compute in int8", hint="--precision fp32 or bf16")
        return "int8"
    if device.type == "cpu" and onednn_works(DTYPES[precision]):
        return "onednn"
    return "none"
