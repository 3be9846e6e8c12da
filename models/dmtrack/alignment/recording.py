"""What `dmtrack align` does, without a terminal: one recording in, an alignment and its picture out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from dmtrack.alignment.automatic import Evidence, align_automatically
from dmtrack.alignment.checkerboard import align_by_board
from dmtrack.alignment.motion import motion_signal
from dmtrack.alignment.offset import TimeOffset, find_offset
from dmtrack.alignment.point_pairs import fit_points, read_point_pairs
from dmtrack.alignment.samples import Recording, SampledPairs, spread_pairs
from dmtrack.geometry.alignment_file import Alignment
from dmtrack.output.atomic import reserve, write_atomically
from dmtrack.video.frame import FramePair
from dmtrack.video.modality import modality_of
from dmtrack.video.stream_files import open_streams

AUTOMATIC_FRAMES = 12
BOARD_FRAMES = 60


@dataclass(frozen=True, slots=True)
class FoundAlignment:
    """An alignment, what it was found from, and a frame pair to show it on.

    Attributes:
        alignment: As it is written.
        found_from: In words.
        shown: A pair from the middle of the recording.
        evidence: What speaks for it, where it was found from the pictures alone.
    """

    alignment: Alignment
    found_from: str
    shown: FramePair
    evidence: Evidence | None = None


def find_time_offset(recording: Recording, largest_s: float = 10.0) -> TimeOffset:
    """Find what to add to the times of the second stream, from the motion in both.

    Args:
        recording: Both streams; its own offset plays no part.
        largest_s: Offsets up to this are tried.

    Raises:
        AlignmentError: There is no clear one.
        InputError: A stream cannot be read.
        ConfigError: The modality cannot be told.
    """
    with open_streams(recording.rgb, recording.aux, recording.pairing) as streams:
        modality = modality_of(streams.aux, recording.modality).modality
        return find_offset(motion_signal(streams.rgb, None), motion_signal(streams.aux, modality), largest_s)


def align_from_pictures(recording: Recording, frames: int = AUTOMATIC_FRAMES) -> FoundAlignment:
    """Find the homography from the pictures alone.

    Raises:
        AlignmentError: It is not sure.
        InputError: A stream cannot be read.
        ConfigError: The modality cannot be told.
    """
    keeper = _Keeper(frames)
    found = align_automatically(SampledPairs.of(keeper.watch(spread_pairs(recording, frames))))
    return FoundAlignment(found.alignment, f"{keeper.count} frame pairs", keeper.pair, found.evidence)


def align_from_board(
    recording: Recording, board: tuple[int, int], frames: int = BOARD_FRAMES
) -> FoundAlignment:
    """Find the homography from a checkerboard with so many inner corners across and down.

    Raises:
        AlignmentError: No frame shows it in both streams, or its corners do not agree.
        InputError: A stream cannot be read.
        ConfigError: The modality cannot be told.
    """
    keeper = _Keeper(frames)
    found = align_by_board(keeper.watch(spread_pairs(recording, frames)), board)
    words = f"{found.frames} of {keeper.count} frames that show the board in both streams"
    return FoundAlignment(found.fit.alignment, words, keeper.pair)


def align_from_points(recording: Recording, path: Path) -> FoundAlignment:
    """Find the homography from hand-picked point pairs.

    Raises:
        FormatError: The file or a row of it is wrong.
        AlignmentError: The points do not agree.
        InputError: A stream cannot be read.
        ConfigError: The modality cannot be told.
    """
    pairs = read_point_pairs(path)
    keeper = _Keeper(1)
    for _ in keeper.watch(spread_pairs(recording, 1)):
        pass
    shown = keeper.pair
    if shown.aux is None:
        raise ValueError("spread_pairs yields whole pairs")
    fit = fit_points(pairs, (shown.aux.width, shown.aux.height), (shown.rgb.width, shown.rgb.height))
    words = (
        f"{sum(fit.used)} of {len(pairs)} points, the worst {_worst(fit.residuals_px, fit.used):.1f} px off"
    )
    return FoundAlignment(fit.alignment, words, shown)


def with_offset(found: FoundAlignment, offset_s: Fraction | float) -> FoundAlignment:
    """Return the alignment with a time offset noted in it."""
    milliseconds = round(float(offset_s) * 1000, 3)
    return replace(found, alignment=replace(found.alignment, offset_ms=milliseconds))


def write_alignment(path: Path, alignment: Alignment, *, overwrite: bool = False) -> None:
    """Write an alignment file, whole or not at all.

    Raises:
        OutputError: It exists, or cannot be written.
    """
    reserve(path, overwrite=overwrite)
    write_atomically(path, alignment.to_json().encode())


class _Keeper:
    """Keeps the middle one of the pairs that pass by."""

    def __init__(self, expected: int) -> None:
        self._middle = expected // 2
        self._pair: FramePair | None = None
        self.count = 0

    @property
    def pair(self) -> FramePair:
        if self._pair is None:
            raise ValueError("no pair came by")
        return self._pair

    def watch(self, pairs: Iterator[FramePair]) -> Iterator[FramePair]:
        for pair in pairs:
            if self._pair is None or self.count <= self._middle:
                self._pair = pair
            self.count += 1
            yield pair


def _worst(residuals: tuple[float, ...], used: tuple[bool, ...]) -> float:
    return max(residual for residual, one in zip(residuals, used, strict=True) if one)
