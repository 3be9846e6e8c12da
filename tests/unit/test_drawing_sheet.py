"""Contact sheets: which moments, and what is where in the picture."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from clips import pictures_in

from dmtrack.drawing.draw import Mark
from dmtrack.drawing.sheet import REACH_FRAMES, contact_sheet, pairs_at, spread_indices, write_sheet
from dmtrack.errors import ConfigError, OutputError
from dmtrack.geometry.box import Box
from dmtrack.video.frame import Frame, FramePair, Modality
from dmtrack.video.pairing import open_pair


@pytest.mark.parametrize(
    ("count", "indices"),
    [(100, [0, 24, 49, 74, 98]), (5, [0, 1, 2, 3, 4]), (2, [0, 1]), (1, [0])],
)
def test_moments_are_spread(count, indices):
    assert spread_indices(count) == indices


def test_moments_of_long_videos_are_near_the_start():
    assert spread_indices(1_000_000)[-1] == REACH_FRAMES - 2
    assert spread_indices(1_000_000, is_folder=True)[-1] == 999_998
    assert spread_indices(None)[-1] == REACH_FRAMES - 2


def pair(index: int, *, with_aux: bool = True) -> FramePair:
    rgb = np.full((48, 64, 3), (200, 0, 0), np.uint8)
    aux = np.full((48, 64, 3), (0, 0, 100), np.uint8)
    frame = Frame(index, index, Fraction(1, 30), rgb)
    if not with_aux:
        return FramePair(frame, None, None, rgb)
    return FramePair(frame, frame, Modality.THERMAL, np.concatenate([rgb, aux], axis=2))


def test_rows_are_moments_and_columns_views():
    sheet = contact_sheet([pair(0), pair(5)])
    assert sheet.shape == (2 * 360 + 4, 3 * 480 + 2 * 4, 3)
    for top in (0, 364):
        for left, colour in ((0, (200, 0, 0)), (484, (0, 0, 100)), (968, (100, 0, 50))):
            np.testing.assert_array_equal(sheet[top + 180, left + 240], colour)


def test_one_stream_is_one_column_and_boxes_are_drawn_where_they_are_known():
    sheet = contact_sheet(
        [pair(0, with_aux=False), pair(5, with_aux=False)], {5: [Mark(Box(16, 12, 32, 24), "", (0, 255, 0))]}
    )
    assert sheet.shape[1] == 480
    left_edge = (180, round(16 * 480 / 64))
    assert sheet[left_edge].tolist() == [200, 0, 0]
    red, green, blue = sheet[left_edge[0] + 364, left_edge[1]]
    assert (red, blue) == (0, 0)
    assert green > 200


def test_a_claim_of_too_many_frames_does_no_harm(tmp_path):
    pictures_in(tmp_path, (np.full((8, 8, 3), number, np.uint8) for number in range(3)))
    found = pairs_at(lambda start: open_pair(tmp_path, start=start), [0, 2, 40])
    assert [pair.rgb.index for pair in found] == [0, 2]
    with pytest.raises(ConfigError):
        pairs_at(lambda start: open_pair(tmp_path, start=start), [40])


def test_writing(tmp_path):
    sheet = contact_sheet([pair(0)])
    write_sheet(tmp_path / "new" / "a.png", sheet)
    read = cv2.imread(str(tmp_path / "new" / "a.png"))
    np.testing.assert_array_equal(read[..., ::-1], sheet)
    with pytest.raises(OutputError, match="exists"):
        write_sheet(tmp_path / "new" / "a.png", sheet)
    with pytest.raises(OutputError, match="PNG"):
        write_sheet(tmp_path / "a.jpg", sheet)
