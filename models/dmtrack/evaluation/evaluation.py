"""`evaluate_results`: score the results of trackers on a benchmark, and write the report."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from dmtrack.datasets.annotations import read_annotations
from dmtrack.errors import ConfigError, DatasetError, FormatError
from dmtrack.evaluation.benchmarks import benchmark_for
from dmtrack.evaluation.comparison import compare
from dmtrack.evaluation.report import draw_plots, report_html
from dmtrack.evaluation.scores import Evaluation, evaluation_json, sequences_csv, trackers_csv
from dmtrack.evaluation.scoring import ScoringOptions, TrackerScore, named_apart, ranked, score_tracker
from dmtrack.evaluation.tracker_files import find_trackers, unpacked
from dmtrack.evaluation.worst_sequences import worst_sequences
from dmtrack.output.atomic import prepare_folder, write_atomically

_log = logging.getLogger(__name__)

REPORT: Final = "report.html"
_FILES: Final = (REPORT, "scores.json", "sequences.csv", "trackers.csv")
_WORST: Final = 6


def evaluate_results(
    results: Sequence[Path],
    dataset: Path,
    options: ScoringOptions | None = None,
    *,
    compared: tuple[str, str] | None = None,
    output: Path | None = None,
    overwrite: bool = False,
) -> Evaluation:
    """Score results on a benchmark, and write the report where one is wanted.

    What is wrong with the results, and trackers that cannot be scored at all, are logged as warnings.

    Args:
        results: Folders or zips, each of one tracker or several.
        dataset: Folder or zip of the benchmark, with pictures or without.
        options: Whose figures, and what is done about results that are not as they should be.
        compared: Names of two trackers.
        output: Gets `report.html`, plots, JSON and CSV.
        overwrite: Replace a report that is there.

    Raises:
        DatasetError: The data set holds no ground truth.
        FormatError: No results can be scored, or something is wrong with them and that is refused.
        ConfigError: A tracker that is to be compared is not there.
        OutputError: The report exists or cannot be written.
    """
    options = options or ScoringOptions()
    if output is not None:
        prepare_folder(output, _FILES, overwrite=overwrite)
    with tempfile.TemporaryDirectory(prefix="dmtrack-evaluate-") as scratch:
        opened = _Opened(Path(scratch))
        with opened.paths_as_named():
            evaluation = _scored(results, dataset, options, opened)
        if compared is not None:
            evaluation = _compared(evaluation, *compared)
        for problem in evaluation.problems:
            _log.warning("%s", problem)
        if options.strict and evaluation.problems:
            raise FormatError(
                f"{len(evaluation.problems)} things are wrong with the results",
                hint="leave out --strict to score what is there",
            )
        if output is None:
            return evaluation
        files = _write(evaluation, output, options)
    return replace(evaluation, files=files)


class _Opened:
    """Folders of what the person named; a zip is unpacked once."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._folders: dict[Path, Path] = {}

    def folder(self, path: Path) -> Path:
        """Return the folder, or where the zip was unpacked.

        Raises:
            FormatError: The zip is damaged.
        """
        if path.suffix.lower() != ".zip" or not path.is_file():
            return path
        same = next((one for one in self._folders if one.samefile(path)), path)
        if same not in self._folders:
            self._folders[same] = unpacked(path, self._scratch / str(len(self._folders)))
        return self._folders[same]

    @contextlib.contextmanager
    def paths_as_named(self) -> Iterator[None]:
        """Let errors inside the block name the zip rather than the folder it was unpacked to."""
        try:
            yield
        except (FormatError, DatasetError) as error:
            raise self.renamed(error) from None

    def renamed(self, error: FormatError | DatasetError) -> FormatError | DatasetError:
        """Return the error with the name of the zip in the place of the folder."""
        where = "" if error.where is None else error.where
        for path, folder in self._folders.items():
            if where.startswith(str(folder)):
                return type(error)(error.what, where=str(path) + where[len(str(folder)) :], hint=error.hint)
        return error


def _scored(results: Sequence[Path], dataset: Path, options: ScoringOptions, opened: _Opened) -> Evaluation:
    data = read_annotations(opened.folder(dataset))
    benchmark = benchmark_for(data, options.benchmark)
    found = [
        tracker
        for path in results
        for tracker in find_trackers(opened.folder(path), data.names, besides=data.root)
    ]
    scores: list[TrackerScore] = []
    failure: FormatError | None = None
    for tracker in named_apart(found):
        try:
            scores.append(score_tracker(tracker, data, benchmark, options))
        except FormatError as error:
            failure = failure or error
            if options.strict:
                raise
            _log.warning("left out: %s", opened.renamed(error))
    if not scores:
        raise failure or FormatError("no tracker could be scored")
    return Evaluation(benchmark, data, dataset, ranked(scores, benchmark))


def _compared(evaluation: Evaluation, a: str, b: str) -> Evaluation:
    by_name = {tracker.name: tracker for tracker in evaluation.trackers}
    for name in (a, b):
        if name not in by_name:
            raise ConfigError(
                f"there is no tracker {name!r}", where="--compare", hint=f"there are {', '.join(by_name)}"
            )
    return replace(evaluation, comparison=compare(by_name[a], by_name[b], evaluation.benchmark))


def _write(evaluation: Evaluation, folder: Path, options: ScoringOptions) -> tuple[Path, ...]:
    """Write the report and what goes with it."""
    plots = tuple(draw_plots(evaluation))
    worst = worst_sequences(evaluation, _WORST, options.order)
    texts = {
        REPORT: report_html(evaluation, plots, worst),
        "scores.json": evaluation_json(evaluation),
        "sequences.csv": sequences_csv(evaluation),
        "trackers.csv": trackers_csv(evaluation),
    }
    files = {name: text.encode() for name, text in texts.items()}
    for plot in plots:
        files |= {f"{plot.name}.png": plot.png, f"{plot.name}.svg": plot.svg.encode()}
    for name, data in files.items():
        write_atomically(folder / name, data)
    return tuple(folder / name for name in files)
