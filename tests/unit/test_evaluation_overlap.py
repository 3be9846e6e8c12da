"""The conventions of overlap that benchmark figures hang on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dmtrack.evaluation.overlap import iou_per_frame, mean_iou
from dmtrack.geometry.box import Box

NAN = math.nan


@pytest.mark.parametrize(
    ("pred", "truth", "iou"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 10, 10), 1 / 3),
        ((0, 0, 1, 1), (0, 0, 2, 1), 0.5),
        ((0, 0, 10, 10), (10, 0, 10, 10), 0.0),
        ((0, 0, 10, 10), (-50, 70, 10, 10), 0.0),
        ((NAN, 0, 10, 10), (0, 0, 10, 10), 0.0),
        ((0, 0, 0, 10), (0, 0, 10, 10), 0.0),
        ((0, 0, 10, 10), (NAN, NAN, NAN, NAN), NAN),
        ((0, 0, 10, 10), (5, 5, 0, 0), NAN),
        ((0.1, 0.1, 1e-4, 1e-4), (0.1, 0.1, 1e-4, 1e-4), 1.0),
    ],
    ids=[
        "same",
        "third",
        "no plus one",
        "touching",
        "apart",
        "lost",
        "empty",
        "absent",
        "absent zero",
        "tiny",
    ],
)
def test_iou(pred, truth, iou):
    np.testing.assert_allclose(iou_per_frame([pred], [truth]), [iou], atol=1e-9)


def test_agrees_with_the_box_type():
    random = np.random.default_rng(1)
    pred, truth = random.uniform(1, 60, (2, 50, 4))
    expected = [Box(*p).iou(Box(*t)) for p, t in zip(pred.tolist(), truth.tolist(), strict=True)]
    np.testing.assert_allclose(iou_per_frame(pred, truth), expected)


def test_means_leave_out_frames_without_truth():
    ious = np.array([1.0, 0.5, NAN, 0.0])
    assert mean_iou(ious) == pytest.approx(0.5)


def test_nothing_to_score():
    with pytest.raises(ValueError, match="no frame has a true box"):
        mean_iou([NAN, NAN])


@pytest.mark.parametrize(
    ("pred", "truth"), [(np.ones((2, 4)), np.ones((3, 4))), (np.ones((2, 5)), np.ones((2, 5)))]
)
def test_shapes(pred, truth):
    with pytest.raises(ValueError, match="boxes"):
        iou_per_frame(pred, truth)
