"""What the header and the stamps of a file say, on files whose content is known exactly."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dmtrack.errors import VideoError
from dmtrack.video.container_clock import read_container


def pictures(count: int) -> list[np.ndarray]:
    return [np.full((64, 96, 3), (10 + i, 120, 60), np.uint8) for i in range(count)]


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    """Colour and depth in one file, as depth cameras write it: tracks with titles, and a calibration."""
    path = tmp_path / "rig.mkv"
    with av.open(str(path), "w") as container:
        colour = container.add_stream("libx264", rate=30)
        colour.width, colour.height, colour.pix_fmt = 96, 64, "yuv420p"
        colour.metadata.update(title="COLOR", language="eng")
        depth = container.add_stream("ffv1", rate=15)
        depth.width, depth.height, depth.pix_fmt = 48, 32, "gray16le"
        depth.metadata["title"] = "DEPTH"
        container.add_attachment("calibration.json", "application/json", b"{}")
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(pictures(10)[number], format="rgb24")
            frame.pts = number
            container.mux(colour.encode(frame))
            if number % 2 == 0:
                frame = av.VideoFrame.from_ndarray(np.full((32, 48), 900, np.uint16), format="gray16le")
                frame.pts = number // 2
                container.mux(depth.encode(frame))
        container.mux(colour.encode(None))
        container.mux(depth.encode(None))
    return path


def test_every_track_is_told(rig: Path) -> None:
    facts = read_container(rig)
    assert "matroska" in facts.format
    assert facts.size_bytes == rig.stat().st_size
    colour, depth, attachment = facts.streams
    assert (colour.kind, colour.video_number, colour.codec, colour.size) == ("video", 0, "h264", (96, 64))
    assert (colour.tags["title"], colour.tags["language"], colour.frame_rate) == ("COLOR", "eng", 30)
    assert (depth.video_number, depth.codec, depth.pixel_format, depth.bit_depth) == (
        1,
        "ffv1",
        "gray16le",
        16,
    )
    assert (depth.size, depth.frame_rate, depth.tags["title"]) == ((48, 32), 15, "DEPTH")
    assert (attachment.kind, attachment.video_number) == ("attachment", None)
    assert attachment.tags["filename"] == "calibration.json"


def test_the_clock_is_that_of_the_stream_that_was_asked_for(rig: Path) -> None:
    colour, depth = read_container(rig).clock, read_container(rig, stream=1).clock
    assert colour is not None
    assert depth is not None
    assert (colour.frames, colour.first_s, colour.last_s) == (10, 0, Fraction(3, 10))
    assert (depth.frames, depth.last_s) == (5, Fraction(267, 1000))
    assert not colour.is_variable, "33 and 34 ms are 30 pictures a second on a clock of milliseconds"
    assert not depth.is_variable


@pytest.mark.parametrize(
    ("stamps", "is_variable", "gaps", "first_s"),
    [
        pytest.param(range(10), False, 0, 0, id="even"),
        pytest.param(range(60, 70), False, 0, 2, id="late-start"),
        pytest.param([0, 1, 2, 5, 6, 7, 8, 9, 10, 11], True, 1, 0, id="two-left-out"),
        pytest.param([0, 1, 3, 4, 6, 7, 9, 10, 12, 13], True, 4, 0, id="uneven"),
    ],
)
def test_clocks(
    make_video: Callable[..., Path], stamps: list[int], is_variable: bool, gaps: int, first_s: int
) -> None:
    clock = read_container(make_video("a.mp4", pictures(10), pts=stamps)).clock
    assert clock is not None
    assert (clock.frames, clock.is_variable, clock.gaps, clock.first_s) == (10, is_variable, gaps, first_s)
    assert clock.last_s == Fraction(stamps[-1], 30)
    assert clock.mean_rate == Fraction(9 * 30, stamps[-1] - stamps[0])


def test_b_frames_do_not_look_like_a_variable_rate(make_video: Callable[..., Path]) -> None:
    clock = read_container(make_video("b.mp4", pictures(20), options={"bf": "3", "b-adapt": "0"})).clock
    assert clock is not None
    assert (clock.is_variable, clock.gaps, clock.interval_s) == (False, 0, Fraction(1, 30))


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\x00" * 100)
    with pytest.raises(VideoError, match=r"a\.mp4"):
        read_container(tmp_path / "a.mp4")
