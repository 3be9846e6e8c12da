"""One-pass evaluation of annotated clips: the tracker gets the first box and runs once, without restarts."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from dmtrack.config import TrackerConfig
from dmtrack.datasets.opening import find_sequences
from dmtrack.datasets.sequence import Sequence
from dmtrack.errors import DatasetError
from dmtrack.evaluation.overlap import Floats, iou_per_frame, mean_iou
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import FramePair, Modality
from dmtrack.video.pairing import open_pair
from dmtrack.video.position import Position

if TYPE_CHECKING:
    from dmtrack.network.model import DMTrack


class PairTracker(Protocol):
    """Anything that follows boxes through frame pairs, and so can be evaluated."""

    def initialize(self, pair: FramePair, boxes: collections.abc.Sequence[Box]) -> tuple[TrackedBox, ...]:
        """Start over with the targets of the first frame."""

    def update(self, pair: FramePair) -> tuple[TrackedBox, ...]:
        """Find all targets in the next frame."""


TrackerFactory = Callable[[Modality | None], PairTracker]
"""Makes a tracker for the modality of the second stream (None: one stream); called once for each clip."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipResult:
    """The result for one target of one clip; row `t` belongs to frame `t` of its sequence."""

    name: str  # of the sequence
    modality: Modality | None  # of its second stream
    # `(T, 4)` float64 `x, y, w, h`; NaN before the start and where a frame could not be read
    boxes: Floats
    scores: Floats  # `(T,)` float64, NaN in the same rows
    # `(T,)` float64; NaN without ground truth and before the start, 0 where a frame could not be read
    ious: Floats
    start_frame: int  # 0-based index of the frame whose box was given

    @property
    def mean_iou(self) -> float:
        """Mean IoU. The start frame counts (as 1), as in the benchmarks."""
        return mean_iou(self.ious)

    @property
    def frames(self) -> int:
        """Number of scored frames, the given one included."""
        return int(np.isfinite(self.ious).sum())

    @property
    def success(self) -> float:
        """Share of scored frames with an IoU of at least one half."""
        return float((self.ious[np.isfinite(self.ious)] >= 0.5).mean())


def one_pass(tracker_for: TrackerFactory, sequence: Sequence, *, max_frames: int | None = None) -> ClipResult:
    """Run a tracker over a sequence, from its first known box to its end.

    It stops after `max_frames` tracked frames, the start frame included; later ones are not scored.
    `DatasetError`: a stream ends before the ground truth, or cannot be read at the start frame; `VideoError`:
    a stream cannot be opened; `DecodeError`: a stream is damaged beyond its bound; `PairingError`: the
    streams share no time.
    """
    start = sequence.start_frame
    end = len(sequence) if max_frames is None else min(len(sequence), start + max_frames)
    boxes = np.full((len(sequence), 4), np.nan)
    scores = np.full(len(sequence), np.nan)
    tracker = tracker_for(sequence.modality)
    last = -1
    for frame, pair in _pairs(sequence, start, end):
        if last < 0 and frame != start:
            raise DatasetError(f"start frame {start} cannot be read", where=sequence.name)
        tracked = tracker.initialize(pair, [sequence.start_box]) if frame == start else tracker.update(pair)
        boxes[frame], scores[frame] = tracked[0].box.xywh, tracked[0].score
        last = frame
    if last < end - 1:
        raise DatasetError(
            f"the recording ends after frame {last}, but there are {len(sequence)} rows of ground truth",
            where=sequence.name,
        )
    ious = iou_per_frame(boxes, sequence.boxes)
    ious[~sequence.visible] = np.nan
    ious[:start] = ious[end:] = np.nan
    return ClipResult(sequence.name, sequence.modality, boxes, scores, ious, start)


def _pairs(sequence: Sequence, start: int, end: int) -> Iterator[tuple[int, FramePair]]:
    """Yield the pairs from frame `start` up to but without `end`, each with its frame in the sequence."""
    rgb, aux = sequence.sources()
    offset = sequence.source_start
    first, stop = Position(index=offset + start), Position(index=offset + end)
    with open_pair(rgb, aux, modality=sequence.modality, start=first, end=stop) as pairs:
        for pair in pairs:
            yield pair.rgb.index - offset, pair


class ClipValidation:
    """Evaluates a network on clips during training: one pass each, returning mean IoU by clip and over all.

    `folder` holds annotated clips in any known layout. With a `modality` both streams of the clips of that
    modality are used, without it the first stream of every clip. `DatasetError`: there is no such clip.
    """

    def __init__(self, folder: Path, modality: Modality | None, tracker: TrackerConfig) -> None:
        clips = find_sequences(folder, modality)
        self.clips = clips if modality is not None else [clip.main_stream() for clip in clips]
        self.tracker = tracker

    def __call__(self, model: DMTrack) -> dict[str, float]:
        """Return `mean_iou`, `score_auc` and the mean IoU of each clip; the model is not changed."""
        device = next(model.parameters()).device
        figures = [
            one_pass(lambda _: Tracker(model, self.tracker, device=device), clip) for clip in self.clips
        ]
        mean = float(np.mean([clip.mean_iou for clip in figures]))
        return {"mean_iou": mean, "score_auc": score_auc(figures), **{c.name: c.mean_iou for c in figures}}


def score_auc(figures: collections.abc.Sequence[ClipResult], overlap: float = 0.5) -> float:
    """Return the ROC area of the score for `IoU >= overlap`, over all frames but the start frames."""
    scores, hits = [], []
    for clip in figures:
        later = slice(clip.start_frame + 1, None)
        ious, values = clip.ious[later], clip.scores[later]
        known = np.isfinite(ious) & np.isfinite(values)
        scores.append(values[known])
        hits.append(ious[known] >= overlap)
    return roc_auc(np.concatenate(scores), np.concatenate(hits))


def roc_auc(scores: npt.ArrayLike, hits: npt.ArrayLike) -> float:
    """Return the area under the ROC curve: the probability that a hit scores above a miss, ties one half.

    `scores` are `(N,)` finite, `hits` `(N,)` bool. NaN if there are only hits or only misses.
    """
    values = np.asarray(scores, np.float64)
    good = np.asarray(hits, bool)
    if good.all() or not good.any():
        return float("nan")
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[where]
    hit_count = int(good.sum())
    above = ranks[good].sum() - hit_count * (hit_count + 1) / 2
    return float(above / (hit_count * (len(good) - hit_count)))
