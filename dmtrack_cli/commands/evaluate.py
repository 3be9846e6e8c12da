"""`dmtrack evaluate`: track annotated clips once each and say how well."""

from __future__ import annotations

import csv
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.table import Table

from dmtrack.evaluation.clips import ClipFolder, score_auc
from dmtrack.evaluation.degradation import Degradation, Streams
from dmtrack.evaluation.robustness import KINDS, VIEWS, RobustnessCell, by_place, robustness
from dmtrack.output.atomic import os_errors_translated
from dmtrack.video.frame import Modality
from dmtrack_cli.console import err, out

if TYPE_CHECKING:
    from dmtrack.evaluation.clips import ClipFigures
    from dmtrack.evaluation.one_pass import PairTracker


def evaluate(
    folder: Annotated[Path, typer.Argument(help="Annotated clips, in any known layout.", show_default=False)],
    weights: Annotated[str, typer.Option(help="tiny, base, a name in the data folder, or a file.")] = "tiny",
    modality: Annotated[Modality | None, typer.Option(help="Only clips with this second stream.")] = None,
    streams: Annotated[Streams, typer.Option(help="What the tracker is shown.")] = Streams.BOTH,
    degrade: Annotated[
        Degradation, typer.Option(help="Make RGB dark, blurred, or lost for 30 frames.")
    ] = Degradation.CLEAN,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 or mps.")] = "auto",
    robust: Annotated[
        bool, typer.Option("--robustness", help="Every --degrade with every --streams, clips of two streams.")
    ] = False,
    table: Annotated[Path | None, typer.Option("--csv", help="Write one row a target and run here.")] = None,
) -> None:
    """Track every annotated target once, from its first box, without restarts; print mean IoU.

    The frame whose box is given counts as 1. The last line gives the area under the ROC curve of the
    score against IoU >= 0.5: 1 is a score that tells right boxes from wrong ones, 0.5 one that does not.

    --robustness prints a table instead: rows are what is done to RGB, columns what the tracker is shown;
    blank keeps the two-stream network and blanks the second stream, rgb and aux show it one stream.
    """
    from dmtrack.network.store import resolve_weights  # these here, because they load torch
    from dmtrack.pipeline import tracker_for
    from dmtrack.tracking.device import choose_device, choose_precision

    place = choose_device(device)
    precision = choose_precision("auto", place)
    read = functools.cache(lambda kind: resolve_weights(weights, kind))
    clips = ClipFolder(folder, modality)

    def make(kind: Modality | None) -> PairTracker:
        return tracker_for(read(kind), str(place), precision)

    if robust:
        cells = []
        for cell in robustness(clips, make):
            err.print(f"{cell.kind} {cell.streams} {cell.mean_iou:.3f}")
            cells.append(cell)
        out.print(_robustness_table(cells))
        if table is not None:
            _write(table, cells)
        return
    figures = []
    for clip in clips.track(make, streams=streams, kind=degrade):
        err.print(f"{clip.name} {clip.mean_iou:.3f}")
        figures.append(clip)
    out.print(_table(figures))
    out.print(f"area under the ROC of score against IoU >= 0.5: {score_auc(figures):.3f}")
    if table is not None:
        _write(table, [RobustnessCell(degrade, streams, tuple(figures))])


def _table(figures: list[ClipFigures]) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("target")
    table.add_column("second stream")
    for name in ("frames", "mean IoU", "IoU >= 0.5"):
        table.add_column(name, justify="right")
    for clip in figures:
        table.add_row(
            clip.name, clip.modality or "", str(clip.frames), f"{clip.mean_iou:.3f}", f"{clip.success:.3f}"
        )
    table.add_section()
    mean = float(np.mean([clip.mean_iou for clip in figures]))
    success = float(np.mean([clip.success for clip in figures]))
    table.add_row("mean over targets", "", "", f"{mean:.3f}", f"{success:.3f}")
    return table


def _robustness_table(cells: list[RobustnessCell]) -> Table:
    targets = len(cells[0].figures)
    table = Table(show_edge=False, pad_edge=False, title=f"mean IoU over {targets} targets of two streams")
    table.add_column("RGB is")
    for streams in VIEWS:
        table.add_column(streams, justify="right")
    means = by_place(cells)
    for kind in KINDS:
        table.add_row(kind, *(f"{means[kind, streams]:.3f}" for streams in VIEWS))
    return table


def _write(path: Path, cells: list[RobustnessCell]) -> None:
    with os_errors_translated(path), path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("target", "modality", "degrade", "streams", "frames", "mean_iou", "success_50"))
        for cell in cells:
            for clip in cell.figures:
                place = (clip.name, clip.modality or "", cell.kind, cell.streams)
                writer.writerow((*place, clip.frames, clip.mean_iou, clip.success))
