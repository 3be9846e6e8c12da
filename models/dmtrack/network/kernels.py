"""Matrix products and convolutions of the inference network, with weights packed once.

On a CPU, oneDNN can keep weights in the layout its kernels want instead of bringing them there on every
call. PyTorch reaches it through operators that `torch.compile` is built on; they carry an underscore, so
`onednn_works` tries them once, and without them the plain functions are used.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmtrack.network.folding import Affine

Packing = Literal["none", "onednn", "int8"]

#: Largest magnitude of a signed 8-bit weight; symmetric, so that zero stays zero.
_INT8_PEAK = 127.0


class Linear(nn.Module):
    """`y = x W^T + b` in the type of its weights."""

    def __init__(self, affine: Affine, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self.register_buffer("weight", affine.weight.to(device, dtype).contiguous())
        self.register_buffer("bias", affine.bias.to(device, dtype))
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Map `(..., in)` to `(..., out)`."""
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


class OneDnnLinear(nn.Module):
    """The same on a CPU, with the weights in oneDNN's own layout."""

    def __init__(self, affine: Affine, dtype: torch.dtype, rows: int) -> None:
        super().__init__()
        self.dtype = dtype
        self.bias = affine.bias.to(dtype)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(affine.weight.to(dtype).contiguous(), rows)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(..., in)` to `(..., out)`."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise(
            x.to(self.dtype), self._weight, self.bias, "none", [], ""
        )
        return out


class Int8Linear(nn.Module):
    """The same with 8-bit weights (one scale an output) and inputs (one range a call), float32 outside."""

    def __init__(self, affine: Affine) -> None:
        super().__init__()
        weight = affine.weight.float()
        scales = (affine.weight.abs().amax(dim=1) / _INT8_PEAK).clamp(min=torch.finfo(torch.float32).tiny)
        zeros = torch.zeros(len(scales), dtype=torch.long)
        quantized = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        self._packed: Any = torch.ops.quantized.linear_prepack(quantized, affine.bias.float())

    def forward(self, x: Tensor) -> Tensor:
        """Map `(..., in)` float32 to `(..., out)` float32."""
        out: Tensor = torch.ops.quantized.linear_dynamic(x, self._packed, reduce_range=False)
        return out


def make_linear(
    affine: Affine, dtype: torch.dtype, device: torch.device, packing: Packing, *, rows: int
) -> nn.Module:
    """Return the quickest module for a map.

    Args:
        affine: The map.
        dtype: Of the product; float32 with `int8`.
        device: Where it runs.
        packing: Anything but `none` is for CPUs.
        rows: How many vectors a call usually brings; oneDNN chooses its layout by it.
    """
    if packing == "int8":
        return Int8Linear(affine)
    if packing == "onednn":
        return OneDnnLinear(affine, dtype, rows)
    return Linear(affine, dtype, device)


class Convolution(nn.Module):
    """A convolution in `channels_last`, with what batch norm left folded in."""

    def __init__(
        self, affine: Affine, dtype: torch.dtype, device: torch.device, *, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__()
        weight = affine.weight.to(device, dtype).contiguous(memory_format=torch.channels_last)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", affine.bias.to(device, dtype))
        self.weight: Tensor
        self.bias: Tensor
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, in, H, W)` to `(B, out, H', W')`."""
        return F.conv2d(x.to(self.weight.dtype), self.weight, self.bias, self.stride, self.padding)


@functools.cache
def onednn_works(dtype: torch.dtype) -> bool:
    """Whether packed products of this type run here and give what plain ones give."""
    if dtype not in (torch.float32, torch.bfloat16) or not torch.backends.mkldnn.is_available():
        return False
    affine = Affine(torch.linspace(-1, 1, 32 * 16).double().reshape(32, 16), torch.ones(32).double())
    x = torch.linspace(-1, 1, 8 * 16).reshape(8, 16).to(dtype)
    try:
        with torch.inference_mode():
            packed = OneDnnLinear(affine, dtype, rows=8)(x)
    except (AttributeError, RuntimeError, TypeError):
        return False
    plain = Linear(affine, dtype, torch.device("cpu"))(x)
    return bool(torch.allclose(packed, plain, rtol=0.02, atol=0.02))
