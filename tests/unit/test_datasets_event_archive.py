"""Event archives become pictures in the look of VisEvent."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from dmtrack.datasets.event_archive import with_event_pictures
from dmtrack.datasets.opening import open_sequence
from dmtrack.datasets.sequence import Sequence
from dmtrack.errors import DatasetError, DecodeError, FormatError
from dmtrack.video.events.picture import NEGATIVE_RGB, POSITIVE_RGB
from dmtrack.video.frame import Modality


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
        ({"p": None}, FormatError, "the array p is missing .*; t, x, y and p are needed"),
        ({"frame_t": None}, FormatError, "the array frame_t is missing"),
        ({"frame_t": [0, 0]}, FormatError, "times of the frames run backwards"),
        ({"x": [1, 2]}, FormatError, "have 3, 2, 3, 3 entries"),
        ({"frame_t": [0, 10, 20]}, DatasetError, "3 frame times, but 2 pictures"),
    ],
)
def test_bad_archives(clip, tmp_path, changes, error, message):
    sequence = open_sequence(clip(**changes))
    with pytest.raises(error, match=message):
        with_event_pictures(sequence, tmp_path / "pictures")


def test_an_event_outside_the_picture_is_left_out(clip, tmp_path, caplog):
    drawn = with_event_pictures(open_sequence(clip(x=[1, 8, 7])), tmp_path / "pictures")
    first = cv2.imread(str(drawn.aux_paths[0]))
    assert (first != 255).any(axis=2).sum() == 1
    assert "event at (8, 1) outside the 8x6 sensor" in caplog.text


def test_a_file_that_is_no_archive(clip, tmp_path):
    folder = clip()
    (folder / "events.npz").write_text("hello")
    with pytest.raises(DecodeError, match=r"cannot be read \(File is not a zip file"):
        with_event_pictures(open_sequence(folder), tmp_path / "pictures")


def test_pickled_objects_are_not_unpickled(clip, tmp_path):
    sequence = open_sequence(clip(t=np.array([{}, {}, {}], dtype=object)))
    with pytest.raises(FormatError, match="is no list of events"):
        with_event_pictures(sequence, tmp_path / "pictures")


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
