"""`VideoReader`: the frames of one video stream of a file, in order, with exact times.

One decoder lives as long as the reader; frames are yielded as they decode, so memory does not
grow with the length of the video. Packets that do not decode are skipped and counted. Every
PyAV exception is translated here.
"""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

import av
import av.error
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from dmtrack.errors import DecodeError, FormatError, VideoError, counted, reason_of, translated
from dmtrack.geometry.intrinsics import Intrinsics, parsed_intrinsics
from dmtrack.threads import decoder_threads
from dmtrack.video.decoder import (
    GpuDecoder,
    PacketDecoder,
    accelerator,
    demuxed,
    has_times,
    packet_stamp,
    suits_gpu,
)
from dmtrack.video.fourcc import counts_file, name_counts
from dmtrack.video.frame import Frame, Pixels, VideoInfo
from dmtrack.video.known_frames import KnownFrame, KnownFrames, known_frames
from dmtrack.video.matroska import CLUSTER, EBML, HEAD_BYTES, segment
from dmtrack.video.packet_list import PacketList
from dmtrack.video.picture_file import SMALL_PIXELS
from dmtrack.video.position import Position
from dmtrack.video.source import FrameSource, closing_on_error, follows, measured_by
from dmtrack.video.stamps import RisingStamps, presented
from dmtrack.video.track_choice import TrackChoice, TrackInfo, TrackPicker, kind_of_track

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_PIXELS: Final = 1 << 27
"""16384 x 8192. A header that claims more lies, and believing it would exhaust the memory."""
ASSUMED_FRAME_RATE: Final = Fraction(30)  # for streams that state no rate and lack time stamps

_SPLIT: Final = 1000
"""In so many parts is a tick split in which several frames lie: Matroska's are milliseconds."""
_DOUBTFUL_FRAMES: Final = 1
"""Where number of frames and length of a header differ by more, neither is believed: packets are counted."""

_DOUBTFUL_RATES: Final = 2
_MOST_ASPECT: Final = 4
_MOST_SLOWED: Final = 1.5  # rates that differ by less are one that varied
_PIXELS_PER_BYTE: Final = 32
"""Pictures larger than `SMALL_PIXELS` are believed only in a file of as many bytes."""
_HDR: Final = {16: "PQ", 18: "HLG"}  # transfer characteristics, by their numbers in ITU-T H.273
_MATRICES: Final = {8: "YCgCo", 10: "BT.2020 of constant luminance", 14: "ICtCp", 15: "IPT"}
"""Codings of colour that libav does not turn into RGB, by their numbers in the same place."""
_UNSAID: Final = 2  # the coding of colour in what stores counts; cameras and programs that cut films say one
_COUNT_BITS: Final = 16
_LAST_PACKETS: Final = 8
_LAST_S: Final = 2
_MOST_UNEVEN: Final = Fraction(3, 2)
_SEEK_BACK: Final = (64, 1024)
"""Where a container's seeking ends behind the frame that is sought, so many frames earlier is tried."""
_DAY_S: Final = 86_400
_MOST_ENTRIES: Final = 50_000  # of a table tell how frames follow each other
_INDEX_BYTES, _ENTRY_BYTES = 1 << 15, 24  # 16 in AVI's index, and 8 before a picture that is left out
_TRACKS: Final = b"\x16\x54\xae\x6b"
_CROPS: Final = re.compile(rb"\x54[\xaa\xbb\xcc\xdd](\x81[^\0]|\x82(?!\0\0))")
_MOST_BOXES: Final = 100_000
_CLAP, _TAIL_BYTES = b"\0\0\0\x28clap", 1 << 22

_LOGGER = logging.getLogger(__name__)
_NOT_VIDEO_FORMATS: Final = frozenset({"tty"})  # libav "plays" any text file as a terminal
_GREY_FORMAT: Final = re.compile(r"(?:gray|(ya))(\d*)(le|be)?")
_APART: Final = re.compile(r"(yuva?4\d\d|gbra?)p(9|1\d)[lb]e")  # deep colour, channel by channel
_SHOWS: Final = 16
"""So many counts the pixels of a picture differ at least that shows something; of others nothing follows."""


