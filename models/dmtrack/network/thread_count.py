"""`ThreadCount`: how many threads share a step on a CPU: all, or one where they wait for each other.

Threads that share a product wait for the slowest of them, and where something else runs on their cores, that
one may not be running at all. The system counts how long threads wait for a core: if that is long, one thread
is tried, and kept unless it is slower. On an idle machine one thread is tried once, after some seconds, and
kept if it is no slower: where one matrix unit serves all cores, more threads bring nothing. Independent of
networks.

Measured on two cores, seconds waited a second over all threads, medians of steps: 0.2 when idle, 1.1 beside
one busy process, 1.2 beside two. (Preemptions say less: threads that yield while they wait count as
preempted.)
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
from collections import deque
from pathlib import Path
from typing import Final

WINDOW: Final = 8  # steps that are judged together
CROWDED, CALM = 0.8, 0.25  # seconds waited a second
FIRST_TRIAL: Final = 80  # steps until one thread is tried on an idle machine: its program has to be read
MOST: Final = 1.1
"""One thread may take this many times as long as all: a few steps measure no finer, and a core is freed."""
FIRST_PAUSE, LONGEST_PAUSE = 25, 3200  # steps until it is tried again; doubled after each failed trial
_SIBLINGS: Final = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def usual_threads() -> int:
    """Return how many threads compute a network by default: one a core, or `OMP_NUM_THREADS`.

    PyTorch, whose default this is, is asked if it is loaded or if the system does not list its cores.
    """
    if "torch" not in sys.modules:
        with contextlib.suppress(OSError, AttributeError):  # Linux only
            cores = {Path(_SIBLINGS.format(number)).read_bytes() for number in os.sched_getaffinity(0)}
            said = os.environ.get("OMP_NUM_THREADS", "")
            return max(1, min(int(said) if said.isdecimal() else len(cores), len(cores)))
    import torch

    return torch.get_num_threads()


class ThreadCount:
    """Chooses between one thread and all; `count` is the number for the next step."""

    def __init__(self, most: int) -> None:
        self._most = self.count = most
        self._steps: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._reference_s: float | None = None
        self._pause, self._pause_left = FIRST_PAUSE, 0
        self._calm_steps = 0  # on an idle machine, counted until one thread is tried
        self._is_for_good = False  # whether the present trial decides for the rest of the run

    def note(self, seconds: float, waited: float) -> None:
        """Record a step that took `seconds`.

        `waited` is how long the threads of this process waited for a core: seconds a second, all together.
        """
        if self._most == 1:
            return
        self._steps.append((seconds, waited))
        self._pause_left = max(0, self._pause_left - 1)
        if len(self._steps) < WINDOW:
            return
        middle_s, waited = map(statistics.median, zip(*self._steps, strict=True))
        if self._reference_s is not None:
            was_in_vain = middle_s > MOST * self._reference_s
            self._reference_s = None
            if self._is_for_good:
                self._is_for_good = False
                self._most = 1 if waited < CALM and not was_in_vain else self._most
                self._use(self._most)
            elif was_in_vain:
                self._pause_left, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
                self._use(self._most)
            else:
                self._pause = FIRST_PAUSE
        elif self.count > 1 and waited > CROWDED and self._pause_left == 0:
            self._reference_s = middle_s
            self._use(1)
        elif self.count == 1 and waited < CALM:
            self._use(self._most)
        elif self.count > 1 and waited < CALM:
            self._calm_steps += 1
            if self._calm_steps == FIRST_TRIAL:
                self._reference_s, self._is_for_good = middle_s / MOST, True  # no slower at all
                self._use(1)

    def _use(self, count: int) -> None:
        self.count = count
        self._steps.clear()
