"""`align_automatically`: a homography from the pictures alone, or an error if it is not certain.

The confidence comes from two questions to the recording itself. Does the second picture fit better than its
own mirror images? And do two halves of the frames, refined separately, give the same result?
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dmtrack.alignment.edges import Samples, SearchPicture, aux_channels, rgb_channels
from dmtrack.alignment.refinement import Refined, refine
from dmtrack.alignment.similarity import find_similarity
from dmtrack.errors import AlignmentError, FormatError
from dmtrack.geometry.alignment_file import Alignment
from dmtrack.geometry.homography import Homography, Size
from dmtrack.video.frame import FramePair, Modality

SAMPLE_SIDE_PX: Final = 640  # pictures are kept at this size; alignment is found on it
LEAST_CONFIDENCE: Final = 0.5
_EVEN_RATIO: Final = 1.42
_RATIO_WIDTH: Final = 0.06
"""The best of sixty wrong pairs fitted 1.35 times as well as its mirror images; right ones, 1.5 times or
more."""
_USUAL_SPREAD: Final = 0.02
"""Halves that differ by this share of the picture's diagonal cost more than half of the confidence."""
_HINT: Final = "give hand-picked points with --points, more frames with --frames, or a checkerboard"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence for an automatic alignment."""

    frames: int  # number of frame pairs used
    ratio: float  # its score over that of the best mirror image
    spread_px: float  # distance of the corners between two halves of the frames, in RGB pixels
    agreement: float  # share of the picture's blocks that agree with it
    confidence: float  # 0 to 1, from the three


def align_automatically(pairs: Iterable[FramePair]) -> tuple[Alignment, Evidence]:
    """Find the homography; `AlignmentError` if it is not certain.

    Eight or more different pairs are best; they are shrunk as they come. `AlignmentError`: the evidence is
    too weak, the message says which part; or there is no pair.
    """
    found = propose(pairs)
    if found is None:
        raise AlignmentError("not sure: the pictures show nothing in common", hint=_HINT)
    evidence = found[1]
    if evidence.confidence < LEAST_CONFIDENCE:
        raise AlignmentError(
            f"not sure (confidence {evidence.confidence:.2f}): the second picture fits {evidence.ratio:.2f} "
            f"times as well as mirrored, and two halves of the frames differ by {evidence.spread_px:.1f} px",
            hint=_HINT,
        )
    return found


def propose(pairs: Iterable[FramePair]) -> tuple[Alignment, Evidence] | None:
    """Return the best homography and its evidence, however weak, or None; `AlignmentError` without a pair."""
    samples, aux_size, rgb_size = _samples(pairs)
    coarse = find_similarity(samples)
    refined = refine(samples, coarse.matrix)
    halves = [refine(half, coarse.matrix) for half in (samples[::2], samples[1::2] or samples)]
    if refined is None:
        return None
    try:
        homography = Homography.of(refined.matrix, aux_size, rgb_size)
        spread_px = _spread_px(homography, halves)
    except FormatError:
        return None
    confidence = _confidence(coarse.ratio, spread_px / math.hypot(*rgb_size), refined.agreement)
    alignment = Alignment(homography, "automatic", refined.residual_px, confidence)
    return alignment, Evidence(len(samples), coarse.ratio, spread_px, refined.agreement, confidence)


def _samples(pairs: Iterable[FramePair]) -> tuple[Samples, Size, Size]:
    """Return the shrunk pairs, and the full sizes of the second picture and of RGB."""
    samples = []
    sizes: tuple[Size, Size] | None = None
    for pair in pairs:
        if pair.aux is None or pair.modality is None:
            continue
        sizes = ((pair.aux.width, pair.aux.height), (pair.rgb.width, pair.rgb.height))
        both = rgb_channels(pair.rgb.pixels), aux_channels(pair.aux.pixels, pair.modality)
        depth = pair.modality is Modality.DEPTH
        rgb, aux = (SearchPicture.of(channels, SAMPLE_SIDE_PX, steps_only=depth) for channels in both)
        samples.append((rgb, aux))
    if sizes is None:
        raise AlignmentError("no RGB frame has a partner to align", hint="check --offset-ms")
    return samples, *sizes


def _spread_px(whole: Homography, halves: list[Refined | None]) -> float:
    found = [
        Homography.of(half.matrix, whole.aux_size, whole.rgb_size) for half in halves if half is not None
    ]
    return found[0].corner_error_px(found[1]) if len(found) == 2 else math.inf


def _confidence(ratio: float, spread: float, agreement: float) -> float:
    fits = 1 / (1 + math.exp(-(ratio - _EVEN_RATIO) / _RATIO_WIDTH))
    return fits * math.exp(-((spread / _USUAL_SPREAD) ** 2)) * min(1.0, agreement / 0.8)