class VideoReader(FrameSource):
    """The frames of one video stream, read once from front to back.

    Rotation and mirroring stored in the container are applied (multiples of 90 degrees). Colours are BT.601
    of limited range where a file does not say how they are coded: so FFmpeg and OpenCV write every size.
    Colour of any depth becomes 8-bit RGB; one channel keeps its exact counts, also one that deep colour
    stores as three, or as luma where no coding of colour is said. Where no times are stored they are
    counted, `rate` pictures a second; None: as the codec says, or 25.

    `stream` counts video streams from 0 (cover pictures do not count), or says how to pick one. `threads`
    None are as many as pay; the CUDA device `gpu` decodes what suits it, and the pictures are the same. With
    `trusts_packets` these tell the numbers of frames that were never decoded, so that a far one is sought.
    They are wrong by a packet before it that gives no frame, though it looks whole: to be used where none was
    damaged, or where a person waits. `VideoError`: the file cannot be opened or holds no such stream;
    `DecodeError`: no frame of it can be decoded.
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
        """Return the stamps of all frames, by reading the file once; see `FrameSource`."""
        if self._all_stamps is None:
            self._all_stamps = packet_stamps(self._path, self._number, self._split)
        return self._all_stamps

    def _read(self, start: Position | None, end: Position | None) -> Iterator[Frame]:
        """Yield the frames from `start` up to and without `end`. Works once per reader.

        Frames before `start` are not converted, and not even decoded where that can be left out (see
        `KnownFrames`); indices count from the first frame of the stream in any case.
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
            _LOGGER.warning("%s: its clock begins anew %s: the times go on", self._path, often)
        if times.moved and self.has_clock:
            said = (
                "%s: %d of %d frames have the time of another one, or none: they are put between the others"
            )
            _LOGGER.warning(said, self._path, times.moved, frames)

    def _sought(
        self, known: KnownFrames, start: Position
    ) -> tuple[int, Iterator[tuple[int, VideoFrame]]] | None:
        """Return a place near a position, and the frames from there on with their stamps; None: the front."""
        if self._container.format.name == "avi" and self._stream.codec_context.has_b_frames:
            return None  # whose times are counted from the front
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
        """Return what the packets tell of all frames; None where they do not."""
        with open_container(self._path) as container:
            return PacketList.of(container, _choose_stream(container, self._path, self._number)[0])

    def _seek(self, frame: KnownFrame, stamp: int) -> VideoFrame | None:
        """Return a known frame, decoded from a key frame before a stamp on; None: it is not found."""
        self._container.seek(stamp, stream=self._stream)
        self._decoder = PacketDecoder(self._container, self._stream, self._path, frame.begin)
        decoded = iter(self._decoder.next_frame, None)
        found = frame.found(one for one in decoded if one is not None)
        return None if self._decoder.damaged else found

    def _begin(self, wanted: int | TrackPicker) -> tuple[TrackInfo, PacketDecoder]:
        """Choose a stream of the file, which was just opened, and make its decoder."""
        self._stream, track = _choose_stream(self._container, self._path, wanted)
        _require_sane_size(self._stream, self._path)
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = self._threads
        return track, PacketDecoder(self._container, self._stream, self._path)

    def _reopen(self) -> None:
        """Begin at the front again."""
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
        if not self.has_clock:  # the average is one that libav makes up
            return self._rate or exact_fraction(self._stream.guessed_rate)
        return exact_fraction(self._stream.average_rate) or exact_fraction(self._stream.guessed_rate)

    @property
    def _step(self) -> int:
        """The usual distance of two stamps, as the container claims."""
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
        end_s = _claimed_end_s(self._container, stream, start_s) if self.has_clock else None
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
            intrinsics=_attached_intrinsics(self._container),
            created_s=_created_s(self._container),
            follows_s=self._follows_s(),
        )
        return self._measured_info(info) if self._is_doubtful(lasting, end_s) else info

    def _doubts(self) -> Iterator[str]:
        """Yield what is otherwise than a person may think, a sentence each."""
        name, first, rate = self._path.name, self._first[1], self._claimed_rate
        before = (
            sum(stamp < first.pts for stamp in self._decoder.reading.lead) if first.pts is not None else 0
        )
        if before:
            yield f"{name} begins in the middle: {counted(before, 'frame')} before a whole one are left out."
        if first.interlaced_frame:
            yield f"{name} says that it is interlaced: a picture holds two moments, and what moves has combs."
        if _is_cropped(self._path, (self._stream.width, self._stream.height)):
            yield f"{name} says to show a part of its pictures alone: they and boxes stay as stored."
        if (several := _joined_recordings(self._path)) > 1:
            joined = f"{name} is {several} recordings joined byte by byte, of which the first is read"
            yield f"{joined}: give each of them as a file of its own, or join them with FFmpeg."
        if self._picture.bit_depth > _COUNT_BITS:
            yield f"{name} holds fractions, of which 0 to 1 become 8 bits: for depth, store pictures of them."
        if first.rotation % 90:
            yield f"{name} says to turn its pictures by {first.rotation} degrees: only quarters are done."
        with suppress(ValueError, ZeroDivisionError):
            taken = float(self._container.metadata.get("com.android.capture.fps", 0)) / float(rate or 0)
            if taken and not 1 / _MOST_SLOWED < taken < _MOST_SLOWED:
                yield f"{name} plays {taken:.3g} times as long as what it shows took, its camera says."

    def _follows_s(self) -> Fraction | None:
        """Return how fast frames follow each other where a table says it, as the rate is a mean of all."""
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
        """Return whether two claims of the header disagree, or the last packets are not where it ends.

        An edit list hides frames, the header of a fragmented file knows the first fragment only, that of a
        cut one may be the old one, and in front of it an MP4 lists what is cut off.
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
        if self._container.format.name == "avi":  # which counts pictures that were left out
            return len(stream.index_entries) != stream.frames
        if stream.frames and lasting is not None:
            return abs(stream.frames - lasting) > _DOUBTFUL_FRAMES
        if end_s is None or lasting is None:
            return False
        rate, start_s = max(known), self._first[0] * self._time_base
        begin_s = max(start_s, end_s - max(Fraction(_LAST_S), _LAST_PACKETS / rate))
        stamps_s = _last_packets_s(self._path, self._number, begin_s)
        if not stamps_s or abs(end_s - max(stamps_s[-_LAST_PACKETS:])) * rate > 1 + _DOUBTFUL_FRAMES:
            return True
        lasting_s = max(stamps_s) - min(stamps_s) + 1 / rate
        return not 1 / _MOST_UNEVEN < lasting_s * rate / len(stamps_s) < _MOST_UNEVEN

    def _count_missing(self, last_end_s: Fraction) -> None:
        """Count what the container promised after the last frame: the file was cut short."""
        if not self.has_clock:  # nor does it say how long it is
            return
        reading, is_table = self._decoder.reading, "mp4" in self._container.format.name
        if self._stream.frames:
            entries = list(self._stream.index_entries) if is_table else []
            read = reading.packets
            if self._is_sought:
                read = self._frames_to_here + reading.damaged + sum(entry.is_discard for entry in entries)
            missing = (len(entries) or self._stream.frames) - read  # an edit list may leave out some of them
        else:
            claimed_s = _claimed_end_s(self._container, self._stream, self._first[0] * self._time_base)
            missing_s = Fraction(0) if claimed_s is None else claimed_s - last_end_s
            rate = self._claimed_rate or ASSUMED_FRAME_RATE
            missing = round(missing_s * rate) - self._decoder.damaged_in_a_row
        if missing > 0 and not is_table:  # which lists what is stored; all else is a mere number
            missing = min(missing, _frames_unread(self._path, reading, self._stream.frames))
        if missing <= 0:
            return
        self._missing_at_end = missing
        _LOGGER.warning(
            "%s: ends at %.3f s, though it claims %d frames more", self._path, float(last_end_s), missing
        )


class PictureConverter:
    """Turns decoded frames into arrays of one size and kind, the first frame's.

    `said_bits` is how many bits its counts have, where the decoder moves them up to the format's.
    """

    def __init__(self, first: VideoFrame, said_bits: int | None = None) -> None:
        self.coded_size = (first.width, first.height)
        self._grey, self._samples = _grey_kind(first.format.name)
        self._format_name = first.format.name
        self._turns, self._is_mirrored = round(first.rotation / 90) % 4, _is_mirrored(first)
        self._reformatter = VideoReformatter()
        self.pixel_format = first.format.name
        format_bits = max(component.bits for component in first.format.components)
        self.bit_depth = min(format_bits, max(said_bits or format_bits, 8))
        self._moved_up = format_bits - self.bit_depth
        if not first.format.is_rgb and (coding := _MATRICES.get(int(first.colorspace))):
            raise DecodeError(f"its colours are {coding}, which is not read", hint="convert them to BT.709")
        is_filmed = not first.format.is_rgb and first.colorspace != _UNSAID
        self._may_be_grey = self._grey is None and 8 < self.bit_depth <= _COUNT_BITS and not is_filmed
        self._is_deep_grey = False
        self.channels = 1 if self._grey is not None or self._deep_grey(first) is not None else 3
        self.rotation_deg = self._turns * 90
        flipped = self._turns % 2 == 1
        self.width, self.height = self.coded_size[::-1] if flipped else self.coded_size

    def __call__(self, frame: VideoFrame) -> Pixels:
        """Return `(H, W, 3)` uint8 RGB, or `(H, W)` uint8 or uint16 for grey streams and deep grey."""
        width, height = self.coded_size
        if self._grey is None:
            if (grey := self._deep_grey(frame)) is not None:
                return self._upright(grey)
            rgb = self._reformatter.reformat(frame, width=width, height=height, format="rgb24")
            return self._upright(_plane(rgb, np.dtype(np.uint8), channels=3))
        if (frame.width, frame.height) != self.coded_size or frame.format.name != self._format_name:
            frame = self._reformatter.reformat(frame, width=width, height=height, format=self._format_name)
        samples = _plane(frame, self._grey, self._samples)
        if self._moved_up:
            np.right_shift(samples, self._moved_up, out=samples)
        return self._upright(samples if samples.ndim == 2 else samples[..., 0])

    def _deep_grey(self, frame: VideoFrame) -> Pixels | None:
        """Return the one channel that is in deep colour; None from the first frame with colour on.

        None too as long as frames show nothing: out of black, colour may fade in.
        """
        if not self._may_be_grey:
            return None
        name, (width, height) = frame.format.name, self.coded_size
        is_apart = name == self._format_name and _APART.fullmatch(name) is not None
        if not is_apart or (frame.width, frame.height) != self.coded_size:
            wide = "gbrp16le" if frame.format.is_rgb else "yuv444p16le"
            frame = self._reformatter.reformat(frame, width=width, height=height, format=wide)
        bits = frame.format.components[0].bits
        dtype = np.dtype(">u2" if frame.format.name.endswith("be") else "<u2")
        grey, *others = (_plane(frame, dtype, 1, number) for number in range(3))
        if frame.format.is_rgb:
            self._may_be_grey = all(np.array_equal(grey, other) for other in others)
        else:
            none, off = 1 << (bits - 1), 1 << (bits - 9)  # half a level of 8 bits
            ends = ((int(one.min()), int(one.max())) for one in others)
            self._may_be_grey = all(none - off <= low and high <= none + off for low, high in ends)
        counts = cast(Pixels, grey >> (bits - self.bit_depth))
        self._is_deep_grey = self._may_be_grey and (self._is_deep_grey or int(np.ptp(counts)) >= _SHOWS)
        return counts if self._is_deep_grey else None

    def _upright(self, pixels: Pixels) -> Pixels:
        if self._is_mirrored:
            pixels = pixels[::-1]
        return cast(Pixels, np.ascontiguousarray(np.rot90(pixels, self._turns)))


def _is_mirrored(frame: VideoFrame) -> bool:
    """Return whether the file says that pictures are shown upside down before they are turned."""
    try:
        stored = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # beside it is something that PyAV has no name for, such as EXIF
        stored = None
    if stored is None:
        return False
    a, b, _, c, d = np.frombuffer(cast(bytes, stored), np.int32)[:5].tolist()
    return bool(a * d < b * c)


def _grey_kind(format_name: str) -> tuple[np.dtype[np.uint8] | np.dtype[np.uint16] | None, int]:
    """Return how samples of grey are stored, None for every other format, and how many a pixel has."""
    match = _GREY_FORMAT.fullmatch(format_name)
    if match is None:
        return None, 0
    samples = 2 if match[1] else 1  # the other one is alpha
    if match[2] in ("", "8"):
        return np.dtype(np.uint8), samples
    return np.dtype(">u2" if match[3] == "be" else "<u2"), samples


def _plane(
    frame: VideoFrame, dtype: np.dtype[np.uint8] | np.dtype[np.uint16], channels: int, number: int = 0
) -> Pixels:
    """Copy a plane of a frame, by its number, without its line padding."""
    plane = frame.planes[number]
    rows = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
    samples = rows[:, : plane.width * channels]
    shape = (plane.height, plane.width, channels) if channels > 1 else (plane.height, plane.width)
    return cast(Pixels, samples.astype(dtype.newbyteorder("=")).reshape(shape))


class _Rational(Protocol):
    """What PyAV's rational types have in common, `fractions.Fraction` or not."""

    @property
    def numerator(self) -> int: ...
    @property
    def denominator(self) -> int: ...


