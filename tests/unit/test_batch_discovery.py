"""Finding recordings in folders: every convention, everything that is wrong, and links in circles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dmtrack.batch.discovery import find_items
from dmtrack.batch.item import BatchItem, Problem
from dmtrack.errors import DatasetError
from dmtrack.video.frame import Modality

BOX = "10,20,30,40\n"


def make(root: Path, *names: str) -> None:
    """Make files; text files hold a box, a name that ends with `/` is a folder of two pictures."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
            for number in range(2):
                (path / f"{number:04}.png").touch()
        elif path.suffix == ".txt":
            path.write_text(BOX * 2)
        else:
            path.touch()


def found(root: Path, modality: Modality | None = None) -> dict[str, BatchItem | str]:
    entries = find_items(root, modality=modality).entries
    assert len({entry.id for entry in entries}) == len(entries)
    return {entry.id: entry.reason if isinstance(entry, Problem) else entry for entry in entries}


def streams(root: Path, entry: BatchItem | str) -> tuple[str, str | None, str | None]:
    assert isinstance(entry, BatchItem), entry
    aux = None if entry.aux is None else entry.aux.relative_to(root).as_posix()
    return entry.rgb.relative_to(root).as_posix(), aux, entry.modality


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(
            ["s/rgb.mp4", "s/thermal.mkv", "s/groundtruth.txt"],
            {"s": ("s/rgb.mp4", "s/thermal.mkv", "thermal")},
            id="a-clip-of-a-known-layout",
        ),
        pytest.param(
            ["x/y/visible/", "x/y/infrared/", "x/y/visible.txt"],
            {"x/y": ("x/y/visible", "x/y/infrared", "thermal")},
            id="a-data-set-nested",
        ),
        pytest.param(
            ["a_rgb.mp4", "a_thermal.mkv", "a.txt", "b c_RGB.avi", "b c_depth/", "b c_groundtruth.txt"],
            {
                "a": ("a_rgb.mp4", "a_thermal.mkv", "thermal"),
                "b c": ("b c_RGB.avi", "b c_depth", "depth"),
            },
            id="pairs-by-name",
        ),
        pytest.param(
            [
                *("x_rgb_left.mp4", "x_thermal_left.mkv", "x_left.txt", "x_RGB_right/", "x_ir_right/"),
                *("x_right.txt", "b_ir_1.mp4", "b_ir_1.txt", "b_ir_2.mp4", "b_ir_2.txt"),
                *("p/rgb/y_rgb_1.mp4", "p/rgb/y_rgb_1.txt", "p/depth/y_depth_1.mkv"),
            ],
            {
                "x_left": ("x_rgb_left.mp4", "x_thermal_left.mkv", "thermal"),
                "x_right": ("x_RGB_right", "x_ir_right", "thermal"),
                "b_ir_1": ("b_ir_1.mp4", None, None),
                "b_ir_2": ("b_ir_2.mp4", None, None),
                "p/y_1": ("p/rgb/y_rgb_1.mp4", "p/depth/y_depth_1.mkv", "depth"),
            },
            id="the-word-amid",
        ),
        pytest.param(
            ["rgb_1/", "tir_1/", "rgb_1.txt"], {"1": ("rgb_1", "tir_1", "thermal")}, id="the-word-in-front"
        ),
        pytest.param(
            ["r/visible.mp4", "r/tir.mp4", "r/visible.txt", "r/a_rgb.mp4", "r/a_tir.mp4", "r/a.txt"]
            + ["s/rgb.mp4", "s/depth/", "s/groundtruth.txt", "s/b_rgb/", "s/b_tir/", "s/b.txt"],
            {
                "r": ("r/visible.mp4", "r/tir.mp4", "thermal"),
                "r/a": ("r/a_rgb.mp4", "r/a_tir.mp4", "thermal"),
                "s": ("s/rgb.mp4", "s/depth", "depth"),
                "s/b": ("s/b_rgb", "s/b_tir", "thermal"),
            },
            id="pairs-beside-a-pair-without-a-name",
        ),
        pytest.param(
            ["d/color.mp4", "d/event.mp4", "d/groundtruth.txt"],
            {"d": ("d/color.mp4", "d/event.mp4", "event")},
            id="words-of-no-layout",
        ),
        pytest.param(
            [
                *("d/color.mp4", "d/tir.mp4", "d/color.txt"),
                *("d/a_vis.mp4", "d/a_ir.mp4", "d/a.txt", "d/b.mp4", "d/b.txt"),
            ],
            {
                "d": ("d/color.mp4", "d/tir.mp4", "thermal"),
                "d/a": ("d/a_vis.mp4", "d/a_ir.mp4", "thermal"),
                "d/b": ("d/b.mp4", None, None),
            },
            id="words-of-no-layout-beside-others",
        ),
        pytest.param(
            ["rgb/a.mp4", "rgb/a.txt", "thermal/a.mkv", "rgb/b/", "thermal/b/", "annotations/b.txt"],
            {"a": ("rgb/a.mp4", "thermal/a.mkv", "thermal"), "b": ("rgb/b", "thermal/b", "thermal")},
            id="parallel-folders",
        ),
        pytest.param(
            [
                "rgb/a_rgb.mp4",
                "rgb/a_rgb.txt",
                "thermal/a_thermal.mkv",
                "rgb/ir_1.mp4",
                "thermal/ir_1.mkv",
                "ir_1.txt",
            ],
            {
                "a": ("rgb/a_rgb.mp4", "thermal/a_thermal.mkv", "thermal"),
                "ir_1": ("rgb/ir_1.mp4", "thermal/ir_1.mkv", "thermal"),
            },
            id="parallel-folders-whose-word-is-in-the-names",
        ),
        pytest.param(
            ["c/img/", "c/groundtruth_rect.txt", "walk.mp4", "walk.txt"],
            {"c": ("c/img", None, None), "walk": ("walk.mp4", None, None)},
            id="one-stream-alone",
        ),
        pytest.param(["rgb_bag/", "rgb_bag/groundtruth.txt"], {"rgb_bag": ("rgb_bag", None, None)}, id="vot"),
        pytest.param(
            ["-a b/ü_rgb.mp4", "-a b/ü_ir.mp4", "-a b/ü.txt"],
            {"-a b/ü": ("-a b/ü_rgb.mp4", "-a b/ü_ir.mp4", "thermal")},
            id="unusual-names",
        ),
    ],
)
def test_conventions(tmp_path, names, expected):
    make(tmp_path, *names)
    assert {item_id: streams(tmp_path, entry) for item_id, entry in found(tmp_path).items()} == expected


