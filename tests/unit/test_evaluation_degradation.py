"""What degraded clips look like, and what the score's ROC says."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dmtrack.evaluation.calibration import roc_auc
from dmtrack.evaluation.degradation import LOST_FRAMES, Degradation, DegradedView, Streams, degrade, shown
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox
from dmtrack.video.frame import Frame, FramePair, Modality

RGB = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
AUX = np.full((40, 60, 3), 77, np.uint8)


def _pair() -> FramePair:
    frame = Frame(0, 0, Fraction(1, 30), RGB)
    return FramePair(frame, frame, Modality.THERMAL, np.concatenate((RGB, AUX), axis=2))


@pytest.mark.parametrize("kind", list(Degradation))
def test_the_frame_whose_box_is_given_is_never_degraded(kind: Degradation) -> None:
    assert np.array_equal(degrade(RGB, kind, 0), RGB)


def test_dark_is_dark_noisy_and_repeatable() -> None:
    dark = degrade(RGB, Degradation.DARK, 3)
    assert dark.mean() < 0.1 * RGB.mean()
    assert np.array_equal(dark, degrade(RGB, Degradation.DARK, 3))
    assert not np.array_equal(dark, degrade(RGB, Degradation.DARK, 4))


def test_blur_takes_detail_and_keeps_light() -> None:
    blurred = degrade(RGB, Degradation.BLURRED, 1)
    assert blurred.std() < 0.95 * RGB.std()
    assert blurred.mean() == pytest.approx(RGB.mean(), abs=2)


def test_rgb_is_lost_for_thirty_frames() -> None:
    black = [f for f in range(60) if not degrade(RGB, Degradation.LOST, f).any()]
    assert black == list(LOST_FRAMES)
    assert len(black) == 30


@pytest.mark.parametrize(
    ("streams", "channels", "last"),
    [(Streams.BOTH, 6, 77), (Streams.BLANK, 6, 0), (Streams.AUX, 3, 77), (Streams.RGB, 3, None)],
)
def test_what_the_tracker_is_shown(streams: Streams, channels: int, last: int | None) -> None:
    image = shown(_pair(), streams, Degradation.CLEAN, 1).image
    assert image.shape == (40, 60, channels)
    if last is None:
        assert np.array_equal(image, RGB)
    else:
        assert (image[..., -3:] == last).all()


class _Recorder:
    def __init__(self) -> None:
        self.means: list[float] = []

    def initialize(self, pair: FramePair, boxes: object) -> tuple[TrackedBox, ...]:
        return self.update(pair)

    def update(self, pair: FramePair) -> tuple[TrackedBox, ...]:
        self.means.append(float(pair.image[..., :3].mean()))
        return ()


def test_the_view_degrades_every_frame_but_the_first() -> None:
    recorder = _Recorder()
    view = DegradedView(recorder, Streams.BOTH, Degradation.DARK)
    view.initialize(_pair(), [Box(1, 1, 5, 5)])
    view.update(_pair())
    view.initialize(_pair(), [Box(1, 1, 5, 5)])
    first, second, again = recorder.means
    assert first == again > 5 * second


@pytest.mark.parametrize(
    ("scores", "hits", "area"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 1.0),
        ([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1], 0.0),
        ([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1], 0.5),
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.75),
    ],
    ids=["perfect", "reversed", "all tied", "one pair wrong of four"],
)
def test_area_under_the_roc(scores: list[float], hits: list[int], area: float) -> None:
    assert roc_auc(scores, np.array(hits, bool)) == pytest.approx(area)


def test_area_is_unknown_without_a_miss() -> None:
    assert np.isnan(roc_auc([0.3, 0.4], [True, True]))
