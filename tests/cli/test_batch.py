"""`dmtrack batch` as a person uses it: bad rows beside good ones, dry runs, resume, killing, exit codes."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from clips import copies, pictures_in, written
from program import csv_by_id

from dmtrack.boxes.reading import read_rows
from dmtrack.output.record import read_run_json
from dmtrack_cli.arguments import prepare_arguments

ROOT = Path(__file__).parents[2]
RESULTS = {
    "annotated.mp4",
    "boxes.csv",
    "boxes.txt",
    "keyframes.csv",
    "score.png",
    "trajectory.png",
    "run.json",
}


@pytest.fixture
def clips(recording) -> Path:
    """Four recordings of a dozen frames, by the convention of names."""
    return copies(recording, "a", "b c", "-d", "ü")


@pytest.fixture
def manifest(clips) -> Path:
    """Good rows, and one of every sort of mistake that is noticed before the start."""
    (clips / "broken.mp4").write_bytes(b"this is no video")
    path = clips / "list.csv"
    path.write_text(
        "id,rgb,aux,box,box_file,start,align\n"
        'good,a_rgb.mp4,a_thermal.mp4,"20,16,16,16",,,\n'
        "-d,-d_rgb.mp4,-d_thermal.mp4,,-d.txt,,\n"
        'gone,gone.mp4,,"20,16,16,16",,,\n'
        'good,a_rgb.mp4,,"20,16,16,16",,,\n'
        'GOOD,a_rgb.mp4,,"20,16,16,16",,,\n'
        'outside,a_rgb.mp4,,"500,16,16,16",,,\n'
        'broken,broken.mp4,,"20,16,16,16",,,\n'
        'late,a_rgb.mp4,,"20,16,16,16",,99,\n'
        "nobox,a_rgb.mp4,,,none.txt,,\n"
        'aligned,a_rgb.mp4,a_thermal.mp4,"20,16,16,16",,,cal.json\n'
    )
    return path


MISTAKES = {
    "row 4": "no such file or folder",
    "row 5": "the id 'good' is taken by row 2",
    "row 6": "would write to the same folder 'GOOD' as 'good' by row 2",
    "row 7": "lies outside the 96x64 frame",
    "row 8": "broken.mp4",
    "row 9": "start 99 lies behind the last of 12 frames",
    "row 10": "none.txt",
    "row 11": "cal.json",
}


@pytest.mark.slow
def test_a_mot_file_of_starts_is_followed_as_by_track(run_cli, clips, weights):
    (clips / "starts.txt").write_text("4,9,20,16,16,16,1,-1,-1,-1\n7,5,30,20,12,12,1,-1,-1,-1\n")
    (clips / "list.csv").write_text("id,rgb,box_file\none,a_rgb.mp4,starts.txt\n")
    assert run_cli("batch", clips / "list.csv", "-o", "out", "--weights", weights, "--no-video").code == 0
    found = read_rows(Path("out/one/boxes.txt"))
    assert {row.target_id: row.frame_index for row in reversed(found)} == {9: 3, 5: 6}


def test_a_later_target_outside_the_frame_is_noticed_before_the_start(run_cli, clips, weights):
    (clips / "starts.txt").write_text("1,1,20,16,16,16,1,-1,-1,-1\n7,5,300,20,12,12,1,-1,-1,-1\n")
    (clips / "list.csv").write_text("id,rgb,box_file\none,a_rgb.mp4,starts.txt\n")
    outcome = run_cli("batch", clips / "list.csv", "-o", "out", "--weights", weights, "--dry-run")
    assert outcome.code == 6
    assert "lies outside the 96x64 frame" in outcome.out


def test_a_dry_run_says_everything_and_writes_nothing(run_cli, manifest):
    outcome = run_cli("batch", manifest, "-o", "out", "--dry-run")
    assert outcome.code == 6
    lines = [line for line in outcome.out.splitlines() if line.startswith("cannot be tracked")]
    assert len(lines) == len(MISTAKES)
    for line, (row, said) in zip(lines, MISTAKES.items(), strict=True):
        assert line.startswith(f"cannot be tracked: {row} (")
        assert said in line
    assert outcome.out.splitlines()[-1] == "2 items, 8 cannot be tracked"
    assert not Path("out").exists()


def test_a_dry_run_ends_as_the_run_would_where_results_are(run_cli, clips):
    written(Path("out/a/run.json"), "{}")
    for words in ([], ["--progress", "json"]):
        outcome = run_cli("batch", clips, "-o", "out", "--dry-run", *words)
        assert outcome.code == 5
        assert "a_rgb.mp4" in outcome.out, "what was found is said first"
        assert "there are results already; --resume" in outcome.error_lines[-1]
    assert run_cli("batch", clips, "-o", "out", "--dry-run", "--overwrite").code == 0


def test_a_dry_run_for_programs(run_cli, clips):
    (clips / "loop").symlink_to(clips)
    outcome = run_cli("batch", clips, "-o", "out", "--dry-run", "--progress", "json")
    assert outcome.code == 0
    said = [json.loads(line) for line in outcome.out.splitlines()]
    assert [(line["id"], line["folder"], line["modality"], line["frames"]) for line in said[:4]] == [
        ("-d", "_d", "thermal", 12),
        ("a", "a", "thermal", 12),
        ("b c", "b c", "thermal", 12),
        ("ü", "ü", "thermal", 12),
    ]
    assert said[4]["reason"] == "a link back"
    assert said[5] == {"event": "plan", "items": 4, "problems": 0, "shard": None}


@pytest.mark.slow
def test_good_rows_run_and_resume_repeats_what_changed(run_cli, manifest, weights):
    words = ["batch", manifest, "-o", "out", "--weights", weights, "--devices", "cpu", "--threads", "1"]
    outcome = run_cli(*words, "--progress", "json")
    assert outcome.code == 6
    events = [json.loads(line) for line in outcome.out.splitlines()]
    assert events[-1]["event"] == "end"
    assert (events[-1]["complete"], events[-1]["failed"], events[-1]["frames"]) == (2, 8, 24)
    summary = csv_by_id("out/summary.csv")
    assert {item: row["status"] for item, row in summary.items()} == {
        **dict.fromkeys(("gone", "GOOD", "outside", "broken", "late", "nobox", "aligned"), "failed"),
        "good": "failed",  # the second row of that id
        "'-d": "complete",  # as spreadsheets take it for text
    }
    assert sorted(path.name for path in Path("out").iterdir()) == ["_d", "good", "summary.csv"]
    for name in ("_d", "good"):
        assert {path.name for path in Path("out", name).iterdir()} == RESULTS
    before = read_run_json(Path("out/good/run.json"))
    assert before["backend"] == "torch"
    assert before["batch"]["item"] == "good"
    repeated = prepare_arguments(before["command"][1:])
    assert repeated[:3] == [
        "track",
        str(manifest.parent / "a_rgb.mp4"),
        str(manifest.parent / "a_thermal.mp4"),
    ]

    os.utime(manifest.parent / "-d_thermal.mp4", ns=(1, 1))
    again = run_cli(*words, "--resume", "--progress", "plain")
    assert again.code == 6
    assert "kept: good: 12 frames" in again.err
    assert "done: -d: 12 frames" in again.err
    assert read_run_json(Path("out/good/run.json")) == before

    # the recorded command does the same by itself
    assert run_cli(*repeated[:-1], "-o", "alone", "-q").code == 0
    assert Path("alone/boxes.txt").read_bytes() == Path("out/good/boxes.txt").read_bytes()


@pytest.mark.parametrize("quiet", [["-q"], ["--progress", "none", "-q"]], ids=" ".join)
def test_what_fails_is_said_however_quiet_it_is(run_cli, quiet):
    Path("list.csv").write_text('id,rgb,box\na [b],nowhere.mp4,"1,2,3,4"\nc,there,"1,2,3,4"\n')
    outcome = run_cli("batch", "list.csv", "-o", "out", *quiet)
    assert (outcome.code, outcome.out) == (6, "")
    ends = ["row 2: nowhere.mp4: no such file or folder", "row 3: there: no such file or folder"]
    for line, name, end in zip(outcome.error_lines, ("a [b]", "c"), ends, strict=True):
        assert line.startswith(f"failed: {name}: {end}")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere", "-o", "out"], 3, "nowhere: no such folder or list; check the path"),
        ([".", "-o", "out"], 3, "there are no recordings in it"),
        (["list.csv"], 2, "-o"),
        ([".", "-o", "out", "--resume", "--overwrite"], 4, "give one of them"),
        ([".", "-o", "out", "--shard", "9/8"], 4, "there is no part 9 of 8"),
        ([".", "-o", "out", "--jobs", "0"], 2, "0 is below 1"),
        ([".", "-o", "out", "--engine", "ray", "--jobs", "2"], 4, "--jobs is for this machine"),
        ([".", "-o", "out", "--engine", "ray", "--devices", "0"], 4, "the cluster chooses GPUs itself"),
    ],
)
def test_wrong_usage(run_cli, words, code, said):
    run_cli("batch", *words).refused(code, said)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--devices", "7"], "cuda:7"),
        (["--devices", "tpu"], "unknown device 'tpu'"),
        (["--devices", "cpu,cpu"], "cannot be used"),
        (["--devices", "cpu", "--jobs-per-device", "2"], "give --jobs"),
        (["--weights", "none"], "there are no such weights"),
    ],
)
def test_what_is_noticed_before_any_work(run_cli, clips, words, said):
    run_cli("batch", clips, "-o", "out", "-q", *words).refused(4, said)
    assert not Path("out").exists()


# --- killing -------------------------------------------------------------------------------

FAKE_BATCH = """
import sys
from pathlib import Path
from batch_runner import FakeRunner
from dmtrack.batch import *
from dmtrack.geometry.box import Box

