"""`read_results`: the results of one recording or several, from a file of any known format."""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.archive import member_names
from dmtrack.boxes.formats.coco import read_coco
from dmtrack.boxes.formats.cvat import read_cvat
from dmtrack.boxes.formats.cvat_video import ANNOTATIONS, read_cvat_video
from dmtrack.boxes.formats.json_document import read_json_lines, read_json_results
from dmtrack.boxes.formats.kitti import LEAST_COLUMNS as KITTI_COLUMNS
from dmtrack.boxes.formats.kitti import read_kitti
from dmtrack.boxes.formats.label_studio import read_label_studio
from dmtrack.boxes.formats.mot import LEAST_COLUMNS, read_mot
from dmtrack.boxes.formats.motchallenge import INFO, read_mot_folder
from dmtrack.boxes.formats.row_per_frame import read_row_per_frame
from dmtrack.boxes.formats.submission import kind_of_archive, read_submission
from dmtrack.boxes.formats.table import read_table
from dmtrack.boxes.formats.vot import has_values, is_region, read_vot
from dmtrack.boxes.parsing import is_number, words_of
from dmtrack.boxes.results import PictureSize, RecordingResults, ResultsGatherer, are_shares
from dmtrack.datasets.ground_truth import read_text, truth_lines
from dmtrack.errors import FormatError, listed, translated
from dmtrack.numbers import json_value
from dmtrack.output.record import RECORD, read_run_json
from dmtrack.tracking.result import TrackedBox

_log = logging.getLogger(__name__)

TABLE: Final = "boxes.csv"
MOT: Final = "boxes.txt"

_NAMES: Final = {ResultFormat.CSV: TABLE, ResultFormat.MOT: MOT, ResultFormat.MOTCHALLENGE: INFO}
"""Files that are looked for in folders, in this order."""
_NOT_A_NAME: Final = frozenset({"boxes", "gt", "groundtruth", "groundtruth_rect", "results", "init"})
"""Recordings in files of these names are named after the folder."""
_TARGET: Final = re.compile(r"(?P<name>.+)_id(?P<id>\d+)")
_VOT_RUN: Final = re.compile(r"(?P<name>.+)_\d{3}")
_ONE_TARGET: Final = frozenset({ResultFormat.VOT, ResultFormat.LASHER})
_OF_ANY_ORIGIN: Final = frozenset({ResultFormat.MOT, ResultFormat.MOTCHALLENGE, ResultFormat.LASHER})
_BOX_COLUMNS: Final = (4, 8)
_HINT: Final = f"`dmtrack export --from FORMAT` reads {', '.join(ResultFormat)}"


def read_results(
    path: Path | str,
    source: ResultFormat | None = None,
    origin: int = 0,
    size: PictureSize | None = None,
    *,
    heeds_shares: bool = False,
) -> tuple[RecordingResults, ...]:
    """Read a file of results; one of COCO, Label Studio or a merged CSV may hold several recordings.

    Args:
        path: The file (`result_files` finds it in a folder).
        source: Its format; None recognises it.
        origin: Coordinate of the top left pixel in a MOT file, unless the `run.json` beside it says 1, and in
            rows of boxes alone, where 0 infers it from name and number of values; 1 for others is logged.
        size: Of the frames, for files that need it but lack it.
        heeds_shares: The caller tells fractions of the picture from pixels; else a warning names them.

    Raises:
        FormatError: It cannot be read, its format is not recognised, or something in it (named) is malformed.
    """
    path = Path(path)
    with translated(FormatError, "cannot be read", where=path):
        source = source or recognise(path)
        if origin and source not in _OF_ANY_ORIGIN:
            _log.warning(
                "%s: %s says itself where pixels count from, whatever --from-origin is", path, source
            )
        name, who = recording_name(path, source)
        readers: dict[ResultFormat, Callable[[], tuple[RecordingResults, ...]]] = {
            ResultFormat.MOT: lambda: (read_mot(path, name, origin or _recorded_origin(path)),),
            ResultFormat.CSV: lambda: read_table(path, name),
            ResultFormat.JSON: lambda: (read_json_results(path, name),),
            ResultFormat.JSONL: lambda: (read_json_lines(path, name),),
            ResultFormat.VOT: lambda: (read_vot(path, name, who),),
            ResultFormat.LASHER: lambda: (read_row_per_frame(path, name, who, origin or None),),
            ResultFormat.CVAT: lambda: (read_cvat(path, name),),
            ResultFormat.CVAT_VIDEO: lambda: (read_cvat_video(path, name),),
            ResultFormat.COCO: lambda: read_coco(path, name),
            ResultFormat.LABEL_STUDIO: lambda: read_label_studio(path, name, size),
            ResultFormat.MOTCHALLENGE: lambda: (read_mot_folder(path, name, origin),),
            ResultFormat.KITTI: lambda: (read_kitti(path, name),),
            ResultFormat.TRACKINGNET: lambda: read_submission(path),
            ResultFormat.GOT_10K: lambda: read_submission(path),
        }
        found = readers[source]()
    if not any(recording.frames for recording in found):
        raise FormatError("holds no frame", where=path)
    if not heeds_shares and are_shares([row.box for one in found for row in one.rows]):
        _log.warning("%s: its boxes lie within one pixel: are they fractions of the picture?", path)
    size = _recorded_size(path)
    return tuple(item if item.size or size is None else replace(item, size=size) for item in found)


