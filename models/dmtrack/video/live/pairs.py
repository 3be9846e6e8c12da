"""`open_live_pair`: one or two live streams, frame by frame, always fresh.

Both streams are put on this machine's clock (`ArrivalClock`), and each RGB frame that is taken is paired with
the second stream's frame nearest in time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import Annotated, ClassVar, Final, cast

from dmtrack.errors import ConfigError
from dmtrack.options import Option, make_exact, ms_text, seconds_of_ms
from dmtrack.video.frame import Frame, Modality, Pixels, VideoInfo
from dmtrack.video.live.address import LiveAddress
from dmtrack.video.live.live_reader import MAX_DELAY_S, TIMEOUT_S, Companion, LiveReader
from dmtrack.video.matching import NearestMatcher, shifted
from dmtrack.video.modality import ModalityGuess, guess_modality
from dmtrack.video.pairing import PairCounts, PairedSource
from dmtrack.video.position import Position
from dmtrack.video.second.aux_encoder import EncodingOptions
from dmtrack.video.split import SplitSource, SplitStreams
from dmtrack.video.streams import BY_TIME, PairingOptions, Split, StreamPair, Sync, default_max_skew_s

_SETTLE_S: Final = 0.4  # frames buffered before we connected arrive in a burst; after so long they are read
_INTERVALS_BEHIND: Final = 4
"""A partner arrives within so many frame intervals: libav holds up to two back, and it may be the next."""
_LONGEST_DELAY_S: Final = 0.6
_PATIENCE: Final = 0.8  # share of the largest delay that a frame may wait for its partner
_JITTER_S: Final = Fraction(1, 20)


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How live streams are read.

    Raises:
        ConfigError: A time is not positive.
    """

    PANEL: ClassVar = "Live"

    live: Annotated[
        bool, Option("--live", "RGB and AUX are live: 0 is a camera. Not needed for addresses (rtsp://…).")
    ] = False
    max_delay_s: Annotated[
        Fraction | None,
        Option(
            "--max-delay-ms",
            "Drop frames that waited longer. Default: 200, or what a slower AUX needs.",
            metavar="MS",
            parse=seconds_of_ms,
            write=ms_text,
        ),
    ] = None
    timeout_s: Annotated[
        float,
        Option(
            "--live-timeout",
            "A stream that is silent for this long has ended.",
            metavar="SECONDS",
            least=0.001,
        ),
    ] = TIMEOUT_S

    def __post_init__(self) -> None:
        make_exact(self)
        for name, value in (("largest delay", self.max_delay_s), ("longest silence", self.timeout_s)):
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"{name} {float(value):g} s is not positive")


@dataclass(frozen=True, slots=True)
class LiveStreams(StreamPair):
    """Two live streams; partners are the nearest in time among the last frames of the second."""

    @property
    def remarks(self) -> list[str]:
        """Always empty: live streams begin when they are opened."""
        return []

    def matcher(self, first: Frame) -> NearestMatcher:
        """Return an unused, empty matcher: `partner` asks the second stream itself."""
        return NearestMatcher(iter(()))

    def partner(self, matcher: NearestMatcher, rgb: Frame) -> tuple[Frame | None, bool]:
        """Return the nearest frame of the second stream, and whether it is near enough."""
        offset_s = self.pairing.shift_s
        found = cast(LiveReader, self.aux).nearest(rgb.time_s - offset_s)
        if found is None:
            return None, False
        frame = shifted(found, offset_s)
        return frame, abs(frame.time_s - rgb.time_s) <= self.max_skew_s


class LivePairs(PairedSource):
    """The frame pairs of live streams, until these end, or the condition of `stop_when` is true."""

    @property
    def _live(self) -> list[LiveReader]:
        if isinstance(self.rgb, SplitSource):
            return [cast(LiveReader, self.rgb.source)]
        streams = [self.rgb] if self._streams is None else [self.rgb, self._streams.aux]
        return cast(list[LiveReader], streams)

    def begin(self, index: int = 0) -> None:
        """Discard the frames that came while something else was done, and start counting anew.

        `index` is that of the next frame; as many earlier pairs count as read.
        """
        for reader in self._live:
            reader.begin(index)
        self._met = PairCounts(pairs=index)

    def stop_when(self, condition: Callable[[], bool]) -> None:
        """End the pairs when `condition` returns true; it is called often while a frame is waited for."""
        self._live[0].stop_when = condition

    @property
    def counts(self) -> PairCounts:
        """What was met so far, dropped frames and the longest delay included."""
        first, *others = self._live
        return replace(
            super().counts,
            rgb_dropped=first.dropped,
            aux_dropped=sum(reader.dropped for reader in others),
            longest_delay_s=Fraction(first.longest_delay_s).limit_denominator(1_000_000),
        )


