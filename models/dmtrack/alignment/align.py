"""`align`: find how the second camera of a recording is aligned with the first, in space and in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, cast

import cv2
import numpy as np

from dmtrack.alignment.automatic import Evidence, align_automatically
from dmtrack.alignment.edges import aux_channels, edge_map, floats
from dmtrack.alignment.points import align_by_board, fit_points, parse_board, read_point_pairs
from dmtrack.alignment.time_offset import TimeOffset, find_offset, motion_signal
from dmtrack.atomic import inputs_kept, reserve, write_atomically
from dmtrack.errors import AlignmentError, ConfigError, counted, translated
from dmtrack.geometry.alignment_file import Alignment
from dmtrack.geometry.homography import Homography
from dmtrack.options import Option, make_exact, number_text, positive_seconds
from dmtrack.video.events.event_source import EventSource
from dmtrack.video.frame import FramePair, Modality
from dmtrack.video.matching import shifted, stretched
from dmtrack.video.modality import modality_of
from dmtrack.video.pairing import open_pair
from dmtrack.video.pictures.picture_file import encoded_picture
from dmtrack.video.position import Position
from dmtrack.video.second.encoding import Image8, encode
from dmtrack.video.second.grid import HomographyGrid
from dmtrack.video.stream_files import open_streams
from dmtrack.video.streams import BY_TIME, PairingOptions

AUTOMATIC_FRAMES: Final = 12
BOARD_FRAMES: Final = 60
_SHOWN: Final = 3
_SQUARES_ACROSS: Final = 12
_EDGE_RGB: Final = (0, 255, 90)
_EDGE_STRENGTH: Final = 0.55
_DIMMED: Final = 0.55


@dataclass(frozen=True, slots=True)
class FoundAlignment:
    """An alignment and how it was found."""

    alignment: Alignment  # the content of the file
    found_from: str  # its basis, in words
    evidence: Evidence | None = None  # if it was found from the pictures alone
    offset: TimeOffset | None = None  # the time offset, if it was asked for
    written: tuple[Path, ...] = ()  # the files written: alignment and picture


@dataclass(frozen=True, slots=True)
class AlignOptions:
    """How an alignment is found: from the pictures alone unless points or a board are given.

    `ConfigError`: both points and a board are given, or there are no frames to use.
    """

    points: Annotated[
        Path | None,
        Option(
            "--points", "Hand-picked point pairs: CSV or JSON rows of x_aux, y_aux, x_rgb, y_rgb.", "FILE"
        ),
    ] = None
    board: Annotated[
        tuple[int, int] | None,
        Option(
            "--checkerboard",
            "Inner corners of a checkerboard that both cameras see.",
            "9x6",
            parse=parse_board,
            write=lambda board: f"{board[0]}x{board[1]}",
        ),
    ] = None
    time: Annotated[
        bool, Option("--time", "Find the time offset from motion; without -o, find nothing else.")
    ] = False
    picture: Annotated[
        Path | None, Option("--picture", "Blended picture to check. Default: FILE.png.", "FILE")
    ] = None
    frames: Annotated[
        int | None,
        Option(
            "--frames",
            f"Frames to use. Default: {AUTOMATIC_FRAMES}; {BOARD_FRAMES} for a checkerboard.",
            "N",
            least=1,
        ),
    ] = None
    largest_offset_s: Annotated[
        Fraction,
        Option(
            "--largest-offset",
            "Largest time offset to try.",
            "SECONDS",
            parse=positive_seconds,
            write=number_text,
        ),
    ] = Fraction(10)

    def __post_init__(self) -> None:
        make_exact(self)
        if self.points is not None and self.board is not None:
            raise ConfigError("--points and --checkerboard exclude each other")


def find_time_offset(
    rgb: Path,
    aux: Path,
    *,
    modality: Modality | None = None,
    pairing: PairingOptions = BY_TIME,
    largest_s: Fraction = Fraction(10),
) -> TimeOffset:
    """Find the time to add to the second stream's clock, from the motion in both.

    Offsets up to `largest_s` are tried; `modality` None finds out. `AlignmentError`: there is no clear
    offset; `InputError`: a stream cannot be read; `ConfigError`: the modality cannot be determined, or the
    offset is already given.
    """
    if pairing.offset_s is not None:
        raise ConfigError("--time and --offset-ms exclude each other")
    with open_streams(rgb, aux, pairing) as streams:
        modality = modality_of(streams.aux, modality).modality
        info, ratio = streams.aux.info, pairing.rate_ratio
        # an event picture shows the time after its stamp, up to the next one; other pictures the time before
        ahead_s = (
            1 / info.frame_rate if isinstance(streams.aux, EventSource) and info.frame_rate else Fraction(0)
        )
        aux_frames = (shifted(stretched(frame, info.start_s, ratio), ahead_s) for frame in streams.aux)
        motion = motion_signal(streams.rgb, None), motion_signal(aux_frames, modality)
        return find_offset(*motion, float(largest_s))


def align(
    rgb: Path,
    aux: Path,
    output: Path | None = None,
    *,
    modality: Modality | None = None,
    pairing: PairingOptions = BY_TIME,
    options: AlignOptions | None = None,
    overwrite: bool = False,
) -> FoundAlignment:
    """Find the homography from the second camera's picture to the first one's.

    Without `output` nothing is written; `modality` None finds out. On an error nothing is written.
    `AlignmentError`: the result is not certain, or its points or frames disagree; `InputError`: a stream or
    the points cannot be read; `ConfigError`: the modality cannot be determined, or both files have one name;
    `OutputError`: a file exists, or cannot be written.
    """
    options = options or AlignOptions()
    with inputs_kept(rgb, aux, options.points, pairing.rgb_times, pairing.aux_times):
        written = () if output is None else _reserved(output, options.picture, overwrite=overwrite)
    offset = None
    if options.time:
        limit_s = options.largest_offset_s
        offset = find_time_offset(rgb, aux, modality=modality, pairing=pairing, largest_s=limit_s)
        pairing = replace(pairing, offset_s=Fraction(offset.offset_s).limit_denominator(100_000))
    shown = next(spread_pairs(rgb, aux, _SHOWN, modality=modality, pairing=pairing))
    evidence = None
    if options.points is not None:
        alignment, words = _from_points(options.points, shown)
    else:
        count = options.frames or (AUTOMATIC_FRAMES if options.board is None else BOARD_FRAMES)
        pairs = spread_pairs(rgb, aux, count, modality=shown.modality, pairing=pairing)
        if options.board is not None:
            fit, words = align_by_board(pairs, options.board)
            alignment = fit.alignment
        else:
            alignment, evidence = align_automatically(pairs)
            words = counted(evidence.frames, "frame pair")
    if offset is not None:
        alignment = replace(alignment, offset_ms=round(offset.offset_s * 1000, 3))
    if written:
        write_atomically(written[1], encoded_picture(blend_picture(shown, alignment.homography)))
        write_atomically(written[0], alignment.to_json().encode())
    return FoundAlignment(alignment, words, evidence, offset, written)


def _reserved(output: Path, picture: Path | None, *, overwrite: bool) -> tuple[Path, Path]:
    picture = picture or output.with_suffix(".png")
    if picture == output:
        raise ConfigError("alignment and picture have the same name", where=output, hint="end -o in .json")
    return reserve(output, overwrite=overwrite), reserve(picture, overwrite=overwrite)


def spread_pairs(
    rgb: Path, aux: Path, count: int, *, modality: Modality | None = None, pairing: PairingOptions = BY_TIME
) -> Iterator[FramePair]:
    """Yield `count` frame pairs spread evenly over a recording, or all if there are fewer.

    `AlignmentError`: none of these frames has a partner; `InputError`: a stream cannot be read, or they share
    no time; `ConfigError`: the modality cannot be determined.
    """
    found = 0
    with open_pair(rgb, aux, modality=modality, pairing=pairing) as pairs:
        modality, total = pairs.modality, pairs.rgb_info.frame_count
        if total is None or total <= count:
            for pair in islice((pair for pair in pairs if pair.aux is not None), count):
                found += 1
                yield pair
            total = 0
    # the middle of each of `count` equal parts: first and last frames are often black
    for place in range(count if total else 0):
        start = Position(index=(2 * place + 1) * total // (2 * count))
        with open_pair(rgb, aux, modality=modality, start=start, pairing=pairing) as pairs:
            first = next(iter(pairs), None)
        if first is not None and first.aux is not None:
            found += 1
            yield first
    if found == 0:
        raise AlignmentError("no RGB frame has a partner to align", where=aux, hint="check --offset-ms")


def blend_picture(pair: FramePair, homography: Homography) -> Image8:
    """Return `(H, 2W, 3)`: a checkerboard of both streams, and dimmed RGB with the other stream's edges.

    Where the streams are aligned, lines continue from square to square and edges lie on their objects.
    """
    if pair.aux is None or pair.modality is None:
        raise ValueError("a pair without a second picture")
    rgb = encode(pair.rgb.pixels, Modality.THERMAL)
    size = (pair.rgb.width, pair.rgb.height)
    aux = HomographyGrid(homography)(encode(pair.aux.pixels, pair.modality), size, pair.modality)
    rows, columns = np.indices((size[1], size[0])) // max(8, round(size[0] / _SQUARES_ACROSS))
    squares = np.where(((rows + columns) % 2 == 1)[..., None], aux, rgb)
    channels = aux_channels(pair.aux.pixels, pair.modality)
    warped = cv2.warpPerspective(channels, homography.matrix, size, borderMode=cv2.BORDER_REPLICATE)
    dimmed = (rgb * _DIMMED).astype(np.uint8)
    dimmed[np.abs(edge_map(floats(warped))) > _EDGE_STRENGTH] = _EDGE_RGB
    return cast(Image8, np.hstack([squares, dimmed]))


def _from_points(path: Path, shown: FramePair) -> tuple[Alignment, str]:
    if shown.aux is None:
        raise ValueError("a pair without a second picture")
    pairs = read_point_pairs(path)
    with translated(AlignmentError, "says nothing that fits", where=path):
        fit = fit_points(pairs, (shown.aux.width, shown.aux.height), (shown.rgb.width, shown.rgb.height))
    worst = max(residual for residual, used in zip(fit.residuals_px, fit.used, strict=True) if used)
    return fit.alignment, f"{sum(fit.used)} of {len(pairs)} points, the worst {worst:.1f} px off"
