"""The manifest of a batch: a CSV with one recording a row.

    id,rgb,aux,modality,box,box_file,start,end,offset_ms,align,detections

Only `id` and `rgb` are required, columns may be in any order, empty cells mean the default, and paths are
relative to the manifest. A faulty row becomes a `Problem` without affecting the others. Rows are numbered as
an editor shows them: the header is row 1.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from dmtrack.batch.item import BatchItem, Findings, Problem
from dmtrack.errors import ConfigError, DmtrackError, FormatError, printable, translated
from dmtrack.numbers import file_text
from dmtrack.options import seconds_of_ms
from dmtrack.output.csv_text import plain
from dmtrack.tracking.start import parse_target
from dmtrack.video.frame import Modality
from dmtrack.video.position import parse_position

_Value = TypeVar("_Value")

COLUMNS: Final = (
    *("id", "rgb", "aux", "modality", "box", "box_file"),
    *("start", "end", "offset_ms", "align", "detections"),
)
_NEEDED: Final = ("id", "rgb")
_TOO_MANY: Final = "too many"
_NUMBER: Final = re.compile(r"(\d+:)?[-+]?\d+(\.\d*)?")


Cells = dict[str, str]  # stripped cells of one row by column; empty for columns that the manifest lacks


def read_manifest(
    path: Path | str, modality: Modality | None = None, *, holds_both: bool = False
) -> Findings:
    """Read a manifest; faulty rows become problems, nothing is opened.

    It is a CSV file with commas (or semicolons or tabs, as some spreadsheets write) and a header. `modality`
    is for rows without one; with `holds_both` a file without `aux` holds the second stream too.
    `FormatError`: the file cannot be read, is not CSV text, has no rows, or its header is wrong.
    """
    path = Path(path)
    entries: list[BatchItem | Problem] = []
    for number, row in _rows(path):
        try:
            item = _item(row, path.parent, modality, holds_both=holds_both)
            entries.append(replace(item, origin=f"row {number}"))
        except DmtrackError as error:
            entries.append(Problem(printable(row["id"]), printable(str(error)), f"row {number}"))
    if not entries:
        raise FormatError("has no rows below its header", where=path)
    return Findings(tuple(entries))


def _rows(path: Path) -> Iterator[tuple[int, Cells]]:
    """Yield the rows below the header that are not blank, with their numbers."""
    with translated(FormatError, "is not UTF-8 text", where=path, hint="save it as CSV UTF-8"):
        text = file_text(path)
    header_line = text.partition("\n")[0]
    delimiter = next((mark for mark in ";\t" if mark in header_line and "," not in header_line), ",")
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, skipinitialspace=True)
    try:
        names = _header(next(reader, []), path)
        end = reader.line_num
        for cells in reader:
            number, end = end + 1, reader.line_num  # a quoted cell may hold line breaks
            if any(cell.strip() for cell in cells):
                yield number, _row(names, cells)
    except csv.Error as error:
        raise FormatError(f"is not a CSV file (row {reader.line_num}: {error})", where=path) from None


def _header(cells: list[str], path: Path) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    for name in names:
        if name not in COLUMNS:
            close = difflib.get_close_matches(name, COLUMNS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(COLUMNS)}"
            raise FormatError(f"has an unknown column {name!r}", where=f"{path}, row 1", hint=hint)
        if names.count(name) > 1:
            raise FormatError(f"has the column {name!r} twice", where=f"{path}, row 1")
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise FormatError(
            f"has no column {' and '.join(missing)}",
            where=path,
            hint=f"its first line names the columns: {','.join(COLUMNS)}",
        )
    return names


def _row(names: list[str], cells: list[str]) -> Cells:
    stripped = [plain(cell.strip()) for cell in cells]
    row = dict.fromkeys(COLUMNS, "") | dict(zip(names, stripped, strict=False))
    if any(stripped[len(names) :]):
        row[_TOO_MANY] = f"{len(cells)} cells, but {len(names)} columns"
    return row


def _item(row: Cells, folder: Path, usual: Modality | None, *, holds_both: bool) -> BatchItem:
    has_aux = bool(row["aux"]) or holds_both
    if _TOO_MANY in row:
        raise FormatError(row[_TOO_MANY], hint="put a box with commas in quotes")
    for name in _NEEDED:
        if not row[name]:
            raise FormatError(f"the cell {name!r} is empty")
    if row["align"] and not has_aux:
        raise ConfigError(f"there is an alignment ({row['align']}) but no aux")
    if _NUMBER.fullmatch(row["box"]):
        raise FormatError(f"box is only {row['box']!r}", hint='put a box with commas in quotes: "x,y,w,h"')
    if row["box"] and row["box_file"]:
        raise ConfigError("both box and box_file are given", hint="give one of them")
    return BatchItem(
        id=printable(row["id"]),
        rgb=folder / row["rgb"],
        aux=folder / row["aux"] if row["aux"] else None,
        modality=_modality(row, has_aux=has_aux) or (usual if has_aux else None),
        boxes=(parse_target(row["box"]),) if row["box"] else (),
        box_files=(folder / row["box_file"],) if row["box_file"] else (),
        start=_read(row, "start", parse_position),
        end=_read(row, "end", parse_position),
        offset_s=_read(row, "offset_ms", seconds_of_ms),
        align=folder / row["align"] if row["align"] else None,
        detections=folder / row["detections"] if row["detections"] else None,
    )


def _modality(row: Cells, *, has_aux: bool) -> Modality | None:
    word = row["modality"].lower()
    if word in ("", "auto"):
        return None
    if not has_aux:
        raise ConfigError(f"there is a modality ({word}) but no aux")
    if word not in [*Modality]:
        raise ConfigError(f"unknown modality {row['modality']!r}", hint=", ".join(Modality))
    return Modality(word)


def _read(row: Cells, name: str, parse: Callable[[str], _Value]) -> _Value | None:
    try:
        return parse(row[name]) if row[name] else None
    except ConfigError as error:
        raise ConfigError(error.what, where=name, hint=error.hint) from None
    except ValueError as error:
        raise ConfigError(f"{name} {error}") from None
