"""`dmtrack export`: results in another format, or the results of a whole batch in one CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dmtrack.boxes.export import export as export_results
from dmtrack.boxes.export import merge as merge_results
from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.results import PictureSize
from dmtrack.errors import ConfigError
from dmtrack_cli.console import EXIT_SOME_FAILED, say_line
from dmtrack_cli.shared_options import SourceFormatOption


def export(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT",
            help="Results folders of `dmtrack track`, folders of them, or files in any of the formats.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="File to write, or a folder: a name without a suffix, or with a slash at its end.",
            show_default=False,
        ),
    ],
    target: Annotated[
        ResultFormat | None,
        typer.Option("--format", help="Format to write; with --merge it is csv.", show_default=False),
    ] = None,
    source: SourceFormatOption = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="One CSV of all results, the item id as its first column.")
    ] = False,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="NAME",
            help="What the targets are, for cvat, coco and json.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="WxH",
            help="Size of the RGB frames in px, for coco and json. Default: from run.json.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
) -> None:
    """Write results in another format.

    Reads a run's results folder, or a file of MOT, CSV, JSON, JSON lines, VOT, LasHeR (any ground
    truth), CVAT or COCO, and writes any of them. What the format cannot hold is said, a line each.
    Formats of one target a file give one file an id. --merge passes over an item that cannot be read;
    the exit code is then 6.
    """
    if merge:
        if target not in (None, ResultFormat.CSV):
            raise typer.BadParameter("--merge writes csv", param_hint="--format")
        _merge(results, output, source, overwrite=overwrite)
        return
    if target is None:
        raise typer.BadParameter(f"say which: {', '.join(ResultFormat)}", param_hint="--format")
    known_size = None if size is None else parse_size(size)
    done = export_results(
        results, output, target, source=source, label=label, size=known_size, overwrite=overwrite
    )
    _say_empty(done.empty)
    for loss in done.losses:
        say_line("lost", str(loss), "yellow")
    if done.is_unsized:
        say_line("note", "the size of the frames is not known and left out; --size WxH adds it", "dim")
    for file in done.files:
        typer.echo(file)


def parse_size(text: str) -> PictureSize:
    """Read `640x480`.

    Raises:
        ConfigError: It is no size.
    """
    words = text.lower().split("x")
    if len(words) != 2 or not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
        raise ConfigError(f"--size {text} is not a size", hint="write WIDTHxHEIGHT in px, such as 640x480")
    return PictureSize(int(words[0]), int(words[1]))


def _merge(results: list[Path], output: str, source: ResultFormat | None, *, overwrite: bool) -> None:
    done = merge_results(results, output, source=source, overwrite=overwrite)
    _say_empty(done.empty)
    for failure in done.failures:
        say_line("left out", str(failure), "bold red")
    typer.echo(f"{Path(output)}: {done.items} items")
    if done.failures:
        raise typer.Exit(EXIT_SOME_FAILED)


def _say_empty(folders: tuple[Path, ...]) -> None:
    if folders:
        names = ", ".join(folder.name for folder in folders)
        say_line("left out", f"folders without results: {names}", "yellow")
