"""Files of annotators' programs: read as the programs mean them, and what we write is read by theirs.

The readers that are too heavy for the development environment (`pip install datumaro label-studio-sdk`) are
asked where they are installed; a small reader of the published format stands in for them here.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from clips import archive
from trackeval import datasets

from dmtrack.boxes.export import losses
from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.waypoints import AnnotatorOptions
from dmtrack.boxes.keyframes import read_keyframes
from dmtrack.boxes.reading import read_results, recognise, result_files
from dmtrack.boxes.results import PictureSize, RecordingResults, ResultsGatherer
from dmtrack.boxes.writing import result_files_of, write_results
from dmtrack.errors import FormatError
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackState

Track = Mapping[int, tuple[float, ...]]


def street(*, size: bool = True) -> RecordingResults:
    """A car that turns in frame 6 and is lost in 9; somebody in frames 2 to 4, and from 8 to the end."""
    gatherer = ResultsGatherer(labels={1: 'car & "truck"'})
    if size:
        gatherer.size = PictureSize(640, 480)
    for index in range(10):
        x = 10.5 * min(index, 6) + 3 * max(0, index - 6)
        gatherer.add(index, 1, Box(x, 20, 30, 40), 0.9, TrackState.LOST if index == 9 else TrackState.TRACKED)
        if index in (2, 3, 4, 8, 9):
            gatherer.add(index, 2, Box(100 + index * index / 8, 50, 10.25, 20))
    return gatherer.results("street")


def boxes_of(results: RecordingResults, target_id: int) -> Track:
    return {row.frame_index: row.box.xywh for row in results.rows if row.target_id == target_id}


def near(track: Track, px: float) -> dict[int, object]:
    return {index: pytest.approx(box, abs=px) for index, box in track.items()}


def written(results: RecordingResults, kind: ResultFormat, folder: Path, keyframe_px: float = 0) -> Path:
    options = AnnotatorOptions(keyframe_px)
    files = result_files_of([results], kind, str(folder / f"a{kind.ending}"), annotator=options)
    write_results(files)
    return files[0].path


def read_one(path: Path) -> RecordingResults:
    (results,) = read_results(path)
    return results


# --- CVAT -----------------------------------------------------------------------------------------------


def as_cvat_imports(path: Path) -> dict[int, Track]:
    """Take the keyframes alone and put the line between them, as CVAT does; the stop frame ends all."""
    root = ElementTree.parse(path).getroot()  # noqa: S314
    assert root.findtext("version") == "1.1"
    stop = int(root.findtext("meta/task/stop_frame"))
    names = {label.findtext("name") for label in root.iter("label")}
    tracks: dict[int, Track] = {}
    for track in root.iter("track"):
        assert track.get("label") in names
        shapes = [box for box in track.iter("box") if box.get("keyframe") == "1"]
        boxes: dict[int, tuple[float, ...]] = {}
        for one, other in zip(shapes, [*shapes[1:], None], strict=True):
            start, end = int(one.get("frame")), stop + 1 if other is None else int(other.get("frame"))
            assert 0 <= start < end <= stop + 1
            corners = [
                [float(box.get(n)) for n in ("xtl", "ytl", "xbr", "ybr")] for box in (one, other or one)
            ]
            for index in range(start, end) if one.get("outside") == "0" else ():
                share = (index - start) / (end - start)
                x1, y1, x2, y2 = (a + share * (b - a) for a, b in zip(*corners, strict=True))
                boxes[index] = (x1, y1, x2 - x1, y2 - y1)
        tracks[int(track.get("id"))] = boxes
    return tracks


@pytest.mark.parametrize("keyframe_px", [0, 0.75])
def test_cvat_shows_the_same_boxes(tmp_path, keyframe_px):
    path = written(street(), ResultFormat.CVAT_VIDEO, tmp_path, keyframe_px)
    shown = as_cvat_imports(path)
    for target_id in (1, 2):
        expected = boxes_of(street(), target_id)
        assert sorted(shown[target_id]) == sorted(expected)
        for index, box in expected.items():
            assert shown[target_id][index] == pytest.approx(box, abs=keyframe_px + 1e-9)
    keyframes = path.read_text().count('outside="0" occluded="0" keyframe="1"')
    assert keyframes == (14 if keyframe_px == 0 else 7)  # 0, 6, 8; 2, 4; 8, 9; frame 9 of the car is occluded


@pytest.mark.parametrize("kind", [ResultFormat.CVAT_VIDEO, ResultFormat.LABEL_STUDIO])
def test_what_was_given_and_what_was_lost_stays_however_few_keyframes_there_are(tmp_path, kind):
    """The target does not move, so that lines alone would need its ends only."""
    states = [TrackState.INIT, *[TrackState.TRACKED] * 4, TrackState.INIT, *[TrackState.TRACKED] * 3]
    states += [*[TrackState.LOST] * 4, *[TrackState.TRACKED] * 3]
    gatherer = ResultsGatherer(size=PictureSize(640, 480))
    for index, state in enumerate(states):
        gatherer.add(index, 1, Box(10, 20, 30, 40), 0.5, state)
    path = written(gatherer.results("still"), kind, tmp_path, 5)
    expected = {
        0: "init",
        4: "tracked",
        5: "init",
        8: "tracked",
        9: "lost",
        12: "lost",
        13: "tracked",
        15: "tracked",
    }
    assert {
        row.frame_index: row.state for row in read_one(path).rows if row.frame_index in expected
    } == expected
    assert [key.frame_index for key in read_keyframes(path, 0, (640, 480))] == [0, 5]
    if kind is ResultFormat.CVAT_VIDEO:
        shapes = ElementTree.parse(path).getroot().iterfind("track/box[@keyframe='1']")  # noqa: S314
        assert {int(one.get("frame")): one.get("occluded") == "1" for one in shapes} == {
            index: state == "lost" for index, state in expected.items()
        }


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><job><size>8</size><labels><label><name>car</name></label></labels></job>
    <task><name>night</name><start_frame>0</start_frame><stop_frame>7</stop_frame>
      <original_size><width>640</width><height>512</height></original_size></task></meta>
  <track id="0" label="car" source="manual">
    <box frame="0" keyframe="1" outside="0" occluded="0" xtl="10.00" ytl="20.00" xbr="30.00" ybr="60.00">
      <attribute name="state">parked</attribute></box>
    <box frame="4" keyframe="1" outside="1" occluded="0" xtl="18.00" ytl="20.00" xbr="38.00" ybr="60.00"/>
    <box frame="6" keyframe="1" outside="0" occluded="1" xtl="0" ytl="0" xbr="10" ybr="20" rotation="90.0"/>
  </track>
  <track id="1" label="target">
    <polygon frame="2" keyframe="1" outside="0" occluded="0" points="1,2;5,3;4,9"/>
    <polygon frame="3" keyframe="1" outside="1" occluded="0" points="1,2;5,3;4,9"/>
  </track>
</annotations>
"""


