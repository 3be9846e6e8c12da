"""Validation during training: track every annotated clip of a folder once with the weights at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dmtrack.config import TrackerConfig
from dmtrack.evaluation.clips import ClipFolder, score_auc
from dmtrack.evaluation.degradation import Streams
from dmtrack.network.fast.kernels import Precision
from dmtrack.network.model import DMTrack
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Modality


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
        self.clips = ClipFolder(folder, modality)
        self.streams = Streams.RGB if modality is None else Streams.BOTH
        self.tracker = tracker
        self.max_frames = max_frames
        self.precision: Precision = precision

    def __call__(self, model: DMTrack) -> dict[str, float]:
        """Return `mean_iou`, `score_auc` and one figure a clip; the model stays as it is."""
        device = next(model.parameters()).device
        figures = list(
            self.clips.track(
                lambda _: Tracker(model, self.tracker, device=device, precision=self.precision),
                streams=self.streams,
                max_frames=self.max_frames,
            )
        )
        mean = float(np.mean([clip.mean_iou for clip in figures]))
        return {"mean_iou": mean, "score_auc": score_auc(figures), **{c.name: c.mean_iou for c in figures}}
