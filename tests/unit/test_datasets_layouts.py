"""Folders as the data sets are distributed, made here in miniature."""

from __future__ import annotations

import numpy as np
import pytest

from dmtrack.datasets.layouts import find_clips
from dmtrack.datasets.opening import find_sequences
from dmtrack.errors import DatasetError, FormatError, InputError
from dmtrack.video.frame import Modality

ROWS = "10,20,30,40\n11,21,30,40\n12,22,30,40\n"


@pytest.fixture
def build(tmp_path):
    def _build(tree, root="clip"):
        """Make files: a number of pictures for a folder (`visible/`), a text for a file."""
        folder = tmp_path / root
        for name, content in tree.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, int):
                path.mkdir(exist_ok=True)
                suffix = "bmp" if "imgs" in name else "jpg"
                for index in range(content):
                    (path / f"{index + 1:08d}.{suffix}").touch()
            else:
                path.write_text(content)
        return folder

    return _build


@pytest.mark.parametrize(
    ("tree", "layout", "modality", "streams"),
    [
        ({"visible": 3, "infrared": 3, "visible.txt": ROWS, "infrared.txt": ROWS, "init.txt": ROWS},
         "lasher", Modality.THERMAL, ("visible", "infrared")),
        ({"visible": 3, "infrared": 3, "init.txt": ROWS},
         "lasher", Modality.THERMAL, ("visible", "infrared")),
        ({"v": 3, "i": 3, "groundTruth_v.txt": "10 20 40 60\n" * 3, "groundTruth_i.txt": "10 20 40 60\n" * 3},
         "gtot", Modality.THERMAL, ("v", "i")),
        ({"rgb": 3, "ir": 3, "rgb.txt": "10 20 30 40\n" * 3, "ir.txt": ROWS},
         "vtuav", Modality.THERMAL, ("rgb", "ir")),
        ({"color": 3, "depth": 3, "groundtruth.txt": ROWS}, "depthtrack", Modality.DEPTH, ("color", "depth")),
        ({"color": 3, "depth": 3, "groundtruth.txt": ROWS, "sequence": "fps=30"},
         "vot-rgbd", Modality.DEPTH, ("color", "depth")),
        ({"color": 3, "ir": 3, "groundtruth.txt": ROWS}, "vot-rgbt", Modality.THERMAL, ("color", "ir")),
        ({"vis_imgs": 3, "event_imgs": 3, "groundtruth.txt": ROWS, "absent_label.txt": "1\n1\n1\n"},
         "visevent", Modality.EVENT, ("vis_imgs", "event_imgs")),
        ({"dvSave_1_aps": 3, "dvSave_1_dvs": 3, "groundtruth.txt": ROWS},
         "coesot", Modality.EVENT, ("dvSave_1_aps", "dvSave_1_dvs")),
        ({"rgb.mp4": "", "thermal.mkv": "", "groundtruth.txt": ROWS},
         "plain", Modality.THERMAL, ("rgb.mp4", "thermal.mkv")),
        ({"rgb.mp4": "", "depth": 3, "groundtruth.txt": ROWS}, "plain", Modality.DEPTH, ("rgb.mp4", "depth")),
        ({"rgb": 3, "event": 3, "groundtruth.txt": ROWS}, "plain", Modality.EVENT, ("rgb", "event")),
        ({"color": 3, "Tir": 3, "groundtruth.txt": ROWS}, "plain", Modality.THERMAL, ("color", "Tir")),
        ({"vis.mp4": "", "lwir.mkv": "", "groundtruth.txt": ROWS},
         "plain", Modality.THERMAL, ("vis.mp4", "lwir.mkv")),
    ],
    ids=["lasher", "rgbt210", "gtot", "vtuav", "depthtrack", "vot-rgbd", "vot-rgbt", "visevent", "coesot",
         "two videos", "video and folder", "two folders", "other words", "videos of other words"],
)  # fmt: skip
def test_two_streams(build, tree, layout, modality, streams):
    folder = build(tree)
    sequence = find_sequences(folder)[0]
    assert (sequence.layout, sequence.modality, sequence.name) == (layout, modality, "clip")
    assert sequence.sources() == tuple(folder / name for name in streams)
    assert sequence.start_box.xywh == (10, 20, 30, 40)
    assert len(sequence) == 3


@pytest.mark.parametrize(
    ("tree", "root", "box"),
    [
        ({"img": 3, "groundtruth_rect.txt": ROWS}, "Walking", (9, 19, 30, 40)),
        ({".": 3, "groundtruth.txt": "10,20,40,20,40,60,10,60\n" * 3}, "bag", (9, 19, 30, 40)),
        ({".": 3, "groundtruth.txt": ROWS}, "bag", (10, 20, 30, 40)),
        ({"rgb.mp4": "", "groundtruth.txt": ROWS}, "clip", (10, 20, 30, 40)),
        ({"infrared": 3, "groundtruth.txt": ROWS}, "clip", (10, 20, 30, 40)),
        ({"a.avi": "", "a.txt": ROWS}, "tir_clip", (10, 20, 30, 40)),
        ({"a.avi": "", "a.txt": ROWS}, "stirring", (10, 20, 30, 40)),
    ],
    ids=[
        "otb",
        "vot polygons",
        "pictures",
        "video",
        "thermal folder",
        "thermal by name",
        "only part of a word",
    ],
)
def test_one_stream(build, tree, root, box):
    sequence = find_sequences(build(tree, root))[0]
    assert (sequence.modality, len(sequence.aux_paths)) == (None, 0)
    np.testing.assert_allclose(sequence.start_box.xywh, box)


