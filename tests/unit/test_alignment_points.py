"""Hand-picked points: what they give, and which row is to blame."""

import json

import numpy as np
import pytest

from dmtrack.alignment.points import PointPair, fit_points, read_point_pairs
from dmtrack.errors import AlignmentError, FormatError
from dmtrack.geometry.homography import Homography

AUX, RGB = (320, 256), (640, 480)
TRUE = Homography.of([[1.8, 0.05, 20], [-0.04, 1.75, 10], [1e-5, 3e-5, 1]], AUX, RGB)


def rows(count, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    aux = rng.uniform((10, 10), (310, 246), (count, 2))
    rgb = TRUE.map_points(aux) + rng.normal(0, noise, (count, 2))
    return np.hstack([aux, np.clip(rgb, 0, (639, 479))]).tolist()


def written(tmp_path, text, name="p.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def as_csv(points, header=False):
    head = ["x_aux,y_aux,x_rgb,y_rgb"] if header else []
    return "\n".join(head + [", ".join(f"{v:.4f}" for v in row) for row in points]) + "\n"


@pytest.mark.parametrize("header", [False, True])
def test_csv_with_and_without_header(tmp_path, header):
    pairs = read_point_pairs(written(tmp_path, as_csv(rows(6), header)))
    fit = fit_points(pairs, AUX, RGB)
    assert fit.alignment.homography.corner_error_px(TRUE) < 0.05
    assert fit.alignment.residual_px < 0.01
    assert fit.alignment.confidence > 0.9


def test_json_lists_and_objects(tmp_path):
    points = rows(5)
    names = ("x_aux", "y_aux", "x_rgb", "y_rgb")
    objects = {"points": [dict(zip(names, row, strict=True)) for row in points]}
    one = read_point_pairs(written(tmp_path, json.dumps(points), "a.json"))
    other = read_point_pairs(written(tmp_path, json.dumps(objects), "b.json"))
    assert one == other


def test_a_mistake_is_named_and_left_out(tmp_path, caplog):
    points = rows(9, noise=0.5)
    points[3][2] -= 60
    fit = fit_points(read_point_pairs(written(tmp_path, as_csv(points, header=True))), AUX, RGB)
    assert [index for index, used in enumerate(fit.used) if not used] == [3]
    assert fit.alignment.homography.corner_error_px(TRUE) < 4
    assert "row 5 lies" in caplog.text


def test_four_points_fit_exactly_and_say_little():
    inside = [[60, 50], [250, 60], [260, 200], [50, 190]]
    pairs = tuple(
        PointPair(row, *aux, *rgb)
        for row, (aux, rgb) in enumerate(zip(inside, TRUE.map_points(inside).tolist(), strict=True), 1)
    )
    fit = fit_points(pairs, AUX, RGB)
    assert fit.alignment.homography.corner_error_px(TRUE) < 1e-3
    assert fit.alignment.confidence == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,2,3,4\n5,6,7\n", "row 2 is not four numbers"),
        ("1,2,3,4\n\n5,6,7,x\n", "row 3 is not four numbers"),
        ("1,2,3,inf\n", "row 1 is not four numbers"),
        ("1,2,3,4\n5,6,7,8\n9,9,9,9\n", "3 point pairs, 4 are needed"),
        ("", "0 point pairs"),
        ('{"points": 3}', "a list of points is needed"),
        ("[[1,2,3,4],[1,2,3,null]]", "row 2 is not four numbers"),
        ("[", "not JSON"),
    ],
)
def test_a_bad_file_names_its_row(tmp_path, text, reason):
    with pytest.raises(FormatError, match=reason):
        read_point_pairs(written(tmp_path, text))


def test_a_point_outside_its_picture_is_named(tmp_path):
    points = rows(5)
    points[2][0] = 400
    pairs = read_point_pairs(written(tmp_path, as_csv(points)))
    with pytest.raises(FormatError, match=r"row 3: aux point 400, .* outside the 320x256 picture"):
        fit_points(pairs, AUX, RGB)


@pytest.mark.parametrize(
    "points",
    [
        [[10 * i, 10 * i, 20 * i, 20 * i] for i in range(1, 8)],
        np.random.default_rng(3).uniform(0, 250, (8, 4)).tolist(),
    ],
    ids=["on a line", "random"],
)
def test_points_that_give_no_alignment(tmp_path, points):
    pairs = read_point_pairs(written(tmp_path, as_csv(points)))
    with pytest.raises(AlignmentError):
        fit_points(pairs, AUX, RGB)
