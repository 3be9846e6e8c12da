"""The number of threads follows what the machine is doing, and never changes a box."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch

from dmtrack.config import TINY
from dmtrack.network.backend import inference_network
from dmtrack.network.model import DMTrack
from dmtrack.tracking.thread_tuner import LONGEST_PAUSE, WINDOW, FrameRate, ThreadTuner

IDLE = {1: 0.040, 2: 0.025, 4: 0.015}
BUSY = {1: 0.045, 2: 0.300, 4: 0.600}


def frames(rate: FrameRate, machine: dict[int, float], number: int, kind: object = 1) -> list[int]:
    """Let frames take as long as the machine takes; return the numbers of threads used."""
    used = []
    for _ in range(number):
        used.append(rate.count)
        rate.note(machine[rate.count], kind)
    return used


def test_idle_cores_are_all_used() -> None:
    used = frames(FrameRate((1, 2)), IDLE, 1000)
    assert used[:WINDOW] == [2] * WINDOW
    assert used.count(2) / len(used) > 0.94
    assert 1 in used  # it was tried


@pytest.mark.parametrize("counts", [(1, 2), (1, 2, 4)])
def test_on_a_busy_machine_one_thread_is_left(counts: tuple[int, ...]) -> None:
    used = frames(FrameRate(counts), BUSY, 600)
    assert used[WINDOW * 9 :].count(1) / len(used[WINDOW * 9 :]) > 0.95


def test_a_machine_that_falls_idle_is_noticed() -> None:
    rate = FrameRate((1, 2))
    frames(rate, BUSY, 200)
    used = frames(rate, IDLE, 1500)
    assert used[-300:].count(2) / 300 > 0.9


def test_a_sudden_slowness_is_not_waited_out() -> None:
    rate = FrameRate((1, 2))
    frames(rate, IDLE, 2000)
    used = frames(rate, BUSY, 30)
    assert used.index(1) <= 2 * WINDOW


def test_trying_in_vain_becomes_rare() -> None:
    used = frames(FrameRate((1, 2)), BUSY, 4 * LONGEST_PAUSE)
    assert used[-LONGEST_PAUSE:].count(2) <= WINDOW


def test_more_targets_are_not_taken_for_a_slower_machine() -> None:
    rate = FrameRate((1, 2))
    frames(rate, IDLE, 100)
    used = frames(rate, {1: 0.4, 2: 0.25}, WINDOW - 1, kind=10)
    assert used == [2] * (WINDOW - 1)


def test_a_single_core_has_no_choice() -> None:
    assert set(frames(FrameRate((1,)), IDLE, 300)) == {1}


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model() -> DMTrack:
    torch.manual_seed(0)
    small = replace(TINY, width=48, depth=1, template_size=32, search_size=64, head_width=16)
    return DMTrack(small).eval()


class Clock:
    """Frames take as long as a machine takes with the number of threads that torch has."""

    def __init__(self, machine: dict[int, float]) -> None:
        self._machine = machine
        self._now_s = 0.0

    def __call__(self) -> float:
        self._now_s += self._machine[torch.get_num_threads()]
        return self._now_s


@pytest.mark.parametrize(("machine", "count"), [(BUSY, 1), (IDLE, 2)])
def test_torch_gets_the_threads(
    model: DMTrack, threads: Callable[[int], None], machine: dict[int, float], count: int
) -> None:
    threads(2)
    tuner = ThreadTuner(inference_network(model), Clock(machine))
    for _ in range(5 * WINDOW):
        tuner.note(1)
    assert torch.get_num_threads() == count


def test_a_number_that_gives_other_bits_is_never_used(
    model: DMTrack, threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads(2)
    network = inference_network(model)
    step = network.step

    def depends_on_threads(memory: torch.Tensor, crops: torch.Tensor) -> object:
        out = step(memory, crops)
        return out._replace(score_map=out.score_map + 1e-7 * torch.get_num_threads())

    monkeypatch.setattr(network, "step", depends_on_threads)
    tuner = ThreadTuner(network, Clock(BUSY))
    for _ in range(5 * WINDOW):
        tuner.note(1)
    assert torch.get_num_threads() == 2


def test_one_thread_stays_one(model: DMTrack, threads: Callable[[int], None]) -> None:
    threads(1)
    tuner = ThreadTuner(inference_network(model), Clock(IDLE))
    for _ in range(3 * WINDOW):
        tuner.note(1)
    assert torch.get_num_threads() == 1
