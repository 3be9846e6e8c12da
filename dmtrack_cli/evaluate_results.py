"""Scores result files on a benchmark, prints tables and writes the report."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import typer

from dmtrack.boxes.trackers import find_trackers, unpacked
from dmtrack.boxes.tracks import RowOrder
from dmtrack.datasets.annotations import read_annotations
from dmtrack.errors import ConfigError, DatasetError, FormatError
from dmtrack.evaluation.benchmark.benchmarks import benchmark_for
from dmtrack.evaluation.benchmark.comparison import compare
from dmtrack.evaluation.benchmark.evaluation import (
    Evaluation,
    evaluation_json,
    sequences_csv,
    trackers_csv,
)
from dmtrack.evaluation.benchmark.pictures import worst_sequences
from dmtrack.evaluation.benchmark.plots import draw_plots
from dmtrack.evaluation.benchmark.report import report_html
from dmtrack.evaluation.benchmark.scoring import (
    TrackerScore,
    named_apart,
    ranked,
    score_tracker,
)
from dmtrack.output.atomic import prepare_folder, write_atomically
from dmtrack_cli.console import EXIT_SOME_FAILED, err, out, say_line
from dmtrack_cli.evaluate_batch import track_dataset
from dmtrack_cli.evaluate_options import Running, Scoring
from dmtrack_cli.evaluate_tables import attribute_table, comparison_table, ranking_table
from dmtrack_cli.vot_workspace import export_workspace, require_stack

REPORT: Final = "report.html"
_FILES: Final = (REPORT, "scores.json", "sequences.csv", "trackers.csv")
_WORST: Final = 6


def evaluate_results(results: Sequence[Path], dataset: Path, scoring: Scoring) -> None:
    """Score results, print the tables and write the report.

    Raises:
        DatasetError: The data set holds no ground truth.
        FormatError: No results can be scored, or --strict and something is wrong with them.
        ConfigError: --compare names a tracker that is not there.
        OutputError: The report exists or cannot be written.
    """
    if scoring.output is not None:
        prepare_folder(scoring.output, _FILES, overwrite=scoring.overwrite)
    with tempfile.TemporaryDirectory(prefix="dmtrack-evaluate-") as scratch:
        opened = _Opened(Path(scratch))
        with opened.paths_as_named():
            evaluation = _scored(results, dataset, scoring, opened)
        _say_problems(evaluation, strict=scoring.strict)
        if scoring.json:
            typer.echo(evaluation_json(evaluation), nl=False)
        else:
            _print(evaluation)
        if scoring.output is not None:
            _write(evaluation, scoring.output, scoring.order)


def evaluate_tracked(folder: Path, output: Path, running: Running, scoring: Scoring) -> None:
    """Run the tracker over a benchmark, then score what it wrote; sequences that failed are missing.

    Raises:
        DatasetError: There is nothing to track.
        ConfigError: vot-toolkit does not evaluate this benchmark, and a workspace was asked for.
        Exit: Some sequences could not be tracked.
    """
    benchmark = benchmark_for(read_annotations(folder), scoring.benchmark)
    if running.export_vot is not None:
        require_stack(benchmark.name)
    results = track_dataset(folder, output, running, benchmark.name, overwrite=scoring.overwrite)
    if running.export_vot is not None:
        workspace, again = running.export_vot, scoring.overwrite or running.resume
        export_workspace(results.folder, workspace, benchmark.name, folder, overwrite=again)
    evaluate_results([results.folder], folder, replace(scoring, benchmark=benchmark.name, overwrite=True))
    if results.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


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


def _scored(results: Sequence[Path], dataset: Path, scoring: Scoring, opened: _Opened) -> Evaluation:
    data = read_annotations(opened.folder(dataset))
    benchmark = benchmark_for(data, scoring.benchmark)
    found = [
        tracker
        for path in results
        for tracker in find_trackers(opened.folder(path), data.names, besides=data.root)
    ]
    scores: list[TrackerScore] = []
    failure: FormatError | None = None
    for tracker in named_apart(found):
        try:
            scores.append(score_tracker(tracker, data, benchmark, scoring.options))
        except FormatError as error:
            failure = failure or error
            if scoring.strict:
                raise
            say_line("left out", str(opened.renamed(error)), "bold red")
    if not scores:
        raise failure or FormatError("no tracker could be scored")
    evaluation = Evaluation(benchmark, data, dataset, ranked(scores, benchmark))
    return evaluation if scoring.compare is None else _compared(evaluation, *scoring.compare)


def _compared(evaluation: Evaluation, a: str, b: str) -> Evaluation:
    by_name = {tracker.name: tracker for tracker in evaluation.trackers}
    for name in (a, b):
        if name not in by_name:
            raise ConfigError(
                f"there is no tracker {name!r}", where="--compare", hint=f"there are {', '.join(by_name)}"
            )
    return replace(evaluation, comparison=compare(by_name[a], by_name[b], evaluation.benchmark))


def _say_problems(evaluation: Evaluation, *, strict: bool) -> None:
    """Say what is wrong, a line each; refuse it where the person wants that."""
    problems = [problem for tracker in evaluation.trackers for problem in tracker.problems]
    for problem in problems:
        say_line("refused" if strict else "warning", str(problem), "bold red" if strict else "bold yellow")
    if strict and problems:
        raise FormatError(
            f"{len(problems)} things are wrong with the results",
            hint="leave out --strict to score what is there",
        )


def _print(evaluation: Evaluation) -> None:
    data, benchmark = evaluation.data, evaluation.benchmark
    out.print(f"{benchmark.title}, {len(data.sequences)} sequences, {sum(map(len, data.sequences))} frames")
    out.print(ranking_table(evaluation))
    if any(tracker.attributes for tracker in evaluation.trackers):
        out.print()
        out.print(attribute_table(evaluation))
    if evaluation.comparison is not None:
        out.print()
        out.print(comparison_table(evaluation.comparison))


def _write(evaluation: Evaluation, folder: Path, order: RowOrder) -> None:
    plots = tuple(draw_plots(evaluation))
    worst = worst_sequences(evaluation, _WORST, order)
    texts = {
        REPORT: report_html(evaluation, plots, worst),
        "scores.json": evaluation_json(evaluation),
        "sequences.csv": sequences_csv(evaluation),
        "trackers.csv": trackers_csv(evaluation),
    }
    files: list[tuple[str, bytes]] = [(name, text.encode()) for name, text in texts.items()]
    for plot in plots:
        files += [(f"{plot.name}.png", plot.png), (f"{plot.name}.svg", plot.svg.encode())]
    for name, data in files:
        write_atomically(folder / name, data)
    others = ", ".join(name for name, _ in files[1:])
    err.print(f"report: {folder / REPORT} and {others}", soft_wrap=True)