@pytest.mark.parametrize("suffix", [".m2ts", ".FLV", ".3gp", ".y4m", ".h264", ".mjpeg", ".Nut", ".vob"])
def test_a_recording_is_found_whatever_its_container(tmp_path, suffix):
    """`track` read all of them; a batch passed them by without a word."""
    make(tmp_path, f"d/rgb{suffix}", f"d/thermal{suffix}", "d/groundtruth.txt", "e/walk.mp4", "e/walk.txt")
    expected = (f"d/rgb{suffix}", f"d/thermal{suffix}", "thermal")
    assert streams(tmp_path, found(tmp_path)["d"]) == expected


def test_boxes_are_those_of_the_recording(tmp_path):
    make(tmp_path, "a_rgb.mp4", "a_ir.mp4", "b_rgb.mp4", "b_ir.mp4", "groundtruth.txt")
    (tmp_path / "b.txt").write_text("nan,nan,nan,nan\n0,0,0,0\n1,2,3,4\n")
    entries = found(tmp_path)
    assert "no start box is known" in str(entries["a"]), "groundtruth.txt may be about either"
    assert isinstance(entries["b"], BatchItem)
    assert (str(entries["b"].boxes[0]), str(entries["b"].start)) == ("1,2,3,4", "2"), (
        "the first that is a box"
    )


@pytest.mark.parametrize("row", ["1700000000.1", "1 0.03 1.png", "1 1 2 3 0.6574 0.6126 -0.2949 -0.3248"])
def test_times_of_a_stream_beside_it_are_not_its_boxes(tmp_path, row):
    make(tmp_path, "a_rgb.mp4", "a_ir.mp4", "a.txt", "b_rgb.mp4", "b_ir.mp4")
    for name in ("a_rgb", "a_ir", "b_rgb", "b"):
        (tmp_path / f"{name}.txt").write_text(f"{row}\n{row}\n")
    entries = found(tmp_path)
    assert streams(tmp_path, entries["a"]) == ("a_rgb.mp4", "a_ir.mp4", "thermal")
    assert "no start box is known" in str(entries["b"])


def test_several_targets(tmp_path):
    make(
        tmp_path,
        "s/color/",
        "s/depth/",
        "s/groundtruth_cup.txt",
        "t/color/",
        "t/depth/",
        "t/groundtruth_a.txt",
    )
    (tmp_path / "s" / "groundtruth_hat.txt").write_text("1,2,3,4\n1,2,3,4\n")
    (tmp_path / "t" / "groundtruth_b.txt").write_text("nan,nan,nan,nan\n1,2,3,4\n")
    entries = found(tmp_path)
    together = entries["s"]
    assert isinstance(together, BatchItem)
    assert [str(box) for box in together.boxes] == ["10,20,30,40", "1,2,3,4"], "they start together"
    late = entries["t_b"]
    assert isinstance(late, BatchItem)
    assert str(late.start) == "1"
    assert set(entries) == {"s", "t_a", "t_b"}, "these do not"


