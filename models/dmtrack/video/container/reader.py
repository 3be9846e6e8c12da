"""`VideoReader`: the frames of one video stream of a file, in order, with exact times.

Frames are yielded as they decode, so memory does not grow with the length of the video. Packets that do not
decode are skipped and counted. PyAV's exceptions become ours.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import av
import av.error

from dmtrack.errors import DecodeError, VideoError, counted, reason_of
from dmtrack.threads import decoder_threads
from dmtrack.video.container.decoder import GpuDecoder, PacketDecoder, accelerator, has_times, suits_gpu
from dmtrack.video.container.header_claims import (
    attached_intrinsics,
    claimed_end_s,
    created_s,
    frames_unread,
    is_cropped,
    joined_recordings,
)
from dmtrack.video.container.known_frames import KnownFrame, KnownFrames, known_frames
from dmtrack.video.container.packet_list import PacketList
from dmtrack.video.container.picture_converter import COUNT_BITS, PictureConverter
from dmtrack.video.container.stamps import RisingStamps
from dmtrack.video.container.video_file import (
    choose_stream,
    exact_fraction,
    last_packets_s,
    open_container,
    opened,
    packet_stamps,
    require_sane_size,
)
from dmtrack.video.frame import Frame, VideoInfo
from dmtrack.video.position import Position
from dmtrack.video.source import FrameSource, closing_on_error, follows, measured_by
from dmtrack.video.track_choice import TrackInfo, TrackPicker

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

ASSUMED_FRAME_RATE: Final = Fraction(30)  # for streams that state no rate and lack time stamps

_SPLIT: Final = 1000
"""A tick that holds several frames is split into so many parts: Matroska's ticks are milliseconds."""
_DOUBTFUL_FRAMES: Final = 1
"""If a header's frame count and duration differ by more frames, neither is believed: packets are counted."""

_DOUBTFUL_RATES: Final = 2
_MOST_ASPECT: Final = 4
_MOST_SLOWED: Final = 1.5  # rates that differ by a smaller factor are one rate that varied
_HDR: Final = {16: "PQ", 18: "HLG"}  # transfer characteristics, by their numbers in ITU-T H.273
_LAST_PACKETS: Final = 8
_LAST_S: Final = 2
_MOST_UNEVEN: Final = Fraction(3, 2)
_SEEK_BACK: Final = (64, 1024)
"""If a seek ends behind the wanted frame, the next ones aim so many frames earlier."""
_MOST_ENTRIES: Final = 50_000  # so many index entries are enough to find the usual frame interval

_LOGGER = logging.getLogger(__name__)


