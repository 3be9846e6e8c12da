"""`dmtrack evaluate`: score results of any tracker on a benchmark, or run ours over annotated clips."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from dmtrack.batch.local import LocalEngine
from dmtrack.batch.slots import SlotOptions, make_slots
from dmtrack.batch.track_item import TrackItem
from dmtrack.evaluation.benchmark_runs import plan_benchmark
from dmtrack.evaluation.clips import ClipFolder, ClipResult, exact_trackers, score_auc
from dmtrack.evaluation.evaluation import evaluate_results
from dmtrack.evaluation.scores import evaluation_json
from dmtrack.output.atomic import os_errors_translated
from dmtrack.run.request import NetworkOptions, OutputOptions, PrecisionChoice, RecoveryOptions, TrackRequest
from dmtrack_cli.batch_run import run_plan
from dmtrack_cli.console import EXIT_SOME_FAILED, err, out
from dmtrack_cli.evaluate_options import Running, Scoring
from dmtrack_cli.evaluate_tables import figures_table, print_evaluation
from dmtrack_cli.option_groups import grouped
from dmtrack_cli.progress import ProgressKind

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
    scoring: Scoring,
    running: Running,
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
    if running.run is not None:
        if results or scoring.dataset is not None:
            raise typer.BadParameter(_BOTH)
        if scoring.output is not None:
            _run_benchmark(running.run, scoring.output, running, scoring)
        elif running.export_vot is not None:
            raise typer.BadParameter(_NEEDS_OUTPUT)
        else:
            _run_clips(running.run, running)
        return
    if not results:
        raise typer.BadParameter(_NO_RESULTS)
    if scoring.dataset is None:
        raise typer.BadParameter(_NO_DATASET, param_hint="RESULTS")
    _evaluate(results, scoring.dataset, scoring)


def _evaluate(results: Sequence[Path], dataset: Path, scoring: Scoring) -> None:
    """Score results and print the tables."""
    evaluation = evaluate_results(
        results,
        dataset,
        scoring.options,
        benchmark=scoring.benchmark,
        compared=scoring.compare,
        output=scoring.output,
        overwrite=scoring.overwrite,
    )
    if scoring.json:
        typer.echo(evaluation_json(evaluation), nl=False)
    else:
        print_evaluation(evaluation)
    if evaluation.files:
        report, *others = evaluation.files
        err.print(f"report: {report} and {', '.join(path.name for path in others)}", soft_wrap=True)


def _run_clips(folder: Path, running: Running) -> None:
    """Track every target once, print mean IoU and the worth of the score."""
    tracker_for = exact_trackers(running.weights, device=running.device, recovery=running.recovery.is_wanted)
    figures: list[ClipResult] = []
    with ClipFolder(folder, running.modality) as clips:
        for clip in clips.track(tracker_for):
            err.print(f"{clip.name} {clip.mean_iou:.3f}")
            figures.append(clip)
    out.print(figures_table(figures))
    out.print(f"area under the ROC of score against IoU >= 0.5: {score_auc(figures):.3f}")
    if running.table is not None:
        _write(running.table, figures)


def _run_benchmark(folder: Path, output: Path, running: Running, scoring: Scoring) -> None:
    """Track a benchmark, then score what was written; sequences that failed are missing."""
    runs = plan_benchmark(folder, output, scoring.benchmark, running.modality, workspace=running.export_vot)
    usual = TrackRequest(
        folder,
        network=NetworkOptions(running.weights, PrecisionChoice.FP32),
        output=OutputOptions(no_video=True),
        recovery=RecoveryOptions(running.recovery),
    )
    runner = TrackItem.of(usual)
    engine = LocalEngine(make_slots(SlotOptions(running.device.removeprefix("cuda:"), running.jobs)))
    existing = running.existing(overwrite=scoring.overwrite)
    outcome = run_plan(runs.plan, runs.tracked, runner, engine, existing, ProgressKind.AUTO)
    results = runs.write_results(Path(running.weights).stem, overwrite=scoring.overwrite or running.resume)
    _evaluate([results], folder, replace(scoring, benchmark=runs.benchmark, overwrite=True))
    if outcome.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _write(path: Path, figures: Sequence[ClipResult]) -> None:
    with os_errors_translated(path), path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("target", "modality", "frames", "mean_iou", "success_50"))
        writer.writerows((c.name, c.modality or "", c.frames, c.mean_iou, c.success) for c in figures)
