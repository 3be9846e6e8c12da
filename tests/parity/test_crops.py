"""Crops are the published ones, byte for byte."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from dmtrack.geometry.box import Box
from dmtrack.geometry.crop import Crop

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(HERE / "golden_crops.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def image(golden, recipe_frames) -> np.ndarray:
    frame = next(recipe_frames(101))
    assert zlib.crc32(frame.tobytes()) == int(golden["image_crc32"])
    return frame


@pytest.mark.parametrize("index", range(10))
def test_a_crop_is_the_published_one(golden, image, index):
    box, factor = Box(*golden["boxes"][index].tolist()), float(golden["factors"][index])
    crop = Crop.around(box, factor, 64)
    np.testing.assert_array_equal(crop.cut(image), golden["crops64"][index])
    assert crop.size_px / crop.side_px == golden["resize_factor"][index]
    for size in (128, 256):
        crc = zlib.crc32(Crop.around(box, factor, size).cut(image).tobytes())
        assert crc == int(golden[f"crop{size}_crc32"][index])


@pytest.mark.parametrize("index", range(10))
def test_the_streams_cropped_apart_give_the_same_bytes(golden, image, index):
    crop = Crop.around(Box(*golden["boxes"][index].tolist()), float(golden["factors"][index]), 64)
    apart = np.concatenate([crop.cut(image[..., :3]), crop.cut(image[..., 3:])], axis=-1)
    np.testing.assert_array_equal(apart, golden["crops64"][index])
