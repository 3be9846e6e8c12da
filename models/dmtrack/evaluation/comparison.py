"""Is one tracker better than another? Paired differences over the sequences, with a bootstrap interval.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile interval).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.errors import ConfigError
from dmtrack.evaluation.benchmarks import Benchmark
from dmtrack.evaluation.overlap import Floats
from dmtrack.evaluation.scoring import TrackerScore

RESAMPLES: Final = 10_000
CONFIDENCE: Final = 0.95
_TIE: Final = 0.0005
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of tracker A minus that of tracker B, over the sequences that both have."""

    column: str  # column of the metric
    mean: float  # in [-1, 1]; with the weights of the benchmark
    low: float  # lower end of the 95 % interval of the mean
    high: float  # upper end
    a_better: int  # sequences in which A is better by more than 0.05 points
    b_better: int  # sequences in which B is

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two trackers, sequence by sequence."""

    a: str  # name of the first tracker
    b: str  # name of the second
    names: tuple[str, ...]  # sequences that both have
    values: Floats  # `(N, C)` A minus B, by sequence and column
    differences: tuple[Difference, ...]  # one for each column
    # True if the benchmark's figures are not means over sequences, unlike these differences
    is_mean_of_sequences: bool


def compare(a: TrackerScore, b: TrackerScore, benchmark: Benchmark) -> Comparison:
    """Compare two trackers on the sequences that both have; `ConfigError` if they share none."""
    others = {score.name: score for score in b.sequences}
    shared = [(score, others[score.name]) for score in a.sequences if score.name in others]
    if not shared:
        raise ConfigError(f"{a.name} and {b.name} share no sequence", where="--compare")
    values = np.array([np.subtract(one.figures, other.figures) for one, other in shared])
    metric = benchmark.metric
    weights = np.array([metric.weight(one.part) for one, _ in shared])
    differences = tuple(
        paired_difference(column, values[:, number], weights) for number, column in enumerate(metric.columns)
    )
    names = tuple(one.name for one, _ in shared)
    return Comparison(a.name, b.name, names, values, differences, not metric.is_additive)


def paired_difference(
    column: str, values: npt.ArrayLike, weights: npt.ArrayLike, *, seed: int = 0
) -> Difference:
    """Return the weighted mean of differences and its bootstrap interval.

    `values` are `(N,)`, NaN is left out; `weights` are `(N,)`, positive. The same `seed` gives the same
    interval.

    Source: Efron and Tibshirani 1993, chapter 13.
    """
    difference, weight = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    known = np.isfinite(difference)
    difference, weight = difference[known], weight[known]
    if not len(difference):
        return Difference(column, *(float("nan"),) * 3, 0, 0)
    means = _resampled(difference, weight, np.random.default_rng(seed))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    mean = float(np.average(difference, weights=weight))
    better, worse = int((difference > _TIE).sum()), int((difference < -_TIE).sum())
    return Difference(column, mean, float(low), float(high), better, worse)


def largest(comparison: Comparison, column: int, count: int) -> Sequence[int]:
    """Return the rows with the largest absolute differences in a column, the largest first."""
    order = np.argsort(-np.abs(np.nan_to_num(comparison.values[:, column])), kind="stable")
    return [int(row) for row in order[:count]]


def _resampled(values: Floats, weights: Floats, rng: np.random.Generator) -> Floats:
    means = []
    for _ in range(RESAMPLES // _CHUNK):
        drawn = rng.integers(0, len(values), (_CHUNK, len(values)))
        chosen = weights[drawn]
        means.append((values[drawn] * chosen).sum(axis=1) / chosen.sum(axis=1))
    return np.concatenate(means)
