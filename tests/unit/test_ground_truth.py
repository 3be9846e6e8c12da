"""Ground-truth files of every spelling, and what is said about the bad ones."""

from __future__ import annotations

import numpy as np
import pytest
from clips import written

from dmtrack.datasets.annotations import read_annotations
from dmtrack.datasets.ground_truth import (
    box_at,
    find_ground_truth,
    present_frames,
    read_boxes,
    read_flags,
    target_name,
    truth_files,
)
from dmtrack.errors import BoxError, FormatError


@pytest.fixture
def write(tmp_path):
    return lambda text, name="groundtruth.txt": written(tmp_path / name, text)


@pytest.mark.parametrize(
    "text",
    [
        "10,20,30,40\n11,21,30,40\n",
        "10\t20\t30\t40\n11\t21\t30\t40",
        "10 20 30 40\n11 21 30 40\n\n",
        "10;20;30;40\n11;21;30;40\n",
        "10, 20, 30, 40\r\n11, 21, 30, 40\r\n\r\n",
        "1.0e+01 2.0e+01 3.0e+01 4.0e+01\n1.1e1 2.1E1 30 40\n",
        b"\xef\xbb\xbf10,20,30,40\n11,21,30,40\n",
        "x,y,w,h\n10,20,30,40\n11,21,30,40\n",
        '"X";"Y";"Width";"Height"\r\n10,0;20,0;30,0;40,0\r\n11,0;21,0;30,0;40\r\n',
        "left\ttop\twidth\theight\r10\t20\t30\t40\r11\t21\t30\t40",
        '"10","20","30","40"\n"11", 21," 3e1 ",40\n',
    ],
    ids=[
        *("comma", "tab", "blank", "semicolon", "crlf and blank end", "scientific", "byte order mark"),
        *("names", "names before decimal commas", "names before carriage returns", "quotes"),
    ],
)
def test_separators(write, text):
    np.testing.assert_array_equal(read_boxes(write(text)).boxes, [(10, 20, 30, 40), (11, 21, 30, 40)])


@pytest.mark.parametrize("names", ["x1,y1,x2,y2", "x,y,w", "w,h,x,y", "x,y,w,h,score", "x,y,w,h,x,y,w,h"])
def test_other_names_are_no_boxes(write, names):
    with pytest.raises(FormatError, match="row 1"):
        read_boxes(write(f"{names}\n1,2,3,4\n"))


def test_names_in_the_middle_shift_no_row(write):
    with pytest.raises(FormatError, match="row 2 holds 'x'"):
        read_boxes(write("1,2,3,4\nx,y,w,h\n1,2,3,4\n"))


@pytest.mark.parametrize("row", ["nan,nan,NaN,-nan", "0,0,0,0", "5,5,-1,3", "5,5,3,0"])
def test_absent_target_is_a_row_of_nan(write, row):
    truth = read_boxes(write(f"1,2,3,4\n{row}\n5,6,7,8\n"))
    assert np.isnan(truth.boxes).all(axis=1).tolist() == [False, True, False]
    np.testing.assert_array_equal(truth.rows[1], [float(word) for word in row.split(",")])


def test_origin_is_taken_off_the_corner_but_not_off_the_size(write):
    path = write("10,20,30,40\n")
    np.testing.assert_array_equal(read_boxes(path, origin=1).boxes, [(9, 19, 30, 40)])


def test_corners_become_a_size(write):
    np.testing.assert_array_equal(read_boxes(write("10 20 30 50\n"), corners=True).boxes, [(10, 20, 20, 30)])


def test_polygon_becomes_its_bounding_box(write):
    truth = read_boxes(write("5,1,9,5,5,9,1,5\n"), origin=0)
    np.testing.assert_array_equal(truth.boxes, [(1, 1, 8, 8)])


