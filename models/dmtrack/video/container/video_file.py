"""Opens video files with libav, chooses their video streams, and reads the stamps of packets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import av
import av.error
from av.stream import Disposition

from dmtrack.errors import DecodeError, VideoError, reason_of, translated
from dmtrack.video.container.decoder import demuxed, has_times, packet_stamp
from dmtrack.video.container.fourcc import counts_file, name_counts
from dmtrack.video.container.stamps import presented
from dmtrack.video.pictures.picture_file import SMALL_PIXELS
from dmtrack.video.track_choice import TrackChoice, TrackInfo, TrackPicker, kind_of_track

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer
    from av.video.stream import VideoStream

MAX_PIXELS: Final = 1 << 27
"""16384 x 8192. A header that claims more is wrong, and believing it would exhaust the memory."""
_PIXELS_PER_BYTE: Final = 32
"""A picture larger than `SMALL_PIXELS` may have at most so many pixels per byte of the file."""
_NOT_VIDEO_FORMATS: Final = frozenset({"tty"})  # libav "plays" any text file as a terminal


def open_container(path: Path) -> InputContainer:
    """Open a local file with libav, whatever its name; `VideoError`: it is missing, or no video."""
    try:
        container = opened(path)
    except (av.error.FFmpegError, OSError) as error:
        raise _opening_error(path, error) from error
    if container.format.name in _NOT_VIDEO_FORMATS:
        container.close()
        raise VideoError("this is not a video", where=path, hint="it looks like a text file")
    return container


def opened(path: Path, hwaccel: HWAccel | None = None) -> InputContainer:
    """Open a local file with libav; its errors are not translated."""
    # "file:" keeps a colon in a name from being read as a protocol; the whitelist keeps a
    # play list that poses as a video from opening the network
    counts = counts_file(path)
    container = av.open(
        f"file:{path}" if counts is None else counts,
        "r",
        options={"protocol_whitelist": "file"},
        hwaccel=hwaccel,
        metadata_errors="replace",
    )
    name_counts(container, counts is not None)
    return container


def _opening_error(path: Path, error: Exception) -> VideoError:
    if isinstance(error, FileNotFoundError):
        return VideoError("no such file", where=path)
    if isinstance(error, PermissionError):
        return VideoError("no permission to read it", where=path)
    if isinstance(error, IsADirectoryError):
        return VideoError("this is a folder, not a video file", where=path)
    if isinstance(error, av.error.InvalidDataError):
        if _is_mp4(path):
            return VideoError(
                "the MP4 file was cut short: its index is missing",
                where=path,
                hint="copy it again, or repair the recording",
            )
        return VideoError("this is not a video that can be read", where=path)
    return VideoError(f"cannot be opened: {reason_of(error)}", where=path)


def _is_mp4(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return file.read(8)[4:] == b"ftyp"
    return False


def video_streams(container: InputContainer) -> list[VideoStream]:
    """Return the video streams of a file, without cover pictures."""
    return [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]


def choose_stream(
    container: InputContainer, path: Path, wanted: int | TrackPicker
) -> tuple[VideoStream, TrackInfo]:
    """Return the wanted video stream and its description; `VideoError`: there is none."""
    streams = video_streams(container)
    if not streams:
        kinds = ", ".join(stream.type for stream in container.streams) or "none"
        raise VideoError(f"it has no video stream (streams: {kinds})", where=path)
    picker = wanted if isinstance(wanted, TrackPicker) else TrackPicker(TrackChoice(number=wanted))
    track = picker.pick([_track_info(number, stream) for number, stream in enumerate(streams)], path)
    stream = streams[track.number]
    # libav lists a stream of unknown codec, without a decoder
    if stream.codec_context is None:
        raise VideoError("its codec is unknown", where=path)
    return stream, track


def _track_info(number: int, stream: VideoStream) -> TrackInfo:
    title = stream.metadata.get("title", "")
    return TrackInfo(number, title, kind_of_track(title, list(stream.metadata)))


def require_sane_size(stream: VideoStream, path: Path) -> None:
    """Check the claimed picture size and limit the decoder to it; `VideoError`: too large for the file."""
    context = stream.codec_context
    most = min(MAX_PIXELS, max(SMALL_PIXELS, _PIXELS_PER_BYTE * path.stat().st_size))
    if context.width * context.height > most:
        what = "which no camera makes" if most == MAX_PIXELS else "more than so small a file can hold"
        raise VideoError(
            f"it claims pictures of {context.width}x{context.height} pixels, {what}",
            where=path,
        )
    # the size inside the compressed stream may differ from the one in the container's header
    context.options = {**context.options, "max_pixels": str(most)}


def packet_stamps(path: Path, stream: int, split: tuple[int, int] | None = None) -> list[int] | None:
    """Return the rising stamps of all frames of a video stream, without decoding; None if any has none.

    `stream` is the stream's number among the file's video streams. `split` is the number of parts of a tick,
    in which the result counts, and the usual number of parts between two frames. `VideoError`: the file
    cannot be opened; `DecodeError`: it cannot be read to its end.
    """
    with open_container(path) as container:
        chosen, _ = choose_stream(container, path, stream)
        with translated(DecodeError, "reading fails", where=path):
            stamps = list(stamps_from_here(container, chosen))
        if not has_times(container):
            return list(range(len(stamps)))
    parts, step = split or (1, None)
    known = [stamp * parts for stamp in stamps if stamp is not None]
    return presented(known, step) if len(known) == len(stamps) else None


def stamps_from_here(container: InputContainer, stream: VideoStream) -> Iterator[int | None]:
    """Yield the stamps of packets that give a frame, from the current position to the end of the file."""
    for packet in demuxed(container, stream):
        if packet.size and not packet.is_discard:
            yield packet_stamp(container, packet)


def last_packets_s(path: Path, stream: int, begin_s: Fraction) -> list[Fraction]:
    """Return the times in s of the packets from a seek to `begin_s` on; empty where reading fails."""
    with open_container(path) as container:
        try:
            chosen, _ = choose_stream(container, path, stream)
            time_base = exact_fraction(chosen.time_base) or Fraction(1)
            container.seek(int(begin_s / time_base), stream=chosen)
            stamps = list(stamps_from_here(container, chosen))
        except (av.error.FFmpegError, OSError):
            return []
    return [stamp * time_base for stamp in stamps if stamp is not None]


class _Rational(Protocol):
    """The common part of PyAV's rational types, `fractions.Fraction` or not."""

    @property
    def numerator(self) -> int: ...
    @property
    def denominator(self) -> int: ...


def exact_fraction(value: _Rational | None) -> Fraction | None:
    """Convert PyAV's rational, whose type varies by version, to a `Fraction`; None where it is 0 or unset."""
    if value is None or not value.numerator or not value.denominator:
        return None
    return Fraction(int(value.numerator), int(value.denominator))
