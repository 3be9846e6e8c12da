"""What a sequence refuses, and how its pictures are listed and found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dmtrack.datasets.image_files import ImageFiles
from dmtrack.datasets.sequence import Sequence, is_recording
from dmtrack.errors import DatasetError, VideoError


def make(frames=3, **changes):
    values = {
        "name": "walk",
        "modality": None,
        "rgb_paths": ImageFiles(Path("walk/rgb"), tuple(f"{i}.jpg" for i in range(frames))),
        "aux_paths": (),
        "boxes": np.tile([1.0, 2.0, 30.0, 40.0], (frames, 1)),
        "visible": np.ones(frames, dtype=bool),
    }
    return Sequence(**(values | changes))


def files(folder, count):
    return ImageFiles(Path(folder), tuple(f"{i}.png" for i in range(count)))


def test_length_start_box_and_arrays_that_cannot_be_changed():
    sequence = make()
    assert len(sequence) == 3
    assert sequence.start_box.xywh == (1, 2, 30, 40)
    with pytest.raises(ValueError, match="read-only"):
        sequence.boxes[0, 0] = 5


def test_a_target_that_is_never_visible_is_refused():
    with pytest.raises(DatasetError, match="visible in no frame"):
        make(visible=np.zeros(3, dtype=bool))


def test_absent_frames_have_no_box():
    boxes = np.array([[np.nan] * 4, [1.0, 2, 3, 4], [np.nan] * 4])
    sequence = make(boxes=boxes, visible=np.array([False, True, False]), start_frame=1)
    assert sequence.start_box.xywh == (1, 2, 3, 4)
    with pytest.raises(DatasetError, match="no box is known in frame 2"):
        sequence.box(2)


def test_a_video_may_have_any_number_of_frames():
    sequence = make(rgb_paths=(Path("a/thermal.avi"),))
    assert is_recording(sequence.rgb_paths)
    assert sequence.sources() == (Path("a/thermal.avi"), None)


def test_a_list_of_one_picture_is_not_a_recording():
    assert not is_recording((Path("a/0.jpg"),))


@pytest.fixture
def pictures(tmp_path):
    for name in ("10.jpg", "2.jpg", "1.jpg", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).touch()
    return ImageFiles.of(tmp_path)


def test_pictures_are_listed_in_the_order_of_their_numbers(pictures):
    assert pictures.names == ("1.jpg", "2.jpg", "10.jpg")


def test_a_list_of_pictures_is_read_as_their_folder(tmp_path, pictures):
    assert make(rgb_paths=pictures).sources() == (tmp_path, None)


def test_image_files_behave_as_a_list_of_paths():
    pictures = files("a", 5)
    assert pictures[4] == Path("a/4.png")
    assert pictures[-1] == pictures[4]
    assert list(pictures[1:3]) == [Path("a/1.png"), Path("a/2.png")]
    with pytest.raises(IndexError):
        pictures[5]


def test_missing_folder(tmp_path):
    with pytest.raises(VideoError, match="no such folder"):
        ImageFiles.of(tmp_path / "nothing")