def test_a_clip_is_found_once_whatever_links_lead_back(build, tmp_path):
    folder = build({"a/x/img": 3, "a/x/groundtruth.txt": ROWS}, "data")
    for name, target in {"a/loop": "data", "a/here": "data/a", "a/above": ".", "b": "data/a/loop"}.items():
        (folder / name).symlink_to(tmp_path / target)
    (folder / "c").symlink_to(folder / "c")
    assert [one.folder for one in find_clips(folder)] == [folder / "a" / "x"]


def test_visevent_starts_at_the_first_frame_with_the_target(build):
    tree = {"vis_imgs": 3, "event_imgs": 3, "groundtruth.txt": ROWS, "absent_label.txt": "0\n1\n0\n"}
    sequence = find_sequences(build(tree))[0]
    assert sequence.start_frame == 1
    assert sequence.visible.tolist() == [False, True, False]
    assert sequence.start_box.xywh == (11, 21, 30, 40)


def test_vtuav_rows_of_every_tenth_frame_find_their_frames(build):
    rows = "10 20 30 40\n11 21 30 40\n12 22 30 40\n"
    sequence = find_sequences(build({"rgb": 25, "ir": 25, "rgb.txt": rows, "ir.txt": rows}))[0]
    assert np.flatnonzero(sequence.visible).tolist() == [0, 10, 20]
    assert sequence.annotation_step == 10
    assert sequence.box(20).xywh == (12, 22, 30, 40)


def test_otb_pictures_beyond_the_ground_truth_are_left_out(build):
    sequence = find_sequences(build({"img": 5, "groundtruth_rect.txt": ROWS}))[0]
    assert [p.name for p in sequence.rgb_paths] == ["00000001.jpg", "00000002.jpg", "00000003.jpg"]
    david = find_sequences(build({"img": 302, "groundtruth_rect.txt": ROWS}, "David"))[0]
    assert (sequence.source_start, david.source_start) == (0, 299)
    assert [p.name for p in david.rgb_paths] == ["00000300.jpg", "00000301.jpg", "00000302.jpg"]


def test_several_targets_are_several_sequences(build):
    folder = build({"color": 3, "depth": 3, "groundtruth_cube.txt": ROWS, "groundtruth_dragon.txt": ROWS})
    assert [s.name for s in find_sequences(folder)] == ["clip_cube", "clip_dragon"]


@pytest.mark.parametrize(
    ("tree", "error", "message"),
    [
        ({"readme.md": ""}, DatasetError, "no annotated clip of a known layout"),
        ({"visible": 3, "infrared": 3}, DatasetError, "there is no ground truth"),
        ({"visible": 3, "infrared": 2, "visible.txt": ROWS},
         DatasetError, "3 pictures in visible, but 2 in infrared"),
        ({"color": 4, "depth": 4, "groundtruth.txt": ROWS},
         DatasetError, "4 pictures, but 3 rows of ground truth"),
        ({"color": 3, "depth": 3, "groundtruth.txt": "0,0,0,0\n" * 3}, DatasetError, "visible in no frame"),
        ({"color": 3, "depth": 3, "groundtruth.txt": "1,2,3\n" * 3}, FormatError, "row 1 has 3 values"),
        ({"vis_imgs": 3, "event_imgs": 3, "groundtruth.txt": ROWS, "absent_label.txt": "1\n"},
         DatasetError, "1 flags, but 3 boxes"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_clip_is_said(build, tree, error, message):
    with pytest.raises(error, match=message):
        find_sequences(build(tree))[0]


def test_find_goes_down_and_keeps_the_order_of_names(build, tmp_path):
    clip = {"visible": 3, "infrared": 3, "visible.txt": ROWS}
    for root in ("set/train/b", "set/train/a", "set/test/c"):
        build(clip, root)
    build({"notes": 2}, "set/other")
    assert [s.name for s in find_sequences(tmp_path / "set")] == ["c", "a", "b"]


def test_folders_of_clips_called_like_streams_are_no_clip(build, tmp_path):
    build({"img": 3, "groundtruth_rect.txt": ROWS}, "set/rgb/walk")
    build({"color": 3, "depth": 3, "groundtruth.txt": ROWS}, "set/depth/cup")
    assert [s.name for s in find_sequences(tmp_path / "set")] == ["cup", "walk"]


def test_bad_clips_are_handed_over_and_left_out(build, tmp_path):
    build({"visible": 3, "infrared": 3, "visible.txt": ROWS}, "set/good")
    build({"visible": 3, "infrared": 2, "visible.txt": ROWS}, "set/bad")
    with pytest.raises(DatasetError, match="3 pictures in visible"):
        find_sequences(tmp_path / "set")
    errors: list[InputError] = []
    found = find_sequences(tmp_path / "set", on_error=errors.append)
    assert [s.name for s in found] == ["good"]
    assert [str(tmp_path / "set" / "bad") in str(error) for error in errors] == [True]


def test_nothing_found_and_nowhere_to_look(build, tmp_path):
    build({"pictures": 3}, "set")
    with pytest.raises(DatasetError, match="no annotated clip"):
        find_sequences(tmp_path / "set")
    with pytest.raises(DatasetError, match="no such folder"):
        find_sequences(tmp_path / "nowhere")
