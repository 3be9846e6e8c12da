"""Results as the CSV of a run (`boxes.formats.table`), where every cell may be empty that is not known.

A target without a box has empty `x,y,w,h`; a frame without any target is a row with an empty `id`. The
table of several recordings has `item` as its first column.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Final

from dmtrack.boxes.formats.table import COLUMNS
from dmtrack.boxes.gathering import ResultsGatherer
from dmtrack.boxes.numbers import finite, whole
from dmtrack.boxes.recording import AuxMatch, FrameBoxes, RecordingResults, TargetBox
from dmtrack.boxes.text import box_of, placed, read_text
from dmtrack.errors import FormatError
from dmtrack.tracking.result import TrackState

ITEM: Final = "item"
"""The column that says which recording a row is about."""
_NEEDED: Final = ("frame", "id", "x", "y", "w", "h")


def read_table_results(path: Path, name: str) -> tuple[RecordingResults, ...]:
    """Read a CSV with a header; columns may stand in any order, and others may stand beside them.

    Args:
        path: The file.
        name: Of the recording, unless a column `item` names several.

    Raises:
        FormatError: It cannot be read, a needed column is missing, or a row is malformed (its number is
            named; the header is row 1).
    """
    gatherers: dict[str, ResultsGatherer] = {}
    for number, cells in _numbered_rows(path):
        gatherer = gatherers.setdefault(cells.get(ITEM) or name, ResultsGatherer())
        try:
            gatherer.add_frame(_frame_of(cells))
        except FormatError as error:
            raise placed(error, f"{path}, row {number}") from None
    if not gatherers:
        raise FormatError("holds no row", where=path)
    return tuple(gatherer.results(item) for item, gatherer in gatherers.items())


def _numbered_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows after the header that are not blank, with their numbers, the header being 1."""
    lines = enumerate(csv.reader(io.StringIO(read_text(path), newline=""), strict=True), start=1)
    try:
        yield from _named_cells(lines, path)
    except csv.Error as error:
        raise FormatError(f"is not a CSV text file ({error})", where=path) from None


def _named_cells(lines: Iterator[tuple[int, list[str]]], path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    _, first = next(lines, (1, []))
    header = [column.strip() for column in first]
    missing = [column for column in _NEEDED if column not in header]
    if missing:
        raise FormatError(
            f"has no column {', '.join(missing)}",
            where=path,
            hint="its first row names the columns: frame,id,x,y,w,h and others",
        )
    for number, row in lines:
        if row:
            cells = (cell.strip() for cell in row[: len(header)])
            yield number, dict(zip_longest(header, cells, fillvalue=""))


def table_text(results: RecordingResults) -> str:
    """Return the table of one recording, with a header."""
    return _csv_lines([COLUMNS]) + table_rows(results)


def merged_header() -> str:
    """Return the header of a table of several recordings."""
    return _csv_lines([(ITEM, *COLUMNS)])


def table_rows(results: RecordingResults, item: str | None = None) -> str:
    """Return the rows of one recording, with the item in front if one is given."""
    front = () if item is None else (item,)
    return _csv_lines([(*front, *row) for frame in results.frames for row in _rows_of(frame)])


def _csv_lines(rows: list[tuple[str, ...]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _rows_of(frame: FrameBoxes) -> Iterator[tuple[str, ...]]:
    aux = frame.aux
    aux_times = ("", "") if aux is None else (_cell(aux.time_s), _cell(aux.skew_ms))
    before = (str(frame.frame_index), _cell(frame.time_s), *aux_times)
    after = ("" if aux is None else str(int(aux.present)), _cell(frame.infer_ms))
    for target in frame.targets:
        box = ("", "", "", "") if target.box is None else tuple(_cell(side) for side in target.box.xywh)
        found = (str(target.target_id), *box, _cell(target.score), target.state or "")
        yield (*before, *found, *after)
    if not frame.targets:
        yield (*before, *("" for _ in range(7)), *after)


def _cell(value: float | None) -> str:
    return "" if value is None else repr(float(value))


def _frame_of(cells: dict[str, str]) -> FrameBoxes:
    targets = (_target_of(cells),) if cells["id"] else ()
    return FrameBoxes(
        whole(cells["frame"], "frame"),
        targets,
        time_s=_optional(cells, "time_s"),
        aux=_aux_of(cells),
        infer_ms=_optional(cells, "infer_ms"),
    )


def _target_of(cells: dict[str, str]) -> TargetBox:
    sides = [cells[column] for column in "xywh"]
    box = box_of(*(finite(cells[column], column) for column in "xywh")) if any(sides) else None
    return TargetBox(whole(cells["id"], "id"), box, _optional(cells, "score"), state_of(cells.get("state")))


def _aux_of(cells: dict[str, str]) -> AuxMatch | None:
    present = cells.get("aux_present", "")
    if not present:
        return None
    if present not in ("0", "1"):
        raise FormatError(f"aux_present {present!r} is not 0 or 1")
    return AuxMatch(present == "1", _optional(cells, "aux_time_s"), _optional(cells, "skew_ms"))


def _optional(cells: dict[str, str], column: str) -> float | None:
    text = cells.get(column, "")
    return finite(text, column) if text else None


def state_of(text: str | None) -> TrackState | None:
    """Return the state of that name; nothing is None.

    Raises:
        FormatError: There is no such state.
    """
    if not text:
        return None
    try:
        return TrackState(text)
    except ValueError:
        raise FormatError(f"state {text!r} is not one of {', '.join(TrackState)}") from None
