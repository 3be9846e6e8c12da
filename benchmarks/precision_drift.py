"""How far fast precisions move boxes from exact mode, over annotated clips: pixels and mean IoU a target.

Each precision tracks every clip on its own from the first box, so that differences may add up, as they do in
use. The distance of two boxes is the largest difference of their edges.

    python benchmarks/precision_drift.py CLIPS [--weights tiny] [--precision bf16 --precision int8]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dmtrack.evaluation.clips import ClipFigures, ClipFolder
from dmtrack.network.inference import inference_network
from dmtrack.network.precision import Precision
from dmtrack.network.store import resolve_weights
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import Modality


def tracked(clips: ClipFolder, weights: str, precision: Precision) -> list[ClipFigures]:
    """Track every clip in one precision."""

    def tracker(modality: Modality | None) -> Tracker:
        resolved = resolve_weights(weights, modality)
        return Tracker(inference_network(resolved.model, precision), resolved.tracker_config)

    return list(clips.track(tracker))


def distances_px(found: ClipFigures, exact: ClipFigures) -> npt.NDArray[np.float64]:
    """Return the largest difference of the four edges in each tracked frame."""
    edges = [
        np.concatenate((r.boxes[:, :2], r.boxes[:, :2] + r.boxes[:, 2:]), axis=1)
        for r in (found.result, exact.result)
    ]
    apart: npt.NDArray[np.float64] = np.abs(edges[0] - edges[1]).max(axis=1)[exact.result.start_frame + 1 :]
    return apart[np.isfinite(apart)]


def main() -> None:
    """Print one row a target, and one for all frames together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--weights", default="tiny")
    parser.add_argument("--precision", action="append", help="default: bf16 and int8")
    asked = parser.parse_args()
    clips = ClipFolder(asked.clips)
    exact = tracked(clips, asked.weights, "fp32")
    for precision in asked.precision or ["bf16", "int8"]:
        title = f"{precision} against fp32"
        print(f"{title:30s} frames   mean px   p95 px   max px   IoU fp32   IoU {precision}")
        found = tracked(clips, asked.weights, precision)
        apart = [distances_px(one, true) for one, true in zip(found, exact, strict=True)]
        for one, true, distance in zip(found, exact, apart, strict=True):
            _say(one.name, distance, true.mean_iou, one.mean_iou)
        means = [float(np.mean([one.mean_iou for one in figures])) for figures in (exact, found)]
        _say("all frames, mean of targets", np.concatenate(apart), *means)


def _say(name: str, apart: npt.NDArray[np.float64], exact: float, found: float) -> None:
    mean, high, largest = apart.mean(), np.percentile(apart, 95), apart.max()
    print(f"{name:30s} {len(apart):6d} {mean:9.3f} {high:8.3f} {largest:8.3f} {exact:10.4f} {found:10.4f}")


if __name__ == "__main__":
    main()
