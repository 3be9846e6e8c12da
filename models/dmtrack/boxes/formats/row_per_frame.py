"""Results as one row per frame, `x,y,w,h`, as LasHeR and most single-target benchmarks have them.

Separated by commas, as in the published result files of LasHeR and RGBT234. A frame without a box is a row of
`nan`, as are the frames before the first result, so that row and frame numbers agree.
Ground-truth files are read the same way, with the conventions of `dmtrack.datasets.ground_truth`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from dmtrack.boxes.formats.mot import format_box
from dmtrack.boxes.results import RecordingResults, ResultsGatherer
from dmtrack.datasets.ground_truth import read_boxes
from dmtrack.geometry.box import Box

_ABSENT: Final = "nan,nan,nan,nan"


def read_row_per_frame(
    path: Path, name: str, target_id: int = 1, origin: int | None = None
) -> RecordingResults:
    """Read one target.

    Rows have 4 values, or 8 (a polygon, whose bounding box is taken). The file has no id, so `target_id` is
    used. `origin` is the coordinate of the first pixel; None infers it from the file. `FormatError`: it
    cannot be read, or a row (named) is malformed.
    """
    gatherer = ResultsGatherer()
    for index, row in enumerate(read_boxes(path, origin=origin).boxes):
        box = None if np.isnan(row).any() else Box(*(float(value) for value in row))
        gatherer.add(index, target_id, box)
    return gatherer.results(name)


def row_per_frame_text(results: RecordingResults, target_id: int) -> str:
    """Return the rows of one target, from frame 0 to the last."""
    lines = []
    for frame in results.every_frame():
        entry = frame.target(target_id)
        lines.append(_ABSENT if entry is None or entry.box is None else format_box(entry.box))
    return "".join(f"{line}\n" for line in lines)
