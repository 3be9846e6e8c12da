"""What a Matroska file states about itself: its length, and the check sums of its clusters."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO, Final

EBML, CLUSTER, HEAD_BYTES = b"\x1a\x45\xdf\xa3", b"\x1f\x43\xb6\x75", 1 << 12
_SEGMENT: Final = b"\x18\x53\x80\x67"
_SUM: Final = b"\xbf\x84"  # a check sum of four bytes, the first element of its parent
_ELEMENT_BYTES, _CHUNK_BYTES = 12, 1 << 20


def element(head: bytes) -> tuple[bytes, int, int | None] | None:
    """Return an element's id, where its content begins in `head`, and its length in bytes, None if unknown.

    None: there is no element. Source: RFC 8794, sections 4 and 5.
    """
    place = 9 - head[0].bit_length() if head and head[0] else len(head)
    if place >= len(head) or not head[place]:
        return None
    begin = place + 9 - head[place].bit_length()
    limit = 1 << 7 * (begin - place)
    size = int.from_bytes(head[place:begin], "big") - limit
    return head[:place], begin, None if size == limit - 1 else size


def segment(head: bytes) -> tuple[int, int | None] | None:
    """Return where the segment's content begins and its length in bytes, None if unknown; None: no Matroska.

    `head` is the first `HEAD_BYTES` of the file. Source: RFC 9559, section 5.1.
    """
    place = head.find(_SEGMENT)
    found = element(head[place:]) if head.startswith(EBML) and place > 0 else None
    return None if found is None else (place + found[1], found[2])


class ClusterSums:
    """Checks the check sum of each cluster when its first packet is read.

    FFmpeg writes these sums but does not check them. Source: RFC 8794, section 11.3.1 (CRC-32).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            found = segment(file.read(HEAD_BYTES))
        self._next = None if found is None else found[0]

    def is_wrong(self, place: int) -> bool:
        """Return whether the cluster at byte `place` of the file is damaged; True once per cluster.

        Call it with rising places. A cluster without a sum or a length, or cut by the end, is not wrong.
        """
        if self._next is None or place < self._next:
            return False
        with self._path.open("rb") as file:
            size = self._path.stat().st_size
            while self._next is not None and self._next <= place:
                file.seek(self._next)
                found = element(file.read(_ELEMENT_BYTES))
                if found is None or found[2] is None:
                    self._next = None
                    return found is None
                begin = self._next + found[1]
                self._next = end = begin + found[2]
                if found[0] == CLUSTER and place < end <= size:
                    file.seek(begin)
                    return not _has_right_sum(file, end)
        return False


def _has_right_sum(file: BinaryIO, end: int) -> bool:
    """Return whether the content from here to byte `end` begins with no sum, or a correct one."""
    head = file.read(len(_SUM) + 4)
    if not head.startswith(_SUM):
        return True
    found = 0
    while data := file.read(min(_CHUNK_BYTES, end - file.tell())):
        found = zlib.crc32(data, found)
    return found == int.from_bytes(head[len(_SUM) :], "little")
