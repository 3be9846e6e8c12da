"""Annotated video: H.264 in MP4 with the time stamps of the source, counted from the first picture.

While it is written, the file is a fragmented MP4 under a temporary name: whatever stops the run, its complete
fragments can be played. Closing copies the packets, without encoding again, into a plain MP4 with its index
in front, which every player can seek. The encoder never sees source times: it numbers frames, and packets get
their stamps afterwards, so that these are exact whatever the codec's own clock allows.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from dmtrack.atomic import PartFile, os_errors_translated, part_path, reserve
from dmtrack.drawing.draw import Layout, Mark, Picture, compose
from dmtrack.drawing.encoder import NOMINAL_RATE, choose_encoder, encoding_error
from dmtrack.drawing.mp4 import StampRepair, is_whole, mp4_timescale, mp4_unit, whole_fragments_bytes
from dmtrack.drawing.trail import PLAIN, Trails, VideoOptions
from dmtrack.errors import OutputError, counted
from dmtrack.output.sink import Sink
from dmtrack.tracking.result import FrameResult

_log = logging.getLogger(__name__)

_GROWING_FLAGS: Final = "frag_keyframe+delay_moov+default_base_moof"
_FINISHED_FLAGS: Final = "faststart"
_BT709: Final = np.array(
    [
        [0.18259, 0.61423, 0.06201, 16],
        [-0.10064, -0.33857, 0.43922, 128],
        [0.43922, -0.39894, -0.04027, 128],
    ]
)
"""From RGB to Y, Cb and Cr of limited range. Source: Rec. ITU-R BT.709-6, items 3.2 to 3.5."""
_TORN: Final = "the end of the video could not be written"
_TORN_HINT: Final = "is the disk full?"


class VideoWriter:
    """Writes pictures to an MP4 file, each with its own time stamp, in constant memory.

    Stamps are counted from the first picture, because a player would wait for any time before it. The first
    picture fixes the size (odd sides are padded by one px); later ones of another size are fitted to it.
    Without any picture no file is made.

    The CUDA device `gpu` encodes, if it can; None encodes on the CPU. `OutputError`: the file exists, or its
    folder cannot be made or written to.
    """

    def __init__(self, path: Path, *, overwrite: bool = False, gpu: int | None = None) -> None:
        self._path = reserve(path, overwrite=overwrite)
        self._part: PartFile | None = None
        self._gpu = gpu
        self._encoding: _Encoding | None = None
        self.pixel_aspect = Fraction(1)
        """Displayed width of a pixel over its height; may be set before the first picture."""
        self._origin_pts = 0
        self._closed = False

    @property
    def encoder(self) -> str | None:
        """Libav's name of the encoder; None before the first picture."""
        return None if self._encoding is None else self._encoding.encoder.name

    def write(self, picture: Picture, pts: int, time_base: Fraction) -> None:
        """Encode one picture.

        `picture` is `(H, W, 3)` uint8 RGB; `pts` counts `time_base` seconds. `OutputError`: the disk is full,
        or the video cannot be encoded; then only `close` may follow.
        """
        if self._closed:
            raise OutputError("writing failed before", where=self._path)
        try:
            if self._encoding is None:
                self._part = self._part or PartFile(self._path)
                unit, aspect = mp4_unit(time_base), self.pixel_aspect
                self._encoding = _Encoding(self._part.path, picture, unit, self._gpu, aspect)
                self._origin_pts = pts
            self._encoding.write(picture, pts - self._origin_pts, time_base)
        except (FFmpegError, OSError) as error:
            self._keep_whole_fragments()
            raise encoding_error(error, self._path) from error

    def close(self) -> None:
        """Finish the video under its final name; a second call does nothing.

        `OutputError`: the end cannot be written; the complete part of the video is kept.
        """
        part, encoding = self._part, self._encoding
        if self._closed or part is None or encoding is None:
            self._closed = True
            return
        repaired = encoding.stamps.repaired
        if repaired:
            _log.warning("%s: %s did not rise: moved", self._path, counted(repaired, "time stamp"))
        try:
            encoding.close()
            torn = not is_whole(part.path)
        except (FFmpegError, OSError) as error:
            self._keep_whole_fragments()
            raise encoding_error(error, self._path) from error
        if torn:
            self._keep_whole_fragments()
            raise OutputError(_TORN, where=self._path, hint=_TORN_HINT)
        self._closed = True
        if not self._published_with_index(part.path, encoding.stamps.unit):
            part.publish()
        part.discard()

    def _published_with_index(self, growing: Path, unit: Fraction) -> bool:
        """Publish a copy with the index in front under the final name; False if there is no space for it."""
        indexed = PartFile(self._path, part_path(self._path.with_name(f"{self._path.name}.indexed")))
        why = _TORN
        try:
            _copy_packets(growing, indexed.path, unit)
            if is_whole(indexed.path):
                indexed.publish()
                return True
        except (FFmpegError, OSError) as error:
            why = str(error)
        finally:
            indexed.discard()
        _log.warning("%s: stays a fragmented MP4, some players cannot seek it (%s)", self._path, why)
        return False

    def _keep_whole_fragments(self) -> None:
        """After a failure, cut off the incomplete part, and publish the rest if there is any."""
        self._closed = True
        if self._encoding is not None:
            self._encoding.abandon()
        if self._part is None:
            return
        with os_errors_translated(self._path):
            whole = whole_fragments_bytes(self._part.path)
            if not whole:
                self._part.discard()
                return
            with self._part.file() as file:
                file.truncate(whole)
        self._part.publish()


