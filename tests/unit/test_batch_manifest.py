"""Manifests: good rows in any spelling, bad rows by their number, files that are none."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from clips import written

from dmtrack.batch.item import BatchItem, Problem
from dmtrack.batch.manifest import read_manifest
from dmtrack.errors import FormatError
from dmtrack.geometry.box import Box
from dmtrack.tracking.start import TargetStart
from dmtrack.video.frame import Modality
from dmtrack.video.position import Position

HEADER = "id,rgb,aux,modality,box,box_file,start,end,offset_ms,align\n"


def read(tmp_path: Path, text: str | bytes) -> tuple[BatchItem | Problem, ...]:
    path = written(tmp_path / "list.csv", text.encode() if isinstance(text, str) else text)
    return read_manifest(path).entries


def test_every_column(tmp_path):
    (item,) = read(tmp_path, HEADER + 'a,r.mp4,d.mkv,Depth,"1,2,3,4",,5,2.5s,-12.5,rig.json\n')
    assert item == BatchItem(
        "a",
        tmp_path / "r.mp4",
        tmp_path / "d.mkv",
        Modality.DEPTH,
        boxes=(Box(1, 2, 3, 4),),
        start=Position(index=5),
        end=Position(time_s=Fraction(5, 2)),
        offset_s=Fraction(-1, 80),
        align=tmp_path / "rig.json",
        origin="row 2",
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("rgb,id\nr.mp4,a\n", id="two-columns-in-any-order"),
        pytest.param("id;rgb;aux\na;r.mp4;\n", id="semicolons"),
        pytest.param("id\trgb\taux\na\tr.mp4\t\n", id="tabs"),
        pytest.param(("\ufeffid\trgb\taux\r\na\tr.mp4\t\r\n").encode("utf-16-le"), id="utf-16"),
        pytest.param('id, rgb, aux\na, "r.mp4", ""\n', id="blanks"),
        pytest.param("\ufeffid,rgb\r\na,r.mp4\r\n\r\n", id="as-excel-writes-it"),
        pytest.param("ID , RGB,aux\n a , r.mp4\n,,\n", id="blanks-short-and-empty-rows"),
    ],
)
def test_spellings(tmp_path, text):
    assert read(tmp_path, text) == (BatchItem("a", tmp_path / "r.mp4", origin="row 2"),)


def test_unusual_names(tmp_path):
    (item,) = read(tmp_path, "id,rgb\n-x y/ü,-a b/夜.mp4\n")
    assert item == BatchItem("-x y/ü", tmp_path / "-a b/夜.mp4", origin="row 2")


def test_a_box_may_name_the_id_of_its_target(tmp_path):
    (item,) = read(tmp_path, "id;rgb;box\na;r.mp4;7: 1,2,3,4\n")
    assert isinstance(item, BatchItem)
    assert item.boxes == (TargetStart(Box(1, 2, 3, 4), 7),)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("b,,,,,,,,,", "the cell 'rgb' is empty"),
        (",r.mp4,,,,,,,,", "the cell 'id' is empty"),
        ('b,r.mp4,,,"1,2,3",,,,,', "a box needs four numbers, got 3"),
        ('b,r.mp4,,,"1,2,0,4",,,,,', "has no area"),
        ('b,r.mp4,,,"0:1,2,3,4",,,,,', "target id 0 is below 1"),
        ("b,r.mp4,,,2:1,2,3,4,,,,,", "put a box with commas in quotes"),
        ("b,r.mp4,,,1,2,3,4,,,,,", "put a box with commas in quotes"),
        ("b,r.mp4,,,1,2,3,4,5,6,7,8,9", "13 cells, but 10 columns"),
        ('b,r.mp4,,,"1,2,3,4",box.txt,,,,', "both box and box_file"),
        ("b,r.mp4,x.mp4,sonar,,,,,,", "unknown modality 'sonar'; thermal, depth, event"),
        ("b,r.mp4,,thermal,,,,,,", "there is a modality (thermal) but no aux"),
        ("b,r.mp4,,,,,soon,,,", "start: 'soon' is not a position"),
        ("b,r.mp4,,,,,,-3,,", "end: '-3' is not a position"),
        ("b,r.mp4,,,,,,,1/0,", "offset_ms '1/0' divides by 0"),
        ("b,r.mp4,,,,,,,,cal.json", "there is an alignment (cal.json) but no aux"),
    ],
)
def test_a_bad_row_is_named_and_the_others_are_read(tmp_path, row, said):
    first, bad, last = read(tmp_path, f'{HEADER}"a\na",r.mp4\n\n{row}\nc,r.mp4\n')
    assert isinstance(first, BatchItem)
    assert first.id == "a\\na"
    assert isinstance(bad, Problem)
    assert bad.origin == "row 5", "the quoted line break and the empty row count"
    assert said in bad.reason
    assert isinstance(last, BatchItem)
    assert last.origin == "row 6"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("", "has no column id and rgb", id="empty"),
        pytest.param("id,rgb\n", "has no rows", id="only-a-header"),
        pytest.param("id,aux\na,b\n", "has no column rgb", id="no-rgb"),
        pytest.param("id,rgb,boxfile\na,b,c\n", "did you mean 'box_file'", id="misspelt"),
        pytest.param("id,rgb,id\na,b,c\n", "'id' twice", id="twice"),
        pytest.param(b"id,rgb\n\xff,b\n", "is not UTF-8", id="another-encoding"),
        pytest.param(b"\x00\x01\x02", "unknown column", id="binary"),
    ],
)
def test_what_is_no_manifest(tmp_path, content, said):
    with pytest.raises(FormatError, match=said):
        read(tmp_path, content)


def test_a_manifest_that_is_not_there(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        read_manifest(tmp_path / "none.csv")
