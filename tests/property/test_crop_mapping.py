"""Boxes from the frame to a crop and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtrack.geometry.box import Box
from dmtrack.geometry.crop import Crop

places = st.floats(-500, 2000)
sizes = st.floats(1, 500)
boxes = st.builds(Box, places, places, sizes, sizes)


@given(boxes, boxes, st.floats(1, 5))
def test_to_the_crop_and_back_is_the_same_box(around, box, factor):
    crop = Crop.around(around, factor, 192)
    assert crop.to_frame(*crop.from_frame(box)).xywh == pytest.approx(box.xywh, abs=1e-6)


@given(boxes, st.floats(1, 5))
def test_the_box_it_was_cut_around_is_in_the_middle(box, factor):
    cx, cy, w, h = Crop.around(box, factor, 192).from_frame(box)
    assert (cx, cy) == pytest.approx((0.5, 0.5))
    assert (w * h) ** 0.5 <= 1 / factor + 1e-9
