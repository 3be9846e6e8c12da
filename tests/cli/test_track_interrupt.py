"""Ctrl-C and termination in the middle of a run: what was tracked stays, whole and valid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from dmtrack.boxes.reading import read_rows
from dmtrack.output.record import read_run_json
from dmtrack_cli.interrupt import GracefulStop
from dmtrack_cli.progress import Reporter


class _SignalAtFrame(Reporter):
    def __init__(self, frame: int, number: signal.Signals) -> None:
        self._left = frame
        self._number = number

    def advance(self, score: float | None) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._number)


def assert_valid_results(frames: int) -> None:
    assert len(read_rows(Path("out/boxes.txt"))) == frames
    assert len(read_rows(Path("out/boxes.csv"))) == frames
    with av.open("out/annotated.mp4") as container:
        assert sum(1 for _ in container.decode(video=0)) == frames
    record = read_run_json(Path("out/run.json"))
    assert record["status"] == "interrupted"
    assert record["counts"]["frames"] == frames
    assert not list(Path("out").glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_between_two_frames(
    track: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(
        "dmtrack_cli.commands.track.make_reporter", lambda *_: _SignalAtFrame(frame=5, number=number)
    )
    outcome = track("--box", "20,16,16,16", "-q")
    assert outcome.code == 130
    assert outcome.err == "stopped: the first 5 frames are in out\n"
    assert_valid_results(5)


def test_ctrl_c_from_outside(make_video: Callable[..., Path], weights: Path) -> None:
    video = make_video(Path("long.mp4"), 700)
    words = ["track", video, "--box", "20,16,16,16", "--weights", weights, "-o", "out", "--progress", "json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dmtrack_cli", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert '"start"' in process.stdout.readline()
    assert '"progress"' in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert '"status": "interrupted"' in out
    assert len(err.splitlines()) == 1
    assert err.startswith("stopped: the first ")
    assert_valid_results(len(read_rows(Path("out/boxes.txt"))))


def test_one_signal_waits_for_check() -> None:
    with GracefulStop() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            stop.check()
        os.kill(os.getpid(), signal.SIGINT)  # while results are closed: no effect


def test_a_second_signal_does_not_wait() -> None:
    with GracefulStop():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with GracefulStop():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
