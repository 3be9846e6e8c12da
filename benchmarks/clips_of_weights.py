"""Track every annotated target of some folders of clips once with some weights.

    python benchmarks/clips_of_weights.py OUT.csv WEIGHTS FOLDER... [--streams both] [--set recovery=false]

OUT.csv gets a row a target and the means, OUT.npz the overlap and the score of every frame. WEIGHTS is a
.safetensors, a folder, a name, or a run folder's checkpoint.pt (its averaged network). With `--streams both`,
clips of one stream are left out: they are followed as with `rgb`.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from robustness import Degradation, Streams, cell

from dmtrack.config import TINY_TRACKER, ModelConfig
from dmtrack.datasets.opening import find_sequences
from dmtrack.evaluation.clips import ClipResult, score_auc
from dmtrack.network.model import DMTrack
from dmtrack.network.weights.store import resolve_weights
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Modality


def network(weights: str, modality: Modality | None) -> DMTrack:
    """Return the network of some weights, or the averaged one of a checkpoint."""
    if not weights.endswith(".pt"):
        return resolve_weights(weights, modality).model
    state = torch.load(weights, weights_only=True)
    model = DMTrack(ModelConfig.from_dict(state["model_config"]), with_adapters=False)
    model.load_state_dict(state["ema"])
    return model.eval()


def false_tracked(clips: Sequence[ClipResult], threshold: float) -> float:
    """Return the share of frames that score at least `threshold` and miss the target."""
    ious = np.concatenate([clip.ious[clip.start_frame + 1 :] for clip in clips])
    scores = np.concatenate([clip.scores[clip.start_frame + 1 :] for clip in clips])
    known = np.isfinite(ious)
    return float(((scores >= threshold) & (ious < 0.5))[known].mean())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("weights")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--streams", type=Streams, default=Streams.RGB)
    parser.add_argument("--degrade", type=Degradation, default=Degradation.CLEAN)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--frames", type=int)
    parser.add_argument("--only", type=Modality, nargs="*", help="Clips of these second streams.")
    args = parser.parse_args()
    torch.set_num_threads(1)
    tracker = replace(TINY_TRACKER, **{k: json.loads(v) for k, v in (text.split("=") for text in args.set)})
    networks: dict[Modality | None, DMTrack] = {}

    def tracker_for(modality: Modality | None) -> Tracker:
        """Return a tracker whose network is built once a modality."""
        if modality not in networks:
            networks[modality] = network(args.weights, modality)
        return Tracker(networks[modality], tracker)

    rows: list[tuple[str, str, float]] = []
    every: list[ClipResult] = []
    for folder in args.folders:
        figures: list[ClipResult] = []
        for clip in find_sequences(folder):
            if args.streams is not Streams.RGB and clip.modality is None:
                continue
            if args.only and clip.modality not in args.only:
                continue
            figures += cell([clip], tracker_for, args.degrade, args.streams, max_frames=args.frames)
            rows.append((folder.name, clip.name, round(figures[-1].mean_iou, 4)))
            print(*rows[-1], flush=True)
        if not figures:
            continue
        every += figures
        rows.append((folder.name, "AUC", round(float(score_auc(figures)), 4)))
        rows.append((folder.name, "MEAN", round(float(np.mean([c.mean_iou for c in figures])), 4)))
        print(*rows[-1], flush=True)
    rows.append(("all", "MEAN", round(float(np.mean([c.mean_iou for c in every])), 4)))
    rows.append(("all", "AUC", round(score_auc(every), 4)))
    rows.append(("all", "AUC of IoU >= 0.25", round(score_auc(every, 0.25), 4)))
    rows.append(("all", "wrongly tracked", round(false_tracked(every, tracker.uncertain_score), 4)))
    for row in rows[-4:]:
        print(*row)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    frames = {f"{c.name}/{kind}": getattr(c, kind) for c in every for kind in ("ious", "scores")}
    np.savez_compressed(args.out.with_suffix(".npz"), **frames)
    with args.out.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
