"""Boxes in pixels of the second stream lie where its pictures show what the RGB boxes are about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dmtrack.boxes.aux_view import in_aux_pixels
from dmtrack.boxes.results import AbsentTarget, ResultsGatherer
from dmtrack.errors import FormatError
from dmtrack.geometry.box import Box
from dmtrack.geometry.homography import Homography
from dmtrack.video.frame import Modality
from dmtrack.video.second.grid import Fit, grid_by

RGB, AUX = (640, 360), (160, 128)
TILTED = Homography.of([[4.2, 0.1, -20], [-0.05, 3.1, -8], [1e-4, -2e-4, 1]], AUX, RGB)


def a_record(align: Homography | None = None, fit: Fit = Fit.RESIZE) -> dict[str, Any]:
    said = None
    if align is not None:
        said = {"homography": {"rows": align.rows, "aux_size": align.aux_size, "rgb_size": align.rgb_size}}
    videos = [{"width": width, "height": height, "frame_rate": "30"} for width, height in (RGB, AUX)]
    inputs = [{"role": role, "video": video} for role, video in zip(("rgb", "aux"), videos, strict=True)]
    return {"inputs": inputs, "clocks": {"align": said, "fit": fit}}


def mapped(record: dict[str, Any], *boxes: Box) -> Any:
    gatherer = ResultsGatherer()
    for number, box in enumerate(boxes, start=1):
        gatherer.add(0, number, box, 0.5)
    return in_aux_pixels(gatherer.results("a"), record, Path("run"))


@pytest.mark.parametrize(
    ("align", "fit"), [*[(None, fit) for fit in Fit], (TILTED, Fit.RESIZE)], ids=[*Fit, "alignment"]
)
def test_a_box_lies_on_what_is_painted(align, fit):
    picture = np.zeros((AUX[1], AUX[0], 3), np.uint8)
    picture[50:74, 60:100] = 255
    shown = grid_by(align, fit)(picture, RGB, Modality.THERMAL)[..., 0] > 127
    ys, xs = (np.flatnonzero(shown.any(axis=axis)) for axis in (1, 0))
    box = Box(xs[0], ys[0], xs[-1] + 1 - xs[0], ys[-1] + 1 - ys[0])
    done = mapped(a_record(align, fit), box)
    (row,) = done.results.rows
    slack = 3.0 if align else 0.6  # the upright box around an upright box around what is turned
    assert row.box.xyxy == pytest.approx((60, 50, 100, 74), abs=slack)
    assert (done.results.size, done.clipped, done.outside, row.score) == (AUX, 0, 0, 0.5)


def test_what_the_second_camera_does_not_see_is_cut_or_left_out():
    record = a_record(fit=Fit.NONE)  # 160x128 in the middle: from 240, 116
    done = mapped(record, Box(230, 100, 30, 40), Box(0, 0, 30, 40), Box(250, 120, 10, 10))
    assert [row.box for row in done.results.rows] == [Box(0, 0, 20, 24), Box(10, 4, 10, 10)]
    assert (done.clipped, done.outside) == (1, 1)
    assert done.results.frames[0].absent == (AbsentTarget(2, 0.5),)


def test_what_lies_behind_the_second_camera_is_left_out():
    steep = Homography.of([[4.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.02, 0.0, 1.0]], AUX, RGB)
    assert mapped(a_record(steep), Box(500, 10, 100, 100)).outside == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": a_record()["inputs"][:1]}, "only one stream"),
        ({"clocks": {}, "inputs": []}, "only one stream"),
        ({"clocks": {"align": {"homography": {"rows": [[1]]}}}}, "not 3x3 finite numbers"),
        ({"clocks": {"fit": "x"}}, "how the two streams are aligned"),
        ({"inputs": None}, "how the two streams are aligned"),
    ],
)
def test_records_that_say_nothing_are_refused(change, words):
    with pytest.raises(FormatError, match=words) as caught:
        mapped({**a_record(), **change}, Box(1, 1, 10, 10))
    assert str(caught.value).startswith("run/run.json")
