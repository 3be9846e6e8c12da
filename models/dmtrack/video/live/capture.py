"""Where live pictures come from: a network stream through PyAV, or a camera through OpenCV."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

import av
import av.error
import cv2
import numpy as np

from dmtrack.errors import DecodeError, VideoError, reason_of
from dmtrack.video.container.damage import DamageCount
from dmtrack.video.container.decoder import demuxed
from dmtrack.video.container.picture_converter import PictureConverter
from dmtrack.video.container.video_file import exact_fraction
from dmtrack.video.frame import Pixels, VideoInfo
from dmtrack.video.live.address import PROTOCOLS, LiveAddress

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

TIME_BASE: Final = Fraction(1, 1_000_000)  # of the stamps of live frames
MAX_CONSECUTIVE_DAMAGED: Final = 500
_LARGEST_PROBE_BYTES: Final = 1_000_000
_LONGEST_PROBE_US: Final = 1_000_000

_PICTURES_HELD: Final = {"mpegts": 2, "rtsp": 1}
"""Frames that libav holds back, as measured: one in the parser, and another with MPEG-TS packets."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Captured:
    """One picture as it came, not yet turned into pixels."""

    # On `time.perf_counter`, less the fixed time for which libav is known to hold frames of the stream back
    arrival_s: float
    stamp_s: float | None  # time stamp of the stream, if it has one
    picture: VideoFrame | Pixels  # the decoded frame, or pixels


class Capture(Protocol):
    """A live stream; `pictures` and `describe` run in the reader's thread, `pixels` in the consumer's."""

    @property
    def damaged(self) -> int:
        """Packets that did not decode cleanly."""

    def pictures(self) -> Iterator[Captured]:
        """Open the stream and yield pictures as they come, until it ends.

        `VideoError`: it cannot be opened; `DecodeError`: it fails, or falls silent.
        """

    def describe(self, first: Captured, start_pts: int) -> VideoInfo:
        """Return what is known of the stream, given its first picture and the time stamp of that."""

    def pixels(self, captured: Captured) -> Pixels:
        """Return `(H, W, 3)` uint8 RGB, or `(H, W)`."""


def open_capture(address: LiveAddress, *, timeout_s: float) -> Capture:
    """Return the capture for an address; nothing is opened yet.

    `timeout_s` limits the wait for a network stream to open, and for each of its pictures.
    """
    if address.camera is not None:
        return CameraCapture(address)
    return NetworkCapture(address, timeout_s=timeout_s)


