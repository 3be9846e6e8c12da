"""Result files as arrays, however people write and lay them out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clips import archive, written

from dmtrack.errors import FormatError
from dmtrack.evaluation.tracker_files import find_trackers, in_order, read_track, unpacked
from dmtrack.geometry.box import BoxFormat

BOXES = [[1.0, 2.0, 30.0, 40.0], [2.5, 2.0, 30.0, 40.0]]
NAMES = frozenset({"car", "tree_2", "CarLight", "man_105", "run"})


@pytest.mark.parametrize(
    "text",
    [
        "1,2,30,40\n2.5,2,30,40\n",
        "1\t2\t30\t40\r\n2.5\t2\t30\t40\r\n\r\n",
        "  1 2   30 40\n2.5 2 30 40",
        "1.0e+00,2.0e+00,3.0e+01,4.0e+01\n2.5e0,2,30,40\n",
        "1, 2, 30, 40\n2.5; 2; 30; 40\n",
        "1,1,1,2,30,40,0.5,-1,-1,-1\n2,1,2.5,2,30,40,0.5,-1,-1,-1\n",
        "frame,time_s,aux_time_s,skew_ms,id,x,y,w,h,score,state,aux_present,infer_ms\n"
        "0,0,,,1,1,2,30,40,0.9,init,,\n1,0.1,,,1,2.5,2,30,40,0.8,tracked,,\n",
    ],
    ids=["commas", "tabs and CRLF", "blanks", "scientific", "mixed", "MOT", "our CSV"],
)
def test_separators_and_formats(text, tmp_path):
    suffix = ".csv" if text.startswith("frame") else ".txt"
    track = read_track(written(tmp_path / f"car{suffix}", text))
    assert track.rows.tolist() == BOXES
    assert not track.given.any()


def test_rows_that_are_no_boxes_keep_their_numbers(tmp_path):
    track = read_track(written(tmp_path / "car.txt", "1,2,30,40\nnan,NaN,nan,nan\n5,5,0,-3\n"))
    assert np.isnan(track.rows[1]).all()
    assert track.rows[2].tolist() == [5, 5, 0, -3]


def test_corners_of_polygons_are_kept(tmp_path):
    assert read_track(written(tmp_path / "car.txt", "1 2 3 2 3 9 1 9\n")).rows.shape == (1, 8)


def test_vot_regions_and_confidences(tmp_path):
    path = written(tmp_path / "car_001.txt", "1\n2.5,2,30,40\n0\n")
    written(tmp_path / "car_001_confidence.value", "\n0.75\n0.5\n")
    track = read_track(path)
    assert track.given.tolist() == [True, False, False]
    assert track.rows[1].tolist() == BOXES[1]
    assert np.isnan(track.rows[[0, 2]]).all()
    assert track.confidence is not None
    assert track.confidence[1:].tolist() == [0.75, 0.5]


def test_orders_of_columns():
    box = np.array([[10.0, 20.0, 4.0, 6.0]])
    assert in_order(np.array([[10.0, 20.0, 14.0, 26.0]]), BoxFormat.XYXY).tolist() == box.tolist()
    assert in_order(np.array([[12.0, 23.0, 4.0, 6.0]]), BoxFormat.CXCYWH).tolist() == box.tolist()
    assert in_order(box, BoxFormat.XYWH) is box


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("", ""),
        ("1,2,3\n", ""),
        ("a,b,c,d\n", ""),
        ("1,2,30,40\n1,2,30\n", "row 2 has 3 values"),
        ("1,1,2,3,4,5,1,-1,-1,-1\n2,1,2,3,x,5,1,-1,-1,-1\n", "row 2: w 'x' is not a number"),
    ],
)
def test_damaged_files_are_named(text, row, tmp_path):
    path = written(tmp_path / "car.txt", text)
    with pytest.raises(FormatError, match=rf"car\.txt.*{row}"):
        read_track(path)


@pytest.mark.parametrize(
    "file",
    [
        "SiamX/car.txt",
        "SiamX/SiamX_car.txt",
        "SiamX/CAR.txt",
        "SiamX/car/boxes.csv",
        "SiamX/car_001.txt",
        "results/SiamX/baseline/car/car_001.txt",
    ],
)
def test_layouts(file, tmp_path):
    path = written(tmp_path / file, "1,2,30,40\n")
    (tracker,) = find_trackers(tmp_path, NAMES)
    assert (tracker.name, dict(tracker.files)) == ("SiamX", {"car": (path,)})


@pytest.mark.parametrize("named", ["SiamX/car", "SiamX", "."])
@pytest.mark.parametrize("file", ["SiamX/car/boxes.csv", "SiamX/car/car_001.txt"])
def test_the_folder_of_one_sequence_is_results_too(named, file, tmp_path, monkeypatch):
    path = written(tmp_path / file, "1,2,30,40\n")
    monkeypatch.chdir(tmp_path / "SiamX" if named == "." else tmp_path)
    (tracker,) = find_trackers(Path(named), NAMES)
    (found,) = tracker.files["car"]
    assert (tracker.name, found.resolve()) == ("SiamX", path)


def test_names_that_look_like_something_else(tmp_path):
    for name in ("man_105", "tree_2", "run", "CarLight"):
        written(tmp_path / f"{name}.txt", "1,2,3,4\n")
    written(tmp_path / "run_time.txt", "0.1\n")
    written(tmp_path / "readme.txt", "hello\n")
    (tracker,) = find_trackers(tmp_path, NAMES)
    assert set(tracker.files) == {"man_105", "tree_2", "run", "CarLight"}
    assert tracker.unknown == ()


@pytest.mark.parametrize(("file", "known"), [("tree_id2", {"tree_2"}), ("car_id2", set())])
def test_data_sets_of_several_targets_had_other_names_once(file, known, tmp_path):
    written(tmp_path / f"{file}.txt", "1,2,3,4\n")
    (tracker,) = find_trackers(tmp_path, NAMES | {"car_2"})
    assert set(tracker.files) == known


def test_several_trackers_and_strangers(tmp_path):
    for name in ("A/car.txt", "B/run.txt", "B/elsewhere.txt", "gt/car.txt"):
        written(tmp_path / name, "1,2,3,4\n")
    trackers = find_trackers(tmp_path, NAMES, besides=tmp_path / "gt")
    assert [(one.name, one.unknown) for one in trackers] == [("A", ()), ("B", ("elsewhere",))]


def test_what_a_batch_writes_beside_its_results_is_no_stranger(tmp_path):
    for name in ("car/boxes.csv", "summary.csv", "summary-3-of-8.csv"):
        written(tmp_path / name, "frame,id,x,y,w,h\n0,1,1,2,3,4\n")
    (tracker,) = find_trackers(tmp_path, NAMES)
    assert tracker.unknown == ()


def test_runs_from_several_frames_belong_together(tmp_path):
    for start in (0, 50):
        written(tmp_path / f"car/car_{start:08d}.txt", "1\n1,2,3,4\n")
    (tracker,) = find_trackers(tmp_path, NAMES)
    assert [path.stem for path in tracker.files["car"]] == ["car_00000000", "car_00000050"]


def test_zips(tmp_path):
    members: dict[str, str | bytes] = {
        "car.txt": "1,2,3,4\n",
        "../outside.txt": "1,2,3,4\n",
        "picture.jpg": b"no text",
    }
    folder = unpacked(archive(tmp_path / "SiamX.zip", members), tmp_path / "scratch")
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"car.txt"}
    assert not (tmp_path / "outside.txt").exists()
    (tracker,) = find_trackers(folder, NAMES)
    assert tracker.name == "SiamX"
    written(tmp_path / "damaged.zip", "PK and no more")
    with pytest.raises(FormatError, match=r"damaged\.zip"):
        unpacked(tmp_path / "damaged.zip", tmp_path / "scratch")
