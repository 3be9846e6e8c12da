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

from dmtrack.boxes.formats.json_fields import JsonFields, parse_json
from dmtrack.boxes.formats.table_results import state_of
from dmtrack.boxes.gathering import ResultsGatherer
from dmtrack.boxes.recording import AuxMatch, FrameBoxes, RecordingResults, TargetBox
from dmtrack.boxes.text import placed, read_text
from dmtrack.errors import FormatError

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
        gatherer.add_label(entry.integer("id"), entry.text("label") or "")
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
        head["labels"] = [{"id": entry.target_id, "label": entry.label} for entry in results.labels]
    frames = ",\n  ".join(_dumped(_frame_json(frame)) for frame in results.frames)
    return f'{_dumped(head)[:-1]}, "frames": [\n  {frames}\n]}}\n'


def json_lines_text(results: RecordingResults) -> str:
    """Return one line a frame."""
    return "".join(f"{_dumped(_frame_json(frame))}\n" for frame in results.frames)


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _frame_json(frame: FrameBoxes) -> dict[str, Any]:
    values: dict[str, Any] = {"frame": frame.frame_index, "time_s": frame.time_s}
    if frame.aux is not None:
        values["aux"] = _known(
            {"present": frame.aux.present, "time_s": frame.aux.time_s, "skew_ms": frame.aux.skew_ms}
        )
    values["infer_ms"] = frame.infer_ms
    return {**_known(values), "targets": [_target_json(target) for target in frame.targets]}


def _target_json(target: TargetBox) -> dict[str, Any]:
    box = None if target.box is None else list(target.box.xywh)
    return {"id": target.target_id, "box": box, **_known({"score": target.score, "state": target.state})}


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _gather(gatherer: ResultsGatherer, fields: JsonFields) -> None:
    try:
        gatherer.add_frame(_frame_of(fields))
    except FormatError as error:
        raise placed(error, fields.where) from None


def _frame_of(fields: JsonFields) -> FrameBoxes:
    aux = fields.inner("aux")
    return FrameBoxes(
        fields.integer("frame"),
        tuple(_target_of(target) for target in fields.each("targets")),
        time_s=fields.number("time_s"),
        aux=None
        if aux is None
        else AuxMatch(aux.flag("present"), aux.number("time_s"), aux.number("skew_ms")),
        infer_ms=fields.number("infer_ms"),
    )


def _target_of(fields: JsonFields) -> TargetBox:
    try:
        return TargetBox(
            fields.integer("id"), fields.box("box"), fields.number("score"), state_of(fields.text("state"))
        )
    except FormatError as error:
        raise placed(error, fields.where) from None
