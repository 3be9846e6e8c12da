"""Point pairs, hand-picked or from the corners of a checkerboard, and the homography through them.

A file of points is CSV, with or without a header, or JSON: rows of `x_aux, y_aux, x_rgb, y_rgb` in pixels of
the two full pictures. Four pairs determine a homography; more average out errors and reveal mistakes.
"""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import cv2
import numpy as np

from dmtrack.errors import AlignmentError, ConfigError, FormatError, translated
from dmtrack.geometry.alignment_file import Alignment
from dmtrack.geometry.homography import Homography, Points, Size
from dmtrack.numbers import file_text, finite, json_value
from dmtrack.video.frame import FramePair, Modality
from dmtrack.video.second.encoding import Image8, encode, stretch_thermal16

COLUMNS: Final = ("x_aux", "y_aux", "x_rgb", "y_rgb")
LEAST_PAIRS: Final = 4
_MISTAKE_SHARE: Final = 0.01
"""A pair with a larger residual than this share of the picture's diagonal is a mistake."""
_LEAST_CONFIDENCE: Final = 0.1
_FOUR_PAIRS_CONFIDENCE: Final = 0.5
"""Four pairs always fit, which is evidence neither for nor against them."""

_LOGGER: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PointPair:
    """One point in both pictures, in pixels, and its row in the file."""

    row: int
    x_aux: float
    y_aux: float
    x_rgb: float
    y_rgb: float


@dataclass(frozen=True, slots=True)
class PointFit:
    """A homography through point pairs."""

    alignment: Alignment  # the homography, with the residual over the pairs used
    residuals_px: tuple[float, ...]  # residual of every pair in RGB pixels, in the order given
    used: tuple[bool, ...]  # whether each pair was used


def read_point_pairs(path: Path) -> tuple[PointPair, ...]:
    """Read a CSV or JSON file of point pairs; a `FormatError` names the faulty row."""
    with translated(FormatError, "the points cannot be read", where=path, hint="give a CSV or JSON file"):
        text = file_text(path)
        rows = _json_rows(text, path) if text.lstrip()[:1] in ("[", "{") else _csv_rows(text)
        pairs = tuple(_pair(row, number, path) for number, row in rows)
    if len(pairs) < LEAST_PAIRS:
        raise FormatError(f"{len(pairs)} point pairs, {LEAST_PAIRS} are needed", where=path)
    return pairs


def fit_points(pairs: tuple[PointPair, ...], aux_size: Size, rgb_size: Size) -> PointFit:
    """Fit a homography to point pairs by least squares, leaving out mistakes, which are logged.

    `FormatError`: a point lies outside its picture; `AlignmentError`: the points lie on a line, or disagree.
    """
    for pair in pairs:
        _require_inside(pair, aux_size, rgb_size)
    aux = np.array([(pair.x_aux, pair.y_aux) for pair in pairs], np.float64)
    rgb = np.array([(pair.x_rgb, pair.y_rgb) for pair in pairs], np.float64)
    fit = fit_homography(aux, rgb, (aux_size, rgb_size), "points")
    for pair, residual, used in zip(pairs, fit.residuals_px, fit.used, strict=True):
        if not used:
            _LOGGER.warning("row %d lies %.1f px off and is left out", pair.row, residual)
    return fit


def fit_homography(aux: Points, rgb: Points, sizes: tuple[Size, Size], method: str) -> PointFit:
    """Fit a homography to matching points `(N, 2)`; `AlignmentError` if they lie on a line or disagree."""
    limit_px = max(2.0, _MISTAKE_SHARE * math.hypot(*sizes[1]))
    matrix, mask = cv2.findHomography(aux, rgb, cv2.RANSAC, limit_px, maxIters=5000, confidence=0.9999)
    used = np.zeros(len(aux), bool) if mask is None else mask.ravel().astype(bool)
    if matrix is None or used.sum() < LEAST_PAIRS or _is_flat(aux[used]) or _is_flat(rgb[used]):
        raise AlignmentError(
            "the points lie on one line, or do not agree on any alignment", hint="pick others"
        )
    if used.sum() * 2 < len(aux):
        raise AlignmentError(
            f"only {used.sum()} of {len(aux)} points agree", hint="look at both pictures again"
        )
    matrix, _ = cv2.findHomography(aux[used], rgb[used], 0)
    try:
        homography = Homography.of(matrix, *sizes)
    except FormatError as error:
        raise AlignmentError(f"the points give no alignment: {error.what}", hint="pick others") from error
    residuals = np.linalg.norm(homography.map_points(aux) - rgb, axis=1)
    residual_px = float(np.sqrt(np.mean(np.square(residuals[used]))))
    confidence = _confidence(aux[used], rgb[used], limit_px) * float(used.mean())
    return PointFit(
        Alignment(homography, method, residual_px, confidence),
        tuple(float(residual) for residual in residuals),
        tuple(bool(one) for one in used),
    )