def exact_fraction(value: _Rational | None) -> Fraction | None:
    """Turn PyAV's rational into a `Fraction`: the one place, because its type changes with PyAV."""
    if value is None or not value.numerator or not value.denominator:
        return None
    return Fraction(int(value.numerator), int(value.denominator))


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


def open_container(path: Path) -> InputContainer:
    """Open a local file, whatever its name looks like, with libav; `VideoError` where there is no video."""
    try:
        container = _opened(path)
    except (av.error.FFmpegError, OSError) as error:
        raise _opening_error(path, error) from error
    if container.format.name in _NOT_VIDEO_FORMATS:
        container.close()
        raise VideoError("this is not a video", where=path, hint="it looks like a text file")
    return container


def _opened(path: Path, hwaccel: HWAccel | None = None) -> InputContainer:
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


def _on_gpu(
    standby: PacketDecoder, stream: VideoStream, path: Path, number: int, gpu: int
) -> PacketDecoder | GpuDecoder:
    """Return a decoder on a device for a stream that suits it, else `standby`."""
    pixel_format = stream.codec_context.pix_fmt
    if pixel_format is None or not suits_gpu(stream.codec_context):
        return standby
    try:
        device = _device_decoder(path, number, gpu)
    except (av.error.FFmpegError, OSError, VideoError) as error:
        _LOGGER.info("%s: cuda:%d cannot be used (%s): the processor decodes", path, gpu, reason_of(error))
        return standby
    return GpuDecoder(standby, device, pixel_format, gpu, path)


