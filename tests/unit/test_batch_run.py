"""Running a batch: what is kept, what is done again, what failures leave, workers that die."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Generator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from clips import pictures_in, written
from program import csv_by_id

from dmtrack.batch import (
    BatchItem,
    Existing,
    ItemFinished,
    ItemRetried,
    ItemStarted,
    LocalEngine,
    Plan,
    PlannedItem,
    Problem,
    Runner,
    Shard,
    Task,
    WorkerSlot,
    as_resumed,
    run_batch,
)
from dmtrack.batch.local import longest_first
from dmtrack.batch.plan import WHOLE, plan_batch
from dmtrack.batch.result_folder import (
    batch_lock,
    publish_folder,
    require_uncorrected,
    scratch_path,
    sweep,
)
from dmtrack.batch.work import EngineEvent, TaskDone, execute
from dmtrack.errors import OutputError
from dmtrack.geometry.box import Box
from dmtrack.tracking.start import TargetStart
from dmtrack.video.position import Position

BOXES = (Box(1, 2, 3, 4),)
HERE = Path(__file__).parent


@pytest.fixture
def fake(monkeypatch) -> ModuleType:
    """The module of the runner, under a name that worker processes can import it by."""
    monkeypatch.syspath_prepend(str(HERE))
    return importlib.import_module("batch_runner")


class HereEngine:
    """Does tasks in this process and remembers them."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def run(self, tasks: Sequence[Task], runner: Runner) -> Generator[EngineEvent]:
        for task in tasks:
            self.done.append(task.item.id)
            yield TaskDone(task, execute(task, runner, WorkerSlot(), lambda *_: None), "here")


def plan_of(tmp_path: Path, *ids: str, shard: Shard = WHOLE) -> Plan:
    items = []
    for item_id in ids:
        rgb = tmp_path / f"{item_id}.mp4"
        if not rgb.exists():
            rgb.write_bytes(b"video")
        items.append(PlannedItem(BatchItem(item_id, rgb, boxes=BOXES, origin="row 2"), item_id))
    return Plan(tuple(items), shard=shard)


def run(plan: Plan, out: Path, runner: Any, existing: Existing = Existing.RESUME) -> list[str]:
    engine, foreseen = HereEngine(), as_resumed(plan, out, runner)
    list(run_batch(plan, out, runner, engine, existing))
    if existing is Existing.RESUME:
        assert [one.item.id for one in foreseen.items if not one.is_kept] == engine.done, "as a dry run says"
    return engine.done


def hidden(out: Path) -> list[str]:
    return [path.name for path in out.iterdir() if path.name.startswith(".")]


def test_times_in_a_list_are_those_of_the_frames_where_a_header_says_less(tmp_path, make_video):
    """It claims 30 frames a second; frame 8 is shown after one, and frames 10 and 11 after two seconds."""
    stamps = [0, 1, 2, 3, 4, 12, 13, 14, 30, 31, 60, 75]
    make_video("rgb.mkv", [np.full((64, 96, 3), 90, np.uint8)] * len(stamps), pts=stamps)
    written(tmp_path / "boxes.txt", "8,1,20,16,16,16,1,-1,-1,-1\n9,1,20,16,16,16,1,-1,-1,-1\n")
    spans = {"a": "1s,", "b": "1s,2s", "c": "2s,", "d": "2.5s,2.6s", "e": "2.6s,", "f": "2s,1s", "g": ",4"}
    rows = [f"{name},rgb.mkv,boxes.txt,{span}\n" for name, span in spans.items()]
    plan = plan_batch(written(tmp_path / "list.csv", "id,rgb,box_file,start,end\n" + "".join(rows)), tmp_path)
    assert {one.item.id: one.frames for one in plan.items} == {"a": 4, "b": 2, "c": 2, "d": 1, "g": 4}
    assert [problem.id for problem in plan.problems] == ["e", "f"]


@pytest.mark.parametrize(
    ("start", "end", "frames"),
    [("0.35s", "", 8), ("", "0.35s", 4), ("0.35s", "0.85s", 5), ("0.3s", "0.8s", 5), ("1.15s", "", None)],
)
def test_a_time_between_two_frames_is_the_later_one_in_a_plan_too(start, end, frames, tmp_path, make_video):
    make_video("rgb.mkv", [np.full((64, 96, 3), 90, np.uint8)] * 12, rate=10)
    rows = f'id,rgb,box,start,end\na,rgb.mkv,"20,16,16,16",{start},{end}\n'
    plan = plan_batch(written(tmp_path / "list.csv", rows), tmp_path / "out")
    assert [one.frames for one in plan.items] == ([] if frames is None else [frames])


