"""Boxes as people draw them: one habit a sequence, a pixel off a frame, and what a tracker believes."""

import numpy as np
import pytest

from dmtrack.geometry.box import Box
from dmtrack.synthetic.sample import (
    AnnotationHabit,
    annotated,
    believed,
    flipped,
    in_square,
    template_spread,
)

BOX = Box(100.0, 50.0, 40.0, 20.0)


def test_a_habit_is_the_same_around_every_box():
    habit = AnnotationHabit(dx=0.1, dy=-0.2, log_w=np.log(1.5), log_h=0.0)
    for box in (BOX, Box(0.0, 0.0, 4.0, 8.0)):
        drawn = habit.of(box)
        assert drawn.w == pytest.approx(1.5 * box.w)
        assert drawn.h == pytest.approx(box.h)
        assert drawn.cx == pytest.approx(box.cx + 0.1 * box.w)
        assert drawn.cy == pytest.approx(box.cy - 0.2 * box.h)


def test_habits_are_drawn_as_often_as_asked():
    rng = np.random.default_rng(0)
    tight = sum(AnnotationHabit.draw(rng, 0.25) == AnnotationHabit() for _ in range(400))
    assert 260 < tight < 340
    assert AnnotationHabit().of(BOX) == BOX


def test_a_person_is_a_pixel_off_and_less_around_tiny_things():
    rng = np.random.default_rng(1)
    large = np.array([annotated(BOX, rng).xyxy for _ in range(300)]) - BOX.xyxy
    assert 0.4 < large.std() < 1.0
    tiny = Box(10.0, 10.0, 3.0, 3.0)
    off = np.array([annotated(tiny, rng).xyxy for _ in range(300)]) - tiny.xyxy
    assert np.abs(off).max() <= 0.6 + 1e-9


def test_first_templates_are_nearly_right_and_some_recent_ones_have_drifted():
    rng = np.random.default_rng(2)
    assert template_spread(rng, first=True, usual=0.05) == pytest.approx(0.015)
    recent = [template_spread(rng, first=False, usual=0.05) for _ in range(400)]
    assert 15 < sum(spread > 0.2 for spread in recent) < 80
    near, far = (np.mean([believed(BOX, rng, s).iou(BOX) for _ in range(100)]) for s in (0.05, 0.35))
    assert near > 0.8 > 0.6 > far


def test_boxes_in_a_square_turn_with_it():
    placed = in_square(BOX, 80.0, 20.0, 160.0)
    assert placed.tolist() == pytest.approx([0.25, 0.25, 0.25, 0.125])
    assert flipped(placed).tolist() == pytest.approx([0.75, 0.25, 0.25, 0.125])
    assert flipped(flipped(placed)).tolist() == pytest.approx(placed.tolist())
