"""Annotated video: the source's own stamps, playable however the run ends, never a half file."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.codec.codec import UnknownCodecError
from program import new_process

from dmtrack.drawing import video
from dmtrack.drawing.draw import DARK, PALETTE, Layout
from dmtrack.drawing.encoder import choose_encoder
from dmtrack.drawing.mp4 import is_whole, whole_fragments_bytes
from dmtrack.drawing.video import VideoSink, VideoWriter
from dmtrack.errors import OutputError
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState
from dmtrack.video.frame import Frame, FramePair

GREY = np.full((48, 64, 3), 128, np.uint8)
MS = Fraction(1, 1000)


def _times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def _first(path: Path) -> npt.NDArray[np.uint8]:
    with av.open(str(path)) as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)


def _noise(number: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 255, (120, 160, 3), dtype=np.uint8)


def _write(path: Path, stamps: list[int], time_base: Fraction) -> None:
    writer = VideoWriter(path)
    for stamp in stamps:
        writer.write(GREY, stamp, time_base)
    writer.close()


def _missing(name: str, mode: str) -> None:
    raise UnknownCodecError(name)


def _fill(writer: VideoWriter) -> None:
    for number in range(1000):
        writer.write(_noise(number), number * 40, MS)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize(
    ("stamps", "time_base"),
    [
        ([126_000 + 3003 * n + n % 4 for n in range(130)], Fraction(1, 90_000)),
        ([7, 8, 9, 12, 40], Fraction(1001, 30_000)),
        ([0, 5, 9, 1_000_000, 60_000_000], Fraction(1, 1_000_000)),
        ([3, 4, 100], Fraction(600, 1)),
        ([12_517], MS),
    ],
    ids=["late start and jitter", "NTSC with gaps", "microseconds", "time lapse", "one frame"],
)
def test_stamps_are_those_of_the_source(tmp_path, monkeypatch, stamps, time_base, codec):
    if codec != "libx264":
        monkeypatch.setattr(av, "Codec", _missing)
    path = tmp_path / "a.mp4"
    _write(path, stamps, time_base)
    assert _times(path) == [(stamp - stamps[0]) * time_base for stamp in stamps]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "first",
    [1_700_000_000_000, 36_000_000, 50_000, 1_400, 0, -7_000],
    ids=["since 1970", "ten hours", "--start 50s", "a transport stream", "0", "before 0"],
)
def test_whatever_the_clock_says_the_video_begins_with_the_first_picture(tmp_path, first):
    """A player would show nothing for 54 years."""
    _write(tmp_path / "a.mp4", [first, first + 40, first + 100], MS)
    times = _times(tmp_path / "a.mp4")
    assert [time - times[0] for time in times] == [0, Fraction(40, 1000), Fraction(100, 1000)]
    assert times[0] == 0
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.duration is not None
        assert container.duration < 1_000_000


def test_stamps_that_do_not_rise_are_moved_and_reported(tmp_path, caplog):
    _write(tmp_path / "a.mp4", [0, 40, 40, 120], MS)
    assert _times(tmp_path / "a.mp4") == [0, 40 * MS, 41 * MS, 120 * MS]
    assert "1 time stamp did not rise" in caplog.text


def test_file_is_what_players_expect(tmp_path):
    path = tmp_path / "a.mp4"
    _write(path, list(range(0, 5000, 40)), MS)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.frames, stream.duration * stream.time_base) == (125, 5)
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"moof" not in data


@pytest.mark.parametrize("colour", [(200, 30, 60), *PALETTE, DARK, (255, 255, 255)])
def test_odd_sides_are_padded_and_colours_kept(tmp_path, colour):
    path = tmp_path / "a.mp4"
    with_colour = np.full((49, 65, 3), colour, np.uint8)
    writer = VideoWriter(path)
    writer.write(with_colour, 0, MS)
    writer.close()
    picture = _first(path)
    assert picture.shape == (50, 66, 3)
    assert np.abs(picture.astype(int) - colour).max() <= 4


def test_picture_of_another_size_is_fitted(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4")
    writer.write(GREY, 0, MS)
    writer.write(np.full((10, 20, 3), 128, np.uint8), 40, MS)
    writer.close()
    assert len(_times(tmp_path / "a.mp4")) == 2


def test_without_frames_no_file(tmp_path):
    VideoWriter(tmp_path / "a.mp4").close()
    assert list(tmp_path.iterdir()) == []


def test_existing_video_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"old")
    with pytest.raises(OutputError, match="--overwrite"):
        VideoWriter(tmp_path / "a.mp4")
    writer = VideoWriter(tmp_path / "a.mp4", overwrite=True)
    writer.write(GREY, 0, MS)
    assert (tmp_path / "a.mp4").read_bytes() == b"old"
    writer.close()
    assert len(_times(tmp_path / "a.mp4")) == 1


def test_full_disk_keeps_the_whole_fragments(tmp_path, limit_file_size):
    path = tmp_path / "a.mp4"
    writer = VideoWriter(path)
    limit_file_size(1_400_000)
    with pytest.raises(OutputError, match=r"a\.mp4: the file has reached the size limit"):
        _fill(writer)
    with pytest.raises(OutputError, match="failed before"):
        writer.write(GREY, 0, MS)
    writer.close()
    times = _times(path)
    assert len(times) >= 30
    assert times == [number * 40 * MS for number in range(len(times))]
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_while_closing_is_noticed(tmp_path, limit_file_size):
    path = tmp_path / "a.mp4"
    writer = VideoWriter(path)
    for number in range(100):
        writer.write(_noise(number), number * 40, MS)
    limit_file_size((tmp_path / ".a.mp4.part").stat().st_size + 10_000)
    with pytest.raises(OutputError, match=r"a\.mp4"):
        writer.close()
    assert 30 <= len(_times(path)) < 100
    assert list(tmp_path.iterdir()) == [path]


def test_no_room_for_the_index_leaves_a_fragmented_video(tmp_path, monkeypatch, caplog):
    def full(source: Path, target: Path, unit: Fraction) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(video, "_copy_packets", full)
    _write(tmp_path / "a.mp4", [100, 140, 180], MS)
    assert _times(tmp_path / "a.mp4") == [0, 40 * MS, 80 * MS]
    assert "stays a fragmented MP4" in caplog.text
    assert list(tmp_path.iterdir()) == [tmp_path / "a.mp4"]


def test_without_x264_the_fallback_is_said(monkeypatch, caplog):
    assert choose_encoder(64, 48).name == "libx264"
    monkeypatch.setattr(av, "Codec", _missing)
    with caplog.at_level(logging.WARNING):
        assert choose_encoder(64, 48).name == "mpeg4"
    assert "no libx264" in caplog.text


def test_encoder_that_refuses_is_one_clear_error(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4")
    with pytest.raises(OutputError, match=r"a\.mp4: the video cannot be encoded"):
        writer.write(np.zeros((2, 20_000, 3), np.uint8), 0, MS)
    writer.close()
    assert list(tmp_path.iterdir()) == []


def _result(index: int) -> FrameResult:
    frame = Frame(index, 1000 + 33 * index, MS, GREY)
    target = TrackedBox(index, 1, Box(10, 10, 20, 20), 0.5, TrackState.TRACKED, frame.time_s)
    return FrameResult(FramePair(frame, None, None, GREY), (target,), 1.0)


def test_interrupted_sink_leaves_a_playable_video(tmp_path):
    sink = VideoSink(tmp_path / "a.mp4", Layout.RGB)
    for index in range(10):
        sink.write(_result(index))
    with pytest.raises(KeyboardInterrupt), sink:
        raise KeyboardInterrupt
    assert _times(tmp_path / "a.mp4") == [33 * index * MS for index in range(10)]
    assert is_whole(tmp_path / "a.mp4")
    assert _first(tmp_path / "a.mp4").shape == (384, 512, 3)


KILLED = """
import sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from dmtrack.drawing.video import VideoWriter
writer = VideoWriter(Path(sys.argv[1]))
picture = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
for number in range(10**9):
    writer.write(picture, number, Fraction(1, 25))
    if number == 200:
        print("go", flush=True)
"""


def test_killed_run_leaves_nothing_under_the_final_name(tmp_path):
    path = tmp_path / "a.mp4"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    part = tmp_path / ".a.mp4.part"
    assert list(tmp_path.iterdir()) == [part]
    # Even that part can be saved: its whole fragments play.
    os.truncate(part, whole_fragments_bytes(part))
    assert len(_times(part)) >= 60


_IMPORTS = """
import importlib, sys
for name in "boxes.export boxes.starts drawing.render drawing.score_plot output.sink".split():
    importlib.import_module("dmtrack." + name)
sys.exit("torch" in sys.modules)
"""


def test_output_does_not_load_torch():
    assert new_process("-c", _IMPORTS).returncode == 0


def test_pixels_that_are_not_square_keep_their_shape(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4")
    writer.pixel_aspect = Fraction(4, 3)
    for pts in range(3):
        writer.write(np.zeros((48, 64, 3), np.uint8), pts, Fraction(1, 30))
    writer.close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
