"""How many threads the network gets on a CPU, found out while it tracks.

Threads that share a product wait for each other hundreds of times a step. On idle cores that pays; as soon as
something else runs there, one waits for another that is not running: ten times slower than a single thread
was measured on two cores. Nothing known beforehand tells which it will be, so both are tried, briefly, again
and again.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final

import torch

from dmtrack.network.inference import Network

WINDOW: Final = 12
"""Frames a median is taken over: more than wait between threads, which hide a change at first."""
HASTY: Final = 4
"""Frames after which a clearly slower number is given up, and a sudden slowness noticed."""
CLEARLY: Final = 1.5
GAIN: Final = 0.95
"""Another number has to take at most this share of the time."""
FIRST_PAUSE, LONGEST_PAUSE = 100, 3200
"""Frames until another number is tried; doubled each time that was in vain."""


class FrameRate:
    """Chooses among numbers of threads by the time between frames. Knows nothing of networks.

    Args:
        counts: Numbers of threads, rising; the last one is used first.
    """

    def __init__(self, counts: tuple[int, ...]) -> None:
        self._counts = counts
        self._at = len(counts) - 1
        self._trying: int | None = None
        self._step = -1
        self._usual_s = 0.0
        self._pause = self._left = WINDOW
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._kind: Hashable = None

    @property
    def count(self) -> int:
        """The number to use for the next frame."""
        return self._counts[self._at if self._trying is None else self._trying]

    def note(self, seconds: float, kind: Hashable) -> None:
        """Take note of a frame.

        Args:
            seconds: Since the frame before.
            kind: What the work depends on, such as the number of targets; only like is compared with like.
        """
        if kind != self._kind:
            self._kind, self._trying, self._usual_s = kind, None, 0.0
            self._settle(WINDOW)
            return
        self._recent.append(seconds)
        if self._trying is not None:
            self._judge()
            return
        self._left -= 1
        if len(self._recent) == WINDOW and (self._left <= 0 or self._is_suddenly_slow()):
            self._usual_s = statistics.median(list(self._recent)[-HASTY:])
            self._try()

    def _is_suddenly_slow(self) -> bool:
        now_s = statistics.median(list(self._recent)[-HASTY:])
        return 0 < self._usual_s * CLEARLY < now_s

    def _try(self) -> None:
        neighbours = [self._at + self._step, self._at - self._step]
        there = [index for index in neighbours if 0 <= index < len(self._counts)]
        if not there:
            self._settle(LONGEST_PAUSE)
            return
        self._trying, self._step = there[0], there[0] - self._at
        self._recent.clear()

    def _judge(self) -> None:
        median_s = statistics.median(self._recent)
        hopeless = len(self._recent) >= HASTY and median_s > CLEARLY * self._usual_s
        if len(self._recent) < WINDOW and not hopeless:
            return
        if median_s < GAIN * self._usual_s and self._trying is not None:
            self._at, self._trying, self._usual_s = self._trying, None, median_s
            self._settle(WINDOW)  # further on it may be better still
            return
        self._trying, self._step = None, -self._step
        self._settle(min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * self._pause)))

    def _settle(self, pause: int) -> None:
        self._pause = self._left = pause
        self._recent.clear()


class ThreadTuner:
    """Sets the number of torch's threads after each frame, to be called by the thread that tracks.

    Boxes must not depend on how busy a machine is: before a number is used, a step on made-up crops has to
    give the same bits with it.

    Args:
        network: On a CPU.
        clock: Seconds.
    """

    def __init__(self, network: Network, clock: Callable[[], float] = time.perf_counter) -> None:
        self._network, self._clock = network, clock
        self._most = torch.get_num_threads()
        self._rate: FrameRate | None = None
        self._before = clock()
        self._frames = 0

    def note(self, kind: Hashable) -> None:
        """Say that a frame is done.

        Args:
            kind: What the work depends on, such as the number of targets; only like is compared with like.
        """
        if self._most == 1:
            return
        self._frames += 1
        if self._rate is None and self._frames > WINDOW:  # a short run is over before it would pay
            self._rate = FrameRate(self._alike())
        elif self._rate is not None:
            self._rate.note(self._clock() - self._before, kind)
            if self._rate.count != torch.get_num_threads():
                torch.set_num_threads(self._rate.count)
        self._before = self._clock()

    def _alike(self) -> tuple[int, ...]:
        """Return the numbers of threads that give the bits of the largest one, which comes last."""
        wanted = self._maps(self._most)
        halves = {max(1, self._most >> shift) for shift in range(1, self._most.bit_length())}
        alike = [count for count in sorted(halves) if self._maps(count).equal(wanted)]
        torch.set_num_threads(self._most)
        return (*alike, self._most)

    @torch.inference_mode()
    def _maps(self, threads: int) -> torch.Tensor:
        torch.set_num_threads(threads)
        config, channels = self._network.config, 3 * self._network.streams
        noise = torch.Generator().manual_seed(0)
        template, search = (
            torch.randint(0, 256, (1, side, side, channels), dtype=torch.uint8, generator=noise)
            for side in (config.template_size, config.search_size)
        )
        memory = self._network.embed_template(template, torch.tensor([[0.5, 0.5, 0.5, 0.5]]))
        return torch.cat([maps for maps in self._network.step(memory, search) if maps is not None], dim=1)
