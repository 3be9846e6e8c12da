"""`dmtrack evaluate`: score results of any tracker on a benchmark, or run ours over annotated clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from dmtrack.batch.run import Existing
from dmtrack.errors import counted
from dmtrack.evaluation.benchmark_runs import BenchmarkPlan, BenchmarkRunOptions, evaluate_run, measure_clips
from dmtrack.evaluation.clips import ClipResult, score_auc
from dmtrack.evaluation.comparison import Comparison
from dmtrack.evaluation.evaluation import Evaluation, evaluate_results, evaluation_json
from dmtrack.evaluation.scoring import ScoringOptions
from dmtrack.options import Option, command_words
from dmtrack_cli.batch_run import run_plan
from dmtrack_cli.console import EXIT_SOME_FAILED, err, listing, out
from dmtrack_cli.option_groups import grouped
from dmtrack_cli.progress import ProgressKind

_SCORE: Final = "Scoring results"
_RUN: Final = "Running the tracker"
_NO_RESULTS: Final = "name results, with --dataset; or clips to run the tracker over: --run FOLDER"
_NO_DATASET: Final = (
    "give their benchmark: --dataset FOLDER; `dmtrack evaluate --run FOLDER` runs the tracker"
)
_BOTH: Final = "the tracker makes its own results: leave out RESULTS and --dataset"
_WITH_OUTPUT: Final = ("--export-vot", "--jobs")
_OF_RUN: Final = "is for --run, which tracks"
_OF_REPORT: Final = "is for reports: give -o as well"
_OF_FIGURES: Final = "is for --run without -o: reports have a CSV"


@grouped
def evaluate(
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RESULTS]...",
            help="Folders or zips of results, each of one or several trackers.",
            show_default=False,
        ),
    ] = None,
    *,
    dataset: Annotated[
        Path | None,
        Option("--dataset", "Folder or zip of the benchmark, with or without pictures.", panel=_SCORE),
    ] = None,
    output: Annotated[
        Path | None,
        Option("--output -o", "Write report.html, plots, JSON and CSV here.", metavar="FOLDER", panel=_SCORE),
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        Option(
            "--compare",
            "Compare two trackers: paired difference, sequence by sequence.",
            metavar="A B",
            panel=_SCORE,
        ),
    ] = None,
    scoring: ScoringOptions,
    overwrite: Annotated[bool, Option("--overwrite", "Replace existing files.", panel=_SCORE)] = False,
    json: Annotated[bool, Option("--json", "Print JSON instead of tables.", panel=_SCORE)] = False,
    run: Annotated[
        Path | None,
        Option(
            "--run",
            "Annotated clips, in any known layout, to run the tracker over.",
            metavar="FOLDER",
            panel=_RUN,
        ),
    ] = None,
    running: BenchmarkRunOptions,
    resume: Annotated[
        bool, Option("--resume", "With -o: track what is missing or failed.", panel=_RUN)
    ] = False,
    table: Annotated[
        Path | None, Option("--csv", "Without -o: write one row per target here.", panel=_RUN)
    ] = None,
) -> None:
    """Score the results of any tracker, or run ours.

    `evaluate RESULTS --dataset FOLDER` computes the figures of the benchmark's own scripts: LasHeR
    PR/NPR/SR, RGBT234, RGBT210, GTOT and VTUAV MPR/MSR, VisEvent PR/SR, DepthTrack F-score/Pr/Re,
    VOT-RGBD2022 EAO/A/R, and for any other folder mean IoU, AO, SR50 and SR75. Result files of any tracker
    are read. Missing or odd results are reported with how they were counted; --strict refuses them.

    `evaluate --run FOLDER -o OUT` runs the tracker over a benchmark (--resume continues after an
    interruption), writes OUT/results in the benchmark's submission format (VOT: a run from every anchor,
    in vot-toolkit's files), then scores them as above.

    `evaluate --run FOLDER` alone tracks every annotated target once, from its first box, without restarts,
    and prints mean IoU. The frame with the given box counts as 1. The last line is the area under the ROC
    curve of the score against IoU >= 0.5: 1 means that the score separates right boxes from wrong ones.
    """
    if run is None:
        if not results:
            raise typer.BadParameter(_NO_RESULTS)
        if dataset is None:
            raise typer.BadParameter(_NO_DATASET, param_hint="RESULTS")
        _require_unsaid(_OF_RUN, *command_words(running), *_given(resume=resume, csv=table))
        evaluation = evaluate_results(
            results, dataset, scoring, compared=compare, output=output, overwrite=overwrite
        )
        _say(evaluation, as_json=json)
        return
    if results or dataset is not None:
        raise typer.BadParameter(_BOTH)
    if output is not None:
        _require_unsaid(_OF_FIGURES, *_given(csv=table))
        existing = Existing.RESUME if resume else Existing.OVERWRITE if overwrite else Existing.REFUSE
        failed = 0

        def carry_out(plan: BenchmarkPlan) -> None:
            nonlocal failed
            runner, engine = running.runner(run), running.engine()
            outcome = run_plan(plan.plan, plan.tracked, runner, engine, existing, ProgressKind.AUTO)
            failed = outcome.failed

        evaluation, settings = evaluate_run(
            run, output, running, scoring, carry_out, compared=compare, overwrite=overwrite or resume
        )
        _say(evaluation, as_json=json)
        err.print(f"tracked with {settings}", soft_wrap=True)
        if failed:
            raise typer.Exit(EXIT_SOME_FAILED)
    else:
        words = (word for word in command_words(running) if word.startswith(_WITH_OUTPUT))
        said = _given(resume=resume, json=json, compare=compare)
        _require_unsaid(_OF_REPORT, *words, *command_words(scoring), *said)
        _measure(run, running, table, overwrite=overwrite)


def _given(**options: object) -> list[str]:
    """Return the names of options of the command's own that are given."""
    return [f"--{name}" for name, value in options.items() if value]


