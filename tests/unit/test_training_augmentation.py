"""Jitter, brightness and grey, each on its own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dmtrack.geometry.box import Box
from dmtrack.training.sequences import brightened, greyed, jittered

BOX = Box(100, 50, 40, 10)


def test_jitter_is_the_published_one():
    rng = np.random.default_rng(0)
    guesses = [jittered(BOX, rng, scale=0.25, centre=3.0) for _ in range(4000)]
    log_w = np.array([math.log(g.w / BOX.w) for g in guesses])
    log_h = np.array([math.log(g.h / BOX.h) for g in guesses])
    assert (log_w.mean(), log_h.mean()) == pytest.approx((0, 0), abs=0.02)
    assert (log_w.std(), log_h.std()) == pytest.approx((0.25, 0.25), abs=0.02)
    assert abs(np.corrcoef(log_w, log_h)[0, 1]) < 0.06
    shifts = np.array([((g.cx - BOX.cx), (g.cy - BOX.cy)) / np.sqrt(g.w * g.h) for g in guesses])
    assert np.abs(shifts).max() <= 1.5
    assert np.abs(shifts).max(axis=0) == pytest.approx((1.5, 1.5), abs=0.02)
    assert shifts.std(axis=0) == pytest.approx((3 / 12**0.5,) * 2, abs=0.03)


def test_without_jitter_the_box_stays():
    guess = jittered(BOX, np.random.default_rng(0), scale=0, centre=0)
    assert guess.xywh == pytest.approx(BOX.xywh)


def test_brightness_is_one_factor_and_clips():
    crop = np.array([[[0, 10, 100, 200, 250, 255]]], np.uint8)
    assert brightened(crop, 1.2).tolist() == [[[0, 12, 120, 240, 255, 255]]]
    assert brightened(crop, 0.8).tolist() == [[[0, 8, 80, 160, 200, 204]]]
    assert brightened(crop, 1.0).shape == crop.shape


def test_grey_takes_colour_from_the_first_stream_only():
    crop = np.random.default_rng(0).integers(0, 256, (8, 9, 6), dtype=np.uint8)
    grey = greyed(crop)
    assert np.ptp(grey[..., :3].astype(int), axis=2).max() == 0
    assert np.array_equal(grey[..., 3:], crop[..., 3:])
    assert greyed(crop[..., :3]).shape == (8, 9, 3)
