"""How far fast precisions move boxes from exact mode, over annotated clips: pixels and mean IoU a target.

Each precision tracks every clip on its own from the first box, so that differences may add up, as they do in
use: crops are cut at whole pixels, so that a tracker goes another way once a box has moved a little. As a
yardstick, exact mode also runs from a start box that is moved by --nudge px. The step column leaves that out:
the fast network is shown the very crops and templates of exact mode, frame by frame. The distance of two
boxes is the largest difference of their edges; of a step, that of the box at the exact network's best cell.

    python benchmarks/precision_drift.py CLIPS [--weights tiny] [--precision bf16 --precision int8]
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dmtrack.bench.measure import edge_distances
from dmtrack.config import Precision
from dmtrack.datasets.opening import find_sequences
from dmtrack.datasets.sequence import Sequence as AnnotatedSequence
from dmtrack.evaluation.clips import ClipResult, one_pass
from dmtrack.geometry.box import Box
from dmtrack.network.backend import network_for
from dmtrack.network.head import HeadOutput
from dmtrack.network.inference import Network
from dmtrack.network.torch_network import TorchNetwork
from dmtrack.network.weights.store import ResolvedWeights, resolve_weights
from dmtrack.tracking.result import TrackedBox
from dmtrack.tracking.start import Targets, as_targets
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import FramePair, Modality


def fast_network(weights: ResolvedWeights, precision: Precision) -> Network:
    """Return what a CPU runs by default."""
    return network_for(weights, precision, torch.device("cpu"), "openvino")


class Beside:
    """Runs as the exact network, and notes what a fast one says to the same crops.

    Attributes:
        differences: For each step, the largest difference of box centre or size in shares of the crop's side.
    """

    def __init__(self, exact: Network, fast: Network) -> None:
        self._exact, self._fast = exact, fast
        self.config, self.streams, self.device = exact.config, exact.streams, exact.device
        self.differences: list[float] = []

    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """As the exact network."""
        tokens: Tensor = self._exact.embed_template(crops, boxes)
        return tokens

    def step(self, memory: Tensor, crops: Tensor, aux_share: Tensor | None = None) -> HeadOutput:
        """As the exact network."""
        exact: HeadOutput = self._exact.step(memory, crops, aux_share)
        fast = self._fast.step(
            memory.numpy(), crops.numpy(), None if aux_share is None else aux_share.numpy()
        )
        best = exact.score_map.flatten(1).argmax(dim=1)
        apart = exact.boxes_at(best).numpy() - fast.boxes_at(best.numpy())
        self.differences.append(float(abs(apart).max()))
        return exact


class Nudged(Tracker):
    """Starts from a box that is moved sideways."""

    nudge_px = 0.0

    def initialize(
        self, pair: FramePair, boxes: Targets, ids: Sequence[int] | None = None
    ) -> tuple[TrackedBox, ...]:
        """Move the boxes, then start."""
        given = [box for box in as_targets(boxes) if isinstance(box, Box)]
        moved = [dataclasses.replace(box, x=box.x + self.nudge_px) for box in given]
        return super().initialize(pair, moved, ids)


def tracked(
    clips: Sequence[AnnotatedSequence], weights: str, precision: Precision, nudge_px: float = 0.0
) -> list[ClipResult]:
    """Track every clip in one precision."""

    def tracker(modality: Modality | None) -> Tracker:
        resolved = resolve_weights(weights, modality)
        nudged = Nudged(fast_network(resolved, precision), resolved.tracker_config)
        nudged.nudge_px = nudge_px
        return nudged

    return [one_pass(tracker, clip) for clip in clips]


def steps_px(
    clips: Sequence[AnnotatedSequence], weights: str, precision: Precision
) -> dict[str, npt.NDArray[np.float64]]:
    """Return how far each step's box is from the exact one on the same crops, by target."""
    networks: list[tuple[Beside, float]] = []

    def tracker(modality: Modality | None) -> Tracker:
        resolved = resolve_weights(weights, modality)
        exact, fast = TorchNetwork(resolved.model), fast_network(resolved, precision)
        networks.append((Beside(exact, fast), resolved.tracker_config.search_factor))
        return Tracker(networks[-1][0], resolved.tracker_config)

    found = {}
    for clip in (one_pass(tracker, sequence) for sequence in clips):
        network, factor = networks[-1]
        boxes = clip.boxes[clip.start_frame :][: len(network.differences)]
        sides = factor * np.sqrt(boxes[:, 2] * boxes[:, 3])
        found[clip.name] = sides * np.array(network.differences[: len(sides)])
    return found


def distances_px(found: ClipResult, exact: ClipResult) -> npt.NDArray[np.float64]:
    """Return the largest difference of the four edges in each tracked frame."""
    apart = edge_distances(found.boxes, exact.boxes)[exact.start_frame + 1 :]
    return apart[np.isfinite(apart)]


def main() -> None:
    """Print a table a precision: one row a target, and one for all frames together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--weights", default="tiny")
    parser.add_argument("--nudge", type=float, default=0.05)
    parser.add_argument("--precision", action="append", help="default: bf16 and int8")
    asked = parser.parse_args()
    clips = find_sequences(asked.clips)
    exact = tracked(clips, asked.weights, "fp32")
    _say(f"fp32, start {asked.nudge} px off", exact, tracked(clips, asked.weights, "fp32", asked.nudge), {})
    for precision in asked.precision or ["bf16", "int8"]:
        found = tracked(clips, asked.weights, precision)
        _say(precision, exact, found, steps_px(clips, asked.weights, precision))


def _say(
    title: str,
    exact: Sequence[ClipResult],
    found: Sequence[ClipResult],
    steps: Mapping[str, npt.NDArray[np.float64]],
) -> None:
    """Print one table."""
    print(f"\n{title:30s} frames  step mean  step max   mean px    p95 px    max px  IoU fp32  IoU here")
    apart = [distances_px(one, true) for one, true in zip(found, exact, strict=True)]
    rows = [
        (one.name, distance, steps.get(one.name), true.mean_iou, one.mean_iou)
        for one, true, distance in zip(found, exact, apart, strict=True)
    ]
    every_step = np.concatenate(list(steps.values())) if steps else None
    means = [float(np.mean([one.mean_iou for one in figures])) for figures in (exact, found)]
    rows.append(("all frames, mean of targets", np.concatenate(apart), every_step, means[0], means[1]))
    for name, distance, step, true, here in rows:
        alone = f"{'':21s}" if step is None else f"{step.mean():11.3f}{step.max():10.3f}"
        figures = f"{distance.mean():10.3f}{np.percentile(distance, 95):10.3f}{distance.max():10.3f}"
        print(f"{name:30s} {len(distance):6d}{alone}{figures}{true:10.4f}{here:10.4f}")


if __name__ == "__main__":
    main()
