"""Homographies that no camera can have are refused, and alignment files say in one line what is wrong."""

import json

import numpy as np
import pytest
from clips import written

from dmtrack.errors import FormatError
from dmtrack.geometry.alignment_file import Alignment, read_alignment
from dmtrack.geometry.homography import Homography

AUX, RGB = (320, 240), (640, 480)


def test_stretch_maps_the_outer_edges_onto_each_other():
    corners = Homography.stretch(AUX, RGB).map_points([[-0.5, -0.5], [319.5, 239.5]])
    assert corners == pytest.approx(np.array([[-0.5, -0.5], [639.5, 479.5]]))


def test_scale_of_the_matrix_plays_no_part():
    matrix = Homography.stretch(AUX, RGB).matrix
    assert Homography.of(-3 * matrix, AUX, RGB) == Homography.of(matrix, AUX, RGB)


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        ([[np.nan, 0, 0], [0, 1, 0], [0, 0, 1]], "finite"),
        ([[1, 0, 0], [0, 1, 0]], "3x3"),
        ([[1, 0, 0], [0, 1, 0], [0, 0, 0]], "infinity"),
        ([[-1, 0, 319], [0, 1, 0], [0, 0, 1]], "mirrors or flattens"),
        ([[1, 0, 0], [1, 0, 0], [0, 0, 1]], "mirrors or flattens"),
        ([[1, 0, 0], [0, 1, 0], [-0.01, 0, 1]], "folds"),
    ],
    ids=["nan", "shape", "infinity", "mirror", "singular", "horizon inside"],
)
def test_what_no_camera_does_is_refused(matrix, reason):
    with pytest.raises(FormatError, match=reason):
        Homography.of(matrix, AUX, RGB)


def test_a_camera_on_its_side_is_fine():
    turned = Homography.of([[0, -1, 239], [1, 0, 0], [0, 0, 1]], AUX, RGB)
    assert turned.corners()[0] == pytest.approx([239, 0])


def test_corner_error_is_the_mean_distance():
    base = Homography.of(np.eye(3), AUX, RGB)
    moved = Homography.of([[1, 0, 3], [0, 1, -4], [0, 0, 1]], AUX, RGB)
    assert base.corner_error_px(moved) == pytest.approx(5)


def test_overlap_counts_only_what_lies_inside():
    half = np.array([[1, 0, 319.5], [0, 1, 0], [0, 0, 1]])
    assert Homography.of(np.eye(3), RGB, RGB).overlap() == pytest.approx(1)
    assert Homography.of(half, RGB, RGB).overlap() == pytest.approx(0.5)


class TestFile:
    def test_what_is_written_is_read(self, tmp_path):
        homography = Homography.of([[1.9, 0.1, 3], [-0.1, 2.1, 4], [1e-5, 2e-5, 1]], AUX, RGB)
        alignment = Alignment(homography, "points", 0.5, 0.9, -123.4)
        (tmp_path / "a.json").write_text(alignment.to_json())
        assert read_alignment(tmp_path / "a.json") == alignment

    def test_matrix_and_sizes_are_enough(self, tmp_path):
        document = {"matrix": np.eye(3).tolist(), "aux_size": [320, 240], "rgb_size": [640, 480]}
        (tmp_path / "a.json").write_text(json.dumps(document))
        assert read_alignment(tmp_path / "a.json").offset_ms is None

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"matrix": None}, "'matrix' is not three rows"),
            ({"matrix": [[1, 0, 0], [0, "1", 0], [0, 0, 1]]}, "'matrix' is not three rows"),
            ({"matrix": [[1, 0, 0], [0, True, 0], [0, 0, 1]]}, "'matrix' is not three rows"),
            ({"aux_size": [320]}, "'aux_size' is not a width and a height"),
            ({"rgb_size": [640, -1]}, "'rgb_size' is not a width and a height"),
            ({"version": 2}, "version 2 is not 1"),
            ({"format": "coco"}, "format 'coco' is not"),
            ({"ofset_ms": 3}, "unknown field 'ofset_ms'"),
            ({"offset_ms": "3"}, "'offset_ms' is not a number"),
            ({"confidence": 7}, "confidence 7 is not between"),
            ({"matrix": [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]}, "mirrors"),
        ],
    )
    def test_a_wrong_field_is_one_line_with_the_file(self, tmp_path, change, reason):
        document = {"matrix": np.eye(3).tolist(), "aux_size": [320, 240], "rgb_size": [640, 480], **change}
        path = written(tmp_path / "a.json", json.dumps(document))
        with pytest.raises(FormatError, match=reason) as caught:
            read_alignment(path)
        assert str(caught.value).startswith(f"{path}: ")

    @pytest.mark.parametrize("text", ["", "[1]", "{", "\x00", "[" * 100_000])
    def test_what_is_no_object_is_refused(self, tmp_path, text):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(FormatError):
            read_alignment(tmp_path / "a.json")

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(FormatError, match="cannot be read"):
            read_alignment(tmp_path / "none.json")
