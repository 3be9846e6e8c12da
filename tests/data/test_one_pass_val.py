"""Every real clip runs from its first box to its last frame, with the pictures of both streams."""

from __future__ import annotations

import numpy as np
import pytest

from dmtrack.evaluation.clips import one_pass
from dmtrack.tracking.result import TrackedBox, TrackState

pytestmark = pytest.mark.data


class Still:
    """Never moves from the start box; keeps the shapes of what it saw."""

    def __init__(self):
        self.shapes = set()

    def initialize(self, pair, boxes):
        self.box = boxes[0]
        return self.update(pair)

    def update(self, pair):
        self.shapes.add(pair.image.shape)
        return (TrackedBox(pair.rgb.index, 1, self.box, 1.0, TrackState.TRACKED, pair.rgb.time_s),)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("rgbt_bus1", (540, 960, 6)),
        ("rgbd_visp_dragon", (480, 640, 6)),
        ("rgbe_davis346_road_carA", (260, 346, 6)),
        ("tir_antiuav_18", (512, 640, 3)),
        ("rgb_Crossing", (240, 360, 3)),
    ],
)
def test_runs_to_the_end(val_sequences, name, shape):
    sequence, tracker = val_sequences[name], Still()
    result = one_pass(lambda _: tracker, sequence)
    assert tracker.shapes == {shape}
    assert np.isfinite(result.ious).all()
    assert result.ious[0] == pytest.approx(1.0)
    assert result.ious[1:].mean() < 0.99
