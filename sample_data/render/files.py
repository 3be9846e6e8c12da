"""Writes clips so that the same frames give the same bytes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np

_FORMATS = {
    "rgb": ("libx264", "rgb24", "yuv420p"),
    "flat": ("png", "rgb24", "rgb24"),
    "gray16": ("ffv1", "gray16le", "gray16le"),
}


class VideoFile:
    """A video file: one thread, no dates, no random numbers inside.

    Args:
        path: Where to write; the ending chooses the container.
        kind: `rgb` for H.264, `flat` for lossless PNG pictures, `gray16` for lossless 16-bit FFV1.
        rate: Frames per second.
        start_s: Time of the first frame.
        options: Options of the encoder.
    """

    def __init__(
        self, path: Path, kind: str, rate: Fraction, *, start_s: Fraction = Fraction(0), **options: str
    ) -> None:
        codec, self._source, target = _FORMATS[kind]
        path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(path), "w", options={"fflags": "+bitexact"})
        self._stream = self._container.add_stream(codec, rate=rate)
        self._stream.pix_fmt = target
        self._stream.codec_context.thread_count = 1
        self._stream.options = {"flags": "+bitexact", "threads": "1", **options}
        self._tick = Fraction(1, 90000)
        self._stream.codec_context.time_base = self._tick
        self._rate, self._start_s, self._count = rate, start_s, 0

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()

    def write(self, pixels: np.ndarray) -> None:
        """Append one picture: `(H, W, 3)` uint8 or `(H, W)` uint16."""
        if self._count == 0:
            self._stream.height, self._stream.width = pixels.shape[:2]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=self._source)
        frame.pts = round((self._start_s + Fraction(self._count) / self._rate) / self._tick)
        frame.time_base = self._tick
        self._count += 1
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write a 16-bit gray PNG, well compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise OSError(f"cannot write {path}")


def write_boxes(path: Path, boxes: list[tuple[float, float, float, float]]) -> None:
    """Write one `x,y,w,h` row per colour frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(f"{v:.1f}" for v in box) + "\n" for box in boxes), encoding="ascii")
