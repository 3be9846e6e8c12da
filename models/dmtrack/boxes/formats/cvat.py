"""Results as an archive that CVAT imports as "MOT 1.1".

    gt/gt.txt      frame,id,x,y,w,h,not ignored,class,visibility   frames and classes from 1
    gt/labels.txt  one label a line; class 1 is the first

The task in CVAT must have the labels. A lost target gets visibility 0, which CVAT shows as occluded.

Source: CVAT's manual, "MOT", and the reader of its format (`mot_seq` of Datumaro; format only).
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Final

from dmtrack.boxes.formats.mot import format_box, parse_mot_line
from dmtrack.boxes.parsing import placed, whole
from dmtrack.boxes.results import DEFAULT_LABEL, RecordingResults, ResultsGatherer
from dmtrack.errors import FormatError, translated
from dmtrack.tracking.result import TrackState

_BOXES: Final = "gt/gt.txt"
_LABELS: Final = "gt/labels.txt"
_SMALL_BYTES: Final = 1 << 26
_PACKED: Final = 200
"""Rows of boxes are not packed more densely, but for short files of equal rows."""
_CLASS_COLUMN: Final = 7
_MADE: Final = (1980, 1, 1, 0, 0, 0)
"""A fixed date: the same results give the same bytes."""


def read_cvat(path: Path, name: str) -> RecordingResults:
    """Read an archive as CVAT exports and imports it.

    Raises:
        FormatError: It is no such archive, or a row (named) is malformed.
    """
    with translated(FormatError, "is not a whole ZIP archive", where=path), zipfile.ZipFile(path) as archive:
        boxes = _member(archive, path, _BOXES, "gt.txt")
        labels = _member(archive, path, _LABELS, "labels.txt")
    if boxes is None:
        raise FormatError(f"has no {_BOXES} in it", where=path, hint="is it a MOT archive of CVAT?")
    return _parsed(boxes.splitlines(), (labels or "").splitlines(), path, name)


def cvat_archive(results: RecordingResults) -> bytes:
    """Return the archive of one recording."""
    label_of = {target_id: results.labels.get(target_id) or DEFAULT_LABEL for target_id in results.boxed_ids}
    labels = sorted(set(label_of.values()))
    lines = [
        f"{row.frame_index + 1},{row.target_id},{format_box(row.box)},1,"
        f"{labels.index(label_of[row.target_id]) + 1},{int(row.state is not TrackState.LOST)}\n"
        for row in results.rows
    ]
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for member, text in ((_BOXES, "".join(lines)), (_LABELS, "".join(f"{label}\n" for label in labels))):
            info = zipfile.ZipInfo(member, _MADE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, text)
    return data.getvalue()


def most_unpacked_bytes(archive: Path) -> int:
    """Return to how much text an archive may unpack: few bytes can stand for a gigabyte of zeros."""
    return _SMALL_BYTES + _PACKED * archive.stat().st_size


def _member(archive: zipfile.ZipFile, path: Path, *names: str) -> str | None:
    """Return the text of the first of these members that is there."""
    member = next((name for name in names if name in archive.namelist()), None)
    if member is None:
        return None
    if archive.getinfo(member).file_size > most_unpacked_bytes(path):
        raise FormatError(f"{member} is implausibly large", where=path)
    try:
        return archive.read(member).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError(f"{member} is not text", where=path) from None


def _parsed(lines: list[str], labels: list[str], path: Path, name: str) -> RecordingResults:
    gatherer = ResultsGatherer()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        with placed(f"{path}, {_BOXES}, row {number}"):
            row = parse_mot_line(line)
            gatherer.add(row.frame_index, row.target_id, row.box)
            label = _label(line.split(","), labels)
        if label and label != DEFAULT_LABEL:
            gatherer.labels[row.target_id] = label
    return gatherer.results(name)


def _label(words: list[str], labels: list[str]) -> str:
    if len(words) <= _CLASS_COLUMN or not labels:
        return ""
    number = whole(words[_CLASS_COLUMN], "class")
    if number == -1:
        return ""
    if not 1 <= number <= len(labels):
        raise FormatError(f"class {number} is not among the {len(labels)} labels")
    return labels[number - 1].strip()
