"""Results as an archive that CVAT imports as "MOT 1.1".

    gt/gt.txt      frame,id,x,y,w,h,not ignored,class,visibility   frames and classes from 1
    gt/labels.txt  one label a line; class 1 is the first

The task in CVAT must have the labels. A lost target gets visibility 0, which CVAT shows as occluded.

Source: CVAT's manual, "MOT", and the reader of its format (`mot_seq` of Datumaro; format only).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dmtrack.boxes.formats.archive import member_texts, packed
from dmtrack.boxes.formats.mot import format_box, parse_mot_line
from dmtrack.boxes.parsing import placed, rows_of, whole
from dmtrack.boxes.results import DEFAULT_LABEL, RecordingResults, ResultsGatherer
from dmtrack.errors import FormatError
from dmtrack.tracking.result import TrackState

_BOXES: Final = "gt/gt.txt"
_LABELS: Final = "gt/labels.txt"
_CLASS_COLUMN: Final = 7


def read_cvat(path: Path, name: str) -> RecordingResults:
    """Read an archive as CVAT exports and imports it; `FormatError` names the malformed row."""
    texts = member_texts(path, (_BOXES, _LABELS, "gt.txt", "labels.txt"))
    boxes = texts.get(_BOXES, texts.get("gt.txt"))
    labels = texts.get(_LABELS, texts.get("labels.txt"))
    if boxes is None:
        raise FormatError(f"has no {_BOXES} in it", where=path, hint="is it a MOT archive of CVAT?")
    gatherer = ResultsGatherer()
    gather_gt(gatherer, boxes, labels or "", f"{path}, {_BOXES}")
    return gatherer.results(name)


def cvat_archive(results: RecordingResults) -> bytes:
    """Return the archive of one recording."""
    boxes, labels = gt_texts(results)
    return packed({_BOXES: boxes, _LABELS: labels})


def gt_texts(results: RecordingResults, origin: int = 0, usual: Sequence[str] = ()) -> tuple[str, str]:
    """Return `gt.txt` and `labels.txt`; the latter has the `usual` labels if there are no others."""
    label_of = {target_id: results.labels.get(target_id) or DEFAULT_LABEL for target_id in results.boxed_ids}
    labels = sorted(set(label_of.values()))
    if set(labels) <= set(usual):
        labels = list(usual)
    lines = [
        f"{row.frame_index + 1},{row.target_id},{format_box(row.box, origin)},1,"
        f"{labels.index(label_of[row.target_id]) + 1},{int(row.state is not TrackState.LOST)}\n"
        for row in results.rows
    ]
    return "".join(lines), "".join(f"{label}\n" for label in labels)


def gather_gt(gatherer: ResultsGatherer, boxes: str, labels: str, where: str, origin: int = 0) -> None:
    """Add the rows of `gt.txt`, with the labels of `labels.txt`; `FormatError` names the malformed row.

    Rows to be ignored get a score of 0.
    """
    names = labels.splitlines()
    for place, line in rows_of(boxes.splitlines(), where):
        with placed(place):
            row = parse_mot_line(line, origin)
            gatherer.add(row.frame_index, row.target_id, row.box, 0.0 if row.score == 0 else None)
            label = _label(line.split(","), names)
        if label and label != DEFAULT_LABEL:
            gatherer.labels[row.target_id] = label


def _label(words: list[str], labels: list[str]) -> str:
    if len(words) <= _CLASS_COLUMN or not labels:
        return ""
    number = whole(words[_CLASS_COLUMN], "class")
    if number == -1:
        return ""
    if not 1 <= number <= len(labels):
        raise FormatError(f"class {number} is not among the {len(labels)} labels")
    return labels[number - 1].strip()
