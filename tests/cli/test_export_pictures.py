"""`dmtrack export --format dataset` and `yolo`: pictures of both streams with the boxes of a run."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from program import csv_rows, write_csv

from dmtrack.atomic import write_atomically
from dmtrack.datasets.opening import find_sequences
from dmtrack.errors import OutputError
from dmtrack.video.frame import Modality

RunCli = Callable[..., Any]
COUNT = 22
ALIGN = {"matrix": [[2.0, 0, 4.5], [0, 2.0, 2.5], [0, 0, 1]], "aux_size": [40, 28], "rgb_size": [96, 64]}


@pytest.fixture(scope="module")
def tracked(tmp_path_factory) -> Path:
    """Where the recording and its results are kept, once they were tracked."""
    return tmp_path_factory.mktemp("tracked") / "all"


@pytest.fixture
def depth_run(run_cli, weights, tracked) -> Path:
    """A run on pictures: 16-bit depth of another size, aligned; a second target from frame 2 on."""
    if not tracked.exists():
        _track_depth(run_cli, weights)
        shutil.copytree(".", tracked)
    shutil.copytree(tracked, ".", dirs_exist_ok=True)
    return Path("street")


def _track_depth(run_cli: RunCli, weights: Path) -> None:
    rng = np.random.default_rng(3)
    kinds: Any = (("rgb", (96, 64), np.uint8), ("depth", (40, 28), np.uint16))
    for name, size, kind in kinds:
        Path(name).mkdir()
        for number in range(COUNT):
            shape = (*size[::-1], 3) if kind is np.uint8 else size[::-1]
            picture = rng.integers(0, np.iinfo(kind).max, shape, kind)
            cv2.imwrite(f"{name}/{number:04d}.png", picture)
    Path("align.json").write_text(json.dumps(ALIGN))
    words = [
        "rgb",
        "depth",
        "--modality",
        "depth",
        "--align",
        "align.json",
        "--weights",
        weights,
        "--no-video",
    ]
    assert run_cli("track", *words, "--box", "20,16,16,16", "-o", "street").code == 0
    rows = csv_rows("street/boxes.csv")
    for row in rows[1:]:
        row["state"] = "tracked"
    more = [{**row, "id": "2", "x": "50", "state": "tracked"} for row in rows[2:]]
    more[-1]["state"] = "lost"
    write_csv("street/boxes.csv", sorted([*rows, *more], key=lambda row: int(row["frame"])))


def boxes_of(run: Path, who: str) -> list[tuple[float, ...]]:
    rows = csv_rows(run / "boxes.csv")
    return [tuple(float(row[side]) for side in "xywh") for row in rows if row["id"] == who]


def test_a_depth_set_has_the_layout_of_depthtrack(run_cli, depth_run):
    outcome = run_cli("export", depth_run, "--format", "dataset", "-o", "set")
    assert outcome.code == 0, outcome.err
    assert outcome.out.split() == ["set/street_id1", "set/street_id2"]
    assert "absent, because a target was lost: 1 frame" in outcome.err
    for name in ("street", "street_001"):
        shutil.copytree(depth_run, f"runs/{name}")
    assert run_cli("export", "runs", "--format", "dataset", "-o", "named").code == 0
    assert run_cli("export", "runs", "--format", "lasher", "-o", "boxes").code == 0
    assert {path.stem for path in Path("boxes").iterdir()} == {path.name for path in Path("named").iterdir()}
    first, second = find_sequences(Path("set"))
    assert (first.layout, first.modality, len(first.rgb_paths)) == ("depthtrack", Modality.DEPTH, COUNT)
    assert first.boxes == pytest.approx(np.array(boxes_of(depth_run, "1")), abs=1e-6)
    assert second.visible.tolist() == [True] * (COUNT - 3) + [False]
    assert [path.name for path in Path("set/street_id2/color").iterdir()].count("00000001.jpg") == 1
    for number in range(5):
        stored = cv2.imread(f"set/street_id1/depth/{number + 1:08d}.png", cv2.IMREAD_UNCHANGED)
        source = cv2.imread(f"depth/{number:04d}.png", cv2.IMREAD_UNCHANGED)
        assert stored.dtype == np.uint16
        expected = np.zeros((64, 96), np.uint16)
        twice = source.repeat(2, axis=0).repeat(2, axis=1)  # pixel 0 of depth lies at 4.5 and 2.5: on 4 and 5
        expected[2:58, 4:84] = twice[:56, :80]
        assert (stored == expected).mean() > 0.95  # a row at the edge may round the other way
        colour = cv2.imread(f"set/street_id1/color/{number + 1:08d}.jpg")
        assert colour.shape == (64, 96, 3)
    again = cv2.imread("set/street_id2/depth/00000001.png", cv2.IMREAD_UNCHANGED)
    assert np.array_equal(again, cv2.imread("set/street_id1/depth/00000003.png", cv2.IMREAD_UNCHANGED))


def test_a_thermal_set_is_tracked_and_scored(run_cli, track, weights):
    assert track("--box", "20,16,16,16", "--no-video").code == 0
    assert run_cli("export", "out", "--format", "dataset", "-o", "set").code == 0
    names = {path.name for path in Path("set/out").iterdir()}
    assert names == {"visible", "infrared", "visible.txt", "infrared.txt", "init.txt"}
    assert (
        Path("set/out/init.txt").read_text() == Path("set/out/visible.txt").read_text().splitlines()[0] + "\n"
    )
    (sequence,) = find_sequences(Path("set"))
    assert (sequence.layout, sequence.modality) == ("lasher", Modality.THERMAL)
    assert run_cli("track", "set/out", "--weights", weights, "--no-video", "-o", "again").code == 0
    assert run_cli("export", "again", "--format", "lasher", "-o", "results/out.txt").code == 0
    assert run_cli("evaluate", "results", "--dataset", "set").code == 0


def test_heat_of_a_set_is_read_as_it_was(run_cli, weights):
    """Degrees that were stored as floats became thousandths, which are taken for hundredths of a kelvin."""
    for name in ("rgb", "thermal"):
        Path(name).mkdir()
        for number in range(3):
            noise = np.random.default_rng(number).normal(0, 1, (64, 96)).astype(np.float32)
            noise[16:32, 20:36] += 12
            picture = 25 + noise if name == "thermal" else (128 + 5 * noise).astype(np.uint8)
            cv2.imwrite(f"{name}/{number}.{'tif' if name == 'thermal' else 'png'}", picture)
    words = ("--box", "20,16,16,16", "--weights", weights, "--no-video", "-q")
    assert run_cli("track", "rgb", "thermal", *words, "-o", "run").code == 0
    assert run_cli("export", "run", "--format", "dataset", "-o", "set").code == 0
    assert run_cli("track", "set/run/visible", "set/run/infrared", *words, "-o", "again").code == 0
    first, again = csv_rows("run/boxes.csv")[0], csv_rows("again/boxes.csv")[0]
    for name in ("aux_median", "aux_min", "aux_max"):
        assert float(again[name]) == pytest.approx(float(first[name]), abs=0.02)
    assert float(first["aux_median"]) == pytest.approx(37, abs=0.5)


@pytest.mark.slow
def test_a_set_is_trained_on(run_cli, depth_run):
    """Targets below 10 px are not drawn from DepthTrack, so these are larger."""
    table = depth_run / "boxes.csv"
    sides = r"(?m)^(\d+,[^,]*,[^,]*,[^,]*,\d+),[^,]*,[^,]*,[^,]*,[^,]*"
    table.write_text(re.sub(sides, r"\1,5,5,60,56", table.read_text()))
    assert run_cli("export", depth_run, "--format", "dataset", "-o", "set").code == 0
    words = ["--stage", "foundation", "--steps", "1", "--data", "set", "--workers", "0", "--no-bf16"]
    sizes = ["--template-size", "32", "--search-size", "64", "--batch-size", "2"]
    assert run_cli("train", "-o", "run", *words, *sizes).code == 0
    assert Path("run").is_dir()


def test_yolo_has_both_streams_under_the_same_names(run_cli, depth_run):
    """Their numbers are those of the frames, from 1, as a detector's are read; what is left out is a gap."""
    rows = csv_rows(depth_run / "boxes.csv")
    next(row for row in rows if (row["frame"], row["id"]) == ("9", "2"))["state"] = "lost"
    write_csv(depth_run / "boxes.csv", rows)
    outcome = run_cli("export", depth_run, "--format", "yolo", "-o", "set", "--label", "it's")
    assert outcome.code == 0, outcome.err
    assert "left out, because a target was lost: 2 frames" in outcome.err
    root = Path("set/street")
    listed = {
        kind: sorted(path.stem for path in (root / kind).iterdir())
        for kind in ("images/rgb", "images/second", "labels/rgb", "labels/second")
    }
    assert set(map(tuple, listed.values())) == {tuple(f"street_{n:08d}" for n in range(1, COUNT) if n != 10)}
    boxes = []
    for line in (root / "labels/rgb/street_00000003.txt").read_text().splitlines():
        kind, cx, cy, w, h = map(float, line.split())
        assert (kind, 0 <= cx <= 1, 0 < w <= 1) == (0, True, True)
        boxes.append(((cx - w / 2) * 96, (cy - h / 2) * 64, w * 96, h * 64))
    expected = [boxes_of(depth_run, "1")[2], boxes_of(depth_run, "2")[0]]
    assert np.array(boxes) == pytest.approx(np.array(expected), abs=1e-4)
    assert "names:\n  0: 'it''s'\n" in (root / "data.yaml").read_text()
    stored = cv2.imread(str(root / "images/rgb/street_00000001.png"))
    assert np.array_equal(stored, cv2.imread("rgb/0000.png"))


