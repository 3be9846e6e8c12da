"""How far apart the true boxes of neighbouring frames are in size: what no score can know.

    python benchmarks/truth_jitter.py ../shared/data/val ../shared/data/val_hard

A row a target: the median overlap of the true boxes of two frames in a row laid over each other's middle.
"""

import sys
from pathlib import Path

import numpy as np

from dmtrack.datasets.opening import find_sequences
from dmtrack.evaluation.overlap import iou_per_frame

if __name__ == "__main__":
    for folder in sys.argv[1:]:
        for clip in find_sequences(Path(folder)):
            sizes = np.asarray(clip.boxes)[np.asarray(clip.visible)]
            sizes[:, :2] = -sizes[:, 2:] / 2
            overlap = float(np.median(iou_per_frame(sizes[1:], sizes[:-1])))
            print(f"{clip.name:36s} {len(sizes):4d} {overlap:.2f}", flush=True)
