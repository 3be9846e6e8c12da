"""`open_pair`: an RGB stream and, if there is one, a second stream, frame by frame.

Each RGB frame is paired with the second stream's frame nearest in time, which may serve several
RGB frames; others are skipped. The second picture is encoded at its own resolution, brought onto
the RGB grid, and kept for as long as its frame is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import cv2
import numpy as np

from dmtrack.errors import ConfigError, FormatError, PairingError, counted
from dmtrack.geometry.intrinsics import Intrinsics, intrinsics_near
from dmtrack.options import command_words, declared_options
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.events.event_source import EventSource
from dmtrack.video.frame import Frame, FramePair, Modality, VideoInfo
from dmtrack.video.matching import NearestMatcher
from dmtrack.video.modality import ModalityGuess, modality_of, swap_remarks
from dmtrack.video.position import Position
from dmtrack.video.second.aux_encoder import AS_PUBLISHED, AuxEncoder, EncodingOptions, mm_per_count
from dmtrack.video.second.encoding import Image8, ModalityEncoder
from dmtrack.video.second.gauge import Gauge
from dmtrack.video.source import ClosedOnExit, FrameSource, closing_on_error
from dmtrack.video.stream_files import open_stream, open_streams
from dmtrack.video.streams import BY_TIME, OnMissing, PairingOptions, StreamPair, clock_remarks

_OF_TWO: Final = frozenset(
    {"--offset-ms", "--max-skew-ms", "--on-missing", "--sync", "--rate-ratio", "--align", "--fit"}
    | {"--aux-times", "--aux-norm", "--aux-range", "--depth-scale"}
)
"""Options that have no effect on one stream alone."""
_OF_EVENTS: Final = frozenset(one.option.long_name for one in declared_options(EventOptions))


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Counts of what reading and pairing met so far."""

    pairs: int = 0  # RGB frames yielded
    aux_held: int = 0  # frames with the same partner as the frame before
    # Frames without a partner within the largest skew: `aux_blank`, `aux_rgb_only` and `aux_stale`
    aux_missing: int = 0
    rgb_damaged: int = 0  # packets or pictures of the first stream that were lost or damaged
    aux_damaged: int = 0  # the same of the second stream
    largest_skew_s: Fraction = Fraction(0)  # largest distance in time of two partners, in seconds
    aux_blank: int = 0  # frames without a partner that showed a black picture
    aux_rgb_only: int = 0  # frames without a partner that the network saw as RGB alone
    # Frames of a live first stream that were dropped because newer ones had come
    rgb_dropped: int = 0
    aux_dropped: int = 0  # frames of a live second stream that were paired with no frame of the first
    # Longest wait of a live frame before it was taken, in seconds
    longest_delay_s: Fraction = Fraction(0)

    @property
    def aux_stale(self) -> int:
        """Frames without a partner that showed the picture nearest in time."""
        return self.aux_missing - self.aux_blank - self.aux_rgb_only


