"""Which encoder makes a video: NVENC only where it really opens, else x264."""

from __future__ import annotations

import logging
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dmtrack import threads
from dmtrack.drawing import encoder
from dmtrack.drawing.encoder import VideoEncoder, choose_encoder, nvenc, why_no_nvenc
from dmtrack.drawing.video import VideoWriter

NO_SUCH_DEVICE = 99


def write(path: Path, gpu: int | None) -> VideoWriter:
    writer = VideoWriter(path, gpu=gpu)
    for number in range(70):
        writer.write(np.full((48, 64, 3), 3 * number, np.uint8), 1000 + 40 * number, Fraction(1, 1000))
    writer.close()
    return writer


def test_without_the_device_the_video_is_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="dmtrack"):
        writer = write(tmp_path / "gpu.mp4", NO_SUCH_DEVICE)
    write(tmp_path / "cpu.mp4", None)
    assert writer.encoder == "libx264"
    assert (tmp_path / "gpu.mp4").read_bytes() == (tmp_path / "cpu.mp4").read_bytes()
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "cuda:99 does not encode 64x48" in record.getMessage()


def test_a_device_that_encodes_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-in: a second setting of x264, which the file must show; stamps as ever."""
    stand_in = VideoEncoder("libx264", {"crf": "51"})
    monkeypatch.setattr(encoder, "nvenc", lambda gpu: stand_in)
    path = tmp_path / "a.mp4"
    write(path, 0)
    write(tmp_path / "cpu.mp4", None)
    assert path.read_bytes() != (tmp_path / "cpu.mp4").read_bytes()
    with av.open(str(path)) as container:
        stamps = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert stamps == [Fraction(1000 + 40 * number, 1000) for number in range(70)]


def test_quality_means_the_same_to_both() -> None:
    assert nvenc(1).options == {"gpu": "1", "rc": "constqp", "qp": "23", "preset": "p3"}
    assert choose_encoder(64, 48).options["crf"] == nvenc(1).options["qp"]


def test_a_listed_encoder_is_no_proof() -> None:
    """NVENC is in every PyAV of this platform: only a picture that was encoded says that it works."""
    assert why_no_nvenc(NO_SUCH_DEVICE)
    assert VideoEncoder("no-such-encoder", {}).problem(64, 48) == "this PyAV has no such encoder"
    assert choose_encoder(64, 48).problem(64, 48) is None


@pytest.mark.parametrize("name", ["libx264", "h264_nvenc"])
def test_every_encoder_is_set_alike(name: str) -> None:
    context = av.CodecContext.create(name, "w")
    VideoEncoder(name, {}).configure(context, 64, 48)
    assert (context.width, context.height, context.pix_fmt) == (64, 48, "yuv420p")
    assert (context.gop_size, context.max_b_frames) == (60, 0)
    assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (
        1,
        1,
        1,
        1,
    )


@pytest.mark.parametrize(("cores", "decoding", "encoding"), [(1, 1, 1), (2, 2, 2), (64, 2, 4)])
def test_threads_are_no_more_than_pay(
    monkeypatch: pytest.MonkeyPatch, cores: int, decoding: int, encoding: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    assert (threads.decoder_threads(), threads.encoder_threads()) == (decoding, encoding)
    context = av.CodecContext.create("libx264", "w")
    choose_encoder(64, 48).configure(context, 64, 48)
    assert (context.thread_count, context.thread_type.name) == (encoding, "FRAME")
