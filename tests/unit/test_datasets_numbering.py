"""Numbers in picture names, and flags of absence."""

from __future__ import annotations

import numpy as np
import pytest

from dmtrack.datasets.ground_truth import present_frames
from dmtrack.datasets.image_files import gaps, picture_numbers, what_is_missing, without_partner


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["00001v.jpg", "00002v.jpg"], (1, 2)),
        (["v000.jpg", "v001.jpg"], (0, 1)),
        (["frame0008.bmp", "frame0009.bmp", "frame0010.bmp"], (8, 9, 10)),
        (["0001_1.png", "0002_1.png"], (1, 2)),
        (["take2_007.png", "take2_008.png"], (7, 8)),
        (["2021_1.png", "2021_2.png", "2022_1.png"], None),
        (["a.png", "b.png"], None),
        (["1.png", "2_1.png"], None),
        ([], None),
    ],
)
def test_the_number_that_tells_pictures_apart(names, numbers):
    assert picture_numbers(names) == numbers


def test_gaps_are_no_regular_steps():
    assert gaps((1, 2, 3, 6, 7)) == (4, 5)
    assert gaps((0, 10, 20, 30)) == ()
    assert gaps((0, 2, 4, 8)) == (), "a step of two that is not kept says nothing about what there was"
    assert gaps((5,)) == ()
    names = [f"{n:03}.jpg" for n in range(20) if n not in (3, 4, 5, 9, 11)]
    assert what_is_missing(names) == "missing in the numbering: number 3, 4, 5 and 2 more"
    assert what_is_missing(names[:3]) == ""


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ([1, 2, 3], [1, 2, 3], ""),
        ([1, 2, 3], [0, 1, 2], ""),
        ([1, 2, 3, 4], [1, 2, 4], "only in the first: number 3"),
        ([1, 2, 4], [1, 3, 4], "only in the first: number 2, only in the second: number 3"),
        ([1, 2, 3, 4], [101, 102, 104], "only in the first: number 3"),
        ([0, 1, 2], [0, 10, 20], ""),
    ],
    ids=["alike", "counted-from-elsewhere", "one-lacks-one", "both-lack-one", "far-apart", "another-step"],
)
def test_pictures_without_partner(first, second, said):
    assert without_partner([f"v{n:05}.jpg" for n in first], [f"i{n:05}.png" for n in second]) == said


@pytest.mark.parametrize(
    ("name", "flags", "boxes", "present"),
    [
        ("absent_label.txt", "0101", "1111", "0101"),
        ("absent_label.txt", "1011", "1011", "1011"),
        ("absent_label.txt", "0100", "1011", "1011"),
        ("absent_label.txt", "0000", "1111", "1111"),
        ("absent.txt", "0100", "1011", "1011"),
        ("absent.txt", "1011", "1011", "1011"),
        ("absent.txt", "0000", "1111", "1111"),
        ("absent.txt", "0001", "1111", "1110"),
        ("other.txt", "0000", "1101", "1111"),
    ],
    ids=[
        "visevent", "visevent-with-empty-rows", "the-opposite-copy", "an-opposite-copy-without-absence",
        "one-is-absent", "one-is-present", "never-absent", "undecided-so-mostly-present", "no-file",
    ],
)  # fmt: skip
def test_flags_are_read_in_the_sense_that_fits_the_boxes(tmp_path, name, flags, boxes, present):
    (tmp_path / name).write_text("\n".join(flags))
    has_box = np.array([digit == "1" for digit in boxes])
    assert "".join(str(int(flag)) for flag in present_frames(tmp_path, has_box)) == present
