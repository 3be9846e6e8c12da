"""Results as files of one format, written whole (`write_results`) or while tracking (`BoxSink`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from dmtrack.atomic import (
    LineFile,
    os_errors_translated,
    place_key,
    portable_name,
    reserve,
    utf8,
    write_atomically,
)
from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.coco import coco_text
from dmtrack.boxes.formats.cvat import cvat_archive
from dmtrack.boxes.formats.cvat_video import cvat_video_text
from dmtrack.boxes.formats.json_document import json_line, json_text
from dmtrack.boxes.formats.kitti import kitti_text
from dmtrack.boxes.formats.label_studio import label_studio_text
from dmtrack.boxes.formats.mot import USUAL, MotOptions, mot_lines
from dmtrack.boxes.formats.motchallenge import mot_folder_files
from dmtrack.boxes.formats.row_per_frame import row_per_frame_text
from dmtrack.boxes.formats.submission import submission_archive
from dmtrack.boxes.formats.table import HEADER, table_lines
from dmtrack.boxes.formats.vot import vot_files
from dmtrack.boxes.formats.waypoints import EVERY_FRAME, AnnotatorOptions
from dmtrack.boxes.results import FrameBoxes, RecordingResults
from dmtrack.errors import OutputError
from dmtrack.output.sink import Sink
from dmtrack.tracking.result import FrameResult

StreamedFormat = Literal[ResultFormat.MOT, ResultFormat.CSV, ResultFormat.JSONL]

_HEADER_OF: Final[dict[ResultFormat, str]] = {ResultFormat.CSV: HEADER}
_LINES_OF: Final[dict[ResultFormat, Callable[[FrameBoxes, MotOptions], str]]] = {
    ResultFormat.MOT: mot_lines,
    ResultFormat.CSV: lambda frame, _: table_lines(frame),
    ResultFormat.JSONL: lambda frame, _: f"{json_line(frame)}\n",
}
"""Formats that are written line by line, frame after frame."""
_FOR_ALL: Final = frozenset(
    {ResultFormat.COCO, ResultFormat.LABEL_STUDIO, ResultFormat.TRACKINGNET, ResultFormat.GOT_10K}
)
"""Formats that hold all recordings in one file."""


class BoxSink(Sink):
    """Writes boxes while tracking; frames without a target get no line.

    `OutputError`: the file exists, or its folder cannot be made or written to.
    """

    def __init__(
        self, path: Path, target: StreamedFormat, *, overwrite: bool = False, mot: MotOptions = USUAL
    ) -> None:
        self._mot = mot
        self._file = LineFile(path, header=_HEADER_OF.get(target, ""), overwrite=overwrite)
        self._lines_of = _LINES_OF[target]

    def write(self, result: FrameResult) -> None:
        """Add the lines of a frame."""
        if result.targets:
            self._file.append(self._lines_of(FrameBoxes.of(result), self._mot))

    def close(self) -> None:
        """Give the file its final name."""
        self._file.commit()


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A file to be written, or (without data) to be deleted, as it would not fit the new results."""

    path: Path
    data: bytes | None


def refuse_twins(paths: Iterable[Path]) -> None:
    """Raise `OutputError` if two results would go to what some file system takes for one place."""
    places: dict[str, list[Path]] = {}
    for path in paths:
        places.setdefault(place_key(str(path)), []).append(path)
    for same in places.values():
        if len(same) > 1:
            what = f"{len(same)} results would be written to this place"
            if other := next((path for path in same if path != same[0]), None):
                what += f", which some systems take for {other}"
            raise OutputError(what, where=same[0], hint="export them one by one, into a folder each")


def write_results(files: Sequence[ResultFile], *, overwrite: bool = False) -> None:
    """Write files; nothing is written if one of them exists.

    `OutputError`: a file exists, two have the same name, or one cannot be written (those before it stay).
    """
    refuse_twins(file.path for file in files)
    for file in files:
        reserve(file.path, overwrite=overwrite)
    for file in files:
        if file.data is None:
            with os_errors_translated(file.path):
                file.path.unlink(missing_ok=True)
        else:
            write_atomically(file.path, file.data)