@pytest.mark.parametrize(
    ("name", "row", "box"),
    [
        ("groundtruth.txt", "10,20,30,40", (10, 20, 30, 40)),
        ("groundtruth_rect.txt", "10,20,30,40", (9, 19, 30, 40)),
        ("groundtruth_rect.2.txt", "10,20,30,40", (9, 19, 30, 40)),
        ("groundtruth.txt", "10,20,30,20,30,40,10,40", (9, 19, 20, 20)),
        ("groundTruth_v.txt", "10 20 30 40", (10, 20, 20, 20)),
    ],
    ids=["plain", "otb", "otb of several", "vot polygon", "gtot corners"],
)
def test_convention_is_told_from_the_file(write, name, row, box):
    path = write(row, name)
    np.testing.assert_array_equal(read_boxes(path).boxes[0], box)
    assert box_at(path).xywh == box


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("1,2,3,4\n1,2,3\n", "row 2 has 3 values, not 4"),
        ("1,2,3,4\n\n1,2,3,4\n", "row 2 has 0 values"),
        ("1,2,3,4\n1,2,x,4\n", "row 2 holds 'x', which is not a number"),
        ("1,2,3,inf\n", "row 1 holds 'inf'"),
        ("1,2,3,4,5\n", "row 1 has 5 values, not 4 or 8"),
        ("1,2,3,4\n1,2,3,4,5,6,7,8\n", "row 2 has 8 values, not 4"),
        ("frame,x,y,w\n1,2,3,4\n", "row 1 holds 'frame'"),
        ("1,2,3,4\nNaN,2,3,4\n", r"row 2 \(NaN 2 3 4\) holds a part of a box"),
        ("1,2,3,2,3,4,nan,nan\n", "row 1 .* holds a part of a box"),
        ("\nx,y,w,h\n1,2,3,4\n1,2,x,4\n", "row 4 holds 'x'"),
        ('"12,5","4","3","5"\n', "row 1 has 5 values"),
        (b"\xff\xd8\xff\xe0\x00", "not a text file"),
    ],
)
def test_bad_files_name_the_row(write, text, message):
    path = write(text)
    with pytest.raises(FormatError, match=message) as caught:
        read_boxes(path)
    assert str(path) in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(FormatError, match=r"nothing\.txt: cannot be read"):
        read_boxes(tmp_path / "nothing.txt")


def test_first_box_reads_no_further_than_its_row(write):
    assert box_at(write("1,2,3,4\nnonsense\n")).xywh == (1, 2, 3, 4)


def test_box_at_reads_a_later_row(write):
    path = write("1,2,3,4\n5,6,7,8\n")
    assert box_at(path, 1).xywh == (5, 6, 7, 8)
    with pytest.raises(BoxError, match="no box for frame 2: the file has 2 rows"):
        box_at(path, 2)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", BoxError, "holds no box"),
        ("  \n\n", BoxError, "holds no box"),
        ("nan,nan,nan,nan\n1,2,3,4\n", BoxError, "row 1 .* the target is absent there"),
        ("0,0,0,0\n", BoxError, "the target is absent there"),
        ("x,y,w,h\n0,0,0,0\n", BoxError, "row 2 .* the target is absent there"),
        ("nan,1,2,3\n", FormatError, "row 1 .* holds a part of a box"),
        ("1,2,3\n", FormatError, "row 1 has 3 values"),
    ],
)
def test_first_box_says_why_there_is_none(write, text, error, message):
    with pytest.raises(error, match=message):
        box_at(write(text))


def test_flags(write):
    assert read_flags(write("1\n0\n1\n")).tolist() == [True, False, True]
    assert read_flags(write("1,0,1")).tolist() == [True, False, True]
    with pytest.raises(FormatError, match="row 2 is '2'"):
        read_flags(write("1\n2\n"))


@pytest.mark.parametrize(
    ("source", "beside"),
    [
        ("clip/visible", "clip/visible.txt"),
        ("clip/v", "clip/groundTruth_v.txt"),
        ("clip/rgb", "clip/rgb.txt"),
        ("clip/img", "clip/groundtruth_rect.txt"),
        ("clip/color", "clip/groundtruth.txt"),
        ("clip/visible", "clip/init.txt"),
        ("clip", "clip/groundtruth.txt"),
        ("clip/rgb.mp4", "clip/groundtruth.txt"),
        ("clip/walk.mp4", "clip/walk.txt"),
        ("clip/18.avi", "clip/new_video_18_0.txt"),
    ],
)
def test_find_ground_truth(write, tmp_path, source, beside):
    stream = tmp_path / source
    if stream.suffix:
        write(b"", source)
    else:
        stream.mkdir(parents=True)
    path = write("1,2,3,4\n", beside)
    assert find_ground_truth(stream) == (path,)


@pytest.mark.parametrize("change", [str.upper, str.title, str.swapcase])
@pytest.mark.parametrize("name", ["groundtruth.txt", "groundtruth_rect.txt", "init.txt", "color.txt"])
def test_letter_case_of_the_names_of_annotations_does_not_matter(write, tmp_path, name, change):
    """Windows and cameras write it as they like; OTB's still counts pixels from 1."""
    (tmp_path / "color").mkdir()
    path = write("10,20,30,40\n", change(name))
    assert find_ground_truth(tmp_path / "color") == (path,)
    corner = (9, 19) if "rect" in name else (10, 20)
    np.testing.assert_array_equal(read_boxes(path).boxes, [(*corner, 30, 40)])


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
@pytest.mark.parametrize(("name", "flags"), [("absent_label.txt", "101"), ("absent.txt", "010")])
def test_letter_case_of_the_names_of_flags_does_not_matter(write, tmp_path, name, flags, change):
    write("\n".join(flags), change(name))
    found = present_frames(tmp_path, np.array([True, False, True]))
    assert found.tolist() == [True, False, True]


