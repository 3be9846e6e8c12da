"""A few frame pairs, spread over a recording, to find an alignment on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from dmtrack.alignment.edges import Picture, aux_channels, rgb_channels
from dmtrack.alignment.similarity import Samples
from dmtrack.errors import AlignmentError
from dmtrack.geometry.homography import Size
from dmtrack.video.frame import FramePair, Modality
from dmtrack.video.pairing import PairedSource, open_pair
from dmtrack.video.position import Position
from dmtrack.video.streams import BY_TIME, PairingOptions

SAMPLE_SIDE_PX = 640
"""Pictures are kept at this size; alignment is found on it."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Two streams, as the person named them.

    Attributes:
        rgb: The first stream.
        aux: The second stream.
        modality: What `aux` measures; None finds out.
        pairing: How the streams are matched in time.
    """

    rgb: Path
    aux: Path
    modality: Modality | None = None
    pairing: PairingOptions = BY_TIME


@dataclass(frozen=True, slots=True)
class SampledPairs:
    """Frame pairs made small for the search.

    Attributes:
        pictures: RGB and second picture of each pair.
        aux_size: Width and height of the full second picture.
        rgb_size: Width and height of the full RGB picture.
    """

    pictures: Samples
    aux_size: Size
    rgb_size: Size

    @classmethod
    def of(cls, pairs: Iterator[FramePair]) -> SampledPairs:
        """Make frame pairs small as they come.

        Raises:
            AlignmentError: There is none.
        """
        pictures = []
        sizes: tuple[Size, Size] | None = None
        for pair in pairs:
            if pair.aux is None or pair.modality is None:
                continue
            sizes = ((pair.aux.width, pair.aux.height), (pair.rgb.width, pair.rgb.height))
            both = rgb_channels(pair.rgb.pixels), aux_channels(pair.aux.pixels, pair.modality)
            depth = pair.modality is Modality.DEPTH
            rgb, aux = (Picture.of(channels, SAMPLE_SIDE_PX, steps_only=depth) for channels in both)
            pictures.append((rgb, aux))
        if sizes is None:
            raise AlignmentError("no RGB frame has a partner to align", hint="check --offset-ms")
        return cls(pictures, *sizes)


def spread_pairs(recording: Recording, count: int) -> Iterator[FramePair]:
    """Yield `count` frame pairs spread evenly over a recording, or all if there are fewer.

    Raises:
        InputError: A stream cannot be read, or they share no time.
        ConfigError: The modality cannot be told.
    """
    with _open(recording, None) as pairs:
        modality, total = pairs.modality, pairs.rgb_info.frame_count
        if total is None or total <= count:
            yield from islice((pair for pair in pairs if pair.aux is not None), count)
            return
    found = 0
    for place in range(count):
        # the middle of each of `count` equal parts: first and last frames are often black
        index = (2 * place + 1) * total // (2 * count)
        pair = _pair_at(recording, modality, index)
        if pair is not None:
            found += 1
            yield pair
    if found == 0:
        raise AlignmentError(
            "no RGB frame has a partner to align", where=recording.aux, hint="check --offset-ms"
        )


def _open(recording: Recording, start: Position | None) -> PairedSource:
    return open_pair(
        recording.rgb,
        recording.aux,
        modality=recording.modality,
        start=start,
        pairing=recording.pairing,
    )


def _pair_at(recording: Recording, modality: Modality | None, index: int) -> FramePair | None:
    with _open(replace(recording, modality=modality), Position(index=index)) as pairs:
        first = next(iter(pairs), None)
    return None if first is None or first.aux is None else first