def test_a_list_names_folders_of_data_sets_as_track_does(tmp_path):
    """Its streams, what they measure, and its targets, where the row says none; a stream alone stays one."""
    for clip in ("one", "many/a", "many/b", "none", "late"):
        for stream in ("visible", "infrared"):
            pictures_in(tmp_path / clip / stream, [np.full((64, 96, 3), 90, np.uint8)] * 3)
        written(
            tmp_path / clip / "visible.txt",
            ("0,0,0,0\n" if clip == "late" else "20,16,9,9\n") + "20,16,9,9\n" * 2,
        )
    (tmp_path / "none" / "visible.txt").unlink()
    rows = ['a,one,"1,2,3,4",', "b,one,,", "c,one,,1", "d,one/visible,,", "e,many,,", "f,none,,", "g,late,,"]
    listed = written(tmp_path / "list.csv", "\n".join(["id,rgb,box,start", *rows]))
    plan = plan_batch(listed, tmp_path / "out")
    planned = {one.item.id: one for one in plan.items}
    assert sorted(planned) == ["a", "b", "c", "d", "g"], plan.problems
    for one in (planned[name] for name in "abcg"):
        assert (one.modality, one.item.rgb.name) == ("thermal", "visible")
        assert one.item.aux == one.item.rgb.with_name("infrared")
    boxes = {name: one.item.boxes for name, one in planned.items()}
    assert boxes["a"] == (Box(1, 2, 3, 4),)
    assert boxes["b"] == (TargetStart(Box(20, 16, 9, 9), 1, 0),)
    assert boxes["g"] == (TargetStart(Box(20, 16, 9, 9), 1, 1),)
    assert (planned["g"].item.start, planned["g"].frames) == (Position(index=1), 2)
    assert boxes["c"] == boxes["d"] == (), "ground truth beside RGB"
    assert planned["d"].item.aux is None
    several, lacking = plan.problems
    assert (several.id, several.origin) == ("e", "row 6")
    assert "the folder holds 2 recordings (a, b); name one of them" in several.reason
    assert lacking.without_box is not None
    assert lacking.without_box.aux == tmp_path / "none" / "infrared"


def test_results_and_summary(tmp_path, fake):
    plan = replace(
        plan_of(tmp_path, "a", "fails", "defect", "partial"), problems=(Problem("p", "why", "row 9"),)
    )
    out = tmp_path / "out"
    events = list(run_batch(plan, out, fake.FakeRunner(), HereEngine()))
    ends = [event.row.id for event in events if isinstance(event, ItemFinished)]
    assert sorted(ends) == ["a", "defect", "fails", "p", "partial"], "one end each"
    said = csv_by_id(out / "summary.csv")
    assert list(said) == ["a", "fails", "defect", "partial", "p"]
    columns = ["id", "status", "frames", "fps", "mean_score", "lost_frames", "look_at", "error", "notes"]
    assert list(said["a"]) == columns
    assert [said["a"][name] for name in ("status", "frames", "fps", "lost_frames")] == [
        "complete",
        "6",
        "5.0",
        "1",
    ]
    assert said["a"]["mean_score"] == "0.4", "without the box that was given, and of six decimals at most"
    assert said["fails"]["error"] == f"row 2: {out / 'fails' / 'x.mp4'}: cannot be opened"
    assert "unexpected ZeroDivisionError: oops" in said["defect"]["error"]
    assert (said["partial"]["status"], said["partial"]["frames"]) == ("failed", "6")
    assert said["p"]["error"] == "row 9: why"
    folders = sorted(path.name for path in out.iterdir() if path.is_dir())
    assert folders == ["a", "partial"], "a part that is valid is kept, nothing else"
    assert not hidden(out)


