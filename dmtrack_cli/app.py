"""The program: its commands, version and verbosity, and `main`, where errors become exit codes.

Commands are imported when they run, so `dmtrack --help` needs neither torch nor OpenCV.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperCommand

import dmtrack
from dmtrack.errors import DmtrackError
from dmtrack_cli.arguments import prepare_arguments
from dmtrack_cli.command_line import Command, Group, put_right
from dmtrack_cli.console import (
    EXIT_INTERRUPTED,
    Stopped,
    report_defect,
    report_error,
    say_line,
    set_up_logging,
)
from dmtrack_cli.interrupt import StopAtOnce, outlive_the_terminal
from dmtrack_cli.standard_streams import keep_streams, lost_output


class _Entry(NamedTuple):
    """The module and function of a command, and its line in the list of commands."""

    home: str
    help: str


COMMANDS: Final = {
    "track": _Entry("track:track", "Track targets through a recording."),
    "review": _Entry("review:review", "Look at results in the browser, and correct them."),
    "batch": _Entry("batch:batch", "Track every recording of a folder or a list."),
    "inspect": _Entry("inspect:inspect", "Show what is in the files, and whether and how they pair."),
    "events": _Entry("events:events", "Draw an event file as pictures, and show what is in it."),
    "align": _Entry("align:align", "Align two cameras in space and time."),
    "render": _Entry("render:render", "Draw boxes from files onto a recording."),
    "export": _Entry("export:export", "Convert results to another format."),
    "export-model": _Entry("export_model:export_model", "Export the network for other programs (ONNX)."),
    "weights": _Entry("weights:app", "Add, list and check network weights."),
    "evaluate": _Entry("evaluate:evaluate", "Score the results of any tracker on a benchmark, or run ours."),
    "train": _Entry("train:train", "Train the foundation, or the adapters of one modality."),
    "synthetic": _Entry("synthetic:synthetic", "Show synthetic training samples in one picture."),
    "bench": _Entry("bench:bench", "Measure how fast this machine tracks, and where the time goes."),
    "doctor": _Entry("doctor:doctor", "Show what this machine can do."),
}


class _LazyGroup(Group):
    """Lists commands from `COMMANDS`, and imports one only to run it."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - Typer's own arguments, handed on
        attributes["commands"] = {
            name: TyperCommand(name, help=entry.help, callback=None) for name, entry in COMMANDS.items()
        }
        super().__init__(**attributes)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401
        """Find the command, then replace its entry in the list by the real one."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else load_command(name), rest

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Import and run the command; a signal that it does not handle itself ends it with one line."""
        with StopAtOnce():
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                raise Stopped("before it was done") from None


@functools.cache
def load_command(name: str) -> Any:  # noqa: ANN401 - the type of Typer's own click is private
    """Import a command of `COMMANDS` and return its Typer command, cached because that takes time."""
    module, attribute = COMMANDS[name].home.split(":")
    found: typer.Typer | Callable[..., Any] = getattr(
        importlib.import_module(f"dmtrack_cli.commands.{module}"), attribute
    )
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        single.command(name, cls=Command)(found)
        found = single
    command = typer.main.get_command(found)
    command.name = name
    put_right(command)
    return command


app: Final = typer.Typer(
    cls=_LazyGroup,
    name="dmtrack",
    help="Track a target in two synchronised videos: RGB plus thermal, depth or event.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dmtrack {dmtrack.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[
        int,
        typer.Option(
            "-v", "--verbose", count=True, show_default=False, help="Print more; twice: everything."
        ),
    ] = 0,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    set_up_logging(verbose)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit with 0 on success.

    Otherwise with 2 wrong usage, 3 input, 4 configuration, 5 output, 6 some items of a batch failed, 1 a
    defect.

    `arguments` are the words after the program's name, by default those of this process.
    """
    keep_streams()
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # we report faulty pictures ourselves
    if not os.environ.get("COLUMNS", "1").strip("0 "):
        del os.environ["COLUMNS"]  # without a terminal some shells set 0, and Typer would print nothing
    code = _run(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        outlive_the_terminal()
    lost = lost_output()
    sys.exit(report_error(lost) if lost is not None and code == 0 else code)


def _run(words: Sequence[str]) -> int:
    try:
        app(args=prepare_arguments(words), prog_name="dmtrack")
    except SystemExit as leaving:  # Typer's normal end
        return leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
    except DmtrackError as error:
        return report_error(error)
    except Stopped as stopped:
        say_line("stopped", str(stopped), "bold yellow")
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last boundary: a person must never meet a bare traceback
        return report_defect(error)
    return 0
