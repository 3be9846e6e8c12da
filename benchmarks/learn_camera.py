"""Does training on a corrected recording raise what follows on the same camera? Mean IoU before and after.

    python benchmarks/learn_camera.py ../shared/data/val ../shared/data/val_hard --steps 100

The first half of each two-stream clip is tracked and corrected by its truth in every `--every`th frame, and
the adapters of `tiny` go on training from that result alone, as `dmtrack train --data RESULTS` does. Then the
second half is tracked from its first true box, and every other target of the clip through all of it, with the
weights in the box and with the new ones, in fp32.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dmtrack.datasets.opening import find_sequences
from dmtrack.datasets.sequence import Sequence as Clip
from dmtrack.evaluation.overlap import iou_per_frame
from dmtrack.run.pipeline import track
from dmtrack.run.request import NetworkOptions, OutputOptions, TrackRequest
from dmtrack.run.session import track_to_folder
from dmtrack.tracking.start import TargetStart
from dmtrack.training.train_config import DataPart, TrainRequest, train_numbers
from dmtrack.training.training_run import WEIGHTS, train
from dmtrack.video.position import Position


def shown(clip: Clip, first: int, end: int) -> list[int]:
    """Return the frames of a stretch in which the box of the target is known."""
    return [frame for frame in range(first, end) if clip.visible[frame]]


def corrected_first_half(clip: Clip, half: int, every: int, folder: Path) -> Path:
    """Track the first half, corrected in every so many frames, and return the results."""
    rgb, aux = clip.sources()
    offset, frames = clip.source_start, shown(clip, clip.start_frame, half)
    boxes = tuple(TargetStart(clip.box(frame), 1, offset + frame) for frame in frames[::every])
    request = TrackRequest(
        rgb,
        aux,
        boxes=boxes,
        modality=clip.modality,
        start=Position(offset + frames[0]),
        end=Position(offset + half),
        network=NetworkOptions(precision="fp32"),
        output=OutputOptions(folder=folder, no_video=True),
    )
    return track_to_folder(request).folder


def learned(results: Path, folder: Path, steps: int, batch_size: int) -> tuple[Path, float]:
    """Train on results, and return the weights and the minutes that it took."""
    numbers = train_numbers("adapters", "tiny", None, steps=steps, batch_size=batch_size, learning_rate=1e-4)
    request = TrainRequest(folder, numbers, init="tiny", data=(DataPart(results),), strong=True, workers=0)
    begin = time.monotonic()
    for _ in train(request):
        pass
    return folder / WEIGHTS, (time.monotonic() - begin) / 60


def mean_iou(clip: Clip, first: int, weights: Path | str) -> float:
    """Return the mean overlap with the truth from a frame to the end, tracked from the first box there."""
    rgb, aux = clip.sources()
    offset, frames = clip.source_start, shown(clip, first, len(clip))
    start = TargetStart(clip.box(frames[0]), 1, offset + frames[0])
    options = {"modality": clip.modality, "weights": weights, "precision": "fp32"}
    rows = {
        row.frame_index - offset: row.box.xywh
        for row in track(rgb, aux, start, start=Position(offset + frames[0]), **options)  # type: ignore[arg-type]
    }
    found = np.array([rows.get(frame, (np.nan,) * 4) for frame in frames])
    return float(np.nan_to_num(iou_per_frame(found, clip.boxes[frames])).mean())


def clip_rows(clip: Clip, others: Sequence[Clip], asked: argparse.Namespace) -> list[tuple[object, ...]]:
    """Return a row for the second half, and one for each other target."""
    half = clip.start_frame + (len(clip) - clip.start_frame) // 2
    with tempfile.TemporaryDirectory() as name:
        results = corrected_first_half(clip, half, asked.every, Path(name) / "results")
        weights, minutes = learned(results, Path(name) / "run", asked.steps, asked.batch_size)
        parts = [(clip, half, "second half"), *((one, one.start_frame, "another target") for one in others)]
        rows: list[tuple[object, ...]] = []
        for target, first, what in parts:
            before, after = mean_iou(target, first, "tiny"), mean_iou(target, first, weights)
            rows.append((clip.name, what, target.name, f"{before:.4f}", f"{after:.4f}", f"{minutes:.1f}"))
            print(*rows[-1], flush=True)
    return rows


def main() -> None:
    """Print a table of mean IoU before and after."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--only", default="", help="clips whose name holds this")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--every", type=int, default=20, help="frames from one correction to the next")
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    clips = [one for folder in asked.folders for one in find_sequences(folder, None) if one.modality]
    rows: list[tuple[object, ...]] = []
    for clip in clips:
        if asked.only in clip.name:
            others = [one for one in clips if one.sources() == clip.sources() and one.name != clip.name]
            rows += clip_rows(clip, others, asked)
    changes = [float(str(row[4])) - float(str(row[3])) for row in rows]
    if changes:
        print(f"mean change {np.mean(changes):+.4f} over {len(changes)} targets, worst {min(changes):+.4f}")
    if asked.csv is not None:
        with asked.csv.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main()
