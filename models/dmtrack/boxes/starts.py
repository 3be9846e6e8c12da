"""Start boxes from a file of any kind we know: ground truth, MOT, or the CSV of a run.

    4 or 8 values a row          ground truth of one target: the first row counts, on the first frame
    6, 7, 9 or more values       MOT: each id starts at its first row, under its own id
    a header with `frame` and `id`   the CSV of a run, like MOT

Eight values are always a polygon (VOT), so a MOT file with eight columns cannot be told and is not MOT here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dmtrack.boxes.formats.mot import LEAST_COLUMNS, read_mot
from dmtrack.boxes.formats.table import read_table
from dmtrack.boxes.parsing import words_of
from dmtrack.datasets.ground_truth import box_at, read_text
from dmtrack.errors import BoxError
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox
from dmtrack.tracking.start import TargetStart

_log = logging.getLogger(__name__)

_TRUTH_COLUMNS: Final = (4, 8)


def read_targets(path: Path, first_frame: int = 0) -> tuple[Box | TargetStart, ...]:
    """Read the targets of a file of boxes.

    Args:
        path: A ground-truth file, a MOT file, or the CSV of a run.
        first_frame: 0-based index of the first frame that is looked at: a target of a MOT or CSV file
            starts at its first row from there on; one that ends before is left out.

    Returns:
        One `Box` for a ground-truth file (its first row, whatever `first_frame` is); else one
        `TargetStart` an id, in order of the ids.

    Raises:
        FormatError: The file cannot be read, or a row (named) is malformed.
        BoxError: The file holds no box, or none from `first_frame` on.
    """
    words = next((words_of(line) for line in read_text(path).splitlines() if line.strip()), [])
    if {"frame", "id"} <= set(words):
        rows = [row for recording in read_table(path, path.stem) for row in recording.rows]
    elif len(words) >= LEAST_COLUMNS and len(words) not in _TRUTH_COLUMNS:
        rows = list(read_mot(path, path.stem).rows)
    else:
        return (box_at(path),)
    return _starts(rows, path, first_frame)


def _starts(rows: Sequence[TrackedBox], path: Path, first_frame: int) -> tuple[TargetStart, ...]:
    starts: dict[int, TargetStart] = {}
    early: set[int] = set()
    for row in sorted(rows, key=lambda row: row.frame_index):
        if row.frame_index >= first_frame:
            starts.setdefault(row.target_id, TargetStart(row.box, row.target_id, row.frame_index))
        else:
            early.add(row.target_id)
    early -= starts.keys()
    if not starts:
        where = f" from frame {first_frame} on" if first_frame else ""
        raise BoxError(f"the file holds no box{where}", where=path)
    if early:
        ids = ", ".join(map(str, sorted(early)))
        _log.warning("%s: left out what ends before frame %d: target %s", path, first_frame, ids)
    return tuple(starts[target_id] for target_id in sorted(starts))
