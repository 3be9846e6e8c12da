"""Crops cut with tensor operations are OpenCV's, to within one grey level, on fresh random frames.

In nearly every case they are the same bytes; one level is lost where OpenCV halves six channels by another
routine than three.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from dmtrack.geometry.box import Box
from dmtrack.geometry.crop import Crop
from dmtrack.tracking.cropping import DeviceCropper, HostCropper, cropper_for

CPU = torch.device("cpu")
W, H = 97, 61
BOXES = {
    "inside": Box(30, 20, 11, 9),
    "a fraction of a pixel": Box(40.3, 22.7, 12.4, 13.1),
    "left and top": Box(-6, -4, 20, 16),
    "right and bottom": Box(80.5, 50, 20, 16),
    "the last column": Box(86.5, 20, 5, 5),
    "tiny": Box(50, 30, 0.4, 0.6),
    "larger than the frame": Box(-30, -30, 170, 130),
    "outside": Box(300, 200, 10, 10),
    "outside, before the first pixel": Box(-300, -200, 10, 10),
}


def frame(channels: int) -> np.ndarray:
    """A frame that was never seen before: not one that the code was fitted to."""
    return np.random.default_rng().integers(0, 256, (H, W, channels), dtype=np.uint8)


def differences(image: np.ndarray, crops: list[Crop]) -> np.ndarray:
    device, host = (cropper(CPU).cut(image, crops) for cropper in (DeviceCropper, HostCropper))
    assert device.dtype == host.dtype == torch.uint8
    assert device.shape == host.shape
    return (device.int() - host.int()).abs().numpy()


@pytest.mark.parametrize("channels", [3, 6])
@pytest.mark.parametrize("name", BOXES)
def test_the_crop_is_the_one_of_opencv(name, channels):
    for factor, size in ((2.0, 32), (4.0, 48)):
        assert differences(frame(channels), [Crop.around(BOXES[name], factor, size)]).max() == 0


@pytest.mark.parametrize("channels", [3, 6])
def test_many_targets_are_cut_at_once(channels):
    rng = np.random.default_rng()
    places = itertools.chain(
        BOXES.values(), (Box(*rng.uniform(-20, 60, 2), *rng.uniform(2, 40, 2)) for _ in range(16))
    )
    crops = [Crop.around(box, 4.0, 64) for box in places]
    found = differences(frame(channels), crops)
    assert found.max() <= 1
    assert found.mean() < 0.02


@pytest.mark.parametrize("times", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [3, 6])
def test_whole_factors(times, channels):
    found = differences(frame(channels), [Crop(40.0, 30.0, times * 16, 16)])
    assert found.max() <= int((times, channels) == (2, 6))


def test_a_frame_that_is_a_view_or_read_only_is_read_as_it_is():
    whole = frame(6)
    view = whole[::-1, 3:, 2:5]
    view.flags.writeable = False
    assert differences(view, [Crop.around(BOXES["left and top"], 4.0, 32)]).max() == 0


def test_only_what_the_crops_span_is_brought_to_the_device(monkeypatch):
    brought: list[tuple[int, ...]] = []

    def watched(values: np.ndarray, device: torch.device) -> torch.Tensor:
        brought.append(values.shape)
        return torch.from_numpy(values.copy())

    monkeypatch.setattr("dmtrack.tracking.cropping.upload", watched)
    DeviceCropper(CPU).cut(frame(6), [Crop(20.0, 20.0, 10, 16), Crop(40.0, 25.0, 10, 16)])
    assert brought[0] == (15, 30, 6)


@pytest.mark.parametrize(
    ("device", "kind"), [("cpu", HostCropper), ("cuda:0", DeviceCropper), ("mps", HostCropper)]
)
def test_the_cropper_suits_the_device(device, kind):
    assert isinstance(cropper_for(torch.device(device)), kind)
