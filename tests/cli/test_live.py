"""`dmtrack track` on live streams and with a window: how runs end, and what they leave."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from program import assert_results, at_frame

from dmtrack.geometry.box import Box
from dmtrack.output.record import read_run_json
from dmtrack.tracking.result import FrameResult
from dmtrack.tracking.start import TargetStart

RunCli = Callable[..., Any]
BOX = "40,40,24,24"


@pytest.fixture
def streams(live_sender) -> Iterator[tuple[str, str]]:
    """A colour and a grey stream, each sent until the test is over; the first address has a password."""
    first, second = live_sender.free_port(), live_sender.free_port()
    with (
        live_sender.Sender(f"udp://127.0.0.1:{first}?pkt_size=1316"),
        live_sender.Sender(f"udp://127.0.0.1:{second}?pkt_size=1316", look="grey"),
    ):
        yield f"udp://me:s3cret@127.0.0.1:{first}", f"udp://127.0.0.1:{second}"


@pytest.fixture
def live(run_cli, weights, streams) -> RunCli:
    """Run `track` on both streams with random weights, into the folder `out`."""

    def run(*options: Any, box: str | None = BOX) -> Any:
        boxes = [] if box is None else [f"--box={box}"]
        return run_cli("track", *streams, "--live", "--weights", weights, "-o", "out", *boxes, *options)

    return run


def test_up_to_an_end(live, streams):
    outcome = live("--end", 6)
    assert outcome.code == 0, outcome.err
    record = assert_results(6, "complete")
    settings = record["configuration"]["live"]
    assert (settings["rgb"], settings["aux"]) == (streams[0].replace("me:s3cret", "***"), streams[1])
    assert (record["configuration"]["modality"], record["clocks"]["sync"]) == ("thermal", "pts")
    pairing = record["counts"]["pairing"]
    assert pairing["pairs"] == 6
    assert pairing["rgb_dropped"] >= 0
    assert re.search(r"\d+ frames? dropped, none was older than \d+ ms", outcome.out)
    assert "s3cret" not in Path("out/run.json").read_text() + outcome.out + outcome.err


@pytest.mark.slow
@pytest.mark.alone
def test_a_signal_ends_it_with_valid_results(live, monkeypatch):
    at_frame(monkeypatch, 4, lambda: os.kill(os.getpid(), signal.SIGTERM))
    outcome = live("-q")
    assert (outcome.code, outcome.err) == (130, "stopped: the first 4 frames are in out\n")
    assert_results(4, "interrupted")


@pytest.fixture
def alone(run_cli, weights, live_sender) -> Iterator[tuple[Any, RunCli]]:
    """One stream, and what runs `track` on it."""
    address = f"udp://127.0.0.1:{live_sender.free_port()}"
    words = ["track", address, "--box", BOX, "--weights", weights, "-o", "out", "-q", "--live-timeout"]
    with live_sender.Sender(f"{address}?pkt_size=1316") as sender:
        yield sender, lambda timeout_s: run_cli(*words, timeout_s)


def test_a_signal_ends_it_while_nothing_comes(alone, monkeypatch):
    sender, run = alone

    def stall() -> None:
        sender.stop()
        threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()

    at_frame(monkeypatch, 3, stall)
    begin_s = time.monotonic()
    assert run(60).code == 130
    assert time.monotonic() - begin_s < 40
    assert_results(read_run_json(Path("out/run.json"))["counts"]["frames"], "interrupted")


@pytest.mark.slow
@pytest.mark.alone
def test_a_stream_that_falls_silent(alone, monkeypatch):
    sender, run = alone
    at_frame(monkeypatch, 3, sender.stop)
    outcome = run(3)
    assert outcome.code == 3
    assert outcome.error_lines[-1].endswith("the stream ended: nothing came for 3 s")
    assert_results(read_run_json(Path("out/run.json"))["counts"]["frames"], "failed")


def test_boxes_are_drawn_on_the_first_pair(live, monkeypatch):
    scenes = []

    def draw(scene: Any, *_: object, **__: object) -> tuple[TargetStart, ...]:
        scenes.append(scene)
        time.sleep(0.5)  # a person takes time: those frames are not counted as dropped
        return (scene.start(0, Box(40, 40, 24, 24), scene.first.rgb.index),)

    monkeypatch.setattr("dmtrack_cli.review.drawing.draw_on_page", draw)
    assert live("--end", 4, box="pick").code == 0
    (scene,) = scenes
    assert (scene.lowest, scene.last, scene.first.rgb.index) == (0, 0, 0)
    record = assert_results(4, "complete")
    assert record["configuration"]["boxes_from"] == "drawn"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["rgb.mp4", "--live"], 3, "rgb.mp4: this is no live stream; give rtsp://…", id="a-file"),
        pytest.param(["udp://127.0.0.1:1", "b.mp4"], 3, "b.mp4: this is no live stream", id="one-of-two"),
        pytest.param(["0", "--live", "--start", "5"], 4, "--start: a live stream begins now", id="start"),
        pytest.param(["0", "--live", "--sync", "index"], 4, "--sync: this is for recordings", id="by-index"),
        pytest.param(["987", "--live"], 3, "/dev/video987: there is no such camera", id="no-camera"),
        pytest.param(
            ["0", "--live", "--max-delay-ms", "0"], 4, "largest delay 0 s is not positive", id="delay"
        ),
    ],
)
def test_what_cannot_be_is_one_line(run_cli, words, code, said):
    run_cli("track", *words, "--box", BOX).refused(code, said)


def test_a_live_stream_has_no_ground_truth(live):
    Path("groundtruth.txt").write_text("1,2,3,4\n")
    live(box=None).refused(3, "where is the target? A live stream has no ground truth; give --box")
    assert not Path("out").exists()


class _FakeViewer:
    """A window in which q is pressed after some frames."""

    def __init__(self, frames: int) -> None:
        self.shown = 0
        self._frames = frames

    @property
    def is_over(self) -> bool:
        return self.shown >= self._frames

    def write(self, result: FrameResult) -> None:
        self.shown += 1

    def __enter__(self) -> _FakeViewer:
        return self

    def __exit__(self, *_: object) -> None:
        return


class TestShow:
    def test_q_completes_a_live_run(self, live, monkeypatch):
        monkeypatch.setattr("dmtrack_cli.viewer.open_viewer", lambda _: _FakeViewer(5))
        assert live("--show").code == 0
        assert assert_results(5, "complete")["reason"] == "stopped in the window"

    def test_q_leaves_a_recording_unfinished(self, track, monkeypatch):
        monkeypatch.setattr("dmtrack_cli.viewer.open_viewer", lambda _: _FakeViewer(5))
        outcome = track("--box", "20,16,16,16", "--show", "-q")
        assert (outcome.code, outcome.err) == (130, "stopped: the first 5 frames are in out\n")
        assert_results(5, "interrupted")

    def test_without_a_display_one_warning_and_the_same_results(self, track):
        outcome = track("--box", "20,16,16,16", "--show", "-q")
        assert outcome.code == 0
        assert outcome.error_lines == [
            "warning: --show does not work: there is no display (neither DISPLAY nor WAYLAND_DISPLAY "
            "is set); tracking goes on"
        ]
        assert_results(12, "complete")

    def test_a_window_that_fails_does_no_harm(self, track, monkeypatch):
        import cv2

        def fail(*_: object) -> None:
            raise cv2.error("no window system")

        monkeypatch.setattr("dmtrack_cli.viewer.why_no_window", lambda: None)
        monkeypatch.setattr("cv2.namedWindow", fail)
        outcome = track("--box", "20,16,16,16", "--show", "-q")
        assert outcome.code == 0
        assert len(outcome.error_lines) == 1
        assert "tracking goes on" in outcome.err
        assert_results(12, "complete")

    @pytest.mark.slow
    @pytest.mark.alone
    def test_the_window_for_real(self, streams, weights):
        assert shutil.which("xdotool"), "needs xdotool and Xvfb"
        reading, writing = os.pipe()
        server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
            pass_fds=[writing],
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as pipe:
            display = f":{pipe.readline().strip()}"
        environment = {**os.environ, "DISPLAY": display}
        words = ["track", *streams, "--box", BOX, "--weights", weights, "-o", "out", "--show"]
        program = subprocess.Popen(
            [sys.executable, "-m", "dmtrack_cli", *map(str, words)],
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            end = time.monotonic() + 240  # a busy machine takes minutes to load all of it
            while program.poll() is None and time.monotonic() < end:
                find = ["xdotool", "search", "--name", "dmtrack: q stops"]
                found = subprocess.run(find, env=environment, capture_output=True, text=True, check=False)
                for window in found.stdout.split():
                    key = ["xdotool", "key", "--window", window, "q"]
                    subprocess.run(key, env=environment, capture_output=True, check=False)
                time.sleep(0.5)
            out, err = program.communicate(timeout=60)
        finally:
            program.kill()
            program.communicate()
            server.terminate()
            server.wait()
        assert program.returncode == 0, err
        assert_results(read_run_json(Path("out/run.json"))["counts"]["frames"], "complete")
        assert "complete" not in err
        assert "frames dropped" in out
