"""`DamageCount`: packets that are damaged, also those of which a decoder does not tell.

Of many codecs libav decodes anything to some picture. What is damaged then is told by check sums of FFV1 and
of Matroska, by bytes that H.264 and HEVC never write, and by the counters of transport streams.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dmtrack.video.container.matroska import ClusterSums

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PICTURES: Final = {"h264": frozenset({1, 2, 3, 4, 5}), "hevc": frozenset(range(32))}
"""Types of units that hold a picture, or a part of it. Source: ITU-T H.264, H.265."""
_LOST: Final = b"\0\0\0"
"""What no unit holds but at its end; lost bytes are often zeros. Source: ITU-T H.264, H.265, 7.4.1."""
_FFV1, _FOOTER_BYTES = "ffv1", 8
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class DamageCount:
    """Counts the damaged packets of a stream, each once, whoever tells of it.

    `total` are those so far. `path` is that of the file; None: it is a live stream.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.total = 0
        self._clusters = None if path is None else ClusterSums(path)
        self._told: set[int] = set()
        self._is_told_ahead = self._has_sums = self._is_cut_next = False
        self._cut: int | None = None

    def add(self, stamp: int | None = None) -> None:
        """Count a packet, by its time of presentation."""
        if stamp is None or stamp not in self._told:
            self.total += not self._is_told_ahead
            self._is_told_ahead = False
        if stamp is not None:
            self._told.add(stamp)

    def look_at(self, packet: Packet[VideoStream]) -> None:
        """Count a packet that is to be decoded, if it tells."""
        if self._clusters is not None and packet.pos is not None and self._clusters.is_wrong(packet.pos):
            self.total += 1
            self._is_told_ahead = True  # of a packet in it
        if self._cut is not None and not packet.is_keyframe:  # before one, recordings may be joined
            self.add(self._cut)
        self._cut = packet.pts if self._is_cut_next else None
        self._is_cut_next = packet.is_corrupt  # libav marks the packet before
        if self._is_wrong(packet):
            self.add(packet.pts)

    def look_at_decoded(self, frames: Iterable[VideoFrame]) -> None:
        """Count frames of which the decoder tells, with the stamps that it gave them."""
        for frame in frames:
            if frame.is_corrupt:
                self.add(frame.pts)

    def _is_wrong(self, packet: Packet[VideoStream]) -> bool:
        context = packet.stream.codec_context
        codec = context.codec.canonical_name
        if codec == _FFV1:  # of which libav tells the log alone
            is_right = has_right_sums(bytes(packet))
            self._has_sums |= is_right
            return self._has_sums and not is_right
        return codec in PICTURES and any(
            unit_type(codec, unit) in PICTURES[codec] and _LOST in unit.rstrip(b"\0")
            for unit in units_of(bytes(packet), length_bytes(codec, context.extradata))
        )


def has_right_sums(packet: bytes) -> bool:
    """Return whether each slice of FFV1 has a check sum, and a right one; its footer says how long it is.

    Source: RFC 9043, section 4.9 (slice_size, slice_crc_parity); zlib takes the bits of a byte in reverse.
    """
    end = len(packet)
    while end > _FOOTER_BYTES:
        begin = end - _FOOTER_BYTES - int.from_bytes(packet[end - _FOOTER_BYTES :][:3], "big")
        if begin < 0 or ~zlib.crc32(packet[begin:end].translate(_REVERSED), 0xFFFFFFFF) & 0xFFFFFFFF:
            return False
        end = begin
    return end == 0 < len(packet)


def length_bytes(codec: str, extradata: bytes | None) -> int:
    """Return how many bytes say the length of each unit in a packet; 0 where start codes part them.

    Source: ISO/IEC 14496-15, the decoder configuration records of AVC and HEVC.
    """
    place = {"h264": 4, "hevc": 21}.get(codec, 0)
    if not place or extradata is None or len(extradata) <= place or extradata[0] != 1:
        return 0
    return 1 + (extradata[place] & 3)


def units_of(packet: bytes, length: int) -> list[bytes]:
    """Return the units of a packet of H.264 or HEVC that are whole, and not empty; see `length_bytes`."""
    if not length:
        return [unit for unit in packet.split(b"\0\0\1")[1:] if unit]
    units, end = [], 0
    while (begin := end + length) < len(packet):
        end = begin + int.from_bytes(packet[end:begin], "big")
        units.append(packet[begin:end] if end <= len(packet) else b"")
    return [unit for unit in units if unit]


def unit_type(codec: str, unit: bytes) -> int:
    """Return what a unit of H.264 or HEVC holds."""
    return unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
