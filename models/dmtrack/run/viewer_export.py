"""Recordings with their boxes for viewers: `.mcap` for Foxglove, `.rrd` for Rerun.

Both hold the two streams as the tracker saw them (JPEG), the boxes over each, and score, box and measure of
every target over time. In Foxglove, add the topic `/rgb/targets` or `/aux/targets` as annotations of an image
panel.

Source: Foxglove's schemas `CompressedImage` and `ImageAnnotations`, as JSON; MCAP's specification; Rerun's
manual.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from io import BufferedWriter
from pathlib import Path
from typing import Any, Final

from dmtrack.atomic import inputs_kept, os_errors_translated, part_path, reserve, whole_file
from dmtrack.boxes.formats.json_document import known, measure_json, sides
from dmtrack.boxes.writing import file_name, means_folder, refuse_twins, require_room
from dmtrack.errors import library_needed
from dmtrack.run.corrections import EarlierRun
from dmtrack.run.inputs import open_inputs, with_streams
from dmtrack.tracking.result import TrackedBox
from dmtrack.video.frame import FramePair
from dmtrack.video.pictures.picture_file import encoded_picture
from dmtrack.video.second.encoding import Image8

_QUALITY: Final = 90
_NS: Final = 1_000_000_000
_COLOURS: Final = ((0.2, 0.9, 0.2), (0.95, 0.6, 0.1), (0.2, 0.6, 1.0), (0.95, 0.3, 0.6))


class ViewerFormat(StrEnum):
    """An export format that a viewer opens."""

    FOXGLOVE = "mcap"
    RERUN = "rrd"


Take = Callable[[FramePair, Sequence[TrackedBox]], None]  # adds a frame to the file of a recording


def export_for_viewer(
    results: Sequence[Path],
    output: Path | str,
    target: ViewerFormat,
    *,
    overwrite: bool = False,
    on_frame: Callable[[], object] = lambda: None,
) -> tuple[Path, ...]:
    """Write recordings with their boxes for a viewer and return the files; each appears once it is complete.

    `results` are results folders of runs, or folders of them; the recordings must be where they were tracked.
    `output` is a file, or the folder that gets one for each recording (see `means_folder`). `InputError`:
    results, or their recording, cannot be read; `ConfigError`: the library that writes the format is not
    installed; `OutputError`: a file exists or cannot be written, or several recordings would go to one file.
    """
    runs = EarlierRun.read_all(results)
    require_room(len(runs), target, str(output))
    path, in_folder = Path(output), means_folder(str(output))
    names = [file_name(run.folder.absolute().name) for run in runs]
    files = tuple(path / f"{name}.{target}" if in_folder else path for name in names)
    open_file = _foxglove if target is ViewerFormat.FOXGLOVE else _rerun
    refuse_twins(files)
    for path in files:
        reserve(path, overwrite=overwrite)
    for run, path in zip(runs, files, strict=True):
        request, _ = with_streams(run.request)
        last = max(run.rows.boxes, default=-1)
        with inputs_kept(request.rgb, request.aux), open_file(path) as take, open_inputs(request) as pairs:
            for pair in pairs:
                on_frame()
                if pair.rgb.index > last:
                    break
                take(pair, run.rows.at(pair.rgb.index))
    return files


def _streams(pair: FramePair) -> Iterator[tuple[str, bytes]]:
    """Yield name and JPEG file of the pictures of a pair, all on the RGB grid."""
    pictures: list[tuple[str, Image8 | None]] = [("rgb", pair.image[..., :3]), ("aux", pair.aux_image)]
    for name, picture in pictures:
        if picture is not None:
            yield name, encoded_picture(picture, ".jpg", _QUALITY)


def _label(row: TrackedBox) -> str:
    said = (f"{row.target_id}", "" if row.score is None else f"{row.score:.2f}", str(row.measure or ""))
    return " ".join(word for word in said if word)


# --- Foxglove -------------------------------------------------------------------------------------------

_NUMBER: Final = {"type": "number"}
_TEXT: Final = {"type": "string"}


def _object(**properties: object) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _list(of: object) -> dict[str, Any]:
    return {"type": "array", "items": of}


_TIME: Final = _object(sec={"type": "integer"}, nsec={"type": "integer"})
_POINT: Final = _object(x=_NUMBER, y=_NUMBER)
_COLOUR: Final = _object(r=_NUMBER, g=_NUMBER, b=_NUMBER, a=_NUMBER)
_SCHEMAS: Final = {
    "foxglove.CompressedImage": _object(
        timestamp=_TIME, frame_id=_TEXT, data={**_TEXT, "contentEncoding": "base64"}, format=_TEXT
    ),
    "foxglove.ImageAnnotations": _object(
        circles=_list(_object()),
        points=_list(
            _object(
                timestamp=_TIME,
                type={"type": "integer"},
                points=_list(_POINT),
                outline_color=_COLOUR,
                outline_colors=_list(_COLOUR),
                fill_color=_COLOUR,
                thickness=_NUMBER,
            )
        ),
        texts=_list(
            _object(
                timestamp=_TIME,
                position=_POINT,
                text=_TEXT,
                font_size=_NUMBER,
                text_color=_COLOUR,
                background_color=_COLOUR,
            )
        ),
    ),
    "dmtrack.Target": _object(id={"type": "integer"}, box=_list(_NUMBER), score=_NUMBER, state=_TEXT),
}
_LINE_LOOP: Final = 2


@contextmanager
def _foxglove(path: Path) -> Iterator[Take]:
    with library_needed("writing .mcap needs mcap", 'pip install "dmtrack[foxglove]"'):
        from mcap.writer import Writer
    with whole_file(path) as stream:
        buffered = BufferedWriter(stream)
        writer = Writer(buffered)
        writer.start(profile="", library="dmtrack")
        yield _FoxgloveFile(writer).take
        writer.finish()
        buffered.detach()  # flushes


class _FoxgloveFile:
    """JSON messages, with one topic for each stream and each target."""

    def __init__(self, writer: Any) -> None:  # noqa: ANN401 - an optional library's
        self._writer = writer
        self._schemas = {
            name: writer.register_schema(name, "jsonschema", json.dumps(schema).encode())
            for name, schema in _SCHEMAS.items()
        }
        self._channels: dict[str, int] = {}

    def take(self, pair: FramePair, rows: Sequence[TrackedBox]) -> None:
        time_ns = max(0, round(pair.rgb.time_s * _NS))
        stamp = {"sec": time_ns // _NS, "nsec": time_ns % _NS}
        boxes = {
            "circles": [],
            "points": [_outline(row, stamp) for row in rows],
            "texts": [_text(row, stamp) for row in rows],
        }
        for name, jpeg in _streams(pair):
            data = base64.b64encode(jpeg).decode()
            picture = {"timestamp": stamp, "frame_id": name, "data": data, "format": "jpeg"}
            self._add(f"/{name}", "foxglove.CompressedImage", picture, time_ns)
            self._add(f"/{name}/targets", "foxglove.ImageAnnotations", boxes, time_ns)
        for row in rows:
            said = {"id": row.target_id, "box": sides(row.box), **known(score=row.score, state=row.state)}
            self._add(f"/targets/{row.target_id}", "dmtrack.Target", {**said, **measure_json(row)}, time_ns)

    def _add(self, topic: str, schema: str, message: dict[str, Any], time_ns: int) -> None:
        if topic not in self._channels:
            self._channels[topic] = self._writer.register_channel(topic, "json", self._schemas[schema])
        data = json.dumps(message).encode()
        self._writer.add_message(self._channels[topic], time_ns, data, time_ns)


def _colour(row: TrackedBox) -> dict[str, float]:
    return dict(zip("rgb", _COLOURS[(row.target_id - 1) % len(_COLOURS)], strict=True)) | {"a": 1.0}


def _outline(row: TrackedBox, stamp: dict[str, int]) -> dict[str, Any]:
    x1, y1, x2, y2 = row.box.xyxy
    return {
        "timestamp": stamp,
        "type": _LINE_LOOP,
        "points": [{"x": x, "y": y} for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))],
        "outline_color": _colour(row),
        "outline_colors": [],
        "fill_color": {**_colour(row), "a": 0.0},
        "thickness": 2.0,
    }


def _text(row: TrackedBox, stamp: dict[str, int]) -> dict[str, Any]:
    return {
        "timestamp": stamp,
        "position": {"x": row.box.x, "y": row.box.y},
        "text": _label(row),
        "font_size": 12.0,
        "text_color": _colour(row),
        "background_color": {"r": 0.0, "g": 0.0, "b": 0.0, "a": 0.6},
    }


# --- Rerun ----------------------------------------------------------------------------------------------


@contextmanager
def _rerun(path: Path) -> Iterator[Take]:
    with library_needed("writing .rrd needs rerun-sdk", 'pip install "dmtrack[rerun]"'):
        import rerun
    part = part_path(path)
    try:
        with os_errors_translated(path):
            recording = rerun.RecordingStream("dmtrack", recording_id=path.stem)
            recording.save(part)
            yield partial(_log, rerun, recording)
            recording.flush()
            recording.disconnect()
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _log(rerun: Any, recording: Any, pair: FramePair, rows: Sequence[TrackedBox]) -> None:  # noqa: ANN401
    """Log entities `rgb` and `aux` with `targets` in them, and numbers of each target over time."""
    recording.set_time("frame", sequence=pair.rgb.index)
    recording.set_time("time", duration=float(pair.rgb.time_s))
    boxes = rerun.Boxes2D(
        array=[row.box.xywh for row in rows],
        array_format=rerun.Box2DFormat.XYWH,
        labels=[_label(row) for row in rows],
        class_ids=[row.target_id for row in rows],
    )
    for name, jpeg in _streams(pair):
        recording.log(name, rerun.EncodedImage(contents=jpeg, media_type="image/jpeg"))
        recording.log(f"{name}/targets", boxes if rows else rerun.Clear(recursive=False))
    for row in rows:
        if row.score is not None:
            recording.log(f"score/{row.target_id}", rerun.Scalars(row.score))
        if row.measure is not None:
            recording.log(f"measure/{row.target_id}", rerun.Scalars(row.measure.median))
