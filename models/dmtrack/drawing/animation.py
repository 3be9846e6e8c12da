"""Animations for reports and web pages: GIF and WebP, which loop wherever a picture is shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import av
import cv2
import numpy as np
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.stream import VideoStream

from dmtrack.atomic import PartFile, reserve
from dmtrack.drawing.draw import Picture
from dmtrack.drawing.encoder import NOMINAL_RATE, encoding_error, finish
from dmtrack.drawing.mp4 import StampRepair
from dmtrack.errors import OutputError

SUFFIXES: Final = (".gif", ".webp")
MOST_PICTURES: Final = 1500
"""About a minute: viewers hold all pictures of an animation in memory."""
HEIGHT_PX: Final = 360  # default height of animations
LEAST_STEP_S: Final = Fraction(3, 100)
"""Pictures closer than this to the one before are left out, so at most about 30 a second remain."""

_UNITS: Final = {".gif": Fraction(1, 100), ".webp": Fraction(1, 1000)}
_FORMATS: Final = {
    ".gif": ("gif", "pal8", {}),
    ".webp": ("libwebp_anim", "yuv420p", {"quality": "80", "compression_level": "4"}),
}


class AnimationWriter:
    """Writes pictures to a GIF (with a palette for each picture) or an animated WebP, with their time stamps.

    The first picture fixes the size. Without any picture no file is made. `OutputError`: the file exists, or
    its folder cannot be made or written to.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._path = reserve(path, overwrite=overwrite)
        self._suffix = path.suffix.lower()
        self._part: PartFile | None = None
        self._open: tuple[av.container.OutputContainer, VideoStream, Graph | None] | None = None
        self._stamp = StampRepair(_UNITS[self._suffix])
        self._origin_s = self._last_s = Fraction(0)
        self._pictures = 0
        self.pixel_aspect = Fraction(1)
        """Displayed width of a pixel over its height; may be set before the first picture."""

    def write(self, picture: Picture, pts: int, time_base: Fraction) -> None:
        """Encode one picture, unless it comes too soon after the one before.

        `picture` is `(H, W, 3)` uint8 RGB; `pts` counts `time_base` seconds. `OutputError`: there are too
        many pictures, the disk is full, or they cannot be encoded.
        """
        time_s = pts * time_base
        if self._pictures and 0 <= time_s - self._last_s < LEAST_STEP_S:
            return
        if self._pictures == MOST_PICTURES:
            hint = "choose a part with --start and --end, or write an .mp4"
            raise OutputError(f"holds {MOST_PICTURES} pictures, and no more", where=self._path, hint=hint)
        height, width = picture.shape[:2]
        size = (max(1, round(width * self.pixel_aspect)), height)
        if self._open is not None:
            size = (self._open[1].width, self._open[1].height)
        shown = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        try:
            if self._open is None:
                self._origin_s = time_s
                self._part = self._part or PartFile(self._path)
                self._open = self._opened_stream(self._part.path, *size)
            container, stream, palette = self._open
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="rgb24")
            unit = _UNITS[self._suffix]
            frame.pts, frame.time_base = self._stamp(round((time_s - self._origin_s) / unit), unit), unit
            if palette is not None:
                palette.push(frame)
                frame = cast(av.VideoFrame, palette.pull())
            for packet in stream.encode(frame):
                packet.duration = self._stamp.step  # the last picture lasts as long as the one before
                container.mux(packet)
        except UnknownCodecError:
            raise OutputError("this PyAV cannot encode it", where=self._path, hint="write an .mp4") from None
        except (FFmpegError, OSError) as error:
            raise encoding_error(error, self._path) from error
        self._last_s, self._pictures = time_s, self._pictures + 1

    def close(self) -> None:
        """Give the animation its final name, or raise `OutputError`; a second call does nothing."""
        part, opened = self._part, self._open
        self._part = self._open = None
        if part is None:
            return
        try:
            if opened is not None:
                finish(*opened[:2], self._path)
            if part.path.stat().st_size:
                part.publish()
        finally:
            part.discard()

    def _opened_stream(
        self, path: Path, width: int, height: int
    ) -> tuple[av.container.OutputContainer, VideoStream, Graph | None]:
        codec, pixel_format, options = _FORMATS[self._suffix]
        container = av.open(str(path), "w", format=self._suffix[1:], options={"loop": "0"})
        stream = cast(VideoStream, container.add_stream(codec, rate=NOMINAL_RATE, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.time_base = stream.time_base = _UNITS[self._suffix]
        return container, stream, _palette(stream) if pixel_format == "pal8" else None


def _palette(stream: VideoStream) -> Graph:
    """Return a filter graph that gives every picture its own palette of 256 colours."""
    graph = Graph()
    unit, pixels = stream.codec_context.time_base, VideoFormat("rgb24")
    source = graph.add_buffer(width=stream.width, height=stream.height, format=pixels, time_base=unit)
    split, made = graph.add("split"), graph.add("palettegen", "stats_mode=single")
    used, end = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(used, 0, 0)
    split.link_to(made, 1, 0)
    made.link_to(used, 0, 1)
    used.link_to(end)
    graph.configure()
    return graph
