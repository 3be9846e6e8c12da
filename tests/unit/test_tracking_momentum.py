"""The search region goes ahead of a target that moves."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from dmtrack.config import TINY_TRACKER, TrackerConfig
from dmtrack.errors import ConfigError
from dmtrack.geometry.box import Box
from dmtrack.geometry.crop import Crop
from dmtrack.network.backend import inference_network
from dmtrack.network.weights.store import resolve_weights
from dmtrack.tracking.result import TrackState
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Frame, FramePair

H, W, SIDE = 120, 700, 24


def pair(number: int, left: float | None) -> FramePair:
    image = np.random.default_rng(7).integers(60, 110, (H, W, 3)).astype(np.uint8)
    if left is not None:
        image[48 : 48 + SIDE, round(left) : round(left) + SIDE] = (230, 180, 40)
        image[54:60, round(left) + 6 : round(left) + 12] = (20, 20, 120)
    return FramePair(Frame(number, number, Fraction(1, 30), image), None, None, image)


class Seen:
    """A cropper that notes where it cuts."""

    def __init__(self, tracker: Tracker) -> None:
        self.cut_by, tracker.cropper = tracker.cropper, self
        self.crops: list[Crop] = []

    def cut(self, image, crops) -> torch.Tensor:
        self.crops += crops
        return self.cut_by.cut(image, crops)


def followed(
    config: TrackerConfig, lefts: list[float | None]
) -> tuple[list[Box], list[TrackState | None], list[Crop]]:
    tracker = Tracker(inference_network(resolve_weights("tiny", None).model), config)
    tracker.initialize(pair(0, lefts[0]), [Box(lefts[0] or 0, 48, SIDE, SIDE)])
    boxes, states, crops, seen = [], [], [], Seen(tracker)
    for number, left in enumerate(lefts[1:], start=1):
        del seen.crops[:]
        (row,) = tracker.update(pair(number, left))
        boxes.append(row.box)
        states.append(row.state)
        crops.append(seen.crops[0])
    return boxes, states, crops


def test_a_target_that_gets_faster_stays_in_the_region_and_is_lost_without() -> None:
    """Its steps grow by 9 px a frame up to 63 px; half a search region is 48 px."""
    lefts: list[float | None] = [10.0 + sum(min(9 * step, 63) for step in range(k + 1)) for k in range(12)]
    last = Box(lefts[-1] or 0.0, 48, SIDE, SIDE)
    boxes, _, _ = followed(TINY_TRACKER, lefts)
    assert boxes[-1].iou(last) > 0.5
    boxes, _, _ = followed(replace(TINY_TRACKER, momentum=0.0), lefts)
    assert boxes[-1].iou(last) == 0


def test_the_region_lies_half_a_step_ahead_and_never_where_a_target_in_doubt_went() -> None:
    lefts: list[float | None] = [100.0, 108.0, 116.0, 124.0, 132.0, None, None, None]
    boxes, states, crops = followed(TINY_TRACKER, lefts)
    for index in range(2, 5):
        step = boxes[index - 1].cx - boxes[index - 2].cx
        assert step == pytest.approx(8, abs=2)
        assert crops[index].cx == pytest.approx(boxes[index - 1].cx + step / 2, abs=0.6)
    assert states[5] is TrackState.UNCERTAIN
    assert crops[6].cx == pytest.approx(boxes[5].cx, abs=0.6)


def test_a_share_above_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="momentum"):
        TrackerConfig(momentum=1.5)