def test_targets_in_any_letter_case(write, tmp_path):
    for name in ("Groundtruth_b.txt", "GROUNDTRUTH_A.TXT", "readme.txt"):
        write("1,2,3,4\n", name)
    assert sorted(target_name(path) for path in truth_files(tmp_path, "color")) == ["A", "b"]
    exact = write("1,2,3,4\n", "groundtruth.txt")
    assert truth_files(tmp_path, "color") == (exact,)


def test_a_list_of_boxes_of_the_stream_comes_before_a_general_one(write, tmp_path):
    (tmp_path / "visible").mkdir()
    write("1,2,3,4\n", "init.txt")
    named = write("1,2,3,4\n", "visible.txt")
    assert find_ground_truth(tmp_path / "visible") == (named,)


def test_several_targets(write, tmp_path):
    for name in ("groundtruth_b.txt", "groundtruth_a.txt", "absent_label.txt"):
        write("1,2,3,4\n", name)
    found = truth_files(tmp_path, "color")
    assert [target_name(path) for path in found] == ["a", "b"]


def test_other_text_is_not_ground_truth(write, tmp_path):
    video = write(b"", "18.avi")
    write("a note about 18", "note_18.txt")
    write("1,2,3,4\n", "other.txt")
    assert find_ground_truth(video) == ()
    write("1,2,3,4\n", "a_18.txt")
    write("1,2,3,4\n", "b_18.txt")
    assert find_ground_truth(video) == (), "two candidates: nobody knows which"


@pytest.mark.parametrize("name", ["rec.txt", "rec_events.txt"])
@pytest.mark.parametrize("header", ["", "# x y t p\n"])
@pytest.mark.parametrize("order", ["xytp", "txyp"])
def test_a_list_of_events_is_no_ground_truth(name, header, order, tmp_path):
    """Its rows have four numbers too: the first event is no box."""
    rng = np.random.default_rng(1)
    columns = {"x": rng.integers(0, 346, 400), "y": rng.integers(0, 260, 400), "p": np.ones(400, int)}
    columns["t"] = np.sort(rng.integers(50, 200_000, 400))
    rows = np.column_stack([columns[one] for one in order])
    np.savetxt(tmp_path / name, rows, fmt="%d", header=header.strip("# \n"), comments="# " if header else "")
    source = tmp_path / ("rec.txt" if name == "rec.txt" else "rec.mp4")
    source.touch()
    assert find_ground_truth(source) == ()
    (tmp_path / "groundtruth.txt").write_text("10,20,30,40\n")
    assert [path.name for path in find_ground_truth(source)] == ["groundtruth.txt"]


@pytest.mark.parametrize("row", ["1,2,30,40\n", "0,0,7,9\n"])
def test_boxes_that_might_be_events_are_boxes_by_their_name(write, tmp_path, row):
    """A target that stays in the corner: the sequence was called `groundtruth` then."""
    folder = tmp_path / "data" / "walk"
    folder.mkdir(parents=True)
    (folder / "groundtruth.txt").write_text(row * 20)
    assert [sequence.name for sequence in read_annotations(tmp_path / "data").sequences] == ["walk"]
    assert truth_files(folder, "groundtruth") == (folder / "groundtruth.txt",)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("rgb.txt", "1305031102.1753 rgb/1305031102.175304.png"),
        ("rgb.txt", "0.0333"),
        ("RGB.TXT", "1 1305031102.1753 1.png"),
        ("groundtruth.txt", "1305031102.1758 1.3405 0.6266 1.6575 0.6574 0.6126 -0.2949 -0.3248"),
    ],
)
@pytest.mark.parametrize("header", ["", "# timestamp tx ty tz qx qy qz qw\n"])
def test_times_and_the_way_of_a_camera_are_no_ground_truth(write, tmp_path, name, row, header):
    """As TUM's recordings have them; what is wrong in a file of boxes is said, and a polygon is one."""
    (tmp_path / "rgb").mkdir()
    write(f"{header}{row}\n{row}\n", name)
    assert find_ground_truth(tmp_path / "rgb") == ()
    for text in ("1,2,3\n", "1,1,9,1,9,9,1,9\n"):
        path = write(text, "init.txt")
        assert find_ground_truth(tmp_path / "rgb") == (path,)


def test_boxes_are_no_list_of_events(tmp_path):
    (tmp_path / "rec.txt").write_text("".join(f"{10 + i},{20},{30},{40 + i % 2}\n" for i in range(50)))
    (tmp_path / "rec.mp4").touch()
    assert [path.name for path in find_ground_truth(tmp_path / "rec.mp4")] == ["rec.txt"]


@pytest.mark.parametrize("letters", [230, 240, 251])
def test_a_long_name_hinders_nothing(write, tmp_path, letters):
    """With what is put before it, it is no name that a file can have."""
    folder, video = tmp_path / ("F" * letters), tmp_path / ("V" * letters + ".mp4")
    folder.mkdir()
    assert find_ground_truth(folder) == find_ground_truth(video) == ()
    path = write("10,20,30,40\n")
    assert find_ground_truth(folder) == find_ground_truth(video) == (path,)
