"""`TorchNetwork`: a trained network in PyTorch, the reference implementation and the one for GPUs."""

from __future__ import annotations

import contextlib
import copy
from typing import Final

import torch
from torch import Tensor, nn

from dmtrack.config import Precision
from dmtrack.network.adapters import PixelAttention
from dmtrack.network.backbone import MEAN, STD
from dmtrack.network.head import HeadOutput
from dmtrack.network.model import DMTrack, normalized

DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchNetwork(nn.Module):
    """An inference-only copy of `DMTrack`, fed with uint8 crops; see `dmtrack.network.inference.Network`.

    `precision` (`fp32`, `bf16` or `fp16`) is that of the products in the blocks. Stem, head and the residual
    stream stay in float32: they cost little, and half precision in stem and head moves boxes three times as
    far as in all the blocks. In `fp32` convolutions on a GPU are not rounded to TF32, which is PyTorch's
    default.
    """

    def __init__(
        self, model: DMTrack, precision: Precision = "fp32", device: torch.device | str = "cpu"
    ) -> None:
        super().__init__()
        self.config = model.config
        self.streams = 1 if model.adapters is None else 2
        self.model = copy.deepcopy(model).to(device).eval().requires_grad_(requires_grad=False)
        position = self.model.foundation.pos_search
        self.device, self._blocks = position.device, DTYPES[precision]
        if self._blocks != torch.float32:
            for part in (self.model.foundation.blocks, self.model.adapters or nn.ModuleList()):
                _store_products_in(self._blocks, part)
        # Buffers, because a recorded step may not copy numbers from the host.
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values, dtype=position.dtype, device=position.device))
        self.mean: Tensor
        self.std: Tensor

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """See `Network`."""
        if boxes is not None:
            boxes = boxes.to(self.mean.dtype)
        with self._convolutions():
            return self.model.embed_template(self._images(crops), boxes)

    def step(self, memory: Tensor, crops: Tensor, aux_share: Tensor | None = None) -> HeadOutput:
        """See `Network`."""
        with self._convolutions():
            search = self.model.embed_search(self._images(crops))
            with self._numbers():
                features = self.model.encode(memory, search, aux_share)
            return self.model.read_out(features.to(self.mean.dtype))

    forward = step

    def _numbers(self) -> contextlib.AbstractContextManager[object]:
        if self._blocks == torch.float32:
            return contextlib.nullcontext()
        # Without autocast's cache, whose tensors do not outlive a recording.
        return torch.autocast(self.device.type, self._blocks, cache_enabled=False)

    def _convolutions(self) -> contextlib.AbstractContextManager[object]:
        if self.device.type != "cuda" or self._blocks != torch.float32:
            return contextlib.nullcontext()
        cudnn = torch.backends.cudnn
        return cudnn.flags(
            enabled=cudnn.enabled,
            benchmark=cudnn.benchmark,
            deterministic=cudnn.deterministic,
            allow_tf32=False,
        )

    def _images(self, crops: Tensor) -> Tensor:
        return normalized(crops, self.mean, self.std)


def _store_products_in(dtype: torch.dtype, part: nn.Module) -> None:
    """Store weights of products in `dtype`; else autocast would cast each of them again in every step."""
    for module in part.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | PixelAttention):
            for weight in module.parameters(recurse=False):
                weight.data = weight.data.to(dtype)


class StepMaps(nn.Module):
    """The step with a plain tuple of maps as result: exported programs know no None."""

    def __init__(self, network: TorchNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, memory: Tensor, crops: Tensor, *aux_share: Tensor) -> tuple[Tensor, ...]:
        """Map tokens, crops and perhaps shares, see `Network.step`, to the maps that are not None."""
        return tuple(maps for maps in self.network.step(memory, crops, *aux_share) if maps is not None)


class TemplateTokens(nn.Module):
    """The embedding of templates, with boxes only if the network needs them."""

    def __init__(self, network: TorchNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor, *boxes: Tensor) -> tuple[Tensor]:
        """Map crops `(B, z, z, 3 S)` and perhaps boxes `(B, 4)` to tokens `(S, B, P, C)`."""
        return (self.network.embed_template(crops, *boxes),)


def noise_crops(side: int, streams: int, count: int = 1, *, seed: int = 0) -> Tensor:
    """Return `count` random crops `(count, side, side, 3 S)` of squares of 8 px, uint8."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (count, side // 8, side // 8, 3 * streams), generator=generator)
    return coarse.to(torch.uint8).repeat_interleave(8, 1).repeat_interleave(8, 2)
