"""The frames of one stream of an opened file, decoded on the processor or on a CUDA device (NVDEC).

`PacketDecoder` translates every exception of PyAV. `GpuDecoder` takes streams that a device decodes exactly
as the processor does: 8-bit 4:2:0 H.264, HEVC and VP9. (AV1 is decoded by libdav1d, on the processor only.)
A processor decoder of the same file stands by. At the first error, damaged packet, or refusal by the device,
it decodes from the front and drops the frames that were already given: no frame is lost, and damage is
counted as usual.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
import av.error
import numpy as np
from av.codec.codec import UnknownCodecError
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.reformatter import VideoReformatter

from dmtrack.errors import DecodeError, reason_of
from dmtrack.video.container.damage import DamageCount
from dmtrack.video.pictures.jpeg import said_bits

if TYPE_CHECKING:
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_CONSECUTIVE_DAMAGED: Final = 250
"""So many undecodable packets in a row end the reading: nothing after them can be trusted."""

_SEARCHED_BYTES: Final = 1 << 12
"""libav searches at least this far before it reports that it has found no packet yet."""
_REORDERED: Final = 32
_WITHOUT_TIMES: Final = frozenset({"avi"})
"""Containers that store an order but no presentation times; those that libav makes up fail with B-frames."""
_NO_TIMES: Final = 0x80  # AVFMT_NOTIMESTAMPS of libav
_JPEG: Final = "mjpeg"
_MOVED_UP: Final = frozenset({"jpeg2000", "jpegls", _JPEG})
_STRICT: Final = {"err_detect": "explode"}

_LOGGER = logging.getLogger(__name__)


def has_times(container: InputContainer) -> bool:
    """Return whether a container stores times at all; raw `.h264` and `.mjpeg` do not."""
    return not int(container.format.flags) & _NO_TIMES


def demuxed(
    container: InputContainer, stream: VideoStream, on_damage: Callable[[Exception], None] = lambda _: None
) -> Iterator[Packet[VideoStream]]:
    """Yield the packets of a stream; skip zeros that a recorder left, damage, and streams that begin later.

    `on_damage` is called with each piece of damage and may raise. FFmpeg's errors pass through where too many
    come in a row, or reading fails otherwise.
    """
    packets, idle = container.demux(stream), 0
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except IndexError:  # PyAV raises it for a stream that began after opening, such as sound
            packets = container.demux(stream)
        except (av.error.BlockingIOError, av.error.InvalidDataError) as error:
            idle += 1
            is_damage = isinstance(error, av.error.InvalidDataError)
            if idle > (MAX_CONSECUTIVE_DAMAGED if is_damage else container.size // _SEARCHED_BYTES + 100):
                raise
            if is_damage:
                on_damage(error)
            packets = container.demux(stream)
        else:
            idle = 0
            yield packet


def packet_stamp(container: InputContainer, packet: Packet[VideoStream]) -> int | None:
    """Return a packet's presentation time; AVI: its place in order; None where there is no time."""
    if not has_times(container):  # libav makes them up
        return None
    return packet.dts if container.format.name in _WITHOUT_TIMES else packet.pts


