"""How long it takes to score trackers on a benchmark of LasHeR's size: 245 sequences, 221 thousand frames.

    python benchmarks/evaluate_speed.py                 made-up boxes, 1 and 14 trackers
    python benchmarks/evaluate_speed.py lasher_test.zip  the real ground truth and results, copied 14 times

The numbers are those of `dmtrack evaluate RESULTS --dataset DATA` without a report: finding, reading and
scoring files, on one core, files in the cache.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dmtrack.datasets.annotations import read_annotations
from dmtrack.evaluation.benchmarks import BENCHMARKS, BenchmarkName
from dmtrack.evaluation.scoring import score_tracker
from dmtrack.evaluation.tracker_files import find_trackers, unpacked

SEQUENCES, FRAMES, TRACKERS = 245, 901, 14


def made_up(root: Path) -> None:
    """Write ground truth and one tracker."""
    rng = np.random.default_rng(0)
    for folder in ("gt", "tracker"):
        (root / folder).mkdir(parents=True)
    for number in range(SEQUENCES):
        truth = np.abs(np.cumsum(rng.integers(-3, 4, (FRAMES, 4)), axis=0)) + (200, 150, 40, 60)
        np.savetxt(root / "gt" / f"s{number:03d}.txt", truth, fmt="%d", delimiter=",")
        found = truth + rng.normal(0, 4, truth.shape)
        np.savetxt(root / "tracker" / f"s{number:03d}.txt", found, fmt="%.3f", delimiter=",")


def main() -> None:
    """Time one tracker, then as many as there are."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "data"
        if len(sys.argv) > 1:
            root = unpacked(Path(sys.argv[1]), root)
        else:
            made_up(root)
        first = next(path for path in sorted(root.iterdir()) if path.is_dir() and path.name != "gt")
        one, many = Path(scratch) / "one", Path(scratch) / "many"
        shutil.copytree(first, one / "t00")
        for number in range(TRACKERS):
            shutil.copytree(first, many / f"t{number:02d}")
        for folder in (one, one, many):
            begin, cpu = time.perf_counter(), time.process_time()
            data = read_annotations(root / "gt")
            trackers = find_trackers(folder, data.names)
            for tracker in trackers:
                score_tracker(tracker, data, BENCHMARKS[BenchmarkName.LASHER])
            frames = sum(map(len, data.sequences))
            wall, used = time.perf_counter() - begin, time.process_time() - cpu
            print(
                f"{len(trackers)} trackers, {len(data.sequences)} sequences, {frames} frames: "
                f"{wall:.2f} s ({used:.2f} s of processor time)"
            )


if __name__ == "__main__":
    main()
