"""Keyframes in files: `keyframes.csv` of a run, and the given boxes in any file of results.

    frame,id,x,y,w,h,state,back
    0,1,10.0,20.0,30.0,40.0,init,1      a given box; with back 0 it changes nothing before it
    50,1,,,,,absent,                    the target is out of the picture from here on ...
    80,1,,,,,lost,                      ... up to here, where the search for it begins; or up to its next box

In a file with a column `back`, every row is a keyframe, whether or not its state is written. In results with
states (`boxes.csv`), the given boxes are the keyframes. Without states each row is one, except that of rows
in consecutive frames, which are a track, only the first is.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Final

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.table import numbered_rows
from dmtrack.boxes.parsing import placed, state_of, whole
from dmtrack.boxes.reading import is_zip, read_recording, recognise
from dmtrack.boxes.results import AbsentTarget, RecordingResults, of_another_size
from dmtrack.datasets.ground_truth import read_text
from dmtrack.errors import FormatError, listed
from dmtrack.numbers import shown
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.tracking.start import Absence, Keyframe, TargetStart

_log = logging.getLogger(__name__)

KEYFRAMES: Final = "keyframes.csv"
_HEADER: Final = "frame,id,x,y,w,h,state,back\n"
_SEPARATOR: Final = re.compile(r"\s*[,;\t]\s*")
_MOST_NAMED: Final = 5
_LOST_HINT: Final = "a row `lost` ends an absence; where a target is lost the tracker finds out"
_STATES_HINT: Final = "init needs a box; absent and lost have none"


def keyframes_text(keyframes: Collection[Keyframe]) -> str:
    """Return the text of `keyframes.csv`; an absence ends at its target's next keyframe at the latest."""
    lines = []
    keys = sorted(keyframes, key=lambda key: (key.target_id, key.frame_index or 0))
    for key, following in zip_longest(keys, keys[1:]):
        frame, target_id = frame_and_id(key)
        if isinstance(key, TargetStart):
            box = ",".join(repr(float(number)) for number in key.box.xywh)
            lines.append((frame, target_id, f"{box},{TrackState.INIT},{int(key.back)}"))
            continue
        lines.append((frame, target_id, f",,,,{TrackState.ABSENT},"))
        limit = None if following is None or following.target_id != target_id else following.frame_index
        if key.until is not None and (limit is None or key.until < limit):
            lines.append((key.until, target_id, f",,,,{TrackState.LOST},"))
    return _HEADER + "".join(f"{frame},{target_id},{rest}\n" for frame, target_id, rest in sorted(lines))


def read_keyframes(path: Path, first_frame: int = 0, size: tuple[int, int] | None = None) -> list[Keyframe]:
    """Read the keyframes of `keyframes.csv` or of a file of results, see `keyframes_of`.

    `size`, width and height of the frames, is for files of fractions without it; if a file has another size,
    that is logged. `FormatError`: it cannot be read, a needed column is missing, or a row (named) is
    malformed.
    """
    if (
        not is_zip(path)
        and path.is_file()
        and _SEPARATOR.sub(",", read_text(path).strip()) == _HEADER.strip()
    ):
        return []  # every target was removed
    recording = read_recording(path, size=size)
    if said := of_another_size(recording.size, size):
        _log.warning("%s: %s", path, said)
    backs = _backs(path) if recognise(path) is ResultFormat.CSV else {}
    found = keyframes_of(recording, first_frame, every=bool(backs))
    return [
        replace(key, back=False)
        if isinstance(key, TargetStart) and not backs.get(frame_and_id(key), True)
        else key
        for key in found
    ]


def _backs(path: Path) -> dict[tuple[int, int], bool]:
    """Check the rows of `keyframes.csv`, and return the column `back`, if any, by frame and target."""
    said, states = {}, defaultdict(list)
    for number, cells in numbered_rows(path):
        if "back" not in cells:
            return {}
        with placed(f"{path}, row {number}"):
            state, has_box = state_of(cells.get("state")), any(cells[column] for column in "xywh")
            if has_box == (state in (TrackState.ABSENT, TrackState.LOST)):
                word = "a box" if has_box else "no box"
                raise FormatError(f"state {shown(str(state or ''))} has {word}", hint=_STATES_HINT)
            if cells["back"] not in ("", "0", "1"):
                raise FormatError(f"back {shown(cells['back'])} is not 0 or 1")
            frame, target_id = whole(cells["frame"], "frame"), whole(cells["id"], "id")
            said[frame, target_id] = cells["back"] != "0"
            states[target_id].append((frame, number, state))
    for target_id, rows in states.items():
        for (_, _, before), (frame, number, state) in pairwise([(-1, 0, None), *sorted(rows)]):
            if state is TrackState.LOST and before is not TrackState.ABSENT:
                what = f"target {target_id} is lost in frame {frame}, but not absent before"
                raise FormatError(what, where=f"{path}, row {number}", hint=_LOST_HINT)
    return said


def frame_and_id(key: Keyframe) -> tuple[int, int]:
    """Return the frame and target id by which keyframes are ordered."""
    return key.frame_index or 0, key.target_id


def keyframes_of(results: RecordingResults, first_frame: int = 0, *, every: bool = False) -> list[Keyframe]:
    """Return the keyframes among the rows of results, in order of targets and frames.

    Rows before `first_frame` are ignored; a target already found there begins with its first row from there
    on. With `every`, every box is a keyframe, whatever its state. Targets whose scores are all 0 are left
    out, which is logged, unless there are no others.
    """
    rows: dict[int, list[tuple[int, TrackedBox | AbsentTarget]]] = defaultdict(list)
    for frame in results.frames:
        if frame.frame_index >= first_frame:
            for entry in frame.entries:
                rows[entry.target_id].append((frame.frame_index, entry))
    ignored = [number for number, own in rows.items() if all(_is_ignored(entry) for _, entry in own)]
    if 0 < len(ignored) < len(rows):
        named = listed([str(number) for number in sorted(ignored)], _MOST_NAMED)
        _log.warning("%s: left out what is marked to be ignored: target %s", results.name, named)
        for number in ignored:
            del rows[number]
    return [key for target_id in sorted(rows) for key in _of_one_target(rows[target_id], every=every)]


def _is_ignored(entry: TrackedBox | AbsentTarget) -> bool:
    """Return whether an entry is to be ignored: ground truth of MOTChallenge marks it by a score of 0."""
    return entry.score == 0 and entry.state is None


def _of_one_target(
    rows: Sequence[tuple[int, TrackedBox | AbsentTarget]], *, every: bool
) -> Iterator[Keyframe]:
    says_states = any(entry.state is not None for _, entry in rows)
    absent: int | None = None
    begun, previous = False, None
    for frame, entry in rows:
        if isinstance(entry, TrackedBox):
            given = entry.state is TrackState.INIT if says_states else previous != frame - 1
            previous = frame
            if every or given or not begun:
                if absent is not None:
                    yield Absence(entry.target_id, absent)
                absent, begun = None, True
                yield TargetStart(entry.box, entry.target_id, frame)
        elif entry.state is TrackState.ABSENT:
            absent = frame if absent is None else absent
        elif entry.state is TrackState.LOST and absent is not None:
            yield Absence(entry.target_id, absent, frame)
            absent = None
    if absent is not None:
        yield Absence(rows[0][1].target_id, absent)
