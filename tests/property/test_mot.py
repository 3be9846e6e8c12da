"""MOT files: written and read they are the same; what is malformed is named with its row."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import written
from hypothesis import given, settings
from hypothesis import strategies as st

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.mot import DECIMALS, mot_line, parse_mot_line, read_mot
from dmtrack.boxes.writing import BoxSink
from dmtrack.errors import FormatError, OutputError
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState
from dmtrack.video.frame import Frame, FramePair

counts = st.integers(1, 10**6)
positions = st.floats(-1e6, 1e6)
sides = st.floats(1e-6, 1e6)
boxes = st.builds(Box, positions, positions, sides, sides)
rows = st.builds(TrackedBox, counts, counts, boxes, st.none() | st.floats(0, 1))
on_grid = st.integers(-(10**12), 10**12).map(lambda n: n / 10**DECIMALS)


def _rounded(row: TrackedBox) -> TrackedBox:
    box = Box(*(round(value, DECIMALS) for value in row.box.xywh))
    score = None if row.score is None else round(row.score, DECIMALS)
    return TrackedBox(row.frame_index, row.target_id, box, score)


def _read(path: Path) -> list[TrackedBox]:
    return list(read_mot(path, "a").rows)


@given(rows)
def test_reading_gives_the_value_rounded_to_the_stated_precision(row):
    assert parse_mot_line(mot_line(row)) == _rounded(row)


@given(rows)
def test_writing_what_was_read_gives_the_same_line(row):
    line = mot_line(row)
    assert mot_line(parse_mot_line(line)) == line


@given(on_grid, on_grid)
def test_values_of_the_stated_precision_come_back_exactly(x, y):
    row = TrackedBox(0, 1, Box(x, y, 1.5, 2.25), 0.125)
    assert parse_mot_line(mot_line(row)) == row


@given(rows)
def test_origin_one_only_shifts_the_corner(row):
    assert parse_mot_line(mot_line(row, 1), 1) == _rounded(row)
    there = parse_mot_line(mot_line(row, 1)).box
    assert there.x == pytest.approx(row.box.x + 1, abs=1e-6)
    assert (there.w, there.h) == (round(row.box.w, DECIMALS), round(row.box.h, DECIMALS))


@settings(max_examples=25, deadline=None)
@given(st.lists(rows, max_size=30, unique_by=lambda row: (row.frame_index, row.target_id)))
def test_whole_files_come_back(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("mot") / "boxes.txt"
    path.write_text("".join(f"{mot_line(row)}\n" for row in content))
    in_order = sorted(content, key=lambda row: (row.frame_index, row.target_id))
    assert _read(path) == [_rounded(row) for row in in_order]


def _result(index: int, *targets: tuple[int, Box, float]) -> FrameResult:
    pixels = np.zeros((4, 4, 3), np.uint8)
    frame = Frame(index, index, Fraction(1, 30), pixels)
    boxes = tuple(
        TrackedBox(index, number, box, score, TrackState.TRACKED, frame.time_s)
        for number, box, score in targets
    )
    return FrameResult(FramePair(frame, None, None, pixels), boxes, 1.0)


def test_sink_byte_for_byte(tmp_path):
    path = tmp_path / "boxes.txt"
    with BoxSink(path, ResultFormat.MOT) as sink:
        sink.write(_result(0, (1, Box(10, 20.5, 30, 40), 1.0), (2, Box(-0.0000001, 0, 1 / 3, 2), 0.25)))
        sink.write(_result(1))
        sink.write(_result(2, (1, Box(1e7, 2, 3, 4), 0.1)))
    assert path.read_bytes() == (
        b"1,1,10,20.5,30,40,1,-1,-1,-1\n1,2,0,0,0.333333,2,0.25,-1,-1,-1\n3,1,10000000,2,3,4,0.1,-1,-1,-1\n"
    )


def test_interrupt_keeps_what_was_tracked(tmp_path):
    sink = BoxSink(tmp_path / "boxes.txt", ResultFormat.MOT)
    sink.write(_result(0, (1, Box(1, 2, 3, 4), 1.0)))
    with pytest.raises(KeyboardInterrupt), sink:
        raise KeyboardInterrupt
    assert _read(tmp_path / "boxes.txt") == [TrackedBox(0, 1, Box(1, 2, 3, 4), 1.0)]


def test_box_thinner_than_the_precision_stays_a_box(tmp_path):
    assert parse_mot_line(mot_line(TrackedBox(0, 1, Box(0, 0, 1e-9, 1)))).box.w == 1e-6


def test_existing_file_is_refused(tmp_path):
    (tmp_path / "boxes.txt").write_text("")
    with pytest.raises(OutputError, match="--overwrite"):
        BoxSink(tmp_path / "boxes.txt", ResultFormat.MOT)


@pytest.mark.parametrize(
    "line",
    ["1,2,3,4,5,6", "1,2,3,4,5,6,1", "1 2 3 4 5 6 1", "1,2,3,4,5,6,1,1,0.5", "1.0,2.0,3e0,4,5,6,1,-1,-1,-1"],
    ids=["six columns", "seven", "blanks", "nine, ground truth of CVAT", "floats"],
)
def test_what_others_write_is_read(line):
    assert parse_mot_line(line) == TrackedBox(0, 2, Box(3, 4, 5, 6), 1.0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1,1,2,3,4", "at least 6 columns"),
        ("1,1,2,,4,5,1", "y '' is not a number"),
        ("0,1,2,3,4,5,1", "frame number '0'"),
        ("1.5,1,2,3,4,5,1", "frame number '1.5'"),
        ("1,-2,2,3,4,5,1", "target id '-2'"),
        ("1,1,nan,3,4,5,1", "x 'nan' is not finite"),
        ("1,1,2,3,0,5,1", "no area"),
        ("1,1,2,3,4,5,high", "confidence 'high'"),
        ("1,7,2,3,4,5,1", "target 7 is in this frame already"),
    ],
)
def test_bad_row_is_named(tmp_path, line, words):
    path = written(tmp_path / "boxes.txt", f"1,7,2,3,4,5,1,-1,-1,-1\n\n{line}\n")
    with pytest.raises(FormatError) as caught:
        _read(path)
    assert f"{path}, row 3: " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00\x01"], ids=["missing", "binary"])
def test_no_text_file(tmp_path, content):
    path = tmp_path / "boxes.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FormatError, match=r"boxes\.txt"):
        _read(path)
