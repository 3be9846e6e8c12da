"""Ctrl-C and termination in the middle of a run: what was tracked stays, whole and valid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from program import assert_results, at_frame

from dmtrack.boxes.reading import read_rows
from dmtrack.errors import DecodeError
from dmtrack_cli.interrupt import GracefulStop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_between_two_frames(track, monkeypatch, number):
    at_frame(monkeypatch, 5, lambda: os.kill(os.getpid(), number))
    outcome = track("--box", "20,16,16,16", "-q")
    assert outcome.code == 130
    assert outcome.err == "stopped: the first 5 frames are in out\n"
    assert_results(5, "interrupted")


@pytest.mark.parametrize(("kind", "said"), [("plain", "5 (failed)"), ("json", '"status": "failed"')])
def test_a_run_that_fails_says_what_it_has_done(track, monkeypatch, kind, said):
    def fall_silent() -> None:
        raise DecodeError("the stream ended: nothing came for 3 s")

    at_frame(monkeypatch, 5, fall_silent)
    outcome = track("--box", "20,16,16,16", "--progress", kind)
    assert outcome.code == 3
    assert outcome.error_lines[-1] == "error: the stream ended: nothing came for 3 s"
    assert said in outcome.out
    assert "boxes.csv" in outcome.out
    assert_results(5, "failed")


def test_ctrl_c_from_outside(make_video, weights):
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
    assert_results(len(read_rows(Path("out/boxes.txt"))), "interrupted")


def test_one_signal_waits_for_check():
    with GracefulStop() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            stop.check()
        os.kill(os.getpid(), signal.SIGINT)  # while results are closed: no effect


def test_a_second_signal_does_not_wait():
    with GracefulStop():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_handlers_are_given_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with GracefulStop():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