def test_cvat_keyframes_are_joined_by_lines(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(CVAT)
    results = read_one(path)
    assert (results.name, results.size, results.labels) == ("night", (640, 512), {1: "car"})
    assert boxes_of(results, 1) == {
        **{index: (10 + 2 * index, 20, 20, 40) for index in range(4)},
        **{index: pytest.approx((-5, 5, 20, 10)) for index in (6, 7)},  # turned, and to the end
    }
    assert boxes_of(results, 2) == {2: (1, 2, 4, 7)}
    assert {row.state for row in results.rows} == {None}


def test_cvat_archives_are_told_apart(tmp_path):
    path = archive(tmp_path / "job.zip", {"annotations.xml": CVAT})
    assert recognise(path) is ResultFormat.CVAT_VIDEO
    assert len(read_one(path).rows) == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("<annotations><track", "is no XML", id="torn"),
        pytest.param('<!DOCTYPE a [<!ENTITY b "c">]><a/>', "declares entities", id="entities"),
        pytest.param("<annotations><image/></annotations>", '"CVAT for video 1.1"', id="for-images"),
        pytest.param(CVAT.replace('frame="4"', 'frame="x"'), "track 0: frame 'x'", id="frame"),
        pytest.param(CVAT.replace('xbr="30.00"', 'xbr="10"'), "track 0, frame 0: box", id="corners"),
        pytest.param(CVAT.replace('frame="6"', 'frame="0"'), "target 1 is in this frame", id="twice"),
        pytest.param(
            CVAT.replace("<stop_frame>7", "<stop_frame>900000000"), "boxes would lie between", id="endless"
        ),
    ],
)
def test_mistakes_in_cvat_files_are_named(tmp_path, text, words):
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(FormatError) as caught:
        read_results(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_datumaro_reads_what_is_written_for_cvat(tmp_path):
    base = pytest.importorskip("datumaro.plugins.data_formats.cvat.base")
    path = written(street(), ResultFormat.CVAT_VIDEO, tmp_path)
    shown: dict[int, dict[int, tuple[float, ...]]] = {1: {}, 2: {}}
    for item in base.CvatBase(str(path)):
        for one in item.annotations:
            if not one.attributes["outside"]:
                shown[int(one.attributes["track_id"])][int(item.id.removeprefix("frame_"))] = tuple(
                    one.get_bbox()
                )
    assert shown == {n: near(boxes_of(street(), n), 0.01) for n in (1, 2)}  # it keeps two decimals


# --- Label Studio ---------------------------------------------------------------------------------------


def as_label_studio_shows(path: Path) -> dict[int, Track]:
    """Put lines between the entries of a sequence as long as they are enabled, in px."""
    (task,) = json.loads(path.read_text())
    tracks: dict[int, Track] = {}
    for region in task["annotations"][0]["result"]:
        assert (region["type"], region["from_name"], region["to_name"]) == ("videorectangle", "box", "video")
        value, scale = region["value"], (region["original_width"] / 100, region["original_height"] / 100) * 2
        entries = sorted(value["sequence"], key=lambda entry: entry["frame"])
        boxes: dict[int, tuple[float, ...]] = {}
        for one, other in zip(entries, [*entries[1:], None], strict=True):
            start, end = one["frame"], other["frame"] if other else value["framesCount"] + 1
            for number in range(start, end if one["enabled"] else start + 1):
                share = (number - start) / (end - start)
                sides = [
                    one[name] + share * ((other or one)[name] - one[name])
                    for name in ("x", "y", "width", "height")
                ]
                boxes[number - 1] = tuple(side * factor for side, factor in zip(sides, scale, strict=True))
        tracks[int(region["id"].removeprefix("target_"))] = boxes
    return tracks


@pytest.mark.parametrize("keyframe_px", [0, 0.75])
def test_label_studio_shows_the_same_boxes(tmp_path, keyframe_px):
    path = written(street(), ResultFormat.LABEL_STUDIO, tmp_path, keyframe_px)
    shown = as_label_studio_shows(path)
    assert shown == {n: near(boxes_of(street(), n), keyframe_px + 1e-9) for n in (1, 2)}
    assert path.read_text().count('"frame"') == (15 if keyframe_px == 0 else 8)


def a_task(*sequence: dict[str, object], **region: object) -> str:
    value = {"framesCount": 8, "labels": ["Car"], "sequence": sequence}
    result = {"id": "Xy_1", "type": "videorectangle", "value": value, **region}
    return json.dumps(
        [{"data": {"video": "/data/upload/1/ab-night.mp4"}, "annotations": [{"result": [result]}]}]
    )


def entry(frame: object, x: float, *, enabled: bool = True, **more: object) -> dict[str, object]:
    return {"frame": frame, "x": x, "y": 10, "width": 20, "height": 30, "enabled": enabled, **more}


def test_label_studio_exports_are_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(a_task(entry(1, 0), entry(3, 10, enabled=False), entry(6, 50, rotation=90)))
    assert recognise(path) is ResultFormat.LABEL_STUDIO
    with pytest.raises(FormatError, match="give its size: --size"):
        read_results(path)
    (results,) = read_results(path, size=PictureSize(200, 100))
    assert (results.name, results.labels) == ("ab-night", {1: "Car"})
    assert boxes_of(results, 1) == {
        **{index: pytest.approx((10 * index, 10, 40, 30)) for index in range(3)},
        **{index: pytest.approx((70, 10, 30, 40)) for index in (5, 6, 7)},  # turned about its corner
    }


@pytest.mark.parametrize(
    ("count", "duration_s", "is_doubted"),
    [(240, 10, True), (960, 40.02, True), (300, 10, False), (8, None, False)],
)
def test_a_rate_that_label_studio_took_by_itself_is_said(tmp_path, caplog, count, duration_s, is_doubted):
    """It counts the frames of a recording of 30 a second as 24, unless it is told."""
    path = tmp_path / "a.json"
    value = {"framesCount": count, "duration": duration_s, "sequence": [entry(1, 0)]}
    path.write_text(a_task(value=value, original_width=200, original_height=100))
    assert len(boxes_of(read_results(path)[0], 1)) == count
    assert ("counts 24 frames a second" in caplog.text) is is_doubted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("[1]", "tasks[0]: a JSON object", id="list"),
        pytest.param('[{"annotations": []}]', "is no task of Label Studio", id="no-task"),
        pytest.param(a_task(entry("x", 0)), 'sequence[0]: frame is "x"', id="frame"),
        pytest.param(a_task(entry(1, 0), {"frame": 2}), "sequence[1]: x is missing", id="no-x"),
        pytest.param(a_task(entry(1, 0, height=None)), "sequence[0]: height is missing", id="no-height"),
        pytest.param(a_task(entry(1, 0, width=0)), "sequence[0]: box", id="no-area"),
        pytest.param(a_task(entry(1, 0), entry(1, 0)), "target 1 is in this frame", id="twice"),
        pytest.param(a_task(entry(0, 0)), "frame -1 is below 0", id="frame-0"),
        pytest.param(a_task(entry(1, 0), entry(10**9, 0)), "boxes would lie between", id="endless"),
    ],
)
def test_mistakes_in_label_studio_files_are_named(tmp_path, text, words):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(FormatError) as caught:
        read_results(path, ResultFormat.LABEL_STUDIO, size=PictureSize(200, 100))
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_label_studio_sdk_reads_what_is_written(tmp_path):
    video = pytest.importorskip("label_studio_sdk._extensions.label_studio_tools.postprocessing.video")
    path = written(street(), ResultFormat.LABEL_STUDIO, tmp_path, 0.75)
    (task,) = json.loads(path.read_text())
    for region in video.extract_key_frames(task["annotations"][0]["result"]):
        target_id = int(region["id"].removeprefix("target_"))
        shown = {
            one["frame"] - 1: (one["x"] * 6.4, one["y"] * 4.8, one["width"] * 6.4, one["height"] * 4.8)
            for one in region["value"]["sequence"]
        }
        assert shown == near(boxes_of(street(), target_id), 0.75)


