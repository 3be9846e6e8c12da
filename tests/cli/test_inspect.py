"""`dmtrack inspect`: what is in the files, and whether and how they pair."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

RunCli = Callable[..., Any]


def test_two_streams(run_cli: RunCli, recording: Any) -> None:
    outcome = run_cli("inspect", recording.rgb, recording.thermal)
    assert outcome.code == 0
    text = " ".join(outcome.out.split())
    for words in ("96x64", "10.000 fps", "h264", "1.200 s", "thermal (the name", "by time stamp"):
        assert words in text
    assert "12 of the first 12 RGB frames have a partner" in text
    assert "groundtruth.txt" in text.replace(" ", "")
    assert all(len(line) <= 80 for line in outcome.out.splitlines())


def test_one_stream(run_cli: RunCli, recording: Any) -> None:
    outcome = run_cli("inspect", recording.rgb)
    assert outcome.code == 0
    assert "second stream" not in outcome.out
    assert "paired" not in outcome.out


def test_streams_apart_are_a_warning_with_the_way_out(
    run_cli: RunCli, recording: Any, make_video: Callable[..., Path]
) -> None:
    late = make_video(Path("thermal.mkv"), grey=True, first_pts=600)
    outcome = run_cli("inspect", recording.rgb, late)
    assert outcome.code == 0
    assert "warning: The streams share no time: say --offset-ms." in outcome.out
    aligned = run_cli("inspect", recording.rgb, late, "--offset-ms", -60000)
    assert "share no time" not in aligned.out


def test_json(run_cli: RunCli, recording: Any) -> None:
    outcome = run_cli("inspect", recording.rgb, recording.thermal, "--json")
    values = json.loads(outcome.out)
    report = values["report"]
    assert report["rgb"]["width"] == 96
    assert report["rgb"]["frame_rate"] == "10"
    assert report["modality"] == "thermal"
    assert report["match"]["sync"] == "pts"
    assert report["match"]["skew"]["missing"] == 0
    assert values["ground_truth"] == [str(recording.truth)]


def test_writes_nothing(run_cli: RunCli, recording: Any) -> None:
    run_cli("inspect", recording.rgb, recording.thermal)
    assert list(Path().iterdir()) == []
