"""Event archives become pictures in the look of VisEvent."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from dmtrack.datasets.event_archive import read_event_archive, with_event_pictures
from dmtrack.datasets.opening import open_sequence
from dmtrack.datasets.sequence import Sequence
from dmtrack.errors import DatasetError, FormatError
from dmtrack.video.event_picture import NEGATIVE_RGB, POSITIVE_RGB, event_picture, frame_slices
from dmtrack.video.frame import Modality


def test_event_picture_colours_and_that_negative_events_win():
    x, y = np.array([0, 1, 1, 2, 2]), np.array([0, 1, 1, 0, 0])
    positive = np.array([True, True, False, False, True])
    picture = event_picture(x, y, positive, (4, 3))
    assert picture.shape == (3, 4, 3)
    assert picture.dtype == np.uint8
    assert tuple(picture[0, 0]) == POSITIVE_RGB == (220, 30, 30)
    assert tuple(picture[1, 1]) == NEGATIVE_RGB == (30, 30, 200)
    assert tuple(picture[0, 2]) == NEGATIVE_RGB, "also when the positive event came later"
    assert (picture == 255).all(axis=2).sum() == 9


def test_polarity_may_be_0_and_1():
    picture = event_picture(np.array([0, 1]), np.array([0, 0]), np.array([0, 1], dtype=np.uint8), (2, 1))
    assert [tuple(pixel) for pixel in picture[0]] == [NEGATIVE_RGB, POSITIVE_RGB]


@pytest.mark.parametrize(("x", "y"), [(4, 0), (0, 3), (-1, 0)])
def test_event_outside_the_sensor(x, y):
    with pytest.raises(FormatError, match=rf"event at \({x}, {y}\) lies outside the 4x3 sensor"):
        event_picture(np.array([0, x]), np.array([0, y]), np.array([True, True]), (4, 3))


def test_frame_slices_run_from_each_frame_to_the_next():
    times = np.array([5, 10, 19, 20, 29, 30, 39, 40])
    parts = [times[part].tolist() for part in frame_slices(times, np.array([10, 20, 30]))]
    assert parts == [[10, 19], [20, 29], [30, 39]]
    assert times[frame_slices(times, np.array([20]))[0]].tolist() == [20, 29, 30, 39, 40]


@pytest.mark.parametrize(("events", "frames"), [([2, 1], [0]), ([1, 2], [3, 3]), ([1], [])])
def test_times_that_run_backwards(events, frames):
    with pytest.raises(FormatError):
        frame_slices(np.array(events), np.array(frames, dtype=np.int64))


@pytest.fixture
def clip(tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    for index in range(2):
        cv2.imwrite(str(folder / f"frame{index}.png"), np.zeros((6, 8), np.uint8))
    (folder / "groundtruth.txt").write_text("1,1,3,3\n2,1,3,3\n")

    def _write(**changes):
        arrays = {
            "t": [0, 5, 12],
            "x": [1, 2, 7],
            "y": [1, 1, 5],
            "p": [True, False, True],
            "frame_t": [0, 10],
        }
        arrays |= changes
        np.savez(folder / "events.npz", **{k: np.array(v) for k, v in arrays.items() if v is not None})
        return folder

    return _write


def test_archive_beside_pictures_is_the_second_stream(clip, tmp_path):
    sequence = open_sequence(clip())
    assert (sequence.modality, [p.name for p in sequence.aux_paths]) == (Modality.EVENT, ["events.npz"])
    drawn = with_event_pictures(sequence, tmp_path / "pictures")
    assert [p.name for p in drawn.aux_paths] == ["00000.png", "00001.png"]
    first, second = (cv2.imread(str(path))[..., ::-1] for path in drawn.aux_paths)
    assert first.shape == (6, 8, 3)
    assert (tuple(first[1, 1]), tuple(first[1, 2]), tuple(second[5, 7])) == (
        POSITIVE_RGB,
        NEGATIVE_RGB,
        POSITIVE_RGB,
    )
    assert with_event_pictures(drawn, tmp_path / "unused") is drawn


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"p": None}, FormatError, "t, x, y, p and frame_t are needed"),
        ({"x": [1, 2]}, FormatError, "have 3, 2, 3, 3 entries"),
        ({"frame_t": [0, 10, 20]}, DatasetError, "3 frame times, but 2 pictures"),
        ({"x": [1, 2, 8]}, FormatError, "outside the 8x6 sensor"),
    ],
)
def test_bad_archives(clip, tmp_path, changes, error, message):
    sequence = open_sequence(clip(**changes))
    with pytest.raises(error, match=message):
        with_event_pictures(sequence, tmp_path / "pictures")


def test_a_file_that_is_no_archive(tmp_path):
    path = tmp_path / "events.npz"
    path.write_text("hello")
    with pytest.raises(FormatError, match="no archive of events"):
        read_event_archive(path)


def test_pickled_objects_are_not_unpickled(clip):
    path = clip(t=np.array([{}, {}, {}], dtype=object)) / "events.npz"
    with pytest.raises(FormatError, match="no archive of events"):
        read_event_archive(path)


def test_a_video_of_event_pictures_is_left_as_it_is(tmp_path: Path) -> None:
    sequence = Sequence(
        name="road",
        modality=Modality.EVENT,
        rgb_paths=(tmp_path / "rgb.mp4",),
        aux_paths=(tmp_path / "event.mp4",),
        boxes=np.array([[1.0, 2.0, 3.0, 4.0]]),
        visible=np.array([True]),
    )
    assert with_event_pictures(sequence, tmp_path / "pictures") is sequence
