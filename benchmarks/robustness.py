"""What two streams are worth when one fails: mean IoU of two-stream clips, made worse after frame 0.

    python benchmarks/robustness.py CLIPS [--modality depth] [--weights tiny] [--recovery auto] [--csv FILE]
    python benchmarks/robustness.py CLIPS --degrade clean --streams rgb        one cell of the table

Rows are what is done to the streams, columns what the tracker is shown: both streams, the second one blanked,
or one of the two alone, which the one-stream foundation follows. Clips of one stream are left out. The last
rows are the patterns of RGBT234-Miss and LasHeR245-Miss (Lu et al., arXiv 2312.16244) at their middle rate:
in six of ten frames one of the two is missing, its picture black.
"""

from __future__ import annotations

import argparse
import collections.abc
import csv
import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.datasets.opening import find_sequences
from dmtrack.datasets.sequence import Sequence as AnnotatedSequence
from dmtrack.evaluation.clips import ClipResult, PairTracker, TrackerFactory, one_pass
from dmtrack.geometry.box import Box
from dmtrack.run.pipeline import load_tracker
from dmtrack.run.request import RecoveryChoice, RecoveryOptions
from dmtrack.tracking.result import TrackedBox
from dmtrack.video.frame import FramePair, Modality

Image = npt.NDArray[np.uint8]

#: Light that is left in the dark, and the noise of a camera that turns its gain up, in grey levels.
DARK_GAIN, DARK_NOISE = 0.06, 4.0
#: Standard deviation of the blur, as a share of the frame's height.
BLUR_SHARE = 0.012
#: Frames without a picture of a stream, counted from the first tracked one.
LOST_FRAMES = range(5, 35)
#: Share of frames in which one of two streams is missing, and frames of a turn in which either is, once.
MISSING_SHARE, TURN_FRAMES = 0.6, 30


class Degradation(StrEnum):
    """What is done after the first frame: to RGB, to the second stream, or (`missing`) to either in turn."""

    CLEAN = "clean"
    DARK = "dark"
    BLURRED = "blurred"
    LOST = "lost"
    SECOND_LOST = "second-lost"
    RANDOM_MISSING = "random-missing"
    SWAP_MISSING = "swap-missing"
    LONG_MISSING = "long-missing"


class Streams(StrEnum):
    """What the tracker is shown.

    `blank` keeps the two-stream network and blanks the second stream; `rgb` and `aux` show the
    one-stream foundation one of the two.
    """

    BOTH = "both"
    BLANK = "blank"
    RGB = "rgb"
    AUX = "aux"


def degrade(rgb: Image, kind: Degradation, frame: int) -> Image:
    """Return RGB pixels `(H, W, 3)` as the degraded camera would give them.

    Args:
        rgb: Left as it is.
        kind: What to do.
        frame: Frames since the start; also the seed of the noise. Frame 0 is never degraded.
    """
    if kind is Degradation.CLEAN or frame == 0:
        return rgb
    if kind is Degradation.DARK:
        noise = np.random.default_rng(frame).normal(0, DARK_NOISE, rgb.shape)
        return np.clip(rgb * DARK_GAIN + noise, 0, 255).astype(np.uint8)
    if kind is Degradation.BLURRED:
        return np.asarray(cv2.GaussianBlur(rgb, (0, 0), BLUR_SHARE * rgb.shape[0]), np.uint8)
    return rgb


def absent(kind: Degradation, frame: int, frames: int) -> tuple[bool, bool]:
    """Return whether RGB and the second stream show nothing in a frame; never both, and none in frame 0.

    Args:
        kind: `random-missing`: one of the two by lot, frame by frame; `swap-missing`: the two in turn;
            `long-missing`: RGB for long in the first half, then the second stream in the other half.
        frame: Frames since the start; also the seed.
        frames: Length of the clip.
    """
    if kind in (Degradation.LOST, Degradation.SECOND_LOST):
        lost = frame in LOST_FRAMES
        return lost and kind is Degradation.LOST, lost and kind is Degradation.SECOND_LOST
    if frame == 0 or kind in (Degradation.CLEAN, Degradation.DARK, Degradation.BLURRED):
        return False, False
    if kind is Degradation.RANDOM_MISSING:
        missing, which = np.random.default_rng(frame).random(2)
        return bool(missing < MISSING_SHARE and which < 0.5), bool(missing < MISSING_SHARE and which >= 0.5)
    turn = TURN_FRAMES if kind is Degradation.SWAP_MISSING else frames
    half, place = divmod(2 * (frame % turn) / turn, 1)
    away = abs(place - 0.5) < MISSING_SHARE / 2
    return away and half == 0, away and half == 1


