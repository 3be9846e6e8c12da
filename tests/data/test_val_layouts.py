"""Every annotated target of the real clips comes out right: frames, first box, modality, streams."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dmtrack.datasets.ground_truth import box_at, find_ground_truth, read_boxes
from dmtrack.datasets.opening import find_sequences
from dmtrack.video.frame import Modality
from dmtrack.video.pairing import open_pair

pytestmark = pytest.mark.data

# name, modality, layout, frames, first box (0-based pixels)
EXPECTED = [
    ("rgb_Crossing", None, "otb", 120, (204, 150, 17, 50)),
    ("rgb_DragonBaby", None, "otb", 113, (159, 82, 56, 65)),
    ("rgb_bag", None, "vot", 196, (291.23, 127.36, 145.96, 132.47)),
    ("rgbd_visp_cube", Modality.DEPTH, "depthtrack", 50, (196.3, 245.0, 143.4, 121.3)),
    ("rgbd_visp_dragon", Modality.DEPTH, "depthtrack", 50, (452, 282, 126, 97)),
    ("rgbe_davis346_road_carA", Modality.EVENT, "plain", 4, (51.5, 225, 32, 16)),
    ("rgbe_davis346_road_carB", Modality.EVENT, "plain", 4, (204, 160, 27, 13.3)),
    ("rgbt_bus1", Modality.THERMAL, "vtuav", 41, (292.5, 47, 33, 41.5)),
    ("tir_antiuav_18", None, "plain", 426, (421.33, 352.33, 11.33, 5.68)),
]


def test_exactly_the_annotated_targets_are_found(val_sequences):
    assert list(val_sequences) == [row[0] for row in EXPECTED]


@pytest.mark.parametrize(("name", "modality", "layout", "frames", "box"), EXPECTED, ids=lambda v: str(v)[:16])
def test_target(val_sequences, name, modality, layout, frames, box):
    sequence = val_sequences[name]
    assert (sequence.modality, sequence.layout, len(sequence)) == (modality, layout, frames)
    np.testing.assert_allclose(sequence.start_box.xywh, box, atol=1e-9)
    assert sequence.start_frame == 0
    assert sequence.visible.all()
    in_one_file = modality is Modality.EVENT  # an archive
    assert len(sequence.aux_paths) == (0 if modality is None else 1 if in_one_file else frames)


def test_a_lone_video_is_the_main_stream(val_sequences):
    assert [p.name for p in val_sequences["tir_antiuav_18"].rgb_paths] == ["18.avi"]


def test_pictures_of_both_streams_go_together(val_sequences):
    bus = val_sequences["rgbt_bus1"]
    assert bus.rgb_paths[40].name == "000040.jpg"
    assert bus.aux_paths[40].parent.name == "ir"
    rgb, aux = bus.sources()
    assert (rgb.name, aux.name) == ("rgb", "ir")


def test_boxes_are_centred_inside_the_pictures(val_sequences):
    for sequence in val_sequences.values():
        if sequence.rgb_paths[0].suffix == ".avi":
            continue
        height, width = cv2.imread(str(sequence.rgb_paths[0])).shape[:2]
        centres = sequence.boxes[:, :2] + 0.5 * sequence.boxes[:, 2:]
        assert ((centres > 0) & (centres < (width, height))).all(), sequence.name


def test_event_pictures_show_the_cars_where_the_boxes_are(val_sequences):
    for name in ("rgbe_davis346_road_carA", "rgbe_davis346_road_carB"):
        sequence = val_sequences[name]
        with open_pair(*sequence.sources(), modality=Modality.EVENT) as opened:
            pictures = [pair.image[..., 3:] for pair in opened]
        for picture, (x, y, w, h) in zip(pictures, sequence.boxes, strict=True):
            fired = (picture != 255).any(axis=2)
            inside = fired[round(y) : round(y + h), round(x) : round(x + w)]
            assert fired.shape == (260, 346)
            assert inside.mean() > 10 * fired.mean(), name


def test_polygons_are_bounded_by_their_boxes(shared_data):
    truth = read_boxes(shared_data / "val" / "rgb_bag" / "groundtruth.txt")
    points = truth.rows.reshape(-1, 4, 2) - 1
    np.testing.assert_allclose(points[0, 0], (333.02, 127.36))
    low, high = truth.boxes[:, :2], truth.boxes[:, :2] + truth.boxes[:, 2:]
    np.testing.assert_allclose(points.min(axis=1), low)
    np.testing.assert_allclose(points.max(axis=1), high)


@pytest.mark.parametrize(
    ("source", "files"),
    [
        ("rgb_Crossing/img", ["groundtruth_rect.txt"]),
        ("rgb_bag", ["groundtruth.txt"]),
        ("rgbd_visp/color", ["groundtruth_cube.txt", "groundtruth_dragon.txt"]),
        ("rgbe_davis346_road", ["groundtruth_carA.txt", "groundtruth_carB.txt"]),
        ("rgbt_bus1/rgb", ["rgb.txt"]),
        ("rgbt_bus1/ir", ["ir.txt"]),
        ("tir_antiuav_18/18.avi", ["new_video_18_0.txt"]),
    ],
)
def test_ground_truth_is_found_from_what_track_is_handed(shared_data, source, files):
    found = find_ground_truth(shared_data / "val" / source)
    assert [path.name for path in found] == files
    assert all(box_at(path).area > 0 for path in found)


def test_a_clip_with_two_targets_is_two_sequences(shared_data):
    names = [sequence.name for sequence in find_sequences(shared_data / "val" / "rgbd_visp")]
    assert names == ["rgbd_visp_cube", "rgbd_visp_dragon"]


def test_published_ground_truth_files_read(shared_data, tmp_path):
    import zipfile

    rows = 0
    for name in ("gtot", "rgbt234", "lasher_test"):
        with zipfile.ZipFile(shared_data / "results" / f"{name}.zip") as archive:
            members = [m for m in archive.namelist() if m.startswith("gt/") and m.endswith(".txt")]
            archive.extractall(tmp_path / name, members)
        for member in members:
            truth = read_boxes(tmp_path / name / member)
            rows += len(truth.boxes)
            if name == "gtot":  # left, top, right, bottom
                np.testing.assert_allclose(truth.boxes[:, 2], truth.rows[:, 2] - truth.rows[:, 0])
    assert rows > 450_000
