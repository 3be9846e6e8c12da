"""Results as a sequence folder of MOTChallenge.

    NAME/seqinfo.ini     name, imDir, frameRate, seqLength, imWidth, imHeight, imExt
    NAME/gt/gt.txt       frame,id,x,y,w,h,considered,class,visibility      frames and classes from 1
    NAME/gt/labels.txt   one label a line; class 1 is the first
    NAME/det/det.txt     frame,-1,x,y,w,h,score,-1,-1,-1

`labels.txt` is an addition of CVAT and Datumaro; without it the classes are those of MOT16. `det.txt` has the
same boxes with their scores, and is read if there is no `gt.txt`. Pictures would be in `img1`.

Source: MOTChallenge's development kit, and the reader of TrackEval (format only).
"""

from __future__ import annotations

import configparser
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from dmtrack.boxes.formats.cvat import gather_gt, gt_texts
from dmtrack.boxes.formats.mot import decimal_text, mot_detections, mot_line, read_mot
from dmtrack.boxes.parsing import placed, whole
from dmtrack.boxes.results import PictureSize, RecordingResults, ResultsGatherer
from dmtrack.datasets.ground_truth import read_text
from dmtrack.errors import FormatError, translated
from dmtrack.geometry.box import Box

INFO: Final = "seqinfo.ini"
_BOXES: Final = "gt/gt.txt"
_LABELS: Final = "gt/labels.txt"
_DETECTIONS: Final = "det/det.txt"
_ID: Final = re.compile(r",\d+,")
_CLASSES: Final = (
    "pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non motorized vehicle",
    "static person", "distractor", "occluder", "occluder on the ground", "occluder full", "reflection",
)  # fmt: skip


def read_mot_folder(info: Path, name: str, origin: int = 0) -> RecordingResults:
    """Read the folder of a `seqinfo.ini`.

    `name` is for a file without one; `origin`, the coordinate of the top left pixel, is subtracted.
    `FormatError`: a file cannot be read, there are no boxes, or a row (named) is malformed.
    """
    said = configparser.ConfigParser(interpolation=None, strict=False)
    with translated(FormatError, "is no INI file", where=info):
        said.read_string(read_text(info))
        values = dict(said["Sequence"])
    name, size = values.get("name", "").strip() or name, _size(values, info)
    boxes, labels, detections = (info.parent / one for one in (_BOXES, _LABELS, _DETECTIONS))
    if not boxes.is_file():
        if not detections.is_file():
            raise FormatError(f"has neither {_BOXES} nor {_DETECTIONS} beside it", where=info)
        return replace(read_mot(detections, name, origin), size=size)
    gatherer = ResultsGatherer(size=size)
    classes = read_text(labels) if labels.is_file() else "\n".join(_CLASSES)
    gather_gt(gatherer, read_text(boxes), classes, str(boxes), origin)
    results = gatherer.results(name)
    return _scored(results, detections, origin) if detections.is_file() else results


def mot_folder_files(results: RecordingResults, origin: int = 0) -> Iterator[tuple[str, str | None]]:
    """Yield names within the recording's folder, and texts; None for a file that must not exist."""
    frames = results.frames
    info = {
        "name": results.name,
        "imDir": "img1",
        "seqLength": str(frames[-1].frame_index + 1),
        "imExt": ".jpg",
    }
    first, last = frames[0], frames[-1]
    if first.time_s is not None and last.time_s is not None and last.time_s > first.time_s:
        rate = (last.frame_index - first.frame_index) / (last.time_s - first.time_s)
        info["frameRate"] = decimal_text(rate, 3)
    if results.size is not None:
        info |= {"imWidth": str(results.size.width), "imHeight": str(results.size.height)}
    lines = (f"{key}={' '.join(value.split())}\n" for key, value in info.items())
    yield INFO, f"[Sequence]\n{''.join(lines)}"
    boxes, labels = gt_texts(results, origin, _CLASSES)
    yield _BOXES, boxes
    yield _LABELS, labels
    detections = (_ID.sub(",-1,", mot_line(row, origin), count=1) + "\n" for row in results.rows)
    has_scores = any(row.score is not None for row in results.rows)
    yield _DETECTIONS, "".join(detections) if has_scores else None


def _scored(results: RecordingResults, detections: Path, origin: int) -> RecordingResults:
    """Give boxes the scores of the detections with exactly the same box."""
    scores: dict[tuple[int, Box], list[float | None]] = defaultdict(list)
    for row, _ in mot_detections(detections, origin):
        scores[row.frame_index, row.box].append(row.score)
    frames = []
    for frame in results.frames:
        found = (scores.get((one.frame_index, one.box)) for one in frame.targets)
        targets = (
            replace(one, score=own.pop(0)) if own else one
            for one, own in zip(frame.targets, found, strict=True)
        )
        frames.append(replace(frame, targets=tuple(targets)))
    return replace(results, frames=tuple(frames))


def _size(values: dict[str, str], info: Path) -> PictureSize | None:
    if not {"imwidth", "imheight"} <= values.keys():
        return None
    with placed(info):
        width, height = (whole(values[name], name) for name in ("imwidth", "imheight"))
    return PictureSize(width, height) if min(width, height) > 0 else None
