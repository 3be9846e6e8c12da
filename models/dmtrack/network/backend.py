"""Backend, device and precision: from the user's options to a `Network`."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from dmtrack.config import Backend, Precision, PrecisionChoice, chosen
from dmtrack.errors import ConfigError, reason_of
from dmtrack.network.inference import Device, Network
from dmtrack.network.openvino_network import OpenVinoNetwork, computed_precisions, kept_name
from dmtrack.network.weights.data_folder import data_folder
from dmtrack.network.weights.store import ResolvedWeights

if TYPE_CHECKING:
    import torch

    from dmtrack.network.model import DMTrack

#: Environment variable that sets the backend for `auto`, for a machine where another one is better.
BACKEND_VARIABLE: Final = "DMTRACK_BACKEND"
_DEVICES: Final = "auto, cpu, cuda, cuda:0, mps"
_GPU_FILES: Final = ("nvidia*", "nvhost*", "dxg", "kfd")  # in /dev: of NVIDIA, also in WSL, and of AMD
_KEPT_NAMES: Final = "[0-9a-f]" * 16  # the names that `kept_name` gives
_UNUSED_S: Final = 30 * 86_400
_GPU_MESSAGE: Final = re.compile("(CUDA|cuDNN|HIP|MPS) ")  # how PyTorch's messages about a GPU begin


def choose_device(asked: str = "auto") -> Device:
    """Return the device that `asked` names, after checking that this machine has it.

    `asked` is `auto` (CUDA before CPU; never MPS, which is untested), `cpu`, `cuda`, `cuda:N` or `mps`.
    `ConfigError`: the name is unknown, or this machine has no such device.
    """
    if asked == "auto":
        return _best_device()
    named = re.fullmatch(r"(cpu|mps)(?::0)?|(cuda)(?::(\d{1,3}))?", asked)
    if named is None:
        raise ConfigError(f"unknown device {asked!r}", hint=f"one of: {_DEVICES}")
    if named[2]:
        return _cuda_device(int(named[3] or 0))
    if named[1] == "mps" and not _has_mps():
        raise ConfigError("this machine has no MPS device (Apple GPU)", hint="--device cpu always works")
    return Device(named[1])


def choose_backend(asked: Backend, precision: PrecisionChoice, device: torch.device | Device) -> Backend:
    """Return the backend that computes the network.

    `auto` is `DMTRACK_BACKEND` if that is set; else OpenVINO on a CPU where it is installed and computes in
    the precision, and PyTorch elsewhere. `ConfigError`: OpenVINO was asked for, and is not installed or does
    not run on that device or in that precision.
    """
    if asked == "auto" and precision != "int8":  # only OpenVINO computes int8
        asked = chosen(BACKEND_VARIABLE, os.environ.get(BACKEND_VARIABLE, "auto"), Backend)
    if asked == "auto":
        fits = device.type == "cpu" and importlib.util.find_spec("openvino") is not None
        return "openvino" if fits and (precision == "auto" or precision in computed_precisions()) else "torch"
    if asked == "openvino" and device.type != "cpu":
        raise ConfigError(f"--backend openvino runs on the CPU, not on {device}", hint="--device cpu")
    if asked == "openvino" and precision != "auto" and precision not in computed_precisions():
        computed = ", ".join(sorted(computed_precisions()))
        raise ConfigError(f"this processor does not compute in {precision}", hint=f"--precision {computed}")
    return asked


def choose_precision(
    asked: PrecisionChoice, device: torch.device | Device, backend: Backend = "torch"
) -> Precision:
    """Return the precision to compute in.

    `auto` is bfloat16 where the device is fast in it (CUDA from Ampere on, and see `cpu_multiplies_bf16`),
    float16 on older CUDA devices, and float32 elsewhere. `ConfigError`: the precision is unknown, or the
    device or backend does not compute in it.
    """
    if asked == "auto":
        if device.type == "cuda":
            return "bf16" if _cuda_has_bf16(device) else "fp16"
        return "bf16" if device.type == "cpu" and cpu_multiplies_bf16() else "fp32"
    chosen("precision", asked, PrecisionChoice)
    if asked == "bf16" and device.type == "cuda" and not _cuda_has_bf16(device):
        raise ConfigError(f"{device} does not compute in bf16", hint="--precision fp16 or fp32")
    if asked == "int8" and backend != "openvino":
        raise ConfigError(
            "int8 is computed by OpenVINO, on CPUs", hint="--precision auto, or pip install openvino"
        )
    return asked


def _cuda_has_bf16(device: torch.device | Device) -> bool:
    import torch

    with torch.cuda.device(str(device)):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def cpu_multiplies_bf16(cpu_info: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether this CPU multiplies bfloat16 faster than float32: by AMX, or AMD's AVX512-BF16.

    Intel's AVX512-BF16 does not count: it runs at half the rate of float32, and matters where a virtual
    machine hides AMX. False on other systems than Linux.
    """
    try:
        text = cpu_info.read_text(encoding="utf-8")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return "amx_bf16" in flags or ("avx512_bf16" in flags and "AuthenticAMD" in text)


