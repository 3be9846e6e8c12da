"""Cutting the crops of a frame: on the CPU by OpenCV, or on the device from the part of the frame they need.

Both give what the published crop is; see `DeviceCropper` for how closely.
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
    """Cuts crops where a network wants them."""

    def cut(self, image: npt.NDArray[np.uint8], crops: Sequence[Crop]) -> Array:
        """Return crops of one size, at least one, of `image` `(H, W, C)`: `(B, size, size, C)` uint8."""


class HostCropper:
    """Cuts with OpenCV, byte for byte as published, and brings the crops to the device."""

    def __init__(self, device: torch.device | Device) -> None:
        self._device = device

    def cut(self, image: npt.NDArray[np.uint8], crops: Sequence[Crop]) -> Array:
        """See `Cropper`."""
        return upload(np.stack([crop.cut(image) for crop in crops]), self._device)


class DeviceCropper:
    """Brings the rectangle that the crops span to the device, and cuts all of them there at once.

    The arithmetic is OpenCV's for 8-bit pictures, in integers. On this project's tests the bytes are the
    same but where a crop of six channels is exactly half as large as what it shows: one grey level there.
    """

    def __init__(self, device: torch.device | Device) -> None:
        self._device = device

    def cut(self, image: npt.NDArray[np.uint8], crops: Sequence[Crop]) -> Array:
        """See `Cropper`."""
        import torch  # which is loaded, as the network is of it

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
    """Return the cropper that suits a device: its own on CUDA, unless the backend is `eager`; else OpenCV."""
    return DeviceCropper(device) if device.type == "cuda" and backend != "eager" else HostCropper(device)


def upload(values: npt.NDArray[Any], device: torch.device | Device) -> Array:
    """Return the values on a device; to CUDA from pinned memory, so that nothing waits for the copy.

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
