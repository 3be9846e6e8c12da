"""`inspect_pair`: what one or two streams hold, and whether and how they pair. Nothing is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final

from dmtrack.errors import ConfigError
from dmtrack.video.frame import Frame, Modality, VideoInfo
from dmtrack.video.matching import NearestMatcher
from dmtrack.video.modality import modality_of, swap_remarks
from dmtrack.video.second.aux_encoder import sparse_depth_remarks
from dmtrack.video.stream_files import open_stream, open_streams
from dmtrack.video.streams import PairingOptions, StreamPair, Sync, clock_remarks

SAMPLED_FRAMES: Final = 100


@dataclass(frozen=True, slots=True)
class SkewSummary:
    """How far partners lie apart in time, over the first RGB frames."""

    frames: int  # RGB frames examined
    missing: int  # those without a partner within the largest skew
    median_s: Fraction | None  # median distance without sign, in seconds; None if none has a partner
    largest_s: Fraction | None  # largest distance, in seconds; None if none has a partner


@dataclass(frozen=True, slots=True)
class PairMatch:
    """How two streams fit together."""

    sync: Sync
    max_skew_s: Fraction
    overlap_s: Fraction | None  # seconds that both cover; None if a length is unknown
    # Seconds by which the second stream starts later, with the offset that was given
    start_apart_s: Fraction
    suggested_offset_s: Fraction  # the offset with which both would start together
    # Length of the second stream on its own clock over that of RGB, if both are known
    length_ratio: Fraction | None
    rate_ratio: Fraction | None  # frame rate of RGB over that of the second stream, if both are known
    expected_pairs: int | None  # RGB frames that should find a partner, if the lengths are known
    skew: SkewSummary  # what the first frames show


@dataclass(frozen=True, slots=True)
class PairReport:
    """One or two streams, what the second measures and how they fit together.

    `modality` is None if it cannot be told; `modality_reason` then says why. `warnings` are remarks for the
    user before tracking, a sentence each.
    """

    rgb: VideoInfo
    aux: VideoInfo | None = None
    modality: Modality | None = None
    modality_reason: str | None = None
    match: PairMatch | None = None
    warnings: tuple[str, ...] = ()


def inspect_pair(
    rgb: Path | str, aux: Path | str | None = None, options: PairingOptions | None = None
) -> PairReport:
    """Inspect the streams and match their first `SAMPLED_FRAMES` frames.

    Streams without overlap and an unknown modality are warnings here, not errors.

    Raises:
        VideoError: A stream cannot be opened.
        DecodeError: A stream cannot be decoded.
        FormatError: A file of time stamps is unusable, or is for another number of frames.
        ConfigError: One picture is to be split, and there are two streams.
    """
    options = options or PairingOptions()
    second = options.second(Path(rgb), None if aux is None else Path(aux))
    if second is None:
        with open_stream(Path(rgb), options) as source:
            return PairReport(source.info, warnings=tuple(clock_remarks(source)))
    with open_streams(Path(rgb), second, options) as streams:
        modality, reason = _modality_of(streams)
        match, first, partner = _match(streams)
        warnings = _warnings(streams, match, modality)
        if first is not None:
            shown = None if partner is None else partner.pixels
            warnings += swap_remarks(streams.rgb.info, streams.aux.info, first.pixels, shown)
        if modality is Modality.DEPTH and partner is not None:
            warnings += sparse_depth_remarks(partner.pixels)
        return PairReport(streams.rgb.info, streams.aux.info, modality, reason, match, tuple(warnings))


def _modality_of(streams: StreamPair) -> tuple[Modality | None, str]:
    try:
        guess = modality_of(streams.aux, rgb=streams.rgb.info.path)
    except ConfigError as error:
        return None, error.what
    return guess.modality, guess.reason


def _match(streams: StreamPair) -> tuple[PairMatch, Frame | None, Frame | None]:
    """Return how the streams fit together, and a frame of each, if there is one."""
    rgb, aux = streams.rgb.info, streams.aux.info
    spans = streams.true_spans()
    common, (rgb_s, aux_s) = spans[0].common(spans[1]), (span.length_s for span in spans)
    overlap_s = Fraction(0) if common is None else common.length_s
    start_apart_s = streams.aux_span.start_s - rgb.start_s
    skew, first, partner = _skew(streams)
    match = PairMatch(
        sync=streams.pairing.sync or Sync.PTS,
        max_skew_s=streams.max_skew_s,
        overlap_s=overlap_s,
        start_apart_s=start_apart_s,
        suggested_offset_s=streams.pairing.shift_s - start_apart_s,
        length_ratio=aux_s / rgb_s / streams.pairing.rate_ratio if rgb_s and aux_s else None,
        rate_ratio=rgb.frame_rate / aux.frame_rate if rgb.frame_rate and aux.frame_rate else None,
        expected_pairs=_expected_pairs(rgb, overlap_s),
        skew=skew,
    )
    return match, first, partner


def _expected_pairs(rgb: VideoInfo, overlap_s: Fraction | None) -> int | None:
    if overlap_s is None or rgb.frame_rate is None:
        return None
    pairs = round(overlap_s * rgb.frame_rate)
    return pairs if rgb.frame_count is None else min(pairs, rgb.frame_count)


def _skew(streams: StreamPair) -> tuple[SkewSummary, Frame | None, Frame | None]:
    matcher: NearestMatcher | None = None
    skews: list[Fraction] = []
    frames = 0
    first: Frame | None = None
    partner: Frame | None = None
    for rgb in islice(streams.rgb, SAMPLED_FRAMES):
        matcher = matcher or streams.matcher(rgb)
        nearest, is_near = streams.partner(matcher, rgb)
        frames += 1
        first = first or rgb
        if nearest is not None and is_near:
            partner = nearest
            skews.append(abs(nearest.time_s - rgb.time_s))
    missing = frames - len(skews)
    middle_s = median(skews) if skews else None
    summary = SkewSummary(frames, missing, middle_s, max(skews, default=None))
    return summary, first, partner


def _warnings(streams: StreamPair, match: PairMatch, modality: Modality | None) -> list[str]:
    rgb, aux = streams.rgb.info, streams.aux.info
    found = streams.remarks
    if modality is None:
        found.append("It is not clear what the second stream measures: give --modality.")
    if match.overlap_s == 0:
        found.append("The streams share no time: give --offset-ms.")
    if match.skew.missing:
        found.append(f"{match.skew.missing} of the first {match.skew.frames} RGB frames have no partner.")
    for damaged, info in ((streams.rgb.damaged_packets, rgb), (streams.aux.damaged_packets, aux)):
        if damaged:
            found.append(f"{info.path.name} has damaged or missing frames ({damaged} so far).")
    return found
