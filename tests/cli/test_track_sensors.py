"""What two real cameras write, on the command line: clocks, missing frames, counts, one file for both."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from enum import EnumType
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pytest

from dmtrack.batch.track_item import TrackItem
from dmtrack.boxes.reading import read_results, read_rows
from dmtrack.errors import ConfigError
from dmtrack.options import command_words, declared_options, parsed_words
from dmtrack.output.record import read_run_json
from dmtrack.run.request import TrackRequest
from dmtrack.tracking.result import TrackState
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.second.aux_encoder import AuxRange, EncodingOptions
from dmtrack.video.second.gauge import AuxMeasure, AuxUnit
from dmtrack.video.streams import OnMissing, PairingOptions
from dmtrack.video.track_choice import parse_track

BOX = "20,16,16,16"
SDK_BAG = Path(__file__).parents[1] / "unit" / "files" / "realsense_2_56.bag"
Run = Callable[..., Any]


@pytest.fixture
def short(make_video, tmp_path) -> Path:
    """A thermal video that ends after half a second."""
    return make_video(tmp_path / "thermal.mp4", 5, grey=True)


@pytest.fixture
def follow(run_cli, recording, weights) -> Run:
    def called(*words: object, rgb: Path = recording.rgb, aux: Path | None = recording.thermal) -> Any:
        files = [str(rgb), *([] if aux is None else [str(aux)])]
        options = ["--weights", str(weights), "--device", "cpu", "--no-video", "-o", "out", "--overwrite"]
        return run_cli("track", *files, *options, *map(str, words))

    return called


@pytest.mark.parametrize(
    ("policy", "frames", "said", "counts"),
    [
        ("hold", 12, "7 with the nearest picture held", (7, 0, 0)),
        ("blank", 12, "7 blank", (7, 7, 0)),
        ("rgb-only", 12, "7 as RGB alone", (7, 0, 7)),
        ("stop", 5, "0 frames without a partner", (0, 0, 0)),
    ],
)
def test_every_policy_is_counted_and_each_row_says_it(follow, short, policy, frames, said, counts):
    outcome = follow("--box", BOX, "--on-missing", policy, aux=short)
    assert outcome.code == 0, outcome.err
    assert said in " ".join(outcome.out.split())
    rows = read_results(Path("out/boxes.csv"))[0].frames
    assert [row.aux_present for row in rows] == [number < 5 for number in range(frames)]
    assert all((row.skew_ms is None) is not row.aux_present for row in rows)
    record = read_run_json(Path("out/run.json"))
    pairing = record["counts"]["pairing"]
    assert (pairing["aux_missing"], pairing["aux_blank"], pairing["aux_rgb_only"]) == counts
    assert record["clocks"]["on_missing"] == policy


def test_rgb_alone_is_drawn_in_a_video_of_one_size(run_cli, recording, weights, short):
    outcome = run_cli(
        "track", str(recording.rgb), str(short), "--box", BOX, "--on-missing", "rgb-only", "-o", "out",
        "--weights", str(weights), "--device", "cpu",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert Path("out/annotated.mp4").stat().st_size > 0


def test_streams_that_differ_in_length_are_told_with_the_ratio(follow, short):
    outcome = follow("--box", BOX, aux=short)
    text = " ".join(outcome.err.split())
    assert "note: RGB lasts 1.200 s and the second stream 0.500 s" in text
    assert "--rate-ratio 12/5 (2.400000)" in text
    outcome = follow("--box", BOX, "--rate-ratio", "12/5", aux=short)
    assert "note:" not in outcome.err
    rows = read_results(Path("out/boxes.csv"))[0].frames
    assert max(abs(row.skew_ms) for row in rows) <= 140
    assert read_run_json(Path("out/run.json"))["clocks"]["rate_ratio"] == "12/5"


def test_side_files_of_times(follow, tmp_path):
    (tmp_path / "rgb.txt").write_text("".join(f"{50 + n / 10}\n" for n in range(12)))
    (tmp_path / "aux_ms.csv").write_text("time_ms\n" + "".join(f"{50_020 + n * 100}\n" for n in range(12)))
    times = ["--rgb-times", tmp_path / "rgb.txt", "--aux-times", tmp_path / "aux_ms.csv"]
    outcome = follow("--box", BOX, *times)
    assert outcome.code == 0, outcome.err
    assert "rgb.txt counts in s: frames are then 100 ms apart" in " ".join(outcome.err.split())
    rows = read_results(Path("out/boxes.csv"))[0].frames
    assert [row.time_s for row in rows] == pytest.approx([50 + n / 10 for n in range(12)])
    assert [row.skew_ms for row in rows] == pytest.approx([20.0] * 12)
    clocks = read_run_json(Path("out/run.json"))["clocks"]
    assert clocks["aux_times"].endswith("aux_ms.csv")


def test_the_range_is_in_the_record(follow):
    assert follow("--box", BOX, "--aux-range", "20,180").code == 0
    assert read_run_json(Path("out/run.json"))["preprocessing"] == {
        "norm": "fixed",
        "range": {"low": 20.0, "high": 180.0, "is_celsius": False},
        "depth_scale_mm": None,
    }


def test_both_streams_of_a_realsense_file(follow):
    outcome = follow("--box", "8,8,10,10", "--aux-stream", "depth", rgb=SDK_BAG, aux=None)
    assert outcome.code == 0, outcome.err
    assert "second stream: depth (the file calls the stream" in outcome.err
    assert "note: One count of depth is 0.25 mm." in outcome.err
    record = read_run_json(Path("out/run.json"))
    assert record["preprocessing"]["depth_scale_mm"] == "1/4"
    assert record["inputs"][1]["video"]["track"]["kind"] == "depth"
    assert len(read_rows(Path("out/boxes.csv"))) == 6


def test_distance_is_in_the_rows_and_stays_when_results_are_gone_on_with(
    follow, run_cli, recording, tmp_path
):
    (tmp_path / "depth").mkdir()
    for number in range(12):
        counts = np.full((64, 96), 25_000, np.uint16)
        counts[16:32, 20 + number : 36 + number] = 12_000
        assert cv2.imwrite(f"depth/{number:04d}.png", counts)
    Path("camera.txt").write_text("48 48 47.5 31.5")
    options = ["--depth-scale", "0.2", "--intrinsics", "camera.txt"]
    assert follow("--box", BOX, *options, aux=Path("depth")).code == 0
    before = read_rows(Path("out/boxes.csv"))
    assert before[0].measure == AuxMeasure(2.4, 2.4, 2.4, AuxUnit.METRE, (-1.0, -0.4, 2.4))
    known = [row for row in before if row.measure is not None]
    assert {round(row.measure.median, 6) for row in known} <= {2.4, 5.0}
    assert {row.state for row in before if row.measure is None} <= {TrackState.LOST}
    outcome = run_cli("track", "--continue", "out", "--box", "1:28,16,16,16", "--from", "8", "--no-video")
    assert outcome.code == 0, outcome.err
    after = read_rows(Path("out/boxes.csv"))
    assert [row.measure for row in after[:1]] == [before[0].measure]
    assert after[8].measure == AuxMeasure(2.4, 2.4, 2.4, AuxUnit.METRE, (-0.6, -0.4, 2.4))
    assert run_cli("export", "out", "-o", "a.json", "--format", "json").err.count("measure") == 0
    assert read_rows(Path("a.json"))[8].measure == after[8].measure
    assert "mot does not hold measures" in run_cli("export", "out", "-o", "a.txt", "--format", "mot").err


def test_inspect_shows_the_streams_of_a_file(run_cli):
    outcome = run_cli("inspect", str(SDK_BAG), "--aux-stream", "depth", "--json")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)["report"]
    assert report["aux"]["track"]["title"] == "/device_0/sensor_0/Depth_0/image/data"
    assert report["modality"] == "depth"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--rate-ratio", "0"], 4, "--rate-ratio: 0 is not a positive number"),
        (["--rate-ratio", "1/0"], 4, "--rate-ratio: 1/0 is not"),
        (["--aux-range", "9"], 4, "'9' is not a range"),
        (["--aux-norm", "fixed"], 4, "add --aux-range"),
        (["--depth-scale", "2"], 4, "--depth-scale is for depth"),
        (["--aux-range", "20C,40C"], 4, "no linear temperature"),
        (["--aux-stream", "left"], 4, "'left' names no stream"),
        (["--aux-stream", "3"], 3, "there is no number 3"),
        (["--times-unit", "ms"], 4, "--times-unit is for --rgb-times"),
        (["--sync", "nearest", "--max-skew-ms", "5"], 4, "leave out --max-skew-ms"),
        (["--rgb-times", "none.txt"], 3, "none.txt: cannot be read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(follow, options, code, message):
    follow("--box", BOX, *options).refused(code, message)
    assert not Path("out").exists()


def test_batch_hashes_what_changes_results_and_spells_it():
    """Resuming with another range must do the items again."""
    plain = TrackRequest("rgb.mp4")
    for changed in (
        {"encoding": EncodingOptions(range=AuxRange(1, 2))},
        {"encoding": EncodingOptions(depth_scale_mm=Fraction(1, 10))},
        {"pairing": PairingOptions(rate_ratio=Fraction(1001, 1000))},
        {"pairing": PairingOptions(aux_track=parse_track("ir"))},
        {"pairing": PairingOptions(on_missing=OnMissing.RGB_ONLY)},
    ):
        assert TrackItem(replace(plain, **changed)).options(None) != TrackItem(plain).options(None)
    encoding = EncodingOptions(range=AuxRange(1, 2), depth_scale_mm=Fraction(1, 10))
    assert list(command_words(encoding)) == ["--aux-range=1,2", "--depth-scale=0.1"]
    assert list(command_words(PairingOptions(rgb_times=Path("a.txt")))) == ["--rgb-times=a.txt"]
    sensor = EventOptions(size=(346, 260))
    assert list(command_words(sensor)) == ["--event-size=346x260"]
    assert parsed_words(EventOptions, [*command_words(sensor)], "run.json") == sensor


def test_choices_of_a_command_come_back_as_they_were():
    """As `--continue` reads them."""
    for declared in declared_options(TrackRequest):
        kinds = [kind for kind in get_args(declared.kind) or [declared.kind] if isinstance(kind, EnumType)]
        for choice in kinds and list(kinds[0]):
            words = ["rgb.mp4", f"{declared.option.long_name}={choice}"]
            with suppress(ConfigError):  # it goes with other options
                assert declared.of(parsed_words(TrackRequest, words, "run.json")) is choice


@pytest.mark.slow  # it starts a worker
def test_batch_takes_depth_out_of_each_file(run_cli, weights, tmp_path):
    (tmp_path / "list.csv").write_text(f'id,rgb,box\none,{SDK_BAG},"8,8,10,10"\n')
    outcome = run_cli(
        "batch", "list.csv", "-o", "all", "--aux-stream", "depth", "--depth-scale", "0.5", "--no-video",
        "--weights", str(weights), "--devices", "cpu",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    record = read_run_json(Path("all/one/run.json"))
    assert record["configuration"]["modality"] == "depth"
    assert record["preprocessing"]["depth_scale_mm"] == "1/2"
    assert "--aux-stream=depth" in record["command"]
    assert "--depth-scale=0.5" in record["command"]
    assert np.isfinite([row.box.x for row in read_rows(Path("all/one/boxes.csv"))]).all()
