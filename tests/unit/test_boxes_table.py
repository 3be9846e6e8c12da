"""The CSV: exact header and rows, empty cells without a partner, reading with row numbers in errors."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.table import COLUMNS, read_table
from dmtrack.boxes.reading import read_results, read_rows
from dmtrack.boxes.results import FrameBoxes
from dmtrack.boxes.writing import BoxSink
from dmtrack.errors import FormatError
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState
from dmtrack.video.frame import Frame, FramePair, Modality
from dmtrack.video.second.gauge import AuxMeasure, AuxUnit

HEADER = (
    "frame,time_s,aux_time_s,skew_ms,id,x,y,w,h,score,state,aux_present,infer_ms,"
    "aux_median,aux_min,aux_max,aux_unit,x_m,y_m,z_m"
)
GOOD = "3,0.1,0.11,10.0,1,1.0,2.0,3.0,4.0,0.5,tracked,1,7.25,2.5,2.25,,m,0.125,-1,2.5"
_PIXELS = np.zeros((4, 4, 3), np.uint8)


def _result(index: int, ids: tuple[int, ...], aux: bool = True) -> FrameResult:
    rgb = Frame(index, index, Fraction(1, 30), _PIXELS)
    partner = Frame(index, 100 * index + 7, Fraction(1, 3000), _PIXELS) if aux else None
    targets = tuple(
        TrackedBox(index, number, Box(0.1 + number, 2, 3, 4), 1 / 3, TrackState.LOST, rgb.time_s)
        for number in ids
    )
    return FrameResult(FramePair(rgb, partner, Modality.THERMAL, _PIXELS), targets, 12.5)


def test_file_byte_for_byte(tmp_path):
    path = tmp_path / "track.csv"
    with BoxSink(path, ResultFormat.CSV) as sink:
        sink.write(_result(0, (1,)))
        sink.write(_result(3, (1, 2), aux=False))
        sink.write(_result(4, ()))
    assert path.read_bytes().decode() == (
        f"{HEADER}\n"
        "0,0,0.002333,2.333,1,1.1,2,3,4,0.333333,lost,1,12.5,,,,,,,\n"
        "3,0.1,,,1,1.1,2,3,4,0.333333,lost,0,12.5,,,,,,,\n"
        "3,0.1,,,2,2.1,2,3,4,0.333333,lost,0,12.5,,,,,,,\n"
    )


def test_reading_gives_back_what_was_written_to_the_stated_digits(tmp_path):
    results = [_result(0, (1, 2)), _result(1, (2,), aux=False)]
    with BoxSink(tmp_path / "a.csv", ResultFormat.CSV) as sink:
        for result in results:
            sink.write(result)
    (again,) = read_table(tmp_path / "a.csv", "a")
    for frame, result in zip(again.frames, results, strict=True):
        written = FrameBoxes.of(result)
        assert [one.target_id for one in frame.targets] == [one.target_id for one in written.targets]
        for one, other in zip(frame.targets, written.targets, strict=True):
            assert one.box.xywh == pytest.approx(other.box.xywh, abs=5e-7)
            assert (one.score, one.state) == (pytest.approx(other.score, abs=5e-7), other.state)
            assert float(one.time_s or 0) == pytest.approx(float(other.time_s or 0), abs=5e-7)
        assert frame.time_s == pytest.approx(written.time_s, abs=5e-7)
        assert frame.aux_time_s == (
            None if written.aux_time_s is None else pytest.approx(written.aux_time_s, abs=5e-7)
        )
        assert frame.skew_ms == (
            None if written.skew_ms is None else pytest.approx(written.skew_ms, abs=5e-4)
        )


def test_columns_are_found_by_name(tmp_path):
    names, cells = list(reversed(COLUMNS)), list(reversed(GOOD.split(",")))
    path = tmp_path / "a.csv"
    path.write_bytes(
        ("\ufeff" + ",".join([*names, "note"]) + "\r\n" + ",".join([*cells, "x"]) + "\r\n").encode()
    )
    (results,) = read_table(path, "a")
    measure = AuxMeasure(2.5, 2.25, None, AuxUnit.METRE, (0.125, -1, 2.5))
    box = TrackedBox(3, 1, Box(1, 2, 3, 4), 0.5, TrackState.TRACKED, Fraction(0.1), measure)
    assert results.frames == (FrameBoxes(3, (box,), (), 0.1, True, 0.11, 10.0, 7.25),)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (GOOD.replace("tracked", "asleep"), "asleep"),
        (GOOD.replace("0.5", "good"), "good"),
        (GOOD.replace("3.0", "0"), "no area"),
        (GOOD.replace("0.1,", "nan,"), "not finite"),
        (GOOD.replace(",1,7.25", ",yes,7.25"), "aux_present 'yes'"),
        (GOOD.replace("10.0,1,", "10.0,0,"), "target id 0 is below 1"),
        (GOOD.replace("10.0,1,", "10,0,1,"), "21 cells, but 20 columns"),
        (GOOD.replace(",m,", ",feet,"), "a unit (m, C, events/s), not 2.5 feet"),
        (GOOD.replace(",2.5,2.25,", ",,2.25,"), "not None m"),
        (GOOD.replace(",-1,2.5", ",,2.5"), "a position is three numbers"),
    ],
    ids=[
        *("state", "number", "no area", "not finite", "flag", "id", "comma"),
        *("unit", "no median", "half a position"),
    ],
)
def test_bad_row_is_named(tmp_path, row, words):
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n{row}\n")
    with pytest.raises(FormatError, match="row 3") as caught:
        read_table(path, "a")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no column frame"),
        (b"1,2,3,4\n", "names the columns: frame,id,"),
        (b"\xff\xfe\x00", "not a text file"),
    ],
    ids=["empty", "no header", "binary"],
)
def test_no_table_at_all(tmp_path, content, words):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=words):
        read_table(path, "a")


def test_missing_file(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        read_table(tmp_path / "none.csv", "a")


@pytest.mark.parametrize(
    "text",
    [
        '"frame","id","x","y","w","h"\n"3","1","1.5","2","3","4"\n',
        "frame\tid\tx\ty\tw\th\n3\t1\t1.5\t2\t3\t4\n",
        'frame, id, x, y, w, h\n3, 1, "1.5", 2, 3, 4\n',
        "frame;id;x;y;w;h\r\n3;1;1.5;2;3;4\r\n",
        "Frame;ID;X;Y;W;H\n3;1;1,5;2;3;4\n",
    ],
    ids=["all quoted", "tabs", "blanks", "semicolons", "capitals"],
)
def test_tables_of_other_programs_are_recognised(tmp_path, text):
    (tmp_path / "a.csv").write_text(text, newline="")
    (row,) = read_rows(tmp_path / "a.csv")
    assert (row.frame_index, row.target_id, row.box) == (3, 1, Box(1.5, 2, 3, 4))


@pytest.mark.parametrize(("second", "is_read"), [("a,1", True), ("b,0", True), ("a,0", False)])
def test_without_ids_a_frame_of_an_item_has_one_box(second, is_read, tmp_path):
    (tmp_path / "a.csv").write_text(f"item,frame,x,y,w,h\na,0,1,2,3,4\n{second},1,2,3,4\n")
    if is_read:
        rows = [row for one in read_results(tmp_path / "a.csv") for row in one.rows]
        assert [row.target_id for row in rows] == [1, 1]
    else:
        with pytest.raises(FormatError, match=r"row 3: several boxes in its frame, .*as MOT, with -1"):
            read_rows(tmp_path / "a.csv")