class VideoReader(FrameSource):
    """The frames of one video stream, read once from front to back.

    Rotation and mirroring stored in the container are applied (multiples of 90 degrees). Untagged colours are
    read as BT.601 of limited range, which FFmpeg and OpenCV write at every size. Deeper colour becomes 8-bit
    RGB. A single channel keeps its exact counts, also if deep colour stores it three times, or as luma
    without a colour tag.

    Args:
        path: The file.
        stream: Number of the video stream, from 0 without cover pictures, or a picker.
        threads: Decoder threads; None: as many as help.
        gpu: CUDA device for streams that suit it; the pictures are the same.
        trusts_packets: Seek to a far frame by the list of packets, instead of decoding up to it. Its number
            is off by one for each packet before it that looks whole but gives no frame: use it only for
            undamaged files, or where a person waits.
        rate: Frames per second of a file without time stamps; None: the codec's rate, or 25.

    Raises:
        VideoError: The file cannot be opened or holds no such stream.
        DecodeError: None of its frames can be decoded.
    """

    def __init__(
        self,
        path: Path,
        *,
        stream: int | TrackPicker = 0,
        threads: int | None = None,
        gpu: int | None = None,
        trusts_packets: bool = False,
        rate: Fraction | None = None,
    ) -> None:
        self._path = path
        self._rate = rate
        self._trusts_packets = trusts_packets
        self._threads = threads or decoder_threads()
        self._container = open_container(path)
        with closing_on_error(self._container.close):
            track, decoder = self._begin(stream)
            self._decoder: PacketDecoder | GpuDecoder = decoder
            if gpu is not None:
                self._decoder = _on_gpu(decoder, self._stream, path, track.number, gpu)
            self.has_clock = has_times(self._container)
            self._time_base = exact_fraction(self._stream.time_base) or Fraction(1, 90_000)
            self._parts = _SPLIT if (self._claimed_rate or 0) * self._time_base > 1 else 1
            self._time_base /= self._parts
            if not self.has_clock:
                self._time_base = 1 / (self._claimed_rate or ASSUMED_FRAME_RATE)
            first = self._decoder.first_frame()
            self._stamped = self._stamps_of(first)
            self._first = next(self._stamped)
            self._picture = PictureConverter(first, self._decoder.reading.said_bits)
        self._number = track.number
        self._track = track if track.kind is not None or len(self._container.streams.video) > 1 else None
        self._has_been_read = self._is_sought = self._is_scaled = False
        self._frames_to_here = 0
        self._missing_at_end = 0
        self._all_stamps: list[int] | None = None
        self.info = self._describe()

    @property
    def damaged_packets(self) -> int:
        """Packets that were lost or did not decode cleanly so far."""
        return self._decoder.damaged + self._missing_at_end

    def frame_stamps(self) -> list[int] | None:
        """Return the stamps of all frames by reading the file's packets once; see `FrameSource`."""
        if self._all_stamps is None:
            self._all_stamps = packet_stamps(self._path, self._number, self._split)
        return self._all_stamps

    def _read(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        """Yield the frames from `start` up to but without `end`. Works once per reader.

        Frames before `start` are not converted, and not decoded where the reader can seek (see
        `KnownFrames`). Indices always count from the first frame of the stream.
        """
        if self._has_been_read:
            raise RuntimeError(f"{self._path} was read already: open it again")
        self._has_been_read = True
        return self._frames(start, end)

    def _frames(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        last_end_s = first_s = self._first[0] * self._time_base
        is_sought = self.has_clock and self._parts == 1 and self._decoder.device == PacketDecoder.device
        known = known_frames(self._path, self._number) if is_sought else None
        found = None if known is None or start is None else self._sought(known, start)
        begin, stamped = found or (0, chain([self._first], self._stamped))
        for index, (pts, decoded) in enumerate(stamped, begin):
            if known is not None:
                known.note(index, pts, decoded, self._decoder.damaged)
            elapsed_s = pts * self._time_base - first_s
            if end is not None and end.is_reached(index, elapsed_s):
                return
            if start is None or start.is_reached(index, elapsed_s):
                yield Frame(index, pts, self._time_base, self._picture(decoded))
            size = decoded.width, decoded.height
            if size != self._picture.coded_size and not self._is_scaled:
                self._is_scaled = True
                _LOGGER.warning(
                    "%s: %dx%d from frame %d on, unlike the first: scaled", self._path, *size, index
                )
            lasts = max(self._step, (decoded.duration or 0) * self._parts)
            last_end_s = (pts + lasts) * self._time_base
            self._frames_to_here = index + 1
        self._count_missing(last_end_s)
        self._say_odd_times()

    def _say_odd_times(self) -> None:
        times, frames = self._stamped, self._frames_to_here
        if times.restarts:
            often = counted(times.restarts, "time")
            _LOGGER.warning("%s: its clock restarts %s: the times continue", self._path, often)
        if times.moved and self.has_clock:
            said = (
                "%s: %d of %d frames have the time of another one, or none: they are put between the others"
            )
            _LOGGER.warning(said, self._path, times.moved, frames)

    def _sought(
        self, known: KnownFrames, start: Position
    ) -> tuple[int, Iterator[tuple[int, VideoFrame]]] | None:
        """Seek near `start`; return the index there and the frames from it on; None: read from the front."""
        if self._container.format.name == "avi" and self._stream.codec_context.has_b_frames:
            return None  # its times are counted from the front
        frame = known.nearest(
            start, self._time_base, self._first[0], self._listed if self._trusts_packets else None
        )
        if frame is None:
            return None
        for before in (0, *_SEEK_BACK):
            try:
                found = self._seek(frame, frame.before(before))
            except (av.error.FFmpegError, OSError, DecodeError):
                break
            if found is not None:
                self._is_sought = True
                decoded = chain([found], iter(self._decoder.next_frame, None))
                return frame.index, frame.resumed((one.pts, one) for one in decoded if one is not None)
        self._reopen()
        return None

    def _listed(self) -> PacketList | None:
        """List the packets of the stream from a fresh opening; None if they do not determine the frames."""
        with open_container(self._path) as container:
            return PacketList.of(container, choose_stream(container, self._path, self._number)[0])

    def _seek(self, frame: KnownFrame, stamp: int) -> VideoFrame | None:
        """Return a known frame, decoded from a keyframe at or before `stamp`; None: not found, or damage."""
        self._container.seek(stamp, stream=self._stream)
        self._decoder = PacketDecoder(self._container, self._stream, self._path, frame.begin)
        decoded = iter(self._decoder.next_frame, None)
        found = frame.found(one for one in decoded if one is not None)
        return None if self._decoder.damaged else found

    def _begin(self, wanted: int | TrackPicker) -> tuple[TrackInfo, PacketDecoder]:
        """Choose a stream of the newly opened file and make its decoder."""
        self._stream, track = choose_stream(self._container, self._path, wanted)
        require_sane_size(self._stream, self._path)
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = self._threads
        return track, PacketDecoder(self._container, self._stream, self._path)

    def _reopen(self) -> None:
        """Open the file again and begin at its front."""
        self._container.close()
        self._container = open_container(self._path)
        _, self._decoder = self._begin(self._number)
        self._stamped = self._stamps_of(self._decoder.first_frame())
        self._first = next(self._stamped)

    def close(self) -> None:
        """Close the file. Doing so twice is harmless."""
        self._decoder.close()

    @property
    def _claimed_rate(self) -> Fraction | None:
        if not self.has_clock:  # libav makes up the average
            return self._rate or exact_fraction(self._stream.guessed_rate)
        return exact_fraction(self._stream.average_rate) or exact_fraction(self._stream.guessed_rate)

    @property
    def _step(self) -> int:
        """The usual distance of two stamps, in ticks, by the claimed rate."""
        return max(1, round(1 / ((self._claimed_rate or ASSUMED_FRAME_RATE) * self._time_base)))

    def _stamps_of(self, first: VideoFrame) -> RisingStamps[VideoFrame]:
        decoded = chain([first], iter(self._decoder.next_frame, None))
        return RisingStamps(
            ((self._stamp(frame), frame) for frame in decoded if frame is not None), self._step
        )

    @property
    def _split(self) -> tuple[int, int] | None:
        return (self._parts, self._step) if self._parts > 1 else None

    def _stamp(self, frame: VideoFrame) -> int | None:
        return frame.pts * self._parts if self.has_clock and frame.pts is not None else None

    def _describe(self) -> VideoInfo:
        stream, start_pts = self._stream, self._first[0]
        start_s, rate = start_pts * self._time_base, self._claimed_rate
        end_s = claimed_end_s(self._container, stream, start_s) if self.has_clock else None
        lasting = None if rate is None or end_s is None else max(1, round((end_s - start_s) * rate))
        aspect = exact_fraction(stream.sample_aspect_ratio) or Fraction(1)
        aspect = aspect if 1 <= max(aspect, 1 / aspect) <= _MOST_ASPECT else Fraction(1)
        if self._picture.rotation_deg % 180:
            aspect = 1 / aspect
        info = VideoInfo(
            path=self._path,
            width=self._picture.width,
            height=self._picture.height,
            frame_rate=rate,
            time_base=self._time_base,
            start_pts=start_pts,
            frame_count=stream.frames or lasting,
            pixel_format=self._picture.pixel_format,
            codec=stream.codec_context.name,
            bit_depth=self._picture.bit_depth,
            channels=self._picture.channels,
            rotation_deg=self._picture.rotation_deg,
            track=self._track,
            decoded_on=self._decoder.device,
            pixel_aspect=aspect,
            notes=(*_notes(stream, aspect, self._path.name), *self._doubts()),
            intrinsics=attached_intrinsics(self._container),
            created_s=created_s(self._container),
            follows_s=self._follows_s(),
        )
        return self._measured_info(info) if self._is_doubtful(lasting, end_s) else info

    def _doubts(self) -> Iterator[str]:
        """Yield notes, one sentence each, on what may surprise a person about the file."""
        name, first, rate = self._path.name, self._first[1], self._claimed_rate
        before = (
            sum(stamp < first.pts for stamp in self._decoder.reading.lead) if first.pts is not None else 0
        )
        if before:
            yield f"{name} begins in the middle: {counted(before, 'frame')} before a whole one are left out."
        if first.interlaced_frame:
            yield f"{name} says that it is interlaced: its pictures hold two moments, so motion has combs."
        if is_cropped(self._path, (self._stream.width, self._stream.height)):
            yield f"{name} says to show a part of its pictures alone: they and boxes stay as stored."
        if (several := joined_recordings(self._path)) > 1:
            joined = f"{name} is {several} recordings joined byte by byte, of which the first is read"
            yield f"{joined}: give each of them as a file of its own, or join them with FFmpeg."
        if self._picture.bit_depth > COUNT_BITS:
            yield f"{name} holds fractions, of which 0 to 1 become 8 bits: for depth, store pictures of them."
        if first.rotation % 90:
            yield f"{name} says to turn its pictures by {first.rotation} degrees: only quarters are done."
        with suppress(ValueError, ZeroDivisionError):
            taken = float(self._container.metadata.get("com.android.capture.fps", 0)) / float(rate or 0)
            if taken and not 1 / _MOST_SLOWED < taken < _MOST_SLOWED:
                yield f"{name} plays {taken:.3g} times as long as what it shows took, its camera says."

    def _follows_s(self) -> Fraction | None:
        """Return an MP4's usual frame interval in seconds, from its index; the stated rate is only a mean."""
        if "mp4" not in self._container.format.name:
            return None
        entries = islice(self._stream.index_entries, _MOST_ENTRIES)
        stamps = sorted(entry.timestamp for entry in entries if not entry.is_discard)
        return follows(stamps, self._time_base * self._parts)

    def _measured_info(self, info: VideoInfo) -> VideoInfo:
        stamps = packet_stamps(self._path, self._number, self._split) or ()
        self._all_stamps = list(stamps) or None
        return measured_by(info, stamps)

    def _is_doubtful(self, lasting: int | None, end_s: Fraction | None) -> bool:
        """Return whether the header's claims disagree, or the last packets are not at the claimed end.

        Causes: an edit list hides frames; a fragmented file's header covers only the first fragment; a
        trimmed file keeps its old header; the index of a cut-off MP4 lists data beyond the file's end.
        """
        stream = self._stream
        if "mp4" in self._container.format.name and (listed := stream.index_entries):
            last = listed[len(listed) - 1]
            if last.pos + last.size > self._path.stat().st_size:
                return True
        if not self.has_clock:
            return False
        rates = [exact_fraction(one) for one in (stream.average_rate, stream.guessed_rate)]
        known = [one for one in rates if one is not None]
        if known and max(known) > _DOUBTFUL_RATES * min(known):
            return True
        if self._container.format.name == "avi":  # it counts left-out pictures too
            return len(stream.index_entries) != stream.frames
        if stream.frames and lasting is not None:
            return abs(stream.frames - lasting) > _DOUBTFUL_FRAMES
        if end_s is None or lasting is None:
            return False
        rate, start_s = max(known), self._first[0] * self._time_base
        begin_s = max(start_s, end_s - max(Fraction(_LAST_S), _LAST_PACKETS / rate))
        stamps_s = last_packets_s(self._path, self._number, begin_s)
        if not stamps_s or abs(end_s - max(stamps_s[-_LAST_PACKETS:])) * rate > 1 + _DOUBTFUL_FRAMES:
            return True
        lasting_s = max(stamps_s) - min(stamps_s) + 1 / rate
        return not 1 / _MOST_UNEVEN < lasting_s * rate / len(stamps_s) < _MOST_UNEVEN

    def _count_missing(self, last_end_s: Fraction) -> None:
        """Count and warn of frames that the container claims after the last one: the file was cut short."""
        if not self.has_clock:  # it does not state its duration either
            return
        reading, is_table = self._decoder.reading, "mp4" in self._container.format.name
        if self._stream.frames:
            entries = list(self._stream.index_entries) if is_table else []
            read = reading.packets
            if self._is_sought:
                read = self._frames_to_here + reading.damaged + sum(entry.is_discard for entry in entries)
            missing = (len(entries) or self._stream.frames) - read  # an edit list may leave out some of them
        else:
            claimed_s = claimed_end_s(self._container, self._stream, self._first[0] * self._time_base)
            missing_s = Fraction(0) if claimed_s is None else claimed_s - last_end_s
            rate = self._claimed_rate or ASSUMED_FRAME_RATE
            missing = round(missing_s * rate) - self._decoder.damaged_in_a_row
        if missing > 0 and not is_table:  # an MP4 index lists stored frames; other claims are numbers only
            missing = min(missing, frames_unread(self._path, reading, self._stream.frames))
        if missing <= 0:
            return
        self._missing_at_end = missing
        _LOGGER.warning(
            "%s: ends at %.3f s, though it claims %d frames more", self._path, float(last_end_s), missing
        )


def _notes(stream: VideoStream, aspect: Fraction, name: str) -> tuple[str, ...]:
    notes = []
    if aspect != 1:
        notes.append(
            f"{name} has pixels of {aspect.numerator}:{aspect.denominator}; boxes count pixels as stored."
        )
    if stream.codec_context.name == "rawvideo" and "rgb555" in (stream.codec_context.pix_fmt or ""):
        what = "is read as colours of 5 bits, as it says; if it holds 16-bit counts, store them as FFV1."
        notes.append(f"{name} {what}")
    curve = _HDR.get(int(stream.codec_context.color_trc or 0))
    if curve is not None:
        notes.append(f"{name} is HDR ({curve}): its pictures are not tone-mapped, and look grey and dull.")
    return tuple(notes)


def _on_gpu(
    standby: PacketDecoder, stream: VideoStream, path: Path, number: int, gpu: int
) -> PacketDecoder | GpuDecoder:
    """Return a decoder on CUDA device `gpu` if it opens and the stream suits it, else `standby`."""
    pixel_format = stream.codec_context.pix_fmt
    if pixel_format is None or not suits_gpu(stream.codec_context):
        return standby
    try:
        device = _device_decoder(path, number, gpu)
    except (av.error.FFmpegError, OSError, VideoError) as error:
        _LOGGER.info("%s: cuda:%d cannot be used (%s): the CPU decodes", path, gpu, reason_of(error))
        return standby
    return GpuDecoder(standby, device, pixel_format, gpu, path)


def _device_decoder(path: Path, number: int, gpu: int) -> PacketDecoder:
    container = opened(path, accelerator(gpu))
    with closing_on_error(container.close):
        stream, _ = choose_stream(container, path, number)
        require_sane_size(stream, path)
        stream.codec_context.thread_count = 1
        return PacketDecoder(container, stream, path)
