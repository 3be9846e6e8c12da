"""`dmtrack evaluate`: score results of any tracker on a benchmark, or run ours over annotated clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from dmtrack.atomic import inputs_kept, reserve, write_atomically
from dmtrack.batch.run import Existing
from dmtrack.datasets.opening import find_sequences
from dmtrack.evaluation.benchmark_runs import BenchmarkRunOptions, plan_benchmark, settings_text
from dmtrack.evaluation.clips import ClipResult, one_pass, score_auc
from dmtrack.evaluation.evaluation import Evaluation, evaluate_results, evaluation_json
from dmtrack.evaluation.scoring import ScoringOptions
from dmtrack.output.csv_text import csv_text
from dmtrack_cli.batch_run import run_plan
from dmtrack_cli.console import EXIT_SOME_FAILED, err, out
from dmtrack_cli.evaluate_tables import figures_table, print_evaluation
from dmtrack_cli.option_groups import grouped
from dmtrack_cli.progress import ProgressKind

_SCORE: Final = "Scoring results"
_RUN: Final = "Running the tracker"
_NO_RESULTS: Final = "name results, with --dataset; or clips to run the tracker over: --run FOLDER"
_NO_DATASET: Final = "say of what: --dataset FOLDER; `dmtrack evaluate --run FOLDER` runs the tracker"
_BOTH: Final = "the tracker makes its own results: leave out RESULTS and --dataset"
_NEEDS_OUTPUT: Final = "--export-vot copies the results of -o: give both"


@grouped
def evaluate(
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RESULTS]...",
            help="Folders or zips of results, each of one tracker or several.",
            show_default=False,
        ),
    ] = None,
    *,
    dataset: Annotated[
        Path | None,
        typer.Option(
            "--dataset",
            help="Folder or zip of the benchmark, with pictures or without.",
            show_default=False,
            rich_help_panel=_SCORE,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Write report.html, plots, JSON and CSV here.",
            show_default=False,
            rich_help_panel=_SCORE,
        ),
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--compare",
            metavar="A B",
            help="Paired difference of two trackers, sequence by sequence.",
            show_default=False,
            rich_help_panel=_SCORE,
        ),
    ] = None,
    scoring: ScoringOptions,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is there.", rich_help_panel=_SCORE)
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of tables.", rich_help_panel=_SCORE)
    ] = False,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            metavar="FOLDER",
            help="Annotated clips, in any known layout, to run the tracker over.",
            show_default=False,
            rich_help_panel=_RUN,
        ),
    ] = None,
    running: BenchmarkRunOptions,
    resume: Annotated[
        bool, typer.Option("--resume", help="With -o: track what is missing or failed.", rich_help_panel=_RUN)
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option("--csv", help="Without -o: write one row a target here.", rich_help_panel=_RUN),
    ] = None,
) -> None:
    """Score results of any tracker, or run ours.

    `evaluate RESULTS --dataset FOLDER` gives the figures that the benchmark's own scripts give: LasHeR
    PR/NPR/SR, RGBT234, RGBT210, GTOT and VTUAV MPR/MSR, VisEvent PR/SR, DepthTrack F-score/Pr/Re,
    VOT-RGBD2022 EAO/A/R, and for any other folder mean IoU, AO, SR50 and SR75. Everybody's result files are
    read. What is missing or odd is said with how it was counted; --strict refuses it.

    `evaluate --run FOLDER -o OUT` runs the tracker over a benchmark (--resume goes on after an
    interruption), writes OUT/results as the benchmark wants them submitted (VOT: a run from every anchor,
    in the files of vot-toolkit), then scores them as above.

    `evaluate --run FOLDER` alone tracks every annotated target once, from its first box, without restarts,
    and prints mean IoU. The frame whose box is given counts as 1. The last line gives the area under the
    ROC curve of the score against IoU >= 0.5: 1 is a score that tells right boxes from wrong ones.
    """
    if run is None:
        if not results:
            raise typer.BadParameter(_NO_RESULTS)
        if dataset is None:
            raise typer.BadParameter(_NO_DATASET, param_hint="RESULTS")
        evaluation = evaluate_results(
            results, dataset, scoring, compared=compare, output=output, overwrite=overwrite
        )
        _say(evaluation, as_json=json)
        return
    if results or dataset is not None:
        raise typer.BadParameter(_BOTH)
    if output is not None:
        existing = Existing.RESUME if resume else Existing.OVERWRITE if overwrite else Existing.REFUSE
        plan = plan_benchmark(run, output, scoring.benchmark, running)
        outcome = run_plan(
            plan.plan, plan.tracked, running.runner(run), running.engine(), existing, ProgressKind.AUTO
        )
        written = plan.write_results(overwrite=overwrite or resume)
        scoring = replace(scoring, benchmark=plan.benchmark)
        evaluation = evaluate_results(
            [written], run, scoring, compared=compare, output=output, overwrite=True
        )
        _say(evaluation, as_json=json)
        err.print(f"tracked with {plan.settings}", soft_wrap=True)
        if outcome.failed:
            raise typer.Exit(EXIT_SOME_FAILED)
    elif running.workspace is not None:
        raise typer.BadParameter(_NEEDS_OUTPUT)
    else:
        _measure(run, running, table, overwrite=overwrite)


def _say(evaluation: Evaluation, *, as_json: bool) -> None:
    if as_json:
        typer.echo(evaluation_json(evaluation), nl=False)
    else:
        print_evaluation(evaluation)
    if evaluation.files:
        report, *others = evaluation.files
        err.print(f"report: {report} and {', '.join(path.name for path in others)}", soft_wrap=True)


def _measure(folder: Path, running: BenchmarkRunOptions, table: Path | None, *, overwrite: bool) -> None:
    """Track every target once, print mean IoU and the worth of the score."""
    if table is not None:
        with inputs_kept(folder):
            reserve(table, overwrite=overwrite)
    load = running.loader()
    figures: list[ClipResult] = []
    for clip in find_sequences(folder, running.modality):
        figures.append(one_pass(lambda modality: load(modality).tracker, clip))
        err.print(Text(f"{clip.name} {figures[-1].mean_iou:.3f}"))
    loaded = [load(clip.modality) for clip in figures]
    settings = settings_text((str(one.precision), one.tracker.config.recovery) for one in loaded)
    out.print(figures_table(figures, f"tracked with {settings}"))
    area = score_auc(figures)
    if math.isfinite(area):
        out.print(f"area under the ROC of score against IoU >= 0.5: {area:.3f}")
    if table is not None:
        _write(table, figures)


def _write(path: Path, figures: Sequence[ClipResult]) -> None:
    header = ("target", "modality", "frames", "mean_iou", "success_50")
    rows = [(c.name, c.modality or "", c.frames, f"{c.mean_iou:.4f}", f"{c.success:.4f}") for c in figures]
    write_atomically(path, csv_text([header, *rows]).encode())
