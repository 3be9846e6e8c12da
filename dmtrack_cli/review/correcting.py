"""`ReviewSession`: connects the page to a `Review`. No HTTP here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

from dmtrack.errors import FormatError
from dmtrack.numbers import shown
from dmtrack.run.review import Edit, Review, ReviewState
from dmtrack.tracking.arrivals import Detection
from dmtrack.tracking.edits import (
    absent_from,
    looked_for_from,
    renamed,
    split,
    with_box,
    without_keyframe,
    without_target,
)
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.tracking.start import Keyframe, TargetStart
from dmtrack_cli.review.drawing import box_in, json_in, scene_setup
from dmtrack_cli.review.server import Send

Values = dict[str, Any]

_STATES: Final = [None, *TrackState]  # the page gets indices into this list
_MOST_DOUBTS: Final = 50
_HIGHEST: Final = 2**31 - 1
_HIGHEST_ID: Final = 2**53 - 1  # the highest in files, and the highest exact integer of JavaScript


class ReviewSession:
    """Translates between the page and a review."""

    questions: Final = ("state", "rows", "seen", "change", "undo", "finish")

    def __init__(self, review: Review) -> None:
        self._review = review
        self.finished = threading.Event()

    @property
    def name(self) -> str:
        """The name of the recording."""
        return self._review.scene.name

    def setup(self) -> Values:
        """Return what the page needs at its start."""
        more = {"folder": str(self._review.folder), "detector": bool(self._review.seen)}
        return scene_setup(self._review.scene, "review") | more

    def touch(self) -> None:
        """Do nothing: there is no timeout."""

    def answer(self, question: str, body: bytes, send: Send) -> None:
        """Answer a request of the page.

        `FormatError`: the request is malformed; `BoxError`: the edit is invalid; `OutOfDateError`: the page
        shows outdated keyframes; `OutputError`: the keyframes cannot be written.
        """
        values = json_in(body)
        if not isinstance(values, dict):
            raise FormatError("the request is not an object")
        if question == "rows":
            version, rows = self._review.rows()
            skews = self._review.skews_ms
            send({"version": version, "targets": _columns(rows), "skew": [list(skews), list(skews.values())]})
        elif question == "seen":
            seen = self._review.seen.get(_whole(values, "frame"), ())
            send({"boxes": [_detection_values(one) for one in seen]})
        elif question == "finish":
            send({"ok": True})
            self.finished.set()
        else:
            if question == "change":
                self._review.change(_whole(values, "revision"), _edit(values))
            elif question == "undo":
                self._review.undo(_whole(values, "revision"))
            send(_state_values(self._review.state(_whole(values, "fresh", 0))))


def _edit(values: Values) -> Edit:
    """Return the edit in a request; `FormatError` if there is no such edit."""
    what = values.get("do")
    target_id = _whole(values, "id", most=_HIGHEST_ID)
    if what == "remove":
        return lambda keys: without_target(keys, target_id)
    if what == "rename":
        new_id = _whole(values, "new", most=_HIGHEST_ID)
        return lambda keys: renamed(keys, target_id, new_id)
    frame = _whole(values, "frame")
    if what == "box":
        box = TargetStart(box_in(values, "the box"), target_id, frame, back=values.get("back") is not False)
        return lambda keys: with_box(keys, box)
    if what == "split":
        new_id, found = _whole(values, "new", most=_HIGHEST_ID), box_in(values, "the box")
        return lambda keys: split(keys, target_id, frame, new_id, found)
    simple: dict[object, Callable[..., tuple[Keyframe, ...]]] = {
        "delete": without_keyframe,
        "absent": absent_from,
        "back": looked_for_from,
    }
    if not isinstance(what, str) or what not in simple:
        raise FormatError(f"{what!r} cannot be done")
    return lambda keys: simple[what](keys, target_id, frame)


def _whole(values: Values, name: str, default: int | None = None, most: int = _HIGHEST) -> int:
    value = values.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise FormatError(f"{name} is {shown(repr(value))}, not a whole number from 0 to {most}")
    return value


def _state_values(state: ReviewState) -> Values:
    return {
        "revision": state.revision,
        "keyframes": [_keyframe_values(key) for key in state.keyframes],
        "canUndo": state.can_undo,
        "doubts": [
            {"id": doubt.target_id, "frame": doubt.frame_index, "reason": doubt.reason}
            for doubt in state.doubts[:_MOST_DOUBTS]
        ],
        "progress": asdict(state.progress),
        "rows": state.rows_version,
        "fresh": _columns(state.fresh),
        "freshCount": state.fresh_count,
    }


def _keyframe_values(key: Keyframe) -> Values:
    place = {"id": key.target_id, "frame": key.frame_index or 0}
    if isinstance(key, TargetStart):
        return place | dict(zip("xywh", key.box.xywh, strict=True)) | {"back": key.back}
    return place | {"until": key.until}


def _detection_values(detection: Detection) -> Values:
    sides = dict(zip("xywh", (round(side, 2) for side in detection.box.xywh), strict=True))
    score = None if detection.score is None else round(detection.score, 3)
    return sides | {"score": score, "label": detection.label}


def _columns(rows: Sequence[TrackedBox]) -> dict[int, list[list[float | None]]]:
    """Return frames, x, y, w, h, scores and state indices of each target."""
    columns: dict[int, list[list[float | None]]] = {}
    for row in rows:
        score = None if row.score is None else round(row.score, 3)
        place = [row.frame_index, *(round(side, 2) for side in row.box.xywh), score, _STATES.index(row.state)]
        for column, value in zip(columns.setdefault(row.target_id, [[] for _ in place]), place, strict=True):
            column.append(value)
    return columns
