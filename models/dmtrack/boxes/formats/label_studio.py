"""Results as Label Studio imports and exports them: a task per recording, a `videorectangle` per target.

    [{"data": {"video": "night_street", "name": "night_street"},
      "annotations": [{"result": [
        {"id": "target_1", "type": "videorectangle", "from_name": "box", "to_name": "video",
         "original_width": 640, "original_height": 480,
         "value": {"labels": ["car"], "framesCount": 100, "duration": 3.3, "sequence": [
           {"frame": 1, "time": 0.0, "enabled": true, "x": 1.5, "y": 4.2, "width": 5, "height": 8,
            "rotation": 0, "score": 1, "state": "init"}]}}]}]}]

Frames count from 1, positions are per cent of the frame. Between two entries boxes are interpolated linearly;
after one with `enabled` false the target is absent. `score`, `state` and `measure` are ours. `data.video`
should be the address of the video in Label Studio, whose labelling configuration names the tags `box` and
`video`.

Source: Label Studio's manual, "Video object tracking", and `extract_key_frames` of its SDK (format only).
"""

from __future__ import annotations

import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from dmtrack.boxes.formats.json_document import JsonFields, known, measure_json, sides
from dmtrack.boxes.formats.mot import DECIMALS
from dmtrack.boxes.formats.waypoints import (
    EVERY_FRAME,
    AnnotatorOptions,
    Waypoint,
    add_tracks,
    keyframes_among,
    upright,
)
from dmtrack.boxes.parsing import box_of, json_of, placed, state_of
from dmtrack.boxes.results import DEFAULT_LABEL, PictureSize, RecordingResults, ResultsGatherer
from dmtrack.datasets.ground_truth import read_text
from dmtrack.errors import FormatError
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox
from dmtrack.tracking.start import free_ids

_TYPE: Final = "videorectangle"
_OUR_ID: Final = re.compile(r"target_([1-9]\d{0,8})")
_log = logging.getLogger(__name__)

_USUAL_RATE: Final = 24  # the frame rate that Label Studio assumes for a video unless told


def read_label_studio(path: Path, name: str, size: PictureSize | None = None) -> tuple[RecordingResults, ...]:
    """Read every task of an export ("JSON"), using the first annotation of each.

    `name` is for a task without one, `size` for a file without it. `FormatError`: it cannot be read, a value
    (its place is named) is wrong, or the size is unknown.
    """
    document = json_of(read_text(path), path)
    tasks = JsonFields({"tasks": document if isinstance(document, list) else [document]}, str(path))
    return tuple(_recording(task, name, size) for task in tasks.each("tasks"))


def label_studio_text(recordings: Sequence[RecordingResults], options: AnnotatorOptions = EVERY_FRAME) -> str:
    """Return one document, with one line per target; `FormatError` if the frame size is unknown."""
    tasks = []
    for recording in recordings:
        data = json.dumps({"video": recording.name, "name": recording.name}, ensure_ascii=False)
        regions = ",\n  ".join(json.dumps(one, ensure_ascii=False) for one in _regions(recording, options))
        tasks.append(f'{{"data": {data}, "annotations": [{{"result": [\n  {regions}\n]}}]}}')
    return "[" + ",\n".join(tasks) + "]\n"


