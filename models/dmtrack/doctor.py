"""What this machine can do, and why it may not track."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import av
import av.error

from dmtrack.config import installed_version
from dmtrack.drawing.encoder import why_no_nvenc
from dmtrack.errors import CheckpointError, ConfigError, DmtrackError, counted
from dmtrack.threads import usable_cores
from dmtrack.video.container.decoder import why_no_nvdec
from dmtrack.video.frame import Modality

_PACKAGES: Final = (
    "torch", "torchvision", "timm", "numpy", "opencv-python", "av", "typer", "rich", "safetensors",
)  # fmt: skip


class State(StrEnum):
    """The meaning of a finding for tracking."""

    OK = "ok"
    NOTE = "note"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    topic: str
    state: State  # a note is a limitation that tracking can do without
    detail: str  # what was found


def findings() -> Iterator[Finding]:
    """Check everything that tracking needs or can use, one after the other."""
    yield from _programs()
    yield from _network()
    yield from _codecs()
    yield from _weights()


def _programs() -> Iterator[Finding]:
    yield Finding("dmtrack", State.OK, f"{installed_version()}, Python {platform.python_version()}")
    yield Finding("system", State.OK, platform.platform())
    missing = [name for name in _PACKAGES if _version(name) is None]
    found = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES if name not in missing)
    yield Finding("packages", State.OK, found)
    if missing:
        yield Finding("packages", State.FAIL, f"not installed: {', '.join(missing)}")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


# --- where the network can run -------------------------------------------------------------------


def _network() -> Iterator[Finding]:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a shared library of it is missing
        yield Finding("torch", State.FAIL, f"cannot be loaded: {error}")
        return
    from dmtrack.network.backend import choose_backend, choose_device, choose_precision

    device = choose_device()
    try:
        backend = choose_backend("auto", "auto", device)
    except ConfigError as error:  # OpenVINO is there, and does not run
        yield Finding("backend", State.FAIL, str(error))
    else:
        state = State.NOTE if (device.type, backend) == ("cpu", "torch") else State.OK
        slow = ": OpenVINO is twice as fast (pip install openvino)" if state is State.NOTE else ""
        yield Finding("backend", state, f"--backend auto is {backend}{slow}")
    yield Finding("device", State.OK, f"--device auto is {device}, {choose_precision('auto', device)}")
    kind = torch.backends.cpu.get_cpu_capability()
    cores, threads = counted(usable_cores(), "core"), counted(torch.get_num_threads(), "thread")
    yield Finding("cpu", State.OK, f"{cores} for this process, {threads}, {kind}")
    yield _bf16_on_cpu()
    yield from _cuda()
    if torch.backends.mps.is_available():
        yield Finding("mps", State.NOTE, "Apple GPU: --device mps uses it (untested)")


def _bf16_on_cpu() -> Finding:
    from dmtrack.network.backend import cpu_multiplies_bf16

    if cpu_multiplies_bf16():
        return Finding("bf16 on cpu", State.OK, "faster than fp32 on this processor")
    return Finding("bf16 on cpu", State.NOTE, "fp32 is faster on this processor")


def _cuda() -> Iterator[Finding]:
    import torch

    from dmtrack.network.backend import why_no_cuda

    if not torch.cuda.is_available():
        yield Finding("cuda", State.NOTE, f"no CUDA device ({why_no_cuda()}): tracking runs on the CPU")
        return
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        with torch.cuda.device(index):
            bf16 = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no bf16"
        memory = facts.total_memory / 2**30
        yield Finding(f"cuda:{index}", State.OK, f"{facts.name}, {memory:.0f} GiB, {bf16}")


# --- files and windows ---------------------------------------------------------------------------


def _codecs() -> Iterator[Finding]:
    missing = [name for name in ("h264", "mpeg4", "mjpeg", "ffv1", "hevc") if not _has_codec(name, "r")]
    state = State.FAIL if "h264" in missing else State.NOTE if missing else State.OK
    yield Finding(
        "reading", state, f"cannot decode {', '.join(missing)}" if missing else "H.264, HEVC, FFV1, …"
    )
    if _has_codec("libx264", "w"):
        yield Finding("writing", State.OK, "H.264 (libx264)")
    elif _has_codec("mpeg4", "w"):
        yield Finding("writing", State.NOTE, "no libx264: annotated videos are MPEG-4 Part 2")
    else:
        yield Finding("writing", State.FAIL, "no video encoder: only --no-video works")
    yield _on_gpu("NVDEC", why_no_nvdec(), "decodes H.264 on cuda:0", "the CPU decodes videos")
    yield _on_gpu("NVENC", why_no_nvenc(), "encodes H.264 on cuda:0", "the CPU encodes videos")


def _on_gpu(topic: str, problem: str | None, works: str, otherwise: str) -> Finding:
    if problem is None:
        return Finding(topic, State.OK, works)
    return Finding(topic, State.NOTE, f"{problem}: {otherwise}")


def _has_codec(name: str, mode: str) -> bool:
    try:
        av.Codec(name, mode)  # type: ignore[arg-type]
    except av.error.FFmpegError:
        return False
    return True


# --- weights -------------------------------------------------------------------------------------


def _weights() -> Iterator[Finding]:
    try:
        from dmtrack.network.weights.checkpoint import load_weights
        from dmtrack.network.weights.store import find_weights
    except (ImportError, OSError) as error:
        yield Finding("weights", State.FAIL, f"the network cannot be loaded: {error}")
        return
    for modality in (None, *Modality):
        name = f"tiny, {modality or 'one stream'}"
        try:
            files = find_weights("tiny", modality)
            for file in files:
                load_weights(file.path)
        except DmtrackError as error:
            yield Finding(name, State.FAIL, str(error))
        else:
            yield Finding(name, State.OK, ", ".join(file.path.name for file in files))
    yield from _stored_weights()


def _stored_weights() -> Iterator[Finding]:
    from dmtrack.network.weights.data_folder import stored, stored_names, verify, weights_folder

    names = stored_names()
    if not names:
        yield Finding("added weights", State.NOTE, f"none in {weights_folder()} (dmtrack weights add FILE)")
    for name in names:
        try:
            verify(stored(name))
        except CheckpointError as error:
            yield Finding(name, State.NOTE, str(error))
        else:
            yield Finding(name, State.OK, "verified")
