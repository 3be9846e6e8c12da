"""Whether a window can be opened, found out without bringing the program down."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dmtrack_cli.viewer import why_no_window


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays have names on Linux only")
def test_no_display():
    assert why_no_window() == "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays have names on Linux only")
def test_a_display_that_is_named_but_not_there(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":97")
    assert why_no_window() is not None


@pytest.mark.parametrize(
    ("returncode", "stderr", "reason"),
    [
        pytest.param(0, b"", None, id="works"),
        pytest.param(-6, b"could not connect to display", "the display cannot be used", id="aborts"),
        pytest.param(
            1, b"The function is not implemented", "this OpenCV was built without windows", id="headless"
        ),
    ],
)
def test_what_the_probe_says(monkeypatch, returncode, stderr, reason):
    monkeypatch.setenv("DISPLAY", ":0")
    done = subprocess.CompletedProcess([], returncode, b"", stderr)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert why_no_window() == reason


def test_a_display_that_hangs(monkeypatch):
    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("probe", 30)

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(subprocess, "run", hang)
    assert why_no_window() == "the display does not answer"