def _regions(results: RecordingResults, options: AnnotatorOptions) -> Iterator[dict[str, Any]]:
    if results.size is None:
        raise FormatError(
            "its positions are fractions of the frame", where=results.name, hint="give its size: --size WxH"
        )
    times = {frame.frame_index: frame.time_s for frame in results.frames if frame.time_s is not None}
    last, step = results.frames[-1].frame_index, results.usual_step
    for target_id in results.boxed_ids:
        rows = [row for row in results.rows if row.target_id == target_id]
        keyframes = keyframes_among(rows, options.keyframe_px)
        sequence = []
        for row, following in zip_longest(rows, rows[1:]):
            index = row.frame_index
            if index not in keyframes:
                continue
            goes_on = following is not None and following.frame_index <= index + step
            goes_on = goes_on or index + step > last
            place = {"frame": index + 1, "time": times.get(index, index / _USUAL_RATE), "enabled": goes_on}
            said = {**known(score=row.score, state=row.state), **measure_json(row)}
            sequence.append({**place, **_shares(row, results.size), **said})
        yield {
            "id": f"target_{target_id}",
            "type": _TYPE,
            "from_name": "box",
            "to_name": "video",
            "original_width": results.size.width,
            "original_height": results.size.height,
            "value": {
                "labels": [results.labels.get(target_id) or DEFAULT_LABEL],
                "framesCount": last + 1,
                "duration": times.get(last, last / _USUAL_RATE),
                "sequence": sequence,
            },
        }


def _shares(row: TrackedBox, size: PictureSize) -> dict[str, float]:
    x, y, w, h = sides(row.box)
    across, down = 100 / size.width, 100 / size.height
    return {"x": x * across, "y": y * down, "width": w * across, "height": h * down, "rotation": 0}


def _recording(task: JsonFields, name: str, size: PictureSize | None) -> RecordingResults:
    data = task.inner("data")
    if data is None:
        hint = "a list of COCO results is for --detections" if "bbox" in task else None
        raise FormatError("is no task of Label Studio", where=task.where, hint=hint)
    gatherer = ResultsGatherer()
    annotation = next((one for kind in ("annotations", "predictions") for one in task.each(kind)), None)
    regions = (
        [] if annotation is None else [one for one in annotation.each("result") if one.text("type") == _TYPE]
    )
    given = [_OUR_ID.fullmatch(region.text("id") or "") for region in regions]
    ids = [int(match[1]) if match else 0 for match in given]
    free = free_ids(set(ids))
    tracks: dict[int, list[Waypoint]] = defaultdict(list)
    ends, is_doubted = [], False
    for region, own in zip(regions, ids, strict=True):
        target_id, value = own or next(free), region.inner("value")
        if value is None:
            raise region.error("has no value")
        gatherer.add_size(region.picture_size("original_width", "original_height"))
        tracks[target_id] += _waypoints(value, gatherer.size or size)
        ends.append(value.integer("framesCount") if "framesCount" in value else 0)
        is_doubted |= own == 0 and _is_of_usual_rate(value)
        label = next(iter(value.texts("labels")), DEFAULT_LABEL)
        if label != DEFAULT_LABEL:
            gatherer.labels[target_id] = label
    if is_doubted:
        what = (
            "%s: counts %d frames a second, as Label Studio does unless <Video> has a frameRate: is it right?"
        )
        _log.warning(what, task.where, _USUAL_RATE)
    with placed(task.where):
        add_tracks(gatherer, tracks, max(ends, default=0))
    address = data.text("video") or ""
    return gatherer.results(data.text("name") or Path(address).stem or name)


def _is_of_usual_rate(value: JsonFields) -> bool:
    count, duration_s = value.number("framesCount"), value.number("duration")
    return bool(count and duration_s and abs(count - _USUAL_RATE * duration_s) < 1)


def _waypoints(value: JsonFields, size: PictureSize | None) -> Iterator[Waypoint]:
    if size is None or min(size) <= 0:
        raise value.error("its positions are fractions of the frame; give its size: --size WxH")
    for entry in value.each("sequence"):
        x, y, w, h = (entry.needed(name) for name in ("x", "y", "width", "height"))
        across, down = size.width / 100, size.height / 100
        with placed(entry.where):
            rounded = (round(side, DECIMALS) for side in (x * across, y * down, w * across, h * down))
            box: Box = box_of(*rounded)
            box = upright(box, entry.number("rotation") or 0.0, (box.x, box.y))
            state = state_of(entry.text("state"))
        goes_on, score = entry.flag("enabled") is not False, entry.number("score")
        index, measure = entry.integer("frame") - 1, entry.measure("measure")
        yield Waypoint(index, box, True, goes_on, score, state, measure)
