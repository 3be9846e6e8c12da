"""`DamageCount`: counts damaged packets, also those that a decoder does not report.

With many codecs libav decodes even damaged data to some picture. Damage then shows in the check sums of FFV1
and Matroska, in bytes that H.264 and HEVC never write, and in the counters of transport streams.
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
"""Types of NAL units that hold a picture or a part of one. Source: ITU-T H.264, H.265."""
_LOST: Final = b"\0\0\0"
"""A unit holds these bytes only at its end; lost bytes are often zeros. Source: ITU-T H.264, H.265, 7.4.1."""
_FFV1, _FOOTER_BYTES = "ffv1", 8
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class DamageCount:
    """Counts the damaged packets of a stream, each once, whatever reports it.

    `total` is the count so far. `path` is the file; None for a live stream.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.total = 0
        self._clusters = None if path is None else ClusterSums(path)
        self._told: set[int] = set()
        self._is_told_ahead = self._has_sums = self._is_cut_next = False
        self._cut: int | None = None

    def add(self, stamp: int | None = None) -> None:
        """Count a damaged packet, unless one with the same presentation time was counted."""
        if stamp is None or stamp not in self._told:
            self.total += not self._is_told_ahead
            self._is_told_ahead = False
        if stamp is not None:
            self._told.add(stamp)

    def look_at(self, packet: Packet[VideoStream]) -> None:
        """Count a packet, before it is decoded, if its data or its container show damage."""
        if self._clusters is not None and packet.pos is not None and self._clusters.is_wrong(packet.pos):
            self.total += 1
            self._is_told_ahead = True  # a packet of this cluster may report the same damage
        if self._cut is not None and not packet.is_keyframe:  # at a keyframe, recordings may be joined
            self.add(self._cut)
        self._cut = packet.pts if self._is_cut_next else None
        self._is_cut_next = packet.is_corrupt  # libav marks the packet before the damaged one
        if self._is_wrong(packet):
            self.add(packet.pts)

    def look_at_decoded(self, frames: Iterable[VideoFrame]) -> None:
        """Count the frames that the decoder marked as corrupt, by its stamps."""
        for frame in frames:
            if frame.is_corrupt:
                self.add(frame.pts)

    def _is_wrong(self, packet: Packet[VideoStream]) -> bool:
        context = packet.stream.codec_context
        codec = context.codec.canonical_name
        if codec == _FFV1:  # libav reports its damage only to the log
            is_right = has_right_sums(bytes(packet))
            self._has_sums |= is_right
            return self._has_sums and not is_right
        return codec in PICTURES and any(
            unit_type(codec, unit) in PICTURES[codec] and _LOST in unit.rstrip(b"\0")
            for unit in units_of(bytes(packet), length_bytes(codec, context.extradata))
        )


def has_right_sums(packet: bytes) -> bool:
    """Return whether every slice of an FFV1 packet has a correct check sum; slice footers give their sizes.

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
    """Return the size in bytes of the length field before each unit; 0 where start codes separate units.

    Source: ISO/IEC 14496-15, the decoder configuration records of AVC and HEVC.
    """
    place = {"h264": 4, "hevc": 21}.get(codec, 0)
    if not place or extradata is None or len(extradata) <= place or extradata[0] != 1:
        return 0
    return 1 + (extradata[place] & 3)


def units_of(packet: bytes, length: int) -> list[bytes]:
    """Return the whole, non-empty units of an H.264 or HEVC packet; `length` is from `length_bytes`."""
    if not length:
        return [unit for unit in packet.split(b"\0\0\1")[1:] if unit]
    units, end = [], 0
    while (begin := end + length) < len(packet):
        end = begin + int.from_bytes(packet[end:begin], "big")
        units.append(packet[begin:end] if end <= len(packet) else b"")
    return [unit for unit in units if unit]


def unit_type(codec: str, unit: bytes) -> int:
    """Return the type number of an H.264 or HEVC unit."""
    return unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
