"""`benchmarks/occlusion.py`: targets hidden behind a wall, what the tracker sees, and what is counted."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from clips import square_clip

from dmtrack.datasets.opening import find_sequences
from dmtrack.errors import DatasetError
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.video.frame import FramePair

FRAMES = 40


@pytest.fixture(scope="module")
def occlusion(benchmark_script) -> ModuleType:
    return benchmark_script("occlusion")


def test_a_quarter_of_the_recording_is_hidden_but_not_for_ever(occlusion):
    assert occlusion.hidden_frames(40) == range(12, 22)
    assert len(occlusion.hidden_frames(1000)) == 40


def test_the_wall_hides_the_target_and_nothing_far_from_it(occlusion):
    image = np.full((60, 80, 6), 40, np.uint8)
    image[20:30, 30:40] = 250
    box = Box(30, 20, 10, 10)
    covered = occlusion.walled(image, box, 3)
    assert covered.max() < 120
    assert (image[20:30, 30:40] == 250).all(), "the recording itself is left alone"
    assert np.array_equal(covered[:15], image[:15])
    assert np.array_equal(covered[:, 50:], image[:, 50:])
    assert np.array_equal(covered, occlusion.walled(image, box, 3))


def test_a_wall_outside_the_frame_changes_nothing(occlusion):
    image = np.full((60, 80, 3), 40, np.uint8)
    assert np.array_equal(occlusion.walled(image, Box(200, 200, 10, 10), 0), image)


class Finder:
    """Finds the white square, holds its box without one, and always claims to be sure."""

    def initialize(self, pair: FramePair, boxes: list[Box]) -> tuple[TrackedBox, ...]:
        self.box = boxes[0]
        return (TrackedBox(pair.rgb.index, 1, self.box, 1.0, TrackState.INIT),)

    def update(self, pair: FramePair) -> tuple[TrackedBox, ...]:
        rows, columns = np.nonzero(pair.image[..., 0] > 200)
        if len(rows):
            self.box = Box(float(columns.min()), float(rows.min()), 10, 10)
        return (TrackedBox(pair.rgb.index, 1, self.box, 1.0, TrackState.TRACKED),)


def test_what_is_counted(occlusion, tmp_path):
    figures = occlusion.occluded_pass(
        lambda _: Finder(), find_sequences(square_clip(tmp_path, frames=FRAMES))[0]
    )
    assert figures.mean_iou == 1.0
    assert figures.frames_to_recover == 1
    assert figures.wrongly_tracked == pytest.approx(10 / (FRAMES - 1))


def test_a_recording_that_is_too_short_is_refused(occlusion, tmp_path):
    with pytest.raises(DatasetError, match="fewer than 30"):
        occlusion.occluded_pass(lambda _: Finder(), find_sequences(square_clip(tmp_path, frames=10))[0])


def test_every_target_without_and_with_recovery(occlusion, tmp_path, monkeypatch, capsys):
    square_clip(tmp_path / "clips" / "long", frames=FRAMES)
    square_clip(tmp_path / "clips" / "short", frames=10)
    monkeypatch.setattr(occlusion, "exact_trackers", lambda *_, **asked: lambda kind: Finder())
    occlusion.main([str(tmp_path / "clips")])
    said = capsys.readouterr()
    assert [line.split()[:2] for line in said.out.splitlines()[1:]] == [
        [name, recovery] for name in ("long", "mean") for recovery in ("off", "on")
    ]
    assert f"short left out: fewer than {occlusion.LEAST_FRAMES} frames" in said.err
