"""Corrections: a target given in several frames, absent from some, and results that are gone on with."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import pictures_in, written
from program import boxes_of

from dmtrack.boxes.reading import read_rows
from dmtrack.geometry.box import Box
from dmtrack.output.record import read_run_json
from dmtrack.run.pipeline import track as track_in_python
from dmtrack.run.request import NetworkOptions, OutputOptions, TrackRequest
from dmtrack.run.session import prepared_run
from dmtrack.tracking.start import Absence, TargetStart
from dmtrack.video.source import FrameSource

HEAD = "frame,id,x,y,w,h,state\n"
CORRECTED = HEAD + "0,1,20,16,16,16,init\n6,1,30,20,12,12,init\n"


def write(text: str, name: str = "given.csv") -> Path:
    return written(Path(name), text)


def given(folder: str = "out") -> list[tuple[int, int]]:
    rows = read_rows(Path(folder, "boxes.csv"))
    return [(row.frame_index, row.target_id) for row in rows if row.state == "init"]


def test_a_later_box_of_a_target_corrects_it(track):
    assert track("--box-file", write(CORRECTED), "--no-video").code == 0
    assert given() == [(0, 1), (6, 1)]
    at_6 = next(row for row in read_rows(Path("out/boxes.csv")) if row.frame_index == 6)
    assert at_6.box.xywh == (30, 20, 12, 12)
    lines = Path("out/keyframes.csv").read_text().splitlines()[1:]
    assert [line.split(",")[:2] for line in lines] == [["0", "1"], ["6", "1"]]


def test_two_ways_change_what_lies_between_and_nothing_else(track):
    path = write(CORRECTED)
    assert track("--box-file", path, "--no-video", "--two-way", "off").code == 0
    forward = boxes_of()
    assert track("--box-file", path, "--no-video", "--overwrite").code == 0
    both = boxes_of()
    differ = [int(one[0]) for one, other in zip(forward[1:], both[1:], strict=True) if one != other]
    assert differ
    assert set(differ) <= set(range(1, 6))


def test_what_is_said_of_a_recording_is_said_once(track):
    """It is opened for each stretch between two keyframes, and once more when all is written."""
    pictures_in(Path("rgb"), [np.full((64, 96, 3), 90, np.uint8)] * 12, "{}.png")
    cv2.imwrite("rgb/8.png", np.full((32, 48, 3), 90, np.uint8))
    written(Path("rgb/4.png"), "no picture")
    shutil.copy("rgb/1.png", "rgb/poster.png")
    for words in (["--box-file", write(CORRECTED)], ["--continue", "--box", "1:20,16,12,12", "--from", 3]):
        rgb = Path("rgb") if "--box-file" in words else Path("out")
        done = track(*words, "--no-video", rgb=rgb, aux=None)
        assert done.code == 0
        for name in ("poster", "4", "8"):
            assert done.err.count(f"{name}.png") == 1


def test_a_correction_may_lie_where_the_second_stream_has_ended(track, run_cli):
    assert track("--box", "20,16,16,16", "--no-video", "--offset-ms", "-600").code == 0
    for frame in (11, 9):
        outcome = run_cli("track", "--continue", "out", "--box", "30,20,12,12", "--from", frame)
        assert outcome.code == 0, outcome.err
    assert given() == [(0, 1), (9, 1), (11, 1)]


def test_what_is_said_behind_the_end_of_the_run_is_left_out(track, run_cli):
    text = CORRECTED + "4,1,,,,,absent\n7,1,,,,,absent\n9,1,,,,,lost\n"
    outcome = track("--box-file", write(text), "--end", "0.6s", "--no-video")
    assert outcome.code == 0, outcome.err
    said = "left out what lies behind --end 0.6s: target 1 in frame 6, target 1 in frame 7"
    assert said in " ".join(outcome.err.split())
    assert (given(), len(read_rows(Path("out/boxes.csv")))) == ([(0, 1)], 4)
    refused = run_cli("track", "--continue", "out", "--box", "30,20,12,12", "--from", 6)
    assert (refused.code, "6 lies behind --end 0.6s of the run" in refused.err) == (4, True)


def test_a_correction_before_the_start_of_the_run_is_refused(track, run_cli):
    assert track("--box", "20,16,16,16", "--start", "0.5s", "--no-video").code == 0
    for moment in ("4", "0.4s"):
        outcome = run_cli("track", "--continue", "out", "--box", "30,20,12,12", "--from", moment)
        outcome.refused(4, f"--from: {moment} lies before --start 0.5s of the run")
    assert run_cli("track", "--continue", "out", "--box", "30,20,12,12", "--from", "5").code == 0
    assert given() == [(5, 1)]


def test_two_ways_change_nothing_without_a_later_box(track):
    for choice in ("off", "on"):
        assert track("--box", "20,16,16,16", "--no-video", "--two-way", choice, "-o", choice).code == 0
    assert boxes_of("off") == boxes_of("on")


@pytest.mark.parametrize("two_way", ["auto", "on"])
def test_results_are_gone_on_with(track, run_cli, two_way):
    """What was corrected in a second step is what both boxes give at once, to the byte."""
    assert track("--box", "20,16,16,16", "-o", "first").code == 0
    before = boxes_of("first")
    shutil.copytree("first", "again")
    words = ("--box", "30,20,12,12", "--from", "6", "--two-way", two_way)
    assert run_cli("track", "--continue", "again", *words).code == 0
    after = boxes_of("again")
    if two_way == "auto":
        assert after[:7] == before[:7], "what lies before the new box stays as it was"
    assert after[7] != before[7]
    assert len(after) == len(before)
    assert track("--box-file", "again/keyframes.csv", "-o", "whole").code == 0
    assert boxes_of("whole") == after
    assert Path("whole/keyframes.csv").read_bytes() == Path("again/keyframes.csv").read_bytes()
    assert Path("whole/boxes.txt").read_bytes() == Path("again/boxes.txt").read_bytes()


def test_results_are_written_as_they_were(track, run_cli):
    words = ("--mot-origin", "1", "--keep-lost", "--no-video")
    assert track("--box", "20,16,16,16", *words).code == 0
    before = Path("out/boxes.txt").read_text().splitlines()
    assert run_cli("track", "--continue", "out", "--box", "30,20,12,12", "--from", "6").code == 0
    assert Path("out/boxes.txt").read_text().splitlines()[:6] == before[:6]
    assert not Path("out/annotated.mp4").exists()
    record = read_run_json(Path("out/run.json"))
    assert "--mot-origin=1" in record["command"], "the next one goes on like that too"


def test_only_what_depends_on_a_new_box_is_tracked_again(track, run_cli):
    two = HEAD + "0,1,20,16,16,16,init\n0,2,40,30,14,14,init\n"
    assert track("--box-file", write(two), "--no-video").code == 0
    before = boxes_of()
    words = ("--box", "2:30,20,12,12", "--from", "8", "--no-video", "--progress", "json")
    outcome = run_cli("track", "--continue", "out", *words)
    assert outcome.code == 0, outcome.err
    assert '"total": 4' in outcome.out, "frames 8 to 11 of target 2"
    after = boxes_of()
    changed = [row for row, old in zip(after, before, strict=True) if row != old]
    assert {(int(row[0]) >= 8, row[4]) for row in changed} == {(True, "2")}


def test_an_absent_target_has_no_rows_and_is_looked_for_again(track):
    text = HEAD + "0,1,20,16,16,16,init\n3,1,,,,,absent\n7,1,,,,,lost\n"
    assert track("--box-file", write(text), "--no-video").code == 0
    assert [row.frame_index for row in read_rows(Path("out/boxes.csv"))] == [0, 1, 2, 7, 8, 9, 10, 11]
    record = read_run_json(Path("out/run.json"))
    assert record["counts"]["frames"] == 12


def test_python_gives_the_same_as_the_command(track, recording, weights):
    assert track("--box-file", write(CORRECTED), "--no-video").code == 0
    keys = [TargetStart(row.box, 1, row.frame_index) for row in read_rows(Path("given.csv"))]
    found = list(track_in_python(recording.rgb, recording.thermal, keys, weights=weights, device="cpu"))
    written = read_rows(Path("out/boxes.csv"))
    assert [row.frame_index for row in found] == [row.frame_index for row in written]
    for row, other in zip(found, written, strict=True):
        assert row.box.xywh == pytest.approx(other.box.xywh, abs=1e-5)


def test_an_absence_is_said_in_python(recording, weights):
    keys = (TargetStart(Box(20, 16, 16, 16), 1, 0), Absence(1, 4))
    request = TrackRequest(
        recording.rgb,
        recording.thermal,
        boxes=keys,
        network=NetworkOptions(str(weights)),
        output=OutputOptions(folder=Path("made"), no_video=True),
    )
    with prepared_run(request) as run:
        run.retracked_s = 1000
        run.execute()
    assert [row.frame_index for row in read_rows(Path("made/boxes.csv"))] == [0, 1, 2, 3]
    assert read_run_json(Path("made/run.json"))["speed"]["wall_s"] > run.retracked_s > 1000


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--box", "30,20,12,12"), 4, "no frame is given for 30,20,12,12"),
        (("--box", "2:30,20,12,12"), 4, "no frame is given for 30,20,12,12"),
        (("--from", "6"), 4, "--from: needs a box"),
        (("other.mkv", "--box", "30,20,12,12", "--from", "6"), 4, "other.mkv: with --continue"),
        (("--box", "30,20,12,12", "--box", "40,20,12,12", "--from", "6"), 3, "given twice"),
        (("--box", "30,20,1e300,12", "--from", "6"), 3, "4 times as wide or high"),
        (("--box", "30,20,12,12", "--from", "99"), 4, "99 lies behind the last of 12 frames of the run"),
        (("--box", "500,500,12,12", "--from", "6"), 3, "outside"),
        (("--box", "3:30,20,12,12", "--from", "6", "--offset-ms", "10"), 4, "--offset-ms"),
        (("--box", "30,20,12,12", "--from", "6", "--end", "9"), 4, "--end"),
    ],
    ids=[
        *("no frame", "no frame of an id", "no box", "another stream", "twice", "far too large"),
        *("behind the end", "outside the frame", "another pairing", "another end"),
    ],
)
def test_what_cannot_be_gone_on_with_is_said_and_nothing_is_lost(track, run_cli, words, code, said):
    assert track("--box", "20,16,16,16", "--no-video").code == 0
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    outcome = run_cli("track", "--continue", "out", "--no-video", *words)
    assert outcome.code == code
    assert said in outcome.err
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


def test_which_of_several_targets_is_meant_must_be_said(track, run_cli):
    two = HEAD + "0,1,20,16,16,16,init\n0,2,40,30,14,14,init\n"
    assert track("--box-file", write(two), "--no-video").code == 0
    outcome = run_cli("track", "--continue", "out", "--box", "30,20,12,12", "--from", "6")
    assert "ID:X,Y,W,H" in outcome.err


@pytest.mark.parametrize("ident", ["", "1:"])
@pytest.mark.parametrize(
    ("numbers", "order"), [("30,20,42,32", "xyxy"), ("36,26,12,12", "cxcywh"), ("30,20,12,12", "xywh")]
)
def test_boxes_are_read_in_the_order_that_is_said(track, run_cli, ident, numbers, order):
    assert track("--box", f"{ident}{numbers}", "--box-format", order, "--no-video", "--end", "8").code == 0
    words = ("--box", f"{ident}{numbers}", "--box-format", order, "--from", "6", "--no-video")
    assert run_cli("track", "--continue", "out", *words).code == 0
    rows = {row.frame_index: row.box.xywh for row in read_rows(Path("out/boxes.csv"))}
    assert rows[0] == rows[6] == (30, 20, 12, 12)


def test_results_of_another_recording_are_refused(track, run_cli, recording):
    copied = Path("mine.mkv")
    shutil.copy(recording.rgb, copied)
    assert track("--box", "20,16,16,16", "--no-video", rgb=copied).code == 0
    with copied.open("ab") as file:
        file.write(bytes(99))
    outcome = run_cli("track", "--continue", "out", "--box", "30,20,12,12", "--from", "6")
    assert outcome.code != 0
    assert "another recording" in outcome.err


@pytest.mark.parametrize("output", [Path, Path.absolute], ids=["to relative", "to absolute"])
@pytest.mark.parametrize("named", [Path, Path.absolute], ids=["relative", "absolute"])
def test_a_recording_is_found_where_it_lies_to_its_results(
    track, run_cli, weights, monkeypatch, named, output
):
    """From any folder, one with another recording of the same name too, and after both were moved."""
    for folder, count in (("mine", 12), ("other", 3)):
        pictures_in(Path(folder, "rgb"), [np.full((64, 96, 3), 90, np.uint8)] * count)
    times = written(Path("mine/times.txt"), "\n".join(str(number / 10) for number in range(12)))
    with monkeypatch.context() as there:
        there.chdir("mine")
        shutil.copytree(weights, "weights")
        files = ("--rgb-times", named(Path(times.name)), "--weights", f"{named(Path('weights'))}/")
        words = ("--box", "20,16,16,16", "--no-video", *files, "-o", output(Path("out")))
        assert track(*words, rgb=named(Path("rgb")), aux=None).code == 0
    Path("mine").rename("moved")
    Path("link").symlink_to("moved/out")
    places = [("other", "../moved/out", 6), ("moved/out", ".", 8), ("moved", "out", 10), (".", "link", 11)]
    for where, results, frame in places:
        with monkeypatch.context() as there:
            there.chdir(where)
            outcome = run_cli("track", "--continue", results, "--box", "30,20,12,12", "--from", frame)
            assert outcome.code == 0, outcome.err
    assert given("moved/out") == [(0, 1), (6, 1), (8, 1), (10, 1), (11, 1)]


def test_streams_that_were_named_in_two_ways_are_found_after_a_move(track, run_cli, monkeypatch, recording):
    shutil.copytree(recording.rgb.parent, "mine")
    with monkeypatch.context() as there:
        there.chdir("mine")
        rgb, aux = Path(recording.rgb.name), Path(recording.thermal.name).absolute()
        assert track("--box", "20,16,16,16", "--no-video", rgb=rgb, aux=aux).code == 0
    Path("mine").rename("moved")
    outcome = run_cli("track", "--continue", "moved/out", "--box", "30,20,12,12", "--from", 6)
    assert outcome.code == 0, outcome.err


def test_an_early_record_of_a_relative_recording_and_absolute_results_is_found(track, run_cli, monkeypatch):
    """It does not say in which folder it was run; the recording lies below one that the results are in."""
    pictures_in(Path("mine/clips/rgb"), [np.full((64, 96, 3), 90, np.uint8)] * 12)
    with monkeypatch.context() as there:
        there.chdir("mine")
        out = Path("runs/out").absolute()
        rgb = Path("clips/rgb")
        assert track("--box", "20,16,16,16", "--no-video", "-o", out, rgb=rgb, aux=None).code == 0
    record = out / "run.json"
    record.write_text(record.read_text().replace(str(Path("mine/clips/rgb").absolute()), str(rgb)))
    assert read_run_json(record)["command"][2] == "clips/rgb"
    outcome = run_cli("track", "--continue", out, "--box", "30,20,12,12", "--from", 6)
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize(("moment", "frame"), [("0.6s", 6), ("550ms", 6), ("0:00.61", 7)])
def test_the_frame_may_be_a_time(track, run_cli, moment, frame):
    """The recording has ten frames a second; a time between two means the later one."""
    assert track("--box", "20,16,16,16", "--no-video").code == 0
    outcome = run_cli("track", "--continue", "out", "--box", "30,20,12,12", "--from", moment, "--no-video")
    assert outcome.code == 0, outcome.err
    assert given() == [(0, 1), (frame, 1)]


def test_a_time_behind_the_end_is_said(track, run_cli):
    assert track("--box", "20,16,16,16", "--no-video").code == 0
    outcome = run_cli("track", "--continue", "out", "--box", "30,20,12,12", "--from", "9s")
    outcome.refused(4, "9s lies behind the last of 12 frames")
    outcome = run_cli(
        "track", "--continue", "out", "--box", "30,20,12,12", "--from", "900", "--progress", "json"
    )
    outcome.refused(4, "900 lies behind the last of 12 frames of the run")


def test_a_keyframe_behind_an_end_that_nobody_knows_is_refused_before_anything_is_tracked(track, monkeypatch):
    monkeypatch.setattr(FrameSource, "frames_before", lambda *_: None)
    for late in ("40,1,30,20,12,12,init\n", "8,1,,,,,absent\n40,1,,,,,lost\n"):
        outcome = track("--box-file", write(CORRECTED + late), "--no-video", "--progress", "json")
        assert outcome.code == 3
        assert "frame 40 of a keyframe cannot be read" in outcome.error_lines[-1]
        assert '"progress"' not in outcome.out + outcome.err, late
        assert not re.search(r": ?-\d", outcome.err), "less than nothing is to be tracked"
        assert not Path("out").exists()


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        pytest.param(("versions", "dmtrack"), "0.0.1", "made with dmtrack 0.0.1, and this is", id="version"),
        pytest.param(("weights", "sha256"), "0123456789", "other weights", id="weights"),
    ],
)
def test_results_of_another_version_or_other_weights_are_said(track, run_cli, place, value, said):
    assert track("--box", "20,16,16,16", "--no-video").code == 0
    path = Path("out/run.json")
    record = json.loads(path.read_text())
    record[place[0]][place[1]] = value
    path.write_text(json.dumps(record))
    outcome = run_cli("track", "--continue", "out", "--box", "30,20,12,12", "--from", "6", "--no-video")
    assert outcome.code == 0
    assert said in " ".join(outcome.err.split())
    again = run_cli("track", "--continue", "out", "--box", "30,20,12,12", "--from", "8", "--no-video")
    assert said not in " ".join(again.err.split()), "the record is that of the new run"


@pytest.mark.parametrize("keyframes", [True, False], ids=["whole", "no-keyframes"])
def test_a_run_that_was_killed_is_finished(track, run_cli, keyframes):
    """What `kill -9` leaves: the record of a run that goes on, keyframes, and files under temporary names."""
    assert track("--box", "20,16,16,16", "--no-video").code == 0
    whole = boxes_of()
    record = Path("out/run.json")
    record.write_text(record.read_text().replace('"status": "complete"', '"status": "running"'))
    for name in ("boxes.csv", "boxes.txt"):
        Path("out", name).rename(Path("out", f".{name}.part"))
    if not keyframes:
        Path("out/keyframes.csv").unlink()
    outcome = run_cli("track", "--continue", "out")
    if keyframes:
        assert outcome.code == 0, outcome.err
        assert "killed before it wrote its boxes" in outcome.err
        assert boxes_of() == whole
        assert not list(Path("out").glob(".*"))
    else:
        assert (outcome.code, len(outcome.error_lines)) == (3, 1)


def test_what_is_no_results_folder_is_said(run_cli, tmp_path):
    run_cli("track", "--continue", tmp_path, "--box", "1,2,3,4", "--from", "2").refused(3, "run.json")


def test_results_are_no_recording(track):
    """Their plots are pictures, and were tracked where --continue was forgotten."""
    for words in ((), ("--no-video", "--overwrite")):
        assert track("--box", "20,16,16,16", *words).code == 0
        track("--box", "20,16,16,16", "-o", "new", rgb=Path("out"), aux=None).refused(
            3, "--continue to track on"
        )
        Path("out/annotated.mp4").unlink(missing_ok=True)
    written(Path("out/film.mp4"), "a video whose name says nothing")
    track("--box", "20,16,16,16", "-o", "new", rgb=Path("out"), aux=None).refused(3, "--continue to track on")
    for name in ("rgb", "thermal"):  # a recording whose results lie in its own folder
        Path("out", name).mkdir()
        cv2.imwrite(f"out/{name}/0.png", np.full((64, 96, 3), 90, np.uint8))
    assert track("--box", "20,16,16,16", "-o", "new", rgb=Path("out"), aux=None).code == 0
    assert read_run_json(Path("new/run.json"))["inputs"][0]["video"]["path"] == str(Path("out/rgb"))


def test_a_frame_without_results_to_go_on_with(track):
    track("--box", "20,16,16,16", "--from", "3").refused(4, "--continue")