def edited(table: Path, who: str, change: dict[str, str]) -> None:
    write_csv(table, [{**row, **change} if row["id"] == who else row for row in csv_rows(table)])


def test_crops_are_what_is_in_the_box_in_both_streams(run_cli, depth_run):
    edited(depth_run / "boxes.csv", "1", {"x": "10.2", "y": "8", "w": "19.5", "h": "16"})
    edited(depth_run / "boxes.csv", "2", {"x": "90", "y": "-4", "w": "20", "h": "10"})  # reaches out
    assert run_cli("export", depth_run, "--format", "dataset", "-o", "set").code == 0
    outcome = run_cli("export", depth_run, "--format", "crops", "--every", "3", "-o", "cut")
    assert outcome.code == 0, outcome.err
    assert outcome.out.split() == ["cut/street"]
    assert "left out, because a target was lost: 1 frame" in outcome.err
    names = {path.name for path in Path("cut/street/crops/1").iterdir()}
    assert names == {f"{k:06d}_{stream}.png" for k in range(0, COUNT, 3) for stream in ("rgb", "aux")}
    second = sorted(path.name for path in Path("cut/street/crops/2").iterdir())
    assert second[:2] == ["000002_aux.png", "000002_rgb.png"], "counted from its own first frame"
    for number in (0, 9):
        whole = cv2.imread(f"rgb/{number:04d}.png")
        crop = cv2.imread(f"cut/street/crops/1/{number:06d}_rgb.png")
        assert np.array_equal(crop, whole[8:24, 10:30])
        depth = cv2.imread(f"cut/street/crops/1/{number:06d}_aux.png", cv2.IMREAD_UNCHANGED)
        grid = cv2.imread(f"set/street_id1/depth/{number + 1:08d}.png", cv2.IMREAD_UNCHANGED)
        assert depth.dtype == np.uint16
        assert np.array_equal(depth, grid[8:24, 10:30])
    out = cv2.imread("cut/street/crops/2/000002_rgb.png")
    assert np.array_equal(out, cv2.imread("rgb/0002.png")[0:6, 90:96])


