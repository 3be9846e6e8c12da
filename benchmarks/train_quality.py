"""Train the quality tower on what its own tracker does on training clips: kept, drifted and lost boxes.

    python benchmarks/train_quality.py FOUNDATION.safetensors VIDEO PHOTOGRAPHS THERMAL OUT.safetensors

The rest of the network stays as it is, so its features are computed once and kept. Each clip is followed
forwards and backwards, with frames left out, in another light and with templates of several ages, until it
ends; where the target is lost, tracking goes on with what was found instead. Single samples, made up and from
the clips, come to that, a part of them without the target.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dmtrack.config import TINY_TRACKER, ModelConfig, TrackerConfig
from dmtrack.datasets.opening import find_sequences
from dmtrack.datasets.sequence import Sequence
from dmtrack.geometry.crop import Crop
from dmtrack.network.head import HeadOutput, Tower
from dmtrack.network.model import DMTrack, normalize
from dmtrack.network.weights.checkpoint import build_model, load_weights, save_weights
from dmtrack.synthetic.sample import SampleShape
from dmtrack.synthetic.sampling import TrainingSampler
from dmtrack.tracking.response import hann_window, size_penalty
from dmtrack.tracking.tracker import Tracker
from dmtrack.training.data import collate
from dmtrack.training.objective import box_overlap, corners
from dmtrack.training.strong_sequences import QUALITY_ABSENT_SHARE, Look, StrongConfig, StrongSource
from dmtrack.training.train_config import Pictures
from dmtrack.video.frame import FramePair, Modality
from dmtrack.video.pictures.picture_file import read_picture
from dmtrack.video.second.encoding import encode

#: How often a clip is followed, and for how many frames at most. Those of `dd_` have loose boxes.
RUNS, LOOSE_RUNS, MOST_FRAMES = 3, 1, 36
SINGLES, TOGETHER = 2400, 24
STEPS, WARM_UP, BATCH, RATE, DECAY = 700, 20, 64, 2e-3, 0.98
#: Of the loss, what the chosen cell gets; the rest goes to all cells by their score.
PEAK_SHARE = 0.6
#: Noise that the features get, as a share of their spread.
NOISE = 0.05


@dataclass
class Kept:
    """What is trained on, an entry a row: what the tower sees, each cell's overlap, each cell's weight."""

    features: list[Tensor] = field(default_factory=list)
    overlaps: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)

    def add(
        self, features: Tensor, output: HeadOutput, boxes: Tensor, visible: Tensor, peaks: Tensor
    ) -> None:
        """Keep a batch.

        Args:
            features: `(B, C, F, F)`.
            output: The maps of them.
            boxes: `(B, 4)` true cx, cy, w, h in fractions of the crop side.
            visible: `(B,)` 1.0 or 0.0.
            peaks: `(B,)` the chosen cells.
        """
        cells = output.boxes_cxcywh_norm().flatten(2).transpose(1, 2)
        count = cells.shape[1]
        truth = corners(boxes).repeat_interleave(count, 0)
        iou, _ = box_overlap(corners(cells.flatten(0, 1)), truth)
        score = output.score_map.flatten(1)
        weight = (1 - PEAK_SHARE) * score / score.sum(1, keepdim=True)
        weight.scatter_add_(1, peaks[:, None], torch.full_like(weight[:, :1], PEAK_SHARE))
        self.features += list(features.half())
        self.overlaps += list((iou.view(-1, count) * visible[:, None]).half())
        self.weights += list(weight.half())


class Watched:
    """A plain network as the tracker wants it, that remembers what its head saw last."""

    streams = 1

    def __init__(self, model: DMTrack) -> None:
        self.model = model
        self.config: ModelConfig = model.config
        self.device = torch.device("cpu")
        self.seen: tuple[Tensor, HeadOutput] | None = None

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Turn crops and the boxes in them into tokens."""
        return self.model.embed_template(normalize(crops), boxes)

    def step(self, memory: Tensor, crops: Tensor, aux_share: Tensor | None = None) -> HeadOutput:
        """Search the crops."""
        self.seen = see(self.model, memory, self.model.embed_search(normalize(crops)))
        return self.seen[1]


def see(model: DMTrack, memory: Tensor, search: Tensor) -> tuple[Tensor, HeadOutput]:
    """Return the features `(B, C, F, F)` that the head reads, and its maps."""
    encoded = model.encode(memory, search)
    side = model.config.search_grid
    grid = encoded[:, -side * side :].transpose(1, 2).reshape(len(encoded), -1, side, side)
    return grid, model.foundation.head(grid)


