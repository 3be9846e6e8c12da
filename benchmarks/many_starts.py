"""Compare tracker settings by many short runs, in which single lost targets weigh less than in whole passes.

    python benchmarks/many_starts.py WEIGHTS FOLDER... [--set voting=false]

RGB alone. Of the first frames of every clip, each 20th is started from, forwards and backwards, for at most
30 frames, as by the anchors of VOT2020. Prints the mean IoU of each clip's tracked frames, of the clips of a
folder and of all, and the share of frames with an IoU below 0.05.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from clips_of_weights import network

from dmtrack.config import TINY_TRACKER
from dmtrack.datasets.opening import find_sequences
from dmtrack.datasets.sequence import Sequence as AnnotatedSequence
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import FramePair
from dmtrack.video.pairing import open_pair
from dmtrack.video.position import Position

SPACING, LENGTH, SHORTEST = 20, 30, 5


def opened(clip: AnnotatedSequence, frames: int) -> list[FramePair]:
    """Return the first pairs of a clip."""
    first = clip.source_start
    end = Position(index=first + min(frames, len(clip)))
    with open_pair(*clip.sources(), start=Position(index=first), end=end) as pairs:
        return list(pairs)


def overlaps(tracker: Tracker, clip: AnnotatedSequence, pairs: Sequence[FramePair]) -> list[float]:
    """Return the IoU of every frame of every run in which the target is visible."""
    found = []
    for order in (range(len(pairs)), range(len(pairs) - 1, -1, -1)):
        for start in range(0, len(pairs) - SHORTEST, SPACING):
            first, *others = order[start : start + LENGTH + 1]
            if not clip.visible[first]:
                continue
            tracker.initialize(pairs[first], [clip.box(first)])
            for frame in others:
                (target,) = tracker.update(pairs[frame])
                if clip.visible[frame]:
                    found.append(target.box.iou(clip.box(frame)))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--frames", type=int, default=60, help="So many of each clip.")
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = replace(TINY_TRACKER, **{k: json.loads(v) for k, v in (text.split("=") for text in args.set)})
    tracker = Tracker(network(args.weights, None), config)
    every: list[list[float]] = []
    for folder in args.folders:
        clips = []
        for clip in (found.main_stream() for found in find_sequences(folder)):
            runs = overlaps(tracker, clip, opened(clip, args.frames))
            if runs:
                clips.append(runs)
                print(f"{folder.name} {clip.name} {np.mean(runs):.4f}", flush=True)
        every += clips
        print(f"{folder.name} MEAN {np.mean([np.mean(runs) for runs in clips]):.4f}", flush=True)
    print(f"all MEAN {np.mean([np.mean(runs) for runs in every]):.4f}")
    print(f"all below 0.05 {np.mean([(np.array(runs) < 0.05).mean() for runs in every]):.4f}")
