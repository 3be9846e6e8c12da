"""Where videos are decoded and encoded: the option, and its meaning on this machine."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from dmtrack.drawing.encoder import why_no_nvenc
from dmtrack.errors import ConfigError
from dmtrack.options import Option, make_exact
from dmtrack.video.container.decoder import why_no_device, why_no_nvdec

if TYPE_CHECKING:
    import torch

    from dmtrack.network.inference import Device

_log = logging.getLogger(__name__)


class VideoDevice(StrEnum):
    """Where videos are decoded and encoded; `AUTO` follows the network's device."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, slots=True)
class CodecOptions:
    """Where videos are decoded and encoded."""

    video_device: Annotated[
        VideoDevice,
        Option(
            "--video-device",
            "Device that decodes 8-bit H.264, HEVC and VP9 files and encodes the video. cuda: NVDEC and "
            "NVENC, with the CPU for what they do not support. auto: cuda if the network runs on it.",
        ),
    ] = VideoDevice.AUTO

    def __post_init__(self) -> None:
        make_exact(self)

    def gpu(self, network_device: Callable[[], torch.device | Device] | None = None) -> int | None:
        """Return the number of the CUDA device that decodes and encodes, or None for the CPU.

        Args:
            network_device: Returns the network's device; called only if the answer depends on it. None: there
                is no network.

        Raises:
            ConfigError: CUDA was asked for and cannot decode, or the network's device does not exist.
        """
        asked = self.video_device
        if asked is VideoDevice.CPU or (asked is VideoDevice.AUTO and network_device is None):
            return None
        missing = why_no_device()  # before `network_device` loads torch
        if missing is not None:
            if asked is VideoDevice.AUTO:
                return None
            raise _refusal(missing)
        device = None if network_device is None else network_device()
        if device is not None and device.type == "cuda":
            number = device.index or 0
        elif asked is VideoDevice.AUTO:
            return None
        else:
            number = 0
        if asked is VideoDevice.CUDA:
            _require_codecs(number)
        return number


@functools.cache
def _require_codecs(gpu: int) -> None:
    """Check that a CUDA device decodes videos; warn, once, if it does not encode them."""
    problem = why_no_nvdec(gpu)
    if problem is not None:
        raise _refusal(problem)
    problem = why_no_nvenc(gpu)
    if problem is not None:
        _log.warning("cuda:%d encodes no H.264 (%s): the CPU does", gpu, problem)


def _refusal(problem: str) -> ConfigError:
    return ConfigError(
        f"no GPU decodes videos here ({problem})",
        where="--video-device cuda",
        hint="auto and cpu always work",
    )
