"""A checkerboard that both cameras see gives hundreds of point pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.alignment.point_pairs import PointFit, fit_homography
from dmtrack.errors import AlignmentError, ConfigError
from dmtrack.geometry.homography import Size
from dmtrack.video.encoding import Image8, encode, stretch_thermal16
from dmtrack.video.frame import FramePair, Modality

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BoardFit:
    """The fit, and how many frames showed the board in both streams, and in either."""

    fit: PointFit
    frames: int
    in_rgb: int
    in_aux: int


def parse_board(text: str) -> tuple[int, int]:
    """Read `9x6`, the inner corners of a board across and down.

    Raises:
        ConfigError: It is not that.
    """
    parts = text.lower().split("x")
    if len(parts) == 2 and all(part.isdecimal() and 3 <= int(part) <= 50 for part in parts):
        return int(parts[0]), int(parts[1])
    raise ConfigError(
        f"{text!r} is not a checkerboard", hint="give its inner corners, each 3 or more, such as 9x6"
    )


def align_by_board(pairs: Iterator[FramePair], board: tuple[int, int]) -> BoardFit:
    """Find the board in both streams, frame by frame, and fit a homography to its corners.

    Args:
        pairs: Frame pairs, the board anywhere in them.
        board: Inner corners across and down.

    Raises:
        AlignmentError: No frame shows the whole board in both streams.
    """
    seen: list[tuple[Points, Points]] = []
    counts = [0, 0, 0]
    sizes: tuple[Size, Size] | None = None
    for pair in pairs:
        if pair.aux is None or pair.modality is None:
            continue
        sizes = ((pair.aux.width, pair.aux.height), (pair.rgb.width, pair.rgb.height))
        rgb = _corners(_grey(encode(pair.rgb.pixels, Modality.THERMAL)), board)
        aux = _corners(_aux_grey(pair), board)
        counts = [counts[0] + 1, counts[1] + (rgb is not None), counts[2] + (aux is not None)]
        if rgb is not None and aux is not None:
            seen.append((_same_way_round(aux, rgb), rgb))
    if not seen or sizes is None:
        raise AlignmentError(
            f"no frame shows all of the {board[0]}x{board[1]} board in both streams: of {counts[0]} frames, "
            f"{counts[1]} show it in RGB and {counts[2]} in the second stream",
            hint="the size counts inner corners; give more frames with --frames",
        )
    aux_points, rgb_points = (np.concatenate(points) for points in zip(*seen, strict=True))
    return BoardFit(
        fit_homography(aux_points, rgb_points, sizes, "checkerboard"), len(seen), counts[1], counts[2]
    )


def _corners(grey: Image8, board: tuple[int, int]) -> Points | None:
    """Return the `(N, 2)` inner corners, of a board dark on bright or bright on dark."""
    for picture in (grey, 255 - grey):
        found, corners = cv2.findChessboardCornersSB(picture, board, flags=cv2.CALIB_CB_NORMALIZE_IMAGE)
        if found:
            return np.asarray(corners, np.float64).reshape(-1, 2)
    return None


def _same_way_round(aux: Points, rgb: Points) -> Points:
    """Start at the same corner as in RGB: cameras of one rig stand the same way up."""
    along, across = rgb[-1] - rgb[0], aux[-1] - aux[0]
    return aux if float(along @ across) >= 0 else aux[::-1]


def _aux_grey(pair: FramePair) -> Image8:
    if pair.aux is None or pair.modality is None:
        raise ValueError("a pair without a second picture")
    pixels = pair.aux.pixels
    if pixels.ndim == 2 and pixels.dtype == np.uint16:  # depth too: a board of holes shows in any stretch
        return stretch_thermal16(pixels)
    return _grey(encode(pixels, pair.modality))


def _grey(picture: Image8) -> Image8:
    return cast(Image8, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