if __name__ == "__main__":
    items = [BatchItem(f"item {n}", Path(f"{n}.mp4"), boxes=(Box(1, 2, 3, 4),)) for n in range(6)]
    plan = Plan(tuple(PlannedItem(item, item.id, frames=6) for item in items))
    engine = LocalEngine([WorkerSlot("one"), WorkerSlot("two")])
    for event in run_batch(plan, Path(sys.argv[1]), FakeRunner(frame_s=0.02), engine, Existing.RESUME):
        print(event, flush=True)
"""


def start(words: list[str]) -> subprocess.Popen[str]:
    places = (os.environ["PYTHONPATH"], str(ROOT / "tests" / "unit"))  # of the made-up runner
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
    )


def kill_after(words: list[str], seconds: float) -> None:
    """Start, kill the parent alone, and make sure that its workers do not outlive it."""
    process = start(words)
    time.sleep(seconds)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers = children.read_text().split() if children.exists() else []
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline_s = time.monotonic() + 20
    while any(_alive(pid) for pid in workers):
        assert time.monotonic() < deadline_s, "a worker goes on without its parent"
        time.sleep(0.02)


def _alive(pid: str) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def finish(words: list[str]) -> None:
    process = start(words)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said


def results(out: Path) -> dict[str, list[str]]:
    """Everything in a batch's folder, without what is measured and not tracked (speed, time of day)."""
    found: dict[str, list[str]] = {}
    for path in sorted(out.rglob("*")):
        if path.is_file() and path.suffix in (".txt", ".csv"):
            with path.open(newline="") as file:
                table = list(csv.reader(file))
            drop = [i for i, name in enumerate(table[0]) if name in ("fps", "infer_ms")]
            found[str(path.relative_to(out))] = [
                ",".join(cell for i, cell in enumerate(row) if i not in drop) for row in table
            ]
        else:
            found[str(path.relative_to(out))] = []
    return found


