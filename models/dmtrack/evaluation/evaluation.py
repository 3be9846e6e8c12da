"""`evaluate_results`: scores of trackers on a benchmark, as one value and as files."""

from __future__ import annotations

import json
import logging
import math
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from dmtrack.atomic import inputs_kept, prepare_folder, utf8, write_atomically
from dmtrack.datasets.annotations import AnnotatedSet, read_annotations
from dmtrack.errors import ConfigError, FormatError, counted
from dmtrack.evaluation.benchmarks import Benchmark, benchmark_for
from dmtrack.evaluation.comparison import Comparison, compare
from dmtrack.evaluation.report import draw_plots, report_html, worst_sequences
from dmtrack.evaluation.scoring import (
    AttributeScore,
    ResultsProblem,
    ScoringOptions,
    TrackerScore,
    named_apart,
    score_tracker,
)
from dmtrack.evaluation.tracker_files import find_trackers, unpacked
from dmtrack.output.csv_text import csv_text

_log = logging.getLogger(__name__)

REPORT: Final = "report.html"
_FILES: Final = (REPORT, "scores.json", "sequences.csv", "trackers.csv")
_DECIMALS: Final = 6  # of figures in files; more would mean nothing


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The scores of trackers on a data set."""

    benchmark: Benchmark
    data: AnnotatedSet  # the ground truth
    source: Path  # where it was read from, as given
    trackers: Sequence[TrackerScore]  # best first
    comparison: Comparison | None = None  # of two of them, if asked for
    files: tuple[Path, ...] = ()  # the files written, the report first

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the figures."""
        return self.benchmark.metric.columns

    def attributes(self) -> dict[str, list[AttributeScore | None]]:
        """Return the score of every tracker by attribute; None if it has no sequence with it."""
        scores = [{one.attribute: one for one in tracker.attributes} for tracker in self.trackers]
        return {name: [own.get(name) for own in scores] for name in sorted(set().union(*scores))}

    @property
    def problems(self) -> tuple[ResultsProblem, ...]:
        """The problems with the results of all trackers."""
        return tuple(problem for tracker in self.trackers for problem in tracker.problems)


def evaluate_results(
    results: Path | str | Sequence[Path | str],
    dataset: Path | str,
    options: ScoringOptions | None = None,
    *,
    compared: tuple[str, str] | None = None,
    output: Path | str | None = None,
    overwrite: bool = False,
    only: Collection[str] | None = None,
) -> Evaluation:
    """Score results on a benchmark, and write a report if `output` is given.

    Problems with the results, and trackers that cannot be scored at all, are logged as warnings.

    Args:
        results: One or several folders or zips, each with the results of one tracker or several.
        dataset: Folder or zip of the benchmark, with pictures or without.
        options: The benchmark, and how faulty results are treated.
        compared: Names of two trackers to compare.
        output: Gets `report.html`, plots, JSON and CSV.
        overwrite: Replace an existing report.
        only: Names of the sequences to score; None means all.

    Raises:
        DatasetError: The data set holds no ground truth.
        FormatError: No results can be scored, or they have problems and `options.strict` is set.
        ConfigError: A tracker to compare does not exist.
        OutputError: The report exists or cannot be written.
    """
    options = options or ScoringOptions()
    named = [Path(path) for path in ([results] if isinstance(results, str | Path) else results)]
    output = None if output is None else Path(output)
    if output is not None:
        with inputs_kept(dataset, *named):
            prepare_folder(output, _FILES, overwrite=overwrite)
    with tempfile.TemporaryDirectory(prefix="dmtrack-evaluate-") as scratch:
        evaluation = _scored(named, Path(dataset), options, _Opened(Path(scratch)), only)
        if compared is not None:
            evaluation = _compared(evaluation, *compared)
        for problem in evaluation.problems:
            _log.warning("%s", problem)
        if options.strict and evaluation.problems:
            raise FormatError(
                f"{counted(len(evaluation.problems), 'thing')} wrong with the results",
                hint="leave out --strict to score what is there",
            )
        if output is None:
            return evaluation
        files = _write(evaluation, output, options)
    return replace(evaluation, files=files)


