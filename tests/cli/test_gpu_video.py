"""Decoding and encoding on a GPU: the same pictures as ever, and the processor takes over wherever it fails.

The device is a stand-in that gives what NVDEC gives, `nv12`; what happens without a driver is tried for real.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame

from dmtrack import doctor, threads
from dmtrack.batch.track_item import TrackItem
from dmtrack.drawing import encoder
from dmtrack.drawing.encoder import VideoEncoder, choose_encoder, nvenc, why_no_nvenc
from dmtrack.drawing.video import VideoWriter
from dmtrack.errors import ConfigError, DecodeError
from dmtrack.output.record import read_run_json
from dmtrack.run import codecs
from dmtrack.run.codecs import CodecOptions, VideoDevice
from dmtrack.run.request import TrackRequest
from dmtrack.video.container import decoder, reader
from dmtrack.video.container.decoder import PacketDecoder, suits_gpu, why_no_device, why_no_nvdec
from dmtrack.video.container.reader import VideoReader


class StandIn(PacketDecoder):
    """Decodes the first video stream of a file.

    Args:
        path: The file.
        fails_at: How many frames it gives before it fails; -1 never.
        how: `error`, `damage`, `refused`: frames as libav gives them without a device; or `uncut`: with what
            the stream says to cut off on the left.
    """

    def __init__(self, path: Path, *, fails_at: int = -1, how: str = "") -> None:
        container = av.open(str(path))
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        super().__init__(container, stream, path)
        self._fails_at, self._how = fails_at, how
        self._count = 0

    def next_frame(self) -> VideoFrame | None:
        """Return the next frame, or fail."""
        frame = super().next_frame()
        if self._count == self._fails_at:
            if self._how == "error":
                raise DecodeError("the device is gone")
            if self._how == "refused":
                return frame
            if self._how == "uncut":
                return None if frame is None else frame.reformat(frame.width + 16, format="nv12")
            self._damage.add()
        self._count += 1
        return None if frame is None else frame.reformat(format="nv12")


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
def test_pictures_are_the_same(video_of_pictures, stand_in, codec, options):
    path = video_of_pictures("a.mp4", coloured(), **codec, options=options)
    stand_in()
    with VideoReader(path, gpu=1) as opened:
        assert opened.info.decoded_on == "cuda:1"
    with VideoReader(path) as opened:
        assert opened.info.decoded_on == "cpu"
    assert facts(path, gpu=1) == facts(path)


@pytest.mark.parametrize("how", ["error", "damage"])
@pytest.mark.parametrize("fails_at", [0, 1, 7, COUNT - 1, COUNT])
def test_a_device_that_fails_costs_no_frame(video_of_pictures, stand_in, caplog, fails_at, how):
    path = video_of_pictures("a.mp4", coloured())
    stand_in(fails_at=fails_at, how=how)
    with caplog.at_level(logging.INFO, logger="dmtrack"):
        assert facts(path, gpu=0) == facts(path)
    (record,) = caplog.records
    assert record.levelno == (logging.WARNING if fails_at else logging.INFO)
    assert f"cuda:0 decodes {fails_at} frames" in record.getMessage()


def test_a_stream_that_the_device_refuses_is_decoded_by_the_processor(video_of_pictures, stand_in):
    path = video_of_pictures("a.mp4", coloured())
    stand_in(fails_at=0, how="refused")
    with VideoReader(path, gpu=0) as opened:
        assert opened.info.decoded_on == "cpu"
    assert facts(path, gpu=0) == facts(path)


def test_pictures_that_the_device_does_not_cut_are_the_processors(video_of_pictures, stand_in, caplog):
    path = video_of_pictures("a.mp4", coloured())
    stand_in(fails_at=0, how="uncut")
    with caplog.at_level(logging.INFO, logger="dmtrack"):
        assert facts(path, gpu=0) == facts(path)
    assert "another size" in caplog.text


def test_a_stream_that_libav_takes_from_the_device_midway_goes_on(video_of_pictures, stand_in):
    path = video_of_pictures("a.mp4", coloured())
    stand_in(fails_at=5, how="refused")
    assert facts(path, gpu=0) == facts(path)


def test_damage_is_met_as_without_a_device(video_of_pictures, stand_in, caplog):
    path = video_of_pictures(
        "a.mp4", coloured(30), options={"g": "1", "bf": "0"}, container_options={"movflags": "faststart"}
    )
    content = bytearray(path.read_bytes())
    content[len(content) * 9 // 20 : len(content) * 11 // 20] = b"\xff" * (len(content) // 10)
    path.write_bytes(content)
    stand_in()
    on_device, on_processor = facts(path, gpu=0), facts(path)
    assert on_device == on_processor
    assert on_processor[2] > 0
    assert "the CPU does the rest" in caplog.text


def test_without_a_driver_the_processor_decodes(video_of_pictures, caplog):
    """For real: libav is asked for a device that is not there."""
    path = video_of_pictures("a.mp4", coloured())
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
def test_what_does_not_suit_never_meets_the_device(video_of_pictures, monkeypatch, caplog, codec, pix_fmt):
    deep = pix_fmt == "gray16le"
    pictures = [np.full((48, 64), 4000, np.uint16)] * 3 if deep else coloured(3)
    path = video_of_pictures("a.mkv", pictures, codec=codec, pix_fmt=pix_fmt)

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


def test_a_file_without_a_frame_is_the_same_error(video_of_pictures, stand_in):
    path = video_of_pictures("a.mp4", coloured(2), container_options={"movflags": "faststart"})
    content = path.read_bytes()
    start = content.index(b"mdat") + 4
    path.write_bytes(content[:start] + bytes(len(content) - start))
    stand_in()
    with pytest.raises(DecodeError, match="no frame can be decoded"):
        VideoReader(path, gpu=0)


# --- encoding --------------------------------------------------------------------------------------


def write(path: Path, gpu: int | None) -> VideoWriter:
    writer = VideoWriter(path, gpu=gpu)
    for number in range(70):
        writer.write(np.full((48, 64, 3), 3 * number, np.uint8), 1000 + 40 * number, Fraction(1, 1000))
    writer.close()
    return writer


def test_without_the_device_the_video_is_the_same(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="dmtrack"):
        writer = write(tmp_path / "gpu.mp4", NO_SUCH_DEVICE)
    write(tmp_path / "cpu.mp4", None)
    assert writer.encoder == "libx264"
    assert (tmp_path / "gpu.mp4").read_bytes() == (tmp_path / "cpu.mp4").read_bytes()
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "cuda:99 does not encode 64x48" in record.getMessage()


def test_a_device_that_encodes_is_taken(tmp_path, monkeypatch):
    """Stand-in: a second setting of x264, which the file must show; stamps as ever."""
    stand_in = VideoEncoder("libx264", {"crf": "51"})
    monkeypatch.setattr(encoder, "nvenc", lambda gpu: stand_in)
    path = tmp_path / "a.mp4"
    write(path, 0)
    write(tmp_path / "cpu.mp4", None)
    assert path.read_bytes() != (tmp_path / "cpu.mp4").read_bytes()
    with av.open(str(path)) as container:
        stamps = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert stamps == [Fraction(40 * number, 1000) for number in range(70)]


def test_both_are_set_to_about_the_same_picture():
    """As x264's `veryfast` at 23, which `superfast` gives at 24."""
    assert nvenc(1).options == {"gpu": "1", "rc": "constqp", "qp": "23", "preset": "p3"}
    assert choose_encoder(64, 48).options == {"preset": "superfast", "crf": "24"}


