"""VOT's figures on made-up results are those of the official toolkit, to the last digits.

`vot_toolkit_facts.json` holds what vot-toolkit gave; `vot_made_up.py` says how it was run.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dmtrack.datasets.annotations import read_annotations
from dmtrack.evaluation.benchmarks import BenchmarkName, benchmark_of
from dmtrack.evaluation.longterm import confidence_thresholds, mean_curve
from dmtrack.evaluation.multistart import MultiStartConvention, anchor_run
from dmtrack.evaluation.scoring import score_tracker
from dmtrack.evaluation.tracker_files import find_trackers

HERE = Path(__file__).parent
FACTS: dict[str, Any] = json.loads((HERE / "vot_toolkit_facts.json").read_text(encoding="utf-8"))
LAST_DIGITS = 1e-12


@pytest.fixture(scope="module")
def made_up(script) -> ModuleType:
    return script(HERE / "vot_made_up.py")


def test_multistart_figures(made_up, tmp_path):
    made_up.write_multistart(tmp_path)
    data = read_annotations(tmp_path / "sequences")
    benchmark = benchmark_of(data)
    assert benchmark.name is BenchmarkName.VOT_RGBD22
    (tracker,) = find_trackers(tmp_path / "results", data.names)
    assert tracker.name == "made_up"
    score = score_tracker(tracker, data, benchmark)
    facts = FACTS["multistart"]
    assert score.problems == ()
    assert score.figures == pytest.approx(
        (facts["eao"], facts["accuracy"], facts["robustness"]), abs=LAST_DIGITS
    )
    tracked = sum(run.tracked for sequence in score.sequences for run in sequence.part.runs)
    assert tracked == facts["tracked_frames"]
    points = score.curves[0].y[49::50]
    assert list(points) == pytest.approx(facts["eao_curve_every_50"][1:], abs=LAST_DIGITS)


def test_longterm_figures(made_up, tmp_path):
    made_up.write_longterm(tmp_path)
    data = read_annotations(tmp_path / "sequences")
    benchmark = benchmark_of(data)
    assert benchmark.name is BenchmarkName.DEPTHTRACK
    (tracker,) = find_trackers(tmp_path / "results", data.names)
    score = score_tracker(tracker, data, benchmark)
    facts = FACTS["longterm"]
    expected = (facts["f_score"], facts["precision"], facts["recall"])
    assert score.figures == pytest.approx(expected, abs=LAST_DIGITS)
    parts = [sequence.part for sequence in score.sequences]
    thresholds = confidence_thresholds(np.concatenate([part.confidence for part in parts]))
    assert list(thresholds[::9]) == pytest.approx([float(value) for value in facts["thresholds"]])
    precision, recall = mean_curve(parts, thresholds)
    assert list(zip(recall[::9], precision[::9], strict=True)) == [
        pytest.approx(pair, abs=LAST_DIGITS) for pair in facts["recall_precision"]
    ]


@pytest.mark.parametrize(
    ("misses", "tracked", "failed"),
    [(range(5, 14), 30, False), (range(5, 15), 5, True), (range(20, 30), 20, True)],
    ids=["nine misses are no failure", "ten are", "ten at the end are"],
)
def test_a_run_fails_after_ten_misses(misses, tracked, failed):
    truth = np.tile([10.0, 10.0, 20.0, 20.0], (30, 1))
    boxes = truth.copy()
    boxes[misses] += (100, 0, 0, 0)
    run = anchor_run(boxes, truth, MultiStartConvention())
    assert (run.tracked, run.failed) == (tracked, failed)


def test_absent_frames_are_no_misses():
    truth = np.tile([10.0, 10.0, 20.0, 20.0], (30, 1))
    truth[5:20] = np.nan
    boxes = np.tile([200.0, 10.0, 20.0, 20.0], (30, 1))
    boxes[:5] = boxes[20:] = (10, 10, 20, 20)
    assert not anchor_run(boxes, truth, MultiStartConvention()).failed
