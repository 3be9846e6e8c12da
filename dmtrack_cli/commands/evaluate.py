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
from dmtrack.output.atomic import os_errors_translated
from dmtrack.video.frame import Modality
from dmtrack_cli.console import err, out

if TYPE_CHECKING:
    from dmtrack.evaluation.clips import ClipFigures


def evaluate(
    folder: Annotated[Path, typer.Argument(help="Annotated clips, in any known layout.", show_default=False)],
    weights: Annotated[str, typer.Option(help="tiny, base, a name in the data folder, or a file.")] = "tiny",
    modality: Annotated[Modality | None, typer.Option(help="Only clips with this second stream.")] = None,
    streams: Annotated[Streams, typer.Option(help="What the tracker is shown.")] = Streams.BOTH,
    degrade: Annotated[
        Degradation, typer.Option(help="Make RGB dark, blurred, or lost for 30 frames.")
    ] = Degradation.CLEAN,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 or mps.")] = "auto",
    table: Annotated[Path | None, typer.Option("--csv", help="Write one row a target here.")] = None,
) -> None:
    """Track every annotated target once, from its first box, without restarts; print mean IoU.

    The frame whose box is given counts as 1. The last line gives the area under the ROC curve of the
    score against IoU >= 0.5: 1 is a score that tells right boxes from wrong ones, 0.5 one that does not.
    """
    from dmtrack.network.store import resolve_weights  # these here, because they load torch
    from dmtrack.pipeline import tracker_for
    from dmtrack.tracking.device import choose_device, choose_precision

    place = choose_device(device)
    precision = choose_precision("auto", place)
    read = functools.cache(lambda kind: resolve_weights(weights, kind))
    clips = ClipFolder(folder, modality)
    figures = []
    for clip in clips.track(
        lambda kind: tracker_for(read(kind), str(place), precision), streams=streams, kind=degrade
    ):
        err.print(f"{clip.name} {clip.mean_iou:.3f}")
        figures.append(clip)
    out.print(_table(figures))
    out.print(f"area under the ROC of score against IoU >= 0.5: {score_auc(figures):.3f}")
    if table is not None:
        _write(table, figures)


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


def _write(path: Path, figures: list[ClipFigures]) -> None:
    with os_errors_translated(path), path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("target", "modality", "frames", "mean_iou", "success_50"))
        for clip in figures:
            writer.writerow((clip.name, clip.modality or "", clip.frames, clip.mean_iou, clip.success))