def _device_decoder(path: Path, number: int, gpu: int) -> PacketDecoder:
    container = _opened(path, accelerator(gpu))
    with closing_on_error(container.close):
        stream, _ = _choose_stream(container, path, number)
        _require_sane_size(stream, path)
        stream.codec_context.thread_count = 1
        return PacketDecoder(container, stream, path)


def _attached_intrinsics(container: InputContainer) -> Intrinsics | None:
    """Return what a calibration says that is attached to the file, as Azure Kinect's recorder does it."""
    for stream in container.streams:
        if stream.type == "attachment" and stream.metadata.get("filename") == "calibration.json":
            data = getattr(stream, "data", None) or b""  # older libraries do not give it
            try:
                with translated(FormatError, "the calibration cannot be read", where="calibration.json"):
                    return parsed_intrinsics(data.decode().rstrip("\0"))
            except FormatError as error:
                _LOGGER.info("%s", error)
    return None


def _created_s(container: InputContainer) -> Fraction | None:
    """Return when a file says it was begun; clocks that were never set count from 1904 or 1970."""
    with suppress(ValueError, OverflowError, OSError):  # the latter on Windows, before 1970
        said = datetime.fromisoformat(container.metadata.get("creation_time", ""))
        created_s = Fraction(round(said.timestamp() * 1_000_000), 1_000_000)
        return created_s if created_s > _DAY_S else None
    return None


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