class PairedSource(ClosedOnExit):
    """The frame pairs of a recording, in order; read once, closed with `close` or `with`.

    Attributes:
        rgb: The first stream.
        rgb_info: What the first stream claims.
        aux_info: What the second stream claims, or None without one.
        modality: What the second stream measures, or None without one.
        modality_reason: How that is known.
        pairing: How the streams are matched and overlaid; with a second stream, its `sync` and `max_skew_s`
            are those that were chosen.
        needs_partners: Whether it is an error if no frame has a partner; not so for part of a recording.
        encoding: How the second stream's counts become pictures, completed from the file and the defaults.

    Args:
        streams: The first stream, or both.
        modality: What the second stream measures and how that is known.
        start: First RGB frame wanted.
        end: First RGB frame no longer wanted.
        pairing: As above, for a single stream; a `StreamPair` has its own.
        encoding: How the second stream's counts become pictures.
    """

    def __init__(
        self,
        streams: FrameSource | StreamPair,
        modality: ModalityGuess | None = None,
        *,
        start: Position | None = None,
        end: Position | None = None,
        pairing: PairingOptions = BY_TIME,
        encoding: EncodingOptions | None = None,
    ) -> None:
        self._streams = streams if isinstance(streams, StreamPair) else None
        self.rgb = streams.rgb if isinstance(streams, StreamPair) else streams
        self._start, self._end = start, end
        self._met = PairCounts()
        self._stopped = False
        self.needs_partners = True
        self._swap: list[str] = []
        self._encode_rgb = ModalityEncoder(Modality.THERMAL)  # unchanged; only 16 bits are stretched to 8
        self.rgb_info: VideoInfo = self.rgb.info
        self.aux_info: VideoInfo | None = None
        self.modality: Modality | None = None
        self.modality_reason: str | None = None
        self.pairing = pairing
        self.encoding = encoding or EncodingOptions()
        self._aux_picture: tuple[int, Image8] | None = None
        self._encode_aux: AuxEncoder | None = None
        self._gauge: Gauge | None = None
        if self._streams is None and modality is None:
            return
        if self._streams is None or modality is None:
            raise ValueError("a second stream and its modality come together")
        self.pairing, self.aux_info = self._streams.pairing, self._streams.aux.info
        self.modality, self.modality_reason = modality.modality, modality.reason
        unit_mm, counts = self.aux_info.depth_unit_mm, self.aux_info.counts
        self._encode_aux = AuxEncoder(modality.modality, self.encoding, unit_mm, counts)
        is_known = self.encoding.depth_scale_mm or unit_mm
        scale_mm = mm_per_count(self.encoding, unit_mm, counts) if is_known else None
        self.encoding = replace(self.encoding, norm=self.encoding.resolved_norm, depth_scale_mm=scale_mm)
        self._to_grid = self.pairing.to_grid
        self._camera, self._camera_note = camera_of(self.rgb_info, self.pairing.intrinsics, self.modality)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks for the user on times and pictures; complete once the iteration has ended."""
        if self._streams is None or self._encode_aux is None:
            return (*clock_remarks(self.rgb), *self._unused_streams, *self._unused_options)
        about_both = (*self._swap, *self._streams.remarks, *self._encode_aux.remarks)
        return (*about_both, *self._camera_note, *self._unused_options)

    @property
    def _unused_options(self) -> list[str]:
        """Remarks on options that were given but have no effect on these streams."""
        sources = (self.rgb,) if self._streams is None else (self.rgb, self._streams.aux)
        lacking = {} if self._streams is not None else {"second stream": _OF_TWO}
        if not any(isinstance(source, EventSource) for source in sources):
            lacking["event file"] = _OF_EVENTS
        given = [
            word.partition("=")[0] for word in (*command_words(self.pairing), *command_words(self.encoding))
        ]
        named = {what: ", ".join(one for one in given if one in names) for what, names in lacking.items()}
        return [f"There is no {what}, for which {names} would be." for what, names in named.items() if names]

    @property
    def _unused_streams(self) -> list[str]:
        track = self.rgb_info.track
        if track is None or not track.beside or self.pairing.rgb_track is not None:
            return []
        more = counted(track.beside, "more stream")
        return [f"{self.rgb_info.path.name} holds {more}: --aux-stream takes one as the second."]

    @property
    def counts(self) -> PairCounts:
        """What was met so far; complete once the iteration has ended."""
        aux_damaged = 0 if self._streams is None else self._streams.aux.damaged_packets
        return replace(self._met, rgb_damaged=self.rgb.damaged_packets, aux_damaged=aux_damaged)

    def __iter__(self) -> Iterator[FramePair]:
        """Yield one pair for every RGB frame between `start` and `end`.

        Raises:
            DecodeError: A stream is damaged beyond its bound; pairs yielded before stay valid.
            PairingError: At the end, no RGB frame had a partner, though `needs_partners` is set.
            ConfigError: No frame lies between `start` and `end`.
        """
        frames = self.rgb.read(self._start, self._end)
        start_s = self.rgb_info.start_s
        pairs = (FramePair(rgb, None, None, self._encode_rgb(rgb.pixels), start_s=start_s) for rgb in frames)
        for pair in pairs if self._streams is None else self._matched(self._streams, frames):
            self._met = replace(self._met, pairs=self._met.pairs + 1)
            yield pair
        self._require_pairs()

    def close(self) -> None:
        """Close the streams. Doing so twice is harmless."""
        self.rgb.close()
        if self._streams is not None:
            self._streams.close()

    def _matched(self, streams: StreamPair, frames: Iterator[Frame]) -> Iterator[FramePair]:
        on_missing = self.pairing.on_missing
        matcher: NearestMatcher | None = None
        last: Frame | None = None
        for rgb in frames:
            matcher = matcher or streams.matcher(rgb)
            nearest, is_near = streams.partner(matcher, rgb)
            partner = nearest if is_near else None
            if partner is None and on_missing is OnMissing.STOP:
                self._stopped = True
                return
            if not self._met.pairs:
                second = None if nearest is None else nearest.pixels
                self._swap = swap_remarks(self.rgb_info, streams.aux.info, rgb.pixels, second)
            shown = nearest if on_missing is OnMissing.HOLD else partner
            is_alone = shown is None and on_missing is OnMissing.RGB_ONLY
            self._count(rgb, partner, last, is_blank=shown is None and not is_alone, is_alone=is_alone)
            last = partner
            image = self._encode_rgb(rgb.pixels) if is_alone else self._six_channels(rgb, shown)
            yield FramePair(rgb, partner, self.modality, image, self._gauge, self.rgb_info.start_s)

    def _count(
        self, rgb: Frame, partner: Frame | None, last: Frame | None, *, is_blank: bool, is_alone: bool
    ) -> None:
        met = self._met
        if partner is None:
            blank, alone = met.aux_blank + is_blank, met.aux_rgb_only + is_alone
            met = replace(met, aux_missing=met.aux_missing + 1, aux_blank=blank, aux_rgb_only=alone)
        else:
            held = met.aux_held + (last is not None and last.index == partner.index)
            skew_s = max(met.largest_skew_s, abs(partner.time_s - rgb.time_s))
            met = replace(met, aux_held=held, largest_skew_s=skew_s)
        self._met = met

    def _six_channels(self, rgb: Frame, aux: Frame | None) -> Image8:
        visible = self._encode_rgb(rgb.pixels)
        second = np.zeros_like(visible) if aux is None else self._on_grid(aux)
        # seven times as fast as writing into two halves of an array
        return cast(Image8, cv2.merge([visible, second]))

    def _on_grid(self, aux: Frame) -> Image8:
        """Return a frame of the second stream encoded and on the RGB grid; repeated frames are reused."""
        if self._aux_picture is None or self._aux_picture[0] != aux.index:
            if self._encode_aux is None or self.modality is None:
                raise ValueError("there is no second stream")
            picture = self._to_grid(self._encode_aux(aux.pixels), self.rgb_info.size, self.modality)
            self._aux_picture = aux.index, picture
            if self._gauge is None and self._encode_aux.meaning is not None:
                size = (aux.width, aux.height)
                to_aux = self.pairing.rgb_to_aux(size, self.rgb_info.size)
                self._gauge = Gauge(
                    self._encode_aux.meaning, size, to_aux, self._camera, 8 * aux.pixels.itemsize
                )
        return self._aux_picture[1]

    def _require_pairs(self) -> None:
        path = self.rgb_info.path
        if self._met.pairs == 0 and not self._stopped:
            raise ConfigError("no frame lies between start and end", where=path, hint="check --start, --end")
        if self._streams is not None and self._met.aux_missing == self._met.pairs and self.needs_partners:
            raise PairingError(
                f"no frame has a partner within {float(self._streams.max_skew_s):.3f} s "
                f"in {self._streams.aux.info.path.name}",
                where=path,
                hint="check --offset-ms, or allow more with --max-skew-ms",
            )


def camera_of(
    rgb: VideoInfo, given: Intrinsics | None, modality: Modality
) -> tuple[Intrinsics | None, list[str]]:
    """Return the intrinsics of the RGB camera, None if not needed or unknown, and remarks on them.

    `given` are the user's; only depth needs any. `ConfigError`: the given ones are for pictures of another
    shape, or the second stream is not depth.
    """
    if modality is not Modality.DEPTH:
        if given is not None:
            raise ConfigError(f"--intrinsics is for depth, and the second stream is {modality}")
        return None, []
    if given is not None:
        return given.for_size(rgb.size), []
    found, passed = rgb.intrinsics, tuple[FormatError, ...]()
    if found is None and rgb.path.exists():
        found, passed = intrinsics_near(rgb.path)
    unread = [f"Not read: {error.where}: {error.what}." for error in passed]
    if found is None:
        return None, unread
    note = "Intrinsics were found in " + (rgb.path if found.path is None else found.path).name + "."
    if found.path is None and rgb.intrinsics is None:
        note = "Intrinsics are those published of TUM's recordings, whose depth needs --depth-scale 0.2."
    try:
        return found.for_size(rgb.size), [*unread, note]
    except ConfigError as error:
        return None, [*unread, f"No positions of targets: {error}."]


def open_pair(
    rgb: Path | str,
    aux: Path | str | None = None,
    *,
    modality: Modality | None = None,
    start: Position | None = None,
    end: Position | None = None,
    pairing: PairingOptions = BY_TIME,
    encoding: EncodingOptions = AS_PUBLISHED,
) -> PairedSource:
    """Open an RGB video or image folder and, if given, a second stream.

    Args:
        rgb: The first stream; gives indices, times and the pixel grid. A single thermal stream
            may also be given here.
        aux: The second stream; the same file, if it holds both.
        modality: What `aux` measures; found out if None.
        start: First RGB frame wanted, counted from the start of the RGB stream.
        end: First RGB frame no longer wanted.
        pairing: How the streams are opened, matched in time and overlaid.
        encoding: How the counts of `aux` become pictures.

    Raises:
        VideoError: A stream cannot be opened.
        DecodeError: A stream has no readable frame.
        FormatError: A file of time stamps is unusable, or is for another number of frames.
        PairingError: The streams share no time.
        ConfigError: The modality cannot be told, an argument is out of range, or the alignment is
            for pictures of other sizes.
    """
    second = pairing.second(Path(rgb), None if aux is None else Path(aux))
    if second is None:
        if pairing.intrinsics is not None:
            raise ConfigError("--intrinsics is for depth, and there is no second stream")
        first = open_stream(Path(rgb), pairing)
        return PairedSource(first, start=start, end=end, pairing=pairing, encoding=encoding)
    streams = open_streams(Path(rgb), second, pairing)
    with closing_on_error(streams.close):
        streams.require_overlap()
        pairing.require_sizes(streams.aux.info, streams.rgb.info)
        guess = modality_of(streams.aux, modality, streams.rgb.info.path)
        return PairedSource(streams, guess, start=start, end=end, encoding=encoding)
