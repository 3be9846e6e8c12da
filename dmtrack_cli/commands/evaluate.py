"""`dmtrack evaluate`: score results of any tracker on a benchmark, or run ours over annotated clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from dmtrack_cli.evaluate_options import Running, Scoring
from dmtrack_cli.evaluate_results import evaluate_results, evaluate_tracked
from dmtrack_cli.evaluate_run import run_clips, run_occluded, run_robustness
from dmtrack_cli.option_groups import grouped

_NO_RESULTS: Final = "name results, with --dataset; or clips to run the tracker over: --run FOLDER"
_NO_DATASET: Final = "say of what: --dataset FOLDER; `dmtrack evaluate --run FOLDER` runs the tracker"
_BOTH: Final = "the tracker makes its own results: leave out RESULTS and --dataset"
_NEEDS_OUTPUT: Final = "--export-vot copies the results of -o: give both"
_ONLY_MEASURED: Final = "the results of --streams, --degrade, --robustness and --occlude go to --csv, not -o"


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

    --robustness prints a table instead: rows are what is done to RGB, columns what the tracker is shown;
    blank keeps the two-stream network and blanks the second stream, rgb and aux show it one stream.

    --occlude hides each target behind a wall for a quarter of its recording, without and with recovery:
    frames wrongly called tracked, and frames from its return until it is followed again.
    """
    if running.run is not None:
        if results or scoring.dataset is not None:
            raise typer.BadParameter(_BOTH)
        _run(running.run, running, scoring)
        return
    if not results:
        raise typer.BadParameter(_NO_RESULTS)
    if scoring.dataset is None:
        raise typer.BadParameter(_NO_DATASET, param_hint="RESULTS")
    evaluate_results(results, scoring.dataset, scoring)


def _run(folder: Path, running: Running, scoring: Scoring) -> None:
    """Run the tracker: into files that are then scored, or only to measure it."""
    if scoring.output is not None:
        if running.is_special:
            raise typer.BadParameter(_ONLY_MEASURED)
        evaluate_tracked(folder, scoring.output, running, scoring)
    elif running.export_vot is not None:
        raise typer.BadParameter(_NEEDS_OUTPUT)
    elif running.occlude:
        run_occluded(folder, running)
    elif running.robust:
        run_robustness(folder, running)
    else:
        run_clips(folder, running)
