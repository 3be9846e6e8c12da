"""Scores of trackers: what lacks is said and counted as said; differences come with an interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dmtrack.datasets.annotations import AnnotatedSet, Annotation
from dmtrack.errors import FormatError
from dmtrack.evaluation.benchmarks import BENCHMARKS, BenchmarkName
from dmtrack.evaluation.comparison import compare, paired_difference
from dmtrack.evaluation.evaluation import evaluate_results
from dmtrack.evaluation.scoring import Missing, ProblemKind, ScoringOptions, TrackerScore, score_tracker
from dmtrack.evaluation.tracker_files import TrackerFiles, find_trackers
from dmtrack.geometry.box import BoxFormat

LASHER = BENCHMARKS[BenchmarkName.LASHER]
FRAMES = 30


def truth(number: int) -> np.ndarray:
    rows = np.tile([20.0 + number, 30.0, 24.0, 36.0], (FRAMES, 1))
    rows[:, 0] += np.arange(FRAMES)
    return rows


@pytest.fixture
def data(tmp_path) -> AnnotatedSet:
    easy = frozenset({"easy"})
    sequences = [
        Annotation(f"s{n}", (truth(n),), attributes=easy if n < 2 else frozenset()) for n in range(4)
    ]
    return AnnotatedSet(tmp_path, tuple(sequences))


def results(folder: Path, rows: dict[str, np.ndarray], names: frozenset[str]) -> TrackerFiles:
    folder.mkdir(parents=True)
    for name, boxes in rows.items():
        np.savetxt(folder / f"{name}.txt", boxes, fmt="%.4f", delimiter=",")
    return find_trackers(folder, names)[0]


def kinds(score: TrackerScore) -> set[ProblemKind]:
    return {problem.kind for problem in score.problems}


def test_a_perfect_tracker(data, tmp_path):
    tracker = results(tmp_path / "t", {f"s{n}": truth(n) for n in range(4)}, data.names)
    score = score_tracker(tracker, data, LASHER)
    assert score.figures == pytest.approx((1, 1, 20 / 21))
    assert (score.missing, score.problems) == (0, ())
    (easy,) = score.attributes
    assert (easy.attribute, easy.sequences) == ("easy", 2)


def test_missing_sequences_are_left_out_or_zero(data, tmp_path):
    tracker = results(tmp_path / "t", {"s0": truth(0)}, data.names)
    skipped = score_tracker(tracker, data, LASHER)
    zero = score_tracker(tracker, data, LASHER, ScoringOptions(missing=Missing.ZERO))
    assert (skipped.figures[0], zero.figures[0]) == pytest.approx((1, 1 / 4))
    (problem,) = skipped.problems
    assert problem.names == ("s1", "s2", "s3")
    assert "left out of every mean" in str(problem)
    assert "counted as 0" in str(zero.problems[0])


def test_lengths_columns_and_damage_are_said(data, tmp_path):
    corners = {f"s{n}": np.hstack((truth(n)[:, :2], truth(n)[:, :2] + truth(n)[:, 2:])) for n in range(3)}
    corners["s0"] = corners["s0"][:10]
    corners["s1"] = np.vstack((corners["s1"], corners["s1"]))
    tracker = results(tmp_path / "t", corners, data.names)
    (tmp_path / "t" / "s3.txt").write_text("1,2\n")
    (tmp_path / "t" / "stranger.txt").write_text("1,2,3,4\n")
    (tracker,) = find_trackers(tmp_path / "t", data.names)
    score = score_tracker(tracker, data, LASHER)
    assert kinds(score) == {
        ProblemKind.SHORT,
        ProblemKind.LONG,
        ProblemKind.ORDER,
        ProblemKind.UNREADABLE,
        ProblemKind.STRANGERS,
    }
    order = next(problem for problem in score.problems if problem.kind is ProblemKind.ORDER)
    assert "--order xyxy" in str(order)
    right = score_tracker(tracker, data, LASHER, ScoringOptions(order=BoxFormat.XYXY))
    assert ProblemKind.ORDER not in kinds(right)
    assert right.figures[0] == pytest.approx((10 / 30 + 1 + 1) / 3)


def test_results_of_another_benchmark_are_named(data, tmp_path):
    names = ("afterrain", "fog6", "s0")
    tracker = results(tmp_path / "t", {name: truth(0) for name in names}, data.names)
    with pytest.raises(FormatError, match="results of RGBT234, but the data set is LasHeR"):
        score_tracker(tracker, data, LASHER)
    strange = results(tmp_path / "u", {"elsewhere": truth(0)}, data.names)
    with pytest.raises(FormatError, match="elsewhere"):
        score_tracker(strange, data, LASHER)


def test_differences_are_paired(data, tmp_path):
    good = {f"s{n}": truth(n) for n in range(4)}
    bad = {name: rows + (np.arange(FRAMES)[:, None] > 14) * (60.0, 0, 0, 0) for name, rows in good.items()}
    scores = [
        score_tracker(results(tmp_path / name, rows, data.names), data, LASHER)
        for name, rows in (("good", good), ("bad", bad))
    ]
    found = compare(scores[0], scores[1], LASHER)
    assert found.differences[0].mean == pytest.approx(0.5)
    assert (found.differences[0].a_better, found.differences[0].b_better) == (4, 0)
    assert found.differences[0].is_clear


def test_the_interval_covers_what_chance_does():
    rng = np.random.default_rng(3)
    covered = 0
    for seed in range(60):
        drawn = rng.normal(0.01, 0.2, 80)
        found = paired_difference("SR", drawn, np.ones(80), seed=seed)
        covered += found.low <= 0.01 <= found.high
    assert 51 <= covered <= 60  # 57 expected of a 95 % interval


def test_weights_count():
    found = paired_difference("MPR", [1.0, 0.0], [3.0, 1.0])
    assert found.mean == pytest.approx(0.75)


def test_folders_are_scored_in_one_call(tmp_path, caplog):
    names = frozenset({"s0", "s1"})
    results(tmp_path / "gt", {"s0": truth(0), "s1": truth(1)}, names)
    results(tmp_path / "of" / "good", {"s0": truth(0), "s1": truth(1)}, names)
    results(tmp_path / "of" / "poor", {"s0": truth(0) + (9, 9, 0, 0)}, names)
    evaluation = evaluate_results([tmp_path / "of"], tmp_path / "gt", compared=("good", "poor"))
    assert evaluation.benchmark.name is BenchmarkName.OPE
    assert [tracker.name for tracker in evaluation.trackers] == ["good", "poor"]
    assert evaluation.comparison is not None
    assert evaluation.comparison.names == ("s0",)
    assert "poor: missing sequences (1)" in caplog.text
    assert evaluation.files == ()
    with pytest.raises(FormatError, match="1 thing wrong"):
        evaluate_results(str(tmp_path / "of"), tmp_path / "gt", ScoringOptions(strict=True))
