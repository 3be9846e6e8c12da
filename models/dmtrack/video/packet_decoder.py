"""`PacketDecoder`: the frames of one stream of an opened file. Every exception of PyAV is translated here."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Final

import av.error

from dmtrack.errors import DecodeError

if TYPE_CHECKING:
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_CONSECUTIVE_DAMAGED: Final = 250
"""So many undecodable packets in a row end the reading: nothing after them can be trusted."""

_LOGGER = logging.getLogger(__name__)


class PacketDecoder:
    """Turns packets into frames; skips, counts and bounds those that do not decode.

    Attributes:
        damaged: Packets that did not decode cleanly so far.
        damaged_in_a_row: Of these, how many came last with no frame after them.

    Args:
        container: Opened, and at its start; closed with `close`.
        stream: The video stream wanted.
        path: What errors name.
    """

    device = "cpu"
    """Where it decodes."""

    def __init__(self, container: InputContainer, stream: VideoStream, path: Path) -> None:
        self.damaged = 0
        self.damaged_in_a_row = 0
        self._container = container
        self._stream = stream
        self._path = path
        self._packets = container.demux(stream)
        self._ready: deque[VideoFrame] = deque()
        self._decoded = 0
        self._drained = False

    def first_frame(self) -> VideoFrame:
        """Return the first frame.

        Raises:
            DecodeError: There is none.
        """
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
        except av.error.InvalidDataError as error:
            self._count_damage(error)
            self._packets = self._container.demux(self._stream)
        except (av.error.FFmpegError, OSError) as error:
            raise DecodeError(
                f"reading fails after frame {self._decoded}: {reason_of(error)}", where=self._path
            ) from error
        return None

    def _decode(self, packet: Packet[VideoStream]) -> None:
        is_flush = packet.size == 0 and packet.dts is None
        if packet.size == 0 and not is_flush:
            return  # AVI writes empty packets for "the picture before, again"
        try:
            frames = self._stream.codec_context.decode(None if is_flush else packet)
        except av.error.EOFError:
            self._drained = True
        except (av.error.FFmpegError, OSError, MemoryError) as error:
            self._count_damage(error)
        else:
            self._ready.extend(frames)
            if frames:
                self.damaged_in_a_row = 0
            self.damaged += sum(frame.is_corrupt for frame in frames)

    def _count_damage(self, error: Exception) -> None:
        self.damaged += 1
        self.damaged_in_a_row += 1
        _LOGGER.info("%s: damaged packet after frame %d: %s", self._path, self._decoded, reason_of(error))
        if self.damaged_in_a_row > MAX_CONSECUTIVE_DAMAGED:
            raise DecodeError(
                f"{self.damaged_in_a_row} damaged packets in a row after frame {self._decoded}",
                where=self._path,
                hint="the rest of the file is unusable; --end stops before it",
            ) from error


def reason_of(error: Exception) -> str:
    """Return libav's words for an error, without its number and internal function."""
    return str(getattr(error, "strerror", None) or error)
