"""One pass over every annotated clip of a folder: the figures that `evaluate` and training print."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from dmtrack.datasets.event_archive import with_event_pictures
from dmtrack.datasets.opening import find_sequences
from dmtrack.errors import DatasetError
from dmtrack.evaluation.calibration import roc_auc
from dmtrack.evaluation.degradation import Degradation, DegradedView, Streams
from dmtrack.evaluation.one_pass import OnePassResult, PairTracker, one_pass
from dmtrack.video.frame import Modality

TrackerFor = Callable[[Modality | None], PairTracker]


@dataclass(frozen=True, slots=True)
class ClipFigures:
    """How one target of one clip was followed."""

    name: str
    modality: Modality | None
    result: OnePassResult

    @property
    def mean_iou(self) -> float:
        """Mean overlap, the given first box included as 1."""
        return self.result.mean_iou

    @property
    def frames(self) -> int:
        """Number of scored frames, the given one included."""
        return int(np.isfinite(self.result.ious).sum())

    @property
    def success(self) -> float:
        """Share of scored frames with an overlap of at least one half."""
        ious = self.result.ious[np.isfinite(self.result.ious)]
        return float((ious >= 0.5).mean())


class ClipFolder:
    """The annotated targets of a folder; event archives are drawn into a scratch folder.

    Args:
        folder: Clips in any layout that `dmtrack.datasets.layouts` knows.
        modality: Only clips with this second stream; None takes all.

    Raises:
        DatasetError: There is no such clip.
    """

    def __init__(self, folder: Path, modality: Modality | None = None) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="dmtrack-clips-")
        scratch = Path(self._scratch.name)
        found = [s for s in find_sequences(folder) if modality is None or s.modality is modality]
        if not found:
            raise DatasetError(f"no annotated clip with {modality or 'any stream'}", where=folder)
        self.clips = [with_event_pictures(s, scratch / str(i)) for i, s in enumerate(found)]

    def __enter__(self) -> Self:
        """Use the clips inside a `with`, which removes the scratch folder at its end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the scratch folder."""
        self._scratch.cleanup()

    def with_two_streams(self) -> ClipFolder:
        """Return the clips that have a second stream, maybe none; the scratch folder is shared."""
        chosen = copy.copy(self)
        chosen.clips = [clip for clip in self.clips if clip.modality is not None]
        return chosen

    def track(
        self,
        tracker_for: TrackerFor,
        *,
        streams: Streams = Streams.BOTH,
        kind: Degradation = Degradation.CLEAN,
        max_frames: int | None = None,
    ) -> Iterator[ClipFigures]:
        """Track every target once, from its first box, without restarts.

        Args:
            tracker_for: Makes a tracker for the streams shown: None is one stream.
            streams: What the tracker is shown.
            kind: What is done to RGB.
            max_frames: Frames tracked a clip.
        """
        alone = streams in (Streams.RGB, Streams.AUX)
        for clip in self.clips:
            result = one_pass(
                lambda modality: DegradedView(tracker_for(None if alone else modality), streams, kind),
                clip,
                max_frames=max_frames,
            )
            yield ClipFigures(clip.name, clip.modality, result)


def score_auc(figures: Sequence[ClipFigures]) -> float:
    """Return the area under the ROC of score against `IoU >= 0.5`, over all frames but the given ones."""
    scores, hits = [], []
    for clip in figures:
        later = slice(clip.result.start_frame + 1, None)
        ious, values = clip.result.ious[later], clip.result.scores[later]
        known = np.isfinite(ious) & np.isfinite(values)
        scores.append(values[known])
        hits.append(ious[known] >= 0.5)
    return roc_auc(np.concatenate(scores), np.concatenate(hits))
