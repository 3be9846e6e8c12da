"""Track every annotated target of `val` and `val_hard` once with some weights: a row a target and the means.

python benchmarks/clips_of_weights.py OUT.csv WEIGHTS [--streams rgb|both|aux] [--set update_interval=12 ...]

WEIGHTS is a .safetensors, a folder, a name, or a run folder's checkpoint.pt (its averaged network).
"""

import argparse
import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from dmtrack.config import TINY_TRACKER, ModelConfig
from dmtrack.errors import DatasetError
from dmtrack.evaluation.clips import ClipFolder, score_auc
from dmtrack.evaluation.degradation import Streams
from dmtrack.network.model import DMTrack
from dmtrack.network.store import find_weights
from dmtrack.network.checkpoint import build_model, load_weights
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Modality

parser = argparse.ArgumentParser()
parser.add_argument("out", type=Path)
parser.add_argument("weights")
parser.add_argument("--streams", default="rgb")
parser.add_argument("--set", nargs="*", default=[])
parser.add_argument("--folders", nargs="*", default=["val", "val_hard"])
parser.add_argument("--frames", type=int)
parser.add_argument("--only", nargs="*", default=["thermal", "depth", "event"])
parser.add_argument("--data", type=Path, default=Path("../../shared/data"))
args = parser.parse_args()
torch.set_num_threads(1)
streams = Streams(args.streams)
tracker = replace(TINY_TRACKER, **{k: json.loads(v) for k, v in (text.split("=") for text in args.set)})


def network(modality):
    if args.weights.endswith(".pt"):
        state = torch.load(args.weights, weights_only=True)
        model = DMTrack(ModelConfig.from_dict(state["model_config"]), with_adapters=False)
        model.load_state_dict(state["ema"])
        return model.eval()
    files = find_weights(
        args.weights, Modality(modality) if modality and streams is not Streams.RGB else None
    )
    return build_model(*(load_weights(file.path) for file in files))


built, rows, figures_of = {}, [], {}
for folder in args.folders:
    figures_of[folder] = []
    # Both streams: the clips that have two. The others are as with `rgb`.
    for modality in tuple(Modality(m) for m in args.only) if streams is Streams.BOTH else (None,):
        try:
            clips = ClipFolder(args.data / folder, modality)
        except DatasetError as error:  # no clip of that modality
            print(error, file=sys.stderr)
            continue
        if modality not in built:
            built[modality] = network(modality)
        chosen = built[modality]
        trackers = lambda _, chosen=chosen: Tracker(chosen, tracker)  # noqa: E731
        for clip in clips.track(trackers, streams=streams, max_frames=args.frames):
            figures_of[folder].append(clip)
            rows.append((folder, clip.name, round(clip.mean_iou, 4)))
            print(*rows[-1], flush=True)
    rows.append((folder, "MEAN", round(float(np.mean([c.mean_iou for c in figures_of[folder]])), 4)))
    print(*rows[-1], flush=True)
every = [clip for figures in figures_of.values() for clip in figures]
rows.append(("all", "MEAN", round(float(np.mean([c.mean_iou for c in every])), 4)))
rows.append(("all", "AUC", round(float(score_auc(every)), 4)))
print(*rows[-2], *rows[-1])
args.out.parent.mkdir(parents=True, exist_ok=True)
with args.out.open("w", newline="") as file:
    csv.writer(file).writerows(rows)
