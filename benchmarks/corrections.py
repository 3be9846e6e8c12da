"""A simulated person corrects results: mean IoU over the number of corrections, by where the person looks.

    python benchmarks/corrections.py ../shared/data/val ../shared/data/val_hard --csv corrections.csv

After each pass the person gives the true box in one more frame: where our ranking proposes it, in a frame
drawn at random, or in the middle of the longest stretch nobody looked at. All are tracked both ways, those of
the ranking forward only as well. Frames are those of the source.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from dmtrack.boxes.doubts import doubtful_places
from dmtrack.datasets.opening import find_sequences
from dmtrack.datasets.sequence import Sequence as Clip
from dmtrack.evaluation.overlap import iou_per_frame
from dmtrack.run.pipeline import load_tracker
from dmtrack.run.request import RecoveryOptions
from dmtrack.run.retracking import Retracker, Rows
from dmtrack.tracking.segments import Segment, segments_of
from dmtrack.tracking.start import TargetStart
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Modality
from dmtrack.video.pairing import PairedSource, open_pair
from dmtrack.video.position import Position

Pick = Callable[[Rows, Sequence[TargetStart], Clip], int | None]


def by_ranking(rows: Rows, keyframes: Sequence[TargetStart], clip: Clip) -> int | None:
    """Look where the ranking proposes; on to the next place where nothing is to be seen."""
    places = doubtful_places(rows.results(clip.name), keyframes)
    return next((place.frame_index for place in places if place.frame_index in _free(rows, (), clip)), None)


def at_random(rows: Rows, keyframes: Sequence[TargetStart], clip: Clip) -> int | None:
    """Look anywhere."""
    free = _free(rows, keyframes, clip)
    return random.Random(f"{clip.name} {len(keyframes)}").choice(free) if free else None


def evenly(rows: Rows, keyframes: Sequence[TargetStart], clip: Clip) -> int | None:
    """Look in the middle of the longest stretch that nobody looked at."""
    free = _free(rows, keyframes, clip)
    edges = sorted(key.frame_index or 0 for key in keyframes)
    stretches = zip(edges, [*edges[1:], max(rows.boxes) + 1], strict=True)
    for first, last in sorted(stretches, key=lambda one: one[0] - one[1]):
        within = [index for index in free if first < index < last]
        if within:
            return min(within, key=lambda index: abs(index - (first + last) / 2))
    return None


def _free(rows: Rows, keyframes: Sequence[TargetStart], clip: Clip) -> list[int]:
    given = {key.frame_index for key in keyframes}
    shown = (index for index in sorted(rows.boxes) if clip.visible[index - clip.source_start])
    return [index for index in shown if index not in given]


PICKS: dict[str, Pick] = {"ranking": by_ranking, "random": at_random, "even": evenly}


@cache
def tracker_for(modality: Modality | None, weights: str) -> Tracker:
    """Return the tracker, in fp32: figures must not depend on which instructions a machine has."""
    return load_tracker(weights, modality, precision="fp32", recovery=RecoveryOptions())


def curve(clip: Clip, name: str, weights: str, corrections: int, end: int, *, two_way: bool) -> list[float]:
    """Return mean IoU up to the frame `end` without a correction, with one, with two, and so on."""
    rgb, aux = clip.sources()
    offset = clip.source_start

    def open_at(first: int, last: int | None) -> PairedSource:
        start, stop = Position(index=first), Position(index=offset + end if last is None else last)
        return open_pair(rgb, aux, modality=clip.modality, start=start, end=stop)

    retracker = Retracker(open_at, tracker_for(clip.modality, weights), two_way=two_way)
    keyframes = [TargetStart(clip.start_box, 1, offset + clip.start_frame)]
    before: list[Segment] = []
    rows, figures = Rows(), []
    for _ in range(corrections + 1):
        segments = segments_of(keyframes)
        stay = [one for one in segments if any(map(one.is_part_of, before))]
        rows, before = rows.kept(stay), segments
        retracker.track([one for one in segments if one not in stay], rows)
        figures.append(mean_iou(rows, clip, end))
        frame = PICKS[name](rows, keyframes, clip)
        if frame is None:
            break
        keyframes.append(TargetStart(clip.box(frame - offset), 1, frame))
    return figures


def mean_iou(rows: Rows, clip: Clip, end: int) -> float:
    """Return the mean overlap with what is true, from the start on."""
    frames = [k for k in range(clip.start_frame, end) if clip.visible[k]]
    here = [rows.boxes.get(clip.source_start + k, {}).get(1) for k in frames]
    boxes = np.array([(np.nan,) * 4 if row is None else row.box.xywh for row in here])
    return float(np.nan_to_num(iou_per_frame(boxes, clip.boxes[frames])).mean())


def main() -> None:
    """Print a table of mean IoU over corrections."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--weights", default="tiny")
    parser.add_argument("--corrections", type=int, default=4)
    parser.add_argument("--frames", type=int, default=200, help="at most so many of a clip")
    parser.add_argument("--only", default="", help="clips whose name holds this")
    parser.add_argument("--looks", nargs="+", choices=PICKS, default=list(PICKS), help="where to look")
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    clips = [
        clip for folder in asked.folders for clip in find_sequences(folder, None) if asked.only in clip.name
    ]
    table: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    lines = []
    for clip in clips:
        end = min(len(clip), clip.start_frame + asked.frames)
        for name in asked.looks:
            for way in ("both", "forward") if name == "ranking" else ("both",):
                made = curve(clip, name, asked.weights, asked.corrections, end, two_way=way == "both")
                made += made[-1:] * (asked.corrections + 1 - len(made))
                table[name, way].append(made)
                lines.append((clip.name, end - clip.start_frame, name, way, *(f"{one:.4f}" for one in made)))
                print(*lines[-1], flush=True)
    for (name, way), curves in table.items():
        print(f"{name:8} {way:8}", *(f"{one:.3f}" for one in np.mean(curves, axis=0)))
    if asked.csv is not None:
        with asked.csv.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(lines)


if __name__ == "__main__":
    main()
