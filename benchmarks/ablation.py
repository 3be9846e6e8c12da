"""What each ingredient of training on real motion gives: each left out in turn, from one start and seed.

    python benchmarks/ablation.py RUNS THERMAL OPEN.safetensors CLIPS... [--steps 70] [--only "no video"]

RUNS holds `lite.safetensors`, `video`, `held_out` and `photographs`, as the commands of the model card make
them; OPEN are the weights that Lite0 was fitted to. Each variant is trained in `RUNS/ablation`, and goes on
where it was stopped. Losses are on the same samples for all, overlaps are of RGB alone without recovery.
`RUNS/ablation.csv` gets a row a batch and a row a clip; variants that are in it are not measured again.
"""

import argparse
import csv
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from robustness import Degradation, Streams, cell

from dmtrack.config import TINY_TRACKER
from dmtrack.datasets.opening import find_sequences
from dmtrack.network.model import DMTrack, normalize
from dmtrack.network.weights.store import resolve_weights
from dmtrack.synthetic.sample import SampleShape
from dmtrack.synthetic.sampling import TrainingSampler
from dmtrack.tracking.tracker import Tracker
from dmtrack.training.data import Batch, Sampler, collate
from dmtrack.training.objective import tracking_losses
from dmtrack.training.strong_sequences import StrongConfig, StrongSource
from dmtrack.training.train_config import TINY_FOUNDATION, Pictures

BATCHES, BATCH, FRAMES = 24, 16, 60
CONFIG = Path(__file__).parent.parent / "models/dmtrack/weights/motion.toml"

parser = argparse.ArgumentParser()
parser.add_argument("runs", type=Path)
parser.add_argument("thermal", type=Path)
parser.add_argument("open", type=Path)
parser.add_argument("clips", type=Path, nargs="+")
parser.add_argument("--steps", type=int, default=70)
parser.add_argument("--only", nargs="*")
args = parser.parse_args()
runs: Path = args.runs
lite, table = runs / "lite.safetensors", runs / "ablation.csv"

strong, video, synthetic = ["--strong"], ["--data", str(runs / "video")], ["--data", "synthetic"]
pictures = ["--photographs", str(runs / "photographs"), "--thermal-images", str(args.thermal)]
everything = strong + video + synthetic + pictures
#: What each starts from, and what `dmtrack train` is told besides.
variants: dict[str, tuple[Path, list[str]]] = {
    "all": (lite, everything),
    "no training": (lite, []),
    "no video": (lite, strong + synthetic + pictures),
    "no made-up samples": (lite, strong + video),
    "no --strong": (lite, video + synthetic + pictures),
    "no Lite0": (args.open, everything),
    "no pictures": (lite, strong + video + synthetic),
    "all, other seed": (lite, [*everything, "--seed", "1"]),
}


def trained(name: str) -> Path:
    """Train a variant to its end; return its weights."""
    start, words = variants[name]
    if not words:
        return start
    folder = runs / "ablation" / name.replace(" ", "_")
    command = [sys.executable, "-m", "dmtrack_cli", "train", "-o", str(folder), "--stage", "foundation"]
    command += ["--init", str(start), *words, "--config", str(CONFIG), "--steps", str(args.steps)]
    subprocess.run([*command, "--threads", "1", "--store", "fp16"], check=True)
    return folder / "weights.safetensors"


def batches(sampler: Sampler) -> Iterator[Batch]:
    """Draw batches for ever."""
    while True:
        yield collate([sampler.sample() for _ in range(BATCH)])


@torch.no_grad()
def loss(model: DMTrack, batch: Batch) -> float:
    """Return the loss that training lowers."""
    output = model(normalize(batch.templates), normalize(batch.search), batch.template_boxes)
    config = replace(TINY_FOUNDATION, quality_weight=0.0)
    return float(tracking_losses(output, batch.boxes, batch.visible, config, at_peak=False).total)


def overlaps(model: DMTrack, folder: Path) -> Iterator[tuple[str, str]]:
    """Track each clip of a folder; yield its name and its mean IoU."""
    config = replace(TINY_TRACKER, recovery=False)
    for clip in find_sequences(folder):
        tracked = cell(
            [clip], lambda _: Tracker(model, config), Degradation.CLEAN, Streams.RGB, max_frames=FRAMES
        )
        yield clip.name, f"{tracked[0].mean_iou:.5f}"


torch.set_num_threads(1)
samplers: dict[str, Sampler] = {
    "loss kept back": StrongSource.open(runs / "held_out", StrongConfig())(1),
    "loss made up": TrainingSampler(
        Pictures(runs / "photographs", args.thermal).sampler_config(SampleShape()), 2
    ),
}
samples = {name: list(islice(batches(sampler), BATCHES)) for name, sampler in samplers.items()}
rows = list(csv.reader(table.open())) if table.exists() else []
done = {row[0] for row in rows}
for name in dict.fromkeys(("all", *(args.only or variants))):
    if name in done:
        continue
    model = resolve_weights(str(trained(name)), None).model
    new = [
        [name, kind, str(k), f"{loss(model, batch):.5f}"]
        for kind, drawn in samples.items()
        for k, batch in enumerate(drawn)
    ]
    new += [[name, folder.name, *overlap] for folder in args.clips for overlap in overlaps(model, folder)]
    rows += new
    with table.open("a", newline="") as file:
        csv.writer(file).writerows(new)


def values(name: str, kind: str) -> npt.NDArray[np.float64]:
    """Return the figures of a variant: of one kind, or of every clip."""
    kinds = [kind] if kind else [folder.name for folder in args.clips]
    return np.array([float(row[3]) for row in rows if row[0] == name and row[1] in kinds])


for name in dict.fromkeys(row[0] for row in rows):
    print(name)
    for kind in (*samples, *(folder.name for folder in args.clips), ""):
        gain = values(name, kind) - values("all", kind)
        error = gain.std(ddof=1) / len(gain) ** 0.5
        mean = values(name, kind).mean()
        print(
            f"  {kind or 'every clip':16s} {mean:.3f}, {gain.mean():+.3f} to all (standard error {error:.3f})"
        )
