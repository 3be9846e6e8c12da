"""A file of start boxes is told by its form: ground truth, MOT, or the CSV of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import written

from dmtrack.boxes.export import export, merge
from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.reading import read_results, read_rows
from dmtrack.boxes.results import PictureSize
from dmtrack.boxes.starts import read_targets
from dmtrack.datasets.ground_truth import read_boxes
from dmtrack.errors import BoxError, FormatError
from dmtrack.geometry.box import Box, BoxFormat
from dmtrack.tracking.start import TargetStart, starts_and_corrections

HEADER = "frame,time_s,aux_time_s,skew_ms,id,x,y,w,h,score,state,aux_present,infer_ms\n"


def write(folder: Path, text: str, name: str = "boxes.txt") -> Path:
    return written(folder / name, text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("10,20,30,40\n11,21,30,40\n", id="comma"),
        pytest.param("10 20 30 40\n", id="blank"),
        pytest.param("11,21,41,21,41,61,11,61\n", id="eight-are-a-polygon-counted-from-1"),
    ],
)
def test_ground_truth_means_its_first_row(tmp_path, text):
    assert read_targets(write(tmp_path, text), first_frame=7) == (Box(10, 20, 30, 40),)


@pytest.mark.parametrize(
    "tail", ["", ",1", ",1,1,0.5", ",1,-1,-1,-1"], ids=["six", "seven", "nine-as-MOT17", "ten-as-ours"]
)
def test_mot_gives_every_id_its_first_frame_and_what_comes_after_a_gap(tmp_path, tail):
    rows = ["5,4,1,2,3,4", "3,8,5,6,7,8", "4,4,9,2,3,4", "4,8,9,9,7,8", "9,8,5,5,7,8"]
    path = write(tmp_path, "\n" + "".join(f"{row}{tail}\n" for row in rows))
    assert read_targets(path) == (
        TargetStart(Box(9, 2, 3, 4), 4, 3),
        TargetStart(Box(5, 6, 7, 8), 8, 2),
        TargetStart(Box(5, 5, 7, 8), 8, 8),
    )


@pytest.mark.parametrize(
    ("text", "box", "frame"),
    [
        ("m10,20,4,3,0,12\nm11,20,4,3,0,12\n", Box(10, 20, 4, 3), 0),
        ("1\n11,21,30,40\n12,21,30,40\n2\n", Box(11, 21, 30, 40), 1),
        ("0\n0\n11,21,31,21,31,41,11,41\n", Box(10, 20, 20, 20), 2),
        ("11,21,31,21,31,41,11,41,9,30,9,25\n", Box(8, 20, 22, 20), 0),
    ],
    ids=["masks", "a result", "absent at first", "six corners"],
)
def test_a_file_of_vot_begins_where_its_target_does(tmp_path, text, box, frame):
    assert read_targets(write(tmp_path, text)) == (TargetStart(box, 1, frame),)


def test_mot_with_blanks(tmp_path):
    assert read_targets(write(tmp_path, "1 1 1 2 3 4 1\n")) == (TargetStart(Box(1, 2, 3, 4), 1, 0),)


def test_first_rows_from_a_frame_on(tmp_path, caplog):
    path = write(tmp_path, "1,1,1,2,3,4,1\n6,1,5,2,3,4,1\n5,2,1,2,3,4,1\n")
    assert read_targets(path, first_frame=5) == (TargetStart(Box(5, 2, 3, 4), 1, 5),)
    assert "ends before frame 5: target 2" in caplog.text
    with pytest.raises(BoxError, match="no box from frame 6 on"):
        read_targets(path, first_frame=6)


@pytest.mark.parametrize("first_frame", [0, 1, 2, 3, 9])
def test_a_start_in_the_middle_of_ground_truth_is_doubted(tmp_path, first_frame, caplog):
    """A file of one row a frame: the first one is meant for the start, or another one is."""
    path = write(tmp_path, "10,20,30,40\n11,21,30,40\n12,22,30,40\n")
    assert read_targets(path, first_frame) == (Box(10, 20, 30, 40),)
    said = {1: "row 2 of all frames would be 11,21", 2: "row 3 of all frames would be 12,22"}.get(first_frame)
    assert (said in caplog.text) if said else not caplog.text


@pytest.mark.parametrize("frame", [1, 3])
def test_who_is_absent_has_a_box_somewhere(tmp_path, frame):
    """An id that was mistyped is told, and not what was said before a start in the middle."""
    text = f"frame,id,x,y,w,h,state,back\n0,1,1,2,3,4,init,1\n4,2,1,2,3,4,init,1\n{frame},7,,,,,absent,\n"
    with pytest.raises(BoxError, match=f"target 7 is absent in frame {frame}"):
        starts_and_corrections(read_targets(write(tmp_path, text)))  # type: ignore[arg-type]
    found = read_targets(write(tmp_path, text.replace(",7,", ",1,")), first_frame=2)
    assert found == (TargetStart(Box(1, 2, 3, 4), 2, 4),)


def test_the_csv_of_a_run(tmp_path):
    rows = "4,0.4,,,3,1.5,2,3,4,0.9,tracked,0,1.0\n5,0.5,,,3,9,2,3,4,0.9,tracked,0,1.0\n"
    path = write(tmp_path, HEADER + rows, "boxes.csv")
    assert read_targets(path) == (TargetStart(Box(1.5, 2, 3, 4), 3, 4),)
    with pytest.raises(FormatError, match="holds no frame"):
        read_targets(write(tmp_path, HEADER, "empty.csv"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("x,y,w,h\n1,2,3,4\n5,6,7,8\n", (Box(1, 2, 3, 4),), id="names-of-a-box"),
        pytest.param("frame,x,y,w,h\n4,1,2,3,4\n", (TargetStart(Box(1, 2, 3, 4), 1, 4),), id="no-id"),
        pytest.param("w;h;y;x;frame\n3;4;2;1,5;4\n", (TargetStart(Box(1.5, 2, 3, 4), 1, 4),), id="any-order"),
    ],
)
def test_a_table_of_one_target(tmp_path, text, found):
    assert read_targets(write(tmp_path, text)) == found
    (start,), row = found, read_rows(write(tmp_path, text))[0]
    assert row.box == (start if isinstance(start, Box) else start.box)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        pytest.param(
            "frame,x,y,w,h\n0,1,2,3,4\n0,5,2,3,4\n",
            FormatError,
            "row 3: several boxes in its frame, but no column id",
            id="no-ids",
        ),
        pytest.param("", BoxError, "holds no box", id="empty"),
        pytest.param("1,2,3,4,5\n", FormatError, "5 values", id="five-are-nothing"),
        pytest.param(
            "1,1,1,2,3,4,1\n1,1,1,2,3,4,1\n",
            FormatError,
            "row 2: target 1 is in",
            id="twice",
        ),
        pytest.param("1,1,1,2,3,0,1\n", FormatError, "row 1.*no area", id="no-area"),
        pytest.param("0,1,1,2,3,4,1\n", FormatError, "row 1: frame number '0'", id="frame-0"),
        pytest.param("frame,id,x\n1,1,3\n", FormatError, "has no column", id="another-csv"),
    ],
)
def test_bad_files(tmp_path, text, error, message):
    path = write(tmp_path, text)
    with pytest.raises(error, match=message) as caught:
        read_targets(path)
    assert str(path) in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        read_targets(tmp_path / "nothing.txt")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(FormatError, match="not a text file"):
        read_targets(tmp_path / "picture.png")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("14,0000;23,0000;30,0000;40,5000\n15,0000;23,0000;30,0000;40,5000\n", id="spreadsheet"),
        pytest.param("14;23;30;40,5\n", id="whole-numbers-between"),
        pytest.param("14\t23,0\t30,00\t40,5\n15,5\t23\t30\t40\n", id="tabs"),
        pytest.param("14 23 30 40,5\n", id="blanks"),
        pytest.param("14,0000, 23,0000, 30,0000, 40,5000\n15,0000, 23,0000, 30,0000, 40,5000\n", id="commas"),
        pytest.param("14; 23,0; 30; 40,5;\n", id="semicolons and blanks"),
    ],
)
def test_decimal_commas_are_no_corners(tmp_path, text):
    assert read_targets(write(tmp_path, text)) == (Box(14, 23, 30, 40.5),)


DOUBLED = {
    "four decimals": "14,0000,23,0000,40,0000,30,0000\n15,5000,23,2500,40,0000,30,0000\n",
    "a zero comes late": "14,50,23,25,40,75,30,11\n14,50,23,25,40,75,30,11\n14,05,23,25,40,75,30,11\n",
    "one decimal": "14,5,23,2,40,1,30,7\n" * 20,
    "negative": "-14,0000,23,0000,40,0000,30,0000\n",
    "mot": "1,1,14,0000,23,0000,40,0000,30,0000,0,9000,-1,-1,-1\n",
}


@pytest.mark.parametrize("name", DOUBLED)
def test_commas_between_and_within_numbers_are_no_corners(tmp_path, name):
    """Read as corners, a perfect track scores 3 %."""
    path = write(tmp_path, DOUBLED[name])
    for read in (read_targets, read_results, read_boxes):
        with pytest.raises(FormatError, match=r"row 1 .*commas stand both between and within"):
            read(path)


@pytest.mark.parametrize(
    "text",
    [
        "14,50,23,50,23,90,14,90\n" * 3,
        "0,0,5,0,5,5,0,5\n" * 3,
        "0,0,0,0,0,0,0,0\n2,3,9,3,9,7,2,7\n",
        "10,20,30,40\n",
    ],
    ids=["corners", "small corners", "absent first", "boxes"],
)
def test_whole_numbers_between_commas_are_read(tmp_path, text):
    assert len(read_boxes(write(tmp_path, text)).boxes) == len(text.splitlines())


@pytest.mark.parametrize(
    "text", ["10,20;40,20;40,60;10,60\n", "10,20 40,20 40,60 10,60\n", "1,5, 2,5, 3,5, 4,5\n"]
)
def test_what_may_be_decimals_or_corners_is_refused(tmp_path, text):
    with pytest.raises(FormatError, match=r"row 1 .*decimal commas, or corners"):
        read_targets(write(tmp_path, text))


def test_decimal_commas_in_mot(tmp_path):
    path = write(tmp_path, "1;3;14,5;23,25;30,0;40,0;0,9;-1;-1;-1\n")
    assert read_targets(path) == (TargetStart(Box(14.5, 23.25, 30, 40), 3, 0),)


def test_detections_take_free_ids(tmp_path):
    rows = "3,-1,1,2,13,14,0.9,-1,-1,-1\n3,-1,5,6,17,18,0.9,-1,-1,-1\n4,-1,2,2,13,14,0.9,-1,-1,-1\n"
    path = write(tmp_path, rows)
    assert read_targets(path, first_frame=2) == (Box(1, 2, 13, 14), Box(5, 6, 17, 18)), "numbered later"
    first = (TargetStart(Box(1, 2, 13, 14), 1, 2), TargetStart(Box(5, 6, 17, 18), 2, 2))
    assert read_targets(path) == first, "and those of later frames are other views of the same things"
    mixed = write(tmp_path, "1,2,1,2,3,4,1\n1,-1,5,6,7,8,1\n1,-1,9,9,9,9,1\n", "mixed.txt")
    ids = [(row.target_id, row.box.x) for row in read_rows(mixed)]
    assert ids == [(1, 5), (2, 1), (3, 9)]


@pytest.mark.parametrize(
    "confidence", ["", " 0.93", " 12", " 0.93 12"], ids=["label", "prediction", "tracker", "both"]
)
def test_yolo_text_is_a_target_a_row(tmp_path, confidence):
    path = write(tmp_path, f"0 0.5 0.5 0.25 0.5{confidence}\n7 0.25 0.75 0.125 0.25{confidence}\n")
    assert read_targets(path, 0, (640, 480)) == (Box(240, 120, 160, 240), Box(120, 300, 80, 120))


@pytest.mark.parametrize(
    ("order", "numbers"),
    [(BoxFormat.XYXY, "10,20,40,60"), (BoxFormat.CXCYWH, "25,40,30,40"), (BoxFormat.XYWH, "10,20,30,40")],
)
@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("3,7,{},1,-1,-1,-1\n", TargetStart(Box(10, 20, 30, 40), 7, 2)),
        ("1,-1,{},0.9,-1,-1,-1\n", Box(10, 20, 30, 40)),
        ("frame,id,x,y,w,h\n2,7,{}\n", TargetStart(Box(10, 20, 30, 40), 7, 2)),
    ],
    ids=["mot", "detections", "table"],
)
def test_four_numbers_beside_a_frame_are_what_the_person_says_too(tmp_path, text, target, order, numbers):
    """Detectors and trackers write corners into MOT files."""
    assert read_targets(write(tmp_path, text.format(numbers)), 0, (640, 480), order) == (target,)


@pytest.mark.parametrize(
    "text",
    [
        "frame,id,x,y,w,h,state\n0,1,10,20,30,40,init\n",
        '{"images": [{"id": 1, "frame_id": 0}], "annotations": [{"image_id": 1, "track_id": 1, '
        '"bbox": [10, 20, 30, 40]}]}',
    ],
    ids=["states", "coco"],
)
def test_a_format_that_says_what_its_boxes_are_is_believed(tmp_path, caplog, text):
    path = write(tmp_path, text, "a.json")
    assert read_targets(path, 0, (640, 480), BoxFormat.XYXY) == (TargetStart(Box(10, 20, 30, 40), 1, 0),)
    assert f"{path}: says itself what its boxes are" in caplog.text


def test_corners_after_a_class_are_no_yolo(tmp_path):
    path = write(tmp_path, "0 0.25 0.5 0.5 0.75\n")
    assert read_targets(path, 0, (640, 480), BoxFormat.XYXY) == (Box(160, 240, 160, 120),)


def test_shares_beside_a_frame_and_an_id_are_no_yolo_text(tmp_path):
    """An id of 1 is no place in the picture: each row was a target."""
    path = write(tmp_path, "1,1,0.25,0.5,0.25,0.25\n2,1,0.25,0.5,0.25,0.25\n")
    assert read_targets(path, 0, (640, 480)) == (TargetStart(Box(0.25, 0.5, 0.25, 0.25), 1, 0),)


def test_a_row_of_mot_is_no_yolo_text_however_thin_its_box_is(tmp_path):
    (target,) = read_targets(write(tmp_path, "1,1,0,0,1,50\n2,1,0,0,1,50\n"), 0, (640, 480))
    assert target == TargetStart(Box(0, 0, 1, 50), 1, 0)


@pytest.mark.parametrize(
    ("order", "text"),
    [
        (BoxFormat.XYXY, "10,20,40,60\n"),
        (BoxFormat.CXCYWH, "25 40 30 40\n"),
        (BoxFormat.XYWH, "10,20,30,40\n"),
    ],
)
def test_four_numbers_are_what_the_person_says(tmp_path, order, text):
    assert read_targets(write(tmp_path, text), 0, (640, 480), order) == (Box(10, 20, 30, 40),)
    x, y, w, h = map(float, text.replace(",", " ").split())
    assert Box(x, y, w, h).read_as(order, 640, 480) == Box(10, 20, 30, 40)
    shares = Box(x / 640, y / 480, w / 640, h / 480).read_as(order, 640, 480)
    assert shares.xywh == pytest.approx((10, 20, 30, 40))


@pytest.mark.parametrize("first_frame", [0, 3])
@pytest.mark.parametrize(
    "target",
    [
        ResultFormat.CSV,
        ResultFormat.JSON,
        ResultFormat.JSONL,
        ResultFormat.MOT,
        ResultFormat.COCO,
        ResultFormat.CVAT,
        ResultFormat.CVAT_VIDEO,
        ResultFormat.LABEL_STUDIO,
        ResultFormat.KITTI,
    ],
)
def test_every_file_of_several_targets_that_is_written_gives_targets(tmp_path, target, first_frame):
    """Some hold shares of the picture, and their size is known where the recording is."""
    rows = "".join(f"{n},,,,{i},{10 * i + n},20,30,40,0.9,,,\n" for n in range(6) for i in (1, 2))
    source = write(tmp_path, HEADER + rows, "boxes.csv")
    output = tmp_path / "made.file"
    export([source], output, target, size=PictureSize(640, 480))
    found = read_targets(output, first_frame, (640, 480))
    starts = [(key.frame_index, key.box.xywh) for key in found if isinstance(key, TargetStart)]
    assert starts == [(first_frame, (10 * i + first_frame, 20, 30, 40)) for i in (1, 2)]


@pytest.mark.parametrize("target", [ResultFormat.CSV, ResultFormat.COCO, ResultFormat.LABEL_STUDIO])
@pytest.mark.parametrize("read", [read_targets, read_rows])
def test_targets_of_several_recordings_are_not_mixed(tmp_path, target, read):
    """A target of one would begin in the other, as its own or as a correction of it."""
    for name, who in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        write(tmp_path, f"{HEADER}0,,,,{who},10,20,30,40,0.9,init,,\n", f"{name}/boxes.csv")
    output, sources = tmp_path / "made.file", [tmp_path / name / "boxes.csv" for name in "ab"]
    if target is ResultFormat.CSV:
        merge(sources, output)
    else:
        export(sources, output, target, size=PictureSize(640, 480))
    with pytest.raises(FormatError, match=r"2 recordings \(a, b\).* dmtrack export"):
        read(output)


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_motchallenge_marks_to_be_ignored_is_no_target(tmp_path, caplog, is_folder):
    """Its ground truth holds parked cars and mirrored people, with a 0 where a score would be."""
    rows = "".join(f"{frame},2,10,20,30,40,1,1,1\n{frame},1,50,60,30,40,0,8,0.5\n" for frame in (1, 2, 3))
    (tmp_path / "gt").mkdir()
    path = write(tmp_path / "gt", rows, "gt.txt")
    if is_folder:
        path = write(tmp_path, "[Sequence]\nname=a\n", "seqinfo.ini")
    assert read_targets(path) == (TargetStart(Box(10, 20, 30, 40), 2, 0),)
    assert "left out what is marked to be ignored: target 1" in caplog.text
    unknown = write(tmp_path, rows.replace(",1,1,1", ",0,1,1"), "unknown.txt")
    assert len(read_targets(unknown)) == 2, "nobody ignores all"