@pytest.mark.slow
@pytest.mark.alone
def test_killed_at_any_moment_resume_gives_the_same(tmp_path):
    script = written(tmp_path / "batch.py", FAKE_BATCH)
    for number in range(6):
        Path(f"{number}.mp4").touch()
    begun = time.monotonic()
    finish([str(script), "whole"])
    whole_s = time.monotonic() - begun
    expected = results(Path("whole"))
    expected = {name: table for name, table in expected.items() if not name.endswith(".begun")}
    assert len(expected) == 6 * 3 + 1
    for share in (0.5, 0.7, 0.85):
        kill_after([str(script), "out"], whole_s * share)
    finish([str(script), "out"])
    found = {name: table for name, table in results(Path("out")).items() if not name.endswith(".begun")}
    assert found == expected


@pytest.mark.slow
@pytest.mark.alone
def test_the_program_killed_at_four_moments(clips, weights):
    options = [
        "--weights",
        str(weights),
        "--devices",
        "cpu",
        "--jobs",
        "2",
        "--threads",
        "1",
        "--resume",
        "-q",
    ]
    words = ["-m", "dmtrack_cli", "batch", str(clips), *options]
    begun = time.monotonic()
    finish([*words, "-o", "whole"])
    whole_s = time.monotonic() - begun
    expected = results(Path("whole"))
    assert len(expected) == 4 * (len(RESULTS) + 1) + 1
    for share in (0.45, 0.65, 0.85, 1.0):
        shutil.rmtree("out", ignore_errors=True)
        kill_after([*words, "-o", "out"], share * whole_s)
        finish([*words, "-o", "out"])
        assert results(Path("out")) == expected


