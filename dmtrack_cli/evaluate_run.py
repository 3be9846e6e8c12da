"""`dmtrack evaluate --run`: track annotated clips once each and say how well."""

from __future__ import annotations

import csv
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from dmtrack.evaluation.clips import ClipFolder, score_auc
from dmtrack.evaluation.occlusion import LEAST_FRAMES, OcclusionFigures, occluded_pass
from dmtrack.evaluation.robustness import RobustnessCell, robustness
from dmtrack.output.atomic import os_errors_translated
from dmtrack.video.frame import Modality
from dmtrack_cli.console import err, out
from dmtrack_cli.evaluate_options import Running
from dmtrack_cli.evaluate_tables import figures_table, occlusion_table, robustness_table
from dmtrack_cli.options import Losing, RecoveryChoice

if TYPE_CHECKING:
    from dmtrack.evaluation.one_pass import PairTracker
    from dmtrack.network.fast.kernels import Precision
    from dmtrack.network.weights.store import ResolvedWeights


def run_clips(folder: Path, running: Running) -> None:
    """Track every target once, print mean IoU and the worth of the score."""
    trackers, figures = _Trackers(running), []
    with ClipFolder(folder, running.modality) as clips:
        for clip in clips.track(trackers.make, streams=running.streams, kind=running.degrade):
            err.print(f"{clip.name} {clip.mean_iou:.3f}")
            figures.append(clip)
    out.print(figures_table(figures))
    out.print(f"area under the ROC of score against IoU >= 0.5: {score_auc(figures):.3f}")
    _write(running.table, [RobustnessCell(running.degrade, running.streams, tuple(figures))])


def run_robustness(folder: Path, running: Running) -> None:
    """Track every two-stream target under every degradation with every choice of streams."""
    trackers, cells = _Trackers(running), []
    with ClipFolder(folder, running.modality) as clips:
        for cell in robustness(clips, trackers.make):
            err.print(f"{cell.kind} {cell.streams} {cell.mean_iou:.3f}")
            cells.append(cell)
    out.print(robustness_table(cells))
    _write(running.table, cells)


def run_occluded(folder: Path, running: Running) -> None:
    """Track every target through an occlusion, without and with recovery."""
    trackers = _Trackers(running)
    with ClipFolder(folder, running.modality) as clips:
        out.print(occlusion_table(_occlusion(clips, trackers)))


class _Trackers:
    """Makes trackers from one name of weights; each file is read once.

    Raises:
        ConfigError: The device is not there.
    """

    def __init__(self, running: Running) -> None:
        from dmtrack.network.backend import choose_device
        from dmtrack.network.weights.store import resolve_weights  # these here, because they load torch

        place = choose_device(running.device)
        self._losing = running.losing
        self._device = str(place)
        # Figures must not depend on which instructions a machine has.
        self._precision: Precision = "fp32"

        @functools.cache
        def weights_for(kind: Modality | None) -> ResolvedWeights:
            return resolve_weights(running.weights, kind)

        self._weights_for = weights_for

    def make(self, kind: Modality | None) -> PairTracker:
        """Return a tracker by the protocol that suits the weights, with or without recovery as asked for."""
        return self._with(kind, self._losing)

    def with_recovery(self, kind: Modality | None, *, on: bool) -> PairTracker:
        """Return a tracker that gives up and finds again, or does not, whatever was asked for."""
        return self._with(kind, Losing(recovery=RecoveryChoice.ON if on else RecoveryChoice.OFF))

    def _with(self, kind: Modality | None, losing: Losing) -> PairTracker:
        from dmtrack.tracking.tracker import Tracker

        weights = self._weights_for(kind)
        config = losing.applied_to(weights.tracker_config)
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


def _write(path: Path | None, cells: list[RobustnessCell]) -> None:
    if path is None:
        return
    with os_errors_translated(path), path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("target", "modality", "degrade", "streams", "frames", "mean_iou", "success_50"))
        for cell in cells:
            for clip in cell.figures:
                place = (clip.name, clip.modality or "", cell.kind, cell.streams)
                writer.writerow((*place, clip.frames, clip.mean_iou, clip.success))
