"""Targets hidden behind a wall: what the tracker sees, and what is counted."""

from types import SimpleNamespace

import numpy as np
import pytest

from dmtrack.errors import DatasetError
from dmtrack.evaluation.occlusion import hidden_frames, occluded_pass, walled
from dmtrack.geometry.box import Box


def test_a_quarter_of_the_recording_is_hidden_but_not_for_ever():
    assert hidden_frames(40) == range(12, 22)
    assert len(hidden_frames(1000)) == 40


def test_the_wall_hides_the_target_and_nothing_far_from_it():
    image = np.full((60, 80, 6), 40, np.uint8)
    image[20:30, 30:40] = 250
    box = Box(30, 20, 10, 10)
    covered = walled(image, box, 3)
    assert covered.max() < 120
    assert (image[20:30, 30:40] == 250).all(), "the recording itself is left alone"
    assert np.array_equal(covered[:15], image[:15])
    assert np.array_equal(covered[:, 50:], image[:, 50:])
    assert np.array_equal(covered, walled(image, box, 3))


def test_a_wall_outside_the_frame_changes_nothing():
    image = np.full((60, 80, 3), 40, np.uint8)
    assert np.array_equal(walled(image, Box(200, 200, 10, 10), 0), image)


def test_a_recording_that_is_too_short_is_refused():
    class Short(SimpleNamespace):
        def __len__(self):
            return 10

    with pytest.raises(DatasetError, match="fewer than 30"):
        occluded_pass(lambda _: None, Short(start_frame=0, name="short"))
