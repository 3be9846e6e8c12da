"""The CSV of a run: one row per target and frame, with a header and LF line ends.

`frame` is the 0-based frame index (the one `--start` takes). Pixels and scores have at most six decimals, as
in MOT files, seconds six, milliseconds three. An unknown value is an empty cell: a frame without a partner in
the second stream has empty `aux_time_s` and `skew_ms`, and `aux_present` 0. A target without a box has empty
`x,y,w,h`; a frame without any target is a row with an empty `id` (a run itself writes no row then).
`aux_median`, `aux_min`, `aux_max` are what the second stream measures of the target, in `aux_unit`;
`x_m,y_m,z_m` is its position relative to the RGB camera. The table of several recordings has `item` as its
first column.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Final, Self

from dmtrack.atomic import LineFile
from dmtrack.boxes.formats.mot import DECIMALS, MS_DECIMALS, decimal_text, format_box
from dmtrack.boxes.parsing import box_of, finite, measure_of, placed, state_of, whole
from dmtrack.boxes.results import FrameBoxes, RecordingResults, ResultsGatherer
from dmtrack.datasets.ground_truth import read_text
from dmtrack.errors import FormatError, OutputError
from dmtrack.output.csv_text import csv_text, plain
from dmtrack.tracking.result import TrackedBox
from dmtrack.video.second.gauge import MEASURE_COLUMNS, AuxMeasure, measure_cells

COLUMNS: Final = (
    *("frame", "time_s", "aux_time_s", "skew_ms", "id", "x", "y", "w", "h"),
    *("score", "state", "aux_present", "infer_ms"),
    *MEASURE_COLUMNS,
)
HEADER: Final = ",".join(COLUMNS) + "\n"
ITEM: Final = "item"  # the column with the name of the recording
_DECIMAL_COMMA: Final = re.compile(r"^([-+]?\d+),(\d+)$", re.ASCII)
_NEEDED: Final = ("frame", "x", "y", "w", "h")
_OF_THE_FRAME: Final = ("time_s", "aux_time_s", "skew_ms", "infer_ms")


def read_table(path: Path, name: str) -> tuple[RecordingResults, ...]:
    """Read a CSV with a header; columns may be in any order, and unknown ones are ignored.

    `name` is the recording's, unless a column `item` names several. `FormatError`: it cannot be read, a
    needed column is missing, or a row is malformed (its number is named; the header is row 1).
    """
    gatherers: dict[str, ResultsGatherer] = {}
    for number, cells in numbered_rows(path):
        gatherer = gatherers.setdefault(plain(cells.get(ITEM) or "") or name, ResultsGatherer())
        with placed(f"{path}, row {number}"):
            _gather(gatherer, cells)
    if not gatherers:
        return (RecordingResults(name, ()),)
    return tuple(gatherer.results(item) for item, gatherer in gatherers.items())


def table_lines(frame: FrameBoxes, front: str = "") -> str:
    """Return the rows of a frame, each prefixed with `front`."""
    times = (_cell(frame.time_s), _cell(frame.aux_time_s), _cell(frame.skew_ms, MS_DECIMALS))
    before = ",".join((str(frame.frame_index), *times))
    present = "" if frame.aux_present is None else str(int(frame.aux_present))
    after = f"{present},{_cell(frame.infer_ms, MS_DECIMALS)}"
    rows = []
    for entry in frame.entries:
        box = ",,," if entry.box is None else format_box(entry.box)
        row = f"{entry.target_id},{box},{_cell(entry.score)},{entry.state or ''}"
        rows.append((row, _measure_text(entry.measure if isinstance(entry, TrackedBox) else None)))
    nothing = (",,,,,,", _measure_text(None))
    return "".join(f"{front}{before},{row},{after},{last}\n" for row, last in rows or [nothing])


def _measure_text(measure: AuxMeasure | None) -> str:
    cells = measure_cells(measure).values()
    return ",".join(cell if isinstance(cell, str) else _cell(cell) for cell in cells)


class MergedTable:
    """Writes the table of several recordings, one after the other, with one in memory at a time.

    `OutputError`: the file exists, or its folder cannot be made or written to.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._file = LineFile(path, header=f"{ITEM},{HEADER}", overwrite=overwrite)
        self._path = path
        self.items: set[str] = set()

    def add(self, item: str, results: RecordingResults) -> None:
        """Add the rows of an item; `OutputError` if its name is taken, or they cannot be written."""
        if item in self.items:
            raise OutputError(
                f"two results are called {item!r}, which cannot be told apart",
                where=self._path,
                hint="rename one of their folders, or merge them into two files",
            )
        self.items.add(item)
        front = csv_text([(item, "")])[:-1]
        self._file.append("".join(table_lines(frame, front) for frame in results.frames))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Give the file its final name, or discard it after an error."""
        if error is None:
            self._file.commit()
        else:
            self._file.discard()


def _cell(value: float | None, decimals: int = DECIMALS) -> str:
    return "" if value is None else decimal_text(value, decimals)


def numbered_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the non-blank rows after the header, with their numbers; the header is row 1.

    A table without a column `id` has only target 1: `FormatError` if a frame has several boxes.
    """
    text = read_text(path)
    first_line = text.lstrip().partition("\n")[0]
    mark = next((one for one in ";\t" if one in first_line and "," not in first_line), ",")
    table = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True, skipinitialspace=True)
    lines = enumerate(table, start=1)
    try:
        _, first = next(lines, (1, []))
        header = [column.strip().lower() for column in first]
        missing = [column for column in _NEEDED if column not in header]
        if missing:
            raise FormatError(
                f"has no column {', '.join(missing)}",
                where=path,
                hint="its first row names the columns: frame,id,x,y,w,h and others",
            )
        seen: set[tuple[str, str]] = set()
        for number, row in lines:
            cells = [cell.strip() for cell in row]
            if mark != ",":
                cells = [_DECIMAL_COMMA.sub(r"\1.\2", cell) for cell in cells]
            if any(cells[len(header) :]):
                raise FormatError(
                    f"has {len(cells)} cells, but {len(header)} columns",
                    where=f"{path}, row {number}",
                    hint="decimals need a point, not a comma",
                )
            if not any(cells):
                continue
            named = {"id": "1", **dict(zip_longest(header, cells[: len(header)], fillvalue=""))}
            if "id" not in header:
                frame = named.get(ITEM, ""), named["frame"]
                if frame in seen:
                    raise FormatError(
                        "several boxes in its frame, but no column id",
                        where=f"{path}, row {number}",
                        hint="boxes of a detector are read as MOT, with -1 for the id",
                    )
                seen.add(frame)
            yield number, named
    except csv.Error as error:
        raise FormatError(f"is not a CSV text file ({error})", where=path) from None