def _confidence(aux: Points, rgb: Points, limit_px: float) -> float:
    """Return how well each pair is predicted by the others, 0 to 1."""
    if len(aux) == LEAST_PAIRS:
        return _FOUR_PAIRS_CONFIDENCE
    errors = []
    for left_out in range(0, len(aux), max(1, len(aux) // 60)):
        others = np.arange(len(aux)) != left_out
        matrix, _ = cv2.findHomography(aux[others], rgb[others], 0)
        if matrix is None:
            return _LEAST_CONFIDENCE
        guess = cv2.perspectiveTransform(aux[left_out].reshape(1, 1, 2), matrix).ravel()
        errors.append(float(np.linalg.norm(guess - rgb[left_out])))
    return max(_LEAST_CONFIDENCE, math.exp(-((float(np.median(errors)) / (2 * limit_px)) ** 2)))


def _is_flat(points: Points) -> bool:
    """Return whether points lie almost on one line."""
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(spread[1] < 0.02 * spread[0])


def _csv_rows(text: str) -> Iterable[tuple[int, list[object]]]:
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#"):
            continue
        if number == 1 and tuple(cells) == COLUMNS:
            continue
        yield number, list(cells)


def _json_rows(text: str, path: Path) -> Iterable[tuple[int, list[object]]]:
    document = json_value(text)
    rows = document.get("points") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise FormatError(
            "a list of points is needed", where=path, hint="[[x_aux, y_aux, x_rgb, y_rgb], ...]"
        )
    for number, row in enumerate(rows, start=1):
        yield number, [row.get(name) for name in COLUMNS] if isinstance(row, dict) else row


def _pair(row: object, number: int, path: Path) -> PointPair:
    problem = FormatError(
        f"row {number} is not four numbers", where=path, hint=f"a row is {', '.join(COLUMNS)} in pixels"
    )
    if not isinstance(row, list) or len(row) != len(COLUMNS):
        raise problem
    try:
        values = [finite(str(value)) for value in row if not isinstance(value, bool | None)]
    except ValueError:
        raise problem from None
    if len(values) != len(COLUMNS):
        raise problem
    return PointPair(number, *values)


def _require_inside(pair: PointPair, aux_size: Size, rgb_size: Size) -> None:
    for name, x, y, size in (
        ("aux", pair.x_aux, pair.y_aux, aux_size),
        ("rgb", pair.x_rgb, pair.y_rgb, rgb_size),
    ):
        if not (-0.5 <= x <= size[0] - 0.5 and -0.5 <= y <= size[1] - 0.5):
            raise FormatError(
                f"row {pair.row}: {name} point {x:g}, {y:g} lies outside the {size[0]}x{size[1]} picture",
                hint=f"a row is {', '.join(COLUMNS)} in pixels",
            )


# --- checkerboard ---------------------------------------------------------------------------


def parse_board(text: str) -> tuple[int, int]:
    """Read `9x6`, the inner corners of a board across and down; `ConfigError` for anything else."""
    parts = text.lower().split("x")
    if len(parts) == 2 and all(part.isdecimal() and 3 <= int(part) <= 50 for part in parts):
        return int(parts[0]), int(parts[1])
    raise ConfigError(
        f"{text!r} is not a checkerboard", hint="give its inner corners, each 3 or more, such as 9x6"
    )


def align_by_board(pairs: Iterator[FramePair], board: tuple[int, int]) -> tuple[PointFit, str]:
    """Find the board in both streams, fit a homography to its corners, and describe the frames used.

    `AlignmentError`: no frame shows the whole board in both streams.
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
    words = f"{len(seen)} of {counts[0]} frames that show the board in both streams"
    return fit_homography(aux_points, rgb_points, sizes, "checkerboard"), words


def _corners(grey: Image8, board: tuple[int, int]) -> Points | None:
    """Return the `(N, 2)` inner corners of a board, dark on bright or bright on dark; None if not found."""
    for picture in (grey, 255 - grey):
        found, corners = cv2.findChessboardCornersSB(picture, board, flags=cv2.CALIB_CB_NORMALIZE_IMAGE)
        if found:
            return np.asarray(corners, np.float64).reshape(-1, 2)
    return None


def _same_way_round(aux: Points, rgb: Points) -> Points:
    """Order the corners to start at the same one as in RGB: both cameras are assumed the same way up."""
    along, across = rgb[-1] - rgb[0], aux[-1] - aux[0]
    return aux if float(along @ across) >= 0 else aux[::-1]


def _aux_grey(pair: FramePair) -> Image8:
    if pair.aux is None or pair.modality is None:
        raise ValueError("a pair without a second picture")
    pixels = pair.aux.pixels
    if pixels.ndim == 2 and pixels.dtype == np.uint16:  # depth too: holes of a board show in any stretch
        return stretch_thermal16(pixels)
    return _grey(encode(pixels, pair.modality))


def _grey(picture: Image8) -> Image8:
    return cast(Image8, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