def follow(model: DMTrack, sequence: Sequence, rng: np.random.Generator, kept: Kept) -> None:
    """Track one clip once, from somewhere, and keep every step."""
    watched = Watched(model)
    interval = int(rng.choice((2, 5, 18)))
    config = replace(  # one search region a frame
        TINY_TRACKER, recovery=False, leaps=False, update_interval=interval, update_score=0.0
    )
    tracker = Tracker(watched, config)
    window = torch.from_numpy(hann_window(model.config.search_grid)).to(watched.device)
    step = int(rng.choice((1, 1, 2, 3, 4)))
    begin = int(rng.integers(0, max(len(sequence) // 3, 1)))
    frames = list(range(begin, len(sequence), step))
    if rng.random() < 0.5:
        frames = [len(sequence) - 1 - frame for frame in frames]
    look = Look.draw(rng, 0.2)
    before = None
    for frame in [frame for frame in frames if sequence.visible[frame]][:MOST_FRAMES]:
        truth = sequence.box(frame)
        picture = encode(read_picture(sequence.rgb_paths[frame]), Modality.THERMAL)  # leaves 8-bit colour
        pair = FramePair.of(look.varied(rng).apply(picture))
        if before is None:
            (before,) = (tracked.box for tracked in tracker.initialize(pair, [truth]))
            continue
        crop = Crop.around(before, config.search_factor, model.config.search_size)
        previous = torch.tensor([[before.w / crop.side_px, before.h / crop.side_px]])
        tracker.update(pair)
        before = tracker._targets[0].box  # the followed box, not the reported one
        assert watched.seen is not None
        features, output = watched.seen
        placed = torch.tensor([crop.from_frame(truth)], dtype=torch.float32)
        inside = ((placed[:, :2] > 0) & (placed[:, :2] < 1)).all(1)
        kept.add(features, output, placed, inside.float(), chosen_cell(output, window, previous, config))


def chosen_cell(output: HeadOutput, window: Tensor, previous: Tensor, config: TrackerConfig) -> Tensor:
    """Return the cells `(B,)` that a tracker chooses, see `choose_peak`."""
    score = output.score_map * size_penalty(output, previous, config.size_penalty)
    response = (1 - config.window_weight) * score + config.window_weight * window
    cells: Tensor = response.flatten(1).argmax(dim=1)
    return cells


def single_samples(model: DMTrack, video: Path, pictures: Pictures, kept: Kept) -> None:
    """Keep samples that no tracker led to."""
    samplers = (
        StrongSource.open(video, StrongConfig(absent_share=QUALITY_ABSENT_SHARE))(21),
        TrainingSampler(pictures.sampler_config(SampleShape()), 22),
    )
    window = torch.from_numpy(hann_window(model.config.search_grid))
    for _ in range(0, SINGLES, TOGETHER):
        batch = collate([samplers[k % 2].sample() for k in range(TOGETHER)])
        templates = normalize(batch.templates).flatten(0, 1)
        tokens = model.embed_template(templates, batch.template_boxes.flatten(0, 1))
        memory = tokens.reshape(1, TOGETHER, -1, tokens.shape[3])
        features, output = see(model, memory, model.embed_search(normalize(batch.search)))
        cells = chosen_cell(output, window, batch.boxes[:, 2:], TINY_TRACKER)
        kept.add(features, output, batch.boxes, batch.visible.float(), cells)


def train(tower: Tower, kept: Kept) -> None:
    """Train the tower; it gets the running average of its weights."""
    features, overlaps, weights = (torch.stack(t) for t in (kept.features, kept.overlaps, kept.weights))
    tower.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(tower.parameters(), lr=RATE, weight_decay=0.05)
    average = {name: value.clone() for name, value in tower.state_dict().items()}
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / WARM_UP, 1.3 * (1 - step / STEPS))
        rows = torch.randint(len(features), (BATCH,))
        seen = features[rows].float()
        seen = seen + NOISE * seen.std() * torch.randn_like(seen)
        quality = tower(seen).sigmoid().clamp(1e-4, 1 - 1e-4).flatten(1)
        overlap = overlaps[rows].float()
        entropy = overlap * quality.log() + (1 - overlap) * (1 - quality).log()
        loss = -(weights[rows].float() * entropy).sum(1).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        decay = min(DECAY, (1 + step) / (10 + step))
        for name, value in tower.state_dict().items():
            average[name] = average[name].lerp(value, 1 - decay) if value.is_floating_point() else value
        if step % 100 == 99:
            print(f"step {step + 1}: loss {float(loss.detach()):.4f}", flush=True)
    tower.load_state_dict(average)


def main() -> None:
    """Read the command line, train and write."""
    parser = argparse.ArgumentParser()
    for name in ("foundation", "video", "photographs", "thermal", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    torch.manual_seed(0)
    rng = np.random.default_rng(11)
    weights = load_weights(args.foundation)
    model = build_model(weights)
    tower = model.foundation.head.quality
    assert tower is not None
    kept = Kept()
    with torch.no_grad():
        for sequence in find_sequences(args.video):
            for _ in range(LOOSE_RUNS if sequence.name.startswith("dd_") else RUNS):
                follow(model, sequence, rng, kept)
        print(f"{len(kept.features)} steps of the tracker", flush=True)
        single_samples(model, args.video, Pictures(args.photographs, args.thermal), kept)
    train(tower, kept)
    save_weights(args.out, model.state_dict(), replace(weights.meta, source_name=args.out.name))


if __name__ == "__main__":
    main()
