"""Inputs keep their bytes, two runs never mix, and the loss of a stream ends no work."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import pictures_in, written
from program import at_frame, new_process

from dmtrack.atomic import held
from dmtrack.boxes.reading import read_rows
from dmtrack.output.record import read_run_json
from dmtrack_cli.app import COMMANDS as PROGRAM

EVENTS = "".join(f"{number / 1000:.6f} {number % 90} {number % 70} {number % 2}\n" for number in range(60))
BOX = "20,16,16,16"
DMTRACK = ("-m", "dmtrack_cli")


def pictures(folder: Path) -> Path:
    pictures = (np.full((64, 96, 3), 50 * number, np.uint8) for number in range(3))
    return pictures_in(folder, pictures, "{:06d}.png")


Prepared = tuple[Path, list[Any]]
"""A file that must keep its bytes, and the words of a command that would write to it."""


def _render(recording: Any) -> Prepared:
    video = Path(shutil.copy(recording.rgb, "in.mp4"))
    return video, ["render", video, "--boxes", recording.truth, "-o", "{out}.mp4"]


def _track(recording: Any) -> Prepared:
    Path("d").mkdir()
    video = Path(shutil.copy(recording.rgb, "d/annotated.mp4"))
    return video, ["track", video, "--box", BOX, "-o", "d"]


def _track_second_stream(recording: Any) -> Prepared:
    Path("d").mkdir()
    video = Path(shutil.copy(recording.thermal, "d/annotated.mp4"))
    return video, ["track", recording.rgb, video, "--box", BOX, "-o", "d"]


def _track_boxes(recording: Any) -> Prepared:
    Path("d").mkdir()
    boxes = Path(shutil.copy(recording.truth, "d/boxes.txt"))
    return boxes, ["track", recording.rgb, "--box-file", boxes, "-o", "d"]


def _track_pictures(recording: Any) -> Prepared:
    folder = pictures(Path("rgb"))
    return folder / "000000.png", ["track", folder, "--box", BOX, "-o", "rgb"]


def _export(recording: Any) -> Prepared:
    Path("in.csv").write_text("frame,id,x,y,w,h\n0,1,1,2,3,4\n")
    return Path("in.csv"), ["export", "in.csv", "--format", "csv", "-o", "{out}.csv"]


def _merge(recording: Any) -> Prepared:
    Path("in.csv").write_text("frame,id,x,y,w,h\n0,1,1,2,3,4\n")
    return Path("in.csv"), ["export", "in.csv", "--merge", "-o", "{out}.csv"]


def _align(recording: Any) -> Prepared:
    Path("in.json").write_text("[[0, 0, 0, 0], [9, 0, 9, 0], [9, 9, 9, 9], [0, 9, 0, 9]]")
    return Path("in.json"), [
        *("align", recording.rgb, recording.thermal, "--modality", "thermal"),
        *("--points", "in.json", "-o", "{out}.json"),
    ]


def _events_like(recording: Any) -> Prepared:
    Path("e.txt").write_text(EVENTS)
    video = Path(shutil.copy(recording.rgb, "in.mkv"))
    return video, ["events", "e.txt", "--columns", "txyp", "--like", video, "-o", "{out}.mkv"]


def _events_among_pictures(recording: Any) -> Prepared:
    Path("e.txt").write_text(EVENTS)
    folder = pictures(Path("rgb"))
    return folder / "000001.png", ["events", "e.txt", "--columns", "txyp", "--like", folder, "-o", folder]


def _sheet(recording: Any) -> Prepared:
    folder = pictures(Path("rgb"))
    return folder / "000001.png", ["inspect", folder, "--sheet", folder / "000001.png"]


def _samples(recording: Any) -> Prepared:
    folder = pictures(Path("photos"))
    return folder / "000001.png", ["synthetic", "--photographs", folder, "-o", folder / "000001.png"]


def _evaluate(recording: Any) -> Prepared:
    Path("o").mkdir()
    Path("o/scores.json").write_bytes(b"PK, a zip of results")
    return Path("o/scores.json"), [
        "evaluate",
        "o/scores.json",
        "--dataset",
        recording.truth.parent,
        "-o",
        "o",
    ]


def _export_model(recording: Any) -> Prepared:
    Path("in.onnx").write_bytes(b"weights")
    return Path("in.onnx"), ["export-model", "--weights", "in.onnx", "-o", "{out}.onnx"]


def _train(recording: Any) -> Prepared:
    from dmtrack.network.weights.store import find_weights

    Path("run").mkdir()
    weights = Path(shutil.copy(find_weights("tiny", None)[0].path, "run/weights.safetensors"))
    return weights, ["train", "--modality", "thermal", "--init", weights, "-o", "run", "--steps", 2]


def _batch(recording: Any) -> Prepared:
    Path("o").mkdir()
    Path("o/summary.csv").write_text(f'id,rgb,box\na,{recording.rgb},"{BOX}"\n')
    return Path("o/summary.csv"), ["batch", "o/summary.csv", "-o", "o"]


COMMANDS: dict[str, Callable[[Any], Prepared]] = {
    name.lstrip("_"): value
    for name, value in list(globals().items())
    if name.startswith("_") and getattr(value, "__annotations__", {}).get("return") == "Prepared"
}


NAMED_FREELY = ("render", "export", "merge", "align", "events_like", "export_model")
"""Their output may be called as one likes, so it may also be another name of the input."""


@pytest.mark.parametrize(
    ("command", "link"),
    [*((name, "path") for name in COMMANDS), *itertools.product(NAMED_FREELY, ["symlink", "hard link"])],
)
def test_an_output_that_is_an_input_is_refused(run_cli, recording, command, link):
    victim, words = COMMANDS[command](recording)
    out = victim.with_stem("in" if link == "path" else "other")
    if link == "symlink":
        out.symlink_to(victim.absolute())
    elif link == "hard link":
        out.hardlink_to(victim)
    before = victim.read_bytes()
    switch = [] if command in {"train"} else ["--overwrite"]
    done = run_cli(*(str(word).replace("{out}", out.stem) for word in words), *switch)
    assert victim.read_bytes() == before
    assert done.code == 5, done.err
    assert "input" in done.error_lines[-1]


def test_an_item_of_a_batch_does_not_replace_what_it_reads(run_cli, recording, weights):
    folder = Path("o/a")
    folder.mkdir(parents=True)
    video = Path(shutil.copy(recording.rgb, folder / "annotated.mp4"))
    folder.joinpath("run.json").write_text('{"record_version": 1, "status": "complete", "outputs": []}')
    Path("list.csv").write_text(f'id,rgb,box\na,{video.absolute()},"{BOX}"\n')
    assert run_cli("batch", "list.csv", "-o", "o", "--overwrite", "--weights", weights).code == 6
    assert "this is an input" in Path("o/summary.csv").read_text()
    assert video.read_bytes() == recording.rgb.read_bytes()


def test_a_second_run_in_the_same_folder_is_refused_at_once(track, run_cli, recording):
    Path("out").mkdir()
    with held(Path("out")):
        for words in (["--box", BOX], ["--box", BOX, "--overwrite"]):
            track(*words).refused(5, "another run is writing here")
        done = run_cli("train", "--modality", "thermal", "--init", "tiny", "-o", "out", "--steps", 2)
        done.refused(5, "another run is writing here")
    assert list(Path("out").iterdir()) == []
    assert track("--box", BOX).code == 0


def test_what_lies_under_a_temporary_name_is_not_followed(track):
    Path("out").mkdir()
    kept = written(Path("precious"), "keep")
    Path("out/.boxes.txt.part").symlink_to(kept.absolute())
    Path("out/.boxes.csv.part").hardlink_to(kept)
    Path("out/.annotated.mp4.part").symlink_to(kept.absolute())
    Path("out/.run.json.part").write_text("of a run that was killed")
    os.mkfifo("out/.score.png.part")
    assert track("--box", BOX).code == 0
    assert kept.read_text() == "keep"
    assert not any(path.is_symlink() or path.name.startswith(".") for path in Path("out").iterdir())
    assert len(read_rows(Path("out/boxes.txt"))) == 12


def _words(recording: Any, weights: Path, *more: str) -> list[str]:
    words = [*DMTRACK, "track", str(recording.rgb), "--box", BOX, "--weights", str(weights), "-o", "out"]
    return [*words, *more]


def test_a_reader_of_standard_error_that_goes_ends_no_run(recording, weights):
    reading, writing = os.pipe()
    os.close(reading)
    done = new_process(*_words(recording, weights, "--progress", "plain"), stdout=writing, stderr=writing)
    os.close(writing)
    assert done.returncode == 0
    assert read_run_json(Path("out/run.json"))["counts"]["frames"] == 12


@pytest.mark.slow
def test_streams_that_are_closed_end_no_run_and_get_into_no_result(recording, weights):
    words = [sys.executable, *_words(recording, weights, "--progress", "plain")]
    shell = subprocess.run(["sh", "-c", '"$@" 0<&- 1>&- 2>&-', "sh", *words], check=False, timeout=120)
    assert shell.returncode == 0
    record = read_run_json(Path("out/run.json"))
    assert record["status"] == "complete"
    assert len(read_rows(Path("out/boxes.txt"))) == 12


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["inspect", "{rgb}"], ["inspect", "{rgb}", "--json"], ["weights", "list"]])
def test_a_full_disk_behind_standard_output_is_said_in_a_line(recording, words):
    spoken = [word.format(rgb=recording.rgb) for word in words]
    with Path("/dev/full").open("w") as full:
        done = new_process(*DMTRACK, *spoken, stdout=full)
    assert done.returncode == 5
    assert done.stderr.startswith("error: standard output: the disk is full")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="where a reader that goes is told so")
def test_what_takes_no_text_is_no_reader_that_goes():
    with Path("/proc/self/oom_score_adj").open("w") as takes_numbers:
        done = new_process(*DMTRACK, "weights", "list", stdout=takes_numbers)
    assert (done.returncode, len(done.stderr.splitlines())) == (5, 1)
    assert "standard output: cannot be written (Invalid argument)" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_run_that_cannot_say_how_far_it_is_does_its_work(recording, weights):
    with Path("/dev/full").open("w") as full:
        done = new_process(*_words(recording, weights, "--progress", "json"), stdout=full)
    assert done.returncode == 5
    assert done.stderr.startswith("error: standard output: the disk is full")
    assert read_run_json(Path("out/run.json"))["status"] == "complete"


def test_a_full_disk_while_training_is_one_line_and_leaves_nothing_half(run_cli, limit_file_size):
    small = ["--template-size", 32, "--search-size", 64, "--batch-size", 2, "--workers", 0, "--no-bf16"]
    limit_file_size(500_000)
    done = run_cli("train", "--modality", "thermal", "--init", "tiny", "-o", "run", "--steps", 2, *small)
    assert done.code == 5
    assert done.error_lines[-1].startswith("error: run/checkpoint.pt: the file has reached the size limit")
    assert not [path.name for path in Path("run").iterdir() if path.name.startswith((".", "checkpoint"))]


@pytest.mark.parametrize("ignored", [False, True], ids=["a terminal that is closed", "nohup"])
def test_hanging_up_is_like_termination(track, monkeypatch, *, ignored):
    at_frame(monkeypatch, 1, lambda: os.kill(os.getpid(), signal.SIGHUP))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        done = track("--box", BOX, "-q")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert done.code == (0 if ignored else 130)
    assert len(read_rows(Path("out/boxes.txt"))) == (12 if ignored else 1)


@pytest.mark.parametrize("command", PROGRAM)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_command_is_being_imported_ends_it_in_a_line(run_cli, monkeypatch, command, number):
    def imported(name: str) -> None:
        assert name == command
        os.kill(os.getpid(), number)

    monkeypatch.setattr("dmtrack_cli.app.load_command", imported)
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, usual)  # `nohup pytest` ignores one of them
    try:
        done = run_cli(command, "o")
        assert signal.getsignal(number) is usual
    finally:
        signal.signal(number, before)
    assert (done.code, done.err) == (130, "stopped: before it was done\n")
    assert not list(Path().iterdir())


def test_a_process_that_is_forked_ends_as_if_nobody_had_looked_out():
    script = (
        "import os, signal, time\n"
        "from dmtrack_cli.interrupt import StopAtOnce\n"
        "with StopAtOnce():\n"
        "    reading, writing = os.pipe()\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        os.write(writing, b'begun')\n"
        "        for _ in range(6000):\n"  # a pause would wait for ever where the signal came just before
        "            time.sleep(0.01)\n"
        "        os._exit(0)\n"
        "    os.read(reading, 9)\n"
        "    os.kill(child, signal.SIGTERM)\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = new_process("-c", script)
    assert (done.stdout, done.stderr) == ("-15\n", "")


def test_a_terminal_that_is_closed_when_all_is_done_changes_nothing():
    script = (
        "import atexit, os, signal\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGHUP))\n"
        "from dmtrack_cli.app import main\n"
        "main()\n"
    )
    done = new_process("-c", script, "--version")
    assert (done.returncode, done.stdout[:8]) == (0, "dmtrack ")