def test_crops_of_a_size_are_squares_around_the_target(run_cli, depth_run):
    edited(depth_run / "boxes.csv", "1", {"x": "10", "y": "10", "w": "20", "h": "8"})
    edited(depth_run / "boxes.csv", "2", {"x": "86", "y": "10", "w": "20", "h": "20"})
    words = ("--format", "crops", "--size", "40", "-o", "cut")
    assert run_cli("export", depth_run, *words).code == 0
    whole, grid = cv2.imread("rgb/0004.png"), "cut/street/crops/1/000004"
    rgb, depth = (cv2.imread(f"{grid}_{stream}.png", cv2.IMREAD_UNCHANGED) for stream in ("rgb", "aux"))
    assert (rgb.shape, depth.shape, depth.dtype) == ((40, 40, 3), (40, 40), np.uint16)
    small = cv2.resize(rgb, (20, 20), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(small - whole[4:24, 10:30]).mean() < 40, "noise, read between its pixels"
    assert set(depth.ravel()) <= {0, *cv2.imread("depth/0004.png", cv2.IMREAD_UNCHANGED).ravel()}
    edge = cv2.imread("cut/street/crops/2/000004_rgb.png")
    assert edge.shape == (40, 40, 3)
    assert not edge[:, 21:].any(), "black where there is no picture"
    assert edge[:, :19].any(axis=2).mean() > 0.99


def test_crops_of_one_stream_alone(run_cli, track):
    assert track("--box", "20,16,16,16", "--no-video", aux=None).code == 0
    outcome = run_cli("export", "out", "--format", "crops", "--every", "5", "-o", "cut")
    assert outcome.code == 0, outcome.err
    assert "note" not in outcome.err
    names = sorted(path.name for path in Path("cut/out/crops/1").iterdir())
    assert names == ["000000_rgb.png", "000005_rgb.png", "000010_rgb.png"]
    assert run_cli("export", "out", "--format", "crops", "-o", "cut").code == 5
    assert run_cli("export", "out", "--format", "crops", "-o", "cut", "--overwrite").code == 0
    assert len(list(Path("cut/out/crops/1").iterdir())) == 12


def test_nothing_is_lost(run_cli, depth_run):
    words = ("export", depth_run, "--format", "dataset", "-o")
    Path("set/street_id2").mkdir(parents=True)
    Path("set/street_id2/notes.txt").write_text("mine")
    run_cli(*words, "set").refused(5, "set/street_id2: this result exists already")
    run_cli(*words, "set", "--overwrite").refused(5, "holds more than an earlier export")
    assert [path.name for path in Path("set").iterdir()] == ["street_id2"]
    Path("set/street_id2/notes.txt").unlink()
    assert run_cli(*words, "set", "--overwrite").code == 0
    assert run_cli(*words, "set", "--overwrite").code == 0
    assert sorted(path.name for path in Path("set").iterdir()) == ["street_id1", "street_id2"]
    for target, folder, names in (
        ("dataset", "street_id1", ("color/00000001.jpg", "depth/00000001.png", "groundtruth.txt")),
        ("yolo", "street", ("images/rgb/a.png", "labels/rgb/a.txt", "data.yaml")),
        ("crops", "street", ("crops/1/000001_rgb.png",)),
    ):
        own = [Path("own", target, folder, name) for name in names]
        for path in own:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("mine")
        outcome = run_cli("export", depth_run, "--format", target, "-o", f"own/{target}", "--overwrite")
        outcome.refused(5, f"holds more than an earlier export as {target}")
        assert {path.read_text() for path in own} == {"mine"}, "a set of somebody's own, of the usual names"
    outcome = run_cli("export", depth_run, "--format", "yolo", "-o", ".", "--overwrite")
    outcome.refused(5, "contains an input")
    assert (depth_run / "run.json").is_file()


@pytest.mark.parametrize("kind", ["crops", "dataset", "yolo", "mcap"])
def test_two_results_of_one_name_are_refused_before_anything_is_written(run_cli, depth_run, kind):
    for place in ("a", "b"):
        shutil.copytree(depth_run, f"two/{place}/street")
    outcome = run_cli("export", "two/a", "two/b", "--format", kind, "-o", "set", "--overwrite")
    outcome.refused(5, "2 results would be written to this place")
    assert not Path("set").exists()


def test_a_full_disk_leaves_nothing_half(run_cli, depth_run, monkeypatch):
    def full(path: Path, data: bytes, *, durable: bool) -> None:
        if path.name == "00000003.png":
            raise OutputError("the disk is full", where=path)
        write_atomically(path, data, durable=durable)

    monkeypatch.setattr("dmtrack.run.picture_export.write_atomically", full)
    outcome = run_cli("export", depth_run, "--format", "dataset", "-o", "set")
    assert outcome.code == 5
    assert "the disk is full" in outcome.err
    assert list(Path("set").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing", "--format", "yolo"], 3, "no run.json is there"),
        (["nothing", "--format", "crops", "--size", "64x64"], 4, "--size 64x64 is no side of crops"),
        (
            ["nothing", "--format", "crops", "--size", "9999"],
            4,
            "--size 9999 is no side of crops (9999 is above",
        ),
        (["nothing", "--format", "crops", "--size", "7"], 4, "--size 7 is no side of crops (7 is below 8)"),
        (["nothing", "--format", "crops", "--every", "0"], 2, "below 1"),
        (["out", "--format", "pascal"], 2, "'pascal' is not one of mot, csv"),
    ],
)
def test_wrong_use_is_said(run_cli, words, code, said):
    Path("nothing").mkdir()
    run_cli("export", *words, "-o", "set").refused(code, said)
    assert not Path("set").exists()


def test_one_stream_alone_is_no_set(run_cli, track):
    assert track("--box", "20,16,16,16", "--no-video", aux=None).code == 0
    run_cli("export", "out", "--format", "dataset", "-o", "set").refused(3, "has one stream")