class PacketDecoder:
    """Turns packets into frames; skips, counts and bounds those that do not decode.

    Attributes so far: `packets` read, their size `read_bytes`, and `read_end`, the byte of the file where the
    last one ends (0: unknown); `damaged` packets, and `damaged_in_a_row`, those since the last frame; `lead`,
    the presentation times of packets before the first frame; `said_bits`, the bits of the counts where libav
    shifts them up to 8 or 16, None for other codecs.

    `container` is open and at its start; `close` closes it. `begin` is the stamp of the first packet to
    decode; None: the next one. There are no frames if a later keyframe comes before it.
    """

    device = "cpu"  # where it decodes

    @property
    def reading(self) -> PacketDecoder:
        """The decoder that reads the file: this one."""
        return self

    @property
    def damaged(self) -> int:
        """Packets that did not decode cleanly so far."""
        return self._damage.total

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures in pixels, as the stream now states."""
        context = self._stream.codec_context
        return context.width, context.height

    def __init__(
        self, container: InputContainer, stream: VideoStream, path: Path, begin: int | None = None
    ) -> None:
        self.damaged_in_a_row = 0
        self.packets = self.read_bytes = self.read_end = 0
        self.lead: list[int] = []
        self.said_bits: int | None = None
        self._container = container
        self._stream = stream
        self._path = path
        self._packets = demuxed(container, stream, self._count_damage)
        if begin is not None:
            self._packets = self._from_stamp(self._packets, begin)
        self._due: deque[int] | None = deque() if container.format.name in _WITHOUT_TIMES else None
        self._ready: deque[VideoFrame] = deque()
        self._decoded = 0
        self._drained = False
        self._damage = DamageCount(path)
        self._lenient: VideoCodecContext | None = None
        if stream.codec_context.name == _JPEG:
            stream.codec_context.options = {**stream.codec_context.options, **_STRICT}

    def first_frame(self) -> VideoFrame:
        """Return the first frame; `DecodeError` where there is none."""
        frame = self.next_frame()
        if frame is None:
            raise DecodeError("no frame can be decoded", where=self._path, hint="is the file complete?")
        return frame

    def next_frame(self) -> VideoFrame | None:
        """Return the next frame, or None at the end of the stream."""
        while not self._ready and not self._drained:
            packet = self._next_packet()
            if packet is not None:
                self._decode(packet)
        if not self._ready:
            return None
        self._decoded += 1
        return self._ready.popleft()

    def close(self) -> None:
        """Close the file. Doing so twice is harmless."""
        self._container.close()

    def _next_packet(self) -> Packet[VideoStream] | None:
        try:
            return next(self._packets)
        except StopIteration:
            self._drained = True
        except (av.error.FFmpegError, OSError) as error:
            raise DecodeError(
                f"reading fails after frame {self._decoded}: {reason_of(error)}", where=self._path
            ) from error
        return None

    def _from_stamp(
        self, packets: Iterator[Packet[VideoStream]], begin: int
    ) -> Iterator[Packet[VideoStream]]:
        for packet in packets:
            stamp = packet_stamp(self._container, packet)
            if stamp == begin:
                yield packet
                yield from packets
            elif packet.is_keyframe and stamp is not None and stamp > begin:
                return

    def _decode(self, packet: Packet[VideoStream]) -> None:
        is_flush = packet.size == 0 and packet.dts is None
        if not is_flush:
            self.packets += 1
            self.read_bytes += packet.size
            self.read_end = max(self.read_end, (packet.pos or 0) + packet.size)
            if not self._decoded and packet.pts is not None and packet.size and not packet.is_discard:
                self.lead.append(packet.pts)
            if not self._decoded and self._stream.codec_context.name in _MOVED_UP:
                self.said_bits = said_bits(bytes(packet))
        if packet.size == 0 and not is_flush:
            return  # in AVI an empty packet repeats the picture before
        if not is_flush:
            self._damage.look_at(packet)
        if self._due is not None and packet.dts is not None:
            self._due.append(packet.dts)
        try:
            frames = self._stream.codec_context.decode(None if is_flush else packet)
        except av.error.EOFError:
            self._drained = True
        except (av.error.FFmpegError, OSError, MemoryError) as error:
            self._count_damage(error, packet.pts)
            frames = self._seen_of(packet)
            if self._due and not frames:
                self._due.pop()
            self._take(frames)
        else:
            self._damage.look_at_decoded(frames)
            self._take(frames)

    def _take(self, frames: list[VideoFrame]) -> None:
        self._ready.extend(self._dated(frames))
        if frames:
            self.damaged_in_a_row = 0

    def _seen_of(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """Decode what is left of a damaged JPEG: libav gives it only with error detection off."""
        strict = self._stream.codec_context
        if strict.name != _JPEG:
            return []
        if self._lenient is None:
            self._lenient = av.CodecContext.create(_JPEG, "r")
            self._lenient.codec_tag, self._lenient.extradata = strict.codec_tag, strict.extradata
            self._lenient.options = {**strict.options, "err_detect": "0"}
        with suppress(av.error.FFmpegError):
            return self._lenient.decode(packet)
        return []

    def _dated(self, frames: list[VideoFrame]) -> list[VideoFrame]:
        """Give frames the packets' stamps, in order, where the container stores no presentation times."""
        if self._due is not None:
            for frame in frames:
                frame.pts = self._due.popleft() if self._due else None
            while len(self._due) > _REORDERED + self._stream.codec_context.thread_count:
                self._due.popleft()  # packets that gave no picture
        return frames

    def _count_damage(self, error: Exception, stamp: int | None = None) -> None:
        self._damage.add(stamp)
        self.damaged_in_a_row += 1
        _LOGGER.info("%s: damaged packet after frame %d: %s", self._path, self._decoded, reason_of(error))
        if self.damaged_in_a_row > MAX_CONSECUTIVE_DAMAGED:
            raise DecodeError(
                f"{self.damaged_in_a_row} damaged packets in a row after frame {self._decoded}",
                where=self._path,
                hint="the rest of the file is unusable; --end stops before it",
            ) from error


_CUDA: Final = "cuda"
_CODECS: Final = frozenset({"h264", "hevc", "vp9"})
_PIXEL_FORMATS: Final = frozenset({"yuv420p", "yuvj420p"})
_FROM_DEVICE: Final = "nv12"
"""The device's format for 8-bit 4:2:0: the samples of `yuv420p`, with U and V interleaved."""
_TRIAL_SIDE: Final = 256


