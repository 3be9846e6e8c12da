"""Progress of a run: a bar on a terminal, plain or JSON lines elsewhere, or nothing."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

LINE_EVERY_S: Final = 5.0  # least time between two lines if there is no bar
_WINDOW_S: Final = 3.0  # frames a second are measured over this long
_FIRST: Final = 2  # first frames, which load and prepare things and say nothing about the rate


class ProgressKind(StrEnum):
    """How progress is shown."""

    AUTO = "auto"
    RICH = "rich"
    PLAIN = "plain"
    JSON = "json"
    NONE = "none"

    def on(self, console: Console) -> ProgressKind:
        """Resolve `auto`: bars if lines can be overwritten, else plain lines."""
        if self is not ProgressKind.AUTO:
            return self
        can_move = console.is_terminal and not console.is_dumb_terminal
        return ProgressKind.RICH if can_move else ProgressKind.PLAIN


class Shown:
    """Shows progress inside its `with` block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Stop showing it."""
        return


class Reporter(Shown):
    """Called for every frame; this one shows nothing."""

    def advance(self, score: float | None) -> None:
        """Count one more frame.

        `score` is the mean score of its targets; None if there is none yet, or nothing is tracked.
        """


class Meter:
    """Counts frames and measures their rate over the last seconds."""

    def __init__(self, total: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = 0
        self._clock = clock
        self._marks: deque[tuple[float, int]] = deque([(clock(), 0)])

    def count(self) -> None:
        """Count one more frame."""
        self.count_to(self.done + 1)

    def count_to(self, done: int) -> None:
        """Set the count to `done`; a total that is exceeded was wrong, and is dropped."""
        self.done = done
        if self.total is not None and done > self.total:
            self.total = None
        now = self._clock()
        if done <= _FIRST:
            self._marks.clear()
        self._marks.append((now, self.done))
        while len(self._marks) > 2 and now - self._marks[0][0] > _WINDOW_S:
            self._marks.popleft()

    @property
    def fps(self) -> float | None:
        """Recent frames a second; None in the first frames."""
        (begin_s, begin), (end_s, end) = self._marks[0], self._marks[-1]
        return (end - begin) / (end_s - begin_s) if end_s > begin_s else None

    @property
    def left_s(self) -> float | None:
        """Remaining seconds at this rate; None if unknown."""
        fps = self.fps
        if self.total is None or not fps:
            return None
        return (self.total - self.done) / fps


def make_reporter(
    kind: ProgressKind, total: int | None, console: Console, doing: str = "tracking"
) -> Reporter:
    """Return the reporter of this kind.

    `auto` is a bar on a terminal and plain lines elsewhere, both on `console`; JSON lines go to standard
    output. `doing` is a word before the bar that says what is being done.
    """
    kind = kind.on(console)
    if kind is ProgressKind.RICH:
        return BarReporter(total, console, doing)
    if kind is ProgressKind.PLAIN:
        return PlainReporter(total, console)
    return JsonReporter(total) if kind is ProgressKind.JSON else Reporter()


class BarReporter(Reporter):
    """A progress bar."""

    def __init__(self, total: int | None, console: Console, doing: str = "tracking") -> None:
        self._meter = Meter(total)
        self._progress = Progress(
            TextColumn(doing),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[fps]}"),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[score]}"),
            console=console,
            expand=True,
        )
        self._task = self._progress.add_task(doing, total=total, fps="", left="", score="")

    def advance(self, score: float | None) -> None:
        """Move the bar by one frame."""
        self._meter.count()
        fps, left_s = self._meter.fps, self._meter.left_s
        self._progress.update(
            self._task,
            completed=self._meter.done,
            total=self._meter.total,
            fps="" if fps is None else f"{fps:.1f} fps",
            left="" if left_s is None else f"ETA {clock_text(left_s)}",
            score="" if score is None else f"score {score:.2f}",
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Leave the bar on screen; a total that was only claimed becomes the real one."""
        if error is None:
            self._progress.update(self._task, total=self._meter.done, left="")
        self._progress.stop()


class _LineReporter(Reporter):
    """Prints a line at the first frame, then every `LINE_EVERY_S` seconds, and at the end."""

    def __init__(self, total: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._meter = Meter(total, clock)
        self._clock = clock
        self._next_s = clock()
        self._score: float | None = None
        self._said = 0

    def advance(self, score: float | None) -> None:
        """Count one frame, and print a line when it is time."""
        self._meter.count()
        self._score = score
        if self._clock() >= self._next_s:
            self._next_s = self._clock() + LINE_EVERY_S
            self._tell()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Print the last count, unless that was done; a total that was only claimed becomes the real one."""
        if error is None and self._meter.total is not None:
            self._meter.total = self._meter.done
        if self._meter.done > self._said:
            self._tell()

    def _tell(self) -> None:
        self._said = self._meter.done
        self._say(self._meter, self._score)

    def _say(self, meter: Meter, score: float | None) -> None:
        raise NotImplementedError


class PlainReporter(_LineReporter):
    """Lines for people, for logs and pipes."""

    def __init__(
        self, total: int | None, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(total, clock)
        self._console = console

    def _say(self, meter: Meter, score: float | None) -> None:
        parts = [f"frame {meter.done}" + (f"/{meter.total}" if meter.total else "")]
        parts += [f"{meter.fps:.1f} fps"] if meter.fps else []
        parts += [f"ETA {clock_text(meter.left_s)}"] if meter.left_s else []
        parts += [] if score is None else [f"score {score:.2f}"]
        self._console.print(Text(", ".join(parts)), soft_wrap=True)


class JsonReporter(_LineReporter):
    """JSON lines on standard output, for programs: `{"event": "progress", "frames": 120, ...}`."""

    def _say(self, meter: Meter, score: float | None) -> None:
        say_json(
            "progress",
            frames=meter.done,
            total=meter.total,
            fps=meter.fps and round(meter.fps, 2),
            eta_s=meter.left_s and round(meter.left_s, 1),
            score=None if score is None else round(score, 4),
        )


def say_json(event: str, **values: object) -> None:
    """Print one JSON line on standard output."""
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def clock_text(seconds: float) -> str:
    """Return `0:07`, `12:03` or `1:02:03`."""
    minutes, whole_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole_s:02}" if hours else f"{minutes}:{whole_s:02}"
