"""`summary.csv`: one row for each item of a batch, made from its result folder."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Final

from dmtrack.batch.item import Problem
from dmtrack.boxes.doubts import doubtful_places
from dmtrack.boxes.formats.mot import DECIMALS
from dmtrack.boxes.formats.table import read_table
from dmtrack.boxes.reading import TABLE
from dmtrack.errors import printable
from dmtrack.output.record import RECORD, read_run_json
from dmtrack.tracking.result import TrackState

SUMMARY: Final = "summary{}.csv"


class ItemStatus(StrEnum):
    """The state of an item."""

    COMPLETE = "complete"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One row; the fields are the columns, in their order."""

    id: str  # of the item
    status: ItemStatus
    frames: int = 0  # frames with a result; a failed item may have some
    fps: float | None = None  # frames a second of the whole run
    mean_score: float | None = None  # mean score of the boxes that were tracked, not given
    lost_frames: int = 0  # frames in which a target was lost
    look_at: str = ""  # the place where a correction is most worthwhile
    error: str = ""  # why it failed
    notes: str = ""  # remarks on its times and pictures

    @classmethod
    def of_problem(cls, problem: Problem) -> SummaryRow:
        """Return the row of a recording that could not be tracked."""
        return cls(problem.id, ItemStatus.FAILED, error=str(problem))

    @classmethod
    def of_results(cls, item_id: str, folder: Path, error: str = "") -> SummaryRow:
        """Return the row of an item whose results are in `folder`, complete or (with `error`) partial.

        `FormatError`: the results cannot be read.
        """
        record = read_run_json(folder / RECORD)
        results = read_table(folder / TABLE, item_id)
        rows = [row for recording in results for row in recording.rows]
        found = [row.score for row in rows if row.score is not None and row.state is not TrackState.INIT]
        return cls(
            id=item_id,
            status=ItemStatus.FAILED if error else ItemStatus.COMPLETE,
            frames=(record.get("counts") or {}).get("frames", 0),
            fps=(record.get("speed") or {}).get("whole_fps"),
            mean_score=round(sum(found) / len(found), DECIMALS) if found else None,
            look_at=str(next((place for one in results for place in doubtful_places(one)), "")),
            lost_frames=len({row.frame_index for row in rows if row.state is TrackState.LOST}),
            error=printable(error),
            notes=printable(" ".join(map(str, record.get("remarks") or ()))),
        )


COLUMNS: Final = tuple(field.name for field in fields(SummaryRow))
