"""Results as JSON: one document, or (JSON lines) one line per frame. Only insignificant digits are lost.

    {"format": "dmtrack results", "version": 1, "name": "night_street", "size": [640, 480],
     "labels": [{"id": 1, "label": "car"}],
     "frames": [{"frame": 0, "time_s": 0.0, "aux": {"present": true, "time_s": 0.0, "skew_ms": 0.0},
                 "infer_ms": 0.0,
                 "targets": [{"id": 1, "box": [10.0, 20.0, 30.0, 40.0], "score": 1.0, "state": "init",
                              "measure": {"median": 2.41, "min": 2.3, "max": 2.6, "unit": "m",
                                          "position_m": [0.2, -0.1, 2.41]}}]}]}

`frame` counts from 0. Unknown values are left out; a target without a box has `"box": null`. A line of JSON
lines is one entry of `frames`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from dmtrack.boxes.formats.mot import DECIMALS, MS_DECIMALS, format_box
from dmtrack.boxes.parsing import box_of, json_of, measure_of, placed, state_of
from dmtrack.boxes.results import AbsentTarget, FrameBoxes, PictureSize, RecordingResults, ResultsGatherer
from dmtrack.datasets.ground_truth import read_text
from dmtrack.errors import FormatError
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox
from dmtrack.video.second.gauge import AuxMeasure

FORMAT: Final = "dmtrack results"
VERSION: Final = 1


def read_json_results(path: Path, name: str) -> RecordingResults:
    """Read a JSON document; `FormatError` names the place of the fault."""
    document = JsonFields.parse(read_text(path), str(path))
    if document.text("format") != FORMAT:
        raise FormatError(
            f'is JSON, but "format" is not "{FORMAT}"', where=path, hint="COCO has images and annotations"
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
    """Read JSON lines, one per frame; blank lines are skipped. `FormatError` names the faulty line."""
    gatherer = ResultsGatherer()
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            _gather(gatherer, JsonFields.parse(line, f"{path}, line {number}"))
    return gatherer.results(name)


def json_text(results: RecordingResults) -> str:
    """Return the document of one recording, with one line per frame."""
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
    box = None if entry.box is None else sides(entry.box)
    said = known(score=entry.score, state=entry.state)
    return {"id": entry.target_id, "box": box, **said, **measure_json(entry)}


def measure_json(entry: TrackedBox | AbsentTarget) -> dict[str, Any]:
    """Return the field `measure` of a target; empty if nothing was measured."""
    measure = entry.measure if isinstance(entry, TrackedBox) else None
    if measure is None:
        return {}
    numbers = known(median=measure.median, min=measure.low, max=measure.high, unit=measure.unit)
    place = {} if measure.position_m is None else {"position_m": [*map(rounded, measure.position_m)]}
    return {"measure": {**numbers, **place}}


def _gather(gatherer: ResultsGatherer, fields: JsonFields) -> None:
    index = fields.integer("frame")
    said = {name: fields.number(name) for name in ("time_s", "infer_ms")}
    aux = fields.inner("aux")
    if aux is not None:
        present, time_s, skew_ms = aux.flag("present"), aux.number("time_s"), aux.number("skew_ms")
        said |= {"aux_present": present, "aux_time_s": time_s, "skew_ms": skew_ms}
    with placed(fields.where):
        gatherer.add_frame(index, **said)
    for target in fields.each("targets"):
        box, score = target.box("box"), target.number("score")
        with placed(target.where):
            state = state_of(target.text("state"))
            gatherer.add(index, target.integer("id"), box, score, state, target.measure("measure"))


class JsonFields:
    """One JSON object of a file, whose values are checked when read; errors name their place.

    A missing or null value is None unless a method says otherwise. Every method raises `FormatError` for a
    value of another type, and so does the class if its own is not an object.
    """

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise FormatError("a JSON object is needed here", where=where)
        self._values: dict[str, Any] = value
        self.where = where

    @classmethod
    def parse(cls, text: str, where: str) -> JsonFields:
        """Return the object in `text`; `FormatError` if it is not JSON, or not an object."""
        return cls(json_of(text, where), where)

    def __contains__(self, name: str) -> bool:
        """Return whether the field exists and is not null."""
        return self._values.get(name) is not None

    def error(self, what: str) -> FormatError:
        """Return an error about this object."""
        return FormatError(what, where=self.where)

    def integer(self, *names: str) -> int:
        """Return a whole number, from the first of these fields that exists; one of them must."""
        value = next((self._values[name] for name in names if name in self), None)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(" or ".join(names), value, "a whole number")
        return value

    def number(self, name: str) -> float | None:
        """Return a finite number."""
        value = self._values.get(name)
        return None if value is None else self._finite(value, name)

    def needed(self, name: str) -> float:
        """Return a finite number that must be there."""
        value = self.number(name)
        if value is None:
            raise self._wrong(name, value, "a number")
        return value

    def text(self, name: str) -> str | None:
        """Return a text."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, str):
            raise self._wrong(name, value, "a text")
        return value

    def texts(self, name: str) -> list[str]:
        """Return the texts in a list; empty without a list."""
        value = self._values.get(name) or []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._wrong(name, value, "a list of texts")
        return value

    def flag(self, name: str) -> bool | None:
        """Return true or false."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def box(self, name: str) -> Box | None:
        """Return the box of four numbers `[x, y, w, h]`."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 4:
            raise self._wrong(name, value, "[x, y, w, h]")
        x, y, w, h = (self._finite(side, name) for side in value)
        with placed(self.where):
            return box_of(x, y, w, h)

    def measure(self, name: str) -> AuxMeasure | None:
        """Return what the second stream measures of a target."""
        said = self.inner(name)
        if said is None:
            return None
        place = said._values.get("position_m") or [None] * 3
        if not isinstance(place, list):
            raise said._wrong("position_m", place, "[x, y, z]")
        metres = [None if one is None else said._finite(one, "position_m") for one in place]
        ends = (said.number("min"), said.number("max"))
        return measure_of(said.number("median"), ends, said.text("unit"), metres)

    def size(self, name: str) -> PictureSize | None:
        """Return the size `[width, height]`."""
        value = self._values.get(name)
        if value is None:
            return None
        sides = value if isinstance(value, list) and len(value) == 2 else [0]
        if not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides):
            raise self._wrong(name, value, "[width, height]")
        return PictureSize(*sides)

    def picture_size(self, width: str, height: str) -> PictureSize | None:
        """Return the size in two fields; None if one is missing or not above 0."""
        if width not in self or height not in self:
            return None
        size = PictureSize(self.integer(width), self.integer(height))
        return size if min(size) > 0 else None

    def inner(self, name: str) -> JsonFields | None:
        """Return an object."""
        value = self._values.get(name)
        return None if value is None else JsonFields(value, f"{self.where}, {name}")

    def each(self, name: str) -> Iterator[JsonFields]:
        """Yield the objects in a list; none without a list."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, list):
            raise self._wrong(name, value, "a list")
        for number, item in enumerate(value or ()):
            yield JsonFields(item, f"{self.where}, {name}[{number}]")

    def _finite(self, value: object, name: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(f"{name} holds {_shown(value)}, which is not a number")
        return float(value)

    def _wrong(self, name: str, value: object, wanted: str) -> FormatError:
        return self.error(f"{name} is {_shown(value)}, not {wanted}")


def known(**values: object) -> dict[str, Any]:
    """Return the values that are not None, with numbers rounded as in files."""
    return {
        name: rounded(value, MS_DECIMALS if name.endswith("_ms") else DECIMALS)
        if isinstance(value, float)
        else value
        for name, value in values.items()
        if value is not None
    }


def rounded(value: float, decimals: int = DECIMALS) -> float:
    """Return a number rounded to the decimals that other formats have."""
    return round(float(value), decimals)


def sides(box: Box) -> list[float]:
    """Return `[x, y, w, h]` as written to files; a width or height never rounds to 0."""
    return [float(word) for word in format_box(box).split(",")]


def _shown(value: object) -> str:
    text = "missing" if value is None else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
