"""`dmtrack doctor`: what this machine can do, and why it may not track."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Final

import typer
from rich.table import Table
from rich.text import Text

from dmtrack.doctor import Finding, State, findings
from dmtrack_cli.console import out
from dmtrack_cli.option_groups import grouped
from dmtrack_cli.shared_options import JsonOption
from dmtrack_cli.viewer import why_no_window

EXIT_CANNOT_TRACK: Final = 4


@grouped
def doctor(as_json: JsonOption = False) -> None:
    """Show what this machine can do. Exit code 4 if it cannot track."""
    found = [*findings(), _display()]
    can_track = all(finding.state is not State.FAIL for finding in found)
    if as_json:
        typer.echo(json.dumps({"can_track": can_track, "findings": [asdict(f) for f in found]}, indent=2))
    else:
        out.print(_table(found))
        out.print("This machine can track." if can_track else "This machine cannot track: see fail above.")
    if not can_track:
        raise typer.Exit(EXIT_CANNOT_TRACK)


def _table(found: list[Finding]) -> Table:
    colours = {State.OK: "green", State.NOTE: "yellow", State.FAIL: "bold red"}
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in found:
        table.add_row(finding.topic, Text(finding.state, colours[finding.state]), Text(finding.detail))
    return table


def _display() -> Finding:
    reason = why_no_window()
    if reason is None:
        return Finding("display", State.OK, "--show opens a window, a bare --box a page in a browser")
    return Finding(
        "display", State.NOTE, f"{reason}: --show does not work, a bare --box prints a page's address"
    )
