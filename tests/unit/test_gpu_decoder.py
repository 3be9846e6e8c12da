"""Decoding on a GPU: the same pictures as ever, and the processor takes over wherever the device fails.

The device is a stand-in that gives what NVDEC gives, `nv12`; what it does without a driver is tried for real.
"""

from __future__ import annotations

import logging
from pathlib import Path

import av
import numpy as np
import pytest
from gpu_stand_in import StandIn

from dmtrack.errors import DecodeError
from dmtrack.video import decoder, reader
from dmtrack.video.decoder import suits_gpu, why_no_device, why_no_nvdec
from dmtrack.video.reader import VideoReader

NO_SUCH_DEVICE = 99
COUNT = 12


@pytest.fixture
def stand_in(monkeypatch):
    def use(*, fails_at: int = -1, how: str = "") -> None:
        def opened(path: Path, number: int, gpu: int) -> StandIn:
            return StandIn(path, fails_at=fails_at, how=how)

        monkeypatch.setattr(reader, "_device_decoder", opened)

    return use


def coloured(count=COUNT):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(count)]


def facts(path, gpu=None):
    """Everything a reader says, but for where it decoded. Two threads would conceal damage by chance."""
    with VideoReader(path, gpu=gpu, threads=1) as opened:
        frames = [(frame.index, frame.pts, frame.pixels.tobytes()) for frame in opened]
        info = opened.info
        said = (
            info.pixel_format,
            info.bit_depth,
            info.rotation_deg,
            info.width,
            info.height,
            info.frame_count,
        )
        return frames, said, opened.damaged_packets


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ({"codec": "libx264"}, {"bf": "3"}),
        ({"codec": "libx264", "pix_fmt": "yuvj420p"}, {}),
        ({"codec": "libx264", "rotation": 90}, {}),
        ({"codec": "libx265"}, {"x265-params": "log-level=none"}),
    ],
    ids=["B-frames", "full range", "rotated", "HEVC"],
)
def test_pictures_are_the_same(make_video, stand_in, codec, options):
    path = make_video("a.mp4", coloured(), **codec, options=options)
    stand_in()
    with VideoReader(path, gpu=1) as opened:
        assert opened.info.decoded_on == "cuda:1"
    with VideoReader(path) as opened:
        assert opened.info.decoded_on == "cpu"
    assert facts(path, gpu=1) == facts(path)


@pytest.mark.parametrize("how", ["error", "damage"])
@pytest.mark.parametrize("fails_at", [0, 1, 7, COUNT - 1, COUNT])
def test_a_device_that_fails_costs_no_frame(make_video, stand_in, caplog, fails_at, how):
    path = make_video("a.mp4", coloured())
    stand_in(fails_at=fails_at, how=how)
    with caplog.at_level(logging.INFO, logger="dmtrack"):
        assert facts(path, gpu=0) == facts(path)
    (record,) = caplog.records
    assert record.levelno == (logging.WARNING if fails_at else logging.INFO)
    assert f"cuda:0 decodes {fails_at} frames" in record.getMessage()


def test_a_stream_that_the_device_refuses_is_decoded_by_the_processor(make_video, stand_in):
    path = make_video("a.mp4", coloured())
    stand_in(fails_at=0, how="refused")
    with VideoReader(path, gpu=0) as opened:
        assert opened.info.decoded_on == "cpu"
    assert facts(path, gpu=0) == facts(path)


def test_a_stream_that_libav_takes_from_the_device_midway_goes_on(make_video, stand_in):
    path = make_video("a.mp4", coloured())
    stand_in(fails_at=5, how="refused")
    assert facts(path, gpu=0) == facts(path)


def test_damage_is_met_as_without_a_device(make_video, stand_in, caplog):
    path = make_video(
        "a.mp4", coloured(30), options={"g": "1", "bf": "0"}, container_options={"movflags": "faststart"}
    )
    content = bytearray(path.read_bytes())
    content[len(content) * 9 // 20 : len(content) * 11 // 20] = b"\xff" * (len(content) // 10)
    path.write_bytes(content)
    stand_in()
    on_device, on_processor = facts(path, gpu=0), facts(path)
    assert on_device == on_processor
    assert on_processor[2] > 0
    assert "the processor does the rest" in caplog.text


def test_without_a_driver_the_processor_decodes(make_video, caplog):
    """For real: libav is asked for a device that is not there."""
    path = make_video("a.mp4", coloured())
    with caplog.at_level(logging.INFO, logger="dmtrack"):
        assert facts(path, gpu=NO_SUCH_DEVICE) == facts(path)
    (record,) = caplog.records
    assert "cuda:99 cannot be used" in record.getMessage()
    assert why_no_device(NO_SUCH_DEVICE)
    assert why_no_nvdec(NO_SUCH_DEVICE)


def test_pyav_without_cuda_is_said(monkeypatch):
    monkeypatch.setattr(decoder, "hwdevices_available", lambda: ["videotoolbox"])
    assert why_no_nvdec() == "this PyAV was built without CUDA"


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [("libx264", "yuv420p10le"), ("libx264", "yuv444p"), ("ffv1", "gray16le"), ("mpeg4", "yuv420p")],
)
def test_what_does_not_suit_never_meets_the_device(make_video, monkeypatch, caplog, codec, pix_fmt):
    deep = pix_fmt == "gray16le"
    pictures = [np.full((48, 64), 4000, np.uint16)] * 3 if deep else coloured(3)
    path = make_video("a.mkv", pictures, codec=codec, pix_fmt=pix_fmt)

    def never(*_):
        raise AssertionError

    monkeypatch.setattr(reader, "_device_decoder", never)
    with caplog.at_level(logging.INFO, logger="dmtrack"):
        assert facts(path, gpu=0) == facts(path)
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "pix_fmt", "expected"),
    [("vp9", "yuv420p", True), ("hevc", "yuv420p10le", False), ("mjpeg", "yuvj420p", False)],
)
def test_what_suits(name, pix_fmt, expected):
    context = av.CodecContext.create(name, "r")
    context.pix_fmt = pix_fmt
    assert suits_gpu(context) is expected


def test_a_file_without_a_frame_is_the_same_error(make_video, stand_in):
    path = make_video("a.mp4", coloured(2), container_options={"movflags": "faststart"})
    content = path.read_bytes()
    start = content.index(b"mdat") + 4
    path.write_bytes(content[:start] + bytes(len(content) - start))
    stand_in()
    with pytest.raises(DecodeError, match="no frame can be decoded"):
        VideoReader(path, gpu=0)