def test_a_listed_encoder_is_no_proof():
    """NVENC is in every PyAV of this platform: only a picture that was encoded says that it works."""
    assert why_no_nvenc(NO_SUCH_DEVICE)
    assert VideoEncoder("no-such-encoder", {}).problem(64, 48) == "this PyAV has no such encoder"
    assert choose_encoder(64, 48).problem(64, 48) is None


@pytest.mark.parametrize("name", ["libx264", "h264_nvenc"])
def test_every_encoder_is_set_alike(name):
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, av.VideoCodecContext)
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
def test_threads_are_no_more_than_pay(monkeypatch, cores, decoding, encoding):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    assert (threads.decoder_threads(), threads.encoder_threads()) == (decoding, encoding)
    context = av.CodecContext.create("libx264", "w")
    choose_encoder(64, 48).configure(context, 64, 48)
    assert (context.thread_count, context.thread_type.name) == (encoding, "FRAME")


# --- --video-device --------------------------------------------------------------------------------

BOX = "20,16,16,16"
NO_DRIVER = "there is no NVIDIA driver"


@pytest.fixture
def probes(monkeypatch) -> Iterator[Callable[..., None]]:
    """Set what the device is found to do: None where it works."""

    def found(device: str | None = None, nvdec: str | None = None, nvenc: str | None = None) -> None:
        monkeypatch.setattr(codecs, "why_no_device", lambda: device)
        monkeypatch.setattr(codecs, "why_no_nvdec", lambda gpu: nvdec)
        monkeypatch.setattr(codecs, "why_no_nvenc", lambda gpu: nvenc)

    codecs._require_codecs.cache_clear()
    yield found
    codecs._require_codecs.cache_clear()


@pytest.mark.parametrize(
    ("asked", "network", "expected"),
    [
        ("auto", "cuda:1", 1),
        ("auto", "cuda", 0),
        ("auto", "cpu", None),
        ("auto", "mps", None),
        ("auto", None, None),
        ("cpu", "cuda:1", None),
        ("cuda", "cuda:1", 1),
        ("cuda", "cpu", 0),
        ("cuda", None, 0),
    ],
)
def test_what_the_option_means(probes, asked, network, expected):
    probes()
    device = None if network is None else lambda: torch.device(network)
    assert CodecOptions(VideoDevice(asked)).gpu(device) == expected