def read_recording(
    path: Path | str,
    source: ResultFormat | None = None,
    *,
    size: tuple[int, int] | None = None,
    heeds_shares: bool = True,
) -> RecordingResults:
    """Read a file of one recording; `size` is the frame size, `heeds_shares` as in `read_results`.

    `FormatError`: as `read_results`, or the file holds several recordings, whose targets would be mixed.
    """
    found = read_results(path, source, size=PictureSize(*size) if size else None, heeds_shares=heeds_shares)
    if len(found) > 1:
        what = f"is about {len(found)} recordings ({listed([one.name for one in found], 3)})"
        hint = "write them apart with dmtrack export --format json -o FOLDER/, and name one"
        raise FormatError(what, where=path, hint=hint)
    return found[0]


def read_rows(path: Path | str, source: ResultFormat | None = None) -> tuple[TrackedBox, ...]:
    """Read the boxes of a file of one recording (see `read_results`), in order of frames and target ids."""
    return read_recording(path, source, heeds_shares=False).rows


def read_all(
    paths: Iterable[Path],
    source: ResultFormat | None = None,
    origin: int = 0,
    size: PictureSize | None = None,
) -> list[RecordingResults]:
    """Read files, fractions as they are, and join a recording's one-target files (`a_id1.txt`, `a_id2.txt`).

    `FormatError`: as `read_results`, for the first file that cannot be read.
    """
    groups: list[list[RecordingResults]] = []
    parts: dict[tuple[Path, str], list[RecordingResults]] = {}
    for path in paths:
        known = source or recognise(path)
        found = read_results(path, known, origin, size, heeds_shares=True)
        if known not in _ONE_TARGET or not _TARGET.fullmatch(_stem(path, known)):
            groups.extend([one] for one in found)
            continue
        key = (path.absolute().parent, found[0].name)
        if key not in parts:
            parts[key] = []
            groups.append(parts[key])
        parts[key].extend(found)
    return [one for group in groups for one in _joined(group)]


def result_files(path: Path, source: ResultFormat | None = None) -> tuple[Path, ...]:
    """Return the files that hold the results at `path`, in the format `source` if given.

    `path` is a file, the results folder of a run, a sequence folder of MOTChallenge, or a folder of such
    folders, as a batch leaves it (other sub-folders are skipped, see `folders_without_results`). A folder's
    own results come before those of its sub-folders. `FormatError`: nothing exists there, or a folder has no
    results.
    """
    if not path.is_dir():
        if not path.exists():
            raise FormatError("no such file or folder", where=path, hint="check the path")
        return (path,)
    own = _file_in(path, source)
    below = tuple(file for folder in _sub_folders(path) if (file := _file_in(folder, source)))
    files = (own, *below) if own else below
    if not files:
        what = f"no {_NAMES[source]}" if source in _NAMES else f"neither {TABLE} nor {MOT}"
        raise FormatError(
            f"has {what} in it, and no folder that has",
            where=path,
            hint="name a results folder of dmtrack track, a folder of them, or a file",
        )
    return files


def folders_without_results(path: Path) -> tuple[Path, ...]:
    """Return the sub-folders of a batch's folder that hold no results; empty for anything else."""
    if not path.is_dir() or _file_in(path):
        return ()
    return tuple(folder for folder in _sub_folders(path) if not _file_in(folder))


def recording_name(path: Path, source: ResultFormat) -> tuple[str, int]:
    """Return the name of a file's recording, and the target of a one-target file (else 1).

    `car_id2_001.txt` of VOT is target 2 of `car`; `night/boxes.csv` is about `night`.
    """
    stem, target_id = _stem(path, source), 1
    if source in _ONE_TARGET and (match := _TARGET.fullmatch(stem)):
        stem, target_id = match["name"], max(1, int(match["id"]))
    folder = path.absolute().parent.name
    return (folder if stem.lower() in _NOT_A_NAME and folder else stem), target_id


def item_id(path: Path, recording: RecordingResults) -> str:
    """Return the id of a recording in its batch, from the `run.json` beside the file, else its name."""
    batch = record_beside(path).get("batch")
    if isinstance(batch, dict) and isinstance(batch.get("item"), str):
        return str(batch["item"])
    return recording.name


def is_zip(path: Path) -> bool:
    """Return whether a file is a ZIP; a pipe, which opening would wait for, is not."""
    return path.is_file() and zipfile.is_zipfile(path)