@pytest.mark.parametrize(
    ("change", "again"),
    [
        pytest.param(lambda tmp, out: None, [], id="nothing"),
        pytest.param(lambda tmp, out: (tmp / "a.mp4").write_bytes(b"longer"), ["a"], id="input-size"),
        pytest.param(lambda tmp, out: os.utime(tmp / "a.mp4", ns=(1, 1)), ["a"], id="input-time"),
        pytest.param(lambda tmp, out: (out / "a" / "boxes.csv").unlink(), ["a"], id="a-result-is-gone"),
        pytest.param(lambda tmp, out: (out / "a" / "run.json").unlink(), [], id="somebodys-folder"),
        pytest.param(lambda tmp, out: (out / "a" / "run.json").write_text("{"), ["a"], id="damaged-mark"),
        pytest.param(lambda tmp, out: (out / "a" / "boxes.csv").write_text("x"), ["a"], id="damaged-table"),
        pytest.param(lambda tmp, out: (out / "summary.csv").unlink(), [], id="the-summary-is-gone"),
    ],
)
def test_resume_repeats_exactly_what_changed(tmp_path, fake, change, again):
    out, plan = tmp_path / "out", plan_of(tmp_path, "a", "b")
    run(plan, out, fake.FakeRunner(), Existing.REFUSE)
    before = csv_by_id(out / "summary.csv")
    change(tmp_path, out)
    assert run(plan, out, fake.FakeRunner()) == again
    after = csv_by_id(out / "summary.csv")
    if (out / "a" / "run.json").exists():
        assert after == before
    else:
        assert "holds no results" in after["a"]["error"], "what is not ours is not touched"


def test_resume_repeats_what_failed_and_what_has_other_options(tmp_path, fake):
    out, plan = tmp_path / "out", plan_of(tmp_path, "a", "fails", "partial")
    run(plan, out, fake.FakeRunner(), Existing.REFUSE)
    assert run(plan, out, fake.FakeRunner()) == ["fails", "partial"]
    assert run(plan, out, fake.FakeRunner("b")) == ["a", "fails", "partial"]
    moved = replace(plan.items[0].item, boxes=(Box(1, 2, 3, 5),))
    other = Plan((replace(plan.items[0], item=moved),))
    assert run(other, out, fake.FakeRunner("b")) == ["a"]
    assert run(other, out, fake.FakeRunner("b"), Existing.OVERWRITE) == ["a"]


def test_a_box_file_is_part_of_the_options(tmp_path, fake):
    boxes = written(tmp_path / "box.txt", "1,2,3,4\n")
    planned = plan_of(tmp_path, "a").items[0]
    plan = Plan((replace(planned, item=replace(planned.item, boxes=(), box_files=(boxes,))),))
    run(plan, tmp_path / "out", fake.FakeRunner())
    assert run(plan, tmp_path / "out", fake.FakeRunner()) == []
    boxes.write_text("1,2,3,5\n")
    assert run(plan, tmp_path / "out", fake.FakeRunner()) == ["a"]


def test_frames_are_counted_as_the_run_counts_them(tmp_path, fake):
    """In a frame in which every target is absent there is no box; it has a result all the same."""
    out, plan = tmp_path / "out", plan_of(tmp_path, "a")
    run(plan, out, fake.FakeRunner())
    table = out / "a" / "boxes.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:3]))
    list(run_batch(plan, out, fake.FakeRunner(), HereEngine(), Existing.RESUME))
    row = csv_by_id(out / "summary.csv")["a"]
    assert row["frames"] == "6"


def test_existing_results_are_refused(tmp_path, fake):
    out, plan = tmp_path / "out", plan_of(tmp_path, "a")
    run(plan, out, fake.FakeRunner(), Existing.REFUSE)
    with pytest.raises(OutputError, match=r"results already; --resume"):
        run(plan, out, fake.FakeRunner(), Existing.REFUSE)


def test_a_failure_does_not_spoil_older_results_and_notes_are_kept(tmp_path, fake):
    out, plan = tmp_path / "out", plan_of(tmp_path, "a")
    run(plan, out, fake.FakeRunner())
    (out / "a" / "notes").mkdir()
    (out / "a" / "notes" / "mine.txt").write_text("keep")
    (out / "a" / "score.txt").write_text("keep")
    run(plan, out, fake.FakeRunner("b"))
    assert (out / "a" / "notes" / "mine.txt").read_text() == (out / "a" / "score.txt").read_text() == "keep"
    assert not hidden(out)


def test_a_recording_is_never_taken_for_results(tmp_path):
    scratch, folder = scratch_path(tmp_path / "clip"), tmp_path / "clip"
    for path in (scratch, folder):
        path.mkdir()
    (folder / "rgb.mp4").touch()
    with pytest.raises(OutputError, match="holds no results"):
        publish_folder(scratch, folder)
    assert (folder / "rgb.mp4").exists()


