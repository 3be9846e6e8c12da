"""Results as CVAT imports and exports them: "CVAT for video 1.1", tracks with keyframes and `outside`.

    <annotations>
      <version>1.1</version>
      <meta><task> size, start_frame, stop_frame, labels with their attributes, original_size </task></meta>
      <track id="1" label="car" source="auto">
        <box frame="0" outside="0" occluded="0" keyframe="1" xtl="10" ytl="20" xbr="40" ybr="60" z_order="0">
          <attribute name="score">0.9</attribute>
        </box>
      </track>
    </annotations>

Frames count from 0. Every box of a target is written, as CVAT does; CVAT replaces those with `keyframe="0"`
by linear interpolation, and fills the gaps of sparse ground truth likewise. Where a target's boxes end, one
with `outside="1"` follows. A lost target is `occluded`; score, state and measure are attributes, which
CVAT drops if the task's label lacks them.

Source: CVAT's manual, "XML annotation format", and the reader of Datumaro (format only).
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from dmtrack.boxes.formats.archive import member_texts
from dmtrack.boxes.formats.json_document import known
from dmtrack.boxes.formats.mot import DECIMALS, corner_texts
from dmtrack.boxes.formats.table import measure_in
from dmtrack.boxes.formats.waypoints import (
    EVERY_FRAME,
    AnnotatorOptions,
    Waypoint,
    add_tracks,
    ids_from_one,
    keyframes_among,
    upright,
)
from dmtrack.boxes.parsing import box_of, finite, placed, state_of, whole
from dmtrack.boxes.results import DEFAULT_LABEL, PictureSize, RecordingResults, ResultsGatherer
from dmtrack.datasets.ground_truth import read_text
from dmtrack.errors import FormatError, printable, translated
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.video.second.gauge import MEASURE_COLUMNS, measure_cells

ANNOTATIONS: Final = "annotations.xml"  # its name in the archives that CVAT exports
_LABEL: Final = "<label><name>{}</name><attributes>%s</attributes></label>" % "".join(  # noqa: UP031
    f"<attribute><name>{name}</name><mutable>True</mutable><input_type>text</input_type>"
    "<default_value></default_value><values></values></attribute>"
    for name in ("score", "state", *MEASURE_COLUMNS)
)


def read_cvat_video(path: Path, name: str) -> RecordingResults:
    """Read the XML file, or the archive that holds it; between keyframes boxes are interpolated linearly.

    Rotated boxes and polygons become the upright boxes around them. `FormatError`: it cannot be read, is not
    such a file, or a box (its place is named) is wrong.
    """
    if path.suffix.lower() != ".zip" and not zipfile.is_zipfile(path):
        text = read_text(path)
    else:
        text = member_texts(path, [ANNOTATIONS]).get(ANNOTATIONS, "")
    if "<!ENTITY" in text or "<!DOCTYPE" in text:
        raise FormatError("declares entities, which no file of CVAT does", where=path)
    with translated(FormatError, "is no XML", where=path):
        root = ElementTree.fromstring(text)  # noqa: S314 - no entities in it
    gatherer = ResultsGatherer(size=_size(root, path))
    tracks = list(root.iter("track"))
    if not tracks:
        hint = 'export it as "CVAT for video 1.1"' if root.find("image") is not None else None
        raise FormatError("has no track in it", where=path, hint=hint)
    ids = [_whole(track, "id", f"{path}, track {number}") for number, track in enumerate(tracks, start=1)]
    added = ids_from_one(ids)
    waypoints: dict[int, list[Waypoint]] = defaultdict(list)
    for track_id, track in zip(ids, tracks, strict=True):
        where = f"{path}, track {track_id}"
        waypoints[track_id + added] += [_waypoint(one, where) for one in track if one.tag in _CORNERS]
        label = track.get("label", "")
        if label and label != DEFAULT_LABEL:
            gatherer.labels[track_id + added] = label
    with placed(path):
        add_tracks(gatherer, waypoints, _end(root, path))
    return gatherer.results(root.findtext("meta/task/name") or name)


def cvat_video_text(results: RecordingResults, options: AnnotatorOptions = EVERY_FRAME) -> str:
    """Return the XML of one recording."""
    last = results.frames[-1].frame_index
    label_of = {one: printable(results.labels.get(one) or DEFAULT_LABEL) for one in results.boxed_ids}
    size = results.size
    sized = "" if size is None else f"<width>{size.width}</width><height>{size.height}</height>"
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta><task>'
        f"<name>{escape(printable(results.name))}</name><size>{last + 1}</size><mode>interpolation</mode>"
        f"<start_frame>0</start_frame><stop_frame>{last}</stop_frame>\n<labels>",
        *(_LABEL.format(escape(one)) for one in sorted(set(label_of.values()))),
        f"</labels>\n{f'<original_size>{sized}</original_size>' if sized else ''}</task></meta>",
    ]
    rows: dict[int, list[TrackedBox]] = defaultdict(list)
    for row in results.rows:
        rows[row.target_id].append(row)
    for target_id, own in sorted(rows.items()):
        lines.append(f'<track id="{target_id}" label={quoteattr(label_of[target_id])} source="auto">')
        lines += _box_lines(own, last, results.usual_step, options.keyframe_px)
        lines.append("</track>")
    return "\n".join([*lines, "</annotations>\n"])


def _box_lines(rows: list[TrackedBox], last: int, step: int, keyframe_px: float) -> Iterator[str]:
    keyframes = keyframes_among(rows, keyframe_px)
    for row, following in zip_longest(rows, rows[1:]):
        index, said = row.frame_index, known(score=row.score, state=row.state, **measure_cells(row.measure))
        left, top, right, below = corner_texts(row.box)
        corners = f'xtl="{left}" ytl="{top}" xbr="{right}" ybr="{below}" z_order="0"'
        occluded, keyframe = int(row.state is TrackState.LOST), int(index in keyframes)
        start = f'<box frame="{index}" outside="0" occluded="{occluded}" keyframe="{keyframe}" {corners}'
        inner = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in said.items())
        yield f"{start}>{inner}</box>" if inner else f"{start}/>"
        after = index + step
        if after <= last and (following is None or following.frame_index > after):
            yield f'<box frame="{after}" outside="1" occluded="{occluded}" keyframe="1" {corners}/>'


def _of_box(element: ElementTree.Element) -> Iterable[tuple[str, str]]:
    return [
        (element.get("xtl", ""), element.get("ytl", "")),
        (element.get("xbr", ""), element.get("ybr", "")),
    ]


def _of_points(element: ElementTree.Element) -> Iterable[tuple[str, str]]:
    for point in element.get("points", "").split(";"):
        x, _, y = point.partition(",")
        yield x, y


_CORNERS: Final = {"box": _of_box, "polygon": _of_points, "polyline": _of_points}


def _waypoint(element: ElementTree.Element, where: str) -> Waypoint:
    index = _whole(element, "frame", where)
    with placed(f"{where}, frame {index}"):
        points = [(finite(x, "x"), finite(y, "y")) for x, y in _CORNERS[element.tag](element)]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        x, y = min(xs), min(ys)
        box = box_of(x, y, round(max(xs) - x, DECIMALS), round(max(ys) - y, DECIMALS))
        box = upright(box, finite(element.get("rotation", "0"), "rotation"), (box.cx, box.cy))
    said = {one.get("name", ""): one.text or "" for one in element.iter("attribute")}
    score = state = measure = None
    with suppress(FormatError):  # other tools may use these names for attributes of another meaning
        score = finite(said["score"], "score") if "score" in said else None
        state = state_of(said.get("state"))
        measure = measure_in(said)
    is_there = element.get("outside") != "1"
    return Waypoint(index, box, is_there, is_there, score, state, measure)


def _size(root: ElementTree.Element, path: Path) -> PictureSize | None:
    size = next(root.iter("original_size"), None)
    if size is None:
        return None
    with placed(f"{path}, original_size"):
        width, height = (whole(size.findtext(name, ""), name) for name in ("width", "height"))
    return PictureSize(width, height) if min(width, height) > 0 else None


def _end(root: ElementTree.Element, path: Path) -> int | None:
    stop = root.findtext("meta/task/stop_frame")
    with placed(f"{path}, stop_frame"):
        return None if stop is None else whole(stop, "stop_frame") + 1


def _whole(element: ElementTree.Element, name: str, where: str) -> int:
    with placed(where):
        return whole(element.get(name, ""), name)
