"""Ground truth of whole benchmarks, and which benchmark it is of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dmtrack.datasets.annotations import LASHER_ATTRIBUTES, read_annotations
from dmtrack.errors import DatasetError
from dmtrack.evaluation.benchmarks import BenchmarkName, benchmark_of

ROWS = "10,20,30,40\n11,20,30,40\n0,0,0,0\n"


def made(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("files", "benchmark"),
    [
        ({"x/visible.txt": ROWS, "x/infrared.txt": ROWS, "x/init.txt": ROWS}, BenchmarkName.LASHER),
        ({"afterrain/visible.txt": ROWS, "afterrain/infrared.txt": ROWS}, BenchmarkName.RGBT234),
        ({"gt/10runone.txt": ROWS, "Tracker/10runone.txt": ROWS}, BenchmarkName.LASHER),
        ({"x/rgb.txt": ROWS, "x/ir.txt": ROWS}, BenchmarkName.VTUAV),
        ({"x/groundtruth.txt": ROWS, "x/absent_label.txt": "1\n1\n0\n"}, BenchmarkName.VISEVENT),
        ({"gt_rect/x.txt": ROWS, "absent/x.txt": "0\n0\n1\n"}, BenchmarkName.VISEVENT),
        ({"x/groundtruth.txt": ROWS, "x/depth/a.png": "", "x/color/a.jpg": ""}, BenchmarkName.DEPTHTRACK),
        (
            {"x/groundtruth.txt": ROWS, "x/sequence": "", "x/anchor.value": "1\n0\n-1\n"},
            BenchmarkName.VOT_RGBD22,
        ),
        ({"x/groundtruth_rect.txt": ROWS}, BenchmarkName.OPE),
        ({"x/rgb.txt": ROWS, "x/ir.txt": ROWS, "y/groundtruth.txt": ROWS}, BenchmarkName.OPE),
    ],
)
def test_benchmarks_are_recognised(files, benchmark, tmp_path):
    data = read_annotations(made(tmp_path / "data", files))
    assert benchmark_of(data).name is benchmark


def test_rows_keep_the_numbers_of_the_file(tmp_path):
    (one,) = read_annotations(made(tmp_path, {"gt/x.txt": ROWS})).sequences
    assert one.truth[2].tolist() == [0, 0, 0, 0]


def test_gtot_has_corners_and_two_truths(tmp_path):
    files = {"x/groundTruth_v.txt": "10 20 40 60\n", "x/groundTruth_i.txt": "11 20 41 60\n"}
    data = read_annotations(made(tmp_path, files))
    assert [truth.tolist() for truth in data.sequences[0].truths] == [[[10, 20, 30, 40]], [[11, 20, 30, 40]]]
    assert benchmark_of(data).name is BenchmarkName.GTOT


def test_flags_of_the_visevent_toolkit_are_turned_round(tmp_path):
    files = {"gt_rect/x.txt": ROWS, "absent/x.txt": "0\n0\n1\n"}
    (one,) = read_annotations(made(tmp_path, files)).sequences
    assert one.present is not None
    assert one.present.tolist() == [True, True, False]


def test_several_targets_and_what_vot_says(tmp_path):
    files = {
        "x/groundtruth_a.txt": ROWS,
        "x/groundtruth_b.txt": ROWS,
        "x/sequence": "width=64\nheight=48\n",
        "x/anchor.value": "1\n0\n-1\n",
    }
    data = read_annotations(made(tmp_path, files))
    assert [one.name for one in data.sequences] == ["x_a", "x_b"]
    assert data.sequences[0].size == (64, 48)
    assert np.array_equal(data.sequences[0].anchors, [1, 0, -1])


def test_attributes(tmp_path):
    flags = ",".join("1" if name in ("NO", "ARC") else "0" for name in LASHER_ATTRIBUTES)
    files = {
        "gt/x.txt": ROWS,
        "AttriSeqsTxt/x.txt": flags,
        "attr_txt/SequencesName.txt": "x\ny\n",
        "attr_txt/LI.txt": "1\n0\n",
        "attr_txt/FM.txt": "0\n1\n",
    }
    (one,) = read_annotations(made(tmp_path / "lasher", files)).sequences
    assert one.attributes == {"NO", "ARC", "LI"}
    (two,) = read_annotations(
        made(tmp_path / "sets" / "otb", {"x/groundtruth.txt": ROWS, "x/attrs.txt": "SV, OCC"})
    ).sequences
    assert two.attributes == {"SV", "OCC"}


SIZED = {"x/groundtruth.txt": ROWS, "y/groundtruth.txt": ROWS, "y/sequence": "width=9px\nheight=8\n"}


@pytest.mark.parametrize(
    ("files", "said"),
    [({"gt/x.txt": ROWS, "gt/y.txt": "1,2,3\n"}, "y.txt"), (SIZED, "no size of its pictures")],
)
def test_a_damaged_sequence_is_left_out_and_said(tmp_path, caplog, files, said):
    data = read_annotations(made(tmp_path, files))
    assert data.names == {"x"}
    assert said in caplog.text


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="ground truth"):
        read_annotations(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        read_annotations(tmp_path / "nowhere")


_APPLE = "\0\5\x16\7" + "\udcff\udcfe" * 40


@pytest.mark.parametrize(
    "files",
    [
        {"gt/x.txt": ROWS, "gt/._x.txt": _APPLE},
        {"truths/x.txt": ROWS, "__MACOSX/truths/._x.txt": _APPLE, ".DS_Store": _APPLE, "Thumbs.db": _APPLE},
        {"x/groundtruth.txt": ROWS, "x/occlusion.tag": "0\n1\n0\n", "x/._occlusion.tag": _APPLE},
        {
            "x/init.txt": ROWS,
            "attr_txt/SequencesName.txt": "x",
            "attr_txt/LI.txt": "1",
            "attr_txt/._LI.txt": _APPLE,
        },
    ],
    ids=["copies", "beside-a-wrapper", "tags", "attributes"],
)
def test_what_systems_leave_beside_files_is_passed_over(files, tmp_path, caplog):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
    assert read_annotations(tmp_path).names == {"x"}
    assert not caplog.text


def test_a_link_back_is_not_followed(tmp_path, caplog):
    made(tmp_path / "data", {"a/x/groundtruth.txt": ROWS, "b/y/groundtruth.txt": ROWS})
    for name, target in {"a/loop": "data", "a/here": "data/a", "b/above": "."}.items():
        (tmp_path / "data" / name).symlink_to(tmp_path / target)
    assert read_annotations(tmp_path / "data").names == {"x", "y"}
    assert not caplog.text
