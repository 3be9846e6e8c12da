"""`read_results`: the results of one recording or several, from a file of any known format."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.coco import read_coco
from dmtrack.boxes.formats.cvat import read_cvat
from dmtrack.boxes.formats.json_document import read_json_lines, read_json_results
from dmtrack.boxes.formats.mot_results import read_mot_results
from dmtrack.boxes.formats.row_per_frame import read_row_per_frame
from dmtrack.boxes.formats.table_results import read_table_results
from dmtrack.boxes.formats.vot import read_vot
from dmtrack.boxes.gathering import ResultsGatherer
from dmtrack.boxes.locating import MOT, RECORD, TABLE
from dmtrack.boxes.recognition import recognise
from dmtrack.boxes.recording import PictureSize, RecordingResults
from dmtrack.boxes.text import placed
from dmtrack.errors import FormatError
from dmtrack.output.record import read_run_json

_NOT_A_NAME: Final = frozenset({"boxes", "gt", "groundtruth", "groundtruth_rect", "results", "init"})
"""Files of these names are called by the folder they are in."""
_TARGET: Final = re.compile(r"(?P<name>.+)_id(?P<id>\d+)")
_VOT_RUN: Final = re.compile(r"(?P<name>.+)_\d{3}")

_ONE_TARGET: Final = frozenset({ResultFormat.VOT, ResultFormat.LASHER})
_Reader = Callable[[Path, str], RecordingResults]
_ONE_RECORDING: Final[dict[ResultFormat, _Reader]] = {
    ResultFormat.MOT: read_mot_results,
    ResultFormat.JSON: read_json_results,
    ResultFormat.JSONL: read_json_lines,
    ResultFormat.CVAT: read_cvat,
}


def read_results(path: Path, source: ResultFormat | None = None) -> tuple[RecordingResults, ...]:
    """Read a file of results; a file of COCO or a merged CSV may hold several recordings.

    Args:
        path: The file (`dmtrack.boxes.locating` finds it in a folder).
        source: Its format; None finds out.

    Raises:
        FormatError: It cannot be read, its format cannot be told, or something in it (named) is malformed.
    """
    source = source or recognise(path)
    name, target_id = recording_name(path, source)
    try:
        found = _read(path, source, name, target_id)
    except FormatError as error:
        raise placed(error, path) from None
    size = _recorded_size(path)
    return tuple(item if item.size or size is None else replace(item, size=size) for item in found)


def recording_name(path: Path, source: ResultFormat) -> tuple[str, int]:
    """Return what the recording of a file is called, and the target of a one-target file (else 1).

    `car_id2_001.txt` of VOT is target 2 of `car`; `night/boxes.csv` is about `night`.
    """
    stem, target_id = _stem(path, source), 1
    if source in _ONE_TARGET and (match := _TARGET.fullmatch(stem)):
        stem, target_id = match["name"], max(1, int(match["id"]))
    folder = path.absolute().parent.name
    return (folder if stem.lower() in _NOT_A_NAME and folder else stem), target_id


def read_all(paths: Iterable[Path], source: ResultFormat | None = None) -> list[RecordingResults]:
    """Read files, and put the one-target files of a recording (`car_id1.txt`, `car_id2.txt`) together.

    Raises:
        FormatError: As `read_results`; the first file that cannot be read ends it.
    """
    groups: list[list[RecordingResults]] = []
    parts: dict[tuple[Path, str], list[RecordingResults]] = {}
    for path in paths:
        known = source or recognise(path)
        found = read_results(path, known)
        if known not in _ONE_TARGET or not _TARGET.fullmatch(_stem(path, known)):
            groups.extend([one] for one in found)
            continue
        key = (path.absolute().parent, found[0].name)
        if key not in parts:
            parts[key] = []
            groups.append(parts[key])
        parts[key].extend(found)
    return [one for group in groups for one in _joined(group)]


def _joined(group: list[RecordingResults]) -> list[RecordingResults]:
    """Return one recording of several targets, or the group as it is where an id is there twice."""
    ids = [target_id for recording in group for target_id in recording.target_ids]
    if len(group) == 1 or len(set(ids)) < len(ids):
        return group
    gatherer = ResultsGatherer(size=next((one.size for one in group if one.size), None))
    for recording in group:
        for frame in recording.frames:
            gatherer.add_frame(frame)
        for entry in recording.labels:
            gatherer.add_label(entry.target_id, entry.label)
    return [gatherer.results(group[0].name)]


def _stem(path: Path, source: ResultFormat) -> str:
    """Return the name without suffix and, in VOT, without the number of the repetition."""
    match = _VOT_RUN.fullmatch(path.stem) if source is ResultFormat.VOT else None
    return path.stem if match is None else match["name"]


def _read(path: Path, source: ResultFormat, name: str, target_id: int) -> tuple[RecordingResults, ...]:
    if source is ResultFormat.CSV:
        return read_table_results(path, name)
    if source is ResultFormat.COCO:
        return read_coco(path, name)
    if source is ResultFormat.VOT:
        return (read_vot(path, name, target_id),)
    if source is ResultFormat.LASHER:
        return (read_row_per_frame(path, name, target_id),)
    return (_ONE_RECORDING[source](path, name),)


def _recorded_size(path: Path) -> PictureSize | None:
    """Return the size that the `run.json` beside a run's own files says."""
    record = path.with_name(RECORD)
    if path.name not in (TABLE, MOT) or not record.is_file():
        return None
    try:
        inputs: list[dict[str, Any]] = read_run_json(record)["inputs"]
        video = next(item["video"] for item in inputs if item["role"] == "rgb")
        return PictureSize(int(video["width"]), int(video["height"]))
    except (FormatError, KeyError, TypeError, ValueError, StopIteration):
        return None


def item_id(path: Path, recording: RecordingResults) -> str:
    """Return what a batch calls a recording: as the `run.json` beside the file says, else its name."""
    record = path.with_name(RECORD)
    if path.name in (TABLE, MOT) and record.is_file():
        try:
            batch = read_run_json(record).get("batch")
        except FormatError:
            batch = None
        if isinstance(batch, dict) and isinstance(batch.get("item"), str):
            return str(batch["item"])
    return recording.name
