"""Targets hidden for a while: who says so, and who finds them again, without recovery and with it.

    python benchmarks/occlusion.py CLIPS [--modality thermal] [--weights tiny]

A wall of the surroundings' colour covers each target in both streams for a quarter of its recording; then it
is there again, wherever it has moved to meanwhile. Counted are frames wrongly called tracked, and frames from
the target's return until it is followed again.
"""

from __future__ import annotations

import argparse
import collections.abc
import math
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from robustness import exact_trackers

from dmtrack.datasets.opening import find_sequences
from dmtrack.datasets.sequence import Sequence
from dmtrack.errors import DatasetError
from dmtrack.evaluation.clips import PairTracker, TrackerFactory, one_pass
from dmtrack.geometry.box import Box
from dmtrack.run.request import RecoveryChoice
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.video.frame import FramePair, Modality

Image = npt.NDArray[np.uint8]

#: Fewer annotated frames leave nothing to hide.
LEAST_FRAMES = 30
#: When the target is hidden, and for how long at most: shares of the recording.
_HIDDEN_FROM, _HIDDEN_SHARE, _LONGEST = 0.3, 0.25, 40
#: Side of the wall over the side of the box, and its noise in grey levels.
_WALL, _NOISE = 1.5, 6.0
#: A box that overlaps the target less than this is on something else; more than `_HIT` is back on it.
_MISS, _HIT = 0.1, 0.5


def hidden_frames(count: int) -> range:
    """Return which of `count` frames after the start are covered."""
    first = round(_HIDDEN_FROM * count)
    return range(first, first + min(_LONGEST, round(_HIDDEN_SHARE * count)))


def walled(image: Image, box: Box, frame: int) -> Image:
    """Return `(H, W, C)` with a wall over `box`, in the mean colour around it, slightly noisy.

    Args:
        image: Left as it is.
        box: What is to be hidden, in px.
        frame: Seed of the noise.
    """
    height, width = image.shape[:2]
    w, h = _WALL * max(box.w, 4.0), _WALL * max(box.h, 4.0)
    x1, x2 = (min(max(round(x), 0), width) for x in (box.cx - w / 2, box.cx + w / 2))
    y1, y2 = (min(max(round(y), 0), height) for y in (box.cy - h / 2, box.cy + h / 2))
    if x2 <= x1 or y2 <= y1:
        return image
    around = image[max(y1 - 4, 0) : y2 + 4, max(x1 - 4, 0) : x2 + 4].astype(np.float32)
    inside = image[y1:y2, x1:x2].astype(np.float32)
    ring = max(around.shape[0] * around.shape[1] - inside.shape[0] * inside.shape[1], 1)
    colour = (around.sum(axis=(0, 1)) - inside.sum(axis=(0, 1))) / ring
    noise = np.random.default_rng(frame).normal(0.0, _NOISE, inside.shape)
    covered = image.copy()
    covered[y1:y2, x1:x2] = np.clip(colour + noise, 0, 255).astype(np.uint8)
    return covered


@dataclass(slots=True)
class OccludedView:
    """A tracker that sees the target hidden for a while, and whose states and times are kept.

    Attributes:
        tracker: What is judged.
        sequence: Gives the true boxes.
        states: One a tracked frame, so far.
        seconds: Spent in the tracker, one a tracked frame.
    """

    tracker: PairTracker
    sequence: Sequence
    states: list[TrackState | None] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def hidden(self) -> range:
        """Frames of the sequence in which the target is covered."""
        start = self.sequence.start_frame
        frames = hidden_frames(len(self.sequence) - start)
        return range(start + frames.start, start + frames.stop)

    def initialize(self, pair: FramePair, boxes: collections.abc.Sequence[Box]) -> tuple[TrackedBox, ...]:
        """Start as given; the start is never covered."""
        return self.tracker.initialize(pair, boxes)

    def update(self, pair: FramePair) -> tuple[TrackedBox, ...]:
        """Track in the pair as it would be with a wall in front."""
        frame = self.sequence.start_frame + 1 + len(self.states)
        if frame in self.hidden and self.sequence.visible[frame]:
            pair = replace(pair, image=walled(pair.image, self.sequence.box(frame), frame))
        begin = time.perf_counter()
        found = self.tracker.update(pair)
        self.seconds.append(time.perf_counter() - begin)
        self.states.append(found[0].state)
        return found


