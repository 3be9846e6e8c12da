"""Make the tables of `docs/accuracy.md` anew, in Markdown: every target, then RGB made worse.

    python benchmarks/accuracy_tables.py ../shared/data/val ../shared/data/val_hard sample_data

Columns are weights (`--weights tiny tiny-open`), with all streams and with RGB alone, and, where this OpenCV
has it (`opencv-contrib-python`), CSRT on RGB. Settings are the defaults of `dmtrack track` with recovery, in
fp32. A recording of one stream is followed once, and stands in both columns.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from opencv_trackers import OpenCvTracker
from robustness import Degradation, Streams, cell, exact_trackers

from dmtrack.datasets.opening import find_sequences
from dmtrack.datasets.sequence import Sequence
from dmtrack.evaluation.clips import ClipResult, PairTracker, one_pass
from dmtrack.run.request import RecoveryChoice
from dmtrack.video.frame import Modality

Measure = Callable[[Sequence], ClipResult]


def csrt(_: Modality | None) -> PairTracker:
    """Return OpenCV's CSRT."""
    return OpenCvTracker("CSRT")


def columns(weights: list[str], frames: int | None) -> dict[str, Measure]:
    """Return what is measured of a clip, by the head of its column."""
    found: dict[str, Measure] = {}
    for name in weights:
        trackers = exact_trackers(name, recovery=RecoveryChoice.AUTO)
        for streams in (Streams.BOTH, Streams.RGB):
            found[f"{name}, {'all streams' if streams is Streams.BOTH else 'RGB alone'}"] = partial(
                one_cell, trackers, Degradation.CLEAN, streams, frames
            )
    if hasattr(cv2, "TrackerCSRT_create"):
        found["CSRT"] = partial(one_pass, csrt, max_frames=frames)
    return found


def one_cell(
    trackers: Callable[[Modality | None], PairTracker],
    kind: Degradation,
    streams: Streams,
    frames: int | None,
    clip: Sequence,
) -> ClipResult:
    """Follow one target in one way."""
    (result,) = cell([clip], trackers, kind, streams, max_frames=frames)
    return result


def row(name: str, frames: object, values: Mapping[str, float]) -> str:
    """Return a row of a Markdown table."""
    return f"| {name} | {frames} | " + " | ".join(f"{value:.3f}" for value in values.values()) + " |"


def targets(folders: list[Path], measures: Mapping[str, Measure]) -> None:
    """Print a row a target and the mean of each folder."""
    print("| Target (second stream) | frames | " + " | ".join(measures) + " |")
    print("| --- |" + " ---: |" * (1 + len(measures)))
    for folder in folders:
        sums: dict[str, list[float]] = {name: [] for name in measures}
        for clip in find_sequences(folder):
            done: dict[str, ClipResult] = {}
            for name, measure in measures.items():
                twin = name.replace("RGB alone", "all streams")
                alike = clip.modality is None and twin in done
                done[name] = done[twin] if alike else measure(clip)
                sums[name].append(done[name].mean_iou)
            first = next(iter(done.values()))
            print(
                row(
                    f"{clip.name} ({clip.modality or 'none'})",
                    first.frames,
                    {name: one.mean_iou for name, one in done.items()},
                ),
                flush=True,
            )
        means = {name: float(np.mean(values)) for name, values in sums.items()}
        print(row(f"**{folder.name}, mean of {len(next(iter(sums.values())))}**", "", means), flush=True)


def worse(folders: list[Path], weights: str, frames: int | None) -> None:
    """Print, for each second stream and damage to RGB, the mean over its targets."""
    clips = [clip for folder in folders for clip in find_sequences(folder) if clip.modality is not None]
    trackers = exact_trackers(weights, recovery=RecoveryChoice.AUTO)
    print("\n| Second stream, targets | RGB is | " + " | ".join(Streams) + " |")
    print("| --- | --- |" + " ---: |" * len(Streams))
    for modality in dict.fromkeys(clip.modality for clip in clips):
        own = [clip for clip in clips if clip.modality is modality]
        for kind in Degradation:
            figures = {
                str(streams): float(
                    np.mean([one_cell(trackers, kind, streams, frames, clip).mean_iou for clip in own])
                )
                for streams in Streams
            }
            print(row(f"{modality}, {len(own)}", kind, figures), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--weights", nargs="+", default=["tiny"])
    parser.add_argument("--frames", type=int, help="At most so many of each recording.")
    parser.add_argument("--no-robustness", action="store_true", help="The first table alone.")
    asked = parser.parse_args()
    targets(asked.folders, columns(asked.weights, asked.frames))
    if not asked.no_robustness:
        worse(asked.folders, asked.weights[0], asked.frames)
