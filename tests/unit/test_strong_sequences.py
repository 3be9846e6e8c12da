"""Samples drawn from few sequences: shapes, repeatability, and that the box is on the target."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dmtrack.training.strong_sequences import StrongConfig, StrongSource
from dmtrack.video.frame import Modality

#: Only what moves the box.
PLAIN = StrongConfig(
    template_size=48,
    search_size=96,
    habit_share=0,
    shrink_share=0,
    grey_share=0,
    light_change_share=0,
    motion_blur_share=0,
    noise_share=0,
    cover_share=0,
    rival_share=0,
    absent_share=0,
    far_share=0,
)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two clips of a bright square on grey, with a second stream."""
    for clip in ("a", "dd_b"):
        for name in ("rgb", "thermal"):
            (tmp_path / clip / name).mkdir(parents=True)
        rows = []
        for frame in range(12):
            picture = np.full((120, 160, 3), 120, np.uint8)
            x, y = 30 + 5 * frame, 40 + 2 * frame
            picture[y : y + 20, x : x + 24] = 210
            cv2.imwrite(str(tmp_path / clip / "rgb" / f"{frame:04d}.png"), picture)
            cv2.imwrite(str(tmp_path / clip / "thermal" / f"{frame:04d}.png"), picture[..., 0])
            rows.append(f"{x},{y},24,20")
        (tmp_path / clip / "groundtruth.txt").write_text("\n".join(rows))
    return tmp_path


def test_the_box_is_on_the_target(folder):
    sampler = StrongSource.open(folder, PLAIN)(1)
    for _ in range(40):
        sample = sampler.sample()
        side = sample.search.shape[0]
        cx, cy, w, h = sample.box_cxcywh * side
        x1, y1, x2, y2 = (int(v) for v in (cx - w / 2 + 2, cy - h / 2 + 2, cx + w / 2 - 1, cy + h / 2 - 1))
        inside = sample.search[max(y1, 0) : y2, max(x1, 0) : x2].mean()
        assert sample.visible
        # Brighter than the ground, or darker in a negative.
        assert abs(inside - np.median(sample.search[sample.search > 0])) > 5


@pytest.mark.slow
@pytest.mark.parametrize("modality", [None, Modality.THERMAL])
def test_everything_at_once(folder, modality):
    config = replace(
        StrongConfig(48, 96), modality=modality, absent_share=0.3, rival_share=0.8, cover_share=0.8
    )
    source = pickle.loads(pickle.dumps(StrongSource.open(folder, config)))
    channels = 3 if modality is None else 6
    first, second = source(7), source(7)
    samples = [first.sample() for _ in range(60)]
    for sample in samples:
        again = second.sample()
        assert sample.templates.shape == (2, 48, 48, channels)
        assert sample.search.shape == (96, 96, channels)
        assert np.array_equal(sample.search, again.search)
        assert np.isfinite(sample.box_cxcywh).all()
    assert 0 < sum(not sample.visible for sample in samples) < 40
