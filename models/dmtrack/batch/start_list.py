"""Start boxes for the recordings of a batch that lack them, and a list of all recordings for `batch`.

Boxes are drawn, one recording after the other, or were given before: in a review, or in a batch that was
stopped.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dmtrack.atomic import (
    inputs_kept,
    make_folder,
    os_errors_translated,
    refuse_input,
    utf8,
    write_atomically,
)
from dmtrack.batch.item import BatchItem, Findings, Problem
from dmtrack.batch.manifest import COLUMNS
from dmtrack.batch.plan import Plan, PlannedItem, folder_name, make_plan
from dmtrack.batch.track_item import TrackItem
from dmtrack.boxes.keyframes import KEYFRAMES, keyframes_text, read_keyframes
from dmtrack.errors import BoxError, DmtrackError, OutputError, printable
from dmtrack.geometry.box import Box
from dmtrack.options import ms_text
from dmtrack.output.csv_text import csv_text
from dmtrack.run.inputs import drawing_scene, first_pair, open_inputs, with_streams
from dmtrack.run.start_boxes import Draw
from dmtrack.tracking.start import Keyframe, TargetStart, numbered, starts_and_corrections
from dmtrack.video.position import Position

_BOXES: Final = "-boxes"


@dataclass(frozen=True, slots=True)
class StartList:
    """Where to write the list of a batch while start boxes are drawn."""

    path: Path  # of the list
    source: Path  # the batch's source, which the list never replaces
    overwrite: bool = False  # replace an existing list

    def keep(self, plan: Plan, *, is_first: bool = False) -> None:
        """Write the list of a plan; `is_first` refuses to replace a list that was there before."""
        with inputs_kept(self.source):
            write_list(self.path, plan, overwrite=self.overwrite or not is_first)


def with_starts(
    plan: Plan, output: Path, tracker: TrackItem, draw: Draw | None = None, kept: StartList | None = None
) -> Plan:
    """Give recordings without a start box the one in their results, or one that a person draws.

    `draw` shows a recording and returns at least one target; without it nothing is drawn. `kept` is written
    before the first drawing and after each. `OutputError`: the list cannot be written; `DmtrackError`: raised
    by `draw` when the person stops; earlier drawings are kept.
    """
    given, problems = {}, []
    for problem in plan.problems:
        problems.append(problem)
        try:
            if problem.without_box is not None:
                given[problem.id] = _given(output / folder_name(problem.id))
        except DmtrackError as error:  # does not affect the others
            problems[-1] = replace(problem, reason=printable(str(error)))
    plan = _with_starts(replace(plan, problems=tuple(problems)), given, tracker)
    if kept is not None:
        kept.keep(plan, is_first=True)
    for problem in plan.problems if draw is not None else ():
        item = problem.without_box
        if item is not None and draw is not None:
            plan = _with_starts(plan, {item.id: _drawn(item, tracker, draw)}, tracker)
            if kept is not None:
                kept.keep(plan)
    return plan


def write_list(path: Path, plan: Plan, *, overwrite: bool = False) -> None:
    """Write the recordings of a plan as a manifest; the box cell is empty for those without a box.

    Targets that do not fit in a cell (several, or with corrections) go into files beside it,
    `NAME-boxes/ID.csv`. `OutputError`: the file exists and may not be replaced, is an input, or cannot be
    written.
    """
    refuse_input(path)
    if path.exists() and not overwrite:
        raise OutputError("there is a list already", where=path, hint="--overwrite replaces it")
    with os_errors_translated(path):
        if path.exists() and not path.read_bytes().startswith(COLUMNS[0].encode()):
            raise OutputError("is no list, and stays as it is", where=path, hint="choose another name")
    items = [planned.item for planned in plan.items]
    items += [problem.without_box for problem in plan.problems if problem.without_box is not None]
    make_folder(path.parent)
    rows = [_row(item, path) for item in sorted(items, key=lambda item: item.id)]
    write_atomically(path, utf8(csv_text([COLUMNS, *rows])))


def _with_starts(plan: Plan, starts_of: Mapping[str, Sequence[Keyframe]], tracker: TrackItem) -> Plan:
    """Move recordings for which there are starts from the problems to the items."""
    items, problems = list(plan.items), []
    for problem in plan.problems:
        item, starts = problem.without_box, starts_of.get(problem.id)
        made = problem if item is None or not starts else _started(item, starts, tracker)
        if isinstance(made, Problem):
            problems.append(made)
        else:
            items.append(made)
    return replace(plan, items=tuple(items), problems=tuple(problems))


def _started(item: BatchItem, starts: Sequence[Keyframe], tracker: TrackItem) -> PlannedItem | Problem:
    """Return the planned item with its starts; a problem if something else is wrong with it."""
    first = min(start.frame_index or 0 for start in starts_and_corrections(starts)[0])
    begin = Position(index=first) if first and item.start is None else item.start
    found = Findings((replace(item, boxes=tuple(starts), start=begin),))
    planned = make_plan(found, pairing=tracker.usual.pairing)
    return planned.items[0] if planned.items else planned.problems[0]


def _given(folder: Path) -> tuple[Keyframe, ...]:
    path = folder / KEYFRAMES
    found = tuple(read_keyframes(path)) if path.is_file() else ()
    return found if starts_and_corrections(found)[0] else ()


def _drawn(item: BatchItem, tracker: TrackItem, draw: Draw) -> tuple[TargetStart, ...]:
    request, _ = with_streams(tracker.request_for(item))
    with open_inputs(request) as pairs:
        first, _ = first_pair(pairs)
        return draw(replace(drawing_scene(request, pairs, first), name=item.id))


def _row(item: BatchItem, path: Path) -> list[str]:
    if len(item.box_files) > 1:
        raise BoxError(f"{item.id} has several files of boxes, which a list cannot say", where=path)
    files = {"rgb": item.rgb, "aux": item.aux, "align": item.align, "detections": item.detections}
    files["box_file"] = next(iter(item.box_files), None)
    said = {name: _relative(file, path.parent) for name, file in files.items() if file is not None}
    only = _only_box(item)
    if only is not None:
        said["box"] = ",".join(repr(float(side)) for side in only.xywh)
    elif item.boxes:
        said["box_file"] = _written_boxes(item, path)
    if item.offset_s is not None:
        said["offset_ms"] = ms_text(item.offset_s)
    others = {name: getattr(item, name) for name in ("id", "modality", "start", "end")}
    cells = said | {name: str(value) for name, value in others.items() if value is not None}
    return [cells.get(name, "") for name in COLUMNS]


def _relative(file: Path, folder: Path) -> str:
    """Return the path of a file relative to the list's folder, with slashes on every system."""
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return file.absolute().as_posix()


def _only_box(item: BatchItem) -> Box | None:
    """Return the box of an item that consists of one box, with id 1 in the first frame; else None."""
    if len(item.boxes) != 1:
        return None
    (only,), begin = item.boxes, 0 if item.start is None else item.start.index
    if isinstance(only, TargetStart) and only.target_id == 1 and only.frame_index in (None, begin):
        return only.box
    return only if isinstance(only, Box) else None


def _written_boxes(item: BatchItem, path: Path) -> str:
    """Write the targets of an item to a file beside the list, and return its path in the list."""
    begin = 0 if item.start is None else item.start.index
    keyframes = [
        replace(key, frame_index=begin) if key.frame_index is None else key for key in numbered(item.boxes)
    ]
    folder = make_folder(path.with_name(f"{path.stem}{_BOXES}"))
    file = folder / f"{folder_name(item.id)}.csv"
    refuse_input(file)
    write_atomically(file, keyframes_text(keyframes).encode())
    return f"{folder.name}/{file.name}"
