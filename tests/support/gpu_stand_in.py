"""Stands in for a CUDA device that decodes: gives what NVDEC gives, `nv12`, until it is to fail."""

from __future__ import annotations

from pathlib import Path

import av
from av.video.frame import VideoFrame

from dmtrack.errors import DecodeError
from dmtrack.video.decoder import PacketDecoder


class StandIn(PacketDecoder):
    """Decodes the first video stream of a file.

    Args:
        path: The file.
        fails_at: How many frames it gives before it fails; -1 never.
        how: `error`, `damage`, or `refused`: frames as libav gives them without a device.
    """

    def __init__(self, path: Path, *, fails_at: int = -1, how: str = "") -> None:
        container = av.open(str(path))
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        super().__init__(container, stream, path)
        self._fails_at, self._how = fails_at, how
        self._count = 0

    def next_frame(self) -> VideoFrame | None:
        """Return the next frame, or fail."""
        frame = super().next_frame()
        if self._count == self._fails_at:
            if self._how == "error":
                raise DecodeError("the device is gone")
            if self._how == "refused":
                return frame
            self.damaged += 1
        self._count += 1
        return None if frame is None else frame.reformat(format="nv12")
