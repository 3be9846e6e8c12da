"""Matrix products and convolutions of the inference network, with weights packed once, and in which numbers.

On a CPU, oneDNN can keep weights in the layout its kernels want instead of bringing them there on every
call. PyTorch reaches it through operators that `torch.compile` is built on; they carry an underscore, so
`onednn_works` tries them once, and without them the plain functions are used.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmtrack.config import Precision
from dmtrack.network.fast.folding import Affine

Packing = Literal["none", "onednn", "int8"]
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]

#: Type of the activations between the matrix products. int8 products take float32 and give float32.
DTYPES: Mapping[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.float32,
}
_CPU_INFO = Path("/proc/cpuinfo")
#: Largest magnitude of a signed 8-bit weight; symmetric, so that zero stays zero.
_INT8_PEAK = 127.0


class Linear(nn.Module):
    """`y = x W^T + b` in the type of its weights, and maybe a GELU."""

    def __init__(self, affine: Affine, dtype: torch.dtype, device: torch.device, *, gelu: bool) -> None:
        super().__init__()
        self.gelu = gelu
        self.register_buffer("weight", affine.weight.to(device, dtype).contiguous())
        self.register_buffer("bias", affine.bias.to(device, dtype))
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Map `(..., in)` to `(..., out)`."""
        out = F.linear(x.to(self.weight.dtype), self.weight, self.bias)
        return F.gelu(out) if self.gelu else out


class OneDnnLinear(nn.Module):
    """The same on a CPU, with the weights in oneDNN's own layout and the GELU in the product."""

    def __init__(self, affine: Affine, dtype: torch.dtype, rows: int, *, gelu: bool = False) -> None:
        super().__init__()
        self.dtype = dtype
        self._after = ("gelu", "none") if gelu else ("none", "")
        self.register_buffer("bias", affine.bias.to(dtype))
        packed = torch.ops.mkldnn._reorder_linear_weight(affine.weight.to(dtype).contiguous(), rows)
        self.register_buffer("weight", packed)
        self.bias: Tensor
        self.weight: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Map `(..., in)` to `(..., out)`."""
        out: Tensor = _scripted().linear(x.to(self.dtype), self.weight, self.bias, *self._after)
        return out


class Int8Linear(nn.Module):
    """The same with 8-bit weights (one scale an output) and inputs (one range a call), float32 outside."""

    def __init__(self, affine: Affine, *, gelu: bool = False) -> None:
        super().__init__()
        self.gelu = gelu
        weight = affine.weight.float()
        scales = (affine.weight.abs().amax(dim=1) / _INT8_PEAK).clamp(min=torch.finfo(torch.float32).tiny)
        zeros = torch.zeros(len(scales), dtype=torch.long)
        with warnings.catch_warnings():
            # PyTorch means to remove these tensors one day; `int8_works` will then say so.
            warnings.filterwarnings("ignore", message=".*quantize.* deprecated", category=UserWarning)
            quantized = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        with _quantized_by("onednn"):
            self._packed: Any = torch.ops.quantized.linear_prepack(quantized, affine.bias.float())

    def forward(self, x: Tensor) -> Tensor:
        """Map `(..., in)` float32 to `(..., out)` float32."""
        out: Tensor = torch.ops.quantized.linear_dynamic(x, self._packed, reduce_range=False)
        return F.gelu(out) if self.gelu else out


@contextmanager
def _quantized_by(engine: str) -> Iterator[None]:
    """Pack 8-bit weights for this library, where PyTorch has it: oneDNN's products are the quicker ones."""
    before = torch.backends.quantized.engine
    if engine in torch.backends.quantized.supported_engines:
        torch.backends.quantized.engine = engine
    try:
        yield
    finally:
        torch.backends.quantized.engine = before


def fused_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return `softmax(Q K^T) V` of `(B, heads, n, d)`, without ever holding all of the weights."""
    return F.scaled_dot_product_attention(query, key, value, scale=1.0)


def plain_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return the same as two batched products.

    On CPUs that multiply bfloat16 but have no tiles (AMX) the fused one computes in float32, and takes nearly
    twice as long as this for sequences as short as ours.
    """
    return torch.matmul(torch.softmax(torch.matmul(query, key.transpose(-1, -2)), dim=-1), value)


