"""A run in which a stream comes and goes, and is then not shown to the network at all."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from dmtrack.config import TINY_TRACKER
from dmtrack.errors import BoxError, ConfigError
from dmtrack.geometry.box import Box
from dmtrack.network.backend import inference_network
from dmtrack.network.weights.store import resolve_weights
from dmtrack.run.pipeline import load_tracker
from dmtrack.tracking.memory import MemoryFrames
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Frame, FramePair, Modality

H, W = 120, 160
START = Box(60, 40, 24, 20)


def picture(number: int, channels: int) -> np.ndarray:
    """A bright square that moves by two pixels a frame, in front of noise."""
    image = np.random.default_rng(7).integers(60, 110, (H, W, channels)).astype(np.uint8)
    x = 60 + 2 * number
    image[40:60, x : x + 24, :3] = (230, 180, 40)
    image[40:60, x : x + 24, 3:] = 240
    return image


def pair(
    number: int, *, alone: bool = False, rgb: np.ndarray | int | None = None, aux: np.ndarray | None = None
) -> FramePair:
    image = picture(number, 6)
    if rgb is not None:
        image[..., :3] = rgb
    if aux is not None:
        image[..., 3:] = aux
    main = Frame(number, number, Fraction(1, 30), image[..., :3])
    second = None if alone else Frame(number, number, Fraction(1, 30), image[..., 3:])
    return FramePair(main, second, Modality.THERMAL, image[..., :3].copy() if alone else image)


@pytest.fixture(scope="module")
def model():
    return inference_network(resolve_weights("tiny", Modality.THERMAL).model)


@pytest.fixture(scope="module")
def foundation():
    return inference_network(resolve_weights("tiny", None).model)


@pytest.fixture(scope="module")
def thermal_tracker():
    return load_tracker("tiny", Modality.THERMAL)


def boxes(tracker: Tracker, pairs: list[FramePair]) -> list[tuple[float, ...]]:
    found = [tracker.initialize(pairs[0], [START])[0]]
    found += [tracker.update(each)[0] for each in pairs[1:]]
    return [(*target.box.xywh, target.score) for target in found]


def test_frames_alone_are_what_the_foundation_sees(model, foundation):
    """From frame 1 on the second stream is gone: the boxes are those of the one-stream network.

    But for rounding: the first template is embedded in a batch of two streams.
    """
    pairs = [pair(0), *(pair(number, alone=True) for number in range(1, 6))]
    expected = boxes(Tracker(foundation, TINY_TRACKER), [pair(number, alone=True) for number in range(6)])
    found = boxes(Tracker(model, TINY_TRACKER), pairs)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_blank_frames_are_something_else(model):
    """The policy matters: a black picture is evidence to the network, no picture is none."""
    alone = [pair(0), *(pair(number, alone=True) for number in range(1, 4))]
    blank = [pair(0), *(pair(number, aux=np.zeros((H, W, 3), np.uint8)) for number in range(1, 4))]
    tracker = Tracker(model, TINY_TRACKER)
    assert boxes(tracker, alone)[-1] != boxes(tracker, blank)[-1]


def second_alone(number: int) -> FramePair:
    """The second stream as if it were the only one."""
    image = picture(number, 6)[..., 3:].copy()
    return FramePair(Frame(number, number, Fraction(1, 30), image), None, None, image)


def codec_noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(12, 21, (H, W, 3))


@pytest.mark.parametrize("rgb", [0, 255, codec_noise(3)], ids=["black", "white", "from-a-codec"])
def test_where_rgb_shows_nothing_the_second_stream_is_searched_alone(model, foundation, rgb):
    pairs = [pair(0), *(pair(number, rgb=rgb) for number in range(1, 6))]
    # No template is taken of such a frame.
    config = replace(TINY_TRACKER, update_interval=2, update_score=0.0)
    expected = boxes(Tracker(foundation, TINY_TRACKER), [second_alone(number) for number in range(6)])
    np.testing.assert_allclose(boxes(Tracker(model, config), pairs), expected, rtol=0, atol=1e-3)


def test_a_light_in_the_dark_is_not_nothing(model):
    """A target of a few pixels may be all that there is to see in RGB."""
    dark = np.zeros((H, W, 3), np.uint8)
    light = dark.copy()
    light[45:48, 67:70] = 200
    found = [boxes(Tracker(model, TINY_TRACKER), [pair(0), pair(1, rgb=rgb)])[1] for rgb in (dark, light)]
    assert found[0] != found[1]


@pytest.mark.parametrize("gone", [{"rgb": 0}, {"alone": True}], ids=["rgb", "the second one"])
def test_both_streams_count_again_when_one_is_back(model, gone):
    """One frame alone changes the boxes after it only through where the target then is."""
    whole = boxes(Tracker(model, TINY_TRACKER), [pair(number) for number in range(6)])
    gap = boxes(Tracker(model, TINY_TRACKER), [pair(0), pair(1), pair(2, **gone), *map(pair, range(3, 6))])
    assert gap[:2] == whole[:2]
    assert gap[2] != whole[2]
    for one, other in zip(gap[3:], whole[3:], strict=True):
        assert one[:4] == pytest.approx(other[:4], abs=3)


def test_a_target_given_on_a_frame_alone_is_seen_in_both_from_the_next_whole_frame(model, foundation):
    pairs = [pair(0, alone=True), pair(1, alone=True), pair(2), pair(3)]
    tracker = Tracker(model, TINY_TRACKER)
    found = boxes(tracker, pairs)
    one_stream = boxes(Tracker(foundation, TINY_TRACKER), [pair(number, alone=True) for number in range(4)])
    for box, alone in zip(found[:3], one_stream[:3], strict=True):  # the second stream is not known yet
        assert box == pytest.approx(alone, abs=1e-4)
    assert found[3] != one_stream[3]
    assert found[3][0] == pytest.approx(66, abs=4)


def test_several_targets_may_know_different_streams(model):
    tracker = Tracker(model, TINY_TRACKER)
    tracker.initialize(pair(0, alone=True), [START])
    tracker.add(pair(1), [Box(10, 10, 20, 20)])
    assert [target.target_id for target in tracker.update(pair(2))] == [1, 2]
    assert len(tracker.update(pair(3, alone=True))) == 2
    assert len(tracker.update(pair(4))) == 2


def test_no_target_was_ever_given(model):
    """Nor is it an error where there is none any more."""
    tracker = Tracker(model, TINY_TRACKER)
    with pytest.raises(BoxError, match=r"no box to track; initialize\(pair, boxes\) comes first"):
        tracker.update(pair(0))
    tracker.initialize(pair(0), [START])
    tracker.drop(1)
    assert tracker.update(pair(1)) == ()
    tracker.initialize(pair(0), [])
    assert tracker.update(pair(1)) == ()


def test_a_network_of_one_stream_refuses_two_whenever_they_come(foundation):
    tracker = Tracker(foundation, TINY_TRACKER)
    tracker.initialize(pair(0, alone=True), [START])
    with pytest.raises(ConfigError, match="one stream"):
        tracker.update(pair(1))


@pytest.mark.parametrize("alone", [False, True], ids=["both streams", "its second stream is missing"])
@pytest.mark.parametrize("modality", [kind for kind in Modality if kind is not Modality.THERMAL])
@pytest.mark.parametrize(
    "call",
    [
        lambda tracker, pair: tracker.initialize(pair, [START]),
        lambda tracker, pair: tracker.add(pair, [START]),
        lambda tracker, pair: tracker.update(pair),
        lambda tracker, pair: tracker.look(pair, 1, START),
        lambda tracker, pair: tracker.templates(pair, [START]),
    ],
    ids=["initialize", "add", "update", "look", "templates"],
)
def test_a_pair_of_another_modality_is_refused_whenever_it_comes(thermal_tracker, call, modality, alone):
    thermal_tracker.initialize(pair(0), [START])
    with pytest.raises(ConfigError, match=f"for thermal, but the pair is of {modality}"):
        call(thermal_tracker, replace(pair(1, alone=alone), modality=modality))


class TestMemory:
    @staticmethod
    def tokens(rgb: float, aux: float | None = None) -> torch.Tensor:
        streams = [rgb] if aux is None else [rgb, aux]
        return torch.tensor(streams).reshape(-1, 1, 1)

    @staticmethod
    def held(memory: MemoryFrames) -> list[list[float]]:
        return memory.stacked()[..., 0].T.tolist()

    def test_a_template_alone_borrows_the_newest_second_stream(self):
        memory = MemoryFrames(3)
        memory.push(self.tokens(1, 10))
        memory.push(self.tokens(2, 20))
        memory.push(self.tokens(3))
        assert self.held(memory) == [[1, 10], [2, 20], [3, 20]]

    @pytest.mark.parametrize("anchor", [False, True])
    def test_the_first_second_stream_completes_all(self, anchor):
        memory = MemoryFrames(3, staying=int(anchor))
        memory.push(self.tokens(1))
        memory.push(self.tokens(2))
        assert memory.streams == 1
        memory.push(self.tokens(3, 30))
        assert memory.streams == 2
        assert self.held(memory) == [[1, 30], [2, 30], [3, 30]]

    def test_one_template_is_completed_and_kept(self):
        memory = MemoryFrames(1)
        memory.push(self.tokens(1))
        memory.push(self.tokens(2, 20))
        memory.push(self.tokens(3, 30))
        assert self.held(memory) == [[1, 20]]
