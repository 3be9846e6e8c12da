"""How progress is measured and shown."""

from __future__ import annotations

import io
import json
import re
from fractions import Fraction

import numpy as np
import pytest
from rich.console import Console

from dmtrack_cli.progress import (
    BarReporter,
    JsonReporter,
    Meter,
    PlainReporter,
    ProgressKind,
    Reporter,
    clock_text,
    make_reporter,
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_meter_measures_lately_and_not_since_the_start():
    clock = Clock()
    meter = Meter(1000, clock)
    assert meter.fps is None
    assert meter.left_s is None
    for _ in range(20):
        clock.now_s += 1.0
        meter.count()
    assert meter.fps == pytest.approx(1.0)
    for _ in range(80):
        clock.now_s += 0.1
        meter.count()
    assert meter.fps == pytest.approx(10.0)
    assert meter.left_s == pytest.approx(90.0)


def test_what_the_first_frames_load_is_no_rate():
    """A first run converts the network in its second frame: an hour was said to be left."""
    clock = Clock()
    meter = Meter(100, clock)
    for seconds in (0.5, 9.0):
        clock.now_s += seconds
        meter.count()
        assert meter.left_s is None
    clock.now_s += 0.1
    meter.count()
    assert meter.left_s == pytest.approx(9.7)


def test_meter_without_a_total_does_not_guess():
    clock = Clock()
    meter = Meter(None, clock)
    for _ in range(4):
        clock.now_s += 1
        meter.count()
    assert meter.fps == pytest.approx(1.0)
    assert meter.left_s is None


def test_meter_past_a_wrong_total():
    clock = Clock()
    meter = Meter(1, clock)
    for _ in range(3):
        clock.now_s += 1
        meter.count()
    assert (meter.total, meter.left_s) == (None, None)


@pytest.mark.parametrize(("start", "end", "frames"), [("0s", "1s", 8), ("5s", "8s", 3)])
def test_a_range_of_times_where_the_rate_varies(track, video_of_pictures, start, end, frames):
    """Eight pictures in 0.4 s, then one every second: nobody says that 8 of 3 frames are done."""
    stamps = [*range(0, 400, 50), *range(4000, 12000, 1000)]
    pictures = np.zeros((len(stamps), 64, 96, 3), np.uint8)
    file = video_of_pictures("varies.mkv", pictures, pts=stamps, time_base=Fraction(1, 1000))
    words = ("--box", "20,16,16,16", "--start", start, "--end", end, "--no-video", "--progress", "plain")
    outcome = track(*words, rgb=file, aux=None)
    told = [(int(a), int(b or a)) for a, b in re.findall(r"^frame (\d+)(?:/(\d+))?", outcome.err, re.M)]
    assert told[-1] == (frames, frames)
    assert all(done <= total for done, total in told)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (723, "12:03"), (3723, "1:02:03")])
def test_clock_text(seconds, text):
    assert clock_text(seconds) == text


def test_plain_lines_come_now_and_then_and_at_the_end():
    clock, stream = Clock(), io.StringIO()
    with PlainReporter(100, Console(file=stream, width=20), clock) as reporter:
        for _ in range(100):
            clock.now_s += 0.1
            reporter.advance(0.5)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "frame 1/100, score 0.50"
    assert lines[1] == "frame 52/100, 10.0 fps, ETA 0:05, score 0.50"
    assert lines[-1].startswith("frame 100/100")
    assert len(lines) == 3


def test_json_lines(capsys):
    clock = Clock()
    with JsonReporter(None, clock) as reporter:
        for _ in range(3):
            clock.now_s += 0.5
            reporter.advance(0.25)
    *_, line = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "event": "progress",
        "frames": 3,
        "total": None,
        "fps": 2.0,
        "eta_s": None,
        "score": 0.25,
    }


def test_the_bar_shows_frames_rate_and_score_on_80_columns():
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, color_system=None)
    with BarReporter(12, console) as reporter:
        for _ in range(12):
            reporter.advance(0.875)
    last = next(line for line in reversed(stream.getvalue().splitlines()) if "12/12" in line)
    for words in ("tracking", "12/12", "fps", "score 0.88"):
        assert words in last


@pytest.mark.parametrize(
    ("kind", "terminal", "expected"),
    [
        (ProgressKind.AUTO, "xterm", BarReporter),
        (ProgressKind.AUTO, "dumb", PlainReporter),
        (ProgressKind.AUTO, "", PlainReporter),
        (ProgressKind.RICH, "", BarReporter),
        (ProgressKind.PLAIN, "xterm", PlainReporter),
        (ProgressKind.JSON, "xterm", JsonReporter),
        (ProgressKind.NONE, "xterm", Reporter),
    ],
)
def test_choice(kind, terminal, expected):
    """A dumb terminal cannot write a line anew: a bar would be shown when all is done."""
    console = Console(file=io.StringIO(), force_terminal=bool(terminal), _environ={"TERM": terminal})
    assert type(make_reporter(kind, 1, console)) is expected