def recognise(path: Path) -> ResultFormat:
    """Return the format of a file, recognised by its content and, where that is ambiguous, by its name.

    `FormatError`: it cannot be read, is empty, or is in no known format.
    """
    if is_zip(path):
        names = set(member_names(path))
        if ANNOTATIONS in names:
            return ResultFormat.CVAT_VIDEO
        return ResultFormat.CVAT if names & {"gt/gt.txt", "gt.txt"} else kind_of_archive(names)
    if path.name == INFO:
        return ResultFormat.MOTCHALLENGE
    text = read_text(path).strip()
    if text.startswith("["):
        return ResultFormat.LABEL_STUDIO
    if text.startswith("{"):
        return _json_kind(text, path)
    if text.startswith("<"):
        return ResultFormat.CVAT_VIDEO
    lines = [line for line in truth_lines(path) if line.strip()]
    if not lines:
        raise FormatError("the file is empty", where=path)
    if is_region(lines[0]):
        return ResultFormat.VOT
    words = words_of(lines[0])
    if "frame" in {word.strip('"').lower() for word in words}:
        return ResultFormat.CSV
    if len(words) >= KITTI_COLUMNS and words[0].isdecimal() and not is_number(words[2]):
        return ResultFormat.KITTI
    if not all(map(is_number, words)):
        what = "its first row is neither numbers nor a header that names frame,id,x,y,w,h"
        raise FormatError(what, where=path, hint=_HINT)
    return _rows_kind(path, len(words), lines)


def _json_kind(text: str, path: Path) -> ResultFormat:
    """Tell a document, one object, from JSON lines, whose first line is an object with a frame number."""
    with suppress(ValueError):
        first = json_value(text.partition("\n")[0])
        if isinstance(first, dict) and "frame" in first:
            return ResultFormat.JSONL
    with translated(FormatError, "is neither a JSON document nor JSON lines", where=path):
        document = json_value(text)
    if not isinstance(document, dict):
        raise FormatError("is neither a JSON document nor JSON lines", where=path)
    if "data" in document:
        return ResultFormat.LABEL_STUDIO
    is_coco = "images" in document and "annotations" in document
    return ResultFormat.COCO if is_coco else ResultFormat.JSON


def _rows_kind(path: Path, columns: int, lines: list[str]) -> ResultFormat:
    if columns in _BOX_COLUMNS:
        has_codes = any(map(is_region, lines))
        is_vot = _VOT_RUN.fullmatch(path.stem) or has_values(path) or has_codes
        return ResultFormat.VOT if is_vot else ResultFormat.LASHER
    if columns >= LEAST_COLUMNS:
        return ResultFormat.MOT
    raise FormatError(f"rows of {columns} numbers are in no known format", where=path, hint=_HINT)


def _joined(group: list[RecordingResults]) -> list[RecordingResults]:
    """Return one recording of several targets, or the group unchanged if an id occurs twice."""
    ids = [target_id for recording in group for target_id in recording.target_ids]
    if len(group) == 1 or len(set(ids)) < len(ids):
        return group
    gatherer = ResultsGatherer(size=next((one.size for one in group if one.size), None))
    for recording in group:
        for frame in recording.frames:
            gatherer.add_frame(frame.frame_index, infer_ms=frame.infer_ms)
            for entry in frame.entries:
                measure = entry.measure if isinstance(entry, TrackedBox) else None
                gatherer.add(frame.frame_index, entry.target_id, entry.box, entry.score, entry.state, measure)
    return [gatherer.results(group[0].name)]


def _stem(path: Path, source: ResultFormat) -> str:
    """Return the name without suffix and, in VOT, without the number of the repetition."""
    match = _VOT_RUN.fullmatch(path.stem) if source is ResultFormat.VOT else None
    return path.stem if match is None else match["name"]


def _recorded_size(path: Path) -> PictureSize | None:
    """Return the frame size in the `run.json` beside a run's own files."""
    try:
        inputs: list[dict[str, Any]] = record_beside(path)["inputs"]
        video = next(item["video"] for item in inputs if item["role"] == "rgb")
        size = PictureSize(int(video["width"]), int(video["height"]))
    except (KeyError, TypeError, ValueError, OverflowError, StopIteration):
        return None
    return size if min(size) > 0 else None


def _recorded_origin(path: Path) -> int:
    """Return the coordinate of the top left pixel in the `run.json` beside a run's own files; else 0."""
    try:
        return int(record_beside(path)["configuration"]["mot"]["origin"] == 1)
    except (KeyError, TypeError):
        return 0


def record_beside(path: Path) -> dict[str, Any]:
    """Return the `run.json` beside a run's own files; empty for other files."""
    record = path.with_name(RECORD)
    if path.name not in (TABLE, MOT) or not record.is_file():
        return {}
    try:
        return read_run_json(record)
    except FormatError:
        return {}


def _file_in(folder: Path, source: ResultFormat | None = None) -> Path | None:
    names = (_NAMES[source],) if source in _NAMES else _NAMES.values()
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _sub_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
