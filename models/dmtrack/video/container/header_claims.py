"""Claims in the headers of video files that libav does not pass on, or does not check."""

from __future__ import annotations

import logging
import re
import struct
from contextlib import suppress
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dmtrack.errors import FormatError, translated
from dmtrack.geometry.intrinsics import Intrinsics, parsed_intrinsics
from dmtrack.video.container.decoder import PacketDecoder
from dmtrack.video.container.matroska import CLUSTER, EBML, HEAD_BYTES, segment
from dmtrack.video.container.video_file import exact_fraction

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


_LOGGER = logging.getLogger(__name__)
_DAY_S: Final = 86_400
_INDEX_BYTES, _ENTRY_BYTES = 1 << 15, 24  # AVI: 16 in the index, 8 before each left-out picture
_TRACKS: Final = b"\x16\x54\xae\x6b"
_CROPS: Final = re.compile(rb"\x54[\xaa\xbb\xcc\xdd](\x81[^\0]|\x82(?!\0\0))")
_MOST_BOXES: Final = 100_000
_CLAP, _TAIL_BYTES = b"\0\0\0\x28clap", 1 << 22


def claimed_end_s(container: InputContainer, stream: VideoStream, start_s: Fraction) -> Fraction | None:
    """Return the time in seconds at which the container says that the stream ends; None if unsaid."""
    time_base = exact_fraction(stream.time_base)
    if stream.duration is not None and time_base is not None:
        start = start_s if stream.start_time is None else stream.start_time * time_base
        return start + stream.duration * time_base
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:  # in Matroska the end of the track on its own clock, not its length
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + Fraction(tag[3])
    if container.duration is not None and len(container.streams) == 1:
        end = Fraction(container.duration, 1_000_000)
        return end if "matroska" in container.format.name else start_s + end
    return None


def frames_unread(path: Path, reading: PacketDecoder, listed: int) -> int:
    """Estimate how many frames can follow the last one read, from the actual or claimed length of the file.

    0 if the file is not cut (it claims no more bytes than it has) and no more than an index follows. `listed`
    is the number of frames in the header; AVI's index also lists those without a picture of their own.
    """
    size = path.stat().st_size
    end = _claimed_bytes(path) or size
    unread = end - reading.read_end
    if end <= size and unread <= max(_INDEX_BYTES, size // 20, _ENTRY_BYTES * listed):
        return 0
    return unread * reading.packets // max(1, reading.read_bytes) + 1


def _claimed_bytes(path: Path) -> int | None:
    """Return the length in bytes that a Matroska or AVI file states; None if it states none."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(b"RIFF"):
        return 8 + int.from_bytes(head[4:8], "little")
    begin, size = segment(head) or (0, None)
    return None if size is None else begin + size


def is_cropped(path: Path, size: tuple[int, int]) -> bool:
    """Return whether a Matroska or MP4 file asks to crop its pictures, which libav does not report.

    `size` is the width and height as stored, in pixels.

    Source: RFC 9559, section 5.1.4.1.28 (PixelCropBottom, ...); ISO/IEC 14496-12, section 12.1.4 (clap).
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if head.startswith(EBML):
            return _CROPS.search(head.rpartition(_TRACKS)[2].partition(CLUSTER)[0]) is not None
        if head[4:8] != b"ftyp":
            return False
        head += file.read(_TAIL_BYTES)
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        at = (index := head + file.read()).find(_CLAP)
    if at < 0 or at + 24 > len(index):
        return False
    width, width_parts, height, height_parts = struct.unpack_from(">4I", index, at + len(_CLAP))
    return (width, height) != (size[0] * width_parts, size[1] * height_parts)


def joined_recordings(path: Path) -> int:
    """Return how many recordings were joined into one MP4 file; libav reads only the first.

    0 for other files. Source: ISO/IEC 14496-12, section 4.2 (boxes).
    """
    found = at = 0
    with path.open("rb") as file:
        for place in range(_MOST_BOXES):
            file.seek(at)
            head = file.read(16)
            if place == 0 and head[4:8] != b"ftyp":
                return 0
            found += head[4:8] == b"moov"
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:], "big") if size == 1 else size
            if len(head) < 8 or size < 8:  # the end of the file, or a box that reaches to it
                break
            at += size
    return found


def attached_intrinsics(container: InputContainer) -> Intrinsics | None:
    """Return the intrinsics from an attached calibration, as of Azure Kinect's recorder; None without."""
    for stream in container.streams:
        if stream.type == "attachment" and stream.metadata.get("filename") == "calibration.json":
            data = getattr(stream, "data", None) or b""  # older versions of PyAV lack it
            try:
                with translated(FormatError, "the calibration cannot be read", where="calibration.json"):
                    return parsed_intrinsics(data.decode().rstrip("\0"))
            except FormatError as error:
                _LOGGER.info("%s", error)
    return None


def created_s(container: InputContainer) -> Fraction | None:
    """Return the stated creation time in unix seconds; None without, or from a clock that was never set."""
    with suppress(ValueError, OverflowError, OSError):  # OSError on Windows, before 1970
        said = datetime.fromisoformat(container.metadata.get("creation_time", ""))
        created_s = Fraction(round(said.timestamp() * 1_000_000), 1_000_000)
        return created_s if created_s > _DAY_S else None
    return None
