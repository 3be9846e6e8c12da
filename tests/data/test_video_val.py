"""The real recordings are read and paired as they come."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dmtrack.video.frame import Modality
from dmtrack.video.inspection import inspect_pair
from dmtrack.video.modality import find_modality, guess_modality
from dmtrack.video.pairing import open_pair
from dmtrack.video.stream_files import open_source
from dmtrack.video.streams import Sync

pytestmark = pytest.mark.data


def test_thermal_avi(shared_data):
    with open_source(shared_data / "val" / "tir_antiuav_18" / "18.avi") as source:
        frames = [(frame.index, frame.time_s, frame.pixels.shape) for frame in source]
    assert frames == [(i, Fraction(i, 25), (512, 640, 3)) for i in range(426)]
    assert (source.info.frame_count, source.damaged_packets) == (426, 0)


@pytest.mark.parametrize(
    ("clip", "rgb", "aux", "modality", "count"),
    [
        ("rgbt_bus1", "rgb", "ir", Modality.THERMAL, 41),
        ("rgbd_visp", "color", "depth", Modality.DEPTH, 50),
    ],
)
def test_folder_pairs(shared_data, clip, rgb, aux, modality, count):
    folder = shared_data / "val" / clip
    with open_pair(folder / rgb, folder / aux) as source:
        pairs = [
            (pair.rgb.index, pair.aux.index, pair.image[::8, ::8].std(axis=(0, 1)).min()) for pair in source
        ]
    assert (source.modality, source.pairing.sync) == (modality, Sync.INDEX)
    assert [(first, second) for first, second, _ in pairs] == [(i, i) for i in range(count)]
    assert min(contrast for _, _, contrast in pairs) > 1  # no channel is empty
    report = inspect_pair(folder / rgb, folder / aux)
    assert (report.match.expected_pairs, report.match.skew.missing) == (count, 0)


def test_depth_is_16_bit(shared_data):
    with open_source(shared_data / "val" / "rgbd_visp" / "depth") as source:
        frame = next(iter(source))
    assert (frame.pixels.dtype, frame.pixels.ndim) == (np.uint16, 2)


@pytest.mark.parametrize(
    ("place", "modality"),
    [
        ("rgbd_visp/depth", Modality.DEPTH),
        ("rgbt_bus1/ir", Modality.THERMAL),
        ("tir_antiuav_18/18.avi", Modality.THERMAL),
    ],
)
def test_pictures_alone_tell_the_modality(shared_data, place, modality, tmp_path):
    with open_source(shared_data / "val" / place) as source:
        samples = [frame.pixels for frame, _ in zip(source, range(4), strict=False)]
    assert guess_modality(tmp_path.parent / "x", samples).modality is modality
    assert find_modality(shared_data / "val" / place).modality is modality