class VideoSink(Sink):
    """Draws every frame result and writes it to an MP4 with the time stamps of the RGB stream.

    `OutputError`: the file exists, or its folder cannot be made or written to.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        options: VideoOptions = PLAIN,
        *,
        overwrite: bool = False,
        gpu: int | None = None,
    ) -> None:
        self.writer = VideoWriter(path, overwrite=overwrite, gpu=gpu)
        self._layout = layout
        self._height_px = options.height_px
        self._trails = Trails(options.trail_frames)

    def write(self, result: FrameResult) -> None:
        """Draw and encode one frame."""
        rgb = result.pair.rgb
        for target in result.targets:
            self._trails.note(rgb.index, target)
        marks, trails = [Mark.of(target) for target in result.targets], self._trails.at(rgb.index)
        picture = compose(result.pair, marks, self._layout, (), trails, self._height_px)
        self.writer.write(picture, rgb.pts, rgb.time_base)

    def close(self) -> None:
        """Finish the video."""
        self.writer.close()


class _Encoding:
    """An open encoder with its fragmented MP4 file."""

    def __init__(
        self, path: Path, picture: Picture, unit: Fraction, gpu: int | None, pixel_aspect: Fraction
    ) -> None:
        height, width = (side + side % 2 for side in picture.shape[:2])
        self.encoder = choose_encoder(width, height, gpu)
        self.stamps = StampRepair(unit)
        self._stamp_of: dict[int, int] = {}
        self._frames = 0
        options = {
            "movflags": _GROWING_FLAGS,
            "movie_timescale": str(mp4_timescale(unit)),
            "flush_packets": "1",  # write each fragment to disk as soon as it is complete
        }
        self._container = av.open(str(path), "w", format="mp4", options=options)
        stream = self._container.add_stream(
            self.encoder.name, rate=NOMINAL_RATE, options=self.encoder.options
        )
        self._stream = cast(VideoStream, stream)
        self.encoder.configure(self._stream.codec_context, width, height, pixel_aspect)
        self._stream.time_base = unit

    def write(self, picture: Picture, pts: int, time_base: Fraction) -> None:
        self._stamp_of[self._frames] = self.stamps(pts, time_base)
        planes = _planes(_fitted(picture, self._stream.width, self._stream.height))
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = self._frames
        frame.time_base = Fraction(1, NOMINAL_RATE)
        self._frames += 1
        self._mux(self._stream.encode(frame))

    def close(self) -> None:
        self._mux(self._stream.encode(None))
        self._container.close()

    def abandon(self) -> None:
        """Close what is still open, ignoring errors."""
        with contextlib.suppress(FFmpegError, OSError, ValueError):
            self._container.close()

    def _mux(self, packets: Iterable[Packet[VideoStream]]) -> None:
        for packet in packets:
            if packet.pts is None:
                continue
            number = round(packet.pts * packet.time_base * NOMINAL_RATE)
            stamp = self._stamp_of.pop(number)
            # The last frame lasts as long as the one before; all others until the next stamp.
            packet.duration = self._stamp_of.get(number + 1, stamp + self.stamps.step) - stamp
            packet.time_base = self.stamps.unit
            packet.pts = packet.dts = stamp  # equal, as there are no B-frames
            self._container.mux(packet)


def _fitted(picture: Picture, width: int, height: int) -> Picture:
    """Return `picture` at the video's size: padded by one px if odd, scaled if it differs."""
    right, below = width - picture.shape[1], height - picture.shape[0]
    if right in (0, 1) and below in (0, 1):
        if not right and not below:
            return np.ascontiguousarray(picture)
        padded = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
        return np.asarray(padded, dtype=np.uint8)
    scaled = cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(scaled, dtype=np.uint8)


def _planes(picture: Picture) -> Picture:
    """Return `(3 H / 2, W)`, the planes of YUV 4:2:0, in half the time that libswscale takes."""
    whole = cv2.transform(picture, _BT709)
    half = cv2.resize(whole, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    planes = (cv2.extractChannel(whole, 0), cv2.extractChannel(half, 1), cv2.extractChannel(half, 2))
    return np.concatenate([plane.ravel() for plane in planes]).reshape(-1, picture.shape[1])


def _copy_packets(source: Path, target: Path, unit: Fraction) -> None:
    """Copy a fragmented MP4 into a plain one, with the same stamps and without encoding again."""
    options = {"movflags": _FINISHED_FLAGS, "movie_timescale": str(mp4_timescale(unit))}
    with av.open(str(source)) as reader, av.open(str(target), "w", format="mp4", options=options) as writer:
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        copy.time_base = stream.time_base
        for packet in reader.demux(stream):
            if packet.dts is None:  # the end marker
                continue
            packet.stream = copy
            writer.mux(packet)
