"""`PacketList`: the frames of a stream, derived from its packets without decoding.

If every packet gives one frame, a frame's number is the rank of its packet's stamp, and it can be decoded
from the last packet before it that needs no earlier one. The container's index and flags may be wrong, so
both facts are checked: each packet must be known to hold one whole picture, by its head where the codec has
one. Otherwise, or if any damage shows, there is no list.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import av.error

from dmtrack.video.container.damage import PICTURES, length_bytes, unit_type, units_of
from dmtrack.video.container.decoder import demuxed, packet_stamp
from dmtrack.video.container.stamps import presented

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_PROVEN_FRAMES: Final = 8
"""At least so many frames are decoded before the one that is sought, and must match the list."""
_HEAD_BYTES: Final = 64
_BEGIN_AFRESH: Final = {"h264": frozenset({5}), "hevc": frozenset(range(16, 22))}
"""Types of pictures that refer to no earlier one, nor does any shown later. Source: ITU-T H.264, H.265."""
_NOT_IN_A_UNIT: Final = re.compile(rb"\0\0[\0-\2]")
"""Lost bytes are often zeros; no unit holds these sequences. Source: ITU-T H.264, H.265, 7.3.1.1, 7.4.1."""
_ONE_EACH: Final = frozenset({"vp9", "av1", "ffv1", "png", *PICTURES})
"""Codecs with one picture per packet, besides all codecs whose pictures refer to no other."""


@dataclass(frozen=True, slots=True)
class PacketList:
    """The frames of a stream, by its packets."""

    stamps: Sequence[int]  # of all frames, rising
    begins: Sequence[int]  # stamps of the packets from which decoding can begin, rising

    @classmethod
    def of(cls, container: InputContainer, stream: VideoStream) -> PacketList | None:
        """List the packets of a stream from the current position; None if they do not determine the frames.

        Reads the opened container to its end.
        """
        codec = stream.codec_context.codec
        name = codec.canonical_name
        if not (codec.intra_only or name in _ONE_EACH) or stream.codec_context.has_b_frames < 0:
            return None
        stamps, begins = array("q"), array("q")
        length = length_bytes(name, stream.codec_context.extradata)
        damage: list[Exception] = []
        try:
            for packet in demuxed(container, stream, damage.append):
                stamp = packet_stamp(container, packet)
                if not packet.size:
                    continue
                begins_here = _begins_afresh(name, packet, length)
                if stamp is None or begins_here is None or damage or packet.is_corrupt:
                    return None
                if begins_here:
                    begins.append(stamp)
                elif not begins:
                    return None
                if not packet.is_discard:
                    stamps.append(stamp)
        except (av.error.FFmpegError, OSError):
            return None
        ordered = sorted(stamps)
        if not ordered or len(set(ordered)) < len(ordered) or ordered != presented(stamps):
            return None
        return cls(array("q", ordered), array("q", sorted(begins)))

    def begin_for(self, index: int) -> int:
        """Return the stamp of the packet to decode from, `_PROVEN_FRAMES` or more before the frame."""
        stamp = self.stamps[max(0, index - _PROVEN_FRAMES)]
        return self.begins[max(0, bisect_right(self.begins, stamp) - 1)]

    def has(self, index: int, stamp: int) -> bool:
        """Return whether frame `index` has this stamp."""
        return index < len(self.stamps) and self.stamps[index] == stamp


def _begins_afresh(name: str, packet: Packet[VideoStream], length: int) -> bool | None:
    """Return whether decoding can begin at a packet; None if it is damaged or has not just one picture."""
    data = memoryview(packet)
    if name in PICTURES:
        kind = _picture_type(name, bytes(packet), length)
        is_picture = kind in PICTURES[name]
        return kind in _BEGIN_AFRESH[name] and packet.is_keyframe if is_picture else None
    if name == "vp9":
        return packet.is_keyframe if _shows(data) else None
    return packet.is_keyframe if name == "rawvideo" or any(data[:_HEAD_BYTES]) else None


def _picture_type(name: str, data: bytes, length: int) -> int | None:
    """Return the type of the first unit with a picture; None if there is none, or damage."""
    units = units_of(data, length)
    if length and (
        sum(length + len(unit) for unit in units) != len(data) or any(map(_NOT_IN_A_UNIT.search, units))
    ):
        return None
    kinds = (unit_type(name, unit) for unit in units)
    return next((kind for kind in kinds if kind in PICTURES[name]), None)


def _shows(data: memoryview) -> bool:
    """Return whether a VP9 packet holds a picture that is shown.

    A packet of several pictures ends with an index, and one of its pictures is shown. Source: VP9 Bitstream &
    Decoding Process Specification, 6.2 and annex B.
    """
    if data[0] >> 6 != 2:
        return False
    if data[-1] >> 5 == 6:
        return True
    spare = 1 if data[0] & 0x30 == 0x30 else 0
    says_existing, shows = data[0] >> (3 - spare) & 1, data[0] >> (1 - spare) & 1
    return bool(says_existing or shows)
