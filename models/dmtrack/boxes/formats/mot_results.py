"""Results as MOT text (`dmtrack.boxes.formats.mot`): one line a box.

A score that is not known is written as -1, which is what MOT Challenge writes for "not used".
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dmtrack.boxes.formats.mot import MotRow, format_mot_row, read_mot
from dmtrack.boxes.gathering import ResultsGatherer
from dmtrack.boxes.recording import RecordingResults, TargetBox

_UNKNOWN_SCORE: Final = -1.0


def read_mot_results(path: Path, name: str) -> RecordingResults:
    """Read a MOT file.

    Raises:
        FormatError: It cannot be read, holds nothing, or a row (named) is malformed.
    """
    gatherer = ResultsGatherer()
    for row in read_mot(path):
        score = None if row.confidence == _UNKNOWN_SCORE else row.confidence
        gatherer.add_target(row.frame_index, TargetBox(row.target_id, row.box, score))
    return gatherer.results(name)


def mot_text(results: RecordingResults) -> str:
    """Return the lines of the boxes of all frames."""
    rows = (
        MotRow(
            frame.frame_index + 1,
            target.target_id,
            target.box,
            _UNKNOWN_SCORE if target.score is None else target.score,
        )
        for frame in results.frames
        for target in frame.targets
        if target.box is not None
    )
    return "".join(f"{format_mot_row(row)}\n" for row in rows)
