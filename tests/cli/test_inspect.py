"""`dmtrack inspect`: what is in the files, and whether and how they pair."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
from clips import copies


def test_two_streams(run_cli, recording):
    outcome = run_cli("inspect", recording.rgb, recording.thermal)
    assert outcome.code == 0
    text = " ".join(outcome.out.split())
    for words in ("96x64", "10.000 fps", "h264", "1.200 s", "thermal (the name", "by time stamp"):
        assert words in text
    assert "12 of the first 12 RGB frames have a partner" in text
    assert "groundtruth.txt" in text.replace(" ", "")
    assert all(len(line) <= 80 for line in outcome.out.splitlines())


def test_one_stream(run_cli, recording):
    outcome = run_cli("inspect", recording.rgb)
    assert outcome.code == 0
    assert "second stream" not in outcome.out
    assert "paired" not in outcome.out


def test_streams_apart_are_a_warning_with_the_way_out(run_cli, recording, make_video):
    late = make_video(Path("thermal.mkv"), grey=True, first_pts=600)
    outcome = run_cli("inspect", recording.rgb, late)
    assert outcome.code == 0
    assert "warning: The streams share no time: give --offset-ms." in outcome.out
    aligned = run_cli("inspect", recording.rgb, late, "--offset-ms", -60000)
    assert "share no time" not in aligned.out


def test_json(run_cli, recording):
    outcome = run_cli("inspect", recording.rgb, recording.thermal, "--json")
    values = json.loads(outcome.out)
    report = values["report"]
    assert report["rgb"]["width"] == 96
    assert report["rgb"]["frame_rate"] == "10"
    assert report["modality"] == "thermal"
    assert report["match"]["sync"] == "pts"
    assert report["match"]["skew"]["missing"] == 0
    assert values["ground_truth"] == [str(recording.truth)]


def test_writes_nothing(run_cli, recording):
    run_cli("inspect", recording.rgb, recording.thermal)
    assert list(Path().iterdir()) == []


def test_all_tracks_and_the_clock_are_told(run_cli, make_video):
    late = make_video(Path("late.mp4"), first_pts=20)
    text = " ".join(run_cli("inspect", late, "--json").out.split())
    (container,) = json.loads(text)["containers"]
    assert [stream["codec"] for stream in container["streams"]] == ["h264"]
    clock = container["clock"]
    assert (clock["frames"], clock["first_s"], clock["is_variable"]) == (12, "2", False)
    shown = " ".join(run_cli("inspect", late).out.split())
    assert "12 stamps, 2.000-3.100 s, even" in shown


def test_streams_that_start_apart_are_given_an_offset(run_cli, recording, make_video):
    late = make_video(Path("thermal.mkv"), grey=True, first_pts=3)
    match = json.loads(run_cli("inspect", recording.rgb, late, "--json").out)["report"]["match"]
    assert (match["start_apart_s"], match["suggested_offset_s"], match["length_ratio"]) == (
        "3/10",
        "-3/10",
        "1",
    )
    shown = " ".join(run_cli("inspect", recording.rgb, late).out.split())
    assert "starts +300.0 ms apart; --offset-ms -300 would make them start together" in shown


def test_sheet(run_cli, recording):
    outcome = run_cli("inspect", recording.rgb, recording.thermal, "--sheet", "sheet.png")
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1] == "sheet.png"
    sheet = cv2.imread("sheet.png")
    assert sheet.shape == (5 * 320 + 4 * 4, 3 * 480 + 2 * 4, 3)
    assert run_cli("inspect", recording.rgb, "--sheet", "sheet.png").code == 5
    assert run_cli("inspect", recording.rgb, "--sheet", "sheet.png", "--overwrite").code == 0
    assert cv2.imread("sheet.png").shape[1] == 480


def test_sheet_of_a_data_set_shows_its_boxes(run_cli, recording):
    assert run_cli("inspect", recording.rgb.parent, "--sheet", "boxed.png").code == 0
    assert run_cli("inspect", recording.rgb, recording.thermal, "--sheet", "plain.png").code == 0
    boxed, plain = cv2.imread("boxed.png").astype(int), cv2.imread("plain.png").astype(int)
    rows, columns = (abs(boxed - plain).sum(axis=2) > 100)[:320, :480].nonzero()
    scale = 480 / 96
    assert abs(columns.min() - 20 * scale) < 8
    assert abs(rows.max() - 32 * scale) < 8


def test_results_are_told_by_their_records(run_cli, track):
    assert track("--box", "20,16,16,16", "--no-video").code == 0
    outcome = run_cli("inspect", "out")
    assert outcome.code == 0
    for words in ("out", "complete", "12", "rgb.mp4 + thermal.mp4"):
        assert words in outcome.out
    assert json.loads(run_cli("inspect", "out", "--json").out)["runs"]["out"]["status"] == "complete"
    Path("all").mkdir()
    Path("out").rename("all/night")
    assert "night" in run_cli("inspect", "all").out


def test_a_folder_that_batch_reads(run_cli, recording):
    outcome = run_cli("inspect", copies(recording, "walk", truth=False))
    assert outcome.code == 0
    assert "walk" in outcome.out