def packet_stamps(path: Path, stream: int, split: tuple[int, int] | None = None) -> list[int] | None:
    """Return the stamps of all frames of a video stream, rising, without decoding; None if any has none.

    `stream` is the place of the stream among the file's video streams, `split` into how many parts a tick is
    split, and how many of them lie between two frames. `VideoError`: the file cannot be opened;
    `DecodeError`: it cannot be read to its end.
    """
    with open_container(path) as container:
        chosen, _ = _choose_stream(container, path, stream)
        with translated(DecodeError, "reading fails", where=path):
            stamps = list(stamps_from_here(container, chosen))
        if not has_times(container):
            return list(range(len(stamps)))
    parts, step = split or (1, None)
    known = [stamp * parts for stamp in stamps if stamp is not None]
    return presented(known, step) if len(known) == len(stamps) else None


def stamps_from_here(container: InputContainer, stream: VideoStream) -> Iterator[int | None]:
    """Yield the stamps of the packets that give a frame, from where an opened file is to its end."""
    for packet in demuxed(container, stream):
        if packet.size and not packet.is_discard:
            yield packet_stamp(container, packet)


def video_streams(container: InputContainer) -> list[VideoStream]:
    """Return the video streams of a file but those of a cover picture."""
    return [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]


def _last_packets_s(path: Path, stream: int, begin_s: Fraction) -> list[Fraction]:
    """Return when the last frames begin, from a time near the end that is claimed on; nothing: not found."""
    with open_container(path) as container:
        try:
            chosen, _ = _choose_stream(container, path, stream)
            time_base = exact_fraction(chosen.time_base) or Fraction(1)
            container.seek(int(begin_s / time_base), stream=chosen)
            stamps = list(stamps_from_here(container, chosen))
        except (av.error.FFmpegError, OSError):
            return []
    return [stamp * time_base for stamp in stamps if stamp is not None]


