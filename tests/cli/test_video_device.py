"""`--video-device`: what decodes and encodes videos. Devices are stand-ins; here there is none."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu_stand_in import StandIn

from dmtrack import doctor
from dmtrack.batch.track_item import TrackItem
from dmtrack.drawing.encoder import VideoEncoder
from dmtrack.errors import ConfigError
from dmtrack.output.record import read_run_json
from dmtrack.run import codecs
from dmtrack.run.codecs import CodecOptions, VideoDevice
from dmtrack.run.request import TrackRequest

RunCli = Callable[..., Any]
BOX = "20,16,16,16"
NO_DRIVER = "there is no NVIDIA driver"


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
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
def test_what_the_option_means(
    probes: Callable[..., None], asked: str, network: str | None, expected: int | None
) -> None:
    probes()
    device = None if network is None else lambda: torch.device(network)
    assert CodecOptions(VideoDevice(asked)).gpu(device) == expected


def test_auto_without_a_driver_does_not_ask_for_the_network(probes: Callable[..., None]) -> None:
    """Which would load torch before a path is looked at."""
    probes(device=NO_DRIVER)

    def asked() -> torch.device:
        raise AssertionError

    assert CodecOptions().gpu(asked) is None


@pytest.mark.parametrize("missing", [{"device": NO_DRIVER}, {"nvdec": "no libnvcuvid"}])
def test_a_device_that_was_asked_for_must_decode(
    probes: Callable[..., None], missing: dict[str, str]
) -> None:
    probes(**missing)
    with pytest.raises(
        ConfigError, match=r"--video-device cuda: no GPU decodes videos here \((there|no lib)"
    ):
        CodecOptions(VideoDevice.CUDA).gpu()


def test_a_device_that_does_not_encode_is_said_once(
    probes: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    probes(nvenc="no such unit")
    with caplog.at_level(logging.WARNING, logger="dmtrack"):
        assert [CodecOptions(VideoDevice.CUDA).gpu() for _ in range(2)] == [0, 0]
    assert caplog.messages == ["cuda:0 encodes no H.264 (no such unit): the CPU does"]


def test_an_absent_device_is_one_line(
    run_cli: RunCli, track: RunCli, recording: Any, probes: Callable[..., None]
) -> None:
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


def test_the_device_makes_the_same_boxes_and_stands_in_the_record(
    track: RunCli, probes: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert track("--box", BOX, "--end", "4").code == 0
    boxes = Path("out/boxes.txt").read_text()
    record = read_run_json(Path("out/run.json"))
    assert [one["video"]["decoded_on"] for one in record["inputs"]] == ["cpu", "cpu"]
    assert record["video_encoder"] == "libx264"

    probes()
    monkeypatch.setattr("dmtrack.video.reader._device_decoder", lambda path, number, gpu: StandIn(path))
    stand_in = VideoEncoder("mpeg4", {})
    monkeypatch.setattr("dmtrack.drawing.encoder.nvenc", lambda gpu: stand_in)
    assert track("--box", BOX, "--end", "4", "--video-device", "cuda", "--overwrite").code == 0
    assert Path("out/boxes.txt").read_text() == boxes
    on_device = read_run_json(Path("out/run.json"))
    assert [one["video"]["decoded_on"] for one in on_device["inputs"]] == ["cuda:0", "cuda:0"]
    assert on_device["video_encoder"] == "mpeg4"
    assert on_device["options_sha256"] == record["options_sha256"]


def test_render_decodes_and_encodes_on_the_device(
    run_cli: RunCli, recording: Any, probes: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    probes()
    opened = []

    def decoder(path: Path, number: int, gpu: int) -> StandIn:
        opened.append((path.name, gpu))
        return StandIn(path)

    monkeypatch.setattr("dmtrack.video.reader._device_decoder", decoder)
    monkeypatch.setattr("dmtrack.drawing.encoder.nvenc", lambda gpu: VideoEncoder("mpeg4", {}))
    words = ("render", recording.rgb, "-q", "-o")
    assert run_cli(*words, "gpu.mp4", "--video-device", "cuda").code == 0
    assert run_cli(*words, "auto.mp4").code == 0
    assert opened == [("rgb.mp4", 0)]
    assert b"mp4v" in Path("gpu.mp4").read_bytes()
    assert b"avc1" in Path("auto.mp4").read_bytes()


def test_a_batch_may_go_on_with_another_device_and_its_items_say_which() -> None:
    requests = [TrackRequest("rgb.mp4", codecs=CodecOptions(device)) for device in VideoDevice]
    options = [TrackItem(request).options(None) for request in requests]
    assert options[1:] == options[:-1]
    assert "--video-device=cuda" in requests[-1].command


@pytest.mark.parametrize(("problem", "state"), [(None, "ok"), (NO_DRIVER, "note")])
def test_doctor_says_what_the_device_does(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, problem: str | None, state: str
) -> None:
    for name in ("why_no_nvdec", "why_no_nvenc"):
        monkeypatch.setattr(doctor, name, lambda: problem)
    monkeypatch.setattr(doctor, "_network", lambda: iter(()))
    monkeypatch.setattr(doctor, "_weights", lambda: iter(()))
    outcome = run_cli("doctor", "--json")
    assert outcome.code == 0
    found = {one["topic"]: one for one in json.loads(outcome.out)["findings"]}
    assert {found[name]["state"] for name in ("NVDEC", "NVENC")} == {state}
    assert (problem or "cuda:0") in found["NVDEC"]["detail"]
