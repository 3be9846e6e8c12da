"""Files of detectors: all say the same in their own way, and what is wrong with them is one line."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from dmtrack.boxes.detections import DetectionOptions, read_detections
from dmtrack.boxes.export import export
from dmtrack.boxes.formats import HOLDS, Content, ResultFormat
from dmtrack.boxes.results import PictureSize
from dmtrack.boxes.starts import read_targets
from dmtrack.errors import BoxError, ConfigError, DmtrackError
from dmtrack.tracking.start import TargetStart
from dmtrack.video.frame import VideoInfo

INFO = VideoInfo(Path("rgb.mp4"), 200, 100, Fraction(10), Fraction(1, 10), 0, 50, "yuv420p", "h264", 8, 3)
FRAMES = range(3, 8)
"""In which a car and a person are seen, the person less certain."""
CAR, PERSON = (20.0, 30.0, 40.0, 20.0), (120.0, 10.0, 20.0, 50.0)


def mot(folder: Path, separator: str = ",") -> Path:
    rows = [
        separator.join(map(str, (frame + 1, -1, *box, score, number, -1, -1)))
        for frame in FRAMES
        for box, score, number in ((CAR, 0.9, 2), (PERSON, 0.6, 0))
    ]
    (folder / "det.txt").write_text("\n".join(rows))
    return folder / "det.txt"


def mot_with_ids(folder: Path) -> Path:
    path = mot(folder)
    path.write_text(path.read_text().replace(",-1,20.0", ",7,20.0").replace(",-1,120.0", ",8,120.0"))
    return path


def yolo(folder: Path, first: int = 1, name: str = "clip_{}.txt") -> Path:
    (folder / "labels").mkdir()
    for frame in FRAMES:
        rows = [
            f"{number} {(x + w / 2) / 200} {(y + h / 2) / 100} {w / 200} {h / 100} {score}"
            for (x, y, w, h), score, number in ((CAR, 0.9, 2), (PERSON, 0.6, 0))
        ]
        (folder / "labels" / name.format(frame + first)).write_text("\n".join(rows))
    (folder / "labels" / "classes.txt").write_text("person\nbicycle\ncar\n")
    return folder / "labels"


def yolo_run(folder: Path) -> Path:
    return yolo(folder).parent


def yolo_from_0(folder: Path) -> Path:
    (yolo(folder, first=0) / "clip_0.txt").write_text("")
    return folder / "labels"


def yolo_named_beside(folder: Path) -> Path:
    (yolo(folder) / "classes.txt").rename(folder / "classes.txt")
    return folder


def results(folder: Path) -> list[dict[str, object]]:
    return [
        {"image_id": frame + 1, "category_id": number, "bbox": list(box), "score": score}
        for frame in FRAMES
        for box, score, number in ((CAR, 0.9, 2), (PERSON, 0.6, 0))
    ]


def coco_results(folder: Path) -> Path:
    (folder / "predictions.json").write_text(json.dumps(results(folder)))
    return folder / "predictions.json"


def coco(folder: Path, by_frame: bool = False) -> Path:
    place = (lambda f: {"frame_id": f}) if by_frame else (lambda f: {"file_name": f"a/img_{f + 1:06d}.jpg"})
    document = {
        "images": [{"id": frame + 1, **place(frame)} for frame in range(10)],
        "annotations": results(folder),
        "categories": [{"id": 2, "name": "car"}, {"id": 0, "name": "person"}],
    }
    (folder / "coco.json").write_text(json.dumps(document))
    return folder / "coco.json"


def coco_frames(folder: Path) -> Path:
    return coco(folder, by_frame=True)


def coco_from_1(folder: Path) -> Path:
    path = coco(folder)
    document = json.loads(path.read_text())
    for image in document["images"]:
        image["frame_id"] = image["id"]
    path.write_text(json.dumps(document))
    return path


def table(folder: Path) -> Path:
    rows = [
        f"{frame},{target_id},{','.join(map(str, box))},{score}"
        for frame in FRAMES
        for box, score, target_id in ((CAR, 0.9, 1), (PERSON, 0.6, 2))
    ]
    (folder / "boxes.csv").write_text("\n".join(["frame,id,x,y,w,h,score", *rows]))
    return folder / "boxes.csv"


KINDS = [
    mot,
    mot_with_ids,
    yolo,
    yolo_run,
    yolo_from_0,
    yolo_named_beside,
    coco_results,
    coco,
    coco_frames,
    coco_from_1,
    table,
]


@pytest.mark.parametrize("write", KINDS)
def test_every_kind_says_the_same(write, tmp_path):
    found = read_detections(DetectionOptions(write(tmp_path)), INFO)
    assert sorted(found) == list(FRAMES)
    for here in found.values():
        assert [one.score for one in here] == [0.9, 0.6], "the most certain one first"
        for one, box in zip(here, (CAR, PERSON), strict=True):
            assert one.box.xywh == pytest.approx(box)


@pytest.mark.parametrize("write", [write for write in KINDS if write is not table])
@pytest.mark.parametrize("word", ["2", "car"])
def test_classes_are_told_by_number_and_where_the_file_has_names_by_name(write, word, tmp_path):
    has_names = write in (yolo, yolo_run, yolo_from_0, yolo_named_beside, coco, coco_frames, coco_from_1)
    options = DetectionOptions(write(tmp_path), classes=(word,))
    if word == "car" and not has_names:
        with pytest.raises(DmtrackError, match=r"no detection is of class 'car'; there are 0, 2"):
            read_detections(options, INFO)
        return
    for here in read_detections(options, INFO).values():
        assert [one.box.xywh for one in here] == [pytest.approx(CAR)]


@pytest.mark.parametrize(
    "target", [one for one in ResultFormat if one.ending and Content.SEVERAL_TARGETS in HOLDS[one]]
)
def test_boxes_in_whatever_file_of_them_export_writes(target, tmp_path):
    path = tmp_path / f"out{target.ending}"
    export([table(tmp_path)], path, target, size=PictureSize(200, 100))
    found = read_detections(DetectionOptions(path), INFO)
    assert sorted(found) == list(FRAMES)
    for here in found.values():
        boxes = sorted(one.box.xywh for one in here)
        assert boxes == [pytest.approx(CAR, abs=1e-3), pytest.approx(PERSON, abs=1e-3)]
    starts = read_targets(path, size=(200, 100))
    assert [(key.frame_index, key.box.xywh) for key in starts if isinstance(key, TargetStart)] == [
        (FRAMES[0], pytest.approx(CAR, abs=1e-3)),
        (FRAMES[0], pytest.approx(PERSON, abs=1e-3)),
    ]


def test_commas_stand_between_classes():
    assert DetectionOptions(Path("a"), ("car, person", "2")).classes == ("car", "person", "2")


def test_texts_are_told_by_the_pictures_they_are_called_after(tmp_path):
    """The names of pictures need not count from 1, and a text may be missing."""
    pictures = tmp_path / "rgb"
    pictures.mkdir()
    for frame in range(10):
        cv2.imwrite(str(pictures / f"shot{100 + 5 * frame}.png"), np.zeros((100, 200, 3), np.uint8))
    labels = yolo(tmp_path)
    for frame in FRAMES:
        (labels / f"clip_{frame + 1}.txt").rename(labels / f"shot{100 + 5 * frame}.txt")
    info = replace(INFO, path=pictures)
    assert sorted(read_detections(DetectionOptions(labels), info)) == list(FRAMES)
    (labels / "shot104.txt").write_text("0 0.5 0.5 0.1 0.1")
    with pytest.raises(DmtrackError, match="'shot104' is the name of no picture"):
        read_detections(DetectionOptions(labels), info)


@pytest.mark.parametrize(("first", "step"), [(0, 1), (1, 1), (100, 5)])
def test_texts_of_another_name_are_told_by_the_numbers_of_the_pictures(first, step, tmp_path):
    """A detector writes no text for a frame in which it sees nothing, the first one too."""
    pictures = tmp_path / "rgb"
    pictures.mkdir()
    for frame in range(10):
        cv2.imwrite(str(pictures / f"shot{first + step * frame:06}.png"), np.zeros((100, 200, 3), np.uint8))
    labels = yolo(tmp_path)
    for frame in FRAMES if step == 1 and first == 0 else reversed(FRAMES):
        (labels / f"clip_{frame + 1}.txt").rename(labels / f"clip_{first + step * frame}.txt")
    assert sorted(read_detections(DetectionOptions(labels), replace(INFO, path=pictures))) == list(FRAMES)


@pytest.mark.parametrize("has_pictures", [False, True])
def test_names_that_roboflow_gives_are_told_by_their_numbers(has_pictures, tmp_path):
    """What it appends says nothing of the frame: `clip_mp4-0004_jpg.rf.0a9e4…`."""
    info = INFO
    if has_pictures:
        info = replace(INFO, path=tmp_path / "rgb")
        info.path.mkdir()
        for frame in range(10):
            name = f"shot-{frame + 1:04}_jpg.rf.{77 * frame}c{frame}b.jpg"
            cv2.imwrite(str(info.path / name), np.zeros((100, 200, 3), np.uint8))
    labels = yolo(tmp_path)
    for frame in FRAMES:
        (labels / f"clip_{frame + 1}.txt").rename(
            labels / f"clip-{frame + 1:04}_jpg.rf.{9 * frame}a{frame}f.txt"
        )
    (labels / "clip-0001_jpg.rf.5e17.txt").write_text("")
    assert sorted(read_detections(DetectionOptions(labels), info)) == list(FRAMES)


@pytest.mark.parametrize(
    ("end", "score"), [("0.75 12", 0.75), ("12", None)], ids=["confidence-and-id", "id-alone"]
)
def test_texts_of_a_tracker_have_an_id_at_the_end(end, score, tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    for frame in range(3):
        (labels / f"clip_{frame + 1}.txt").write_text(f"2 0.5 0.5 0.2 0.4 {end}\n")
    found = read_detections(DetectionOptions(labels), INFO)
    assert [one.score for frame in found.values() for one in frame] == [score] * 3


def test_what_has_no_category_is_not_of_the_first_one(tmp_path):
    document = json.loads(coco(tmp_path).read_text())
    for annotation in document["annotations"]:
        del annotation["category_id"]
    (tmp_path / "coco.json").write_text(json.dumps(document))
    found = read_detections(DetectionOptions(tmp_path / "coco.json"), INFO)
    assert {one.label for frame in found.values() for one in frame} == {None}
    with pytest.raises(ConfigError, match="has no classes"):
        read_detections(DetectionOptions(tmp_path / "coco.json", ("person",)), INFO)


def test_numbers_that_begin_late_are_said_to_count_from_1(tmp_path, caplog):
    read_detections(DetectionOptions(yolo(tmp_path)), INFO)
    assert "names are taken to count from 1, the first says 4" in caplog.text
    caplog.clear()
    (tmp_path / "labels" / "clip_1.txt").write_text("")
    read_detections(DetectionOptions(tmp_path / "labels"), INFO)
    assert not caplog.text


def test_any_picture_of_another_size_is_said(tmp_path, caplog):
    path = coco(tmp_path)
    document = json.loads(path.read_text())
    sizes = [{"width": 200, "height": 100}] * (len(document["images"]) - 1) + [{"width": 400, "height": 200}]
    document["images"] = [one | size for one, size in zip(document["images"], sizes, strict=True)]
    path.write_text(json.dumps(document))
    read_detections(DetectionOptions(path), INFO)
    assert "its boxes are of pictures of 400x200, not 200x100" in caplog.text


@pytest.mark.parametrize("size", [(200, 100), (400, 200), (400.0, 200.0), (0, 0), (-1, -1), (None, 9), None])
@pytest.mark.parametrize("write", [coco, coco_frames])
def test_boxes_of_pictures_of_another_size_are_said(write, size, tmp_path, caplog):
    path = write(tmp_path)
    if size is not None:
        document = json.loads(path.read_text())
        document["images"] = [one | {"width": size[0], "height": size[1]} for one in document["images"]]
        path.write_text(json.dumps(document))
    read_detections(DetectionOptions(path), INFO)
    said = "its boxes are of pictures of 400x200, not 200x100"
    assert ("of pictures of" in caplog.text) is (said in caplog.text) is (size == (400, 200))
    caplog.clear()
    if write is coco_frames:
        path.write_text(path.read_text().replace('"category_id"', '"track_id": 1, "category_id"', 1))
        document = json.loads(path.read_text())
        path.write_text(json.dumps(document | {"annotations": document["annotations"][:1]}))
        read_targets(path, size=(200, 100))
        assert ("of pictures of" in caplog.text) is (said in caplog.text) is (size == (400, 200))


def put(folder: Path, name: str, text: str) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        pytest.param("none", None, "no such file or folder", id="nothing-there"),
        pytest.param("det.txt", "", "empty", id="empty"),
        pytest.param("p.json", "[]", "holds no detection", id="empty-list"),
        pytest.param("p.json", "[1]", "a JSON object is needed here", id="list-of-numbers"),
        pytest.param("p.json", '[{"image_id": 1}]', "has no bbox", id="no-box"),
        pytest.param("p.json", '[{"bbox": [1,2,3,4]}]', "no frame number", id="no-image"),
        pytest.param("p.json", '[{"image_id": 1, "bbox": [1,2,0,4]}]', "has no area", id="no-area"),
        pytest.param("p.json", "[{", "not JSON", id="cut"),
        pytest.param("det.txt", "1,-1,1,2,3,4,1\n2,-1,1,2,x,4,1", "row 2", id="word-in-a-row"),
        pytest.param("det.txt", "1,-1,0,.2,.3,.4,1", "are they fractions of the picture?", id="shares"),
        pytest.param("det.txt", "1,-1,1,2,3,4,0.1,-1,-1,-1", "the highest is 0.1", id="uncertain"),
        pytest.param("det.txt", "1,-1,900,2,3,4,1,-1,-1,-1", "1 of 1 boxes lie outside", id="outside"),
        pytest.param("det.txt", "99,-1,9,2,3,4,1,-1,-1,-1", "but the recording has 50", id="behind-the-end"),
        pytest.param("y/a_1.txt", "0 0.5 0.5 0.1", "4 numbers are no box of YOLO", id="short-row"),
        pytest.param("y/a_1.txt", "0 50 50 10 10", "is not a fraction of the picture", id="pixels"),
        pytest.param("y/a.txt", "0 0.5 0.5 0.1 0.1", "no frame number is in the name 'a'", id="no-number"),
        pytest.param("y/a_1.png", "", "holds no text files", id="no-texts"),
    ],
)
def test_what_is_wrong_is_one_line(name, text, expected, tmp_path):
    path = tmp_path / name if text is None else put(tmp_path, name, text)
    path = path.parent if path.parent != tmp_path else path
    with pytest.raises(DmtrackError) as caught:
        read_detections(DetectionOptions(path), INFO)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


def test_shares_of_the_picture_are_told_once(tmp_path, caplog):
    path = put(tmp_path, "det.csv", "frame,id,x,y,w,h\n0,1,.2,.3,.4,.1\n")
    with pytest.raises(BoxError, match="are they fractions of the picture"):
        read_detections(DetectionOptions(path), INFO)
    assert "shares" not in caplog.text


def test_a_class_of_nothing_is_refused():
    with pytest.raises(DmtrackError, match=r"--classes: needs detections; give --detections FILE as well"):
        DetectionOptions(classes=("car",)).require_file()
    DetectionOptions().require_file()
