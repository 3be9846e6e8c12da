"""Folders as the data sets are passed on, made here in miniature with the file names of the real sets.

Each one is recognised, tracked by its folder, listed by `inspect`, and found by `batch`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dmtrack.batch.discovery import find_items
from dmtrack.batch.item import BatchItem
from dmtrack.boxes.reading import read_rows
from dmtrack.datasets.layouts import recognise
from dmtrack.geometry.box import Box
from dmtrack.output.record import read_run_json
from dmtrack.video.frame import Modality

RunCli = Callable[..., Any]
WIDTH, HEIGHT = 96, 64
BOX = (20.0, 16.0, 16.0, 16.0)
SPACES = "20 16 16 16\n"
COMMAS = "20,16,16,16\n"
CORNERS = "20 16 36 32\n"


@dataclass(frozen=True)
class Stream:
    """Pictures of one stream: a pattern of names with the first number, and what they show."""

    names: str
    kind: str
    first: int = 0
    count: int = 3


@dataclass(frozen=True)
class DataSet:
    """A folder, and what should be found in it."""

    layout: str
    modality: Modality | None
    streams: tuple[Stream, ...]
    texts: dict[str, str]
    name: str = "clip"
    start: int = 0
    sources: tuple[str, ...] = ()
    boxes: int = 1
    frames: int = 3
    visible: int = 3
    extra: dict[str, bytes] = field(default_factory=dict)


THERMAL, DEPTH, EVENT = Modality.THERMAL, Modality.DEPTH, Modality.EVENT
SETS = {
    "LasHeR": DataSet(
        "lasher", THERMAL,
        (Stream("visible/v{:03}.jpg", "rgb"), Stream("infrared/i{:03}.jpg", "thermal")),
        {"init.txt": COMMAS * 3, "visible.txt": COMMAS * 3, "infrared.txt": COMMAS * 3},
    ),
    "LasHeR, names alike, pictures of different kinds": DataSet(
        "lasher", THERMAL,
        (Stream("visible/{:06}.jpg", "rgb"), Stream("infrared/{:06}.png", "thermal")),
        {"init.txt": COMMAS * 3},
    ),
    "RGBT234": DataSet(
        "rgbt234", THERMAL,
        (Stream("visible/{:05}v.jpg", "rgb", 1), Stream("infrared/{:05}i.jpg", "thermal", 1)),
        {
            "visible.txt": "20,16,16,16\r\n" * 4, "infrared.txt": "22,17,16,16\r\n" * 4,
            "init.txt": COMMAS * 4,
        },
    ),
    "RGBT210": DataSet(
        "rgbt210", THERMAL,
        (Stream("visible/{:05}v.jpg", "rgb", 1), Stream("infrared/{:05}i.jpg", "thermal", 1)),
        {"init.txt": COMMAS * 3},
    ),
    "GTOT": DataSet(
        "gtot", THERMAL,
        (Stream("v/{:05}v.png", "rgb", 1), Stream("i/{:05}i.bmp", "thermal", 1)),
        {"groundTruth_v.txt": CORNERS * 3, "groundTruth_i.txt": CORNERS * 3, "init.txt": SPACES},
    ),
    "VTUAV": DataSet(
        "vtuav", THERMAL,
        (Stream("rgb/{:06}.jpg", "rgb", count=21), Stream("ir/{:06}.jpg", "thermal", count=21)),
        {"rgb.txt": SPACES * 3, "ir.txt": SPACES * 3}, frames=21,
    ),
    "VTUAV, absent at first": DataSet(
        "vtuav", THERMAL,
        (Stream("rgb/{:06}.jpg", "rgb", count=21), Stream("ir/{:06}.jpg", "thermal", count=21)),
        {"rgb.txt": "0 0 0 0\n" + SPACES * 2, "ir.txt": SPACES * 3}, frames=21, start=10, visible=2,
    ),
    "DepthTrack": DataSet(
        "depthtrack", DEPTH,
        (Stream("color/{:08}.jpg", "rgb", 1), Stream("depth/{:08}.png", "depth", 1)),
        {"groundtruth.txt": COMMAS + "nan,nan,nan,nan\n" + COMMAS}, visible=2,
    ),
    "VOT-RGBD22 and CDTB": DataSet(
        "vot-rgbd", DEPTH,
        (Stream("color/{:08}.jpg", "rgb", 1), Stream("depth/{:08}.png", "depth", 1)),
        {
            "groundtruth.txt": "20.0000,16.0000,16.0000,16.0000\n" * 2 + "NaN,NaN,NaN,NaN\n",
            "sequence": "channels.color=color/%08d.jpg\nchannels.depth=depth/%08d.png\nfps=30\n",
            "full-occlusion.tag": "0\n0\n1\n",
        },
        visible=2,
    ),
    "VisEvent, absent at first": DataSet(
        "visevent", EVENT,
        (Stream("vis_imgs/frame{:04}.bmp", "rgb"), Stream("event_imgs/frame{:04}.bmp", "event")),
        {"groundtruth.txt": "0,0,0,0\n" + COMMAS * 2, "absent_label.txt": "0\n1\n1\n"},
        name="dvSave-2021_02_06_08_52_10_cell", start=1, visible=2, extra={"a.aedat4": b"#!AER-DAT4.0\r\n"},
    ),
    "COESOT": DataSet(
        "coesot", EVENT,
        (Stream("dvSave-7_aps/frame{:04}.png", "rgb"), Stream("dvSave-7_dvs/frame{:04}.bmp", "event")),
        {
            "groundtruth.txt": "0,0,0,0\n" + COMMAS * 2, "absent.txt": "1\n0\n0\n",
            "start_end_index.txt": "12\n14\n",
        },
        name="dvSave-7", start=1, visible=2, extra={"dvSave-7.aedat4": b"#!AER-DAT4.0\r\n"},
    ),
    "OTB": DataSet(
        "otb", None, (Stream("img/{:04}.jpg", "rgb", 1),),
        {"groundtruth_rect.txt": "21\t17\t16\t16\n" * 3}, extra={"cfg.mat": b"MATLAB 5.0 MAT-file"},
    ),
    "OTB, two targets": DataSet(
        "otb", None, (Stream("img/{:04}.jpg", "rgb", 1),),
        {"groundtruth_rect.1.txt": "21,17,16,16\n" * 3, "groundtruth_rect.2.txt": "50,17,16,16\n" * 3},
        boxes=2,
    ),
    "OTB David": DataSet(
        "otb", None, (Stream("img/{:04}.jpg", "rgb", 1, 302),),
        {"groundtruth_rect.txt": "21,17,16,16\n" * 3}, name="David", start=299, frames=302,
    ),
    "VOT": DataSet(
        "vot", None, (Stream("{:08}.jpg", "rgb", 1),),
        {"groundtruth.txt": "21,17,37,17,37,33,21,33\n" * 3}, sources=(".",),
    ),
    "a first box and no more": DataSet(
        "depthtrack", DEPTH,
        (Stream("color/{:08}.jpg", "rgb", 1), Stream("depth/{:08}.png", "depth", 1)),
        {"groundtruth.txt": "20 16 16 16"}, visible=1,
    ),
}  # fmt: skip


def picture(kind: str, number: int) -> np.ndarray:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    left = 20 + number % 8
    inside = (rows >= 16) & (rows < 32) & (columns >= left) & (columns < left + 16)
    if kind == "depth":
        return np.where(inside, 900, 2000 + 10 * rows).astype(np.uint16)
    if kind == "event":
        canvas = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        canvas[inside & (columns % 3 == 0)] = (30, 30, 220)
        return canvas
    grey = np.where(inside, 200, 40 + rows // 2 + columns // 3).astype(np.uint8)
    return grey if kind == "thermal" else np.stack([grey, grey // 2 + 30, 255 - grey], axis=2)


def make(root: Path, data_set: DataSet) -> Path:
    folder = root / data_set.name
    for stream in data_set.streams:
        for number in range(stream.first, stream.first + stream.count):
            path = folder / stream.names.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), picture(stream.kind, number))
    for name, text in data_set.texts.items():
        (folder / name).write_bytes(text.encode())
    for name, data in data_set.extra.items():
        (folder / name).write_bytes(data)
    return folder


def sources(data_set: DataSet) -> tuple[str, ...]:
    return data_set.sources or tuple(stream.names.partition("/")[0] for stream in data_set.streams)


@pytest.fixture(params=list(SETS.values()), ids=list(SETS))
def data_set(request) -> DataSet:
    return request.param


def test_tracked_by_its_folder(run_cli, weights, tmp_path, data_set):
    folder = make(tmp_path, data_set)
    assert run_cli("track", folder, "--weights", weights, "-o", "out", "--no-video").code == 0
    record = read_run_json(Path("out/run.json"))
    assert [Path(item["video"]["path"]) for item in record["inputs"]] == [
        folder / s for s in sources(data_set)
    ]
    assert record["configuration"]["modality"] == data_set.modality
    targets = record["configuration"]["targets"]
    assert tuple(targets[0]["box"].values()) == BOX
    assert [target["frame_index"] for target in targets] == [data_set.start] * data_set.boxes
    rows = read_rows(Path("out/boxes.txt"))
    assert len(rows) == (data_set.frames - data_set.start) * data_set.boxes
    if data_set.modality is not None:
        assert record["configuration"]["modality_from"] == f"the folder is laid out as {data_set.layout}"
        assert record["counts"]["pairing"]["aux_missing"] == 0


def test_listed_by_inspect(run_cli, tmp_path, data_set):
    folder = make(tmp_path / "set", data_set)
    said = json.loads(run_cli("inspect", folder, "--json").out)["data_set"]
    assert (said["layout"], said["modality"]) == (data_set.layout, data_set.modality)
    assert said["rgb"] == str(folder / sources(data_set)[0])
    assert [target["start_frame"] for target in said["targets"]] == [data_set.start] * data_set.boxes
    assert said["targets"][0]["start_box"] == list(BOX)
    assert said["targets"][0]["visible"] == data_set.visible
    assert said["problems"] == []
    text = run_cli("inspect", folder).out
    assert f"layout   {data_set.layout}" in text
    assert "problem" not in text


def test_found_by_batch(tmp_path, data_set):
    folder = make(tmp_path / "set", data_set)
    (item,) = find_items(tmp_path / "set").entries
    assert isinstance(item, BatchItem), item
    assert item.id == data_set.name
    assert (item.rgb, item.aux) == (*(folder / name for name in sources(data_set)), None)[:2]
    box = item.boxes[0]
    assert isinstance(box, Box)
    assert box.xywh == BOX
    assert (0 if item.start is None else item.start.index) == data_set.start
    assert item.modality == data_set.modality


def test_event_recordings_stand_for_event_pictures(tmp_path):
    for name, source in (("dvSave-7_aps", "dvSave-7.aedat4"), ("vis_imgs", "clip.csv")):
        pictures = (Stream(f"{name}/frame{{:04}}.png", "rgb"),)
        texts = {"groundtruth.txt": COMMAS * 3, "absent.txt": "1\n1\n1\n", "notes.csv": "a,b\n"}
        folder = make(tmp_path / name, DataSet("", None, pictures, texts, extra={source: b"events"}))
        clip = recognise(folder)
        assert clip is not None
        assert (clip.second, clip.aux, clip.layout.modality) == (folder / source, None, EVENT)
        (item,) = find_items(tmp_path / name).entries
        assert isinstance(item, BatchItem)
        assert (item.aux, item.modality) == (folder / source, EVENT)


def test_a_start_that_is_asked_for_finds_its_own_row(run_cli, weights, tmp_path):
    rows = {"rgb.txt": SPACES + "30 16 16 16\n" + SPACES, "ir.txt": SPACES * 3}
    vtuav = SETS["VTUAV"]
    folder = make(tmp_path, DataSet("vtuav", THERMAL, vtuav.streams, rows))
    words = ["track", folder, "--weights", weights, "-o", "out", "--no-video", "--start"]
    assert run_cli(*words, 10).code == 0
    (target,) = read_run_json(Path("out/run.json"))["configuration"]["targets"]
    assert (target["frame_index"], target["box"]["x"]) == (10, 30)
    outcome = run_cli(*words, 11, "--overwrite")
    outcome.refused(3, "no box of clip is known in frame 11; --start 20 is the next frame with one")


def test_given_boxes_go_before_ground_truth(run_cli, weights, tmp_path):
    folder = make(tmp_path, SETS["VisEvent, absent at first"])
    outcome = run_cli("track", folder, "--weights", weights, "-o", "out", "--no-video", "--box", "5,6,7,8")
    assert outcome.code == 0, outcome.err
    (target,) = read_run_json(Path("out/run.json"))["configuration"]["targets"]
    assert (target["frame_index"], target["box"]) == (0, {"x": 5, "y": 6, "w": 7, "h": 8})


@pytest.mark.parametrize(("name", "start"), [("VTUAV", 10), ("VisEvent, absent at first", 1)])
def test_ground_truth_is_drawn_where_its_data_set_says(run_cli, tmp_path, name, start):
    words = ("render", make(tmp_path, SETS[name]), "--progress", "json", "--start")
    drawn = []
    for first in (start - 1, start):
        end = run_cli(*words, first, "--end", first + 1, "-o", f"{first}.mp4").out.splitlines()[-1]
        drawn += json.loads(end)["boxes"].values()
    assert drawn == [0, 1]


class TestBadFolders:
    """One clear line each, and nothing written."""

    def refused(self, run_cli: RunCli, folder: Path, code: int = 3) -> str:
        outcome = run_cli("track", folder, "-o", "out")
        assert outcome.code == code
        assert len(outcome.error_lines) == 1
        assert not Path("out").exists()
        return outcome.err

    def test_a_root_of_many(self, run_cli, tmp_path):
        for name in ("LasHeR", "GTOT", "OTB", "DepthTrack"):
            make(tmp_path / "root" / name, SETS[name])
        said = self.refused(run_cli, tmp_path / "root")
        assert "the folder holds 4 recordings (DepthTrack/clip, GTOT/clip, LasHeR/clip and 1 more)" in said
        assert "dmtrack batch" in said
        listed = run_cli("inspect", tmp_path / "root")
        for words in ("OTB/clip", "gtot", "4 recordings"):
            assert words in listed.out
        assert len(json.loads(run_cli("inspect", tmp_path / "root", "--json").out)["recordings"]) == 4

    def test_a_folder_around_the_only_one(self, run_cli, weights, tmp_path):
        make(tmp_path / "unpacked" / "LasHeR", SETS["LasHeR"])
        assert (
            run_cli("track", tmp_path / "unpacked", "--weights", weights, "-o", "out", "--no-video").code == 0
        )

    def test_unequal_counts_name_the_pictures(self, run_cli, tmp_path):
        folder = make(tmp_path, SETS["RGBT234"])
        (folder / "infrared" / "00002i.jpg").unlink()
        said = self.refused(run_cli, folder)
        assert "3 pictures in visible, but 2 in infrared (only in visible: number 2)" in said
        shown = " ".join(run_cli("inspect", folder).out.split())
        assert "problem: " in shown
        assert "only in visible: number 2" in shown
        other = make(tmp_path / "another", SETS["RGBT234"])
        (other / "infrared" / "00002i.jpg").unlink()
        assert f"problem: another/clip: {other}: 3 pictures in visible" in run_cli("inspect", tmp_path).out

    def test_different_pictures_missing_in_each(self, run_cli, tmp_path):
        streams = (Stream("color/{:08}.jpg", "rgb", 1, 6), Stream("depth/{:08}.png", "depth", 1, 6))
        folder = make(tmp_path, DataSet("depthtrack", DEPTH, streams, {"groundtruth.txt": COMMAS * 5}))
        (folder / "color" / "00000003.jpg").unlink()
        (folder / "depth" / "00000005.png").unlink()
        said = self.refused(run_cli, folder)
        assert "pictures of color and depth do not go together" in said
        assert "only in color: number 5, only in depth: number 3" in said

    def test_missing_pictures_and_rows_that_do_not_fit(self, run_cli, tmp_path):
        streams = (Stream("img/{:04}.jpg", "rgb", 1, 6),)
        folder = make(tmp_path, DataSet("otb", None, streams, {"groundtruth_rect.txt": COMMAS * 6}))
        (folder / "img" / "0003.jpg").unlink()
        said = self.refused(run_cli, folder)
        assert "5 pictures, but 6 rows of ground truth (missing in the numbering: number 3)" in said

    def test_no_ground_truth(self, run_cli, weights, tmp_path):
        lasher = SETS["LasHeR"]
        folder = make(tmp_path, DataSet("lasher", THERMAL, lasher.streams, {}))
        assert "where is the target? No ground truth lies beside this input" in self.refused(run_cli, folder)
        words = ["track", folder, "--weights", weights, "-o", "out", "--no-video", "--box", "20,16,16,16"]
        assert run_cli(*words).code == 0

    def test_malformed_ground_truth(self, run_cli, weights, tmp_path):
        folder = make(tmp_path, SETS["OTB"])
        (folder / "groundtruth_rect.txt").write_text("1,2,3\n" * 3)
        assert "row 1 has 3 values" in self.refused(run_cli, folder)
        words = ["track", folder, "--weights", weights, "-o", "out", "--no-video", "--box", "20,16,16,16"]
        assert run_cli(*words).code == 0, "no ground truth is needed then"
        assert run_cli("render", folder, "--boxes", "out").code == 0
        (folder / "groundtruth_rect.txt").write_text(COMMAS * 2)
        assert run_cli("render", folder, "-o", "two.mp4").code == 0, "two rows of three frames"

    def test_no_picture_can_be_read(self, run_cli, tmp_path):
        folder = make(tmp_path, SETS["OTB"])
        for path in (folder / "img").iterdir():
            path.write_bytes(b"not a picture")
        assert "0001.jpg: this picture cannot be read, nor can those after it" in self.refused(
            run_cli, folder
        )

    def test_the_first_picture_cannot_be_read(self, run_cli, weights, tmp_path):
        folder = make(tmp_path, SETS["LasHeR"])
        (folder / "visible" / "v000.jpg").write_bytes(b"")
        assert run_cli("track", folder, "--weights", weights, "-o", "out", "--no-video").code == 0
        record = read_run_json(Path("out/run.json"))
        assert [target["frame_index"] for target in record["configuration"]["targets"]] == [1]
        assert record["counts"]["pairing"]["rgb_damaged"] == 1

    def test_videos_without_telling_names(self, run_cli, tmp_path, recording):
        (tmp_path / "a").mkdir()
        for name in ("left.mp4", "right.mp4"):
            (tmp_path / "a" / name).write_bytes(recording.rgb.read_bytes())
        assert "left.mp4, right.mp4), not one pair named by what it shows" in self.refused(
            run_cli, tmp_path / "a"
        )

    @pytest.mark.parametrize("names", [("visible.mp4", "tir.mp4"), ("walk_rgb.mp4", "walk_thermal.mp4")])
    def test_a_pair_is_not_tracked_by_its_first_stream_alone(self, run_cli, weights, recording, names):
        """What `batch` takes for a pair is one, with ground truth beside it or without."""
        Path("a").mkdir()
        for name, video in zip(names, (recording.rgb, recording.thermal), strict=True):
            Path("a", name).write_bytes(video.read_bytes())
        for words in (["--box", "20,16,16,16"], []):
            if not words:
                Path("a/groundtruth.txt").write_text("20,16,16,16\n" * 12)
            words += ["--weights", weights, "-o", "out", "--no-video", "--overwrite"]
            assert run_cli("track", "a", *words).code == 0
            inputs = read_run_json(Path("out/run.json"))["inputs"]
            assert [Path(one["video"]["path"]).name for one in inputs] == [*names]

    def test_nothing_at_all(self, run_cli, tmp_path):
        (tmp_path / "empty").mkdir()
        assert "the folder holds no pictures" in self.refused(run_cli, tmp_path / "empty")
