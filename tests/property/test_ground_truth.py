"""Whatever boxes are written, in whatever spelling, are the boxes that are read."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dmtrack.datasets.ground_truth import box_at, read_boxes

corner = st.floats(-5000, 5000)
side = st.floats(0.01, 5000)
boxes = st.lists(st.tuples(corner, corner, side, side), min_size=1, max_size=20)
same_folder = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@same_folder
@given(
    rows=boxes,
    separator=st.sampled_from([",", "\t", " ", ";", ", ", "   "]),
    spelling=st.sampled_from(["{!r}", "{:.17e}", "{:.17g}"]),
    newline=st.sampled_from(["\n", "\r\n"]),
    origin=st.sampled_from([0, 1]),
)
def test_boxes_survive_every_spelling(tmp_path, rows, separator, spelling, newline, origin):
    path = tmp_path / "boxes.txt"
    lines = [separator.join(spelling.format(value) for value in row) for row in rows]
    path.write_bytes((newline.join(lines) + newline).encode())
    truth = read_boxes(path, origin=origin)
    np.testing.assert_array_equal(truth.rows, rows)
    np.testing.assert_array_equal(truth.boxes, np.array(rows) - (origin, origin, 0, 0))
    assert box_at(path, len(rows) - 1, origin=origin).xywh == tuple(truth.boxes[-1])


@same_folder
@given(points=arrays(np.float64, (3, 8), elements=st.floats(-1000, 1000)))
def test_a_polygon_touches_all_sides_of_its_box(tmp_path, points):
    path = tmp_path / "polygons.txt"
    np.savetxt(path, points, fmt="%.17g", delimiter=",")
    truth = read_boxes(path, origin=0)
    for polygon, (x, y, w, h) in zip(points.reshape(-1, 4, 2), truth.boxes, strict=True):
        if np.isnan(x):
            assert (np.ptp(polygon, axis=0) <= 0).any()
            continue
        np.testing.assert_allclose(polygon.min(axis=0), (x, y), atol=1e-9)
        np.testing.assert_allclose(polygon.max(axis=0), (x + w, y + h), atol=1e-9)