def _frames_unread(path: Path, reading: PacketDecoder, listed: int) -> int:
    """Return how many frames the file can hold behind the last one, by its length or the one it claims.

    A file that was cut claims more than it has; in a whole one, hardly anything follows the last frame but
    an index, in which AVI lists so many frames, also those that are no picture of their own.
    """
    size = path.stat().st_size
    end = _claimed_bytes(path) or size
    unread = end - reading.read_end
    if end <= size and unread <= max(_INDEX_BYTES, size // 20, _ENTRY_BYTES * listed):
        return 0
    return unread * reading.packets // max(1, reading.read_bytes) + 1


def _claimed_bytes(path: Path) -> int | None:
    """Return the length that a Matroska or an AVI file says it has."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(b"RIFF"):
        return 8 + int.from_bytes(head[4:8], "little")
    begin, size = segment(head) or (0, None)
    return None if size is None else begin + size


def _is_cropped(path: Path, size: tuple[int, int]) -> bool:
    """Return whether a Matroska or MP4 file says to show less than its pictures, which libav does not tell.

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


def _joined_recordings(path: Path) -> int:
    """Return how many recordings lie in an MP4 file one behind the other, of which libav reads the first.

    0 for another file. Source: ISO/IEC 14496-12, section 4.2 (boxes).
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
            if len(head) < 8 or size < 8:  # the end; a size of 0 reaches to it
                break
            at += size
    return found


def _choose_stream(
    container: InputContainer, path: Path, wanted: int | TrackPicker
) -> tuple[VideoStream, TrackInfo]:
    """Return a video stream, and what the file calls it."""
    streams = video_streams(container)
    if not streams:
        kinds = ", ".join(stream.type for stream in container.streams) or "none"
        raise VideoError(f"it has no video stream (streams: {kinds})", where=path)
    picker = wanted if isinstance(wanted, TrackPicker) else TrackPicker(TrackChoice(number=wanted))
    track = picker.pick([_track_info(number, stream) for number, stream in enumerate(streams)], path)
    stream = streams[track.number]
    # libav lists a stream whose codec it does not know, without a decoder
    if stream.codec_context is None:
        raise VideoError("its codec is unknown", where=path)
    return stream, track


def _track_info(number: int, stream: VideoStream) -> TrackInfo:
    title = stream.metadata.get("title", "")
    return TrackInfo(number, title, kind_of_track(title, list(stream.metadata)))


def _require_sane_size(stream: VideoStream, path: Path) -> None:
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


def _claimed_end_s(container: InputContainer, stream: VideoStream, start_s: Fraction) -> Fraction | None:
    """Return the time at which the container says this stream ends, in seconds, if it says."""
    time_base = exact_fraction(stream.time_base)
    if stream.duration is not None and time_base is not None:
        start = start_s if stream.start_time is None else stream.start_time * time_base
        return start + stream.duration * time_base
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:  # Matroska writes the end of the track on its own clock, not its length
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + Fraction(tag[3])
    if container.duration is not None and len(container.streams) == 1:
        end = Fraction(container.duration, 1_000_000)
        return end if "matroska" in container.format.name else start_s + end
    return None
