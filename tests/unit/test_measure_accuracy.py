"""Distance and temperature of targets against scenes that know them, and, where they are, on real clips."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from dmtrack.synthetic.casting import CastingConfig, SceneFactory
from dmtrack.synthetic.stock import Stock


@pytest.fixture(scope="module")
def benchmark(benchmark_script) -> ModuleType:
    return benchmark_script("measure_accuracy")


def test_on_made_up_scenes_half_of_the_errors_are_below_two_percent(benchmark):
    rng = np.random.default_rng(3)
    factory = SceneFactory(CastingConfig(occluder_share=0.1), Stock(rng, (), ()), rng)
    found = [case for case in benchmark.cases(factory, rng, 30, (320, 240)) if case.side_px >= 12]
    assert len(found) > 15
    depth = np.array([case.depth for case in found if case.depth is not None])
    assert len(depth) >= 0.9 * len(found)
    own, plain = np.median(depth, axis=0)
    assert own < 0.01
    assert own < plain / 2, "the median over the box is far worse"
    assert np.percentile(depth[:, 0], 80) < 0.05
    own_k, plain_k = np.median([case.kelvin for case in found], axis=0)
    assert own_k < 0.5
    assert own_k < plain_k / 2


@pytest.mark.data
@pytest.mark.parametrize(
    ("truth", "distance_m", "most"),
    [("groundtruth_dragon.txt", (0.45, 0.52), 1.5), ("groundtruth_cube.txt", (0.42, 0.49), 4.0)],
)
def test_on_a_real_clip_size_times_distance_stays_the_same(benchmark, truth, distance_m, most):
    """Of the boxes the sizes alone vary by 2.6 and 4.2 %."""
    folder = Path(__file__).parents[2].parent / "shared" / "data" / "val" / "rgbd_visp"
    if not folder.is_dir():
        pytest.skip("the real recordings (../shared/data) are not here")
    low, high, measured, plain, alone = benchmark.steadiness(folder, "color", truth)
    assert distance_m[0] < low < high < distance_m[1]
    assert measured < most
    assert measured < alone
    assert measured < plain + 0.2
