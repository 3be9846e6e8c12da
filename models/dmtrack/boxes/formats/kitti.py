"""Results as labels of KITTI's tracking benchmark: one box per line.

    frame id type truncated occluded alpha left top right bottom height width length x y z rotation [score]

Frames count from 0; if a file has an id 0, all its ids are read one higher. The unknown values in space are
written as in KITTI's own `DontCare` rows; such rows are not read. `type` is the label, `Misc` without one; a
lost target has `occluded` 3, which means unknown.

Source: the readme of KITTI's development kit for tracking, and the reader of TrackEval (format only).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dmtrack.boxes.formats.mot import DECIMALS, corner_texts, decimal_text
from dmtrack.boxes.formats.waypoints import ids_from_one
from dmtrack.boxes.parsing import box_of, finite, placed, rows_of, whole
from dmtrack.boxes.results import RecordingResults, ResultsGatherer
from dmtrack.datasets.ground_truth import read_text
from dmtrack.errors import FormatError
from dmtrack.tracking.result import TrackState

LEAST_COLUMNS: Final = 10
_NO_LABEL: Final = "Misc"
_SCORE_COLUMN: Final = 17
_NO_SCORE: Final = "-1"
_UNKNOWN: Final = "-1 -1 -1 -1000 -1000 -1000 -10"


def read_kitti(path: Path, name: str) -> RecordingResults:
    """Read the labels or results of one sequence; `FormatError` names the malformed row."""
    rows = []
    for where, line in rows_of(read_text(path).splitlines(), path):
        words = line.split()
        with placed(where):
            if len(words) < LEAST_COLUMNS:
                raise FormatError(f"a row of KITTI has 17 columns or 18, this one has {len(words)}")
            target_id = whole(words[1], "id")
        if target_id >= 0:
            rows.append((where, target_id, words))
    gatherer, added = ResultsGatherer(), ids_from_one(target_id for _, target_id, _ in rows)
    for where, target_id, words in rows:
        with placed(where):
            x1, y1, x2, y2 = (finite(word, "corner") for word in words[6:10])
            box = box_of(x1, y1, round(x2 - x1, DECIMALS), round(y2 - y1, DECIMALS))
            said = words[_SCORE_COLUMN : _SCORE_COLUMN + 1]
            score = finite(said[0], "score") if said and said != [_NO_SCORE] else None
            gatherer.add(whole(words[0], "frame"), target_id + added, box, score)
        if words[2] != _NO_LABEL:
            gatherer.labels[target_id + added] = words[2]
    return gatherer.results(name)


def kitti_text(results: RecordingResults) -> str:
    """Return the lines of one recording; blanks in a label become `_`."""
    lines, has_scores = [], any(row.score is not None for row in results.rows)
    for row in results.rows:
        label = "_".join(results.labels.get(row.target_id, "").split()) or _NO_LABEL
        score = _NO_SCORE if row.score is None else decimal_text(row.score)
        corners = " ".join(corner_texts(row.box))
        start = f"{row.frame_index} {row.target_id} {label} 0 {3 * (row.state is TrackState.LOST)} -10"
        lines.append(f"{start} {corners} {_UNKNOWN}{f' {score}' if has_scores else ''}\n")
    return "".join(lines)