@dataclass(frozen=True, slots=True)
class OcclusionFigures:
    """How one target was followed through its occlusion.

    Attributes:
        name: Of the target.
        mean_iou: Over the frames in which it could be seen, the start included.
        wrongly_tracked: Share of frames called `tracked` although the target was hidden or elsewhere.
        frames_to_recover: From its return to the first box that is on it again; infinite if there is none.
        ms_median: Median time of a frame in the tracker, in milliseconds.
        ms_mean: Mean time of a frame: what searching costs.
    """

    name: str
    mean_iou: float
    wrongly_tracked: float
    frames_to_recover: float
    ms_median: float
    ms_mean: float


def occluded_pass(tracker_for: TrackerFactory, sequence: Sequence) -> OcclusionFigures:
    """Track one target through an occlusion.

    Raises:
        DatasetError: The sequence is too short, see `LEAST_FRAMES`; or see `one_pass`.
    """
    if len(sequence) - sequence.start_frame < LEAST_FRAMES:
        raise DatasetError(f"fewer than {LEAST_FRAMES} frames", where=sequence.name)
    view: OccludedView | None = None

    def factory(modality: Modality | None) -> PairTracker:
        nonlocal view
        view = OccludedView(tracker_for(modality), sequence)
        return view

    result = one_pass(factory, sequence)
    assert view is not None
    hidden = np.zeros(len(sequence), bool)
    hidden[view.hidden.start : view.hidden.stop] = True
    later = slice(sequence.start_frame + 1, None)
    ious, covered = result.ious[later], hidden[later]
    known = np.isfinite(ious)
    claimed = np.array([state is TrackState.TRACKED for state in view.states])
    wrong = claimed & (covered | (known & (ious < _MISS)))
    back = np.flatnonzero(
        known & ~covered & (ious >= _HIT) & (np.arange(len(ious)) > np.flatnonzero(covered)[-1])
    )
    return OcclusionFigures(
        name=sequence.name,
        mean_iou=float(np.nanmean(np.append(ious[~covered], 1.0))),
        wrongly_tracked=float(wrong.mean()),
        frames_to_recover=float(back[0] - np.flatnonzero(covered)[-1]) if back.size else math.inf,
        ms_median=1e3 * float(np.median(view.seconds)),
        ms_mean=1e3 * float(np.mean(view.seconds)),
    )


def row(target: str, recovery: str, figures: collections.abc.Sequence[OcclusionFigures]) -> str:
    """Return one line of the table: a target, or the mean over several."""
    found = [one.frames_to_recover for one in figures if math.isfinite(one.frames_to_recover)]
    again = f"{np.mean(found):.0f}" if found else "never"
    again += f" ({len(found)} of {len(figures)})" if len(figures) > 1 and found else ""
    iou, wrong, median, mean = (
        float(np.mean([getattr(one, name) for one in figures]))
        for name in ("mean_iou", "wrongly_tracked", "ms_median", "ms_mean")
    )
    return f"{target:28s} {recovery:>8s} {iou:8.3f} {wrong:15.3f} {again:>17s} {median:9.1f} {mean:7.1f}"


def main(words: collections.abc.Sequence[str] | None = None) -> None:
    """Track every target that is long enough through an occlusion, without and with recovery."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--modality", type=Modality, choices=list(Modality))
    parser.add_argument("--weights", default="tiny")
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args(words)
    trackers = {
        word: exact_trackers(asked.weights, device=asked.device, recovery=word)
        for word in (RecoveryChoice.OFF, RecoveryChoice.ON)
    }
    rows: dict[RecoveryChoice, list[OcclusionFigures]] = {word: [] for word in trackers}
    clips = find_sequences(asked.clips, asked.modality)
    print(
        f"{'target':28s} {'recovery':>8s} {'mean IoU':>8s} {'wrongly tracked':>15s} "
        f"{'frames to recover':>17s} {'ms median':>9s} {'ms mean':>7s}"
    )
    for clip in clips:
        if len(clip) - clip.start_frame < LEAST_FRAMES:
            print(f"{clip.name} left out: fewer than {LEAST_FRAMES} frames", file=sys.stderr)
            continue
        for word, tracker_for in trackers.items():
            rows[word].append(occluded_pass(tracker_for, clip))
            print(row(clip.name, word, rows[word][-1:]), flush=True)
    for word, figures in rows.items():
        if figures:
            print(row("mean", word, figures))


if __name__ == "__main__":
    main()