@dataclass(frozen=True, slots=True)
class ConvolutionShape:
    """What a convolution is told besides its weights.

    Attributes:
        stride: In both directions.
        padding: On all sides.
        relu: Whether negative outputs become 0.
        ceiling: Largest output, with `relu`; 0 is none.
        groups: Of channels; each group of outputs sees its own inputs only.
    """

    stride: int = 1
    padding: int = 1
    relu: bool = True
    ceiling: float = 0.0
    groups: int = 1


class Convolution(nn.Module):
    """A convolution in `channels_last`, with what batch norm left folded in, and maybe a ReLU."""

    def __init__(
        self, affine: Affine, shape: ConvolutionShape, dtype: torch.dtype, device: torch.device
    ) -> None:
        super().__init__()
        weight = affine.weight.to(device, dtype).contiguous(memory_format=torch.channels_last)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", affine.bias.to(device, dtype))
        self.weight: Tensor
        self.bias: Tensor
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, in, H, W)` to `(B, out, H', W')`."""
        shape = self.shape
        x = x.to(self.weight.dtype)
        out = F.conv2d(x, self.weight, self.bias, shape.stride, shape.padding, 1, shape.groups)
        if shape.relu and shape.ceiling:
            return F.hardtanh_(out, 0.0, shape.ceiling)
        return F.relu_(out) if shape.relu else out


class OneDnnConvolution(nn.Module):
    """The same on a CPU, with the weights in oneDNN's own layout and the ReLU in the product."""

    def __init__(self, affine: Affine, shape: ConvolutionShape, dtype: torch.dtype, side: int) -> None:
        super().__init__()
        self.dtype = dtype
        self._padding, self._stride = [shape.padding] * 2, [shape.stride] * 2
        self._activation = ("hardtanh" if shape.ceiling else "relu") if shape.relu else "none"
        self._limits = [0.0, shape.ceiling] if shape.relu and shape.ceiling else []
        self._groups = shape.groups
        weight = affine.weight.to(dtype).contiguous(memory_format=torch.channels_last)
        images = [1, weight.shape[1] * shape.groups, side, side]
        packed = torch.ops.mkldnn._reorder_convolution_weight(
            weight, self._padding, self._stride, [1, 1], shape.groups, images
        )
        self.register_buffer("bias", affine.bias.to(dtype))
        self.register_buffer("weight", packed)
        self.bias: Tensor
        self.weight: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, in, H, W)` to `(B, out, H', W')`."""
        x = x.to(self.dtype).contiguous(memory_format=torch.channels_last)
        out: Tensor = _scripted().convolution(
            x,
            self.weight,
            self.bias,
            self._padding,
            self._stride,
            self._groups,
            self._activation,
            self._limits,
        )
        return out


#: A trace cannot write down the empty list of scalars that these operators want; a script can.
_SCRIPT = """
def linear(x: Tensor, weight: Tensor, bias: Tensor, activation: str, algorithm: str) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], algorithm)

def convolution(x: Tensor, weight: Tensor, bias: Tensor, padding: List[int], stride: List[int], groups: int,
                activation: str, limits: List[float]) -> Tensor:
    scalars: List[Optional[number]] = []
    for limit in limits:
        scalars.append(limit)
    return torch.ops.mkldnn._convolution_pointwise(
        x, weight, bias, padding, stride, [1, 1], groups, activation, scalars, ""
    )