class NetworkCapture(Capture):
    """A network stream; `timeout_s` is its longest silence."""

    def __init__(self, address: LiveAddress, *, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._stream: VideoStream | None = None
        self._converter: PictureConverter | None = None
        self._in_a_row = 0
        self._damage = DamageCount()

    @property
    def damaged(self) -> int:
        """Packets that did not decode cleanly."""
        return self._damage.total

    def pictures(self) -> Iterator[Captured]:
        """Yield pictures; see `Capture`."""
        with self._open() as container:
            stream = self._stream = self._video_of(container)
            stream.thread_type = "SLICE"  # threads by frame would hold frames back
            time_base = float(exact_fraction(stream.time_base) or Fraction(1, 90_000))
            held_s = _held_back_s(container, stream)
            for packet in self._packets(container, stream):
                for frame in self._decoded(packet):
                    stamp_s = None if frame.pts is None else frame.pts * time_base
                    yield Captured(time.perf_counter() - held_s, stamp_s, frame)

    def describe(self, first: Captured, start_pts: int) -> VideoInfo:
        """Return what is known; see `Capture`."""
        frame = cast("VideoFrame", first.picture)
        self._converter = picture = PictureConverter(frame)
        stream = self._stream
        rate = None if stream is None else exact_fraction(stream.average_rate or stream.guessed_rate)
        codec = "unknown" if stream is None else stream.codec_context.name
        return VideoInfo(
            path=self._address.path,
            width=picture.width,
            height=picture.height,
            frame_rate=rate,
            time_base=TIME_BASE,
            start_pts=start_pts,
            frame_count=None,
            pixel_format=picture.pixel_format,
            codec=codec,
            bit_depth=picture.bit_depth,
            channels=picture.channels,
        )

    def pixels(self, captured: Captured) -> Pixels:
        """Return pixels; see `Capture`."""
        frame = cast("VideoFrame", captured.picture)
        if self._converter is None:
            self._converter = PictureConverter(frame)
        return self._converter(frame)

    def _open(self) -> InputContainer:
        address = self._address
        options = {
            "protocol_whitelist": PROTOCOLS[address.scheme or ""],
            "fflags": "nobuffer",
            "flags": "low_delay",
            "probesize": str(_LARGEST_PROBE_BYTES),
            "analyzeduration": str(_LONGEST_PROBE_US),
        }
        if address.scheme in ("rtsp", "rtsps"):
            options["rtsp_transport"] = "tcp"  # UDP loses packets without saying so
        if address.listens:
            options["rtsp_flags"] = "listen"
            options["listen_timeout"] = str(math.ceil(self._timeout_s))
        try:
            limits = (self._timeout_s, self._timeout_s)
            return av.open(address.url, options=options, timeout=limits, metadata_errors="replace")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            silent = isinstance(error, av.error.ExitError | av.error.TimeoutError)
            what = f"nothing came within {self._timeout_s:g} s" if silent else reason_of(error)
            raise VideoError(
                f"cannot be opened: {what}", where=address.shown, hint="is it sending, and to this address?"
            ) from error

    def _video_of(self, container: InputContainer) -> VideoStream:
        if not container.streams.video:
            raise VideoError("it has no video stream", where=self._address.shown)
        return container.streams.video[0]

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
        try:
            yield from demuxed(container, stream, self._count_damage)
        except (av.error.FFmpegError, OSError) as error:
            silent = isinstance(error, av.error.ExitError | av.error.TimeoutError)
            what = f"nothing came for {self._timeout_s:g} s" if silent else reason_of(error)
            raise DecodeError(f"the stream ended: {what}", where=self._address.shown) from error

    def _decoded(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        if packet.size:
            self._damage.look_at(packet)
        try:
            frames = packet.decode()
        except av.error.EOFError:
            return []
        except (av.error.FFmpegError, OSError) as error:
            self._count_damage(error, packet.pts)
            return []
        if frames:
            self._in_a_row = 0
        self._damage.look_at_decoded(frames)
        return frames

    def _count_damage(self, error: Exception, stamp: int | None = None) -> None:
        self._damage.add(stamp)
        self._in_a_row += 1
        _LOGGER.info("%s: damaged packet: %s", self._address.shown, reason_of(error))
        if self._in_a_row > MAX_CONSECUTIVE_DAMAGED:
            raise DecodeError(
                f"{self._in_a_row} damaged packets in a row", where=self._address.shown
            ) from error


def _held_back_s(container: InputContainer, stream: VideoStream) -> float:
    """Return for how many seconds libav holds a frame back, as only the start of the next shows its end."""
    rate = exact_fraction(stream.average_rate or stream.guessed_rate)
    return _PICTURES_HELD.get(container.format.name, 0) / float(rate) if rate else 0.0


class CameraCapture(Capture):
    """A camera of this machine."""

    damaged = 0

    def __init__(self, address: LiveAddress) -> None:
        self._address = address
        self._rate: Fraction | None = None

    def pictures(self) -> Iterator[Captured]:
        """Yield pictures; see `Capture`."""
        camera = self._opened()
        try:
            rate = camera.get(cv2.CAP_PROP_FPS)
            self._rate = Fraction(rate).limit_denominator(1001) if rate > 0 else None
            while True:
                is_there, picture = camera.read()
                if not is_there:
                    raise DecodeError("the camera gives no more pictures", where=self._address.text)
                yield Captured(time.perf_counter(), None, cast(Pixels, picture))
        finally:
            camera.release()

    def describe(self, first: Captured, start_pts: int) -> VideoInfo:
        """Return what is known; see `Capture`."""
        picture = cast(Pixels, first.picture)
        channels = 1 if picture.ndim == 2 else 3
        return VideoInfo(
            path=self._address.path,
            width=int(picture.shape[1]),
            height=int(picture.shape[0]),
            frame_rate=self._rate,
            time_base=TIME_BASE,
            start_pts=start_pts,
            frame_count=None,
            pixel_format="bgr24" if channels == 3 else "gray",
            codec="camera",
            bit_depth=picture.dtype.itemsize * 8,
            channels=channels,
        )

    def pixels(self, captured: Captured) -> Pixels:
        """Return pixels; see `Capture`."""
        picture = cast(Pixels, captured.picture)
        return picture if picture.ndim == 2 else cast(Pixels, np.ascontiguousarray(picture[..., ::-1]))

    def _opened(self) -> cv2.VideoCapture:
        place = self._address.camera
        on_linux = sys.platform.startswith("linux")
        device = Path(f"/dev/video{place}" if on_linux and isinstance(place, int) else str(place))
        if on_linux and not device.exists():
            raise VideoError("there is no such camera", where=device, hint="ls /dev/video* lists them")
        camera = cv2.VideoCapture(place if isinstance(place, int) else str(place))
        if not camera.isOpened():
            camera.release()
            hint = "does another program use it, or does the system forbid it?"
            raise VideoError("the camera cannot be opened", where=device, hint=hint)
        camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return camera
