"""Results as JSON: one document, or (JSON lines) one line a frame. Nothing is rounded, nothing lost.

    {"format": "dmtrack results", "version": 1, "name": "night_street", "size": [640, 480],
     "labels": [{"id": 1, "label": "car"}],
     "frames": [{"frame": 0, "time_s": 0.0, "aux": {"present": true, "time_s": 0.0, "skew_ms": 0.0},
                 "infer_ms": 0.0,
                 "targets": [{"id": 1, "box": [10.0, 20.0, 30.0, 40.0], "score": 1.0, "state": "init"}]}]}

`frame` counts from 0. What is not known is left out; a target without a box has `"box": null`. A line of
JSON lines is one of the frames.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from dmtrack.boxes.formats.json_fields import JsonFields, known, parse_json
from dmtrack.boxes.parsing import placed, read_text, state_of
from dmtrack.boxes.results import AbsentTarget, FrameBoxes, RecordingResults, ResultsGatherer
from dmtrack.errors import FormatError
from dmtrack.tracking.result import TrackedBox

FORMAT: Final = "dmtrack results"
VERSION: Final = 1


def read_json_results(path: Path, name: str) -> RecordingResults:
    """Read a JSON document.

    Raises:
        FormatError: It cannot be read, is no such document, or a value (its place is named) is wrong.
    """
    document = parse_json(read_text(path), str(path))
    if document.text("format") != FORMAT:
        raise FormatError(
            f'is JSON, but "format" is not "{FORMAT}"', where=path, hint="say --from coco if it is COCO"
        )
    if document.integer("version") != VERSION:
        raise FormatError(f"has version {document.integer('version')}, not {VERSION}", where=path)
    gatherer = ResultsGatherer(size=document.size("size"))
    for entry in document.each("labels"):
        gatherer.labels[entry.integer("id")] = entry.text("label") or ""
    for frame in document.each("frames"):
        _gather(gatherer, frame)
    return gatherer.results(document.text("name") or name)


def read_json_lines(path: Path, name: str) -> RecordingResults:
    """Read JSON lines, one a frame; empty lines are passed over.

    Raises:
        FormatError: It cannot be read, or a line (named) is wrong.
    """
    gatherer = ResultsGatherer()
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            _gather(gatherer, parse_json(line, f"{path}, line {number}"))
    return gatherer.results(name)


def json_text(results: RecordingResults) -> str:
    """Return the document of one recording, one line a frame."""
    head: dict[str, Any] = {"format": FORMAT, "version": VERSION, "name": results.name}
    if results.size is not None:
        head["size"] = list(results.size)
    if results.labels:
        head["labels"] = [{"id": number, "label": label} for number, label in results.labels.items()]
    frames = ",\n  ".join(json_line(frame) for frame in results.frames)
    return f'{_dumped(head)[:-1]}, "frames": [\n  {frames}\n]}}\n'


def json_line(frame: FrameBoxes) -> str:
    """Return a frame as one line of JSON lines, without a line end."""
    aux = known(present=frame.aux_present, time_s=frame.aux_time_s, skew_ms=frame.skew_ms)
    values: dict[str, Any] = {"frame": frame.frame_index, **known(time_s=frame.time_s)}
    if aux:
        values["aux"] = aux
    values |= known(infer_ms=frame.infer_ms)
    return _dumped({**values, "targets": [_entry_json(entry) for entry in frame.entries]})


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _entry_json(entry: TrackedBox | AbsentTarget) -> dict[str, Any]:
    box = None if entry.box is None else list(entry.box.xywh)
    return {"id": entry.target_id, "box": box, **known(score=entry.score, state=entry.state)}


def _gather(gatherer: ResultsGatherer, fields: JsonFields) -> None:
    index = fields.integer("frame")
    said = {name: fields.number(name) for name in ("time_s", "infer_ms")}
    aux = fields.inner("aux")
    if aux is not None:
        present, time_s, skew_ms = aux.flag("present"), aux.number("time_s"), aux.number("skew_ms")
        said |= {"aux_present": present, "aux_time_s": time_s, "skew_ms": skew_ms}
    try:
        gatherer.add_frame(index, **said)
    except FormatError as error:
        raise placed(error, fields.where) from None
    for target in fields.each("targets"):
        box, score = target.box("box"), target.number("score")
        try:
            state = state_of(target.text("state"))
            gatherer.add(index, target.integer("id"), box, score, state)
        except FormatError as error:
            raise placed(error, target.where) from None