# --- MOTChallenge and KITTI, by the readers of TrackEval ------------------------------------------------


def as_trackeval_reads(folder: Path, kind: str, length: int) -> dict[int, Track]:
    base = {"PRINT_CONFIG": False, "TRACKERS_TO_EVAL": [], "TRACKERS_FOLDER": str(folder)}
    if kind == "kitti":
        (folder / "evaluate_tracking.seqmap.training").write_text(f"street empty 000000 {length:06d}\n")
        more = {"GT_FOLDER": str(folder), "CLASSES_TO_EVAL": ["car", "pedestrian"], "TRACKER_SUB_FOLDER": ""}
        dataset = datasets.Kitti2DBox({**base, **more})
    else:
        info = {"SEQ_INFO": {"street": None}, "SKIP_SPLIT_FOL": True, "GT_FOLDER": str(folder)}
        dataset = datasets.MotChallenge2DBox({**base, **info})
        assert dataset.seq_lengths == {"street": length}
    raw = dataset._load_raw_file("", "street", is_gt=True)
    tracks: dict[int, dict[int, tuple[float, ...]]] = {}
    for index in range(length):
        for target_id, box in zip(raw["gt_ids"][index], raw["gt_dets"][index], strict=True):
            tracks.setdefault(int(target_id), {})[index] = tuple(map(float, box))
    return dict(tracks)