@pytest.mark.parametrize("damage", ["[{}]", "7", '[{"box": {"x": 1}}]'])
def test_keyframes_are_kept_where_a_damaged_record_does_not_say_whose_they_are(tmp_path, damage):
    record = f'{{"record_version": 1, "status": "complete", "configuration": {{"targets": {damage}}}}}'
    written(tmp_path / "run.json", record)
    written(tmp_path / "keyframes.csv", "frame,id,x,y,w,h,state,back\n0,1,1,2,3,4,init,1\n")
    with pytest.raises(OutputError, match="holds corrections"):
        require_uncorrected(tmp_path, BatchItem("a", Path("a.mp4")))


def test_sweeping_takes_only_leftovers(tmp_path):
    for name in (".a.0123abcd.part", ".b.0123abcd.part", ".a.part", "a", ".git"):
        (tmp_path / name).mkdir()
    sweep(tmp_path, ["a"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.part", ".b.0123abcd.part", ".git", "a"]
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.part", ".git", "a"]


def test_shards_share_a_folder_and_the_whole_joins_them(tmp_path, fake):
    out = tmp_path / "out"
    for number, item_id in enumerate("ab", start=1):
        assert run(plan_of(tmp_path, item_id, shard=Shard(number, 2)), out, fake.FakeRunner()) == [item_id]
        assert list(csv_by_id(out / f"summary-{number}-of-2.csv")) == [item_id]
    assert run(plan_of(tmp_path, "a", "b"), out, fake.FakeRunner()) == []
    assert list(csv_by_id(out / "summary.csv")) == ["a", "b"]


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [
        (Shard(), Shard(), True),
        (Shard(), Shard(1, 2), True),
        (Shard(1, 2), Shard(), True),
        (Shard(1, 2), Shard(1, 2), True),
        (Shard(1, 2), Shard(2, 2), False),
    ],
)
def test_one_batch_at_a_time(tmp_path, first, second, refused):
    with batch_lock(tmp_path, first):
        if refused:
            with pytest.raises(OutputError, match="another batch is at work"), batch_lock(tmp_path, second):
                pass
        else:
            with batch_lock(tmp_path, second):
                pass
    with batch_lock(tmp_path, second):
        pass


def test_workers_that_die_are_replaced(tmp_path, fake, monkeypatch):
    """On Windows a process that dies while it is loaded leaves its pipe open, and Ctrl-C ends a wait."""
    interrupted = iter([True])

    def wait_once_interrupted(ends: list[Any]) -> list[Any]:
        if next(interrupted, False):
            raise InterruptedError
        return wait(ends)

    monkeypatch.setattr("dmtrack.batch.local.wait", wait_once_interrupted)
    monkeypatch.setattr(Connection, "close", lambda _: None)
    out, plan = tmp_path / "out", plan_of(tmp_path, "a", "crashes", "dies", "z")
    engine = LocalEngine([WorkerSlot("one"), WorkerSlot("two")])
    events = list(run_batch(plan, out, fake.FakeRunner(), engine))
    retried = sorted((event.item_id, event.reason) for event in events if isinstance(event, ItemRetried))
    assert retried == [("crashes", "was killed by SIGKILL"), ("dies", "was killed by SIGKILL")]
    attempts = [(e.item_id, e.attempt) for e in events if isinstance(e, ItemStarted)]
    assert sorted(attempts) == [("a", 1), ("crashes", 1), ("crashes", 2), ("dies", 1), ("dies", 2), ("z", 1)]
    said = csv_by_id(out / "summary.csv")
    assert {item_id: row["status"] for item_id, row in said.items()} == {
        "a": "complete",
        "crashes": "complete",
        "dies": "failed",
        "z": "complete",
    }
    assert "was killed by SIGKILL, twice" in said["dies"]["error"]
    assert not hidden(out)


def test_leaving_early_stops_the_workers(tmp_path, fake):
    out, plan = tmp_path / "out", plan_of(tmp_path, "a", "b", "c")
    engine = LocalEngine([WorkerSlot("one")])
    threads = threading.active_count()
    events = run_batch(plan, out, fake.FakeRunner(frame_s=0.05), engine)
    for event in events:
        if isinstance(event, ItemFinished):
            break
    events.close()
    said = csv_by_id(out / "summary.csv")
    assert [row["status"] for row in said.values()] == ["complete", "not run", "not run"]
    assert not hidden(out)
    assert threading.active_count() == threads
    assert run(plan, out, fake.FakeRunner()) == ["b", "c"]


def test_longest_first():
    tasks = [Task(BatchItem(str(n), Path("x")), Path("x"), None, n) for n in (5, None, 9)]
    assert [task.frames for task in longest_first(tasks)] == [None, 9, 5]
