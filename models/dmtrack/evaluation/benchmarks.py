"""The benchmarks by name, and how to tell which one a data set is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from dmtrack.datasets.annotations import AnnotatedSet
from dmtrack.errors import DatasetError
from dmtrack.evaluation.longterm import LongTerm
from dmtrack.evaluation.metric import Metric
from dmtrack.evaluation.multistart import MultiStart
from dmtrack.evaluation.overlap_rates import OverlapRate
from dmtrack.evaluation.precision_success import (
    GTOT,
    LASHER,
    RGBT210,
    RGBT234,
    VISEVENT,
    VTUAV,
    PrecisionSuccess,
)


class BenchmarkName(StrEnum):
    """A benchmark; `auto` is found from the data set, `ope` is one pass over any annotated folder."""

    AUTO = "auto"
    LASHER = "lasher"
    RGBT234 = "rgbt234"
    RGBT210 = "rgbt210"
    GTOT = "gtot"
    VTUAV = "vtuav"
    VISEVENT = "visevent"
    DEPTHTRACK = "depthtrack"
    VOT_RGBD22 = "vot-rgbd22"
    OPE = "ope"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A metric, and sequence names by which the benchmark is recognised."""

    name: BenchmarkName
    title: str  # as people write it
    metric: Metric[Any]
    known_by: frozenset[str] = frozenset()  # a few sequence names that only this benchmark has


_MAXIMUM: Final = ("MPR", "MSR")
_RGBT234_NAMES: Final = frozenset({"afterrain", "baketballwaliking", "elecbikewithhat", "womanpink", "fog6"})

BENCHMARKS: Final = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            BenchmarkName.LASHER,
            "LasHeR",
            PrecisionSuccess(LASHER, ("PR", "NPR", "SR")),
            frozenset({"10runone", "1blackteacher", "AQgirlwalkinrain"}),
        ),
        Benchmark(BenchmarkName.RGBT234, "RGBT234", PrecisionSuccess(RGBT234, _MAXIMUM), _RGBT234_NAMES),
        Benchmark(BenchmarkName.RGBT210, "RGBT210", PrecisionSuccess(RGBT210, _MAXIMUM)),
        Benchmark(
            BenchmarkName.GTOT,
            "GTOT",
            PrecisionSuccess(GTOT, _MAXIMUM),
            frozenset({"BlackSwan1", "Otcbvs", "Torabi1", "MinibusNigOcc", "GarageHover"}),
        ),
        Benchmark(BenchmarkName.VTUAV, "VTUAV", PrecisionSuccess(VTUAV, _MAXIMUM)),
        Benchmark(BenchmarkName.VISEVENT, "VisEvent", PrecisionSuccess(VISEVENT, ("PR", "SR"))),
        Benchmark(BenchmarkName.DEPTHTRACK, "DepthTrack", LongTerm()),
        Benchmark(BenchmarkName.VOT_RGBD22, "VOT-RGBD2022", MultiStart()),
        Benchmark(BenchmarkName.OPE, "one pass", OverlapRate()),
    )
}

_BY_LAYOUT: Final = {
    "lasher": BenchmarkName.LASHER,
    "gtot": BenchmarkName.GTOT,
    "vtuav": BenchmarkName.VTUAV,
    "visevent": BenchmarkName.VISEVENT,
    "depthtrack": BenchmarkName.DEPTHTRACK,
    "vot-rgbd": BenchmarkName.DEPTHTRACK,
}
_RGBT210_COUNT: Final = 210


def benchmark_for(data: AnnotatedSet, name: BenchmarkName) -> Benchmark:
    """Return the benchmark of that name, for `auto` the one that the data set is.

    `DatasetError`: the data set lacks what the benchmark needs.
    """
    benchmark = benchmark_of(data) if name is BenchmarkName.AUTO else BENCHMARKS[name]
    anchored = any(sequence.anchors is not None for sequence in data.sequences)
    if isinstance(benchmark.metric, MultiStart) and not anchored:
        raise DatasetError(
            "no sequence says where its runs start (anchor.value)",
            where=data.root,
            hint=f"{benchmark.title} is scored over runs from anchors; --benchmark ope scores one pass",
        )
    return benchmark


def benchmark_of(data: AnnotatedSet) -> Benchmark:
    """Recognise the benchmark by its sequence names, else by the layout of its ground truth.

    A data set of several or unknown layouts is `ope`.
    """
    named = benchmark_named_by(data.names)
    if named is not None:
        return BENCHMARKS[named]
    if any(sequence.anchors is not None for sequence in data.sequences):
        return BENCHMARKS[BenchmarkName.VOT_RGBD22]
    layouts = data.layouts
    is_flagged = any(sequence.present is not None for sequence in data.sequences)
    if is_flagged and layouts <= {"visevent", "plain"}:
        return BENCHMARKS[BenchmarkName.VISEVENT]
    if len(layouts) != 1:
        return BENCHMARKS[BenchmarkName.OPE]
    return BENCHMARKS[_BY_LAYOUT.get(next(iter(layouts)), BenchmarkName.OPE)]


def benchmark_named_by(names: frozenset[str]) -> BenchmarkName | None:
    """Return the benchmark that has sequences of these names; None if no name is known."""
    for benchmark in BENCHMARKS.values():
        if benchmark.known_by & names:
            if benchmark.name is BenchmarkName.RGBT234 and len(names) == _RGBT210_COUNT:
                return BenchmarkName.RGBT210
            return benchmark.name
    return None
