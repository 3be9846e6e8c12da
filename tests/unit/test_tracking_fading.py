"""Where RGB has faded, the second stream is read more."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from dmtrack.config import PUBLISHED_TRACKER, TINY, TINY_TRACKER, TrackerConfig
from dmtrack.geometry.box import Box
from dmtrack.network.backend import inference_network
from dmtrack.network.model import DMTrack
from dmtrack.tracking.fading import aux_shares, detail
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Frame, FramePair, Modality

USUAL = 0.05
RNG = np.random.default_rng(3)
SCENE = RNG.integers(20, 236, (24, 32, 6)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
START = Box(100, 70, 48, 40)


def changed(*, rgb=None, aux=None) -> np.ndarray:
    """The scene with something done to its streams."""
    rgb = SCENE[..., :3] if rgb is None else rgb(SCENE[..., :3])
    aux = SCENE[..., 3:] if aux is None else aux(SCENE[..., 3:])
    return np.concatenate((rgb, aux), 2).astype(np.uint8)


def dark(image):
    return image * 0.06 + RNG.normal(0, 4, image.shape).clip(0)


def dim(image):
    return image * 0.75 + 20


def blurred(image):
    return cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), 8)


def far(image):
    """As from a target of half the size, whose crop has been enlarged."""
    return cv2.resize(
        cv2.resize(image, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA), image.shape[1::-1]
    )


def blank(image):
    return np.zeros_like(image)


def share(image, known=SCENE) -> float:
    seen, first = (detail(np.ascontiguousarray(one[None])) for one in (image, known))
    (value,) = aux_shares(seen, first, USUAL)
    return float(value)


@pytest.mark.parametrize("fade", [dark, blurred])
def test_what_rgb_has_lost_is_read_of_the_second_stream(fade):
    assert share(changed(rgb=fade)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "image",
    [
        changed(),
        changed(rgb=dim),
        changed(rgb=far, aux=far),
        changed(rgb=dark, aux=dark),
        changed(rgb=blurred, aux=blank),
        changed(aux=blank),
    ],
    ids=["as it was", "a cloud", "both far", "both dark", "second one gone", "second one gone alone"],
)
def test_otherwise_as_the_weights_say(image):
    assert share(image) == pytest.approx(USUAL)


def test_a_second_stream_that_never_showed_anything_is_no_help():
    assert share(changed(rgb=dark, aux=blank), changed(aux=blank)) == pytest.approx(USUAL)


def test_more_than_half_stays():
    seen, first = detail(changed(rgb=dark)[None]), detail(SCENE[None])
    assert aux_shares(seen, first, 0.7) == pytest.approx(0.7)


def test_torch_and_numpy_say_the_same_of_every_target():
    crops = np.stack([SCENE, changed(rgb=dark), changed(rgb=blurred)])
    first = detail(SCENE[None]).repeat(3, 0)
    by_torch = aux_shares(detail(torch.from_numpy(crops), 0.5), torch.from_numpy(first), USUAL)
    assert by_torch.numpy() == pytest.approx(aux_shares(detail(crops, 0.5), first, USUAL), abs=1e-3)


class Asked:
    """A network that notes which shares it is asked for."""

    def __init__(self, **config: Any) -> None:
        small = replace(TINY, depth=1, width=48, head_width=16, **config)
        torch.manual_seed(3)
        self.network = inference_network(DMTrack(small).eval())
        self.config, self.streams, self.device = small, 2, torch.device("cpu")
        self.shares: list[list[float] | None] = []

    def embed_template(self, crops, boxes=None):
        return self.network.embed_template(crops, boxes)

    def step(self, memory, crops, aux_share=None):
        self.shares.append(None if aux_share is None else [round(one, 2) for one in aux_share.tolist()])
        return self.network.step(memory, crops, aux_share)


def pair(image: np.ndarray) -> FramePair:
    rgb, aux = (Frame(0, 0, Fraction(1, 30), image[..., part]) for part in (slice(3), slice(3, 6)))
    return FramePair(rgb, aux, Modality.DEPTH, image)


def followed(network: Asked, config: TrackerConfig = TINY_TRACKER) -> list[list[float] | None]:
    tracker = Tracker(network, replace(config, recovery=False, leaps=False))
    tracker.initialize(pair(SCENE), [START, START.moved(40, 30)])
    for image in (SCENE, changed(rgb=dark), changed(rgb=blurred), SCENE):
        tracker.update(pair(image))
    return network.shares


def test_the_tracker_asks_for_more_where_rgb_has_faded():
    shares = followed(Asked(aux_share=USUAL))
    assert [one for one in shares if one is not None] == shares
    assert [min(one) > 0.3 for one in shares] == [False, True, True, False]
    assert max(shares[0]) == pytest.approx(USUAL)


@pytest.mark.parametrize(
    ("network", "config"),
    [
        ({"aux_share": 0.5}, TINY_TRACKER),
        ({"aux_share": USUAL}, replace(TINY_TRACKER, aux_backup=False)),
        ({"stream_merge": "sum"}, PUBLISHED_TRACKER),
    ],
    ids=["half is read anyway", "off", "published"],
)
def test_nothing_is_asked_for(network, config):
    assert followed(Asked(**network), config) == [None] * 4
