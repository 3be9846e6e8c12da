"""Maps an encoded second picture onto the RGB grid: stretched, fitted, or warped by an alignment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.errors import ConfigError
from dmtrack.geometry.crop import rectangle
from dmtrack.geometry.homography import Homography
from dmtrack.video.frame import Modality, Pixels
from dmtrack.video.second.encoding import Image8

Matrix = npt.NDArray[np.float64]
ToGrid = Callable[[Image8, tuple[int, int], Modality], Image8]
"""Brings an encoded picture onto the RGB grid of the given width and height."""

_MINIFIED: Final = 0.6
"""A picture warped to less than this share of its size is first averaged by a whole factor, which is fast;
otherwise it would flicker."""


_BLANK_RGB: Final = {
    Modality.THERMAL: (0, 0, 0),
    Modality.DEPTH: (128, 0, 0),
    Modality.EVENT: (255, 255, 255),
}


class Fit(StrEnum):
    """What to do with a second picture of another size or shape, without an alignment."""

    RESIZE = "resize"
    LETTERBOX = "letterbox"
    CROP = "crop"
    NONE = "none"


def resize_to_grid(picture: Image8, size: tuple[int, int], modality: Modality) -> Image8:
    """Stretch an encoded picture to the RGB grid, which shows the same field of view.

    Thermal is interpolated (averaged when it shrinks). Depth and event pictures take the nearest pixel: a
    blend of two depth colours would be a third depth, and one of red and white would be no event.

    `picture` is `(h, w, 3)` uint8, returned as it is if it has `size`, the width and height in pixels.
    """
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    if modality is not Modality.THERMAL:
        method = cv2.INTER_NEAREST
    else:
        method = cv2.INTER_AREA if size[0] < width and size[1] < height else cv2.INTER_LINEAR
    return cast(Image8, cv2.resize(picture, size, interpolation=method))


def letterbox_to_grid(picture: Image8, size: tuple[int, int], modality: Modality) -> Image8:
    """Scale a picture evenly to fit inside the grid, centred; the rest is blank."""
    factor = min(size[0] / picture.shape[1], size[1] / picture.shape[0])
    return _centred(_scaled(picture, factor, modality), size, modality)


def crop_to_grid(picture: Image8, size: tuple[int, int], modality: Modality) -> Image8:
    """Scale a picture evenly to cover the grid, centred; the overhang is cut."""
    factor = max(size[0] / picture.shape[1], size[1] / picture.shape[0])
    return _centred(_scaled(picture, factor, modality), size, modality)


def _centred(picture: Image8, size: tuple[int, int], modality: Modality) -> Image8:
    """Place an unscaled picture in the middle of the grid; cut the overhang, leave the rest blank."""
    left, top = ((whole - side) // 2 for whole, side in zip(size, picture.shape[1::-1], strict=True))
    return rectangle(picture, -left, -top, *size, blank_colour(modality))


_FITS: Final[dict[Fit, ToGrid]] = {
    Fit.RESIZE: resize_to_grid,
    Fit.LETTERBOX: letterbox_to_grid,
    Fit.CROP: crop_to_grid,
    Fit.NONE: _centred,
}


@dataclass(frozen=True, slots=True)
class HomographyGrid:
    """Warps encoded pictures by a homography; outside the second camera's view the grid is blank."""

    homography: Homography  # second picture to RGB picture, for pictures of exactly these sizes

    def __call__(self, picture: Image8, size: tuple[int, int], modality: Modality) -> Image8:
        """Return the `(H, W, 3)` picture on the RGB grid; errors as `require_sizes`."""
        height, width = picture.shape[:2]
        self.require_sizes((width, height), size)
        smooth = modality is Modality.THERMAL
        picture, matrix = self._averaged(picture) if smooth else (picture, self.homography.matrix)
        warped = cv2.warpPerspective(
            picture,
            matrix,
            size,
            flags=cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=blank_colour(modality),
        )
        return cast(Image8, warped)

    def require_sizes(self, aux_size: tuple[int, int], rgb_size: tuple[int, int]) -> None:
        """Check that the alignment is for pictures of these sizes; else `ConfigError`."""
        expected = (self.homography.aux_size, self.homography.rgb_size)
        if (aux_size, rgb_size) != expected:
            raise ConfigError(
                f"the alignment is for {_text(expected[0])} pictures onto {_text(expected[1])}, "
                f"these are {_text(aux_size)} onto {_text(rgb_size)}",
                hint="run dmtrack align on this recording",
            )

    def _averaged(self, picture: Image8) -> tuple[Image8, Matrix]:
        """Return the picture, averaged if the warp shrinks it much, and the matrix for the result."""
        corners = self.homography.corners().astype(np.float32)
        width, height = self.homography.aux_size
        share = float(np.sqrt(cv2.contourArea(corners) / max(1, (width - 1) * (height - 1))))
        if share >= _MINIFIED:
            return picture, self.homography.matrix
        times = max(2, int(1 / share))
        size = (max(1, width // times), max(1, height // times))
        back = Homography.stretch(size, self.homography.aux_size).matrix
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return cast(Image8, small), np.asarray(self.homography.matrix @ back, np.float64)


def grid_by(align: Homography | None, fit: Fit = Fit.RESIZE) -> ToGrid:
    """Return the function that maps pictures onto the grid: by the alignment if given, else by the fit."""
    return _FITS[fit] if align is None else HomographyGrid(align)


def rgb_to_aux(
    align: Homography | None, fit: Fit, aux_size: tuple[int, int], rgb_size: tuple[int, int]
) -> Matrix:
    """Return the `(3, 3)` matrix from pixels of the RGB grid to those of the second picture.

    `align` and `fit` are as in `grid_by`; sizes are width and height in pixels.
    """
    if align is not None:
        return np.asarray(np.linalg.inv(align.matrix), np.float64)
    factors = [whole / side for whole, side in zip(rgb_size, aux_size, strict=True)]
    if fit is not Fit.RESIZE:
        even = {Fit.LETTERBOX: min(factors), Fit.CROP: max(factors), Fit.NONE: 1.0}[fit]
        factors = [max(1, round(side * even)) / side for side in aux_size]
    rows = np.eye(3)
    for axis, (factor, side, whole) in enumerate(zip(factors, aux_size, rgb_size, strict=True)):
        start = (whole - round(factor * side)) // 2
        rows[axis, axis], rows[axis, 2] = 1 / factor, (0.5 - start) / factor - 0.5
    return rows


def counts_on_grid(pixels: Pixels, to_grid: ToGrid, size: tuple[int, int], modality: Modality) -> Pixels:
    """Map a picture as it was read onto the RGB grid: counts stay counts, 16 bits stay 16 bits.

    `pixels` are `(h, w, 3)` uint8, `(h, w)` uint8, or `(h, w)` uint16, which takes the nearest pixel and is 0
    where the second camera sees nothing. `size` is width and height of the grid in pixels.
    """
    if pixels.ndim == 3:
        return to_grid(cast(Image8, pixels), size, modality)
    if pixels.dtype == np.uint8:
        return cast(Pixels, to_grid(np.dstack([pixels] * 3).astype(np.uint8), size, modality)[..., 1])
    halves = np.dstack([pixels >> 8, pixels & 255, np.zeros_like(pixels)]).astype(np.uint8)
    halves[..., 2] = 255
    high, low, seen = np.moveaxis(to_grid(halves, size, Modality.DEPTH).astype(np.uint16), 2, 0)
    return cast(Pixels, np.where(seen > 0, high << 8 | low, 0).astype(np.uint16))


def blank_colour(modality: Modality) -> tuple[int, int, int]:
    """Return the colour of an encoded picture where nothing was measured.

    White for events (no event), black for thermal, and for depth the colour of 0 (no measurement).
    """
    return _BLANK_RGB[modality]


def _scaled(picture: Image8, factor: float, modality: Modality) -> Image8:
    height, width = picture.shape[:2]
    return resize_to_grid(picture, (max(1, round(width * factor)), max(1, round(height * factor))), modality)


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
