"""What commands share: numbers within bounds, hints for options of other tools, help that reads well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from dmtrack_cli.app import COMMANDS, app, load_command
from dmtrack_cli.command_line import OTHER_NAMES

NARROW = {"COLUMNS": "80", "TERMINAL_WIDTH": "80", "NO_COLOR": "1", "_TYPER_FORCE_DISABLE_TERMINAL": "1"}
NUMERIC = frozenset(
    {"N", "MS", "SECONDS", "FPS", "R", "MM", "FRAMES", "LOW,HIGH", "I/N", "WxH", "POS", "9x6"}
)
BAD = ("nan", "inf", "-1", "1e999999999", "9" * 5000, "1_0", "１２", "1,5", "x", "")


def every_command() -> Iterator[tuple[list[str], Any]]:
    for name in COMMANDS:
        command = load_command(name)
        below = getattr(command, "commands", None)
        yield from (([name, one], each) for one, each in below.items()) if below else [([name], command)]


def numeric_options() -> list[tuple[list[str], str, list[str]]]:
    found = []
    for words, command in every_command():
        needed = [one for one in command.params if one.required]
        given = ["x" if one.param_type_name == "argument" else f"{one.opts[0]}=x" for one in needed]
        found += [
            (words, max(one.opts, key=len), given)
            for one in command.params
            if one.param_type_name == "option" and one.metavar in NUMERIC
        ]
    return found


OPTIONS = numeric_options()
#: What several commands take is declared once: with the second of them on it is tried among the slow tests.
_FIRST = {option: words for words, option, _ in reversed(OPTIONS)}
TRIED = [
    pytest.param(words, option, given, marks=[pytest.mark.slow] * (_FIRST[option] != words))
    for words, option, given in OPTIONS
]


def test_there_are_numeric_options_in_most_commands():
    assert len(OPTIONS) > 60
    assert {words[0] for words, _, _ in OPTIONS} >= {"track", "batch", "train", "synthetic", "bench", "align"}


@pytest.mark.parametrize(("words", "option", "given"), TRIED, ids=lambda value: str(value)[:40])
def test_a_number_that_cannot_be_is_wrong_usage(words, option, given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for bad in BAD:
        outcome = CliRunner().invoke(app, [*words, *given, f"{option}={bad}"], env=NARROW)
        error = outcome.exception
        code = getattr(error, "exit_code", None) or getattr(error, "code", None)
        assert code in (2, 3, 4), (bad, outcome.output, error)
        assert "float()" not in outcome.output + str(error)
        assert "int()" not in outcome.output + str(error)
        assert len(outcome.output + str(error)) < 4000, bad
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("words", "command"), list(every_command()))
def test_an_empty_word_stands_for_nothing(words, command):
    """`-o "$OUT"` without the variable: as a path it would be the folder that the program is started in."""
    given = [[" "]] if any(one.param_type_name == "argument" for one in command.params) else []
    options = [one for one in command.params if one.param_type_name == "option" and not one.is_flag]
    for one in options[-1:]:
        given += [[one.opts[0], ""], [f"{one.opts[0]}="]]
    for empty in given:
        outcome = CliRunner().invoke(app, [*words, *empty], env=NARROW)
        assert outcome.exit_code == 2, empty
        shown = " ".join(outcome.output.replace("│", " ").split())
        assert "it is empty; is a variable of the shell not set?" in shown, empty
        assert (empty[0].partition("=")[0].strip() or "an argument") in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["track", "a", "--gpu", "0"], "--device cuda"),
        (["track", "a", "--save"], "-o"),
        (["track", "a", "--output-dir", "o"], "-o"),
        (["track", "a", "--output_dir=o"], "-o"),
        (["track", "a", "--conf", "0.3"], "--recovery on"),
        (["track", "--source", "a.mp4"], "without an option: RGB AUX"),
        (["track", "a", "--weights-path", "w"], "--weights"),
        (["track", "a", "--fps", "25"], "--folder-rate"),
        (["track", "a", "--bbox", "1,2,3,4"], "--box"),
        (["track", "a", "--half"], "--precision fp16"),
        (["events", "a", "--fps", "25"], "--rate"),
        (["render", "a", "--gt", "b.txt"], "--boxes"),
        (["train", "-o", "o", "--lr", "1"], "--learning-rate"),
        (["train", "-o", "o", "--epochs", "3"], "--steps"),
        (["batch", "a", "-o", "o", "--num-workers", "3"], "--jobs"),
        (["weights", "list", "--output-dir", "3"], None),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value or []),
)
def test_an_option_of_another_tool_gets_its_name_here(words, said):
    outcome = CliRunner().invoke(app, words, env=NARROW)
    assert outcome.exit_code == 2
    shown = " ".join(outcome.output.replace("│", " ").split())
    assert "No such option" in shown
    if said is None:
        assert "here it is" not in shown
    else:
        assert said in shown


def test_the_table_of_hints_names_options_that_exist_and_none_of_our_own():
    options = {name for _, command in every_command() for one in command.params for name in one.opts}
    for ours in OTHER_NAMES:
        assert not ours.startswith("-") or re.split(r"[ ,]", ours)[0] in options, ours


@pytest.mark.parametrize(
    ("words", "command"), [*every_command(), ([], get_command(app)), (["weights"], load_command("weights"))]
)
def test_help_reads_well_at_80_columns(words, command):
    outcome = CliRunner().invoke(app, [*words, "--help"], env=NARROW)
    assert outcome.exit_code == 0
    lines = outcome.output.splitlines()
    assert max(map(len, lines)) <= 80
    cut = [line for line in lines if "…" in line and not re.search(r"(rtsp|udp|tcp)://…", line)]
    assert not cut, "a word is wider than its column"
    assert not re.search(r"<\w+>|list\[", outcome.output), "a type of Python"
    cells = set(re.findall(r"[\w-]+", outcome.output))
    for one in command.params:
        choices = (one.metavar or "").replace("\n", "").split("|")
        if len(choices) > 1:
            assert set(choices) <= cells | {"NAME", "PATH"}, "a choice is broken within the word"
