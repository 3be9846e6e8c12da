"""Groups of options: Typer sees each option, the command gets whole groups, a group can be spelt again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from dmtrack.errors import ConfigError
from dmtrack_cli.option_groups import grouped, words
from dmtrack_cli.options import Losing, Network, Pairing, Picture, PrecisionChoice, RecoveryChoice


@dataclass(frozen=True)
class Size:
    """A made-up group."""

    width: Annotated[int, typer.Option("--width", help="Columns.")] = 3
    name: Annotated[str | None, typer.Option("--name")] = None
    big: Annotated[bool, typer.Option("--big")] = False
    round: Annotated[bool | None, typer.Option("--round/--no-round")] = None


def run(*arguments: str) -> object:
    got: list[object] = []
    app = typer.Typer()

    @app.command()
    @grouped
    def show(
        file: Annotated[str, typer.Argument()], *, size: Size, loud: Annotated[int, typer.Option()] = 1
    ) -> None:
        """Show."""
        got.append((file, size, loud))

    outcome = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return got[0] if got else outcome.output


def test_a_command_gets_its_group_with_what_was_given_and_the_defaults() -> None:
    assert run("f", "--width", "7", "--loud", "2") == ("f", Size(width=7), 2)
    assert run("f", "--big", "--no-round") == ("f", Size(big=True, round=False), 1)


def test_help_shows_the_options_of_the_group() -> None:
    help_text = str(run("--help"))
    assert "--width" in help_text
    assert "Columns." in help_text


@pytest.mark.parametrize(
    "size",
    [Size(), Size(width=9, name="a b"), Size(big=True, round=True), Size(round=False, name="--x")],
    ids=str,
)
def test_the_words_of_a_group_give_it_back(size: Size) -> None:
    assert run("f", *words(size)) == ("f", size, 1)


def test_only_what_differs_from_the_default_is_spelt() -> None:
    groups = (Pairing(), Network(), Losing(), Picture())
    assert [word for group in groups for word in words(group)] == []
    assert list(words(Losing(RecoveryChoice.ON, lost_after=4, anchor=False, stop_when_lost=1.5))) == [
        "--recovery=on",
        "--lost-after=4",
        "--no-anchor",
        "--stop-when-lost=1.5",
    ]
    assert list(words(Network(precision=PrecisionChoice.BF16))) == ["--precision=bf16"]


def test_two_groups_with_the_same_option_are_a_mistake_of_the_program() -> None:
    def twice(*, one: Size, two: Size) -> None:
        """Do nothing."""

    with pytest.raises(TypeError, match="the same name"):
        grouped(twice)


def test_a_field_without_an_option_is_a_mistake_of_the_program() -> None:
    with pytest.raises(TypeError, match="no named option"):
        grouped(_with_plain)


@dataclass(frozen=True)
class Plain:
    """A group that lacks its option."""

    width: int = 3


def _with_plain(*, one: Plain) -> None:
    """Do nothing."""


@pytest.mark.parametrize("losing", [Losing(stop_when_lost=0), Losing(stop_when_lost=float("nan"))], ids=str)
def test_a_time_that_is_none_is_refused(losing: Losing) -> None:
    with pytest.raises(ConfigError, match="--stop-when-lost"):
        _ = losing.stop_after_s
