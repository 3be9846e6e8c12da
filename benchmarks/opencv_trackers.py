"""OpenCV's own trackers and the bundled weights over the same clips, in one run: mean IoU a target.

OpenCV's trackers see the RGB stream only. They are in `opencv-contrib-python`, which must not be
installed beside `opencv-python`: take an environment of its own.

    python -m venv contrib && contrib/bin/pip install . opencv-contrib-python
    contrib/bin/python benchmarks/opencv_trackers.py CLIPS
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from dmtrack.datasets.opening import find_sequences
from dmtrack.evaluation.clips import one_pass
from dmtrack.geometry.box import Box
from dmtrack.network.weights.store import resolve_weights
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.frame import FramePair, Modality

OPENCV: Final = ("CSRT", "KCF", "MIL")


class OpenCvTracker:
    """One of OpenCV's trackers, on the RGB stream; where it reports a failure the last box is held."""

    def __init__(self, name: str) -> None:
        self._make: Callable[[], Any] = getattr(cv2, f"Tracker{name}_create")
        self._tracker: Any = None
        self._box = Box(0, 0, 1, 1)

    def initialize(self, pair: FramePair, boxes: Sequence[Box]) -> tuple[TrackedBox, ...]:
        """Start on the first box."""
        self._box = boxes[0]
        self._tracker = self._make()
        x, y, w, h = (round(value) for value in self._box.xywh)
        self._tracker.init(self._picture(pair), (x, y, max(w, 2), max(h, 2)))
        return self._report(pair, 1.0, TrackState.INIT)

    def update(self, pair: FramePair) -> tuple[TrackedBox, ...]:
        """Find the target in the next frame."""
        found, (x, y, w, h) = self._tracker.update(self._picture(pair))
        if found and w > 0 and h > 0:
            self._box = Box(x, y, w, h)
        return self._report(pair, float(found), TrackState.TRACKED)

    @staticmethod
    def _picture(pair: FramePair) -> Any:  # noqa: ANN401 - an array as OpenCV types it
        return np.ascontiguousarray(pair.image[:, :, 2::-1])

    def _report(self, pair: FramePair, score: float, state: TrackState) -> tuple[TrackedBox, ...]:
        return (TrackedBox(pair.rgb.index, 1, self._box, score, state, pair.rgb.time_s),)


def main(folder: Path) -> None:
    """Print the table."""

    def bundled(modality: Modality | None) -> Tracker:
        weights = resolve_weights("tiny", modality)
        return Tracker(weights.model, weights.tracker_config)

    def other(name: str, _: Modality | None) -> OpenCvTracker:
        return OpenCvTracker(name)

    clips = find_sequences(folder)
    columns = {"dmtrack": [one.mean_iou for one in (one_pass(bundled, clip) for clip in clips)]}
    names = []
    for name in OPENCV:
        figures = [one_pass(partial(other, name), clip) for clip in clips]
        columns[name] = [one.mean_iou for one in figures]
        names = [one.name for one in figures]
    print(f"OpenCV {cv2.__version__}")
    print(f"{'target':28s} " + " ".join(f"{column:>8s}" for column in columns))
    for row, name in enumerate([*names, "mean"]):
        values = [np.mean(one) if row == len(names) else one[row] for one in columns.values()]
        print(f"{name:28s} " + " ".join(f"{value:8.3f}" for value in values))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
