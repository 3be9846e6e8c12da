"""`dmtrack evaluate`: score results of any tracker on a benchmark, or run ours over annotated clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from dmtrack.batch.run import Existing
from dmtrack.evaluation.benchmark.benchmarks import BenchmarkName
from dmtrack.evaluation.benchmark.scoring import Missing, ScoringOptions
from dmtrack.evaluation.degradation import Degradation, Streams
from dmtrack.results.tracks import RowOrder
from dmtrack.video.frame import Modality
from dmtrack_cli.evaluate_batch import DatasetRun
from dmtrack_cli.evaluate_results import ResultsRequest, evaluate_results, evaluate_tracked
from dmtrack_cli.evaluate_run import RunRequest, run_clips, run_occluded, run_robustness
from dmtrack_cli.options import JsonOption

_SCORE: Final = "Scoring results"
_RUN: Final = "Running the tracker"
_NO_DATASET: Final = "say of what: --dataset FOLDER; `dmtrack evaluate --run FOLDER` runs the tracker"


def evaluate(
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RESULTS]...",
            help="Folders or zips of results, each of one tracker or several.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="Folder or zip of the benchmark, pictures or not.",
            show_default=False,
            rich_help_panel=_SCORE,
        ),
    ] = None,
    benchmark: Annotated[
        BenchmarkName, typer.Option(help="Whose figures.", rich_help_panel=_SCORE)
    ] = BenchmarkName.AUTO,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="Write report.html, plots, JSON and CSV here.",
            show_default=False,
            rich_help_panel=_SCORE,
        ),
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B",
            help="Paired difference of two trackers, sequence by sequence.",
            show_default=False,
            rich_help_panel=_SCORE,
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse results with anything wrong.", rich_help_panel=_SCORE)
    ] = False,
    missing: Annotated[
        Missing, typer.Option(help="What a sequence without results counts as.", rich_help_panel=_SCORE)
    ] = Missing.SKIP,
    order: Annotated[
        RowOrder, typer.Option(help="What the numbers of a row of results are.", rich_help_panel=_SCORE)
    ] = RowOrder.XYWH,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an older report.", rich_help_panel=_SCORE)
    ] = False,
    json: JsonOption = False,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Annotated clips, in any known layout, to run the tracker over.",
            show_default=False,
            rich_help_panel=_RUN,
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(help="tiny, base, a name in the data folder, or a file.", rich_help_panel=_RUN),
    ] = "tiny",
    modality: Annotated[
        Modality | None, typer.Option(help="Only clips with this second stream.", rich_help_panel=_RUN)
    ] = None,
    streams: Annotated[
        Streams, typer.Option(help="What the tracker is shown.", rich_help_panel=_RUN)
    ] = Streams.BOTH,
    degrade: Annotated[
        Degradation,
        typer.Option(help="Make RGB dark, blurred, or lost for 30 frames.", rich_help_panel=_RUN),
    ] = Degradation.CLEAN,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 or mps.", rich_help_panel=_RUN)] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="With -o: track what is missing or failed.", rich_help_panel=_RUN)
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="With -o: processes on a CPU.", show_default=False, rich_help_panel=_RUN
        ),
    ] = None,
    robust: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Every --degrade with every --streams, clips of two streams.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    occlude: Annotated[
        bool,
        typer.Option(
            "--occlude", help="Hide each target for a while; recovery off and on.", rich_help_panel=_RUN
        ),
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option("--csv", help="Write one row a target and run here.", rich_help_panel=_RUN),
    ] = None,
) -> None:
    """Score results of any tracker, or run ours.

    `evaluate RESULTS --dataset FOLDER` gives the figures that the benchmark's own scripts give: LasHeR
    PR/NPR/SR, RGBT234, RGBT210, GTOT and VTUAV MPR/MSR, VisEvent PR/SR, DepthTrack F-score/Pr/Re,
    VOT-RGBD2022 EAO/A/R, and for any other folder mean IoU, AO, SR50 and SR75. Everybody's result files are
    read. What is missing or odd is said with how it was counted; --strict refuses it.

    `evaluate --run FOLDER -o OUT` runs the tracker over a benchmark (--resume goes on after an
    interruption), writes OUT/results as the benchmark wants them submitted, then scores them as above.

    `evaluate --run FOLDER` alone tracks every annotated target once, from its first box, without restarts,
    and prints mean IoU. The frame whose box is given counts as 1. The last line gives the area under the
    ROC curve of the score against IoU >= 0.5: 1 is a score that tells right boxes from wrong ones.

    --robustness prints a table instead: rows are what is done to RGB, columns what the tracker is shown;
    blank keeps the two-stream network and blanks the second stream, rgb and aux show it one stream.

    --occlude hides each target behind a wall for a quarter of its recording, without and with recovery:
    frames wrongly called tracked, and frames from its return until it is followed again.
    """
    options = ScoringOptions(missing, order)
    if run is not None:
        if results or dataset is not None:
            raise typer.BadParameter("the tracker makes its own results: leave out RESULTS and --dataset")
        if output is not None:
            existing = Existing.RESUME if resume else Existing.OVERWRITE if overwrite else Existing.REFUSE
            tracking = DatasetRun(run, output, weights, modality, device, jobs, existing)
            scoring = ResultsRequest((), run, benchmark, options, compare, output, strict, True, json)
            evaluate_tracked(tracking, scoring)
            return
        request = RunRequest(run, weights, modality, streams, degrade, device, table)
        (run_occluded if occlude else run_robustness if robust else run_clips)(request)
        return
    if not results:
        raise typer.BadParameter(
            "name results, with --dataset; or clips to run the tracker over: --run FOLDER"
        )
    if dataset is None:
        raise typer.BadParameter(_NO_DATASET, param_hint="RESULTS")
    evaluate_results(
        ResultsRequest(tuple(results), dataset, benchmark, options, compare, output, strict, overwrite, json)
    )
