"""Targets that start at different frames, under ids of their own, through `dmtrack track` and its files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from clips import written
from program import times_of

from dmtrack.boxes.reading import read_rows
from dmtrack.output.record import read_run_json

MOT = "7,5,30,20,12,12,1,-1,-1,-1\n4,9,20,16,16,16,1,-1,-1,-1\n8,5,31,20,12,12,1,-1,-1,-1\n"
"""Target 9 from frame 3, target 5 from frame 6; not in order."""


def write(text: str, name: str = "targets.txt") -> Path:
    return written(Path(name), text)


def ids_by_frame() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for row in read_rows(Path("out/boxes.txt")):
        found.setdefault(row.frame_index, []).append(row.target_id)
    return found


def test_every_output_keeps_ids_and_starts(track):
    outcome = track("--box-file", write(MOT))
    assert outcome.code == 0
    assert ids_by_frame() == {3: [9], 4: [9], 5: [9], **{frame: [5, 9] for frame in range(6, 12)}}
    rows = read_rows(Path("out/boxes.csv"))
    assert [(row.frame_index, row.target_id, row.box.xywh) for row in rows if row.state == "init"] == [
        (3, 9, (20, 16, 16, 16)),
        (6, 5, (30, 20, 12, 12)),
    ]
    record = read_run_json(Path("out/run.json"))
    assert (record["counts"]["frames"], record["counts"]["targets"]) == (12, 2)
    starts = record["configuration"]["targets"]
    assert [(start["target_id"], start["frame_index"]) for start in starts] == [(5, 6), (9, 3)]
    assert len(times_of("out/annotated.mp4")) == 12, "frames without a target are shown too"
    assert "30,20,12,12 from frame 6 and 20,16,16,16 from frame 3" in outcome.err


def test_progress_before_the_first_target(track):
    lines = track("--box-file", write(MOT), "--end", "7", "--no-video", "--progress", "json").out.splitlines()
    events = [json.loads(line) for line in lines]
    assert events[0]["ids"] == [5, 9]
    assert events[0]["frames"] == [6, 3]
    assert events[1]["score"] is None
    assert events[-1]["mean_score"] is not None
    outcome = track("--box-file", "targets.txt", "--no-video", "--overwrite", "--progress", "plain")
    first = next(line for line in outcome.err.splitlines() if line.startswith("frame "))
    assert "score" not in first


@pytest.mark.parametrize("kind", ["rich", "none"])
def test_other_progress_before_the_first_target(track, kind):
    assert track("--box-file", write(MOT), "--no-video", "--progress", kind).code == 0


def test_start_in_the_middle_takes_the_first_row_from_there_on(track):
    text = MOT + "2,1,10,10,9,9,1\n9,9,24,16,16,16,1\n"
    outcome = track("--box-file", write(text), "--start", "7", "--no-video")
    assert outcome.code == 0
    inits = [row for row in read_rows(Path("out/boxes.csv")) if row.state == "init"]
    assert [(row.frame_index, row.target_id, row.box.x) for row in inits] == [(7, 5, 31), (8, 9, 24)]
    assert "left out what ends before frame 7: target 1" in outcome.err


@pytest.mark.parametrize("end", ["6", "0.6s"])
def test_what_starts_behind_the_end_is_left_out(track, end):
    outcome = track("--box-file", write(MOT), "--end", end, "--no-video")
    assert outcome.code == 0
    said = f"warning: targets.txt: left out what lies behind --end {end}: target 5 in frame 6"
    assert said in " ".join(outcome.err.split())
    assert ids_by_frame() == {3: [9], 4: [9], 5: [9]}


def test_nothing_starts_before_the_end(track):
    outcome = track("--box-file", write(MOT), "--end", "2")
    assert outcome.code == 3
    assert "targets.txt: no target starts before --end 2" in outcome.error_lines[-1]
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("late", "left_out"),
    [
        pytest.param("40,2,20,16,16,16,1\n", "target 2 in frame 39", id="a target"),
        pytest.param("40,9,20,16,16,16,1\n", "target 9 in frame 39", id="a correction"),
        pytest.param(
            "13,9,9,9,9,9,1\n19,2,9,9,9,9,1\n", "target 2 in frame 18, target 9 in frame 12", id="both"
        ),
    ],
)
def test_what_lies_behind_the_recording_is_left_out_and_the_others_are_tracked(
    track, run_cli, late, left_out
):
    outcome = track("--box-file", write(MOT + late), "--no-video")
    assert outcome.code == 0, outcome.err
    end = f"the end of the recording, which has 12 frames: {left_out}"
    assert outcome.error_lines[0] == f"warning: targets.txt: left out what lies behind {end}"
    assert len(ids_by_frame()) == 9
    assert read_run_json(Path("out/run.json"))["status"] == "complete"
    assert run_cli("track", "--continue", "out", "--no-video").code == 0


def test_the_results_of_a_run_start_another_one(track):
    assert track("--box-file", write(MOT), "--no-video").code == 0
    Path("out").rename("before")
    assert track("--box-file", "before/boxes.csv", "--no-video").code == 0
    assert Path("out/boxes.txt").read_bytes() == Path("before/boxes.txt").read_bytes()


def test_boxes_beside_a_file_with_ids_take_the_free_ones(track):
    truth = write("50,20,10,10\n51,20,10,10\n", "groundtruth.txt")
    mot = write("3,2,20,16,16,16,1\n")
    words = ["--box-file", truth, "--box-file", mot, "--box", "10,10,10,10", "--no-video", "--end", "4"]
    assert track(*words).code == 0
    first = {row.target_id: row.box.x for row in reversed(read_rows(Path("out/boxes.txt")))}
    assert first == {1: 10, 2: 20, 3: 50}


def test_an_id_in_two_files(track):
    write(MOT, "a.txt")
    write("1,9,20,16,16,16,1\n", "b.txt")
    outcome = track("--box-file", "a.txt", "--box-file", "b.txt")
    assert outcome.code == 3
    assert outcome.error_lines == ["error: b.txt: target id 9 is in a.txt too"]


def test_a_target_of_a_file_is_not_given_in_the_same_frame_again(track):
    """Of two boxes one was named as the start, and the other one followed."""
    outcome = track("--box-file", write(MOT), "--box", "9:10,10,16,16", "--start", "3", "--no-video")
    assert (outcome.code, outcome.error_lines) == (3, ["error: target id 9 is given twice"])
    outcome = track("--box-file", "targets.txt", "--box", "9:10,10,16,16", "--no-video")
    assert outcome.code == 0, "in another frame it is corrected"


@pytest.mark.parametrize("option", ["--box", "--box-file"])
def test_two_corners_are_doubted_and_may_be_said(track, option):
    corners = "60,30,76,46"  # as a corner and a size it reaches far beyond the 96x64 frame
    value = corners if option == "--box" else write(f"{corners}\n", "corners.txt")
    outcome = track(option, value, "--no-video", "--end", "2")
    assert outcome.code == 0
    assert (
        "only 35% of box 60,30,76,46 lies in the 96x64 frame; two corners would be 60,30,16,16" in outcome.err
    )
    assert "--box-format xyxy" in outcome.err
    said = track(option, value, "--box-format", "xyxy", "--no-video", "--end", "2", "--overwrite")
    assert said.code == 0
    assert "two corners" not in said.err
    assert read_rows(Path("out/boxes.txt"))[0].box.xywh == (60, 30, 16, 16)


def test_shares_of_the_picture_are_a_box(track):
    words = ["--box", "0.25,0.25,0.5,0.25", "--box-format", "cxcywh", "--no-video", "--end", "2"]
    assert track(*words).code == 0
    assert read_rows(Path("out/boxes.txt"))[0].box.xywh == (0, 8, 48, 16)


@pytest.mark.parametrize("name", ["given.csv", "groundtruth.txt", "det.txt", "mot.txt"])
def test_shares_of_the_picture_are_boxes_in_files_too(track, recording, name):
    shares, beside = "0.25,0.25,0.5,0.25", name == "groundtruth.txt"
    rows = {
        "given.csv": f"frame,id,x,y,w,h\n0,1,{shares}\n9,1,{shares}\n",
        "groundtruth.txt": f"{shares}\n",
        "det.txt": f"1,-1,{shares},0.9\n",
        "mot.txt": f"1,1,{shares},0.9\n",
    }
    path = write(rows[name], name)
    rgb = Path(shutil.copy(recording.rgb, "clip.mp4"))
    outcome = track(*([] if beside else ["--box-file", path]), "--no-video", "--end", "10", rgb=rgb)
    assert outcome.code == 0
    assert "are they shares" not in outcome.err, "what is understood is not doubted"
    given = [row.box.xywh for row in read_rows(Path("out/boxes.csv")) if row.state == "init"]
    assert given == [(24, 16, 48, 16)] * (2 if name == "given.csv" else 1)


def test_a_box_that_lies_mostly_outside_is_doubted(track):
    outcome = track("--box", "80,10,60,50", "--no-video", "--end", "2")
    assert outcome.code == 0
    assert "only 27% of box 80,10,60,50 lies in the 96x64 frame" in outcome.err
