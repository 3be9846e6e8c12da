"""Which program computes the network, where, and in which numbers: from what a person says to a `Network`."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Final

import torch

from dmtrack.config import Backend, Precision, PrecisionChoice, chosen
from dmtrack.errors import ConfigError
from dmtrack.network.fast.kernels import (
    DTYPES,
    Kernels,
    Packing,
    cpu_multiplies_bf16,
    int8_works,
    onednn_works,
)
from dmtrack.network.fast.onnx_network import OnnxFiles, OnnxNetwork, OnnxPrecision, onnxruntime_module
from dmtrack.network.fast.packed import PackedNetwork
from dmtrack.network.fast.recorded import CudaRecorder, GraphedNetwork, TracedNetwork
from dmtrack.network.inference import Network
from dmtrack.network.model import DMTrack
from dmtrack.network.weights.data_folder import data_folder
from dmtrack.network.weights.store import ResolvedWeights

#: Raised when exported files of today would not do tomorrow.
_EXPORT_VERSION: Final = 1
_DEVICES: Final = "auto, cpu, cuda, cuda:0, mps"
_log = logging.getLogger(__name__)


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
        raise ConfigError(f"unknown device {asked!r}", hint=f"one of: {_DEVICES}") from None
    if device.type == "cuda":
        return _cuda_device(device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("this machine has no MPS device (Apple GPU)", hint="--device cpu always works")
    if device.type not in ("cpu", "mps") or (device.index or 0) > 0:
        raise ConfigError(f"device {asked!r} is not supported", hint=f"one of: {_DEVICES}")
    return torch.device(device.type)


def choose_precision(asked: PrecisionChoice, device: torch.device, backend: Backend = "torch") -> Precision:
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
    chosen("precision", asked, PrecisionChoice)
    if asked == "bf16" and device.type == "cuda" and not _has_bf16(device):
        raise ConfigError(f"{device} does not compute in bf16", hint="--precision fp16 or fp32")
    if asked == "int8" and device.type != "cpu":
        raise ConfigError(f"{device} does not compute in int8", hint="--precision auto, or --device cpu")
    if asked == "int8" and backend != "onnxruntime" and not int8_works():
        raise ConfigError("this PyTorch does not compute in int8", hint="--precision auto")
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


def network_for(
    weights: ResolvedWeights,
    precision: Precision,
    device: torch.device,
    backend: Backend = "torch",
) -> Network:
    """Return what a tracker runs.

    Args:
        weights: A network and its files.
        precision: `fp32` or `int8` with ONNX Runtime.
        device: Where to run; a CPU with ONNX Runtime.
        backend: `eager` is `torch` with every step run from Python. With `onnxruntime`, weights that are
            new to it are exported first, once, into the data folder.

    Raises:
        ConfigError: The backend is not installed, or does not run like that.
    """
    if backend != "onnxruntime":
        return inference_network(weights.model, precision, device, recorded=backend == "torch")
    network = OnnxNetwork.load(exported(weights, onnx_precision(precision, device)))
    if network.streams > 1:
        network.alone = lambda: inference_network(weights.model)
    return network


def onnx_precision(precision: Precision, device: torch.device) -> OnnxPrecision:
    """Return the precision if ONNX Runtime computes in it, there.

    Raises:
        ConfigError: It does not, or is not installed.
    """
    if device.type != "cpu":
        raise ConfigError(f"--backend onnxruntime runs on the CPU, not on {device}", hint="--device cpu")
    if precision not in ("fp32", "int8"):
        raise ConfigError(
            f"--backend onnxruntime does not compute in {precision}", hint="--precision fp32 or int8"
        )
    onnxruntime_module()
    return precision


def exported(weights: ResolvedWeights, precision: OnnxPrecision) -> Path:
    """Return the step of these weights as an ONNX file, made now if need be.

    Args:
        weights: A network and its files.
        precision: Of the file.
    """
    digest = hashlib.sha256(f"{_EXPORT_VERSION} {sorted(weights.sha256.values())}".encode()).hexdigest()
    path = data_folder() / "onnx" / f"{digest[:16]}-{precision}.onnx"
    files = OnnxFiles.at(path)
    if not (files.step.is_file() and files.template.is_file()):
        from dmtrack.network.fast.onnx_export import export_onnx

        _log.info("exporting %s for ONNX Runtime, which takes a while and is kept: %s", weights.name, path)
        export_onnx(weights.model, path, precision=precision)
    return path


def inference_network(
    model: DMTrack,
    precision: Precision = "fp32",
    device: torch.device | str = "cpu",
    *,
    recorded: bool = True,
) -> Network:
    """Make what a tracker runs; the trained network is not changed.

    Args:
        model: The trained network.
        precision: Numbers of the big products. The head's last layer, the adapters and the residual
            stream of the packed form stay in float32.
        device: Where to run.
        recorded: Record the packed form's step: as CUDA graphs on a CUDA device (`GraphedNetwork`), in
            TorchScript on a CPU (`TracedNetwork`).

    Raises:
        ConfigError: The device cannot compute so.
    """
    place = torch.device(device)
    chosen("precision", precision, Precision)
    kernels = Kernels(DTYPES[precision], torch.float32, place, _packing(precision, place))
    with torch.no_grad():
        network = PackedNetwork(model, kernels).eval().requires_grad_(requires_grad=False)
    if recorded and place.type == "cuda":
        return GraphedNetwork(network, CudaRecorder(network.device))
    return TracedNetwork(network) if recorded and place.type == "cpu" else network


def _packing(precision: Precision, device: torch.device) -> Packing:
    if precision == "int8":
        if device.type != "cpu" or not int8_works():
            raise ConfigError(f"{device} does not compute in int8", hint="--precision fp32 or bf16")
        return "int8"
    if device.type == "cpu" and onednn_works(DTYPES[precision]):
        return "onednn"
    return "none"
