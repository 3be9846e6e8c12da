"""Keyframes in files: written and read again, and found among the rows of results."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import written
from hypothesis import given, settings
from hypothesis import strategies as st

from dmtrack.boxes.keyframes import keyframes_text, read_keyframes
from dmtrack.boxes.starts import read_targets
from dmtrack.errors import FormatError
from dmtrack.geometry.box import Box
from dmtrack.tracking.segments import segments_of
from dmtrack.tracking.start import Absence, Keyframe, TargetStart

_SIZES = st.floats(0.25, 500, allow_nan=False)
_BOXES = st.builds(Box, st.floats(-50, 500), st.floats(-50, 500), _SIZES, _SIZES)


@st.composite
def _ways(draw: st.DrawFn) -> list[Keyframe]:
    """Keyframes of a few targets, each beginning with a box."""
    made: list[Keyframe] = []
    for target_id in range(1, draw(st.integers(1, 3)) + 1):
        frame = draw(st.integers(0, 20))
        made.append(TargetStart(draw(_BOXES), target_id, frame, draw(st.booleans())))
        for _ in range(draw(st.integers(0, 4))):
            frame += draw(st.integers(1, 30))
            if draw(st.booleans()):
                made.append(TargetStart(draw(_BOXES), target_id, frame, draw(st.booleans())))
                continue
            length = draw(st.integers(1, 9))
            made.append(Absence(target_id, frame, frame + length))
            frame += length
    return made


@settings(deadline=None)
@given(_ways())
def test_what_is_written_is_read_again(tmp_path_factory, keys):
    path = written(tmp_path_factory.mktemp("keys") / "keyframes.csv", keyframes_text(keys))
    assert read_keyframes(path) == sorted(keys, key=lambda key: (key.target_id, key.frame_index))
    assert keyframes_text(read_keyframes(path)) == keyframes_text(keys)


def test_without_targets_there_are_no_keyframes(tmp_path):
    path = written(tmp_path / "keyframes.csv", keyframes_text(()))
    assert read_keyframes(path) == []


@st.composite
def _overlapping(draw: st.DrawFn) -> list[Keyframe]:
    """Boxes and absences of two targets, each beginning with a box, in any frames."""
    made: list[Keyframe] = []
    for target_id in (1, 2):
        frames = draw(st.lists(st.integers(1, 15), max_size=5, unique=True))
        made.append(TargetStart(Box(1, 2, 3, 4), target_id, 0))
        for frame in frames:
            until = draw(st.none() | st.integers(frame + 1, 20))
            is_box = draw(st.booleans())
            made.append(
                TargetStart(Box(1, 2, 3, 4), target_id, frame) if is_box else Absence(target_id, frame, until)
            )
    return made


@settings(deadline=None)
@given(_overlapping())
def test_absences_that_overlap_mean_the_same_when_they_are_read(tmp_path_factory, keys):
    path = written(tmp_path_factory.mktemp("keys") / "keyframes.csv", keyframes_text(keys))
    assert segments_of(read_keyframes(path)) == segments_of(keys)


def _read(tmp_path: Path, text: str, first_frame: int = 0, name: str = "boxes.csv") -> list[Keyframe]:
    path = written(tmp_path / name, text)
    return list(read_targets(path, first_frame))  # type: ignore[arg-type]  # files with ids hold no plain box


def _frames(keys: list[Keyframe]) -> list[int | None]:
    return [key.frame_index for key in keys]


def test_of_results_with_states_the_given_boxes_count(tmp_path):
    states = ["init", "tracked", "uncertain", "init", "lost", "tracked"]
    rows = "".join(f"{frame},1,{frame},2,3,4,{state}\n" for frame, state in enumerate(states))
    assert _frames(_read(tmp_path, "frame,id,x,y,w,h,state\n" + rows)) == [0, 3]


def test_from_a_later_frame_on_a_target_begins_with_its_first_row(tmp_path):
    rows = "".join(f"{frame},1,{frame},2,3,4,{'tracked' if frame else 'init'}\n" for frame in range(6))
    (only,) = _read(tmp_path, "frame,id,x,y,w,h,state\n" + rows, first_frame=2)
    assert only == TargetStart(Box(2, 2, 3, 4), 1, 2)


@pytest.mark.parametrize("name", ["rows.csv", "rows.txt"])
def test_without_states_rows_after_a_gap_are_corrections(tmp_path, name):
    frames = [3, 4, 5, 9, 20, 21]
    table = "frame,id,x,y,w,h\n" + "".join(f"{frame},1,1,2,3,4\n" for frame in frames)
    mot = "".join(f"{frame + 1},1,1,2,3,4,1,-1,-1,-1\n" for frame in frames)
    assert _frames(_read(tmp_path, table if name.endswith("csv") else mot, name=name)) == [3, 9, 20]


def test_rows_that_say_absent(tmp_path):
    text = "frame,id,x,y,w,h,state\n0,1,1,2,3,4,init\n5,1,,,,,absent\n6,1,,,,,absent\n9,1,,,,,lost\n"
    assert _read(tmp_path, text) == [TargetStart(Box(1, 2, 3, 4), 1, 0), Absence(1, 5, 9)]


def test_an_unknown_state_is_told_with_its_row(tmp_path):
    with pytest.raises(FormatError, match="row 2"):
        _read(tmp_path, "frame,id,x,y,w,h,state\n0,1,1,2,3,4,gone\n")


def test_an_absence_up_to_a_box_is_one_row(tmp_path):
    keys: list[Keyframe] = [TargetStart(Box(1, 2, 3, 4), 1, 0), Absence(1, 5, 9)]
    keys += [TargetStart(Box(1, 2, 3, 4), 1, 9)]
    assert _frames(_read(tmp_path, keyframes_text(keys))) == [0, 5, 9]


_BACK = "frame,id,x,y,w,h,state,back\n"
_ALONE = [TargetStart(Box(1.5, 2, 3, 4), 1, 0), TargetStart(Box(5, 6, 7, 8), 1, 9, back=False)]


@pytest.mark.parametrize(
    "text",
    [
        _BACK + "0,1,1.5,2,3,4,init,1\n009,01,5,6,7,8,init,0\n",
        _BACK + "0,1,1.5,2,3,4,init,1\n9.0,1,5,6,7,8,,0\n",
        _BACK + "0,1,1.5,2,3,4\n+9,1,5,6,7,8,tracked,0\n",
        _BACK + "\n 0 , 1 ,1.5,2,3,4,init,\n,,,,,,,\n9,1,5,6,7,8,init,0\n  \n",
        (_BACK + "0,1,1~5,2,3,4,init,1\n9,1,5,6,7,8,init,0\n").replace(",", ";").replace("~", ","),
        (_BACK + "0,1,1~5,2,3,4,init,1\n9,1,5,6,7,8,init,0\n").replace(",", "\t").replace("~", ","),
        "back,state,h,w,y,x,id,frame\r\n1,init,4,3,2,1.5,1,0\r\n0,init,8,7,6,5,1,9\r\n",
    ],
    ids=["zeros", "no state", "short row", "blank rows", "spreadsheet", "tabs", "other order"],
)
def test_a_file_edited_by_hand_means_what_it_says(tmp_path, text):
    assert _read(tmp_path, text, name="keyframes.csv") == _ALONE


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("9,1,5,6,7,8,init,no", "row 3: back 'no' is not 0 or 1"),
        ("9,1,5,6,7,8,absent,", "row 3: state 'absent' has a box"),
        ("9,1,,,,,init,0", "row 3: state 'init' has no box"),
        ("9,1,,,,,,", "row 3: state '' has no box"),
        (f"{10**16},1,5,6,7,8,init,0", "row 3: frame .* is too large"),
        ("9,1,,,,,lost,", "row 3: target 1 is lost in frame 9, but not absent before"),
        ("9,1,,,,,lost,\n8,2,,,,,absent,", "row 3: target 1 is lost in frame 9, but not absent before"),
        ("12,1,,,,,lost,\n9,1,,,,,absent,\n15,1,,,,,lost,", "row 5: target 1 is lost in frame 15"),
    ],
)
def test_a_row_that_cannot_be_meant_is_refused(tmp_path, row, words):
    with pytest.raises(FormatError, match=words):
        _read(tmp_path, f"{_BACK}0,1,1.5,2,3,4,init,1\n{row}\n", name="keyframes.csv")


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_every_row_may_be_taken_away(tmp_path, mark, end):
    path = written(tmp_path / "keyframes.csv", (_BACK.strip().replace(",", mark) + end).encode())
    assert read_keyframes(path) == []