"""


@functools.cache
def _scripted() -> Any:  # noqa: ANN401 (a script)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.CompilationUnit(_SCRIPT)


@dataclass(frozen=True, slots=True)
class Kernels:
    """How a packed network computes; makes its parts.

    Attributes:
        dtype: Of the big products.
        residual: Of everything else.
        device: Where it runs.
        packing: Layout of the big products' weights. Anything but `none` is for CPUs.
    """

    dtype: torch.dtype
    residual: torch.dtype
    device: torch.device
    packing: Packing

    @property
    def exact(self) -> Kernels:
        """The same in the type of the residual stream."""
        packs = self.packing != "none" and onednn_works(self.residual)
        return replace(self, dtype=self.residual, packing="onednn" if packs else "none")

    def linear(self, affine: Affine, rows: int, *, gelu: bool = False) -> nn.Module:
        """Return the quickest module for a map, and maybe a GELU after it.

        Args:
            affine: The map.
            rows: How many vectors a call usually brings.
            gelu: Whether its outputs go through a GELU.
        """
        if self.packing == "int8":
            return Int8Linear(affine, gelu=gelu)
        if self.packing == "onednn":
            return OneDnnLinear(affine, self.dtype, rows, gelu=gelu)
        return Linear(affine, self.dtype, self.device, gelu=gelu)

    @property
    def attention(self) -> Attention:
        """The quickest `softmax(Q K^T) V`; queries are to be scaled already."""
        tiled = self.device.type != "cpu" or self.dtype != torch.bfloat16 or cpu_has("amx_bf16")
        return fused_attention if tiled else plain_attention

    def convolution(self, affine: Affine, side: int, shape: ConvolutionShape) -> nn.Module:
        """Return the quickest module for a convolution of images of this side."""
        if self.packing != "none" and onednn_works(self.dtype):
            return OneDnnConvolution(affine, shape, self.dtype, side)
        return Convolution(affine, shape, self.dtype, self.device)

    def constant(self, tensor: Tensor) -> Tensor:
        """Return a copy in the type and place of the residual stream."""
        return tensor.detach().to(self.device, self.residual).clone()


@functools.cache
def onednn_works(dtype: torch.dtype) -> bool:
    """Whether packed products of this type run here and give what plain ones give."""
    if dtype not in (torch.float32, torch.bfloat16):
        return False
    affine, x = _trial()
    shape = ConvolutionShape(padding=0)
    image = x.t().reshape(1, 16, 2, 4)
    pixelwise = Affine(affine.weight[:, :, None, None], affine.bias)
    try:
        with torch.inference_mode():
            linear = OneDnnLinear(affine, dtype, rows=8)(x)
            convolution = OneDnnConvolution(pixelwise, shape, dtype, side=4)(image)
    except (AttributeError, RuntimeError, TypeError):
        return False
    expected = F.linear(x, affine.weight.float(), affine.bias.float())
    columns = convolution[0].flatten(1).t()
    return _close(linear, expected) and _close(columns, F.relu(expected))


@functools.cache
def int8_works() -> bool:
    """Whether 8-bit products run here and give about what float32 ones give."""
    affine, x = _trial()
    try:
        with torch.inference_mode():
            out = Int8Linear(affine)(x)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return _close(out, F.linear(x, affine.weight.float(), affine.bias.float()))


def _trial() -> tuple[Affine, Tensor]:
    """Return a small map and what to feed it."""
    weight = torch.linspace(-1, 1, 32 * 16, dtype=torch.float64).reshape(32, 16)
    return Affine(weight, torch.ones(32, dtype=torch.float64)), torch.linspace(-1, 1, 128).reshape(8, 16)


def _close(found: Tensor, expected: Tensor) -> bool:
    return bool(torch.allclose(found.float(), expected, rtol=0.02, atol=0.1))


def cpu_multiplies_bf16(cpu_info: Path = _CPU_INFO) -> bool:
    """Whether this CPU has instructions for bfloat16 products (AVX512-BF16 or AMX).

    Elsewhere than on Linux the answer is no.
    """
    return cpu_has("avx512_bf16", cpu_info) or cpu_has("amx_bf16", cpu_info)


def cpu_has(flag: str, cpu_info: Path = _CPU_INFO) -> bool:
    """Whether this CPU has an extension, by the name that Linux gives it; elsewhere the answer is no."""
    return flag in _cpu_flags(cpu_info)


@functools.cache
def _cpu_flags(cpu_info: Path) -> frozenset[str]:
    try:
        text = cpu_info.read_text()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in text.splitlines() if line.startswith("flags")), "").split())
