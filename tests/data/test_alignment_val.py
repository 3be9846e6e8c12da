"""`dmtrack align` on real pairs: known warps are recovered, wrong pairs are refused.

Slow. The tables come from `benchmarks/alignment_accuracy.py`, whose trials these are.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from dmtrack.alignment.align import find_time_offset

pytestmark = [pytest.mark.data, pytest.mark.slow]
REAL = ("rgbt_bus1", "rgbd_visp")
WARPS = 3


@pytest.fixture(scope="module")
def benchmark(benchmark_script) -> ModuleType:
    return benchmark_script("alignment_accuracy")


@pytest.mark.parametrize(("name", "limit_px"), [("rgbt_bus1", 3.0), ("rgbd_visp", 3.5)])
def test_known_warps_are_recovered(benchmark, shared_data, name, limit_px):
    """Against the pair as found without a warp: what the recording's own registration lacks is left out.

    Of the depth pair fewer edges are common to both streams, and its corners are far from any of them.
    """
    pairs = benchmark.load_pairs(name, shared_data, 12)
    trials = list(benchmark.recovered(name, pairs, WARPS))
    accepted = [trial for trial in trials if trial.accepted]
    assert len(accepted) >= WARPS - 1
    assert np.median([trial.repeat_px for trial in accepted]) < limit_px
    assert max(trial.error_px for trial in accepted) < 12


def test_wrong_pairs_are_refused(benchmark, shared_data):
    clips = {name: benchmark.load_pairs(name, shared_data, 6) for name in REAL}
    trials = list(benchmark.wrong_pairs(clips))
    assert len(trials) == 2
    assert not any(trial.accepted for trial in trials)


def test_the_clocks_of_a_real_pair_agree(benchmark, shared_data):
    """The pictures of the depth recording were taken together."""
    found = find_time_offset(*benchmark.recording_paths("rgbd_visp", shared_data))
    assert abs(found.offset_s) < 0.015
    assert found.confidence > 0.8