class _Opened:
    """Folders of the given paths; each zip is unpacked once."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._folders: dict[Path, Path] = {}

    def folder(self, path: Path) -> Path:
        """Return the folder, or where the zip was unpacked; `FormatError` if it is damaged."""
        if path.suffix.lower() != ".zip" or not path.is_file():
            return path
        same = next((one for one in self._folders if one.samefile(path)), path)
        if same not in self._folders:
            self._folders[same] = unpacked(path, self._scratch / str(len(self._folders)))
        return self._folders[same]


def _scored(
    results: Sequence[Path],
    dataset: Path,
    options: ScoringOptions,
    opened: _Opened,
    only: Collection[str] | None,
) -> Evaluation:
    data = read_annotations(opened.folder(dataset))
    if only is not None:
        data = replace(data, sequences=tuple(one for one in data.sequences if one.name in only))
    benchmark = benchmark_for(data, options.benchmark)
    found = [
        tracker
        for path in results
        for tracker in find_trackers(opened.folder(path), data.names, besides=data.root)
    ]
    scores: list[TrackerScore] = []
    failures: list[FormatError] = []
    for tracker in named_apart(found):
        try:
            scores.append(score_tracker(tracker, data, benchmark, options))
        except FormatError as error:
            if options.strict:
                raise
            failures.append(error)
    for failure in failures if scores else failures[1:]:
        _log.warning("left out: %s", failure)
    if not scores:
        raise failures[0] if failures else FormatError("no tracker could be scored")
    column = benchmark.metric.ranking_column
    if remark := benchmark.metric.remark(data.sequences):
        _log.warning("%s", remark)
    scores.sort(key=lambda score: -np.nan_to_num(score.figures[column]))
    return Evaluation(benchmark, data, dataset, scores)


def _compared(evaluation: Evaluation, a: str, b: str) -> Evaluation:
    by_name = {tracker.name: tracker for tracker in evaluation.trackers}
    for name in (a, b):
        if name not in by_name:
            raise ConfigError(
                f"there is no tracker {name!r}", where="--compare", hint=f"there are {', '.join(by_name)}"
            )
    return replace(evaluation, comparison=compare(by_name[a], by_name[b], evaluation.benchmark))


def _write(evaluation: Evaluation, folder: Path, options: ScoringOptions) -> tuple[Path, ...]:
    """Write the report, plots and tables."""
    plots = tuple(draw_plots(evaluation))
    worst = worst_sequences(evaluation, options.order)
    texts = {
        REPORT: report_html(evaluation, plots, worst),
        "scores.json": evaluation_json(evaluation),
        "sequences.csv": sequences_csv(evaluation),
        "trackers.csv": trackers_csv(evaluation),
    }
    files = {name: utf8(text) for name, text in texts.items()}
    for plot in plots:
        files |= {f"{plot.name}.png": plot.png, f"{plot.name}.svg": utf8(plot.svg)}
    for name, data in files.items():
        write_atomically(folder / name, data)
    return tuple(folder / name for name in files)


def sequences_csv(evaluation: Evaluation) -> str:
    """Return a row for each tracker and sequence; a sequence without results has empty figures."""
    rows: list[list[object]] = []
    for tracker in evaluation.trackers:
        scores = {score.name: score for score in tracker.sequences}
        for annotation in evaluation.data.sequences:
            score = scores.get(annotation.name)
            figures = [""] * len(evaluation.columns) if score is None else list(map(_cell, score.figures))
            rows.append([tracker.name, annotation.name, len(annotation), *figures])
    return csv_text([["tracker", "sequence", "frames", *evaluation.columns], *rows])


def trackers_csv(evaluation: Evaluation) -> str:
    """Return a row for each tracker, and one for each tracker and attribute."""
    rows: list[list[object]] = []
    for tracker in evaluation.trackers:
        rows.append([tracker.name, "", len(tracker.sequences), *map(_cell, tracker.figures)])
        for one in tracker.attributes:
            rows.append([tracker.name, one.attribute, one.sequences, *map(_cell, one.figures)])
    return csv_text([["tracker", "attribute", "sequences", *evaluation.columns], *rows])


def evaluation_json(evaluation: Evaluation) -> str:
    """Return everything but the boxes as one JSON document; undefined figures are null."""
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
    """Convert to JSON values: arrays to lists, numbers rounded, and null for those that are not finite."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return round(float(value), _DECIMALS) if math.isfinite(value) else None
    return value


def _cell(figure: float) -> str:
    """Return a figure as a table's text; empty if it is undefined."""
    return str(round(float(figure), _DECIMALS)) if math.isfinite(figure) else ""
