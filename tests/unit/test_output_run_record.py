"""`run.json` says what a run was and how it ended, and is whole at any moment."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import written

from dmtrack.errors import FormatError, OutputError
from dmtrack.geometry.box import Box
from dmtrack.output.record import (
    SAVE_EVERY_S,
    InputRecord,
    RunRecord,
    RunRecordSink,
    RunStatus,
    Versions,
    WeightsRecord,
    read_run_json,
    results_in,
    to_json,
)
from dmtrack.output.sink import Sink, SinkGroup
from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState
from dmtrack.video.frame import Frame, FramePair, Modality, VideoInfo
from dmtrack.video.pairing import PairCounts


@dataclass(frozen=True)
class Options:
    modality: Modality = Modality.DEPTH
    factor: float = 4.0


def _record(tmp_path: Path) -> RunRecord:
    video = written(tmp_path / "rgb.mp4", b"12345")
    rate = Fraction(30000, 1001)
    info = VideoInfo(video, 640, 480, rate, Fraction(1, 90000), 0, 100, "yuv420p", "h264", 8, 3)
    return RunRecord(
        command=("dmtrack", "track", "rgb.mp4"),
        versions=Versions.collect(),
        inputs=(InputRecord.of("rgb", info),),
        configuration=Options(),
        weights=WeightsRecord("tiny", "00ff"),
        device="cpu",
        precision="fp32",
        backend="torch",
        outputs=("boxes.txt",),
    )


def _result(index: int, infer_ms: float, *states: TrackState) -> FrameResult:
    pixels = np.zeros((4, 4, 3), np.uint8)
    frame = Frame(index, index, Fraction(1, 30), pixels)
    targets = tuple(
        TrackedBox(index, number, Box(0, 0, 2, 2), 0.5, state, frame.time_s)
        for number, state in enumerate(states, start=1)
    )
    return FrameResult(FramePair(frame, None, None, pixels), targets, infer_ms)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _saved(tmp_path: Path) -> dict[str, Any]:
    return read_run_json(tmp_path / "run.json")


def test_written_at_the_start(tmp_path):
    RunRecordSink(tmp_path / "run.json", _record(tmp_path))
    values = _saved(tmp_path)
    assert values["status"] == "running"
    assert values["ended_at"] is None
    assert values["command"] == ["dmtrack", "track", "rgb.mp4"]
    assert values["weights"] == {"name": "tiny", "sha256": "00ff"}
    assert values["configuration"] == {"modality": "depth", "factor": 4.0}
    rgb = values["inputs"][0]
    assert (rgb["role"], rgb["size_bytes"]) == ("rgb", 5)
    assert rgb["mtime_ns"] == (tmp_path / "rgb.mp4").stat().st_mtime_ns
    assert (rgb["video"]["frame_rate"], rgb["video"]["path"]) == ("30000/1001", str(tmp_path / "rgb.mp4"))


def test_counts_and_speed(tmp_path):
    clock = Clock()
    counts = PairCounts(pairs=4, aux_held=2, aux_missing=1, largest_skew_s=Fraction(1, 60))
    sink = RunRecordSink(tmp_path / "run.json", _record(tmp_path), pair_counts=lambda: counts, clock=clock)
    with sink:
        sink.write(_result(0, 0.0, TrackState.INIT))
        sink.write(_result(1, 50.0, TrackState.TRACKED, TrackState.INIT))
        sink.write(_result(2, 30.0, TrackState.LOST, TrackState.LOST))
        sink.write(_result(3, 40.0, TrackState.UNCERTAIN, TrackState.LOST))
        clock.now_s = 2.0
    values = _saved(tmp_path)
    assert values["status"] == "complete"
    assert values["reason"] is None
    assert values["counts"] == {
        "frames": 4,
        "targets": 2,
        "uncertain": 1,
        "lost": 3,
        "pairing": {
            "pairs": 4,
            "aux_held": 2,
            "aux_missing": 1,
            "aux_blank": 0,
            "aux_rgb_only": 0,
            "rgb_damaged": 0,
            "aux_damaged": 0,
            "largest_skew_s": "1/60",
            "rgb_dropped": 0,
            "aux_dropped": 0,
            "longest_delay_s": "0",
        },
    }
    assert values["speed"] == {"wall_s": 2.0, "network_fps": pytest.approx(25.0), "whole_fps": 2.0}


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (KeyboardInterrupt(), "interrupted", "stopped before the end"),
        (GeneratorExit(), "interrupted", "stopped before the end"),
        (OutputError("the disk is full", where="a.mp4"), "failed", "a.mp4: the disk is full"),
        (ZeroDivisionError(), "failed", "ZeroDivisionError"),
    ],
    ids=["Ctrl-C", "closed generator", "deliberate", "defect"],
)
def test_how_it_ended(tmp_path, error, status, reason):
    sink = RunRecordSink(tmp_path / "run.json", _record(tmp_path))
    sink.write(_result(0, 1.0, TrackState.TRACKED))
    with pytest.raises(type(error)), sink:
        raise error
    values = _saved(tmp_path)
    assert (values["status"], values["reason"]) == (status, reason)
    assert values["counts"]["frames"] == 1


def test_as_observer_of_a_group_with_a_failing_sink(tmp_path):
    class Full(Sink):
        def write(self, result: FrameResult) -> None:
            pass

        def close(self) -> None:
            raise OutputError("the disk is full", where="a.mp4")

    sink = RunRecordSink(tmp_path / "run.json", _record(tmp_path))
    with pytest.raises(OutputError), SinkGroup([Full()], observers=[sink]):
        pass
    assert _saved(tmp_path)["status"] == RunStatus.FAILED


def test_a_run_that_goes_on_says_how_far_it_is(tmp_path):
    now_s = [0.0]
    record = replace(_record(tmp_path), expected_frames=9)
    sink = RunRecordSink(tmp_path / "run.json", record, clock=lambda: now_s[0])
    for index in range(3):
        now_s[0] += SAVE_EVERY_S / 2
        sink.write(_result(index, 1.0, TrackState.TRACKED))
    values = _saved(tmp_path)
    assert (values["status"], values["expected_frames"], values["counts"]["frames"]) == ("running", 9, 2)
    assert values["started_at"] <= values["updated_at"]
    assert values["ended_at"] is None
    assert values["speed"]["whole_fps"] == pytest.approx(2 / SAVE_EVERY_S, abs=1e-3)
    sink.close()
    assert (_saved(tmp_path)["status"], _saved(tmp_path)["counts"]["frames"]) == ("complete", 3)


def test_on_a_full_disk_the_end_is_said_in_the_room_that_there_is(tmp_path, monkeypatch):
    sink = RunRecordSink(tmp_path / "run.json", _record(tmp_path))
    before = (tmp_path / "run.json").stat().st_size

    def full(path: Path, data: bytes, *, durable: bool = True) -> None:
        raise OutputError("the disk is full", where=path)

    monkeypatch.setattr("dmtrack.output.record.write_atomically", full)
    sink.finish(RunStatus.FAILED, "the disk is full")
    assert _saved(tmp_path)["status"] == "failed"
    assert (tmp_path / "run.json").stat().st_size == before


def test_first_end_counts(tmp_path):
    sink = RunRecordSink(tmp_path / "run.json", _record(tmp_path))
    sink.finish(RunStatus.INTERRUPTED, "the target was lost")
    sink.close()
    assert (sink.record.status, _saved(tmp_path)["reason"]) == ("interrupted", "the target was lost")


def test_existing_record_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(OutputError, match="--overwrite"):
        RunRecordSink(tmp_path / "run.json", _record(tmp_path))
    RunRecordSink(tmp_path / "run.json", _record(tmp_path), overwrite=True)


def test_file_name_that_is_no_utf8(tmp_path):
    record = replace(_record(tmp_path), command=("dmtrack", "f\udce9.mp4"))
    RunRecordSink(tmp_path / "run.json", record)
    assert _saved(tmp_path)["command"][1] == "f\udce9.mp4"


def test_hash_of_the_options_sees_options_and_nothing_else(tmp_path):
    record = _record(tmp_path)
    same = replace(record, command=("other",), device="cuda:0", status=RunStatus.FAILED)
    assert same.options_sha256 == record.options_sha256
    for changed in (
        replace(record, configuration=Options(factor=5.0)),
        replace(record, precision="bf16"),
        replace(record, backend="openvino"),
        replace(record, weights=WeightsRecord("tiny", "00fe")),
    ):
        assert changed.options_sha256 != record.options_sha256


def test_versions_do_not_load_torch(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    versions = Versions.collect()
    assert versions.torch is None
    assert "torch" not in sys.modules
    assert versions.python == sys.version.split()[0]
    assert versions.numpy == np.__version__


def test_input_that_is_no_file(tmp_path):
    info = VideoInfo(
        tmp_path / "gone", 1, 1, None, Fraction(1), 0, None, "gray", "rawvideo", 8, 1, rotation_deg=90
    )
    assert InputRecord.of("aux", info).size_bytes is None


def test_json_values():
    assert to_json({"a": (1, 2.5, None, True), "b": {3, 1}}) == {"a": [1, 2.5, None, True], "b": [1, 3]}
    assert to_json(float("nan")) == "nan"
    with pytest.raises(TypeError, match="object"):
        to_json(object())


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"record_version": 1, "status": "odd"}', '{"record_version": 99, "status": "running"}'],
)
def test_no_run_record(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(FormatError, match=r"run\.json"):
        read_run_json(tmp_path / "run.json")


def test_record_is_plain_json(tmp_path):
    RunRecordSink(tmp_path / "run.json", _record(tmp_path))
    text = (tmp_path / "run.json").read_text()
    assert json.loads(text)["record_version"] == 1
    assert text.endswith("}\n")


def test_what_a_batch_is_still_writing_is_no_result(tmp_path):
    for name in ("b", "a", ".c"):
        written(tmp_path / name / "run.json", "{}")
    assert results_in(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert results_in(tmp_path / "b") == [tmp_path / "b"]
    assert results_in(tmp_path / "b" / "run.json") == results_in(tmp_path / "none") == []
