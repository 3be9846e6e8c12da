"""Reading ahead changes when frames are read, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import wait_until

from dmtrack.errors import DecodeError
from dmtrack.video.ahead import MOST_WAITING, ReadAhead, room_for
from dmtrack.video.frame import Frame, FramePair, Modality
from dmtrack.video.pairing import PairCounts, PairedSource, open_pair

PIXELS = np.zeros((4, 4, 3), np.uint8)


class Source(PairedSource):
    """Stands for a recording: counts what was read of it."""

    def __init__(self, frames: int, error: Exception | None = None) -> None:  # opens nothing
        self.read = 0
        self._frames = frames
        self._error = error

    @property
    def counts(self) -> PairCounts:
        return PairCounts(pairs=self.read)

    def __iter__(self) -> Iterator[FramePair]:
        for index in range(self._frames):
            self.read += 1
            yield FramePair(Frame(index, index, Fraction(1, 30), PIXELS), None, None, PIXELS)
        if self._error is not None:
            raise self._error


def slowly(ahead: ReadAhead) -> Iterator[int]:
    """Take pairs while what comes after them waits."""
    for pair in ahead:
        time.sleep(0.002)
        yield pair.rgb.index


def test_pairs_and_counts_are_those_of_the_straight_loop(make_video: Callable[..., Path]) -> None:
    pictures = [np.random.default_rng(n).integers(0, 255, (48, 64, 3), dtype=np.uint8) for n in range(12)]
    rgb, aux = make_video("rgb.mp4", pictures), make_video("aux.mp4", pictures[::2], rate=15)
    with (
        open_pair(rgb, aux, modality=Modality.THERMAL) as straight,
        open_pair(rgb, aux, modality=Modality.THERMAL) as source,
    ):
        expected = [(pair, straight.counts) for pair in straight]
        with ReadAhead(source) as ahead:
            got = [(pair, ahead.counts) for pair in ahead]
        assert ahead.counts == straight.counts
    assert len(got) == 12
    for (pair, counts), (wanted, wanted_counts) in zip(got, expected, strict=True):
        assert np.array_equal(pair.image, wanted.image)
        assert (pair.rgb.index, pair.rgb.time_s, pair.skew_s) == (
            wanted.rgb.index,
            wanted.rgb.time_s,
            wanted.skew_s,
        )
        assert counts == wanted_counts


def test_reading_stops_where_there_is_no_room() -> None:
    source = Source(1000)
    with ReadAhead(source) as ahead:
        next(iter(ahead))
        wait_until(lambda: source.read == MOST_WAITING + 2)  # one was taken, one is read while others wait
        time.sleep(0.02)
        assert source.read == MOST_WAITING + 2
        assert ahead.counts.pairs == 1


def test_an_error_comes_after_the_last_good_pair() -> None:
    error = DecodeError("the rest is unusable")
    taken: list[int] = []
    with ReadAhead(Source(7, error)) as ahead, pytest.raises(DecodeError) as caught:
        taken.extend(slowly(ahead))
    assert caught.value is error
    assert taken == list(range(7))
    assert ahead.counts.pairs == 7


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_leaving_early_ends_the_thread(taken: int) -> None:
    source = Source(1000)
    before = threading.active_count()
    with ReadAhead(source) as ahead:
        pairs = iter(ahead)
        for _ in range(taken):
            next(pairs)
    assert threading.active_count() == before
    assert source.read <= taken + MOST_WAITING + 1


def interrupt_at_once(ahead: ReadAhead) -> None:
    for _ in ahead:
        raise KeyboardInterrupt


def test_ctrl_c_passes_and_ends_the_thread() -> None:
    source, before = Source(1000), threading.active_count()
    with pytest.raises(KeyboardInterrupt), ReadAhead(source) as ahead:
        interrupt_at_once(ahead)
    assert threading.active_count() == before


def test_large_pictures_wait_one_at_a_time() -> None:
    assert room_for(640 * 480 * 6) == MOST_WAITING
    assert room_for(3840 * 2160 * 9) == 1
    assert room_for(1 << 40) == 1
