"""Files of annotators' programs: read as the programs mean them, and what we write is read by theirs.

The readers that are too heavy for the development environment (`pip install datumaro label-studio-sdk`) are
asked where they are installed; a small reader of the published format stands in for them here.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.waypoints import AnnotatorOptions
from dmtrack.boxes.reading import read_results, recognise
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
def test_cvat_shows_the_same_boxes(tmp_path: Path, keyframe_px: float) -> None:
    path = written(street(), ResultFormat.CVAT_VIDEO, tmp_path, keyframe_px)
    shown = as_cvat_imports(path)
    for target_id in (1, 2):
        expected = boxes_of(street(), target_id)
        assert sorted(shown[target_id]) == sorted(expected)
        for index, box in expected.items():
            assert shown[target_id][index] == pytest.approx(box, abs=keyframe_px + 1e-9)
    keyframes = path.read_text().count('outside="0" occluded="0" keyframe="1"')
    assert keyframes == (14 if keyframe_px == 0 else 6)  # 0, 6; 2, 4; 8, 9; frame 9 of the car is occluded


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


def test_cvat_keyframes_are_joined_by_lines(tmp_path: Path) -> None:
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


def test_cvat_archives_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "job.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("annotations.xml", CVAT)
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
def test_mistakes_in_cvat_files_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(FormatError) as caught:
        read_results(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_datumaro_reads_what_is_written_for_cvat(tmp_path: Path) -> None:
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
