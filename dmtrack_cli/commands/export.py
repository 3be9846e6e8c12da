"""`dmtrack export`: results in another format, or the results of a whole batch in one CSV."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.table import MergedTable
from dmtrack.boxes.losses import losses
from dmtrack.boxes.reading import folders_without_results, item_id, read_all, read_results, result_files
from dmtrack.boxes.results import PictureSize, RecordingResults
from dmtrack.boxes.writing import result_files_of, write_results
from dmtrack.errors import ConfigError, FormatError
from dmtrack_cli.console import EXIT_SOME_FAILED, say_line
from dmtrack_cli.options import SourceFormatOption


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
    files = [file for path in results for file in result_files(path)]
    _say_empty(results)
    if merge:
        if target not in (None, ResultFormat.CSV):
            raise typer.BadParameter("--merge writes csv", param_hint="--format")
        _merge(files, source, Path(output), overwrite=overwrite)
        return
    if target is None:
        raise typer.BadParameter(f"say which: {', '.join(ResultFormat)}", param_hint="--format")
    known_size = None if size is None else parse_size(size)
    recordings = [_completed(one, label, known_size) for one in read_all(files, source)]
    written = result_files_of(recordings, target, output)
    write_results(written, overwrite=overwrite)
    for loss in losses(recordings, target):
        say_line("lost", str(loss), "yellow")
    if target is ResultFormat.COCO and any(one.size is None for one in recordings):
        say_line("note", "the size of the frames is not known and left out; --size WxH adds it", "dim")
    for file in written:
        if file.data is not None:
            typer.echo(file.path)


def parse_size(text: str) -> PictureSize:
    """Read `640x480`.

    Raises:
        ConfigError: It is no size.
    """
    words = text.lower().split("x")
    if len(words) != 2 or not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
        raise ConfigError(f"--size {text} is not a size", hint="write WIDTHxHEIGHT in px, such as 640x480")
    return PictureSize(int(words[0]), int(words[1]))


def _completed(results: RecordingResults, label: str | None, size: PictureSize | None) -> RecordingResults:
    """Return the results with what the person adds."""
    if label is not None:
        results = replace(results, labels=dict.fromkeys(results.target_ids, label))
    return results if size is None else replace(results, size=size)


def _merge(files: list[Path], source: ResultFormat | None, output: Path, *, overwrite: bool) -> None:
    """Write all results that can be read; name those that cannot, and leave with their exit code."""
    failures: list[FormatError] = []
    with MergedTable(output, overwrite=overwrite) as table:
        for file in files:
            try:
                found = read_results(file, source)
            except FormatError as error:
                failures.append(error)
                continue
            for recording in found:
                table.add(item_id(file, recording), recording)
        if failures and not table.items:
            raise failures[0]
    for failure in failures:
        say_line("left out", str(failure), "bold red")
    typer.echo(f"{output}: {len(table.items)} items")
    if failures:
        raise typer.Exit(EXIT_SOME_FAILED)


def _say_empty(paths: list[Path]) -> None:
    empty = [folder.name for path in paths for folder in folders_without_results(path)]
    if empty:
        say_line("left out", f"folders without results: {', '.join(empty)}", "yellow")