def shown(pair: FramePair, streams: Streams, kind: Degradation, frame: int, frames: int) -> FramePair:
    """Return the pair as the tracker is to see it."""
    rgb_absent, aux_absent = absent(kind, frame, frames)
    rgb = degrade(pair.image[..., :3], kind, frame) * np.uint8(not rgb_absent)
    if pair.image.shape[2] == 3 or streams is Streams.RGB:
        return replace(pair, image=rgb, modality=None, aux=None)
    aux = pair.image[..., 3:] * np.uint8(not aux_absent and streams is not Streams.BLANK)
    if streams is Streams.AUX:
        return replace(pair, image=np.ascontiguousarray(aux), modality=None, aux=None)
    return replace(pair, image=np.concatenate((rgb, aux), axis=2))


@dataclass(slots=True)
class DegradedView:
    """A tracker that sees every pair through `shown`."""

    tracker: PairTracker
    streams: Streams
    kind: Degradation
    frames: int
    frame: int = 0

    def initialize(self, pair: FramePair, boxes: collections.abc.Sequence[Box]) -> tuple[TrackedBox, ...]:
        """Start over; the first frame is shown undegraded."""
        self.frame = 0
        return self.tracker.initialize(shown(pair, self.streams, self.kind, 0, self.frames), boxes)

    def update(self, pair: FramePair) -> tuple[TrackedBox, ...]:
        """Track in the degraded pair."""
        self.frame += 1
        return self.tracker.update(shown(pair, self.streams, self.kind, self.frame, self.frames))


Cell = tuple[Degradation, Streams]


def cell(
    clips: Sequence[AnnotatedSequence],
    tracker_for: TrackerFactory,
    kind: Degradation,
    streams: Streams,
    *,
    max_frames: int | None = None,
) -> list[ClipResult]:
    """Track every target once in one cell of the table."""
    alone = streams in (Streams.RGB, Streams.AUX)

    def degraded(clip: AnnotatedSequence) -> TrackerFactory:
        return lambda modality: DegradedView(
            tracker_for(None if alone else modality), streams, kind, len(clip) - clip.start_frame
        )

    return [one_pass(degraded(clip), clip, max_frames=max_frames) for clip in clips]


def mean_iou(figures: Sequence[ClipResult]) -> float:
    """Return the mean over the targets."""
    return float(np.mean([clip.mean_iou for clip in figures]))


def show(cells: Mapping[Cell, Sequence[ClipResult]]) -> None:
    """Print the table of mean IoU."""
    kinds, views = dict.fromkeys(kind for kind, _ in cells), dict.fromkeys(streams for _, streams in cells)
    print(f"mean IoU over {len(next(iter(cells.values())))} targets of two streams")
    print(f"{'':15s}" + "".join(f"{streams:>8s}" for streams in views))
    for kind in kinds:
        print(f"{kind:15s}" + "".join(f"{mean_iou(cells[kind, streams]):8.3f}" for streams in views))


def write(path: Path, cells: Mapping[Cell, Sequence[ClipResult]]) -> None:
    """Write one row a target and cell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("target", "modality", "degrade", "streams", "frames", "mean_iou", "success_50"))
        for place, figures in cells.items():
            writer.writerows((c.name, c.modality, *place, c.frames, c.mean_iou, c.success) for c in figures)


def exact_trackers(
    weights: str, *, device: str = "auto", recovery: RecoveryChoice = RecoveryChoice.OFF
) -> TrackerFactory:
    """Return what gives trackers in fp32: figures must not depend on which instructions a machine has.

    Args:
        weights: `tiny`, `base`, a name in the data folder, or a path; each file is read once.
        device: `auto`, `cpu`, `cuda:0` or `mps`.
        recovery: Whether targets are given up and looked for; benchmarks are run without.
    """

    @functools.cache
    def tracker_for(modality: Modality | None) -> PairTracker:
        options = RecoveryOptions(recovery)
        return load_tracker(weights, modality, device=device, precision="fp32", recovery=options)

    return tracker_for


def main(words: Sequence[str] | None = None) -> None:
    """Track every two-stream target once a cell and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--modality", type=Modality, choices=list(Modality))
    parser.add_argument("--weights", default="tiny")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--recovery", type=RecoveryChoice, choices=list(RecoveryChoice), default=RecoveryChoice.OFF
    )
    parser.add_argument("--degrade", type=Degradation, choices=list(Degradation), action="append")
    parser.add_argument("--streams", type=Streams, choices=list(Streams), action="append")
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args(words)
    tracker_for = exact_trackers(asked.weights, device=asked.device, recovery=asked.recovery)
    cells = {}
    clips = [clip for clip in find_sequences(asked.clips, asked.modality) if clip.modality is not None]
    if not clips:
        parser.error(f"{asked.clips}: no clip has two streams")
    for kind, streams in product(asked.degrade or Degradation, asked.streams or Streams):
        cells[kind, streams] = cell(clips, tracker_for, kind, streams)
        print(f"{kind} {streams} {mean_iou(cells[kind, streams]):.3f}", file=sys.stderr)
    show(cells)
    if asked.csv is not None:
        write(asked.csv, cells)


if __name__ == "__main__":
    main()
