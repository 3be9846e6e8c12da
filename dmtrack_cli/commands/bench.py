"""`dmtrack bench`: how fast this machine tracks, and where the time goes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table

from dmtrack.bench.request import BenchRequest
from dmtrack.errors import ConfigError, counted
from dmtrack.numbers import whole
from dmtrack.options import Option
from dmtrack_cli.console import err, out, say_line
from dmtrack_cli.option_groups import grouped
from dmtrack_cli.shared_options import JsonOption

if TYPE_CHECKING:
    from dmtrack.bench.measure import BenchRow


_NAMES_WIDTH: Final = 24
_COLUMN_WIDTH: Final = 14


@grouped
def bench(
    request: BenchRequest,
    *,
    targets: Annotated[str, Option("--targets", "Numbers of simultaneous targets.", metavar="N,N")] = "1,10",
    as_json: JsonOption = False,
) -> None:
    """Measure how fast this machine tracks: each stage on its own, and the whole command.

    Stages are medians over frames, measured one after the other. The command overlaps them: it reads ahead,
    and draws and encodes in the background. Without the weights of `base`, random ones are measured, which
    are as fast. The box difference is the largest distance of a box's four edges from exact mode (torch
    fp32) on the same frames.
    """
    request = replace(request, targets=_counts(targets))
    from dmtrack.bench import measure  # imports torch

    with err.status("measuring …") as status:
        report = measure.bench(request, status.update)
    for problem in report.left_out:
        say_line("note", f"left out: {problem}", "yellow")
    width, height = report.clip.size
    if as_json:
        rows = [row.to_dict() for row in report.rows]
        typer.echo(json.dumps({"size": [width, height], "rows": rows}, indent=2))
        return
    kind = ("made up, {}x{}, RGB and thermal" if report.clip.made_up else "{}x{}").format(width, height)
    at_once = max(1, (out.width - _NAMES_WIDTH) // _COLUMN_WIDTH)
    for first in range(0, len(report.rows), at_once):
        out.print(_table(report.rows[first : first + at_once], kind), "")
    for name in dict.fromkeys(row.choice.preset for row in report.rows if row.made_up_weights):
        say_line("note", f"{name}: measured with random weights, as there are no others here", "yellow")


def _counts(text: str) -> tuple[int, ...]:
    """Read `1,10`; `ConfigError` unless it is a list of numbers of targets."""
    try:
        counts = [whole(word) for word in text.split(",")]
    except ValueError:
        raise ConfigError(f"{text!r} is no list of numbers", where="--targets", hint="such as 1,10") from None
    return tuple(dict.fromkeys(counts))


def _table(rows: Sequence[BenchRow], recording: str) -> Table:
    """Return the table, with a column for each choice: there are more figures than choices."""
    table = Table(title=f"recording: {recording}", title_justify="left", box=None, header_style="bold")
    table.add_column("", no_wrap=True)
    for row in rows:
        choice, targets = row.choice, counted(row.choice.targets, "target")
        head = f"{choice.preset}\n{choice.backend}\n{choice.device} {choice.precision}\n{targets}"
        table.add_column(head, justify="right", overflow="fold")
    for stage in fields(rows[0].stages_ms):
        table.add_row(f"{stage.name}, ms", *(f"{getattr(row.stages_ms, stage.name):.1f}" for row in rows))
    table.add_row("network, fps", *(f"{row.network_fps:.1f}" for row in rows))
    table.add_row("whole command, fps", *(f"{row.command.fps:.1f}" for row in rows))
    table.add_row("start-up, s", *(f"{row.command.start_up_s:.1f}" for row in rows))
    table.add_row("peak memory, MiB", *(_whole(row.command.peak_mb) for row in rows))
    if any(row.gpu_peak_mb is not None for row in rows):
        table.add_row("peak of the GPU, MiB", *(_whole(row.gpu_peak_mb) for row in rows))
    table.add_row("box difference, mean px", *(_drift(row, "mean_px") for row in rows))
    table.add_row("largest px", *(_drift(row, "largest_px") for row in rows))
    table.add_row("over frames", *("-" if row.drift is None else str(row.drift.frames) for row in rows))
    return table


def _drift(row: BenchRow, figure: str) -> str:
    if row.choice.is_exact:
        return "exact"
    return "-" if row.drift is None else f"{getattr(row.drift, figure):.3f}"


def _whole(number: float | None) -> str:
    return "unknown" if number is None else f"{number:.0f}"
