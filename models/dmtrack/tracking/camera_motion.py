"""How far the whole picture moved since the last frame, as when the camera turns."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

#: Longest side in px of the compared pictures, and the lowest correlation peak that is accepted.
_SIDE, _LEAST_PEAK = 160, 0.3


class CameraMotion:
    """Estimates the shift between consecutive frames by phase correlation; no rotation, no zoom."""

    def __init__(self) -> None:
        self._last: list[npt.NDArray[np.float32]] = []
        self._window: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)

    def shift_px(self, image: npt.NDArray[np.uint8]) -> tuple[float, float]:
        """Return how far right and down the static scene moved in `(H, W, 3 S)` since the last call.

        `(0, 0)` if that is unclear. The first stream with a clear shift counts: at night that is thermal.
        """
        small = [_reduced(image[..., stream]) for stream in range(1, image.shape[2], 3)]  # green
        last, self._last = self._last, small
        if self._window.shape != small[0].shape:
            self._window = cv2.createHanningWindow(small[0].shape[::-1], cv2.CV_32F).astype(np.float32)
        scale = max(image.shape[:2]) / max(small[0].shape)
        for before, now in zip(last, small, strict=False):
            if before.shape == now.shape:
                # Copies: OpenCV applies the window in place where no padding is needed.
                (dx, dy), peak = cv2.phaseCorrelate(before.copy(), now.copy(), self._window)
                if peak >= _LEAST_PEAK and math.isfinite(dx + dy):
                    return dx * scale, dy * scale
        return 0.0, 0.0


def _reduced(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    every = max(1, max(grey.shape) // (2 * _SIDE))  # a large picture first loses rows and columns
    grey = np.ascontiguousarray(grey[::every, ::every])
    scale = min(1.0, _SIDE / max(grey.shape))
    size = (max(2, round(grey.shape[1] * scale)), max(2, round(grey.shape[0] * scale)))
    small: npt.NDArray[np.float32] = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()  # else the window, which stands still, would correlate
    return small
