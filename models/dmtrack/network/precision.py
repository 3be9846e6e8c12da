"""Which numbers the network computes with, and what a machine can do."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import torch

Precision = Literal["fp32", "bf16", "fp16", "int8"]

#: Type of the activations between the matrix products. int8 products take float32 and give float32.
DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.float32,
}

_CPU_INFO = Path("/proc/cpuinfo")


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