def test_trackeval_reads_the_folder_of_motchallenge(tmp_path):
    write_results(result_files_of([street()], ResultFormat.MOTCHALLENGE, f"{tmp_path}/"))
    read = as_trackeval_reads(tmp_path, "mot", 10)
    assert read == {
        1: {n: box for n, box in boxes_of(street(), 1).items() if n < 9},
        2: boxes_of(street(), 2),
    }
    info = (tmp_path / "street/seqinfo.ini").read_text()
    assert (
        info == "[Sequence]\nname=street\nimDir=img1\nseqLength=10\nimExt=.jpg\nimWidth=640\nimHeight=480\n"
    )
    assert result_files(tmp_path) == (tmp_path / "street/seqinfo.ini",)
    results = read_one(tmp_path / "street/seqinfo.ini")
    assert {row.score for row in results.rows} == {0.9, None}


def test_motchallenge_as_it_comes(tmp_path):
    """Without `labels.txt`, with classes of MOT16 and detections of a detector, pixels counted from 1."""
    folder = tmp_path / "MOT16-02"
    for name in ("gt", "det"):
        (folder / name).mkdir(parents=True)
    (folder / "seqinfo.ini").write_text(
        "[Sequence]\nname=MOT16-02\nframeRate=30\nseqLength=600\nimWidth=1920\nimHeight=1080\n"
    )
    (folder / "det/det.txt").write_text("1,-1,13,51,30,40,2.5,-1,-1,-1\n2,-1,1,1,5,6,0.5,-1,-1,-1\n")
    (results,) = read_results(folder / "seqinfo.ini", origin=1)
    first = results.rows[0]
    assert (first.target_id, first.box, first.score) == (1, Box(12, 50, 30, 40), 2.5)
    (folder / "gt/gt.txt").write_text("1,7,13,51,30,40,1,1,0.9\n2,7,14,51,30,40,0,3,0.5\n")
    (results,) = read_results(folder / "seqinfo.ini", origin=1)
    assert (results.name, results.size, results.labels) == ("MOT16-02", (1920, 1080), {7: "car"})
    assert [row.score for row in results.rows] == [2.5, 0]
    (folder / "seqinfo.ini").write_text("name=1\n")
    with pytest.raises(FormatError, match="is no INI file"):
        read_one(folder / "seqinfo.ini")


