"""`Evaluation`: the scores of all trackers on a data set, as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dmtrack.datasets.annotations import AnnotatedSet
from dmtrack.evaluation.benchmarks import Benchmark
from dmtrack.evaluation.comparison import Comparison
from dmtrack.evaluation.scoring import ResultsProblem, TrackerScore


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Trackers on a data set.

    Attributes:
        benchmark: What was counted.
        data: The truth.
        source: Where the truth is, as the person named it.
        trackers: The best first.
        comparison: Of two of them, if asked for.
        files: What was written, the report first.
    """

    benchmark: Benchmark
    data: AnnotatedSet
    source: Path
    trackers: Sequence[TrackerScore]
    comparison: Comparison | None = None
    files: tuple[Path, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the figures."""
        return self.benchmark.metric.columns

    @property
    def problems(self) -> tuple[ResultsProblem, ...]:
        """What is wrong with the results of all trackers."""
        return tuple(problem for tracker in self.trackers for problem in tracker.problems)


def sequences_csv(evaluation: Evaluation) -> str:
    """Return a row a tracker and sequence; a sequence without results has empty figures."""
    rows = []
    for tracker in evaluation.trackers:
        scores = {score.name: score for score in tracker.sequences}
        for annotation in evaluation.data.sequences:
            score = scores.get(annotation.name)
            figures = [""] * len(evaluation.columns) if score is None else [repr(f) for f in score.figures]
            rows.append([tracker.name, annotation.name, len(annotation), *figures])
    return _csv(["tracker", "sequence", "frames", *evaluation.columns], rows)


def trackers_csv(evaluation: Evaluation) -> str:
    """Return a row a tracker, and one a tracker and attribute."""
    rows: list[list[object]] = []
    for tracker in evaluation.trackers:
        rows.append([tracker.name, "", len(tracker.sequences), *map(repr, tracker.figures)])
        for one in tracker.attributes:
            rows.append([tracker.name, one.attribute, one.sequences, *map(repr, one.figures)])
    return _csv(["tracker", "attribute", "sequences", *evaluation.columns], rows)


def evaluation_json(evaluation: Evaluation) -> str:
    """Return everything but the boxes as one JSON document; a figure that does not exist is null."""
    metric = evaluation.benchmark.metric
    convention = getattr(metric, "convention", None)
    document = {
        "benchmark": evaluation.benchmark.name,
        "dataset": str(evaluation.source),
        "sequences": len(evaluation.data.sequences),
        "columns": list(metric.columns),
        "convention": asdict(convention) if is_dataclass(convention) else None,  # type: ignore[arg-type]
        "trackers": [_tracker_json(tracker, metric.columns) for tracker in evaluation.trackers],
        "comparison": _comparison_json(evaluation.comparison),
    }
    return json.dumps(_plain(document), indent=1, allow_nan=False) + "\n"


def _tracker_json(tracker: TrackerScore, columns: Sequence[str]) -> dict[str, Any]:
    return {
        "name": tracker.name,
        "figures": _named(columns, tracker.figures),
        "scored": len(tracker.sequences),
        "missing": tracker.missing,
        "problems": [
            {"kind": one.kind, "names": one.names, "detail": one.detail, "counted": one.counted}
            for one in tracker.problems
        ],
        "attributes": {
            one.attribute: {"sequences": one.sequences, **_named(columns, one.figures)}
            for one in tracker.attributes
        },
        "curves": {curve.name: {"x": curve.x, "y": curve.y} for curve in tracker.curves},
        "sequences": {
            score.name: {"frames": score.frames, **_named(columns, score.figures)}
            for score in tracker.sequences
        },
    }


def _comparison_json(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    return {
        "a": comparison.a,
        "b": comparison.b,
        "differences": [asdict(one) for one in comparison.differences],
        "sequences": dict(zip(comparison.names, comparison.values, strict=True)),
    }


def _named(columns: Sequence[str], figures: Sequence[float]) -> dict[str, float]:
    return dict(zip(columns, figures, strict=True))


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return what JSON can hold: arrays as lists, numbers that are not finite as null."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def _csv(header: list[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