def result_files_of(
    recordings: Sequence[RecordingResults],
    target: ResultFormat,
    output: str,
    mot: MotOptions = USUAL,
    annotator: AnnotatorOptions = EVERY_FRAME,
) -> list[ResultFile]:
    """Return the files that hold `recordings`.

    `output` is the name of a file or of a folder (see `means_folder`). COCO, Label Studio and submissions put
    all recordings into one file; MOTChallenge makes a folder for each, whatever the name. `OutputError`:
    there are several recordings, and `output` is a file.
    """
    path, in_folder = Path(output), means_folder(output)
    if target in (ResultFormat.MOTCHALLENGE, ResultFormat.KITTI) and not mot.keep_lost:
        recordings = [recording.without_lost() for recording in recordings]
    if target is ResultFormat.MOTCHALLENGE:
        return [
            ResultFile(path / file_name(one.name) / name, None if text is None else utf8(text))
            for one in recordings
            for name, text in mot_folder_files(one, mot.origin)
        ]
    if target in _FOR_ALL:
        name = file_name(recordings[0].name) if len(recordings) == 1 else "boxes"
        whole = path / f"{name}{target.ending}" if in_folder else path
        if target is ResultFormat.COCO:
            data = utf8(coco_text(recordings))
        elif target is ResultFormat.LABEL_STUDIO:
            data = utf8(label_studio_text(recordings, annotator))
        else:
            data = submission_archive(recordings, target)
        return [ResultFile(whole, data)]
    require_room(len(recordings), target, output)
    files: list[ResultFile] = []
    for recording in recordings:
        whole = path / f"{file_name(recording.name)}{target.ending}" if in_folder else path
        files.extend(_files_of(recording, target, whole, mot, annotator, is_named=not in_folder))
    return files


def means_folder(output: str) -> bool:
    """Return whether a name means a folder: one exists, or it has no suffix, or a slash at its end."""
    with os_errors_translated(output):
        return Path(output).is_dir() or not Path(output).suffix or output.endswith(("/", "\\"))


def require_room(count: int, target: str, output: str) -> None:
    """Raise `OutputError` if several recordings would go into one file of a format that holds one."""
    if count > 1 and not means_folder(output):
        raise OutputError(
            f"there are {count} recordings, and {target} holds one a file",
            where=output,
            hint="give the name of a folder, such as -o exported/",
        )


def file_name(name: str) -> str:
    """Return any text as a `portable_name` that is not empty."""
    return portable_name(name) or "recording"


def _files_of(
    recording: RecordingResults,
    target: ResultFormat,
    path: Path,
    mot: MotOptions,
    annotator: AnnotatorOptions,
    *,
    is_named: bool,
) -> Iterator[ResultFile]:
    if target in (ResultFormat.VOT, ResultFormat.LASHER):
        yield from _one_target_files(recording, target, path, is_named=is_named)
    elif target is ResultFormat.CVAT:
        yield ResultFile(path, cvat_archive(recording))
    elif target is ResultFormat.KITTI:
        yield ResultFile(path, utf8(kitti_text(recording)))
    elif target is ResultFormat.CVAT_VIDEO:
        yield ResultFile(path, utf8(cvat_video_text(recording, annotator)))
    elif target is ResultFormat.JSON:
        yield ResultFile(path, utf8(json_text(recording)))
    else:
        lines = "".join(_LINES_OF[target](frame, mot) for frame in recording.frames)
        yield ResultFile(path, utf8(_HEADER_OF.get(target, "") + lines))


def _one_target_files(
    recording: RecordingResults, target: ResultFormat, path: Path, *, is_named: bool
) -> Iterator[ResultFile]:
    """Yield the files of every target; names have the id, except for a lone target 1 or in a named file."""
    ids = recording.target_ids or (1,)
    is_plain = len(ids) == 1 and (is_named or ids == (1,))
    for target_id in ids:
        own = path if is_plain else path.with_stem(_stem_with_id(path.stem, target_id, target))
        if target is ResultFormat.LASHER:
            yield ResultFile(own, utf8(row_per_frame_text(recording, target_id)))
            continue
        for ending, text in vot_files(recording, target_id):
            named = own.with_name(f"{own.stem}{ending}") if ending else own
            yield ResultFile(named, None if text is None else utf8(text))


def _stem_with_id(stem: str, target_id: int, target: ResultFormat) -> str:
    """Return `car_id2` for `car`, and `car_id2_001` for `car_001` of VOT."""
    if target is ResultFormat.VOT and re.search(r"_\d{3}$", stem):
        return f"{stem[:-4]}_id{target_id}{stem[-4:]}"
    return f"{stem}_id{target_id}"
