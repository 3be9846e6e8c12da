"""Validation during training: track every annotated clip of a folder once with the weights at hand."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from dmtrack.config import TrackerConfig
from dmtrack.datasets.event_archive import with_event_pictures
from dmtrack.datasets.layouts import find_sequences
from dmtrack.datasets.sequence import Sequence
from dmtrack.errors import DatasetError
from dmtrack.evaluation.one_pass import one_pass
from dmtrack.network.model import DMTrack
from dmtrack.tracking.tracker import Precision, Tracker
from dmtrack.video.frame import Modality


def without_aux(sequence: Sequence) -> Sequence:
    """Return the sequence with its first stream alone."""
    return replace(sequence, modality=None, aux_paths=(), aux_boxes=None)


class ClipValidation:
    """Tracks clips once each; called with a network, returns mean IoU a clip and over all.

    Args:
        folder: Annotated clips in any known layout.
        modality: Use only the clips of this second stream, with both streams. None uses the first
            stream of every clip.
        tracker: The inference protocol.
        max_frames: Frames tracked a clip, to bound the time.
        precision: See `Tracker`.

    Raises:
        DatasetError: The folder has no clip of that modality.
    """

    def __init__(
        self,
        folder: Path,
        modality: Modality | None,
        tracker: TrackerConfig,
        *,
        max_frames: int | None = None,
        precision: Precision = "fp32",
    ) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="dmtrack-validation-")
        found = find_sequences(folder)
        if modality is not None:
            found = [sequence for sequence in found if sequence.modality is modality]
        if not found:
            raise DatasetError(f"no annotated clip with {modality or 'any stream'}", where=folder)
        # A clip that repeats a name (two targets in one folder) still draws its events into its own place.
        self.sequences = [
            without_aux(s) if modality is None else with_event_pictures(s, Path(self._scratch.name) / s.name)
            for s in found
        ]
        self.tracker = tracker
        self.max_frames = max_frames
        self.precision: Precision = precision

    def __call__(self, model: DMTrack) -> dict[str, float]:
        """Return `mean_iou` and one figure a clip; the model is left in eval mode."""
        figures = {}
        for sequence in self.sequences:
            result = one_pass(lambda _: self._tracker(model), sequence, max_frames=self.max_frames)
            figures[sequence.name] = result.mean_iou
        return {"mean_iou": float(np.mean(list(figures.values()))), **figures}

    def _tracker(self, model: DMTrack) -> Tracker:
        return Tracker(model, self.tracker, device=next(model.parameters()).device, precision=self.precision)
