"""The figures that were published for raw results of trackers, met to 0.1."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmtrack.datasets.annotations import AnnotatedSet, read_annotations
from dmtrack.evaluation.benchmarks import Benchmark, BenchmarkName, benchmark_of
from dmtrack.evaluation.scoring import score_tracker
from dmtrack.evaluation.tracker_files import TrackerFiles, find_trackers, unpacked

pytestmark = pytest.mark.data

TOLERANCE = 0.1
PUBLISHED: dict[str, tuple[BenchmarkName, dict[str, tuple[float, ...]]]] = {
    "gtot": (BenchmarkName.GTOT, {"APFNet": (90.5, 73.7), "JMMAC": (90.2, 73.2), "MANet++": (90.1, 72.3)}),
    "rgbt234": (BenchmarkName.RGBT234, {"JMMAC": (79.0, 57.3)}),
    "lasher_test": (BenchmarkName.LASHER, {"APFNet": (50.0, 43.9, 36.2), "mfDiMP": (44.7, 39.5, 34.3)}),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures(name, shared_data, tmp_path):
    data, benchmark, trackers = opened(shared_data / "results" / f"{name}.zip", tmp_path)
    expected_benchmark, figures = PUBLISHED[name]
    assert benchmark.name is expected_benchmark
    assert [tracker.name for tracker in trackers] == list(figures)
    for tracker in trackers:
        score = score_tracker(tracker, data, benchmark)
        assert score.missing == 0
        percent = [100 * figure for figure in score.figures]
        assert percent == pytest.approx(figures[tracker.name], abs=TOLERANCE), tracker.name


def opened(archive: Path, scratch: Path) -> tuple[AnnotatedSet, Benchmark, list[TrackerFiles]]:
    folder = unpacked(archive, scratch)
    data = read_annotations(folder)
    return data, benchmark_of(data), find_trackers(folder, data.names, besides=data.root)