def test_trackeval_reads_the_labels_of_kitti(tmp_path):
    labelled = replace(street(), labels={1: "Car", 2: "Pedestrian"})
    (tmp_path / "label_02").mkdir()
    files = result_files_of([labelled], ResultFormat.KITTI, str(tmp_path / "label_02/street.txt"))
    write_results(files)
    found = street().without_lost()
    assert as_trackeval_reads(tmp_path, "kitti", 10) == {
        who: {n: (x, y, x + w, y + h) for n, (x, y, w, h) in boxes_of(found, who).items()} for who in (1, 2)
    }


KITTI = """0 0 Van 0 0 -1.793451 296.744956 161.752147 455.226042 292.372804 2.0 1.82 4.43 -4.5 1.8 13.4 -2.1
0 -1 DontCare -1 -1 -10 219.31 188.49 245.50 218.56 -1000 -1000 -1000 -10 -1 -1 -1
1 2 Cyclist 0 0 -1.8 737.6 161.5 931.1 374.0 1.7 0.8 1.8 3.4 1.8 6.5 -1.7 0.25
"""


def test_kitti_as_it_comes(tmp_path):
    path = tmp_path / "0000.txt"
    path.write_text(KITTI)
    assert recognise(path) is ResultFormat.KITTI
    results = read_one(path)
    assert [(row.frame_index, row.target_id, row.score) for row in results.rows] == [
        (0, 1, None),
        (1, 3, 0.25),
    ]
    assert results.rows[1].box == Box(737.6, 161.5, 193.5, 212.5)
    assert results.labels == {1: "Van", 3: "Cyclist"}
    path.write_text(KITTI.replace("455.226042", "29"))
    with pytest.raises(FormatError, match="row 1: box"):
        read_one(path)
    path.write_text(KITTI.replace("1 2 Cyclist 0", "1 2 Cyclist"[:3]))
    with pytest.raises(FormatError, match="row 3"):
        read_one(path)


# --- sparse ground truth ---------------------------------------------------------------------------------


