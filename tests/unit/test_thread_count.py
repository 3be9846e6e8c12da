"""One thread beside other work, all of them without: by what the system counts, and by the time it takes."""

from __future__ import annotations

import pytest
from program import new_process

from dmtrack.network.thread_count import CROWDED, FIRST_TRIAL, LONGEST_PAUSE, WINDOW, ThreadCount

IDLE = {1: (0.032, 0.0), 2: (0.020, 0.2)}
BUSY = {1: (0.062, 0.8), 2: (0.075, 1.2)}
NO_GAIN = {1: (0.017, 0.0), 2: (0.0192, 0.2)}
EQUAL = {1: (0.034, 0.8), 2: (0.033, 1.1)}
CROWDED_IN_VAIN = {1: (0.039, 1.0), 2: (0.033, 1.1)}


def used(threads: ThreadCount, machine: dict[int, tuple[float, float]], steps: int) -> list[int]:
    """Return the count of each step."""
    counts = []
    for _ in range(steps):
        counts.append(threads.count)
        threads.note(*machine[threads.count])
    return counts


def test_an_idle_machine_keeps_all_but_for_one_try():
    counts = used(ThreadCount(2), IDLE, 4000)
    assert counts.count(1) == WINDOW
    assert counts.index(1) >= FIRST_TRIAL


def test_an_idle_machine_on_which_one_is_no_slower_keeps_one():
    threads = ThreadCount(2)
    counts = used(threads, NO_GAIN, 1000)
    assert set(counts[2 * FIRST_TRIAL :]) == {1}
    assert set(used(threads, BUSY, 100)) == {1}


def test_what_comes_during_the_try_is_no_reason_to_keep_one():
    threads = ThreadCount(2)
    while threads.count == 2:
        used(threads, NO_GAIN, 1)
    used(threads, {1: (0.016, 0.9)}, WINDOW)  # something else begins to run
    assert threads.count == 2


def test_beside_other_work_one_is_used_within_ten_steps_and_kept():
    counts = used(ThreadCount(2), BUSY, 300)
    assert counts.index(1) <= 10
    assert set(counts[counts.index(1) :]) == {1}


def test_when_the_work_is_over_all_are_used_again():
    threads = ThreadCount(2)
    used(threads, BUSY, 100)
    counts = used(threads, IDLE, 50)
    assert counts[-1] == 2
    assert counts.count(1) <= 2 * WINDOW


def test_where_one_is_about_as_quick_it_is_kept():
    assert used(ThreadCount(2), EQUAL, 100)[WINDOW:] == [1] * (100 - WINDOW)


def test_where_one_is_slower_it_is_tried_less_and_less():
    counts = used(ThreadCount(2), CROWDED_IN_VAIN, 4 * LONGEST_PAUSE)
    assert counts.count(1) / len(counts) < 0.01
    assert counts[-LONGEST_PAUSE:].count(1) <= 2 * WINDOW


def test_one_core_has_nothing_to_choose():
    threads = ThreadCount(1)
    for _ in range(50):
        threads.note(0.01, 2 * CROWDED)
    assert threads.count == 1


@pytest.mark.parametrize("said", ["", "1"])
def test_as_many_as_pytorch_takes(monkeypatch, said):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    code = (
        "import sys; from dmtrack.network.thread_count import usual_threads; count = usual_threads()\n"
        "if sys.platform == 'linux': assert 'torch' not in sys.modules\n"
        "import torch; assert count == torch.get_num_threads(), (count, torch.get_num_threads())"
    )
    done = new_process("-c", code)
    assert done.returncode == 0, done.stderr
