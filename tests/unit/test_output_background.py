"""A sink in a thread of its own writes the same, and hides no error."""

from __future__ import annotations

import threading
from fractions import Fraction

import numpy as np
import pytest

from dmtrack.drawing.draw import Layout
from dmtrack.drawing.video import VideoSink
from dmtrack.errors import OutputError
from dmtrack.geometry.box import Box
from dmtrack.output.sink import BackgroundSink, Sink, SinkGroup
from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState
from dmtrack.video.ahead import MOST_WAITING
from dmtrack.video.frame import Frame, FramePair


def result(index: int) -> FrameResult:
    pixels = np.random.default_rng(index).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    frame = Frame(index, index, Fraction(1, 30), pixels)
    box = TrackedBox(index, 1, Box(5 + index, 6, 20, 20), 0.9, TrackState.TRACKED, frame.time_s)
    return FrameResult(FramePair(frame, None, None, pixels), (box,), 1.0)


def write_all(sink: Sink, count: int) -> None:
    for index in range(count):
        sink.write(result(index))


class Recorder(Sink):
    """Remembers, waits at a gate, and fails when told to."""

    def __init__(self, fail_at: int | None = None, error: Exception | None = None) -> None:
        self.written: list[int] = []
        self.closed = 0
        self.gate = threading.Event()
        self.gate.set()
        self._fail_at = fail_at
        self._error = error or OutputError("the disk is full")

    def write(self, result: FrameResult) -> None:
        assert self.gate.wait(10)
        if result.pair.rgb.index == self._fail_at:
            raise self._error
        self.written.append(result.pair.rgb.index)

    def close(self) -> None:
        self.closed += 1


def test_the_video_is_the_same_byte_for_byte(tmp_path):
    plain = VideoSink(tmp_path / "plain.mp4", Layout.RGB)
    background = BackgroundSink(VideoSink(tmp_path / "background.mp4", Layout.RGB))
    with plain, background:
        for index in range(20):
            plain.write(result(index))
            background.write(result(index))
    assert (tmp_path / "plain.mp4").read_bytes() == (tmp_path / "background.mp4").read_bytes()


@pytest.mark.parametrize("error", [None, KeyboardInterrupt()], ids=["the end", "ctrl-c"])
def test_closing_writes_everything_first(error):
    inner = Recorder()
    sink = BackgroundSink(inner)
    inner.gate.clear()
    for index in range(MOST_WAITING):
        sink.write(result(index))
    threading.Timer(0.02, inner.gate.set).start()
    sink.__exit__(None if error is None else type(error), error, None)
    assert inner.written == list(range(MOST_WAITING))
    assert inner.closed == 1
    sink.close()


def test_whoever_is_ahead_waits():
    inner = Recorder()
    sink = BackgroundSink(inner)
    inner.gate.clear()
    ahead = []

    def run_ahead() -> None:
        for index in range(20):
            sink.write(result(index))
            ahead.append(index)

    writer = threading.Thread(target=run_ahead)
    writer.start()
    writer.join(0.1)
    assert len(ahead) <= MOST_WAITING + 1
    inner.gate.set()
    writer.join(10)
    sink.close()
    assert inner.written == list(range(20))


@pytest.mark.parametrize("error", [OutputError("the disk is full"), ZeroDivisionError("a defect")])
def test_an_error_comes_out_of_a_later_write(error):
    inner = Recorder(fail_at=2, error=error)
    sink = BackgroundSink(inner)
    with pytest.raises(type(error)) as caught:
        write_all(sink, 100)
    assert caught.value is error
    for index in range(2):
        with pytest.raises(OutputError, match="writing failed before"):
            sink.write(result(index))
    assert inner.written == [0, 1]
    sink.close()  # it was said
    assert inner.closed == 1


def test_nothing_is_dropped_silently_after_the_end():
    sink = BackgroundSink(Recorder())
    sink.write(result(0))
    sink.close()
    with pytest.raises(OutputError):
        sink.write(result(1))


def test_an_error_after_the_last_write_comes_out_of_close():
    inner = Recorder(fail_at=1)
    sink = BackgroundSink(inner)
    inner.gate.clear()
    sink.write(result(0))
    sink.write(result(1))
    inner.gate.set()
    with pytest.raises(OutputError, match="the disk is full"):
        sink.close()
    assert inner.closed == 1


def test_a_group_goes_on_without_it():
    failing, other = Recorder(fail_at=1), Recorder()
    group = SinkGroup([BackgroundSink(failing), other])
    with pytest.raises(OutputError, match="the disk is full"), group:
        write_all(group, 30)
    assert other.written == list(range(30))
    assert failing.closed == other.closed == 1
    assert failing.written == [0]


def test_without_results_no_thread_is_started():
    before, inner = threading.active_count(), Recorder()
    with BackgroundSink(inner):
        assert threading.active_count() == before
    assert inner.closed == 1
