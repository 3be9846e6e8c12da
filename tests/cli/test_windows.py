"""Every command that writes does its work where open files keep their names and some names are taken."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from program import assert_results, new_process

from dmtrack.atomic import LineFile, PartFile, part_path, whole_file, write_atomically
from dmtrack.batch.plan import WHOLE
from dmtrack.batch.result_folder import batch_lock
from dmtrack.drawing.pictures import LosslessVideo
from dmtrack.errors import OutputError
from dmtrack_cli.arguments import prepare_arguments

pytestmark = pytest.mark.usefixtures("windows")
BOX = "20,16,16,16"


def test_a_run_is_written_overwritten_and_gone_on_with(track, run_cli):
    assert track("--box", BOX).code == 0
    assert_results(12, "complete")
    assert track("--box", BOX, "--overwrite").code == 0
    done = run_cli("track", "--continue", "out", "--box", "1:30,16,16,16", "--from", 8)
    assert done.code == 0, done.err
    assert_results(12, "complete")


def test_a_run_that_was_killed_leaves_no_obstacle(track):
    Path("out").mkdir()
    for name in ("boxes.txt", "annotated.mp4", "run.json"):
        part_path(Path("out", name)).write_bytes(b"torn")
    assert track("--box", BOX).code == 0
    assert_results(12, "complete")


def test_what_another_program_has_open_is_said_before_any_work(track):
    assert track("--box", BOX).code == 0
    with Path("out/annotated.mp4").open("rb"):
        track("--box", BOX, "--overwrite").refused(5, "annotated.mp4", "permission denied")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["render", "{rgb}", "--boxes", "{truth}", "-o", "made/one.mp4"], id="mp4"),
        pytest.param(["render", "{rgb}", "--boxes", "{truth}", "-o", "made/one.gif"], id="gif"),
        pytest.param(["export", "out", "--format", "coco", "-o", "made/one.json"], id="coco"),
        pytest.param(["export", "out", "--format", "dataset", "-o", "made"], id="dataset"),
        pytest.param(["export", "out", "--format", "yolo", "-o", "made"], id="yolo"),
        pytest.param(["export", "out", "--format", "crops", "-o", "made"], id="crops"),
    ],
)
def test_a_command_writes_and_overwrites(track, run_cli, recording, words):
    assert track("--box", BOX).code == 0
    words = [word.format(rgb=recording.rgb, truth=recording.truth) for word in words]
    for more in ([], ["--overwrite"]):
        done = run_cli(*words, *more)
        assert done.code == 0, done.err
    assert not list(Path("made").rglob(".*"))


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_file_that_is_written_meanwhile_is_not_taken(tmp_path, is_kept):
    path = tmp_path / "boxes.txt"
    first = LineFile(path)
    with pytest.raises(OutputError, match="another run is writing here"):
        PartFile(path)
    first.append("1\n")
    first.commit() if is_kept else first.discard()
    assert [one.name for one in tmp_path.iterdir()] == ["boxes.txt"] * is_kept


def test_a_library_that_failed_and_keeps_its_file_open_hides_no_error(tmp_path):
    part = PartFile(tmp_path / "annotated.mp4")
    with part.file():
        part.discard()
    PartFile(tmp_path / "annotated.mp4").publish()
    assert [one.name for one in tmp_path.iterdir()] == ["annotated.mp4"]


def test_a_scanner_that_opens_what_is_new_is_waited_for(tmp_path, monkeypatch):
    refused = iter([True, True])
    rename = Path.replace

    def scanned(path: Path, target: Path) -> Path:
        if next(refused, False):
            raise PermissionError(13, "it is being used by another process")
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", scanned)
    write_atomically(tmp_path / "run.json", b"1")
    assert [one.name for one in tmp_path.iterdir()] == ["run.json"]


def test_patterns_are_filled_in_where_no_shell_does(tmp_path, monkeypatch):
    names = [str(tmp_path / name) for name in ("a[1].txt", "b[1].txt")]
    for name in names:
        Path(name).touch()
    words = ["export", str(tmp_path / "?[1].*"), str(tmp_path / "*.json"), "--label=*"]
    assert prepare_arguments(words) == words
    monkeypatch.setattr("sys.platform", "win32")
    assert prepare_arguments(words) == ["export", *names, *words[2:]]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_what_a_console_cannot_show_is_shown_otherwise(recording, monkeypatch, encoding):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    Path("夜").mkdir()
    done = new_process("-m", "dmtrack_cli", "inspect", shutil.copy(recording.rgb, "夜"))
    assert done.returncode == 0, done.stderr
    assert r"\u591c" in done.stdout


def test_one_batch_at_a_time(tmp_path):
    for _ in range(2):
        with (
            batch_lock(tmp_path, WHOLE),
            pytest.raises(OutputError, match="another run is writing here"),
            batch_lock(tmp_path, WHOLE),
        ):
            pass


def test_pictures_are_written_to_a_video(tmp_path):
    with LosslessVideo(tmp_path / "events.mkv") as video:
        video.write(np.zeros((16, 16, 3), np.uint8), 0, Fraction(1, 30))
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "run.json"):
        raise ZeroDivisionError
    assert [one.name for one in tmp_path.iterdir()] == ["events.mkv"]
