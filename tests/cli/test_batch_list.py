"""`batch --box` and `--write-list`: start boxes for recordings that have none, and a list that says them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import pytest
from clips import copies, written
from program import csv_by_id

from dmtrack.batch import Runner, Task, WorkerSlot, workers
from dmtrack.batch.work import EngineEvent, TaskDone, execute
from dmtrack.boxes.keyframes import keyframes_text, read_keyframes
from dmtrack.geometry.box import Box
from dmtrack.output.record import read_run_json
from dmtrack.run.start_boxes import DrawingScene
from dmtrack.tracking.start import Absence, Keyframe, TargetStart
from dmtrack_cli.console import Stopped
from dmtrack_cli.review import drawing

ROWS = ("--no-video", "--jobs", "1")


@pytest.fixture
def clips(recording) -> Path:
    """Three recordings without a box, one with, and one that cannot be read."""
    folder = copies(recording, "-a", "b", "c", "known", truth=False)
    shutil.copy(recording.truth, folder / "known.txt")
    for stream in ("rgb", "thermal"):
        (folder / f"broken_{stream}.mp4").write_bytes(b"no video")
    (folder / "broken.txt").write_text("1,2,3,4")
    return folder


@pytest.fixture
def drawn(monkeypatch) -> Callable[[dict[str, Sequence[TargetStart]]], list[str]]:
    """A person who draws what is said of each recording, and stops where nothing is."""

    def person(said: dict[str, Sequence[TargetStart]]) -> list[str]:
        looked_at: list[str] = []

        def draw(scene: DrawingScene, *_: object, **__: object) -> tuple[TargetStart, ...]:
            looked_at.append(scene.name)
            if scene.name not in said:
                raise Stopped("no box was drawn")
            return tuple(said[scene.name])

        monkeypatch.setattr(drawing, "draw_on_page", draw)
        return looked_at

    return person


ONE = (TargetStart(Box(20, 16, 16, 16), 1, 0),)
LATER = (TargetStart(Box(23, 16, 16, 16), 1, 3),)
TWO = (TargetStart(Box(20, 16, 16, 16), 1, 0), TargetStart(Box(25, 16, 16, 16), 2, 5))


@pytest.mark.slow
def test_what_is_drawn_stands_in_a_list_that_gives_the_same(run_cli, clips, drawn, weights):
    looked_at = drawn({"-a": ONE, "b": LATER, "c": TWO})
    outcome = run_cli("batch", clips, "-o", "out", "--box", "--write-list", "lists/list.csv")
    assert outcome.code == 6, "one cannot be read"
    assert looked_at == ["-a", "b", "c"], "known has a box"
    assert not Path("out").exists(), "nothing is tracked"
    rows = csv_by_id("lists/list.csv")
    assert set(rows) == {"'-a", "b", "c", "known"}, "a name is no formula"
    assert (rows["b"]["box"], rows["b"]["start"]) == ("23.0,16.0,16.0,16.0", "3")
    assert rows["c"]["box_file"] == "list-boxes/c.csv"
    assert rows["b"]["rgb"] == "../clips/b_rgb.mp4"

    words = ("--weights", weights, *ROWS)
    assert run_cli("batch", "lists/list.csv", "-o", "listed", *words).code == 0
    drawn({"-a": ONE, "b": LATER, "c": TWO})
    assert run_cli("batch", clips, "-o", "drawn", "--box", *words).code == 6
    for name in ("_a", "b", "c", "known"):
        one, other = (Path(folder, name, "boxes.txt").read_bytes() for folder in ("listed", "drawn"))
        assert one == other, name
        assert one


def test_a_person_who_stops_keeps_what_was_drawn(run_cli, clips, drawn):
    drawn({"-a": ONE})
    assert run_cli("batch", clips, "-o", "out", "--box", "--write-list", "list.csv").code == 130
    rows = csv_by_id("list.csv")
    assert (rows["'-a"]["box"], rows["b"]["box"], rows["b"]["box_file"]) == ("20.0,16.0,16.0,16.0", "", "")
    looked_at = drawn({"b": ONE, "c": ONE})
    words = ("--box", "--write-list", "more.csv")
    assert run_cli("batch", "list.csv", "-o", "out", *words).code == 0
    assert looked_at == ["b", "c"], "the list goes on where it was left"
    assert all(row["box"] for name, row in csv_by_id("more.csv").items() if name != "known")


def test_keyframes_of_a_review_stand_in_the_list(run_cli, clips):
    keyframes: list[Keyframe] = [TargetStart(Box(20, 16, 16, 16), 1, 2), Absence(1, 5, 8)]
    Path("out/b").mkdir(parents=True)
    Path("out/b/keyframes.csv").write_text(keyframes_text(keyframes))
    assert run_cli("batch", clips, "-o", "out", "--write-list", "list.csv").code == 6
    rows = csv_by_id("list.csv")
    assert rows["b"]["box_file"] == "list-boxes/b.csv"
    assert read_keyframes(Path("list-boxes/b.csv")) == keyframes
    assert not rows["c"]["box_file"]
    written(Path("out/b/keyframes.csv"), keyframes_text(keyframes).replace("20", "x"))
    outcome = run_cli("batch", clips, "-o", "out", "--write-list", "list.csv", "--overwrite")
    assert (outcome.code, outcome.err.count("x 'x.0' is not a number")) == (6, 1), outcome.err
    assert not csv_by_id("list.csv")["b"]["box_file"]


class HereEngine:
    """Does the tasks of a batch in this process, one after the other."""

    def __init__(self, slots: Sequence[WorkerSlot]) -> None:
        self.slot = slots[0]

    def run(self, tasks: Sequence[Task], runner: Runner) -> Generator[EngineEvent]:
        for task in tasks:
            yield TaskDone(task, execute(task, runner, self.slot, lambda *_: None), self.slot.name)


def test_a_batch_loses_nothing_that_a_person_said_of_its_recordings(run_cli, clips, weights, monkeypatch):
    monkeypatch.setattr(workers, "LocalEngine", HereEngine)
    begun = keyframes_text([TargetStart(Box(20, 16, 16, 16), 1, 2), Absence(1, 5, 8)])
    saved = begun.replace(".0", "").replace("\n", "\r\n").encode()  # by a spreadsheet
    written(Path("out/c/keyframes.csv"), saved)  # a review that was left before it was tracked
    listed = "id,rgb,aux,box,box_file\n{}c,clips/c_rgb.mp4,clips/c_thermal.mp4\n"
    row = 'b,clips/b_rgb.mp4,clips/b_thermal.mp4,"{}",{}\n'
    written(Path("list.csv"), listed.format(row.format("20,16,16,16", "")))
    words = ("batch", "list.csv", "-o", "out", "--weights", weights, "--no-video", "--resume")
    assert run_cli(*words).code == 0
    assert Path("out/c/keyframes.csv").read_text() == begun
    command = read_run_json(Path("out/c/run.json"))["command"]
    assert run_cli(*command[1:], "-o", "alone").code == 0
    assert Path("alone/boxes.csv").read_text().count("\n") == 8, "2, 3, 4, and 8 to 11"

    for number in (8, 6):
        box = ("--box", "30,20,12,12", "--from", number)
        assert run_cli("track", "--continue", "out/b", *box).code == 0
    corrected = Path("out/b/keyframes.csv").read_bytes()
    dry = run_cli(*words, "--dry-run")
    assert (dry.code, dry.out.count(" kept "), dry.out.splitlines()[-1]) == (0, 2, "2 items, 2 kept"), dry.out
    again = run_cli(*words, "--progress", "plain")
    assert (again.code, again.err.count("kept:")) == (0, 2), again.err
    dry = run_cli(*words, "--mot-origin", "1", "--dry-run", "--progress", "json")
    item, problem, _ = map(json.loads, dry.out.splitlines())
    assert (dry.code, item["id"], item["kept"], problem["id"]) == (6, "c", False, "b")
    other = run_cli(*words, "--mot-origin", "1")
    assert (other.code, other.err.count("holds corrections")) == (6, 1), other.err
    assert Path("out/b/keyframes.csv").read_bytes() == corrected
    written(Path("list.csv"), listed.format(row.format("", "copy.csv")))
    Path("copy.csv").write_bytes(corrected)
    assert run_cli(*words, "--mot-origin", "1").code == 0
    assert Path("out/b/keyframes.csv").read_bytes() == corrected


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        pytest.param(["--box", "1,2,3,4"], 4, "several recordings cannot have one box", id="a-box"),
        pytest.param(["--write-list", "there.csv"], 5, "--overwrite replaces it", id="there-already"),
        pytest.param(["--write-list", "clips/known.txt", "--overwrite"], 5, "is no list", id="no-list"),
    ],
)
def test_what_is_wrong_is_one_line(run_cli, clips, words, code, expected):
    Path("there.csv").write_text("mine")
    before = (clips / "known.txt").read_bytes()
    outcome = run_cli("batch", clips, "-o", "out", *words)
    assert (outcome.code, expected in " ".join(outcome.err.split())) == (code, True), outcome.err
    assert Path("there.csv").read_text() == "mine"
    assert (clips / "known.txt").read_bytes() == before
