"""Which program computes the network: PyTorch, or ONNX Runtime on an exported copy that is kept."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Final, Literal

import torch

from dmtrack.errors import ConfigError
from dmtrack.network.data_folder import data_folder
from dmtrack.network.inference import Network, inference_network
from dmtrack.network.onnx_network import OnnxFiles, OnnxNetwork, OnnxPrecision, onnxruntime_module
from dmtrack.network.precision import Precision
from dmtrack.network.store import ResolvedWeights

Backend = Literal["torch", "eager", "onnxruntime"]

#: Raised when exported files of today would not do tomorrow.
_EXPORT_VERSION: Final = 1
_log = logging.getLogger(__name__)


def network_for(
    weights: ResolvedWeights,
    precision: Precision,
    device: torch.device,
    backend: Backend = "torch",
    *,
    folder: Path | None = None,
) -> Network:
    """Return what a tracker runs.

    Args:
        weights: A network and its files.
        precision: `fp32` or `int8` with ONNX Runtime.
        device: Where to run; a CPU with ONNX Runtime.
        backend: `eager` is `torch` with every step run from Python. With `onnxruntime`, weights that are
            new to it are exported first, once.
        folder: Data folder in which exported weights are kept; the user's when None.

    Raises:
        ConfigError: The backend is not installed, or does not run like that.
    """
    if backend != "onnxruntime":
        return inference_network(weights.model, precision, device, recorded=backend == "torch")
    network = OnnxNetwork.load(exported(weights, onnx_precision(precision, device), folder))
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


def exported(weights: ResolvedWeights, precision: OnnxPrecision, folder: Path | None = None) -> Path:
    """Return the step of these weights as an ONNX file, made now if need be.

    Args:
        weights: A network and its files.
        precision: Of the file.
        folder: Data folder in which it is kept; the user's when None.
    """
    digest = hashlib.sha256(f"{_EXPORT_VERSION} {sorted(weights.sha256.values())}".encode()).hexdigest()
    path = (folder or data_folder()) / "onnx" / f"{digest[:16]}-{precision}.onnx"
    files = OnnxFiles.at(path)
    if not (files.step.is_file() and files.template.is_file()):
        from dmtrack.network.onnx_export import export_onnx

        _log.info("exporting %s for ONNX Runtime, which takes a while and is kept: %s", weights.name, path)
        export_onnx(weights.model, path, precision=precision)
    return path
