"""Cutting the crops of a frame: on the CPU with OpenCV, or on the GPU from the part of the frame they span.

Both give the published crop; see `DeviceCropper` for how closely.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from dmtrack.config import Backend
from dmtrack.geometry.crop import Crop, Sampling
from dmtrack.network.inference import Array, Device

if TYPE_CHECKING:
    import torch


class Cropper(Protocol):
    """Cuts crops into an array on the network's device."""

    def cut(self, image: npt.NDArray[np.uint8], crops: Sequence[Crop]) -> Array:
        """Cut at least one crop, all of one size, from `image` `(H, W, C)`: `(B, size, size, C)` uint8."""


class HostCropper:
    """Cuts with OpenCV, byte for byte as published, and uploads the crops."""

    def __init__(self, device: torch.device | Device) -> None:
        self._device = device

    def cut(self, image: npt.NDArray[np.uint8], crops: Sequence[Crop]) -> Array:
        """See `Cropper`."""
        return upload(np.stack([crop.cut(image) for crop in crops]), self._device)


class DeviceCropper:
    """Uploads the rectangle that the crops span, and cuts them all on the device.

    The arithmetic is OpenCV's for 8-bit pictures, in integers. In this project's tests the bytes are equal,
    except for six-channel crops scaled down by exactly two, which may differ by one grey level.
    """

    def __init__(self, device: torch.device | Device) -> None:
        self._device = device

    def cut(self, image: npt.NDArray[np.uint8], crops: Sequence[Crop]) -> Array:
        """See `Cropper`."""
        import torch  # already loaded: the network runs on it

        sampling = Sampling.of(crops, image.shape[1], image.shape[0])
        seen = upload(image[slice(*sampling.rows), slice(*sampling.columns)], self._device)
        (y, down), (x, along) = upload(sampling.tables, self._device)
        # Four neighbours `(2, 2, B, size, size, C)`: above and below, left and right.
        pixels = seen[y.long()[:, None, :, :, None], x.long()[None, :, :, None, :]].int()
        across = (pixels * along[None, :, :, None, :, None]).sum(1, dtype=torch.int32)
        # Of the 22 bits of both weights OpenCV drops 4, then 16, and rounds the last 2.
        weighed = ((across >> 4) * down[..., None, None]) >> 16
        cut: Array = (weighed.sum(0, dtype=torch.int32) + 2) >> 2
        return cut.to(torch.uint8)


def cropper_for(device: torch.device | Device, backend: Backend = "torch") -> Cropper:
    """Return a `DeviceCropper` for CUDA, unless the backend is `eager`; else a `HostCropper`."""
    return DeviceCropper(device) if device.type == "cuda" and backend != "eager" else HostCropper(device)


def upload(values: npt.NDArray[Any], device: torch.device | Device) -> Array:
    """Return the values on a device; to CUDA through pinned memory, so that nothing waits for the copy.

    On a CPU the tensor may share the array's memory.
    """
    if isinstance(device, Device):
        return values
    import torch

    tensor = torch.from_numpy(np.require(values, requirements=("C", "W")))
    if device.type == "cuda":
        # The allocator of pinned memory lends it out again only when the copy is done.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
