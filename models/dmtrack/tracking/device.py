"""Where to run, and in which precision: from what a person says to what torch takes."""

from __future__ import annotations

from typing import Literal

import torch

from dmtrack.errors import ConfigError
from dmtrack.network.backend import Backend
from dmtrack.network.kernels import onednn_works
from dmtrack.network.precision import DTYPES, Precision, cpu_multiplies_bf16

_NAMES = "auto, cpu, cuda, cuda:0, mps"


def choose_device(asked: str = "auto") -> torch.device:
    """Return the device that `asked` means, and make sure that this machine has it.

    Args:
        asked: `auto` (CUDA before MPS before CPU), `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        ConfigError: There is no such device, here or anywhere.
    """
    if asked == "auto":
        return _best_device()
    try:
        device = torch.device(asked)
    except RuntimeError:
        raise ConfigError(f"unknown device {asked!r}", hint=f"one of: {_NAMES}") from None
    if device.type == "cuda":
        return _cuda_device(device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("this machine has no MPS device (Apple GPU)", hint="--device cpu always works")
    if device.type not in ("cpu", "mps") or (device.index or 0) > 0:
        raise ConfigError(f"device {asked!r} is not supported", hint=f"one of: {_NAMES}")
    return torch.device(device.type)


def choose_precision(
    asked: Literal["auto"] | Precision, device: torch.device, backend: Backend = "torch"
) -> Precision:
    """Return the precision to run in.

    Args:
        asked: `auto` takes bfloat16 where the device has instructions for it (CUDA from Ampere on, CPUs
            with AMX or AVX512-BF16), float16 on older CUDA devices, and float32 elsewhere.
        device: Where the network runs.
        backend: What computes it; for ONNX Runtime `auto` is float32.

    Raises:
        ConfigError: The precision is unknown, or the device does not compute in it.
    """
    if asked == "auto" and backend == "onnxruntime":
        return "fp32"
    if asked == "auto":
        if device.type == "cuda":
            return "bf16" if _has_bf16(device) else "fp16"
        return "bf16" if device.type == "cpu" and _has_bf16(device) else "fp32"
    if asked not in DTYPES:
        raise ConfigError(f"unknown precision {asked!r}", hint=f"auto, {', '.join(DTYPES)}")
    if asked == "bf16" and device.type == "cuda" and not _has_bf16(device):
        raise ConfigError(f"{device} does not compute in bf16", hint="--precision fp16 or fp32")
    if asked == "int8" and device.type != "cpu":
        raise ConfigError(f"{device} does not compute in int8", hint="--precision auto, or --device cpu")
    return asked


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return cpu_multiplies_bf16() and onednn_works(torch.bfloat16)


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _cuda_device(index: int) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index < count:
        return torch.device("cuda", index)
    if count == 0:
        raise ConfigError(
            f"this machine has no CUDA device, so no cuda:{index}", hint="--device cpu always works"
        )
    raise ConfigError(f"there is no cuda:{index}", hint=f"this machine has cuda:0 to cuda:{count - 1}")
