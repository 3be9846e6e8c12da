"""How far a fast precision moves boxes from exact mode (torch, fp32), on the recording of `dmtrack bench`."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch

from dmtrack.geometry.box import Box
from dmtrack.network.backend import inference_network
from dmtrack.network.weights.store import ResolvedWeights
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.pairing import open_pair
from dmtrack_cli.bench_clip import BenchClip
from dmtrack_cli.bench_stages import WARM_UP, Effort

Boxes = Sequence[Sequence[Box]]
"""The boxes of all targets in each frame, from the second frame of the recording on."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How far boxes are from the exact ones: of each, the edge that is furthest off.

    Attributes:
        mean_px: Mean over all targets of all frames.
        largest_px: The largest of them.
        frames: How many were compared.
    """

    mean_px: float
    largest_px: float
    frames: int

    @classmethod
    def between(cls, found: Boxes, exact: Boxes) -> Self:
        """Compare the frames that both have."""
        frames = list(zip(found, exact, strict=False))
        apart = [
            max(abs(a - b) for a, b in zip(box.xyxy, true.xyxy, strict=True))
            for boxes, truth in frames
            for box, true in zip(boxes, truth, strict=True)
        ]
        return cls(statistics.fmean(apart), max(apart), len(frames))


class ExactBoxes:
    """Tracks in exact mode what others are compared with, once for each weights and number of targets.

    Frames are read again and not kept from the measurement of the stages: that costs little beside exact
    mode, any recording's frames fit, and the stages are measured with memory as it is in use.

    Args:
        clip: The recording.
        effort: How many frames, and for how long.
    """

    def __init__(self, clip: BenchClip, effort: Effort) -> None:
        self._clip = clip
        self._effort = effort
        self._known: dict[tuple[str, int], Boxes] = {}

    def keep(self, weights: ResolvedWeights, boxes: Boxes) -> None:
        """Take what was tracked in exact mode elsewhere."""
        self._known[weights.name, len(boxes[0])] = boxes

    def of(self, weights: ResolvedWeights, targets: int, device: torch.device) -> Boxes:
        """Return the boxes, tracked on this device if they are not known.

        Raises:
            InputError: The recording cannot be read.
        """
        if (weights.name, targets) not in self._known:
            self.keep(weights, self._track(weights, targets, device))
        return self._known[weights.name, targets]

    def _track(self, weights: ResolvedWeights, targets: int, device: torch.device) -> Boxes:
        tracker = Tracker(inference_network(weights.model, device=device), weights.tracker_config)
        boxes: list[list[Box]] = []
        with open_pair(self._clip.rgb, self._clip.aux, modality=self._clip.modality) as pairs:
            rest = iter(pairs)
            tracker.initialize(next(rest), self._clip.boxes(targets))
            begin = time.perf_counter()
            for pair in itertools.islice(rest, self._effort.frames + WARM_UP):
                boxes.append([target.box for target in tracker.update(pair)])
                if time.perf_counter() - begin > self._effort.limit_s:
                    break
        return boxes
