"""The drawing window for real: under Xvfb, with xdotool as the hand on the mouse."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dmtrack.boxes.reading import read_rows

ROOT = Path(__file__).parents[2]
NEEDED = ("Xvfb", "xdotool")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in NEEDED), reason=f"needs {' and '.join(NEEDED)}"
    ),
]


@pytest.fixture
def display() -> Iterator[str]:
    """Start an X server on a display of its own choice."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
    server = subprocess.Popen(
        command, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        number = pipe.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait()


class Hand:
    """Moves the mouse in the window of one program."""

    def __init__(self, display: str, words: list[Any]) -> None:
        path = os.pathsep.join((str(ROOT), str(ROOT / "models")))
        self._environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": path}
        self.program = subprocess.Popen(
            [sys.executable, "-m", "dmtrack_cli", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
        )
        self._window = self._find()

    def do(self, *words: object) -> str:
        command = ["xdotool", *map(str, words)]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        return done.stdout

    def key(self, name: str) -> None:
        self.do("key", "--window", self._window, name)
        time.sleep(0.2)

    def drag(self, *points: tuple[float, float]) -> None:
        """Drag along points given as shares of the window."""
        geometry = self.do("getwindowgeometry", "--shell", self._window)
        size = dict(line.split("=") for line in geometry.splitlines())
        for number, (x, y) in enumerate(points):
            place = (round(x * int(size["WIDTH"])), round(y * int(size["HEIGHT"])))
            self.do("mousemove", "--window", self._window, *place)
            time.sleep(0.05)
            if number == 0:
                self.do("mousedown", 1)
        self.do("mouseup", 1)
        time.sleep(0.2)

    def _find(self) -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end and self.program.poll() is None:
            found = self.do("search", "--name", "draw the targets").split()
            if found:
                time.sleep(0.5)
                return found[-1]
            time.sleep(0.1)
        self.program.kill()
        raise AssertionError(self.program.communicate()[1])


@pytest.fixture
def words(recording: Any, weights: Path) -> list[Any]:
    inputs = ["track", recording.rgb, recording.thermal, "--weights", weights]
    return [*inputs, "-o", "out", "--no-video", "--box", "--end", "3"]


def test_draw_undo_and_accept(display: str, words: list[Any]) -> None:
    hand = Hand(display, words)
    hand.drag((0.10, 0.25), (0.15, 0.30), (0.20, 0.50))
    hand.drag((0.60, 0.25), (0.65, 0.30), (0.70, 0.50))
    hand.drag((0.30, 0.60), (0.35, 0.65), (0.40, 0.80))
    hand.key("u")
    hand.key("Return")
    _, err = hand.program.communicate(timeout=60)
    assert hand.program.returncode == 0, err
    rows = read_rows(Path("out/boxes.txt"))
    assert [row.target_id for row in rows] == [1, 2] * 3
    for row in rows[:2]:  # a panel is half the window: both drags mark the same place
        assert row.box.x == pytest.approx(0.20 * 96, abs=1)
        assert row.box.w == pytest.approx(0.20 * 96, abs=1)
        assert row.box.h == pytest.approx(0.25 * 64 * 1.075, abs=1.5), "the strip with the keys is below"


def test_escape_cancels(display: str, words: list[Any]) -> None:
    hand = Hand(display, words)
    hand.drag((0.1, 0.25), (0.2, 0.5))
    hand.key("Escape")
    _, err = hand.program.communicate(timeout=60)
    assert hand.program.returncode == 130
    assert "no box was drawn, nothing was tracked" in err
    assert not Path("out").exists()