@pytest.mark.parametrize(
    ("names", "item_id", "reason"),
    [
        pytest.param(["a_rgb.mp4"], "a_rgb.mp4", "no second stream goes with it", id="no-partner"),
        pytest.param(["a_thermal.mp4"], "a_thermal.mp4", "no RGB stream goes with it", id="no-rgb"),
        pytest.param(["s/rgb.mp4", "s/thermal.mp4"], "s", "no start box is known", id="no-box"),
        pytest.param(["film.mp4"], "film", "no start box is known", id="a-film-without-box"),
        pytest.param(["s/pictures/"], "s/pictures", "no start box is known", id="pictures-without-box"),
        pytest.param(
            ["a_rgb.mp4", "a_depth.mp4", "a_ir.mp4"],
            "a_rgb.mp4",
            "several second streams: a_depth.mp4, a_ir.mp4; choose one with --modality",
            id="ambiguous",
        ),
    ],
)
def test_what_cannot_be_tracked(tmp_path, names, item_id, reason):
    make(tmp_path, *names)
    entries = found(tmp_path)
    assert list(entries) == [item_id]
    assert reason in str(entries[item_id])


def test_a_bad_ground_truth_spoils_only_its_own(tmp_path):
    make(tmp_path, "a/visible/", "a/infrared/", "a/visible.txt", "b_rgb.mp4", "b_ir.mp4", "b.txt")
    (tmp_path / "a" / "visible.txt").write_text("1,2,3\n")
    entries = found(tmp_path)
    assert "row 1 has 3 values" in str(entries["a"])
    assert isinstance(entries["b"], BatchItem)


def test_modality_chooses_among_second_streams(tmp_path):
    make(tmp_path, "a_rgb.mp4", "a_depth.mp4", "a_ir.mp4", "a.txt", "s/color/", "s/tir/", "s/groundtruth.txt")
    entries = found(tmp_path, Modality.DEPTH)
    assert streams(tmp_path, entries["a"]) == ("a_rgb.mp4", "a_depth.mp4", "depth")
    assert streams(tmp_path, entries["s"]) == ("s/color", None, None)


def test_links_do_not_lead_in_circles(tmp_path):
    root = tmp_path / "all"
    make(root, "s/rgb.mp4", "s/thermal.mp4", "s/groundtruth.txt", "deep/er/x.md")
    (root / "deep" / "er" / "back").symlink_to(root)
    (root / "deep" / "self").symlink_to(root / "deep" / "self")
    (root / "twice").symlink_to(root / "s")
    (root / "gone").symlink_to(tmp_path / "nowhere")
    make(tmp_path, "elsewhere/rgb.mp4", "elsewhere/depth.mp4", "elsewhere/groundtruth.txt")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    findings = find_items(root)
    assert [entry.id for entry in findings.entries] == ["linked", "s"]
    said = {left.path.relative_to(root).as_posix(): left.reason for left in findings.left_out}
    assert set(said) == {"deep/er/back", "deep/self", "gone", "twice"}
    assert said["deep/er/back"] == "a link back"
    assert said["gone"] == said["deep/self"] == "a link that leads nowhere"
    assert said["twice"].startswith("the same folder as")


@pytest.mark.parametrize("name", ["k.zip", "robot.BAG", "robot_0.db3", "phone.r3d", "flight.seq"])
def test_recordings_that_no_folder_tells_of_are_said(tmp_path, name):
    make(tmp_path, "a/rgb.mp4", "a/thermal.mkv", "a/groundtruth.txt", f"a/{name}", "a/notes.md", "b/" + name)
    findings = find_items(tmp_path)
    assert [entry.id for entry in findings.entries] == ["a"]
    said = {one.path.relative_to(tmp_path).as_posix() for one in findings.left_out}
    assert said == {f"a/{name}", f"b/{name}"}


def test_an_unreadable_folder_is_said(tmp_path, monkeypatch):
    make(tmp_path, "locked/rgb.mp4", "s/rgb.mp4", "s/thermal.mp4", "s/groundtruth.txt")
    # the superuser, who may run this test, can read every folder
    list_folder, iterate = os.scandir, Path.iterdir

    def scandir(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return list_folder(path)

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return iterate(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(Path, "iterdir", iterdir)
    entries = found(tmp_path)
    assert entries["locked"] == "cannot be read (Permission denied)"
    assert isinstance(entries["s"], BatchItem)


def test_results_are_not_searched(tmp_path):
    make(tmp_path, "s/rgb.mp4", "s/thermal.mp4", "s/groundtruth.txt", "old/run.json", "old/annotated.mp4")
    make(tmp_path, "out/a/annotated.mp4")
    findings = find_items(tmp_path, exclude=[tmp_path / "out"])
    assert [entry.id for entry in findings.entries] == ["s"]
    assert [left.reason for left in findings.left_out] == ["results of a run"]


def test_no_such_folder(tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        find_items(tmp_path / "none")
