"""`benchmarks/robustness.py`: what degraded clips look like, and the table over them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest
from clips import square_clip
from program import csv_rows

from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.video.frame import Frame, FramePair, Modality

MISSING = ("random-missing", "swap-missing", "long-missing")
KINDS = ("clean", "dark", "blurred", "lost", "second-lost", *MISSING)
STREAMS = ("both", "blank", "rgb", "aux")
RGB = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
AUX = np.full((40, 60, 3), 77, np.uint8)


@pytest.fixture(scope="module")
def robustness(benchmark_script) -> ModuleType:
    return benchmark_script("robustness")


def pair() -> FramePair:
    frame = Frame(0, 0, Fraction(1, 30), RGB)
    return FramePair(frame, frame, Modality.THERMAL, np.concatenate((RGB, AUX), axis=2))


@pytest.mark.parametrize("kind", KINDS)
def test_the_frame_whose_box_is_given_is_never_degraded(robustness, kind):
    assert np.array_equal(robustness.degrade(RGB, kind, 0), RGB)


def test_dark_is_dark_noisy_and_repeatable(robustness):
    dark = [robustness.degrade(RGB, robustness.Degradation.DARK, frame) for frame in (3, 3, 4)]
    assert dark[0].mean() < 0.1 * RGB.mean()
    assert np.array_equal(dark[0], dark[1])
    assert not np.array_equal(dark[0], dark[2])


def test_blur_takes_detail_and_keeps_light(robustness):
    blurred = robustness.degrade(RGB, robustness.Degradation.BLURRED, 1)
    assert blurred.std() < 0.95 * RGB.std()
    assert blurred.mean() == pytest.approx(RGB.mean(), abs=2)


@pytest.mark.parametrize(("kind", "channels"), [("lost", slice(3)), ("second-lost", slice(3, 6))])
def test_one_stream_is_lost_for_thirty_frames(robustness, kind, channels):
    both, kind = robustness.Streams.BOTH, robustness.Degradation(kind)
    images = [robustness.shown(pair(), both, kind, frame, 60).image for frame in range(60)]
    black = [frame for frame, image in enumerate(images) if not image[..., channels].any()]
    assert black == list(robustness.LOST_FRAMES)
    assert len(black) == 30
    assert sum(int(not image.all(axis=2).any()) for image in images) == 30


@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.parametrize("frames", [60, 180, 1000])
def test_six_of_ten_frames_lack_either_stream(robustness, kind, frames):
    gone = np.array([robustness.absent(robustness.Degradation(kind), f, frames) for f in range(frames)])
    assert not gone[0].any()
    assert not gone.all(axis=1).any()
    assert gone.any(axis=1).mean() == pytest.approx(0.6, abs=0.1)
    assert gone.mean(axis=0) == pytest.approx([0.3, 0.3], abs=0.1)


def test_how_long_a_stream_is_missing(robustness):
    def changes(kind: str) -> int:
        return sum(
            robustness.absent(robustness.Degradation(kind), f, 300)
            != robustness.absent(robustness.Degradation(kind), f - 1, 300)
            for f in range(1, 300)
        )

    assert changes("long-missing") == 4
    assert changes("swap-missing") == 40
    assert changes("random-missing") > 100


@pytest.mark.parametrize(
    ("streams", "channels", "last"), [("both", 6, 77), ("blank", 6, 0), ("aux", 3, 77), ("rgb", 3, None)]
)
def test_what_the_tracker_is_shown(robustness, streams, channels, last):
    image = robustness.shown(pair(), robustness.Streams(streams), robustness.Degradation.CLEAN, 1, 9).image
    assert image.shape == (40, 60, channels)
    if last is None:
        assert np.array_equal(image, RGB)
    else:
        assert (image[..., -3:] == last).all()


class Recorder:
    """A tracker that notes how light RGB is, and holds its box."""

    def __init__(self) -> None:
        self.means: list[float] = []

    def initialize(self, pair: FramePair, boxes: object) -> tuple[TrackedBox, ...]:
        return self.update(pair)

    def update(self, pair: FramePair) -> tuple[TrackedBox, ...]:
        self.means.append(float(pair.image[..., :3].mean()))
        return (TrackedBox(pair.rgb.index, 1, Box(5, 5, 10, 10), 1.0, TrackState.TRACKED),)


def test_the_view_degrades_every_frame_but_the_first(robustness):
    recorder = Recorder()
    view = robustness.DegradedView(recorder, robustness.Streams.BOTH, robustness.Degradation.DARK, 9)
    view.initialize(pair(), [Box(1, 1, 5, 5)])
    view.update(pair())
    view.initialize(pair(), [Box(1, 1, 5, 5)])
    first, second, again = recorder.means
    assert first == again > 5 * second


def test_every_degradation_with_every_choice_of_streams(robustness, tmp_path, monkeypatch, capsys):
    clips, made = square_clip(tmp_path / "clips" / "walk", ("rgb", "thermal"), 6).parent, []

    def recorders(*_: object, **asked: object) -> Callable[[Modality | None], Recorder]:
        return lambda kind: made.append((kind, asked)) or Recorder()

    monkeypatch.setattr(robustness, "exact_trackers", recorders)
    robustness.main([str(clips), "--csv", str(tmp_path / "cells.csv"), "--recovery", "auto"])
    rows = csv_rows(tmp_path / "cells.csv")
    assert [(row["degrade"], row["streams"]) for row in rows] == [(k, s) for k in KINDS for s in STREAMS]
    assert [kind for kind, _ in made] == [Modality.THERMAL, Modality.THERMAL, None, None] * len(KINDS)
    assert made[0][1]["recovery"] == "auto"
    table = capsys.readouterr().out.splitlines()
    assert table[1].split()[-4:] == list(STREAMS)
    assert [line.split()[0] for line in table[2:]] == list(KINDS)


def test_one_cell_of_the_table(robustness, tmp_path, monkeypatch, capsys):
    clips = square_clip(tmp_path / "clips" / "walk", ("rgb", "thermal"), 6).parent
    monkeypatch.setattr(robustness, "exact_trackers", lambda *_, **asked: lambda kind: Recorder())
    robustness.main([str(clips), "--degrade", "clean", "--streams", "rgb"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == ["clean"]


def test_clips_of_one_stream_are_not_enough(robustness, tmp_path, capsys):
    with pytest.raises(SystemExit):
        robustness.main([str(square_clip(tmp_path / "clips" / "walk", frames=6).parent)])
    assert "two streams" in capsys.readouterr().err
