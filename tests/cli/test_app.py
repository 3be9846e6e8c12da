"""The program around its commands: help, version, lazy loading, errors that nobody foresaw."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from program import new_process
from typer.testing import CliRunner

from dmtrack.errors import CheckpointError
from dmtrack_cli.app import COMMANDS, app, load_command
from dmtrack_cli.console import out

_LOADED = """
import sys
from dmtrack_cli.app import main
try:
    main(sys.argv[1:])
finally:
    print("loaded:", *sorted({"torch", "timm", "cv2", "av", "numpy"} & set(sys.modules)))
"""


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_loads_nothing_heavy(word):
    done = new_process("-c", _LOADED, word)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split()[1:] == []


def test_inspect_and_refusals_do_without_torch(recording):
    for words in (["inspect", str(recording.rgb), str(recording.thermal)], ["track", "nowhere.mp4"]):
        done = new_process("-c", _LOADED, *words)
        assert "torch" not in done.stdout.splitlines()[-1]


def test_runs_as_a_module():
    done = new_process("-m", "dmtrack_cli", "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("dmtrack ")


@pytest.mark.parametrize("words", [["--help"], ["doctro"]], ids=" ".join)
def test_a_shell_of_no_width_is_told_as_much(words):
    said = [
        new_process("-m", "dmtrack_cli", *words, env={**os.environ, "COLUMNS": columns})
        for columns in ("0", "80")
    ]
    assert said[0].stdout == said[1].stdout
    assert said[0].stderr == said[1].stderr
    assert said[0].stdout + said[0].stderr


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "RGB", "--sheet", "NAME.png"),
        ("synthetic", "--count", "1", "-o", "NAME.png"),
        ("export", "boxes.csv", "--format", "mot", "-o", "NAME.txt"),
        ("render", "RGB", "--boxes", "boxes.csv", "--end", "1", "-o", "NAME.mp4"),
        ("inspect", "NAME.mp4"),
    ],
    ids=lambda words: words[0],
)
def test_the_name_of_a_file_steers_no_terminal(run_cli, recording, words):
    Path("boxes.csv").write_text("frame,x,y,w,h\n0,1,2,30,40\n")
    name = "a\x1b[31m[red]"
    outcome = run_cli(*(word.replace("RGB", str(recording.rgb)).replace("NAME", name) for word in words))
    assert outcome.code == (3 if words == ("inspect", "NAME.mp4") else 0)
    said = outcome.out + outcome.err
    assert "a\\x1b[31m[red]" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(("columns", "width"), [("0", 80), ("1", 40), ("20", 40), ("60", 60), ("300", 300)])
def test_tables_have_room_for_words(columns, width):
    assert type(out)(_environ={"COLUMNS": columns}).width == width


def test_whoever_stops_it_while_it_is_loaded_sees_no_traceback():
    script = (
        "import sys\n"
        "from dmtrack_cli.__main__ import main\n"
        "class Stopped:\n"
        "    def find_spec(self, name, *about):\n"
        "        if name == 'dmtrack_cli.app':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stopped())\n"
        "main()\n"
    )
    done = new_process("-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_reader_that_goes_away_is_no_error(recording):
    reading, writing = os.pipe()
    os.close(reading)
    done = new_process("-m", "dmtrack_cli", "inspect", recording.rgb, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_lists_every_command(run_cli):
    out = run_cli("--help").out
    for name, entry in COMMANDS.items():
        assert name in out
        assert entry.help[:40] in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_explains_itself(name):
    assert load_command(name).name == name
    outcome = CliRunner().invoke(app, [name, "--help"])
    assert outcome.exit_code == 0
    assert f"Usage: dmtrack {name}" in outcome.output


def test_a_misspelt_command_gets_a_suggestion(run_cli):
    run_cli("trakc").refused(2, "'track'")


def test_a_defect_is_one_line_with_a_request(run_cli, monkeypatch):
    monkeypatch.setattr("dmtrack_cli.commands.inspect.inspect_recording", _fail(ZeroDivisionError("oh")))
    run_cli("inspect", "a.mp4").refused(1, "unexpected ZeroDivisionError: oh", "report", "-v")


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "LONG"),
        ("track", "LONG", "--box", "1,2,3,4"),
        ("export", "LONG", "--format", "csv", "-o", "x.csv"),
        ("batch", "LONG", "-o", "out"),
        ("review", "LONG"),
        ("events", "LONG", "-o", "x.mkv"),
    ],
)
def test_what_the_system_says_of_a_file_is_no_defect(run_cli, words):
    outcome = run_cli(*(word.replace("LONG", "a" * 300) for word in words))
    assert outcome.code == 3
    assert outcome.error_lines[-1].endswith("a: File name too long")


@pytest.mark.parametrize("words", [["-v", "inspect", "a.mp4"], ["inspect", "a.mp4", "--verbose"]])
def test_verbose_shows_where_a_defect_is(run_cli, monkeypatch, words):
    monkeypatch.setattr("dmtrack_cli.commands.inspect.inspect_recording", _fail(ZeroDivisionError("oh")))
    outcome = run_cli(*words)
    assert outcome.code == 1
    assert "Traceback (most recent call last)" in outcome.err
    assert outcome.error_lines[-1].startswith("error: unexpected ZeroDivisionError")


def test_a_long_error_stays_on_one_line(run_cli, monkeypatch):
    error = CheckpointError("w " * 200, where="[bold]x[/bold]", hint="do\nthis")
    monkeypatch.setattr("dmtrack_cli.commands.inspect.inspect_recording", _fail(error))
    outcome = run_cli("inspect", "a.mp4")
    assert outcome.code == 4
    assert outcome.error_lines == [f"error: {error}"]


def _fail(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail
