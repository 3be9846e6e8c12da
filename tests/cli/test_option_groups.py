"""Option types on a command line: Typer sees each option, a command gets whole types, and back again."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from dmtrack.geometry.box import Box
from dmtrack.options import Option, command_words, ms_text, seconds_of_ms
from dmtrack.run.request import (
    DRAWN,
    NetworkOptions,
    OutputOptions,
    RecoveryChoice,
    RecoveryOptions,
    TrackRequest,
)
from dmtrack.video.position import Position
from dmtrack.video.streams import PairingOptions, Sync
from dmtrack_cli.option_groups import Without, grouped


@dataclass(frozen=True)
class Shift:
    """A made-up option type inside another one."""

    by_s: Annotated[Fraction, Option("--by-ms", "How far.", parse=seconds_of_ms, write=ms_text)] = Fraction(0)


@dataclass(frozen=True)
class Size:
    """A made-up option type."""

    width: Annotated[int, Option("--width", "Columns.")] = 3
    name: Annotated[str | None, Option("--name", "A name.")] = None
    big: Annotated[bool, Option("--big", "Large.")] = False
    round: Annotated[bool | None, Option("--round/--no-round", "Round.")] = None
    files: Annotated[tuple[Path, ...], Option("-f --file", "Files.")] = ()
    shift: Shift = field(default_factory=Shift)
    inner: int = 8


def run(*arguments: str) -> object:
    got: list[object] = []
    app = typer.Typer()

    @app.command()
    @grouped
    def show(
        what: Annotated[str, typer.Argument()], *, size: Size, loud: Annotated[int, typer.Option()] = 1
    ) -> None:
        """Show."""
        got.append((what, size, loud))

    outcome = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return got[0] if got else outcome.output


def test_a_command_gets_its_type_with_what_was_given_and_the_defaults():
    assert run("x", "--width", "7", "--loud", "2") == ("x", Size(width=7), 2)
    assert run("x", "--big", "--no-round") == ("x", Size(big=True, round=False), 1)
    assert run("x", "-f", "a", "--file", "b") == ("x", Size(files=(Path("a"), Path("b"))), 1)


def test_values_are_exact():
    """A float of milliseconds would be another number."""
    assert run("x", "--by-ms", "-0.1") == ("x", Size(shift=Shift(Fraction(-1, 10_000))), 1)
    assert run("x", "--by-ms", "1/3") == ("x", Size(shift=Shift(Fraction(1, 3000))), 1)


def test_help_shows_the_options_of_the_type():
    help_text = str(run("--help"))
    for shown in ("--width", "Columns.", "--by-ms", "-f"):
        assert shown in help_text
    assert "inner" not in help_text


@pytest.mark.parametrize(
    "size",
    [
        Size(),
        Size(width=9, name="a b"),
        Size(big=True, round=True),
        Size(round=False, name="--x"),
        Size(files=(Path("a b"), Path("-c")), shift=Shift(Fraction(1, 3))),
    ],
    ids=str,
)
def test_the_words_of_a_type_give_it_back(size):
    assert run("x", *command_words(size)) == ("x", size, 1)


def test_only_what_differs_from_the_default_is_spelt():
    assert TrackRequest("rgb.mp4").command == ["dmtrack", "track", "rgb.mp4"]
    assert TrackRequest("-a.mp4", "-b").command == ["dmtrack", "track", "./-a.mp4", "./-b"]
    recovery = RecoveryOptions(RecoveryChoice.ON, lost_after=4, anchor=False, stop_when_lost_s=Fraction(3, 2))
    request = TrackRequest(
        "rgb.mp4",
        "t.mkv",
        boxes=((1, 2, 3, 4.5), DRAWN),  # type: ignore[arg-type]
        start=Position(time_s=Fraction(5, 2)),
        network=NetworkOptions(precision="bf16"),
        output=OutputOptions(Path("out")),
        recovery=recovery,
        pairing=PairingOptions(offset_s=Fraction(-1, 30), sync=Sync.NEAREST),
    )
    assert request.boxes == (Box(1, 2, 3, 4.5), DRAWN)
    assert request.command[2:] == [
        "rgb.mp4",
        "t.mkv",
        "--box=1.0,2.0,3.0,4.5",
        "--box=pick",
        "--start=2.5s",
        "--precision=bf16",
        "--output=out",
        "--recovery=on",
        "--lost-after=4",
        "--no-anchor",
        "--stop-when-lost=1.5",
        "--offset-ms=-100/3",
        "--sync=nearest",
    ]


def test_the_words_of_a_request_give_it_back():
    got: list[TrackRequest] = []
    app = typer.Typer()

    @app.command()
    @grouped
    def show(request: TrackRequest) -> None:
        """Show."""
        got.append(request)

    request = TrackRequest(
        "rgb.mp4",
        boxes=((1, 2, 3, 4.5),),  # type: ignore[arg-type]
        box_files=(Path("a.txt"),),
        pairing=PairingOptions(offset_s=Fraction(-1, 30), folder_rate=Fraction(2997, 100)),
    )
    CliRunner().invoke(app, request.command[2:], catch_exceptions=False)
    assert got == [request]


def test_a_command_may_leave_options_out():
    app = typer.Typer()

    @app.command()
    @grouped
    def show(size: Annotated[Size, Without("--width", "--by-ms")]) -> None:
        """Show."""
        assert size == Size(big=True)

    outcome = CliRunner().invoke(app, ["--help"])
    assert "--width" not in outcome.output
    assert CliRunner().invoke(app, ["--big"], catch_exceptions=False).exit_code == 0


def test_what_cannot_be_is_told_with_its_option():
    assert "--by-ms" in str(run("x", "--by-ms", "soon"))
    assert "'--by-ms': 'inf' is not a finite number" in str(run("x", "--by-ms", "inf"))
    assert "'--by-ms': '1/0' divides by 0" in str(run("x", "--by-ms", "1/0"))


def test_two_types_with_the_same_option_are_a_mistake_of_the_program():
    def twice(*, one: Size, two: Size) -> None:
        """Do nothing."""

    with pytest.raises(TypeError, match="the same name"):
        grouped(twice)
