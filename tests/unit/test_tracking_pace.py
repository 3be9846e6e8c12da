"""Targets that are sure and slow are searched every other frame, the others in each."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from dmtrack.config import TINY_TRACKER, TrackerConfig
from dmtrack.geometry.box import Box
from dmtrack.network.backend import inference_network
from dmtrack.network.inference import Network
from dmtrack.network.weights.store import resolve_weights
from dmtrack.tracking.result import TrackedBox
from dmtrack.tracking.tracker import Tracker, overlap_bound
from dmtrack.video.frame import Frame, FramePair

H, W, FRAMES = 160, 240, 12
#: Where each of three targets is in frame k; the last one goes away.
SLOW, QUICK, GOING = (
    lambda k: Box(30 + 0.5 * k, 20, 28, 24),
    lambda k: Box(20 + 5.0 * k, 70, 28, 24),
    lambda k: Box(180, 115, 28, 24),
)
GONE = 8
EVERY = replace(TINY_TRACKER, update_interval=10, update_score=0.0)  # templates of few frames as well
PACED = replace(EVERY, pace=True)


def pair(number: int) -> FramePair:
    image = np.random.default_rng(7).integers(60, 110, (H, W, 3)).astype(np.uint8)
    shown = [(SLOW, (230, 180, 40)), (QUICK, (40, 80, 240))]
    for at, colour in [*shown, *([(GOING, (60, 230, 60))] if number < GONE else [])]:
        box = at(number)
        image[int(box.y) : int(box.y + box.h), round(box.x) : round(box.x + box.w)] = colour
    return FramePair(Frame(number, number, Fraction(1, 30), image), None, None, image)


class Counted:
    """A network that counts the regions it searches, and the templates it embeds."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.config, self.streams, self.device = self.network.config, 1, torch.device("cpu")
        self.searched: list[int] = []
        self.embedded = 0

    def embed_template(self, crops, boxes=None):
        self.embedded += len(crops)
        return self.network.embed_template(crops, boxes)

    def step(self, memory, crops, aux_share=None):
        self.searched[-1] += len(crops)
        return self.network.step(memory, crops, aux_share)


@pytest.fixture(scope="module")
def tiny() -> Network:
    return inference_network(resolve_weights("tiny", None).model)


def followed(
    tiny: Network, config: TrackerConfig, *starts: Box, frames: int = FRAMES
) -> tuple[list[tuple[TrackedBox, ...]], Counted]:
    network = Counted(tiny)
    tracker = Tracker(network, config)
    found = [tracker.initialize(pair(0), starts)]
    for number in range(1, frames):
        network.searched.append(0)
        found.append(tracker.update(pair(number)))
    return found, network


@pytest.fixture(scope="module")
def both_ways(tiny):
    starts = SLOW(0), QUICK(0)
    return followed(tiny, EVERY, *starts), followed(tiny, PACED, *starts)


def test_half_of_a_slow_target_is_searched_and_a_quick_one_always(both_ways) -> None:
    (_, every), (_, paced) = both_ways
    assert every.searched == [2] * (FRAMES - 1)
    assert set(paced.searched) == {1, 2}
    assert 0.4 <= paced.searched.count(1) / len(paced.searched) <= 0.5


def test_boxes_and_templates_are_nearly_the_same(both_ways) -> None:
    (exact, every), (found, paced) = both_ways
    pairs = [
        (a.box, b.box)
        for one, other in zip(exact, found, strict=True)
        for a, b in zip(one, other, strict=True)
    ]
    assert min(a.iou(b) for a, b in pairs) > 0.8
    assert [[t.state for t in one] for one in found] == [[t.state for t in one] for one in exact]
    assert paced.embedded == every.embedded > 2  # the due frames are searched


def test_slow_targets_take_turns_until_one_is_not_sure(tiny) -> None:
    _, network = followed(tiny, PACED, SLOW(0), GOING(0), frames=GONE + 8)
    assert set(network.searched[4:GONE]) == {1}
    assert {1, 2} == set(network.searched[GONE + 1 : GONE + 7])  # the one that has gone in every frame


def test_where_every_frame_renews_the_memory_every_frame_is_searched(tiny) -> None:
    _, network = followed(tiny, TrackerConfig(pace=True), SLOW(0))
    assert set(network.searched) == {1}


def test_only_a_sure_frame_gives_a_template(tiny) -> None:
    """The score that counts is the network's own, which a small box does not lower."""
    never = replace(TINY_TRACKER, update_interval=1, update_score=1.0, edge_error_px=0.0)
    (_, *found), network = followed(tiny, never, SLOW(0))
    assert network.embedded == 1
    middle = replace(never, update_score=float(np.median([one.score for (one,) in found])))
    for edge_error_px in (0.0, 1.0):
        (_, *rows), network = followed(tiny, replace(middle, edge_error_px=edge_error_px), SLOW(0))
        scores = [one.score / overlap_bound(one.box, edge_error_px) for (one,) in rows]
        sure = [score >= middle.update_score - 1e-6 for score in scores]
        assert 0 < sum(sure) < len(sure)
        assert network.embedded == 1 + sum(sure)
