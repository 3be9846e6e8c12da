"""Frames of a recording as JPEG files by index, for the slider of the web page."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dmtrack.drawing.draw import clock_text
from dmtrack.errors import DmtrackError, InputError
from dmtrack.run.start_boxes import DrawingScene
from dmtrack.video.frame import FramePair
from dmtrack.video.pairing import PairedSource
from dmtrack.video.pictures.picture_file import encoded_picture

_KEPT: Final = 160
_READ_BACK: Final = 24
"""Frames read before one that lies behind the current frame: the next step is often one back."""
_READ_ON: Final = 48  # a frame at most this far ahead is reached by reading on, others by reopening
_QUALITY: Final = 92
_CLOSE_WAIT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """A frame pair in a form that a browser can show."""

    index: int  # 0-based index of the RGB frame
    clock: str  # index and time, for people
    rgb: bytes  # JPEG
    aux: bytes | None  # JPEG on the RGB grid, or None without a second stream

    @classmethod
    def of(cls, pair: FramePair) -> ShownFrame:
        """Encode a pair."""
        rgb, aux = encoded_picture(pair.image[..., :3], ".jpg", _QUALITY), pair.aux_image
        second = None if aux is None else encoded_picture(aux, ".jpg", _QUALITY)
        return cls(pair.rgb.index, clock_text(pair), rgb, second)


class FrameShelf:
    """Reads frames in any order, caches the last ones, and may be used by several threads.

    The first frame of the scene is cached from the start.
    """

    def __init__(self, scene: DrawingScene) -> None:
        self._scene = scene
        self._lock = threading.Lock()
        self._shown = OrderedDict({scene.first.rgb.index: ShownFrame.of(scene.first)})
        self._source: PairedSource | None = None
        self._pairs: Iterator[FramePair] = iter(())
        self._next = 0

    def frame(self, index: int) -> ShownFrame:
        """Return the frame `index`, or the next one if it is missing.

        `DmtrackError`: there is no such frame, or it cannot be read.
        """
        with self._lock:
            if index not in self._shown:
                self._keep(index, self._read(index))
            self._shown.move_to_end(index)
            return self._shown[index]

    def close(self) -> None:
        """Close the recording, unless a slow read is in progress."""
        if self._lock.acquire(timeout=_CLOSE_WAIT_S):
            try:
                self._close_source()
            finally:
                self._lock.release()

    def _keep(self, index: int, pair: FramePair) -> None:
        self._shown[index] = ShownFrame.of(pair)
        while len(self._shown) > _KEPT:
            self._shown.popitem(last=False)

    def _read(self, index: int) -> FramePair:
        goes_back = self._source is not None and index < self._next
        if self._source is None or not self._next <= index <= self._next + _READ_ON:
            self._close_source()
            first = max(self._scene.lowest, index - _READ_BACK) if goes_back else index
            self._source = self._scene.open_at(first)
            self._pairs = iter(self._source)
        try:
            while (pair := next(self._pairs)).rgb.index < index:
                if goes_back:
                    self._keep(pair.rgb.index, pair)
        except (DmtrackError, StopIteration) as error:
            self._close_source()
            if isinstance(error, InputError):
                raise
            raise InputError(f"there is no frame {index}") from None
        self._next = pair.rgb.index + 1
        return pair

    def _close_source(self) -> None:
        if self._source is not None:
            self._source.close()
        self._source, self._pairs = None, iter(())
