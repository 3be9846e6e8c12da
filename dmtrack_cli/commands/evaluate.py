"""`dmtrack evaluate`: track annotated clips once each and say how well."""

from __future__ import annotations

import csv
import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dmtrack.evaluation.clips import ClipFolder, score_auc
from dmtrack.evaluation.degradation import Degradation, Streams
from dmtrack.evaluation.occlusion import LEAST_FRAMES, OcclusionFigures, occluded_pass
from dmtrack.evaluation.robustness import RobustnessCell, robustness
from dmtrack.output.atomic import os_errors_translated
from dmtrack.video.frame import Modality
from dmtrack_cli.console import err, out
from dmtrack_cli.evaluate_tables import figures_table, occlusion_table, robustness_table

if TYPE_CHECKING:
    from dmtrack.evaluation.one_pass import PairTracker
    from dmtrack.network.store import ResolvedWeights
    from dmtrack.tracking.tracker import Precision


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
    occlude: Annotated[
        bool, typer.Option("--occlude", help="Hide each target for a while; recovery off and on.")
    ] = False,
    table: Annotated[Path | None, typer.Option("--csv", help="Write one row a target and run here.")] = None,
) -> None:
    """Track every annotated target once, from its first box, without restarts; print mean IoU.

    The frame whose box is given counts as 1. The last line gives the area under the ROC curve of the
    score against IoU >= 0.5: 1 is a score that tells right boxes from wrong ones, 0.5 one that does not.

    --robustness prints a table instead: rows are what is done to RGB, columns what the tracker is shown;
    blank keeps the two-stream network and blanks the second stream, rgb and aux show it one stream.

    --occlude hides each target behind a wall for a quarter of its recording, without and with recovery:
    frames wrongly called tracked, and frames from its return until it is followed again.
    """
    trackers = _Trackers(weights, device)
    clips = ClipFolder(folder, modality)
    if occlude:
        out.print(occlusion_table(_occlusion(clips, trackers)))
        return
    if robust:
        cells = []
        for cell in robustness(clips, trackers.make):
            err.print(f"{cell.kind} {cell.streams} {cell.mean_iou:.3f}")
            cells.append(cell)
        out.print(robustness_table(cells))
    else:
        figures = []
        for clip in clips.track(trackers.make, streams=streams, kind=degrade):
            err.print(f"{clip.name} {clip.mean_iou:.3f}")
            figures.append(clip)
        cells = [RobustnessCell(degrade, streams, tuple(figures))]
        out.print(figures_table(figures))
        out.print(f"area under the ROC of score against IoU >= 0.5: {score_auc(figures):.3f}")
    if table is not None:
        _write(table, cells)


class _Trackers:
    """Makes trackers from one name of weights; each file is read once.

    Raises:
        ConfigError: The device is not there.
    """

    def __init__(self, weights: str, device: str) -> None:
        from dmtrack.network.store import resolve_weights  # these here, because they load torch
        from dmtrack.tracking.device import choose_device, choose_precision

        place = choose_device(device)
        self._device = str(place)
        self._precision: Precision = choose_precision("auto", place)

        @functools.cache
        def weights_for(kind: Modality | None) -> ResolvedWeights:
            return resolve_weights(weights, kind)

        self._weights_for = weights_for

    def make(self, kind: Modality | None) -> PairTracker:
        """Return a tracker by the protocol that suits the weights."""
        from dmtrack.pipeline import tracker_for

        return tracker_for(self._weights_for(kind), self._device, self._precision)

    def with_recovery(self, kind: Modality | None, *, on: bool) -> PairTracker:
        """Return a tracker that gives up and finds again, or does not, whatever suits the weights."""
        from dmtrack.tracking.tracker import Tracker

        weights = self._weights_for(kind)
        config = replace(weights.tracker_config, recovery=on)
        return Tracker(weights.model, config, device=self._device, precision=self._precision)


def _occlusion(clips: ClipFolder, trackers: _Trackers) -> dict[bool, list[OcclusionFigures]]:
    """Track each target that is long enough through an occlusion, without and with recovery."""
    rows: dict[bool, list[OcclusionFigures]] = {False: [], True: []}
    for clip in clips.clips:
        if len(clip) - clip.start_frame < LEAST_FRAMES:
            err.print(f"{clip.name} left out: fewer than {LEAST_FRAMES} frames")
            continue
        for on, figures in rows.items():
            make = functools.partial(trackers.with_recovery, on=on)
            figures.append(occluded_pass(make, clip))
            err.print(f"{clip.name} recovery {'on' if on else 'off'} {figures[-1].mean_iou:.3f}")
    return rows


def _write(path: Path, cells: list[RobustnessCell]) -> None:
    with os_errors_translated(path), path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("target", "modality", "degrade", "streams", "frames", "mean_iou", "success_50"))
        for cell in cells:
            for clip in cell.figures:
                place = (clip.name, clip.modality or "", cell.kind, cell.streams)
                writer.writerow((*place, clip.frames, clip.mean_iou, clip.success))