def _gather(gatherer: ResultsGatherer, cells: dict[str, str]) -> None:
    index = whole(cells["frame"], "frame")
    present = cells.get("aux_present", "")
    if present not in ("", "0", "1"):
        raise FormatError(f"aux_present {present!r} is not 0 or 1")
    said = {column: _optional(cells, column) for column in _OF_THE_FRAME}
    gatherer.add_frame(index, aux_present=present == "1" if present else None, **said)
    if not cells["id"]:
        return
    has_box = any(cells[column] for column in "xywh")
    box = box_of(*(finite(cells[column], column) for column in "xywh")) if has_box else None
    state = state_of(cells.get("state"))
    score, measure = _optional(cells, "score"), measure_in(cells)
    gatherer.add(index, whole(cells["id"], "id"), box, score, state, measure)


def measure_in(cells: Mapping[str, str]) -> AuxMeasure | None:
    """Return the measure in the cells of a row; None if they are empty or missing.

    `FormatError`: a measure is incomplete or invalid.
    """
    numbers = {column: _optional(cells, column) for column in MEASURE_COLUMNS if column != "aux_unit"}
    median, low, high, *position_m = numbers.values()
    return measure_of(median, (low, high), cells.get("aux_unit"), position_m)


def _optional(cells: Mapping[str, str], column: str) -> float | None:
    text = cells.get(column, "")
    return finite(text, column) if text else None
