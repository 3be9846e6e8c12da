"""`dmtrack bench` with a small random network: what it measures, says and refuses."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from dmtrack.bench.measure import Drift, made_up_weights
from dmtrack.bench.stages import make_clip, target_boxes
from dmtrack.geometry.box import Box
from dmtrack.video.frame import Modality
from dmtrack.video.pairing import open_pair

STAGES = ["decode", "crop", "network", "post", "draw", "encode"]


@pytest.mark.slow
def test_json_holds_every_choice_and_figure(run_cli, recording, weights):
    outcome = run_cli(
        "bench", recording.rgb, recording.thermal, "--preset", weights, "--targets", "1,3", "--frames", 8,
        "--backend", "torch", "--backend", "openvino", "--precision", "fp32", "--device", "cpu", "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    said = json.loads(outcome.out)
    assert said["size"] == [96, 64]
    assert [(row["backend"], row["targets"]) for row in said["rows"]] == [
        ("torch", 1), ("torch", 3), ("openvino", 1), ("openvino", 3)
    ]  # fmt: skip
    for row in said["rows"]:
        assert (row["device"], row["precision"], row["made_up_weights"]) == ("cpu", "fp32", False)
        assert list(row["stages_ms"]) == STAGES
        assert all(ms >= 0 for ms in row["stages_ms"].values())
        step = sum(row["stages_ms"][stage] for stage in ("crop", "network", "post"))
        assert row["network_fps"] == pytest.approx(1000 / step)
        assert row["command"]["fps"] > 0
        assert 0 < row["command"]["start_up_s"] < 120
        assert row["command"]["peak_mb"] > 50  # Python with torch
        assert row["gpu_peak_mb"] is None
        if row["backend"] == "torch":
            assert row["drift"] is None  # exact mode itself
        else:
            assert row["drift"]["frames"] == 11
            assert 0 < row["drift"]["mean_px"] <= row["drift"]["largest_px"] < 0.01


@pytest.mark.slow
def test_table_of_a_single_stream(run_cli, recording, weights, monkeypatch):
    monkeypatch.setattr("dmtrack.network.backend.computed_precisions", lambda: frozenset({"fp32"}))
    outcome = run_cli(
        "bench", recording.rgb, "--preset", weights, "--targets", "2", "--frames", 4,
        "--backend", "torch", "--backend", "openvino", "--precision", "fp16",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "left out: this processor does not compute in fp16" in outcome.err
    for words in (*(f"{stage}, ms" for stage in STAGES), "network, fps", "whole command, fps", "2 targets"):
        assert words in outcome.out
    drift = re.findall(r"(?:mean|largest) px +(\d+\.\d+)", outcome.out)
    assert len(drift) == 2
    assert float(drift[0]) <= float(drift[1])
    assert re.search(r"over frames +7\b", outcome.out)


def test_a_backend_that_cannot_is_refused_when_nothing_else_is_asked(run_cli, monkeypatch):
    monkeypatch.setattr("dmtrack.network.backend.computed_precisions", lambda: frozenset({"fp32"}))
    outcome = run_cli("bench", "--backend", "openvino", "--precision", "bf16", "--precision", "fp16")
    outcome.refused(4, "does not compute in bf16")


def test_drift_is_the_edge_that_is_furthest_off():
    exact = [[Box(10, 10, 20, 20), Box(50, 50, 20, 20)]] * 3
    found = [[Box(10, 10, 20, 20), Box(51, 50, 20, 20)], [Box(9, 10, 20, 17), Box(50, 50, 20, 20)]]
    assert Drift.between(found, exact) == Drift(mean_px=1.0, largest_px=3.0, frames=2)


@pytest.mark.slow
def test_made_up_weights_have_no_drift_and_leave_nothing_behind(run_cli, recording, monkeypatch, tmp_path):
    from dmtrack.config import TINY

    small = replace(TINY, depth=1, width=64, heads=1, template_size=32, search_size=64, head_width=32)
    monkeypatch.setattr("dmtrack.bench.measure.PRESETS", {"small": small})
    monkeypatch.setattr("dmtrack.bench.measure.model_preset", lambda name, modality: small)
    outcome = run_cli(
        "bench", recording.rgb, recording.thermal, "--preset", "small", "--targets", "1", "--frames", 4,
        "--backend", "openvino", "--precision", "fp32", "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    (row,) = json.loads(outcome.out)["rows"]
    assert (row["backend"], row["precision"], row["made_up_weights"]) == ("openvino", "fp32", True)
    assert row["drift"] is None
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("targets", ["0", "1,x", ",", "1000"])
def test_targets_that_are_no_numbers(run_cli, targets):
    outcome = run_cli("bench", "--targets", targets)
    assert outcome.code == 4
    assert outcome.error_lines[0].startswith("error: --targets:")


def test_unknown_weights(run_cli, recording):
    run_cli("bench", recording.rgb, "--preset", "huge", "--frames", 4).refused(4, "huge")


def test_a_missing_recording(run_cli):
    assert run_cli("bench", "nowhere.mp4").code == 3


def test_a_preset_that_is_not_there_gets_the_same_random_numbers_each_time(tmp_path):
    first, second = (made_up_weights(tmp_path / name, "tiny", Modality.THERMAL) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("count", [1, 2, 7, 10, 100])
def test_targets_lie_inside_and_apart(count):
    boxes = target_boxes(count, 640, 480)
    assert len(boxes) == count
    for box in boxes:
        box.require_inside(640, 480)
        assert box.x >= 0
        assert box.y >= 0
    corners = {(box.x, box.y) for box in boxes}
    assert len(corners) == count


def test_the_made_up_recording_pairs_and_shows_a_target_in_each_box(tmp_path):
    clip = make_clip(tmp_path, 5, 3)
    with open_pair(clip.rgb, clip.aux, modality=clip.modality) as pairs:
        images = [pair.image for pair in pairs]
    assert len(images) == 5
    assert images[0].shape == (480, 640, 6)
    for box in clip.boxes(3):
        x, y, w, h = map(round, box.xywh)
        inside, around = images[0][y : y + h, x : x + w], images[0][y - 20 : y - 12, x : x + w]
        assert abs(inside.mean(axis=(0, 1)) - around.mean(axis=(0, 1))).max() > 20