def open_live_pair(
    rgb: LiveAddress,
    aux: LiveAddress | None = None,
    *,
    modality: Modality | None = None,
    end: Position | None = None,
    options: LiveOptions | None = None,
    pairing: PairingOptions = BY_TIME,
    encoding: EncodingOptions | None = None,
) -> LivePairs:
    """Open one or two live streams, and return when they run.

    `end` counts from the first frame. `pairing` applies with `offset_s`, `max_skew_s`, `on_missing`, `split`,
    `align`, `fit` and `intrinsics`. `modality` None is found out. `VideoError`: a stream cannot be opened, or
    sends nothing; `ConfigError`: the modality cannot be told, the alignment is for pictures of other sizes,
    or one stream is to be split and there are two.
    """
    options = options or LiveOptions()
    if pairing.split is not None and aux is not None:
        raise ConfigError("--split is for one stream of pictures that hold both", hint="leave out AUX")
    epoch_s = time.perf_counter()
    readers = [
        LiveReader(address, epoch_s=epoch_s, timeout_s=options.timeout_s, is_history=number == 1)
        for number, address in enumerate((rgb, aux))
        if address is not None
    ]
    try:
        infos = [reader.info for reader in readers]
        time.sleep(_SETTLE_S)
        first = readers[0]
        first.max_delay_s = float(options.max_delay_s or 0) or _needed_delay_s(infos)
        first.begin()
        if pairing.split is not None:
            return _split_pairs(first, pairing.split, modality, end, pairing, encoding)
        if len(readers) == 1:
            return LivePairs(first, end=end, pairing=pairing)
        second = readers[1]
        second.begin()
        max_skew_s = pairing.max_skew_s
        if max_skew_s is None:
            max_skew_s = default_max_skew_s(infos[0], infos[1]) + _JITTER_S
        pairing.require_sizes(infos[1], infos[0])
        first.companion = Companion(second, pairing.shift_s, _PATIENCE * first.max_delay_s)
        streams = LiveStreams(first, second, replace(pairing, sync=Sync.PTS, max_skew_s=max_skew_s))
        shown = second.nearest(Fraction(0)) if modality is None else None
        samples = [] if shown is None else [shown.pixels]
        return LivePairs(streams, _modality(second, modality, samples), end=end, encoding=encoding)
    except BaseException:
        for reader in readers:
            reader.close()
        raise


def _split_pairs(
    reader: LiveReader,
    half: Split,
    given: Modality | None,
    end: Position | None,
    pairing: PairingOptions,
    encoding: EncodingOptions | None,
) -> LivePairs:
    """Return the pairs of one stream whose pictures hold both; unless `given`, one picture is sampled."""
    if pairing.shift_s:
        raise ConfigError("both halves of a live picture are of one moment", hint="leave out --offset-ms")
    streams = SplitStreams(SplitSource(reader, half.other), SplitSource(reader, half), pairing)
    pairing.require_sizes(streams.aux.info, streams.rgb.info)
    samples = [frame.pixels for frame in islice(streams.aux, 1)] if given is None else []
    reader.begin()
    return LivePairs(streams, _modality(reader, given, samples), end=end, encoding=encoding)


def _needed_delay_s(infos: list[VideoInfo]) -> float:
    """Return how long a frame may have to wait until its partner is there."""
    rates = [info.frame_rate for info in infos if info.frame_rate]
    if len(infos) == 1 or not rates:
        return MAX_DELAY_S
    return min(_LONGEST_DELAY_S, max(MAX_DELAY_S, _INTERVALS_BEHIND / float(min(rates))))


def _modality(reader: LiveReader, given: Modality | None, samples: Sequence[Pixels]) -> ModalityGuess:
    if given is not None:
        return ModalityGuess(given, "it was given")
    return guess_modality(reader.address.path, samples)