class GpuDecoder:
    """Decodes one stream on a device, or on the processor where the device fails; the frames are the same.

    `standby` decodes the file on the processor, `device` on the CUDA device number `gpu`; neither has read
    anything yet.
    """

    def __init__(
        self, standby: PacketDecoder, device: PacketDecoder, pixel_format: str, gpu: int, path: Path
    ) -> None:
        self._standby = standby
        self._on_device: PacketDecoder | None = device
        self._pixel_format = pixel_format
        self._gpu = gpu
        self._path = path
        self._reformatter = VideoReformatter()
        self._given = 0

    @property
    def device(self) -> str:
        """Where it decodes now: `cuda:N` or `cpu`."""
        return self._standby.device if self._on_device is None else f"{_CUDA}:{self._gpu}"

    @property
    def reading(self) -> PacketDecoder:
        """The decoder that reads the file now."""
        return self._on_device or self._standby

    @property
    def damaged(self) -> int:
        """Packets that did not decode cleanly so far."""
        return self._standby.damaged

    @property
    def damaged_in_a_row(self) -> int:
        """Damaged packets since the last frame."""
        return self._standby.damaged_in_a_row

    def first_frame(self) -> VideoFrame:
        """Return the first frame; `DecodeError` where there is none."""
        frame = self.next_frame()
        if frame is None and self._on_device is not None:
            self._hand_over("it finds no frame")
        return self._standby.first_frame() if frame is None else frame

    def next_frame(self) -> VideoFrame | None:
        """Return the next frame, or None at the end of the stream."""
        if self._on_device is not None:
            try:
                return self._from_device(self._on_device)
            except _DeviceGivesUpError as error:
                self._hand_over(str(error))
        return self._standby.next_frame()

    def close(self) -> None:
        """Close the file. Doing so twice is harmless."""
        if self._on_device is not None:
            self._on_device.close()
        self._standby.close()

    def _from_device(self, device: PacketDecoder) -> VideoFrame | None:
        try:
            frame = device.next_frame()
        except DecodeError as error:
            raise _DeviceGivesUpError(str(error)) from error
        if device.damaged:
            raise _DeviceGivesUpError("a packet did not decode cleanly")
        if frame is None:
            return None
        if not self._given and frame.format.name != _FROM_DEVICE:
            raise _DeviceGivesUpError("it does not take this stream")
        if (frame.width, frame.height) != device.size:  # libav does not crop on the left and on top
            raise _DeviceGivesUpError("it gives pictures of another size")
        self._given += 1
        if frame.format.name != _FROM_DEVICE:  # libav fell back to the processor by itself
            return frame
        return self._reformatter.reformat(frame, format=self._pixel_format)

    def _hand_over(self, why: str) -> None:
        if self._on_device is not None:
            self._on_device.close()
            self._on_device = None
        done = f"{self._path}: cuda:{self._gpu} decodes {self._given} frames ({why})"
        _LOGGER.log(logging.WARNING if self._given else logging.INFO, "%s: the CPU does the rest", done)
        for _ in range(self._given):
            self._standby.next_frame()


class _DeviceGivesUpError(Exception):
    """The device cannot be used any more; the text says why."""


def suits_gpu(context: VideoCodecContext) -> bool:
    """Return whether devices decode this kind of stream exactly as the processor does."""
    return context.name in _CODECS and context.pix_fmt in _PIXEL_FORMATS


def accelerator(gpu: int) -> HWAccel:
    """Return the setting that makes libav decode on one CUDA device."""
    return HWAccel(device_type=_CUDA, device=str(gpu), allow_software_fallback=True)


def why_no_device(gpu: int = 0) -> str | None:
    """Return why libav cannot use this CUDA device, within milliseconds; None if it can."""
    if _CUDA not in hwdevices_available():
        return "this PyAV was built without CUDA"
    try:
        accelerator(gpu).create(av.Codec("h264", "r"))
    except PermissionError:  # libav raises it where the driver's library is missing
        return "there is no NVIDIA driver"
    except (av.error.FFmpegError, OSError) as error:
        return f"cuda:{gpu} cannot be opened: {reason_of(error)}"
    return None


def why_no_nvdec(gpu: int = 0) -> str | None:
    """Decode a trial picture on a CUDA device; return why it does not decode H.264, None if it does."""
    problem = why_no_device(gpu)
    if problem is not None:
        return problem
    try:
        context = av.CodecContext.create("h264", "r", accelerator(gpu))
        frames = [frame for packet in _trial_packets() for frame in context.decode(packet)]
        frames += context.decode(None)
    except UnknownCodecError:
        return "this PyAV has no libx264 to try it with"
    except (av.error.FFmpegError, OSError) as error:
        return reason_of(error)
    formats = {frame.format.name for frame in frames}
    return None if formats == {_FROM_DEVICE} else "the driver has no decoder (libnvcuvid)"


def _trial_packets() -> list[Packet[VideoStream]]:
    """Return the packets of one black H.264 picture."""
    context = av.CodecContext.create("libx264", "w")
    context.width = context.height = _TRIAL_SIDE
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, 30)
    black = np.zeros((_TRIAL_SIDE * 3 // 2, _TRIAL_SIDE), np.uint8)
    picture = av.VideoFrame.from_ndarray(black, format="yuv420p")
    return [*context.encode(picture), *context.encode(None)]
