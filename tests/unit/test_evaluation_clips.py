"""One pass over small recordings, with trackers whose answers are known; and what the score's ROC says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dmtrack.datasets.opening import find_sequences
from dmtrack.errors import DatasetError
from dmtrack.evaluation.clips import one_pass, roc_auc
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.video.frame import Modality

FRAMES = 5


class SquareFinder:
    """Finds the white square of the made-up pictures in the given channel; never drifts."""

    def __init__(self, channel=0):
        self.channel = channel
        self.calls = []

    def initialize(self, pair, boxes):
        self.calls.append(("initialize", pair.rgb.index, boxes[0].xywh, pair.image.shape))
        return (self._found(pair, boxes[0], TrackState.INIT),)

    def update(self, pair):
        self.calls.append(("update", pair.rgb.index))
        rows, columns = np.nonzero(pair.image[..., self.channel] > 128)
        x, y = float(columns.min()), float(rows.min())
        size = (float(columns.max()) + 1 - x, float(rows.max()) + 1 - y)
        return (self._found(pair, Box(x, y, *size), TrackState.TRACKED),)

    @staticmethod
    def _found(pair, box, state):
        return TrackedBox(pair.rgb.index, 1, box, 0.5 if state == "tracked" else 1.0, state, pair.rgb.time_s)


class Still(SquareFinder):
    """Never moves from the start box."""

    def initialize(self, pair, boxes):
        self.box = boxes[0]
        return super().initialize(pair, boxes)

    def update(self, pair):
        return (self._found(pair, self.box, TrackState.TRACKED),)


@pytest.fixture
def clip(tmp_path):
    """A square of 10 px that moves 2 px a frame; the thermal one is 1 px lower."""

    def _make(rgb="visible", aux="infrared", frames=FRAMES, absent=(), first=0):
        rows = []
        for index in range(frames):
            for name, shift in ((rgb, 0), (aux, 1)):
                if name is None:
                    continue
                (tmp_path / name).mkdir(exist_ok=True)
                picture = np.zeros((40, 50, 3), np.uint8)
                x = 5 + 2 * (index - first)
                if x >= 0:
                    picture[10 + shift : 20 + shift, x : x + 10] = 255
                cv2.imwrite(str(tmp_path / name / f"{index:04d}.png"), picture)
            if index >= first:
                rows.append("0,0,0,0" if index in absent else f"{5 + 2 * (index - first)},10,10,10")
        (tmp_path / "groundtruth.txt").write_text("\n".join(rows))
        return tmp_path

    return _make


def test_a_tracker_that_is_right_gets_all(clip):
    tracker = SquareFinder()
    result = one_pass(lambda _: tracker, find_sequences(clip())[0])
    assert result.mean_iou == 1.0
    np.testing.assert_array_equal(result.boxes[:, 0], [5, 7, 9, 11, 13])
    np.testing.assert_array_equal(result.scores, [1, 0.5, 0.5, 0.5, 0.5])
    assert tracker.calls == [("initialize", 0, (5, 10, 10, 10), (40, 50, 6))] + [
        ("update", i) for i in range(1, FRAMES)
    ]


def test_the_second_stream_reaches_the_tracker(clip):
    result = one_pass(lambda _: SquareFinder(channel=3), find_sequences(clip())[0])
    np.testing.assert_allclose(result.ious[1:], 90 / 110)


def test_a_tracker_that_stands_still_loses_overlap(clip):
    result = one_pass(lambda _: Still(), find_sequences(clip())[0])
    expected = [1, 80 / 120, 60 / 140, 40 / 160, 20 / 180]
    np.testing.assert_allclose(result.ious, expected)
    assert result.mean_iou == pytest.approx(np.mean(expected))


def test_the_factory_is_told_the_modality(clip):
    told = []
    one_pass(lambda modality: told.append(modality) or SquareFinder(), find_sequences(clip())[0])
    assert told == [Modality.THERMAL]


def test_one_stream(clip):
    tracker = SquareFinder()
    result = one_pass(lambda _: tracker, find_sequences(clip(rgb="rgb", aux=None))[0])
    assert result.mean_iou == 1.0
    assert tracker.calls[0][3] == (40, 50, 3)


def test_absent_frames_do_not_count_and_the_start_is_the_first_known_box(clip):
    result = one_pass(lambda _: SquareFinder(), find_sequences(clip(absent=(0, 1, 3)))[0])
    assert result.start_frame == 2
    assert np.isnan(result.boxes[:, 0]).tolist() == [True, True, False, False, False]
    assert np.isnan(result.ious).tolist() == [True, True, False, True, False]
    assert result.mean_iou == 1.0


def test_a_sequence_that_starts_inside_its_folder(tmp_path, clip):
    folder = clip(rgb="img", aux=None, frames=302, first=299)
    david = folder / "David"
    david.mkdir()
    (folder / "img").rename(david / "img")
    (david / "groundtruth_rect.txt").write_text("6,11,10,10\n8,11,10,10\n10,11,10,10\n")
    tracker = SquareFinder()
    result = one_pass(lambda _: tracker, find_sequences(david)[0])
    assert result.mean_iou == 1.0
    assert [call[1] for call in tracker.calls] == [299, 300, 301]


def test_max_frames(clip):
    result = one_pass(lambda _: Still(), find_sequences(clip())[0], max_frames=2)
    np.testing.assert_allclose(result.ious, [1, 80 / 120, np.nan, np.nan, np.nan])


def test_a_frame_that_cannot_be_read_is_a_miss(clip):
    folder = clip()
    (folder / "visible" / "0002.png").write_bytes(b"broken")
    result = one_pass(lambda _: SquareFinder(), find_sequences(folder)[0])
    np.testing.assert_array_equal(result.ious, [1, 1, 0, 1, 1])


def test_an_unreadable_start_frame_is_an_error(clip):
    folder = clip()
    (folder / "visible" / "0000.png").write_bytes(b"broken")
    with pytest.raises(DatasetError, match="start frame 0 cannot be read"):
        one_pass(lambda _: SquareFinder(), find_sequences(folder)[0])


def test_a_recording_shorter_than_its_ground_truth_is_an_error(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "rgb.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (48, 32))
    for _ in range(3):
        writer.write(np.full((32, 48, 3), 200, np.uint8))
    writer.release()
    (tmp_path / "groundtruth.txt").write_text("5,5,10,10\n" * 5)
    with pytest.raises(DatasetError, match="ends after frame 2, but there are 5 rows"):
        one_pass(lambda _: Still(), find_sequences(tmp_path)[0])


@pytest.mark.parametrize(
    ("scores", "hits", "area"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 1.0),
        ([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1], 0.0),
        ([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1], 0.5),
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.75),
    ],
    ids=["perfect", "reversed", "all tied", "one pair wrong of four"],
)
def test_area_under_the_roc(scores, hits, area):
    assert roc_auc(scores, np.array(hits, bool)) == pytest.approx(area)


def test_area_is_unknown_without_a_miss():
    assert np.isnan(roc_auc([0.3, 0.4], [True, True]))


def test_the_main_stream_alone(clip):
    sequence = find_sequences(clip())[0].main_stream()
    tracker = SquareFinder()
    assert one_pass(lambda _: tracker, sequence).mean_iou == 1.0
    assert tracker.calls[0][3] == (40, 50, 3)
