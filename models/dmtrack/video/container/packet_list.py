"""`PacketList`: what the packets of a stream tell of its frames, without decoding one.

Where every packet gives one frame, the number of a frame is the place of its packet's stamp among all, and it
is decoded from the last packet before it from which decoding can begin afresh. Neither is taken from the
container alone: an index may be wrong, a flag too. Of what libav decodes only such packets are listed as are
known to hold one whole picture each, by the head of each packet where the codec has one; anything else, and
any damage that shows, and there is no list.
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
"""So many frames at least are decoded on the way to the one that is sought, and must be those of the list."""
_HEAD_BYTES: Final = 64
_BEGIN_AFRESH: Final = {"h264": frozenset({5}), "hevc": frozenset(range(16, 22))}
"""Types of pictures that refer to none before them, nor does any shown later. Source: ITU-T H.264, H.265."""
_NOT_IN_A_UNIT: Final = re.compile(rb"\0\0[\0-\2]")
"""Lost bytes are often zeros, which no unit holds in a row. Source: ITU-T H.264, H.265, 7.3.1.1, 7.4.1."""
_ONE_EACH: Final = frozenset({"vp9", "av1", "ffv1", "png", *PICTURES})
"""Codecs whose packets hold one picture each, as all do that know no reference to another picture."""


@dataclass(frozen=True, slots=True)
class PacketList:
    """The frames of a stream as its packets tell."""

    stamps: Sequence[int]  # of all frames, rising
    begins: Sequence[int]  # stamps of the packets from which decoding can begin, rising

    @classmethod
    def of(cls, container: InputContainer, stream: VideoStream) -> PacketList | None:
        """Read all packets of a stream from here on; None where they do not tell the frames.

        The opened container is read to the end.
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
        """Return the stamp of the packet from which a frame is decoded, a few frames before it at least."""
        stamp = self.stamps[max(0, index - _PROVEN_FRAMES)]
        return self.begins[max(0, bisect_right(self.begins, stamp) - 1)]

    def has(self, index: int, stamp: int) -> bool:
        """Return whether a frame of this number has this stamp."""
        return index < len(self.stamps) and self.stamps[index] == stamp


def _begins_afresh(name: str, packet: Packet[VideoStream], length: int) -> bool | None:
    """Return whether decoding can begin with a packet; None if it is damaged or does not hold one picture."""
    data = memoryview(packet)
    if name in PICTURES:
        kind = _picture_type(name, bytes(packet), length)
        is_picture = kind in PICTURES[name]
        return kind in _BEGIN_AFRESH[name] and packet.is_keyframe if is_picture else None
    if name == "vp9":
        return packet.is_keyframe if _shows(data) else None
    return packet.is_keyframe if name == "rawvideo" or any(data[:_HEAD_BYTES]) else None


def _picture_type(name: str, data: bytes, length: int) -> int | None:
    """Return the type of the first unit with a picture; None: there is none, or damage."""
    units = units_of(data, length)
    if length and (
        sum(length + len(unit) for unit in units) != len(data) or any(map(_NOT_IN_A_UNIT.search, units))
    ):
        return None
    kinds = (unit_type(name, unit) for unit in units)
    return next((kind for kind in kinds if kind in PICTURES[name]), None)


def _shows(data: memoryview) -> bool:
    """Return whether a packet of VP9 holds a picture that is shown.

    Source: VP9 Bitstream & Decoding Process Specification, 6.2 and annex B: a packet of several pictures ends
    with an index, and one of them is shown.
    """
    if data[0] >> 6 != 2:
        return False
    if data[-1] >> 5 == 6:
        return True
    spare = 1 if data[0] & 0x30 == 0x30 else 0
    says_existing, shows = data[0] >> (3 - spare) & 1, data[0] >> (1 - spare) & 1
    return bool(says_existing or shows)
