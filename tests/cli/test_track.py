"""`dmtrack track` from start to end, in this process, with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest
from program import times_of

from dmtrack.boxes.reading import read_results, read_rows
from dmtrack.output.record import read_run_json

BOX = "20,16,16,16"
#: The files of a result, in the order in which they are said; the record comes last.
NAMES = (
    "annotated.mp4",
    "boxes.txt",
    "boxes.csv",
    "keyframes.csv",
    "score.png",
    "trajectory.png",
    "run.json",
)


def test_leaves_a_video_two_tables_and_a_record(track, rendered):
    assert track("--box", BOX).code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(NAMES)
    rows, table = read_rows(Path("out/boxes.txt")), read_rows(Path("out/boxes.csv"))
    assert [row.frame_index for row in rows] == list(range(12))
    assert rows[0].box.xywh == (20, 16, 16, 16)
    assert [row.frame_index for row in table] == list(range(12))
    assert [row.state for row in table] == ["init"] + ["tracked"] * 11
    assert all(frame.aux_present for frame in read_results(Path("out/boxes.csv"))[0].frames)
    assert times_of(Path("out/annotated.mp4")) == pytest.approx([n / 10 for n in range(12)])


def test_the_record_says_what_ran(track, recording):
    assert track("--box", BOX, "--start", "1", "--precision", "fp32").code == 0
    record = read_run_json(Path("out/run.json"))
    assert record["status"] == "complete"
    assert record["counts"]["frames"] == 11
    assert record["device"] == "cpu"
    assert (record["precision"], record["backend"]) == ("fp32", "torch")
    assert [item["role"] for item in record["inputs"]] == ["rgb", "aux"]
    configuration = record["configuration"]
    assert configuration["targets"] == [
        {"box": {"x": 20, "y": 16, "w": 16, "h": 16}, "target_id": 1, "frame_index": 1, "back": True}
    ]
    assert configuration["modality"] == "thermal"
    assert configuration["start"] == "1"
    assert set(configuration["weights_files"]) == {"foundation.safetensors", "thermal.safetensors"}
    assert record["outputs"] == list(NAMES[:-1])


def test_the_summary_names_files_and_speed(track):
    out = track("--box", BOX, "--precision", "fp32").out
    for words in ("frames", "12", "targets", "mean score", "network", "fps", "cpu, fp32, torch"):
        assert words in out
    for name in NAMES:
        assert f"out/{name}" in out
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--box", "20,16,16,16"], id="commas"),
        pytest.param(["--box", "20 16 16 16"], id="blanks"),
        pytest.param(["--box", "20", "16", "16", "16"], id="four-words"),
        pytest.param(["--box=20,16,16,16"], id="equals-sign"),
        pytest.param([], id="ground-truth-beside"),
    ],
)
def test_ways_to_give_a_box(track, words):
    assert track("--no-video", *words).code == 0
    assert read_rows(Path("out/boxes.txt"))[0].box.xywh == (20, 16, 16, 16)


def test_box_before_the_inputs(run_cli, recording, weights):
    outcome = run_cli(
        "track", "--box", 20, 16, 16, 16, recording.rgb, "--weights", weights, "-o", "out", "--no-video"
    )
    assert outcome.code == 0
    assert "second stream" not in outcome.out


def test_negative_x_is_a_box(track):
    assert track("--no-video", "--box", "-5,10,20,20").code == 0
    assert read_rows(Path("out/boxes.txt"))[0].box.x == -5


def test_ground_truth_beside_counts_from_the_start_frame(track):
    outcome = track("--no-video", "--start", "3")
    assert outcome.code == 0
    assert "row 4 of groundtruth.txt" in outcome.err
    assert read_rows(Path("out/boxes.txt"))[0].box.x == 23


def test_box_file_gives_its_first_row(track):
    Path("init.txt").write_text("30\t20\t12\t10\n99\t99\t9\t9\n")
    assert track("--no-video", "--start", "2", "--box-file", "init.txt").code == 0
    row = read_rows(Path("out/boxes.txt"))[0]
    assert row.box.xywh == (30, 20, 12, 10)
    assert row.frame_index == 2


def test_several_boxes_are_several_targets(track):
    assert track("--box", BOX, "--box", "40,20,10,10").code == 0
    rows = read_rows(Path("out/boxes.txt"))
    assert [row.target_id for row in rows] == [1, 2] * 12
    assert read_run_json(Path("out/run.json"))["counts"]["targets"] == 2


@pytest.mark.parametrize(
    ("start", "end", "frames"),
    [
        pytest.param("2", "5", [2, 3, 4], id="indices-end-excluded"),
        pytest.param("0.25s", "0.6s", [3, 4, 5], id="times"),
        pytest.param("10", None, [10, 11], id="to-the-end"),
        pytest.param(None, "1", [0], id="one-frame"),
        pytest.param("11", "500", [11], id="end-behind-the-last"),
    ],
)
def test_start_and_end(track, start, end, frames):
    words = [*(["--start", start] if start else []), *(["--end", end] if end else [])]
    assert track("--box", BOX, *words).code == 0
    assert [row.frame_index for row in read_rows(Path("out/boxes.csv"))] == frames
    assert len(times_of(Path("out/annotated.mp4"))) == len(frames)


@pytest.mark.parametrize("layout", ["side", "overlay"])
def test_rgb_alone(track, layout):
    outcome = track("--box", BOX, "--layout", layout, "--end", "2", aux=None)
    assert outcome.code == 0
    assert ("shows RGB, not --layout overlay" in outcome.err) is (layout == "overlay")
    assert {frame.aux_present for frame in read_results(Path("out/boxes.csv"))[0].frames} == {False}


@pytest.mark.parametrize("layout", ["side", "overlay", "rgb", "aux"])
def test_layouts(track, layout):
    assert track("--box", BOX, "--layout", layout, "--end", "2").code == 0
    with av.open("out/annotated.mp4") as container:
        stream = container.streams.video[0]
        assert (stream.width > 1.9 * stream.height) == (layout == "side")


def test_quiet_says_nothing(track):
    outcome = track("--box", BOX, "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_plain_progress_goes_to_standard_error(track):
    outcome = track("--box", BOX, "--progress", "plain")
    assert "frame 12/12" in outcome.err
    assert "frame 12/12" not in outcome.out


def test_json_progress_is_json_on_standard_output(track):
    outcome = track("--box", BOX, "--progress", "json")
    events = [json.loads(line) for line in outcome.out.splitlines()]
    assert events[0]["event"] == "start"
    assert events[0]["boxes"] == [BOX]
    assert events[-2]["event"] == "progress"
    assert events[-2]["frames"] == events[-2]["total"] == 12
    assert events[-1]["event"] == "end"
    assert events[-1]["status"] == "complete"
    assert events[-1]["files"] == [f"out/{name}" for name in NAMES]
    assert outcome.err == ""


def test_overwrite_replaces_results(track):
    assert track("--box", BOX).code == 0
    assert track("--box", "30,20,10,10", "--overwrite").code == 0
    assert read_rows(Path("out/boxes.txt"))[0].box.xywh == (30, 20, 10, 10)


def test_a_video_of_an_earlier_run_that_stays_is_said(track):
    assert track("--box", BOX).code == 0
    again = track("--box", "30,20,10,10", "--overwrite", "--no-video")
    assert (again.code, again.err.count("annotated.mp4: kept from an earlier run")) == (0, 1)
    assert "annotated.mp4" not in track("--box", BOX, "--overwrite").err


def test_no_video_leaves_none(track):
    assert track("--box", BOX, "--no-video").code == 0
    assert not Path("out/annotated.mp4").exists()
    assert read_run_json(Path("out/run.json"))["outputs"] == list(NAMES[1:-1])


def test_the_default_folder_is_named_after_the_recording(run_cli, recording, weights):
    assert run_cli("track", recording.rgb, recording.thermal, "--weights", weights, "--no-video").code == 0
    (folder,) = Path("dmtrack-results").iterdir()
    assert folder.name == recording.rgb.parent.name


def test_folders_of_pictures(run_cli, weights):
    import cv2
    import numpy as np

    for name in ("visible", "infrared"):
        Path("clip", name).mkdir(parents=True)
        for number in range(3):
            picture = np.full((48, 64, 3), 30 * number, np.uint8)
            picture[10:30, 10 + number : 30 + number] = 220
            cv2.imwrite(f"clip/{name}/{number}.png", picture)
    Path("clip/visible.txt").write_text("10 10 20 20\n" * 3)
    outcome = run_cli("track", "clip/visible", "clip/infrared", "--weights", weights)
    assert outcome.code == 0
    assert "thermal" in outcome.err
    assert len(read_rows(Path("dmtrack-results/clip/boxes.txt"))) == 3
