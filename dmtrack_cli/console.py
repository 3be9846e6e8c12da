"""The program's output: results on standard output, everything else on standard error.

A deliberate error is one line and an exit code. A defect is one line too, and a traceback with `-v`.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from dmtrack.errors import DmtrackError, InputError, counted, one_line, printable, reason_of

EXIT_DEFECT: Final = 1
EXIT_SOME_FAILED: Final = 6
EXIT_INTERRUPTED: Final = 130
_USUAL_COLUMNS: Final = 80  # if the system says 0
_LEAST_COLUMNS: Final = 40


class _PlainConsole(Console):
    """Shows terminal control characters as escapes: names and titles come from files."""

    @property  # type: ignore[misc]  # nobody sets it
    def size(self) -> ConsoleDimensions:
        """Return columns and lines, but at least so many columns that no table drops any.

        Moving output, which is on standard error, must fit the real terminal.
        """
        found = super().size
        least = 1 if self.stderr and self.is_terminal else _LEAST_COLUMNS
        return ConsoleDimensions(max(found.width or _USUAL_COLUMNS, least), found.height)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the printed segments, without control characters except line ends."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                text = "\n".join(map(printable, segment.text.split("\n")))
                yield Segment(text, segment.style)


out: Final = _PlainConsole(highlight=False)
err: Final = _PlainConsole(stderr=True, highlight=False)


class Stopped(Exception):  # noqa: N818 - it is no error
    """The person stopped the program; the text is for the terminal."""


def stopped_after(number: int, noun: str, where: object) -> Stopped:
    """Return a `Stopped` that says what there is: `the first 5 frames are in out`."""
    what = f"the first {noun} is" if number == 1 else f"the first {counted(number, noun)} are"
    return Stopped(f"{what} in {where}")


def facts_table(facts: Iterable[tuple[str, str]]) -> Table:
    """Return a table of names and values."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, fact in facts:
        table.add_row(name, Text(fact))
    return table


def listing(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> Table:
    """Return a table of rows of text; a column whose name begins with `>` is right-aligned for numbers."""
    table = Table(show_edge=False, pad_edge=False, title=title, title_justify="left")
    for name in columns:
        is_number = name.startswith(">")
        table.add_column(name.removeprefix(">"), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table


def say_line(kind: str, message: str, style: str) -> None:
    """Print `kind: message` as one line on standard error, however narrow the terminal is."""
    line = Text.assemble((f"{kind}: ", style), one_line(message))
    err.print(line, soft_wrap=True)


def report_error(error: DmtrackError) -> int:
    """Print a deliberate error and return its exit code."""
    say_line("error", str(error), "bold red")
    return error.exit_code


def report_defect(error: Exception) -> int:
    """Print an unexpected error, with its traceback if the person asked for details.

    An error of the system about a file (its name is too long, its disk was removed) is not a defect.
    """
    if is_verbose():
        err.print(Text("".join(traceback.format_exception(error))), soft_wrap=True)
    if isinstance(error, OSError) and error.filename is not None:
        return report_error(InputError(reason_of(error), where=error.filename))
    hint = "please report this" if is_verbose() else "please report this with what dmtrack -v prints"
    say_line("error", f"unexpected {type(error).__name__}: {error}; {hint}", "bold red")
    return EXIT_DEFECT


class _ConsoleHandler(logging.Handler):
    """Prints log records through the console, so that they do not tear a progress bar.

    Each message is printed once: a reader repeats its warnings whenever it opens a file.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        is_warning = record.levelno >= logging.WARNING
        if is_warning and record.name.startswith("dmtrack.video."):
            if message in self._said:
                return
            self._said.add(message)
        style = "yellow" if is_warning else "dim"
        say_line(record.levelname.lower(), message, style)


def set_up_logging(verbosity: int) -> None:
    """Show the library's warnings; `-v` shows what it does, `-vv` everything."""
    logger = logging.getLogger("dmtrack")
    for handler in [h for h in logger.handlers if isinstance(h, _ConsoleHandler)]:
        logger.removeHandler(handler)
    logger.addHandler(_ConsoleHandler())
    logger.propagate = False
    logger.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)])
    # A failing result is reported once, as the error that ends the run; with -v also at once. matplotlib
    # warns of a cache that it cannot write, which does not matter.
    for name in ("dmtrack.output.sink", "matplotlib"):
        logging.getLogger(name).setLevel(logging.ERROR if verbosity == 0 else logging.NOTSET)


def is_verbose() -> bool:
    """Return whether the person asked for details."""
    return logging.getLogger("dmtrack").isEnabledFor(logging.INFO)