def _best_device() -> Device:
    has_none = sys.platform == "darwin" or (
        sys.platform == "linux" and not any(any(Path("/dev").glob(name)) for name in _GPU_FILES)
    )
    if has_none and "torch" not in sys.modules:
        return Device("cpu")  # spares loading PyTorch, which could find nothing else
    import torch

    return Device("cuda", 0) if torch.cuda.is_available() else Device("cpu")


def _has_mps() -> bool:
    import torch

    return torch.backends.mps.is_available()


def _cuda_device(index: int) -> Device:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index < count:
        return Device("cuda", index)
    if count == 0:
        raise ConfigError(
            f"PyTorch finds no CUDA device, so no cuda:{index} ({why_no_cuda()})",
            hint="--device cpu always works",
        )
    raise ConfigError(f"there is no cuda:{index}", hint=f"this machine has cuda:0 to cuda:{count - 1}")


def why_no_cuda() -> str:
    """Return, in PyTorch's words, why it has no CUDA device: no driver, an old one, or a build for CPUs."""
    import torch

    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return reason_of(error).partition(". ")[0]
    return "there is none"


@contextmanager
def gpu_errors_translated(device: torch.device | Device, hint: str) -> Iterator[None]:
    """Translate PyTorch's errors of a GPU that is full, gone or not supported into a `ConfigError`."""
    try:
        yield
    except RuntimeError as error:
        said = str(error).partition("\n")[0]
        if _GPU_MESSAGE.match(said) is None:
            raise
        if "out of memory" in said:
            raise ConfigError(f"{device} has too little memory", hint=hint) from error
        raise ConfigError(f"{device} fails ({said})", hint="--device cpu always works") from error


def network_for(
    weights: ResolvedWeights,
    precision: Precision,
    device: torch.device | Device,
    backend: Backend = "torch",
    threads: int | None = None,
) -> Network:
    """Return the network that a tracker runs; `threads` is the number of CPU threads, None the usual.

    `eager` is `torch` without CUDA graphs. For `openvino` new weights are first converted into the data
    folder, where they stay while they are in use. `ConfigError`: the backend is not installed, or cannot run
    the network in this way.
    """
    if backend != "openvino":
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        return inference_network(weights.model, precision, device, recorded=backend == "torch")
    folder = data_folder() / "openvino" / kept_name(weights.sha256)
    network = OpenVinoNetwork(weights, folder, precision, threads)
    network.prepare(network.streams)
    forget_unused(folder)
    return network


def forget_unused(used: Path) -> None:
    """Delete the converted networks beside `used` that no run has used for 30 days; mark `used` as used.

    A network takes 100 to 250 MB, and each version of it or of OpenVINO has another name (see `kept_name`).
    """
    with suppress(OSError):
        os.utime(used)
        for other in used.parent.glob(_KEPT_NAMES):
            if time.time() - other.stat().st_mtime > _UNUSED_S:
                shutil.rmtree(other, ignore_errors=True)


def network_of(
    network: DMTrack | Network, precision: Precision = "fp32", device: torch.device | str = "cpu"
) -> Network:
    """Return the network that a tracker runs: `inference_network` of a `DMTrack`, any other as it is."""
    if "torch" in sys.modules:
        from dmtrack.network.model import DMTrack

        if isinstance(network, DMTrack):
            return inference_network(network, precision, device)
    return cast(Network, network)


def inference_network(
    model: DMTrack,
    precision: Precision = "fp32",
    device: torch.device | Device | str = "cpu",
    *,
    recorded: bool = True,
) -> Network:
    """Return a PyTorch network for a tracker; `model` is copied, not changed.

    `recorded`: on a CUDA device, record steps as CUDA graphs (`GraphedNetwork`). `ConfigError`: PyTorch does
    not compute in this precision.
    """
    import torch

    from dmtrack.network.cuda_graphs import CudaRecorder, GraphedNetwork
    from dmtrack.network.torch_network import DTYPES, TorchNetwork

    place = torch.device(str(device))
    chosen("precision", precision, Precision)
    if precision not in DTYPES:
        raise ConfigError(f"PyTorch does not compute in {precision}", hint=f"one of: {', '.join(DTYPES)}")
    with gpu_errors_translated(place, "--weights tiny, or --device cpu"):
        network = TorchNetwork(model, precision, place)
    if recorded and place.type == "cuda":
        return GraphedNetwork(network, CudaRecorder(network.device))
    return network