@pytest.mark.slow
@pytest.mark.alone
def test_ctrl_c_keeps_what_is_whole(clips, weights, make_video):
    make_video(clips / "long_rgb.mp4", 700)
    make_video(clips / "long_thermal.mp4", 700, grey=True)
    (clips / "long.txt").write_text("20,16,16,16\n")
    options = ["--weights", str(weights), "--devices", "cpu", "--jobs", "2", "--threads", "1", "-q"]
    process = start(["-m", "dmtrack_cli", "batch", str(clips), "-o", "out", *options])
    deadline_s = time.monotonic() + 60
    while not Path("out/a/run.json").exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.startswith("stopped: ")
    assert "--resume does the rest" in said
    assert len(said.splitlines()) == 1
    assert not [path for path in Path("out").iterdir() if path.name.startswith(".")]
    summary = csv_by_id("out/summary.csv")
    assert summary["a"]["status"] == "complete"
    assert summary["long"]["status"] == "not run"


def test_both_streams_in_one_picture_are_planned_as_such(run_cli):
    """The second stream, what it measures and the size that boxes lie in are those of the halves."""
    pictures_in(Path("both"), np.random.default_rng(0).integers(0, 255, (4, 64, 192, 3)))
    Path("list.csv").write_text(
        'id,rgb,modality,box\na,both,,"20,16,16,16"\nb,both,event,"20,16,16,16"\nc,both,,"120,16,16,16"\n'
        'd,both,,"0.2,0.2,0.3,0.3"\n'
    )
    words = ("batch", "list.csv", "-o", "out", "--dry-run", "--modality", "thermal")
    outcome = run_cli(*words, "--split", "right")
    assert "in RGB (thermal)" in " ".join(outcome.out.split())
    assert "in RGB (event)" in " ".join(outcome.out.split())
    assert "row 4 (c): box 120,16,16,16 lies outside the 96x64 frame" in outcome.out
    assert "row 5" not in outcome.out, "shares of the picture are boxes too"
    outcome = run_cli(*words)
    assert "row 3 (b): there is a modality (event) but no aux" in outcome.out
    assert "in RGB" not in outcome.out
