"""The CSV of a run: one row a target and frame, with a header, LF line ends and full precision.

`frame` is the 0-based frame index (the one `--start` takes). Numbers are Python's shortest text that
reads back as the same float. A frame without a partner in the second stream has empty
`aux_time_s` and `skew_ms`, and `aux_present` 0.
"""

from __future__ import annotations

import csv
import math
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final

from dmtrack.errors import BoxError, FormatError
from dmtrack.geometry.box import Box
from dmtrack.output.atomic import LineFile
from dmtrack.output.sink import Sink
from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row; the fields are the columns, in their order.

    Attributes:
        frame: 0-based frame index.
        time_s: Time of the RGB frame.
        aux_time_s: Time of its partner.
        skew_ms: Partner's time minus RGB time.
        id: Target id, from 1.
        x: Left edge of the box in px.
        y: Top edge of the box in px.
        w: Width of the box in px.
        h: Height of the box in px.
        score: Confidence in [0, 1].
        state: How much the tracker trusts the box.
        aux_present: Whether the frame has a partner.
        infer_ms: Time spent in the tracker on this frame, all targets together.
    """

    frame: int
    time_s: float
    aux_time_s: float | None
    skew_ms: float | None
    id: int
    x: float
    y: float
    w: float
    h: float
    score: float
    state: TrackState
    aux_present: bool
    infer_ms: float

    @property
    def box(self) -> Box:
        """The box in pixels of the RGB frame."""
        return Box(self.x, self.y, self.w, self.h)

    @classmethod
    def of(cls, result: FrameResult, target: TrackedBox) -> TableRow:
        """Return the row of one target of a frame."""
        pair = result.pair
        return cls(
            target.frame_index,
            float(target.time_s),
            None if pair.aux is None else float(pair.aux.time_s),
            None if pair.skew_s is None else float(pair.skew_s * 1000),
            target.target_id,
            *target.box.xywh,
            target.score,
            target.state,
            pair.aux is not None,
            result.infer_ms,
        )


COLUMNS: Final = tuple(field.name for field in fields(TableRow))


def format_table_row(row: TableRow) -> str:
    """Return the line of `row`, without a line end."""
    return ",".join(_cell(value) for value in astuple(row))


def read_table(path: Path) -> list[TableRow]:
    """Read the CSV of a run; columns may stand in any order, and others may stand beside them.

    Raises:
        FormatError: The file is missing or no text, a column is missing, or a row is malformed (its
            number, the header being row 1, is named).
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror})", where=path) from error
    except (UnicodeDecodeError, csv.Error):
        raise FormatError("is not a CSV text file", where=path) from None
    header = lines[0] if lines else []
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise FormatError(f"has no column {', '.join(missing)}", where=path, hint="is it a dmtrack CSV?")
    order = [header.index(name) for name in COLUMNS]
    return [
        _parse([cells[i] if i < len(cells) else "" for i in order], f"{path}, row {number}")
        for number, cells in enumerate(lines[1:], start=2)
        if cells
    ]


class TableSink(Sink):
    """Writes the CSV while tracking.

    Args:
        path: The final name.
        overwrite: Replace an existing file.

    Raises:
        OutputError: The file exists, or its folder cannot be made or written to.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._file = LineFile(path, header=",".join(COLUMNS) + "\n", overwrite=overwrite)

    def write(self, result: FrameResult) -> None:
        """Add one row a target."""
        rows = (format_table_row(TableRow.of(result, target)) for target in result.targets)
        self._file.append("".join(f"{row}\n" for row in rows))

    def close(self) -> None:
        """Give the file its final name."""
        self._file.commit()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        # float(): NumPy's own scalars have another repr.
        return repr(float(value))
    return str(value)


def _parse(cells: list[str], where: str) -> TableRow:
    cell = dict(zip(COLUMNS, cells, strict=True))
    try:
        row = TableRow(
            frame=int(cell["frame"]),
            time_s=_finite(cell["time_s"]),
            aux_time_s=_finite(cell["aux_time_s"]) if cell["aux_time_s"] else None,
            skew_ms=_finite(cell["skew_ms"]) if cell["skew_ms"] else None,
            id=int(cell["id"]),
            x=_finite(cell["x"]),
            y=_finite(cell["y"]),
            w=_finite(cell["w"]),
            h=_finite(cell["h"]),
            score=_finite(cell["score"]),
            state=TrackState(cell["state"]),
            aux_present={"0": False, "1": True}[cell["aux_present"]],
            infer_ms=_finite(cell["infer_ms"]),
        )
        _ = row.box
    except KeyError:
        raise FormatError(f"aux_present {cell['aux_present']!r} is not 0 or 1", where=where) from None
    except BoxError as error:
        raise FormatError(error.what, where=where, hint=error.hint) from None
    except ValueError as error:
        raise FormatError(str(error), where=where) from None
    if row.frame < 0 or row.id < 1:
        raise FormatError(f"frame {row.frame} or id {row.id} is out of range", where=where)
    return row


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not finite")
    return value