def test_auto_without_a_driver_does_not_ask_for_the_network(probes):
    """Which would load torch before a path is looked at."""
    probes(device=NO_DRIVER)

    def asked() -> torch.device:
        raise AssertionError

    assert CodecOptions().gpu(asked) is None


@pytest.mark.parametrize("missing", [{"device": NO_DRIVER}, {"nvdec": "no libnvcuvid"}])
def test_a_device_that_was_asked_for_must_decode(probes, missing):
    probes(**missing)
    with pytest.raises(
        ConfigError, match=r"--video-device cuda: no GPU decodes videos here \((there|no lib)"
    ):
        CodecOptions(VideoDevice.CUDA).gpu()


def test_a_device_that_does_not_encode_is_said_once(probes, caplog):
    probes(nvenc="no such unit")
    with caplog.at_level(logging.WARNING, logger="dmtrack"):
        assert [CodecOptions(VideoDevice.CUDA).gpu() for _ in range(2)] == [0, 0]
    assert caplog.messages == ["cuda:0 encodes no H.264 (no such unit): the CPU does"]


def test_an_absent_device_is_one_line(run_cli, track, recording, probes):
    probes(device=NO_DRIVER)
    words = ("--video-device", "cuda")
    outcomes = [
        track("--box", BOX, *words),
        run_cli("render", recording.rgb, "-o", "a.mp4", *words),
        run_cli("batch", recording.rgb.parent, "-o", "all", *words),
    ]
    for outcome in outcomes:
        assert outcome.code == 4
        assert outcome.error_lines == [outcome.err.strip()]
        assert NO_DRIVER in outcome.err
    assert not list(Path().iterdir())


def test_the_device_makes_the_same_boxes_and_stands_in_the_record(track, probes, monkeypatch):
    assert track("--box", BOX, "--end", "4").code == 0
    boxes = Path("out/boxes.txt").read_text()
    record = read_run_json(Path("out/run.json"))
    assert [one["video"]["decoded_on"] for one in record["inputs"]] == ["cpu", "cpu"]
    assert record["video_encoder"] == "libx264"

    probes()
    monkeypatch.setattr(reader, "_device_decoder", lambda path, number, gpu: StandIn(path))
    stand_in = VideoEncoder("mpeg4", {})
    monkeypatch.setattr("dmtrack.drawing.encoder.nvenc", lambda gpu: stand_in)
    assert track("--box", BOX, "--end", "4", "--video-device", "cuda", "--overwrite").code == 0
    assert Path("out/boxes.txt").read_text() == boxes
    on_device = read_run_json(Path("out/run.json"))
    assert [one["video"]["decoded_on"] for one in on_device["inputs"]] == ["cuda:0", "cuda:0"]
    assert on_device["video_encoder"] == "mpeg4"
    assert on_device["options_sha256"] == record["options_sha256"]


def test_render_decodes_and_encodes_on_the_device(run_cli, recording, probes, monkeypatch):
    probes()
    opened = []

    def decoder(path: Path, number: int, gpu: int) -> StandIn:
        opened.append((path.name, gpu))
        return StandIn(path)

    monkeypatch.setattr("dmtrack.video.container.reader._device_decoder", decoder)
    monkeypatch.setattr("dmtrack.drawing.encoder.nvenc", lambda gpu: VideoEncoder("mpeg4", {}))
    words = ("render", recording.rgb, "-q", "-o")
    assert run_cli(*words, "gpu.mp4", "--video-device", "cuda").code == 0
    assert run_cli(*words, "auto.mp4").code == 0
    assert opened == [("rgb.mp4", 0)]
    assert b"mp4v" in Path("gpu.mp4").read_bytes()
    assert b"avc1" in Path("auto.mp4").read_bytes()


def test_a_batch_may_go_on_with_another_device_and_its_items_say_which():
    requests = [TrackRequest("rgb.mp4", codecs=CodecOptions(device)) for device in VideoDevice]
    options = [TrackItem(request).options(None) for request in requests]
    assert options[1:] == options[:-1]
    assert "--video-device=cuda" in requests[-1].command


@pytest.mark.parametrize(("problem", "state"), [(None, "ok"), (NO_DRIVER, "note")])
def test_doctor_says_what_the_device_does(run_cli, monkeypatch, problem, state):
    for name in ("why_no_nvdec", "why_no_nvenc"):
        monkeypatch.setattr(doctor, name, lambda: problem)
    monkeypatch.setattr(doctor, "_network", lambda: iter(()))
    monkeypatch.setattr(doctor, "_weights", lambda: iter(()))
    outcome = run_cli("doctor", "--json")
    assert outcome.code == 0
    found = {one["topic"]: one for one in json.loads(outcome.out)["findings"]}
    assert {found[name]["state"] for name in ("NVDEC", "NVENC")} == {state}
    assert (problem or "cuda:0") in found["NVDEC"]["detail"]
