"""FLIR's radiometric files, against the published equation, one number at a time."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from flir_files import CAMERA, RAMP_OF_12_BITS, TWELVE_BITS, fff, radiometric_jpeg

from dmtrack.errors import DecodeError, FormatError, VideoError
from dmtrack.video.frame import Modality
from dmtrack.video.pairing import open_pair
from dmtrack.video.pictures.flir import decode_fff
from dmtrack.video.second.aux_encoder import AuxRange, EncodingOptions
from dmtrack.video.stream_files import open_source

H, W = 24, 32
RAW = (15_000 + np.arange(H * W).reshape(H, W) * 11).astype(np.uint16)


def celsius(count, camera=CAMERA):
    """Return degrees as FLIR's manual computes them."""
    c = camera

    def signal(kelvin):
        return c["r1"] / (c["r2"] * (math.exp(c["b"] / kelvin) - c["f"])) - c["o"]

    air_c = c["air_k"] - 273.15
    water = c["humidity"] * math.exp(
        1.5587 + 0.06939 * air_c - 0.00027816 * air_c**2 + 0.00000068455 * air_c**3
    )
    tau = c["x"] * math.exp(-math.sqrt(c["distance_m"]) * (c["alpha1"] + c["beta1"] * math.sqrt(water)))
    tau += (1 - c["x"]) * math.exp(
        -math.sqrt(c["distance_m"]) * (c["alpha2"] + c["beta2"] * math.sqrt(water))
    )
    reflected = (1 - c["emissivity"]) * tau * signal(c["reflected_k"])
    own = (count - reflected - (1 - tau) * signal(c["air_k"])) / (c["emissivity"] * tau)
    return c["b"] / math.log(c["r1"] / (c["r2"] * (own + c["o"])) + c["f"]) - 273.15


TRUE = np.array([[celsius(int(count)) for count in row] for row in RAW])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["plain", "png", "jpegls"])
def test_degrees_are_those_of_the_published_equation(kind, order):
    counts, scale = decode_fff(fff(RAW, kind, order=order, directory_order=order))
    assert np.allclose(counts / scale.per_unit + scale.zero, TRUE, atol=0.0051)
    assert 0 < TRUE.min() < TRUE.max() < 60


def test_counts_of_fewer_bits_are_those_that_were_stored(monkeypatch):
    monkeypatch.setattr("flir_files.stored", lambda *_: TWELVE_BITS["jpegls"])
    counts, _ = decode_fff(fff(RAMP_OF_12_BITS, camera=None))
    assert np.array_equal(counts, RAMP_OF_12_BITS)


def test_a_hot_camera_counts_in_tenths():
    counts, scale = decode_fff(fff(RAW, camera={**CAMERA, "hottest_k": 923.15}))
    assert scale.per_unit == 10
    assert np.allclose(counts / scale.per_unit + scale.zero, TRUE, atol=0.051)


@pytest.mark.parametrize("hot", [0, 5, 7])
def test_a_range_that_is_switched_later_fits_too(tmp_path, hot):
    for number in range(8):
        hottest_k = 923.15 if number == hot else CAMERA["hottest_k"]
        (tmp_path / f"{number}.fff").write_bytes(fff(RAW, camera={**CAMERA, "hottest_k": hottest_k}))
    with open_source(tmp_path) as source:
        assert source.info.counts.per_unit == 10
        for frame in source:
            assert np.allclose(frame.pixels / 10 - 273.15, TRUE, atol=0.051)


def test_without_what_the_camera_says_the_counts_are_raw():
    for camera in (None, {**CAMERA, "r1": 0.0}, {**CAMERA, "b": math.nan}):
        counts, _ = decode_fff(fff(RAW, camera=camera))
        assert np.array_equal(counts, RAW)


def test_a_folder_of_radiometric_pictures_is_thermal_in_degrees(tmp_path, make_video):
    folder = tmp_path / "flir"
    folder.mkdir()
    shown = np.full((120, 160, 3), 128, np.uint8)
    for number in range(3):
        data = fff(RAW + np.uint16(number), "png", directory_order=">")
        (folder / f"FLIR{number:04}.jpg").write_bytes(radiometric_jpeg(shown, data, 500))
    rgb = make_video("rgb.mp4", [np.full((48, 64, 3), 90, np.uint8)] * 3)
    options = EncodingOptions(range=AuxRange(10.0, 50.0, is_celsius=True))
    with open_pair(rgb, folder, encoding=options) as source:
        pairs = list(source)
    assert source.modality is Modality.THERMAL
    assert source.aux_info.size == (W, H)
    levels = np.clip(np.rint((TRUE - 10) * 255 / 40), 0, 255)
    shown_levels = pairs[0].image[1::2, 1::2, 3].astype(int)
    assert np.abs(shown_levels - levels).max() <= 5


@pytest.mark.parametrize(("suffix", "kind"), [(".seq", "plain"), (".csq", "jpegls")])
def test_a_recording_has_the_times_of_its_pictures(suffix, kind, tmp_path):
    path = tmp_path / f"walk{suffix}"
    times_ms = [1_700_000_000_100, 1_700_000_000_133, 1_700_000_000_201]
    pictures = [fff(RAW + np.uint16(9 * n), kind, time_ms=time) for n, time in enumerate(times_ms)]
    path.write_bytes(b"".join(pictures) + pictures[0][:200])
    with open_source(path) as source:
        frames = list(source)
    assert [frame.time_s for frame in frames] == [Fraction(time, 1000) for time in times_ms]
    for n, frame in enumerate(frames):
        expected, _ = decode_fff(fff(RAW + np.uint16(9 * n)))
        assert np.array_equal(frame.pixels, expected)


def test_bad_files_are_one_line(tmp_path):
    path = tmp_path / "a.seq"
    path.write_bytes(fff(RAW))
    with pytest.raises(VideoError, match="single picture"):
        open_source(path)
    path.write_bytes(b"\xed\xfe\0\0Norpix seq" + bytes(2000))
    with pytest.raises(VideoError, match="no whole FLIR recording"):
        open_source(path)
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "1.fff").write_bytes(fff(RAW)[:-5])
    with pytest.raises(DecodeError, match="no whole FLIR file"):
        open_source(tmp_path / "f")


@pytest.mark.parametrize("kind", ["plain", "png", "jpegls"])
def test_a_claim_of_many_pixels_costs_no_memory(kind):
    data = bytearray(fff(RAW, kind, camera=None))
    for width, height in ((65535, 65535), (2048, 2048), (0, 5)):
        data[98:102] = width.to_bytes(2, "little") + height.to_bytes(2, "little")
        with pytest.raises(FormatError):
            decode_fff(bytes(data))
