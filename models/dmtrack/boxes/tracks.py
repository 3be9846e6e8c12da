"""The results of one target as arrays, one row a frame: what an evaluation compares with the truth.

Every format of `dmtrack.boxes` is read. Rows of boxes keep the numbers of their file, because benchmarks
say themselves what a row that is no box counts as.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.boxes.formats.vot import value_path
from dmtrack.boxes.reading import read_results
from dmtrack.boxes.recording import RecordingResults
from dmtrack.datasets.ground_truth import read_boxes
from dmtrack.errors import FormatError
from dmtrack.tracking.result import TrackState

Floats = npt.NDArray[np.float64]

_BOX_FILES: Final = ".txt"


class RowOrder(StrEnum):
    """What the four numbers of a row are."""

    XYWH = "xywh"
    XYXY = "xyxy"
    CXCYWH = "cxcywh"


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One target through one sequence.

    Attributes:
        rows: `(N, 4)` or, for corners of polygons, `(N, 8)`; NaN where there is no box.
        confidence: `(N,)`, NaN where it is not known; None where no frame has one.
        given: `(N,)` bool: the tracker was given the box of this frame, and the file does not repeat it.
        targets: How many targets the file holds; the first is this one.
    """

    rows: Floats
    confidence: Floats | None
    given: npt.NDArray[np.bool_]
    targets: int = 1

    def __len__(self) -> int:
        """The number of frames."""
        return len(self.rows)


def read_track(path: Path) -> Track:
    """Read a file of results in any known format.

    Raises:
        FormatError: It cannot be read, or something in it (named) is malformed.
    """
    if path.suffix.lower() == _BOX_FILES and not value_path(path, "confidence").is_file():
        try:
            rows = read_boxes(path, origin=0, corners=False).rows
            return Track(rows, None, np.zeros(len(rows), np.bool_))
        except FormatError as error:
            plain = error
        try:
            return _of_recordings(read_results(path))
        except FormatError:
            raise plain from None
    return _of_recordings(read_results(path))


def in_order(rows: Floats, order: RowOrder) -> Floats:
    """Return rows of 4 numbers as `x, y, w, h`; rows of 8 are left as they are."""
    if rows.shape[1] != len("xywh") or order is RowOrder.XYWH:
        return rows
    if order is RowOrder.XYXY:
        return np.hstack((rows[:, :2], rows[:, 2:] - rows[:, :2]))
    return np.hstack((rows[:, :2] - rows[:, 2:] / 2, rows[:, 2:]))


def _of_recordings(recordings: tuple[RecordingResults, ...]) -> Track:
    recording = recordings[0]
    ids = recording.target_ids
    target_id = ids[0] if ids else 1
    frames = list(recording.every_frame())
    rows = np.full((len(frames), 4), np.nan)
    confidence = np.full(len(frames), np.nan)
    given = np.zeros(len(frames), np.bool_)
    for index, frame in enumerate(frames):
        target = frame.target(target_id)
        if target is None:
            continue
        if target.box is not None:
            rows[index] = target.box.xywh
        given[index] = target.box is None and target.state is TrackState.INIT
        if target.score is not None:
            confidence[index] = target.score
    known = None if np.isnan(confidence).all() else confidence
    return Track(rows, known, given, max(len(ids), 1))