def seen_in(frames: Mapping[int, Sequence[int]]) -> RecordingResults:
    """Targets, each a px further to the right in each frame, in the frames in which somebody looked."""
    gatherer = ResultsGatherer(size=PictureSize(640, 480))
    for target_id, indices in frames.items():
        for index in indices:
            gatherer.add(index, target_id, Box(index, 10 * target_id, 30, 40))
    return gatherer.results("street")


@pytest.mark.parametrize("kind", [ResultFormat.CVAT_VIDEO, ResultFormat.LABEL_STUDIO])
@pytest.mark.parametrize("keyframe_px", [0, 2])
def test_between_the_boxes_of_sparse_truth_is_a_line(tmp_path, kind, keyframe_px):
    """Each target was outside of the picture but in every tenth frame."""
    sparse = seen_in({1: [0, 10, 20, 40, 50], 2: range(10, 60, 10), 3: range(0, 40, 10)})
    back = read_one(written(sparse, kind, tmp_path, keyframe_px))
    drawn = {who: boxes_of(back, who) for who in (1, 2, 3)}
    assert all(box[0] == pytest.approx(index) for index, box in drawn[2].items())
    assert list(drawn[2]) == [*range(10, 51)]
    up_to = 30 if kind is ResultFormat.CVAT_VIDEO else 21  # which draws it to the frame in which it is gone
    assert list(drawn[1]) == [*range(up_to), *range(40, 51)], "it was looked for in frame 30"
    assert max(drawn[3]) < 40
    assert "straight lines" in str(losses([sparse], kind)[-1])


@pytest.mark.parametrize("kind", [ResultFormat.CVAT_VIDEO, ResultFormat.LABEL_STUDIO])
@pytest.mark.parametrize("indices", [[0, 1, 2, 3, 9, 10], [0, 50], [0, 7, 9, 30, 31, 44]])
def test_what_comes_back_is_no_sparse_truth(tmp_path, kind, indices):
    results = seen_in({1: indices})
    assert list(boxes_of(read_one(written(results, kind, tmp_path)), 1)) == indices
    assert not losses([results], kind)


# --- submissions ----------------------------------------------------------------------------------------


def gaps() -> RecordingResults:
    """A target without a box in frame 2."""
    gatherer = ResultsGatherer()
    for index in range(4):
        gatherer.add(index, 1, None if index == 2 else Box(10 + index, 20.25, 30, 40))
        gatherer.add_frame(index, infer_ms=12.5)
    return gatherer.results("GOT-10k_Test_000001")


@pytest.mark.parametrize("kind", [ResultFormat.TRACKINGNET, ResultFormat.GOT_10K])
def test_a_submission_has_a_box_in_every_frame(tmp_path, kind):
    """Read as the tool kits do; several recordings and targets go into one archive."""
    files = result_files_of([gaps(), street()], kind, str(tmp_path / "all.zip"))
    write_results(files)
    name = "GOT-10k_Test_000001"
    member = f"{name}.txt" if kind is ResultFormat.TRACKINGNET else f"{name}/{name}_001.txt"
    with zipfile.ZipFile(files[0].path) as archive:
        boxes = np.loadtxt(archive.read(member).decode().splitlines(), delimiter=",")
        if kind is ResultFormat.GOT_10K:
            times = np.loadtxt(archive.read(f"{name}/{name}_time.txt").decode().splitlines(), delimiter=",")
            assert times.tolist() == [0.0125] * 4
    assert boxes.tolist() == [[10 + index, 20.25, 30, 40] for index in (0, 1, 1, 3)]
    assert recognise(files[0].path) is kind
    first, second = read_results(files[0].path)
    assert (first.name, second.name, second.target_ids) == (name, "street", (1, 2))
    assert boxes_of(second, 1) == boxes_of(street(), 1)
    assert first.frames[0].infer_ms == (12.5 if kind is ResultFormat.GOT_10K else None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2,3\n", "a.txt, row 1: 3 numbers"),
        ("1,2,3,4\n1,x,3,4\n", "row 2: side 'x'"),
        ("", "holds no frame"),
    ],
)
def test_mistakes_in_submissions_are_named(tmp_path, text, words):
    path = archive(tmp_path / "a.zip", {"a.txt": text})
    with pytest.raises(FormatError) as caught:
        read_results(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)