def _require_unsaid(why_not: str, *words: str) -> None:
    for word in words:
        raise typer.BadParameter(why_not, param_hint=word.partition("=")[0])


def _say(evaluation: Evaluation, *, as_json: bool) -> None:
    if as_json:
        typer.echo(evaluation_json(evaluation), nl=False)
    else:
        print_evaluation(evaluation)
    if evaluation.files:
        report, *others = evaluation.files
        err.print(f"report: {report} and {', '.join(path.name for path in others)}", soft_wrap=True)


def _measure(folder: Path, running: BenchmarkRunOptions, table: Path | None, *, overwrite: bool) -> None:
    """Print the mean IoU of every target, and how well scores separate right from wrong boxes."""

    def on_clip(clip: ClipResult) -> None:
        err.print(Text(f"{clip.name} {clip.mean_iou:.3f}"))

    figures, settings = measure_clips(folder, running, table, on_clip, overwrite=overwrite)
    out.print(figures_table(figures, f"tracked with {settings}"))
    area = score_auc(figures)
    if math.isfinite(area):
        out.print(f"area under the ROC of score against IoU >= 0.5: {area:.3f}")


# --- what is printed -----------------------------------------------------------------------------


def figures_table(figures: Sequence[ClipResult], settings: str) -> Table:
    """Return a row for each target and one for the mean, with a caption on how they were tracked."""
    table = listing(
        ("target", "second stream", ">frames", ">mean IoU", ">IoU >= 0.5"),
        [(c.name, c.modality or "", c.frames, _share(c.mean_iou), _share(c.success)) for c in figures],
    )
    table.caption, table.caption_justify = settings, "left"
    table.add_section()
    scored = [clip for clip in figures if clip.frames]
    if scored:
        means = (fmean(clip.mean_iou for clip in scored), fmean(clip.success for clip in scored))
        table.add_row("mean over targets", "", "", *map(_share, means))
    return table


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the ranking, and attributes and comparison if there are any."""
    data, benchmark = evaluation.data, evaluation.benchmark
    sequences = counted(len(data.sequences), "sequence")
    out.print(f"{benchmark.title}, {sequences}, {counted(sum(map(len, data.sequences)), 'frame')}")
    out.print(_ranking_table(evaluation))
    if any(tracker.attributes for tracker in evaluation.trackers):
        out.print()
        out.print(_attribute_table(evaluation))
    if evaluation.comparison is not None:
        out.print()
        out.print(_comparison_table(evaluation.comparison))


def _ranking_table(evaluation: Evaluation) -> Table:
    """Return a row for each tracker, best first, with figures in percent."""
    known = [
        place
        for place in range(len(evaluation.columns))
        if any(math.isfinite(tracker.figures[place]) for tracker in evaluation.trackers)
    ]
    count, rows = len(evaluation.data.sequences), []
    for tracker in evaluation.trackers:
        scored = f"{len(tracker.sequences)} of {count}" if tracker.missing else count
        rows.append((tracker.name, *(_percent(tracker.figures[place]) for place in known), scored))
    return listing(("tracker", *(f">{evaluation.columns[place]}" for place in known), ">sequences"), rows)


def _attribute_table(evaluation: Evaluation) -> Table:
    """Return a row for each attribute, and a column for each tracker with the figure that ranks."""
    metric, rows = evaluation.benchmark.metric, []
    column = metric.ranking_column
    for name, found in evaluation.attributes().items():
        cells = ("" if one is None else f"{_percent(one.figures[column])} ({one.sequences})" for one in found)
        rows.append((name, *cells))
    names = (f">{tracker.name}" for tracker in evaluation.trackers)
    return listing((f"{metric.ranked_by} by attribute", *names), rows)


def _comparison_table(comparison: Comparison) -> Table:
    """Return a row for each figure: the paired difference, its interval, and how often each is better."""
    rows = [
        (
            one.column,
            f"{100 * one.mean:+.2f}",
            f"{100 * one.low:+.2f} to {100 * one.high:+.2f}",
            "yes" if one.is_clear else "no",
            f"{one.a_better} : {one.b_better}",
        )
        for one in comparison.differences
        if math.isfinite(one.mean)
    ]
    title = f"{comparison.a} minus {comparison.b}, {counted(len(comparison.names), 'sequence')}"
    return listing(("", ">difference", ">95 % interval", ">clear", ">better : worse"), rows, title)


def _share(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""


def _percent(value: float) -> str:
    return f"{100 * value:.1f}" if math.isfinite(value) else "-"
