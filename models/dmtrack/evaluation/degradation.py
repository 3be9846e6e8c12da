"""Recordings made harder on purpose: a dark, blurred or lost RGB stream, or one stream alone.

They show what the second stream is worth on recordings whose RGB is fine.
"""

from __future__ import annotations

import collections.abc
from dataclasses import dataclass, replace
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.evaluation.one_pass import PairTracker
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox
from dmtrack.video.frame import FramePair

Image = npt.NDArray[np.uint8]

#: Light that is left in the dark, and the noise of a camera that turns its gain up, in grey levels.
DARK_GAIN, DARK_NOISE = 0.06, 4.0
#: Standard deviation of the blur, as a share of the frame's height.
BLUR_SHARE = 0.012
#: Frames without an RGB picture, counted from the first tracked one.
LOST_FRAMES = range(5, 35)


class Degradation(StrEnum):
    """What is done to the RGB stream after the first frame."""

    CLEAN = "clean"
    DARK = "dark"
    BLURRED = "blurred"
    LOST = "lost"


class Streams(StrEnum):
    """What the tracker is shown.

    `blank` keeps the two-stream network and blanks the second stream; `rgb` and `aux` show the
    one-stream foundation one of the two.
    """

    BOTH = "both"
    BLANK = "blank"
    RGB = "rgb"
    AUX = "aux"


def degrade(rgb: Image, kind: Degradation, frame: int) -> Image:
    """Return RGB pixels `(H, W, 3)` as the degraded camera would give them.

    Args:
        rgb: Left as it is.
        kind: What to do.
        frame: Frames since the start; also the seed of the noise. Frame 0 is never degraded.
    """
    if kind is Degradation.CLEAN or frame == 0:
        return rgb
    if kind is Degradation.DARK:
        noise = np.random.default_rng(frame).normal(0, DARK_NOISE, rgb.shape)
        return np.clip(rgb * DARK_GAIN + noise, 0, 255).astype(np.uint8)
    if kind is Degradation.BLURRED:
        return np.asarray(cv2.GaussianBlur(rgb, (0, 0), BLUR_SHARE * rgb.shape[0]), np.uint8)
    return np.zeros_like(rgb) if frame in LOST_FRAMES else rgb


def shown(pair: FramePair, streams: Streams, kind: Degradation, frame: int) -> FramePair:
    """Return the pair as the tracker is to see it."""
    rgb = degrade(pair.image[..., :3], kind, frame)
    if pair.image.shape[2] == 3 or streams is Streams.RGB:
        return replace(pair, image=rgb, modality=None, aux=None)
    aux = pair.image[..., 3:]
    if streams is Streams.AUX:
        return replace(pair, image=np.ascontiguousarray(aux), modality=None, aux=None)
    if streams is Streams.BLANK:
        aux = np.zeros_like(aux)
    return replace(pair, image=np.concatenate((rgb, aux), axis=2))


@dataclass(slots=True)
class DegradedView:
    """A tracker that sees every pair through `shown`."""

    tracker: PairTracker
    streams: Streams
    kind: Degradation
    frame: int = 0

    def initialize(self, pair: FramePair, boxes: collections.abc.Sequence[Box]) -> tuple[TrackedBox, ...]:
        """Start over; the first frame is shown undegraded."""
        self.frame = 0
        return self.tracker.initialize(shown(pair, self.streams, self.kind, 0), boxes)

    def update(self, pair: FramePair) -> tuple[TrackedBox, ...]:
        """Track in the degraded pair."""
        self.frame += 1
        return self.tracker.update(shown(pair, self.streams, self.kind, self.frame))
