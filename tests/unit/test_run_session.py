"""What a person draws on."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dmtrack.run.inputs import drawing_scene, first_pair, open_inputs
from dmtrack.run.request import TrackRequest
from dmtrack.video.position import Position


@pytest.mark.parametrize(("end_s", "last"), [("0.5", 4), ("0.4", 3), ("9", 9)])
def test_up_to_a_time_where_the_rate_varies(make_video, end_s, last):
    """Counted from the mean rate it was another frame, and those behind it could not be corrected."""
    stamps = [0, 100, 200, 300, 400, 1000, 2000, 3000, 4000, 5000]
    frames = [np.full((48, 64, 3), 9 * number, np.uint8) for number in range(10)]
    path = make_video("rgb.mkv", frames, pts=stamps, time_base=Fraction(1, 1000))
    request = TrackRequest(path, end=Position(time_s=Fraction(end_s)))
    with open_inputs(request) as pairs:
        first, _ = first_pair(pairs)
        assert drawing_scene(request, pairs, first).last == last
