"""The picture to look at: a checkerboard of both streams, and the edges of one on the other."""

from __future__ import annotations

from pathlib import Path
from typing import Final, cast

import cv2
import numpy as np

from dmtrack.alignment.edges import aux_channels, edge_map, floats
from dmtrack.errors import OutputError
from dmtrack.geometry.homography import Homography
from dmtrack.output.atomic import write_atomically
from dmtrack.video.encoding import Image8, encode
from dmtrack.video.frame import FramePair, Modality
from dmtrack.video.grid import HomographyGrid

_SQUARES_ACROSS: Final = 12
_EDGE_RGB: Final = (0, 255, 90)
_EDGE_STRENGTH: Final = 0.55
_DIMMED: Final = 0.55


def blend_picture(pair: FramePair, homography: Homography) -> Image8:
    """Return `(H, 2W, 3)`: squares of both streams by turns; RGB, dimmed, under the other's edges.

    Where the streams agree, lines run on from square to square and edges lie on what they belong to.
    """
    if pair.aux is None or pair.modality is None:
        raise ValueError("a pair without a second picture")
    rgb = encode(pair.rgb.pixels, Modality.THERMAL)
    size = (pair.rgb.width, pair.rgb.height)
    aux = HomographyGrid(homography)(encode(pair.aux.pixels, pair.modality), size, pair.modality)
    squares = np.where(_squares(size)[..., None], aux, rgb)
    return cast(Image8, np.hstack([squares, _with_edges(rgb, pair, homography)]))


def write_picture(path: Path, picture: Image8) -> None:
    """Write an `(H, W, 3)` RGB picture as PNG, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    whole, data = cv2.imencode(".png", picture[..., ::-1])
    if not whole:
        raise OutputError("the picture cannot be encoded", where=path)
    write_atomically(path, data.tobytes())


def _squares(size: tuple[int, int]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    side = max(8, round(size[0] / _SQUARES_ACROSS))
    rows, columns = np.indices((size[1], size[0])) // side
    return cast("np.ndarray[tuple[int, int], np.dtype[np.bool_]]", (rows + columns) % 2 == 1)


def _with_edges(rgb: Image8, pair: FramePair, homography: Homography) -> Image8:
    if pair.aux is None or pair.modality is None:
        raise ValueError("a pair without a second picture")
    size = (rgb.shape[1], rgb.shape[0])
    channels = aux_channels(pair.aux.pixels, pair.modality)
    warped = cv2.warpPerspective(channels, homography.matrix, size, borderMode=cv2.BORDER_REPLICATE)
    strong = np.abs(edge_map(floats(warped))) > _EDGE_STRENGTH
    dimmed = (rgb * _DIMMED).astype(np.uint8)
    dimmed[strong] = _EDGE_RGB
    return dimmed
