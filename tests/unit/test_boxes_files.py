"""Files of results: told apart, read as others write them, and refused with the place of the mistake."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from clips import archive, written

from dmtrack.boxes.export import export
from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.reading import (
    folders_without_results,
    item_id,
    read_all,
    read_results,
    read_rows,
    recognise,
    result_files,
)
from dmtrack.boxes.results import AbsentTarget, FrameBoxes, RecordingResults, ResultsGatherer
from dmtrack.boxes.writing import file_name, result_files_of, write_results
from dmtrack.datasets.ground_truth import read_boxes
from dmtrack.errors import FormatError, OutputError
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox, TrackState

HEADER = "frame,time_s,aux_time_s,skew_ms,id,x,y,w,h,score,state,aux_present,infer_ms\n"
COCO = {
    "videos": [{"id": 7, "name": "street"}],
    "images": [{"id": 70, "video_id": 7, "frame_id": 0}, {"id": 71, "video_id": 7, "frame_id": 4}],
    "categories": [{"id": 3, "name": "car"}],
    "annotations": [
        {"id": 1, "image_id": 71, "category_id": 3, "instance_id": 5, "bbox": [1, 2, 3, 4], "score": 0.5}
    ],
}


def boxes_of(results: RecordingResults) -> dict[tuple[int, int], Box | None]:
    return {(f.frame_index, t.target_id): t.box for f in results.frames for t in f.entries}


def two_targets() -> RecordingResults:
    """Target 1 is given in frame 1, has no box in frame 3; frame 2 was not looked at; 2 comes last."""
    gatherer = ResultsGatherer(labels={2: "car"})
    gatherer.add_frame(1, time_s=0.5, infer_ms=0.0)
    gatherer.add(1, 1, Box(1, 2, 3, 4), 1.0, TrackState.INIT)
    gatherer.add_frame(3, time_s=1.5, infer_ms=40.0)
    gatherer.add(3, 1, None, 0.25)
    gatherer.add_frame(4, time_s=2.0, infer_ms=20.0)
    gatherer.add(4, 1, Box(2, 3, 4, 5))
    gatherer.add(4, 2, Box(5, 6, 7.25, 8), 0.125, TrackState.LOST)
    return gatherer.results("street")


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        pytest.param("a.txt", "1,1,2,3,4,5,0.5,-1,-1,-1\n", ResultFormat.MOT, id="mot"),
        pytest.param("a.txt", "1 1 2 3 4 5\n", ResultFormat.MOT, id="mot-of-blanks"),
        pytest.param("a.csv", HEADER + "0,,,,1,1,2,3,4,,,,\n", ResultFormat.CSV, id="csv"),
        pytest.param("a.txt", "id,frame,h,w,y,x\n1,0,1,1,1,1\n", ResultFormat.CSV, id="csv-of-others"),
        pytest.param("a.txt", "1,2,3,4\n", ResultFormat.LASHER, id="ground-truth"),
        pytest.param("a.txt", "1\t2\t3\t4\n", ResultFormat.LASHER, id="tabs"),
        pytest.param("a.txt", "1,2,3,2,3,4,1,4\n", ResultFormat.LASHER, id="polygons"),
        pytest.param("a.txt", "1\n1,2,3,4\n", ResultFormat.VOT, id="vot-code-first"),
        pytest.param("a.txt", "1,2,3,4\n0\n", ResultFormat.VOT, id="vot-code-later"),
        pytest.param("a_001.txt", "1,2,3,4\n", ResultFormat.VOT, id="vot-by-name"),
        pytest.param("a.txt", "m1,2,3,4,0,12\n", ResultFormat.VOT, id="vot-mask-first"),
        pytest.param("a.txt", "1,2,3,4\nm1,2,3,4,0,12\n", ResultFormat.VOT, id="vot-mask-later"),
        pytest.param("a.txt", "1,2,3,2,3,4,1,4,0,3,0,2\n", ResultFormat.VOT, id="vot-six-corners"),
        pytest.param("a.txt", "1.5,2,3,2,3,4,1,4,0,3\n", ResultFormat.VOT, id="vot-five-corners"),
        pytest.param("a.txt", "1,2,3,2,3,4,1,-1,-1,-1\n", ResultFormat.MOT, id="mot-of-ten"),
        pytest.param("a.json", '{"format": "dmtrack results", "version": 1}', ResultFormat.JSON, id="json"),
        pytest.param("a.json", json.dumps(COCO, indent=1), ResultFormat.COCO, id="coco"),
        pytest.param(
            "a.json",
            json.dumps(COCO | {"info": {"date_created": "2024-05-01", "version": "1.0.0"}}, indent=1),
            ResultFormat.COCO,
            id="coco-whose-texts-look-like-numbers",
        ),
        pytest.param("a.txt", '{"frame": 0}\n{"frame": 1}\n', ResultFormat.JSONL, id="json-lines"),
    ],
)
def test_formats_are_told_apart_by_content(tmp_path, name, text, kind):
    assert recognise(written(tmp_path / name, "\n" + text if kind is ResultFormat.JSONL else text)) is kind


@pytest.mark.parametrize("word", ["nan", "NaN", "inf", "-Infinity"])
def test_a_number_that_is_none_makes_no_other_format(tmp_path, word):
    path = written(tmp_path / "boxes.txt", f"1,-1,{word},2,3,4,0.5,-1,-1,-1\n")
    assert recognise(path) is ResultFormat.MOT
    with pytest.raises(FormatError, match=r"row 1: x .* is not finite"):
        read_results(path)


def test_an_archive_is_told_by_its_bytes(tmp_path):
    assert recognise(archive(tmp_path / "a.dat", {"gt/gt.txt": "1,1,1,1,1,1,1,1,1\n"})) is ResultFormat.CVAT


def test_mot_without_a_score_says_so(tmp_path):
    path = written(tmp_path / "a.txt", "2,1,1,2,3,4,-1,-1,-1,-1\n1,1,1,2,3,4,0.5,-1,-1,-1\n")
    (results,) = read_results(path)
    assert [frame.entries[0].score for frame in results.frames] == [0.5, None]


def test_a_csv_may_leave_out_what_is_not_known(tmp_path):
    text = "frame,id,x,y,w,h,note\n5,2,1,2,3,4,dark\n4,,,,,,\n5,1,,,,,\n"
    (results,) = read_results(written(tmp_path / "a.csv", text))
    assert results.frames == (
        FrameBoxes(4),
        FrameBoxes(5, (TrackedBox(5, 2, Box(1, 2, 3, 4)),), (AbsentTarget(1),)),
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_mask_of_vot_is_the_box_around_it(tmp_path, seed):
    rng = np.random.default_rng(seed)
    masks = [rng.random((5, 7)) < share for share in (0.05, 0.1, 0.3, 0.9, 0, 1)]
    masks += [np.pad(mask, ((2, 1), (1, 3))) for mask in masks]
    lines, boxes = [], []
    for mask in masks:
        edges = np.flatnonzero(np.diff(mask.ravel().astype(int), prepend=0, append=0)).tolist()
        runs = np.diff([0, *edges]).tolist() or [mask.size]
        lines.append(f"m10,20,{mask.shape[1]},{mask.shape[0]},{','.join(map(str, runs))}\n")
        rows, columns = np.nonzero(mask)
        if len(rows):
            x, y = columns.min(), rows.min()
            boxes.append((10 + x, 20 + y, np.ptp(columns) + 1, np.ptp(rows) + 1))
    path = written(tmp_path / "groundtruth.txt", "".join(lines))
    assert [row.box.xywh for row in read_results(path)[0].rows] == boxes
    with pytest.raises(FormatError, match="row 1 is a mask; make boxes"):
        read_boxes(path)


def test_coco_of_others_is_read(tmp_path):
    (results,) = read_results(written(tmp_path / "a.json", json.dumps(COCO)))
    assert results.name == "street"
    assert results.labels == {5: "car"}
    assert results.frames == (FrameBoxes(0), FrameBoxes(4, (TrackedBox(4, 5, Box(1, 2, 3, 4), 0.5),)))


@pytest.mark.parametrize(
    ("numbers", "names", "first", "is_said"),
    [
        ((1, 2, 3), "a/img1/{:06}.jpg", 0, True),
        ((1, 2, 3), "a_1/frame_{}.png", 0, True),
        ((1, 2, 3), "a/{1:06}.png", 0, True),
        ((1, 2, 3), "a/{2:06}.png", 1, False),
        ((1, 2, 3), None, 1, True),
        ((0, 1, 2), "{:06}.jpg", 0, False),
        ((1, 3, 4), "{:06}.jpg", 1, False),
        ((1,), "{:06}.jpg", 1, False),
    ],
    ids=["ByteTrack", "png", "names from 0", "the first is missing", "no names", "from 0", "gap", "one"],
)
@pytest.mark.parametrize("says_index", [False, True])
def test_coco_that_counts_from_1_is_told(tmp_path, caplog, numbers, names, first, is_said, says_index):
    images = [
        {"id": number + 70, "frame_id": number}
        | ({} if names is None else {"file_name": names.format(number, number - 1, number + 1)})
        | ({"frame_index": number} if says_index else {})
        for number in numbers
    ]
    boxes = [{"id": n, "image_id": n + 70, "track_id": 1, "bbox": [n, 2, 3, 4]} for n in numbers]
    path = written(tmp_path / "a.json", json.dumps({"images": images, "annotations": boxes}))
    first = numbers[0] if says_index else first
    assert [row.frame_index for row in read_results(path)[0].rows] == [
        n - numbers[0] + first for n in numbers
    ]
    assert ("counts from 1" in caplog.text) is (is_said and not says_index)


def test_coco_of_several_recordings_keeps_their_ids_apart(tmp_path):
    both = [two_targets(), RecordingResults("other", (FrameBoxes(0, (TrackedBox(0, 2, Box(1, 1, 1, 1)),)),))]
    files = result_files_of(both, ResultFormat.COCO, str(tmp_path / "all.json"))
    write_results(files)
    document = json.loads(files[0].path.read_text())
    assert len({track["id"] for track in document["tracks"]}) == len(document["tracks"]) == 3
    street, other = read_results(files[0].path)
    assert boxes_of(street) == {key: box for key, box in boxes_of(both[0]).items() if box is not None}
    assert boxes_of(other) == {(0, 2): Box(1, 1, 1, 1)}


def test_vot_byte_for_byte(tmp_path):
    write_results(result_files_of([two_targets()], ResultFormat.VOT, f"{tmp_path}/"))
    texts = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert texts == {
        "street_id1_001.txt": "0\n1\n0\n0\n2,3,4,5\n",
        "street_id1_001_confidence.value": "\n1\n\n0.25\n\n",
        "street_id1_001_time.value": "\n0\n\n0.04\n0.02\n",
        "street_id2_001.txt": "0\n0\n0\n0\n5,6,7.25,8\n",
        "street_id2_001_confidence.value": "\n\n\n\n0.125\n",
        "street_id2_001_time.value": "\n0\n\n0.04\n0.02\n",
    }


def test_vot_values_of_an_earlier_export_do_not_stay(tmp_path):
    output = str(tmp_path / "car.txt")
    scored = FrameBoxes(0, (TrackedBox(0, 1, Box(1, 2, 3, 4), 0.5),))
    plain = FrameBoxes(0, (TrackedBox(0, 1, Box(1, 2, 3, 4)),))
    write_results(result_files_of([RecordingResults("car", (scored,))], ResultFormat.VOT, output))
    again = result_files_of([RecordingResults("car", (plain,))], ResultFormat.VOT, output)
    with pytest.raises(OutputError, match="exists"):
        write_results(again)
    write_results(again, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["car.txt"]


def test_vot_reads_what_the_toolkit_writes(tmp_path):
    written(tmp_path / "car_001_confidence.value", "\n0.75\n0.5\nnan\n")
    path = written(
        tmp_path / "car_001.txt", "1\n1.0000,2.0000,3.0000,4.0000\n2,3,5,3,5,7,2,7\nnan,nan,nan,nan\n"
    )
    (results,) = read_results(path)
    assert results.name == "car"
    assert [frame.entries[0] for frame in results.frames] == [
        AbsentTarget(1, None, TrackState.INIT),
        TrackedBox(1, 1, Box(1, 2, 3, 4), 0.75),
        TrackedBox(2, 1, Box(1, 2, 3, 4), 0.5),  # corners count from 1
        AbsentTarget(1),
    ]


@pytest.mark.parametrize("row", ["nan,2,3,4", "2,3,5,3,5,7,2,nan"])
def test_a_part_of_a_box_is_no_absence(tmp_path, row):
    for name in ("car_001.txt", "car.txt"):  # of VOT and of LasHeR
        with pytest.raises(FormatError, match=rf"{name}.* 2\b.* holds a part of a box"):
            read_results(written(tmp_path / name, f"{','.join(['nan'] * len(row.split(',')))}\n{row}\n"))


def test_numbers_in_quotes_are_numbers(tmp_path):
    (results,) = read_results(written(tmp_path / "a.txt", '"1","7","10","20","30","40","0.5"\n'))
    assert results.frames == (FrameBoxes(0, (TrackedBox(0, 7, Box(10, 20, 30, 40), 0.5),)),)


@pytest.mark.parametrize("x", [0.25, 1.25])
def test_boxes_that_may_be_shares_of_the_picture_are_told_and_not_exported(tmp_path, caplog, x):
    """They were exported as boxes of less than a pixel."""
    rows = f"frame,id,x,y,w,h\n0,1,0.5,0.5,0.5,0.25\n1,1,{x},0.5,0.5,0.25\n"
    path, copy = written(tmp_path / "a.csv", rows), tmp_path / "b.json"
    read_results(path)
    assert ("are they fractions of the picture?" in caplog.text) == (x < 1)
    if x < 1:
        with pytest.raises(FormatError, match=r"a: .*are they fractions of the picture\? multiply them by"):
            export([path], copy, ResultFormat.JSON)
    else:
        export([path], copy, ResultFormat.JSON)
    assert copy.exists() == (x > 1)


def test_pictures_of_several_sizes_are_no_recording(tmp_path):
    """The last size counted for all boxes."""
    document = json.loads(json.dumps(COCO))
    for image, width in zip(document["images"], (640, 800), strict=True):
        image |= {"width": width, "height": 480}
    regions = [
        {
            "type": "videorectangle",
            "original_width": width,
            "original_height": 480,
            "value": {"sequence": [{"frame": 1, "x": 1, "y": 1, "width": 5, "height": 5}]},
        }
        for width in (640, 800)
    ]
    task = [{"data": {"video": "a.mp4"}, "annotations": [{"result": regions}]}]
    for name, content in (("coco", document), ("label-studio", task)):
        path = written(tmp_path / f"{name}.json", json.dumps(content))
        with pytest.raises(
            FormatError, match=rf"{name}\.json.* of pictures of 800x480, not 640x480; .* one size"
        ):
            read_results(path)


@pytest.mark.parametrize("width", ["640", True, [640], 640.5, {"w": 640}])
def test_a_size_of_pictures_that_is_no_number_is_told(tmp_path, width):
    document = json.loads(json.dumps(COCO))
    document["images"][0] |= {"width": width, "height": 480}
    with pytest.raises(FormatError, match=r"images\[0\]: width is .*, not a whole number"):
        read_results(written(tmp_path / "a.json", json.dumps(document)))


def test_lasher_byte_for_byte(tmp_path):
    write_results(result_files_of([two_targets()], ResultFormat.LASHER, f"{tmp_path}/"))
    nothing = "nan,nan,nan,nan\n"
    assert (tmp_path / "street_id1.txt").read_text() == f"{nothing}1,2,3,4\n{nothing}{nothing}2,3,4,5\n"
    assert (tmp_path / "street_id2.txt").read_text() == nothing * 4 + "5,6,7.25,8\n"


def test_files_of_one_target_each_become_one_recording(tmp_path):
    write_results(result_files_of([two_targets()], ResultFormat.LASHER, f"{tmp_path}/"))
    (joined,) = read_all(sorted(tmp_path.iterdir()))
    assert joined.target_ids == (1, 2)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = written(elsewhere / "street_id3.txt", "1,2,3,4\n")
    assert len(read_all([*sorted(tmp_path.glob("*.txt")), path])) == 2


def test_otb_counts_from_one(tmp_path):
    (results,) = read_results(written(tmp_path / "groundtruth_rect.txt", "11,21,30,40\n0,0,0,0\n"))
    assert results.name == tmp_path.name
    assert boxes_of(results) == {(0, 1): Box(10, 20, 30, 40), (1, 1): None}


def test_cvat_member_for_member(tmp_path):
    write_results(result_files_of([two_targets()], ResultFormat.CVAT, str(tmp_path / "a.zip")))
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert sorted(file.namelist()) == ["gt/gt.txt", "gt/labels.txt"]
        assert file.read("gt/labels.txt") == b"car\ntarget\n"
        assert file.read("gt/gt.txt") == (
            b"2,1,1,2,3,4,1,2,1\n5,1,2,3,4,5,1,2,1\n5,2,5,6,7.25,8,1,1,0\n"  # a lost one is occluded
        )


def test_cvat_without_the_folder_and_labels(tmp_path):
    (results,) = read_results(archive(tmp_path / "a.zip", {"gt.txt": "3,1,1,2,3,4,1,1,0.5\n"}))
    assert boxes_of(results) == {(2, 1): Box(1, 2, 3, 4)}
    assert not results.labels


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        pytest.param("a.txt", "", "empty", id="empty"),
        pytest.param("a.txt", "car\n", "names frame,id,x,y,w,h; `dmtrack export --from", id="words"),
        pytest.param("a.txt", "1,2\n", "rows of 2 numbers", id="two-columns"),
        pytest.param("a.csv", "frame,id,x,y\n0,1,1,1\n", "no column w, h", id="csv-column"),
        pytest.param("a.csv", HEADER, "holds no frame", id="csv-header-alone"),
        pytest.param(
            "a.csv", HEADER + "0,,,,1,1,2,3,4,,,,\n0,,,,1,1,2,3,4,,,,\n", "row 3: target 1", id="twice"
        ),
        pytest.param("a.csv", HEADER + "0,,,,1,1,,3,4,,,,\n", "row 2: y ''", id="csv-half-a-box"),
        pytest.param("a.csv", HEADER + "0,,,,1,1,2,3,4,,gone,,\n", "row 2: state 'gone'", id="csv-state"),
        pytest.param("a.csv", HEADER + "0.5,,,,1,1,2,3,4,,,,\n", "row 2: frame '0.5'", id="csv-frame"),
        pytest.param("a.csv", HEADER + "-1,,,,1,1,2,3,4,,,,\n", "row 2: frame -1", id="csv-negative"),
        pytest.param("a.csv", HEADER + "0,,,,0,1,2,3,4,,,,\n", "row 2: target id 0", id="csv-id"),
        pytest.param("a.csv", HEADER + '0,,,,1,"1"2,2,3,4,,,,\n', "not a CSV text file", id="csv-quotes"),
        pytest.param("a.csv", HEADER + "0,,,,1\n\n7,,,,x,1,2,3,4\n", "row 4: id 'x'", id="csv-blank-row"),
        pytest.param("a.json", '{"frames": [', "neither a JSON document", id="json-torn"),
        pytest.param("a.json", '{"frames": []}', '"format" is not', id="json-of-others"),
        pytest.param("a.json", '{"format": "dmtrack results", "version": 2}', "version 2", id="json-version"),
        pytest.param(
            "a.json", '{"format": "dmtrack results", "version": 1, "frames": []}', "no frame", id="json-empty"
        ),
        pytest.param(
            "a.json",
            '{"format": "dmtrack results", "version": 1, "frames": [{"frame": 0}, {"frame": 1, "targets": '
            '[{"id": 1, "box": [1, 2, 3]}]}]}',
            "frames[1], targets[0]: box is [1, 2, 3]",
            id="json-box",
        ),
        pytest.param("a.jsonl", '{"frame": 0}\n{"frame": "x"}\n', 'line 2: frame is "x"', id="json-line"),
        pytest.param("a.jsonl", '{"frame": 0}\n[1]\n', "line 2: a JSON object", id="json-line-list"),
        pytest.param(
            "a.json",
            json.dumps({**COCO, "images": [{"id": 1, "file_name": "a.jpg"}]}),
            "images[0]: frame_id or frame_index is missing; boxes of single pictures are no tracks",
            id="coco-pictures",
        ),
        pytest.param(
            "a.json",
            json.dumps({**COCO, "annotations": [{"image_id": 70, "bbox": [1, 1, 2, 2]}]}),
            "annotations[0]: track_id or instance_id is missing; boxes of single pictures are no tracks",
            id="coco-without-tracks",
        ),
        pytest.param(
            "a.json",
            json.dumps([{"image_id": 70, "category_id": 1, "bbox": [1, 1, 2, 2], "score": 0.5}]),
            "a list of COCO results is for --detections",
            id="coco-list",
        ),
        pytest.param(
            "a.json",
            json.dumps({**COCO, "annotations": [{"image_id": 9}]}),
            "annotations[0]: there is no image 9",
            id="coco-image",
        ),
        pytest.param(
            "a.json",
            json.dumps({**COCO, "annotations": [{"image_id": 70, "track_id": 1, "bbox": [1, 1, 0, 1]}]}),
            "annotations[0]: box",
            id="coco-box",
        ),
        pytest.param("a.txt", "1\n7\n", "line 2: region code 7", id="vot-code"),
        pytest.param("a.txt", "1\nm12,3,4\n", "line 2: is no mask; m and x,y,w,h", id="vot-mask"),
        pytest.param("a.txt", "1\nm1,2,3,4,5,8\n", "line 2: is no mask", id="vot-mask-too-long"),
        pytest.param("a.txt", "m1,2,3,4,-1,8\n", "line 1: is no mask", id="vot-mask-backwards"),
        pytest.param("a.txt", "m1,2,0,4,0\n", "line 1: is no mask", id="vot-mask-of-nothing"),
        pytest.param("a.txt", "1\n1,2,3\n", "line 2: 3 values are no region", id="vot-values"),
        pytest.param("a.txt", "1,1,2,3,4,5,1\n1,1,2,3,4,5,1\n", "row 2: target 1", id="mot-twice"),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path, name, text, words):
    path = written(tmp_path / name, text)
    with pytest.raises(FormatError) as caught:
        read_results(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_values_of_another_length_are_refused(tmp_path):
    written(tmp_path / "car_001_confidence.value", "1\n1\n1\n")
    path = written(tmp_path / "car_001.txt", "1\n1,2,3,4\n")
    with pytest.raises(FormatError, match=r"confidence\.value: has 3 lines, but there are 2 regions"):
        read_results(path)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"readme.txt": "hello"}, "readme.txt, row 1: side 'hello' is not a number"),
        ({"gt/gt.txt": "1,1,1,1\n"}, "gt/gt.txt, row 1: a MOT row"),
        ({"gt/gt.txt": "\n1,1,1,1,1,1,1,3,1\n", "gt/labels.txt": "car\n"}, "row 2: class 3"),
        ({"gt/gt.txt": "\n"}, "no frame"),
    ],
    ids=["another-archive", "row", "label", "empty"],
)
def test_bad_archives_are_named(tmp_path, members, words):
    path = archive(tmp_path / "a.zip", members)
    with pytest.raises(FormatError) as caught:
        read_results(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_a_torn_archive_is_one_line(tmp_path):
    path = archive(tmp_path / "a.zip", {"gt/gt.txt": "1,1,1,1,1,1,1,1,1\n" * 3}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"1,1,1", b"9,9,9", 1))
    with pytest.raises(FormatError, match="not a whole ZIP archive"):
        read_results(path, ResultFormat.CVAT)


def test_a_frame_number_by_mistake_does_not_fill_the_disk(tmp_path):
    (results,) = read_results(written(tmp_path / "a.txt", "123456789012,1,2,3,4,5,1\n"))
    with pytest.raises(FormatError, match="frame 123456789011 is too far"):
        result_files_of([results], ResultFormat.LASHER, str(tmp_path / "b.txt"))


def test_folders_of_runs_are_found(tmp_path):
    for name in ("b", "a", ".c.1a2b3c4d.part", "failed"):
        (tmp_path / name).mkdir()
    written(tmp_path / "a" / "boxes.txt", "1,1,1,1,1,1\n")
    for name in ("b", ".c.1a2b3c4d.part"):
        written(tmp_path / name / "boxes.txt", "1,1,1,1,1,1\n")
        written(tmp_path / name / "boxes.csv", HEADER + "0,,,,1,1,2,3,4,,,,\n")
    assert result_files(tmp_path) == (tmp_path / "a" / "boxes.txt", tmp_path / "b" / "boxes.csv")
    assert result_files(tmp_path / "b") == (tmp_path / "b" / "boxes.csv",)
    mot = ResultFormat.MOT
    assert result_files(tmp_path, mot) == (tmp_path / "a" / "boxes.txt", tmp_path / "b" / "boxes.txt")
    assert result_files(tmp_path, ResultFormat.CSV) == (tmp_path / "b" / "boxes.csv",)
    assert result_files(tmp_path / "b", ResultFormat.COCO) == (tmp_path / "b" / "boxes.csv",)
    with pytest.raises(FormatError, match=r"has no boxes\.csv in it"):
        result_files(tmp_path / "a", ResultFormat.CSV)
    done = export([tmp_path / "b"], tmp_path / "out.csv", source=mot)
    assert [row.box.xywh for row in read_rows(done.files[0])] == [(1, 1, 1, 1)]
    assert folders_without_results(tmp_path) == (tmp_path / "failed",)
    with pytest.raises(FormatError, match="no folder that has"):
        result_files(tmp_path / "failed")
    with pytest.raises(FormatError, match="no such file"):
        result_files(tmp_path / "nowhere")


def test_a_run_gives_name_size_and_item(tmp_path):
    video = {"path": "rgb.mp4", "width": 640, "height": 360}
    record = {
        "record_version": 1,
        "status": "complete",
        "inputs": [{"role": "rgb", "video": video}],
        "batch": {"item": "day 1/street"},
    }
    written(tmp_path / "run.json", json.dumps(record))
    path = written(tmp_path / "boxes.txt", "1,1,1,1,1,1\n")
    (results,) = read_results(path)
    assert (results.name, results.size) == (tmp_path.name, (640, 360))
    assert item_id(path, results) == "day 1/street"
    widths: tuple[Any, ...] = (0, -1, 1e400, 1e-320, "x", [], 640.0)
    for width in widths:  # what anybody may have written there
        video["width"] = width
        written(tmp_path / "run.json", json.dumps(record))
        (results,) = read_results(path)
        assert results.size == ((640, 360) if width == 640 else None)
    written(tmp_path / "run.json", "{}")
    (results,) = read_results(path)
    assert results.size is None
    assert item_id(path, results) == tmp_path.name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("night street", "night street"),
        ("day 1/street", "day 1_street"),
        ("../../etc/passwd", "_._.._etc_passwd"),
        ("-rf", "_rf"),
        ("straße", "straße"),
        ("aux", "aux_"),
        ("walk .", "walk _"),
        ("", "recording"),
    ],
)
def test_any_name_becomes_a_file_name(name, expected):
    assert file_name(name) == expected


@pytest.mark.parametrize("other", ["walk", "Walk"])
def test_two_recordings_of_one_name_are_not_written_over_each_other(tmp_path, other):
    recordings = [replace(two_targets(), name=name) for name in ("walk", other)]
    files = result_files_of(recordings, ResultFormat.MOT, f"{tmp_path}/")
    with pytest.raises(OutputError, match="2 results would be written to this place") as refused:
        write_results(files)
    assert ("which some systems take for" in str(refused.value)) == (other == "Walk")
    assert "one by one, into a folder each" in str(refused.value)
    assert list(tmp_path.iterdir()) == []
