"""RGB and the second stream in one picture."""

import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from clips import pictures_in

from dmtrack.errors import ConfigError
from dmtrack.geometry.alignment_file import Alignment
from dmtrack.geometry.homography import Homography
from dmtrack.video.container.reader import VideoReader
from dmtrack.video.frame import Modality
from dmtrack.video.inspection import inspect_pair
from dmtrack.video.live.address import LiveAddress
from dmtrack.video.live.capture import CameraCapture, Captured
from dmtrack.video.live.pairs import open_live_pair
from dmtrack.video.pairing import open_pair
from dmtrack.video.position import Position
from dmtrack.video.streams import PairingOptions, Split

H, W = 48, 64
DRAW = np.random.default_rng(5)
RGB = [DRAW.integers(0, 256, (H, W, 3)).astype(np.uint8) for _ in range(6)]
THERMAL = [np.repeat(DRAW.integers(0, 256, (H, W, 1)).astype(np.uint8), 3, axis=2) for _ in range(6)]


def whole(split: Split, middle: int = 0) -> list[np.ndarray]:
    """Return pictures that hold both, with a black column or row between them."""
    axis = 1 if split in (Split.LEFT, Split.RIGHT) else 0
    between = np.zeros((H, middle, 3) if axis == 1 else (middle, W, 3), np.uint8)
    is_aux_first = split in (Split.LEFT, Split.TOP)
    return [
        np.concatenate([aux, between, rgb] if is_aux_first else [rgb, between, aux], axis=axis)
        for rgb, aux in zip(RGB, THERMAL, strict=True)
    ]


@pytest.mark.parametrize("middle", [0, 1])
@pytest.mark.parametrize("split", [*Split])
def test_every_half_is_read_to_the_bit(split, middle, tmp_path):
    folder = pictures_in(tmp_path / "both", (one[..., ::-1] for one in whole(split, middle)))
    with open_pair(folder, pairing=PairingOptions(split=split)) as source:
        pairs = list(source)
    assert source.modality is Modality.THERMAL
    assert source.rgb_info.size == source.aux_info.size == (W, H)
    assert all(np.array_equal(pair.rgb.pixels, rgb) for pair, rgb in zip(pairs, RGB, strict=True))
    assert all(np.array_equal(pair.aux.pixels, aux) for pair, aux in zip(pairs, THERMAL, strict=True))
    assert {pair.skew_s for pair in pairs} == {0}


def test_a_video_is_decoded_once(make_video, monkeypatch):
    path = make_video("both.mkv", whole(Split.RIGHT), codec="ffv1", pix_fmt="bgr0")
    decoded = []
    read = VideoReader._read
    monkeypatch.setattr(
        VideoReader, "_read", lambda self, *ends: (decoded.append(one) or one for one in read(self, *ends))
    )
    pairing = PairingOptions(split=Split.RIGHT)
    with open_pair(path, modality=Modality.THERMAL, start=Position(index=2), pairing=pairing) as source:
        pairs = list(source)
    assert [pair.rgb.index for pair in pairs] == [2, 3, 4, 5]
    assert np.array_equal(pairs[0].aux.pixels, THERMAL[2])
    assert len(decoded) == len(pairs)


def test_a_half_can_be_moved_in_time(make_video):
    """Thermal pictures that come a frame late belong to the frame before."""
    path = make_video("both.mkv", whole(Split.RIGHT), codec="ffv1", pix_fmt="bgr0")
    pairing = PairingOptions(split=Split.RIGHT, offset_s=Fraction(-1, 30))
    with open_pair(path, pairing=pairing) as source:
        pairs = list(source)
    assert np.array_equal(pairs[0].aux.pixels, THERMAL[1])


def test_inspect_tells_what_a_half_is(make_video):
    path = make_video("both.mp4", whole(Split.LEFT))
    report = inspect_pair(path, options=PairingOptions(split=Split.LEFT))
    assert report.modality is Modality.THERMAL
    assert report.rgb.size == report.aux.size == (W, H)
    assert report.match.skew.missing == 0


def test_two_streams_are_not_split(make_video):
    path, other = make_video("a.mp4", RGB), make_video("b.mp4", THERMAL)
    with pytest.raises(ConfigError, match="leave out AUX"):
        open_pair(path, other, pairing=PairingOptions(split=Split.LEFT))
    with pytest.raises(ConfigError, match="--aux-times"):
        PairingOptions(split=Split.LEFT, aux_times=path)


def test_a_live_stream_is_split(monkeypatch):
    def pictures(self: CameraCapture) -> Iterator[Captured]:
        for picture in [*whole(Split.RIGHT)] * 20:
            time.sleep(0.02)
            yield Captured(time.monotonic(), None, picture[..., ::-1])

    monkeypatch.setattr(CameraCapture, "pictures", pictures)
    camera = LiveAddress("0", camera=0)
    with open_live_pair(camera, pairing=PairingOptions(split=Split.RIGHT), end=Position(index=3)) as pairs:
        found = list(pairs)
    assert pairs.modality is Modality.THERMAL
    assert [pair.rgb.index for pair in found] == [0, 1, 2]
    for pair in found:
        place = next(i for i, rgb in enumerate(RGB) if np.array_equal(rgb, pair.rgb.pixels))
        assert np.array_equal(pair.aux.pixels, THERMAL[place])
    moved = Homography(((1, 0, 8), (0, 1, 0), (0, 0, 1)), (W, H), (W, H))
    pairing = PairingOptions(split=Split.RIGHT, align=Alignment(moved, "points"))
    with open_live_pair(camera, pairing=pairing, end=Position(index=1)) as pairs:
        (pair,) = pairs
    assert np.array_equal(pair.image[:, 8:, 3:], pair.aux.pixels[:, :-8])
    other = replace(moved, aux_size=(W, 2 * H))
    with pytest.raises(ConfigError, match="the alignment is for"):
        open_live_pair(camera, pairing=replace(pairing, align=Alignment(other, "points")))
    with pytest.raises(ConfigError, match="leave out AUX"):
        open_live_pair(camera, camera, pairing=PairingOptions(split=Split.RIGHT))
