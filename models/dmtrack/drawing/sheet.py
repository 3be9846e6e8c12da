"""A contact sheet: several moments of a recording, with RGB, the second stream and a blend side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from dmtrack.atomic import prepare_folder, write_atomically
from dmtrack.drawing.draw import Layout, Mark, Picture, compose
from dmtrack.errors import ConfigError, InputError, OutputError
from dmtrack.video.frame import FramePair
from dmtrack.video.pairing import PairedSource
from dmtrack.video.pictures.picture_file import encoded_picture
from dmtrack.video.position import Position

MOMENTS: Final = 5  # rows of a sheet
REACH_FRAMES: Final = 2_000
"""Moments lie within this many frames of a video: later ones take long to reach."""
_CELL_WIDTH_PX: Final = 480
_RULE_PX: Final = 4
_GROUND: Final = 255


def spread_indices(frame_count: int | None, *, is_folder: bool = False) -> list[int]:
    """Return the 0-based indices of frames spread over a recording, including the first and nearly the last.

    `frame_count` is None if unknown; in a folder every picture can be reached at once.
    """
    last = max(1, REACH_FRAMES if frame_count is None else frame_count) - 1
    if not is_folder:
        last = min(last, REACH_FRAMES - 1)
    # the count that a container claims may be one too high
    last = max(0, last - 1) if last > MOMENTS else last
    return sorted({round(last * number / (MOMENTS - 1)) for number in range(MOMENTS)})


def pairs_at(open_at: Callable[[Position], PairedSource], indices: Sequence[int]) -> list[FramePair]:
    """Read the pairs of these frames, leaving out those that cannot be read.

    `open_at` opens the recording so that its first pair has the given index; `indices` rise. `InputError`:
    none of them can be read; `ConfigError`: none of them exists.
    """
    found: list[FramePair] = []
    failure: InputError | ConfigError | None = None
    for index in indices:
        try:
            with open_at(Position(index=index)) as pairs:
                found += [pair for pair in [next(iter(pairs), None)] if pair is not None]
        except (InputError, ConfigError) as error:  # ConfigError: a container that claims too many frames
            failure = error
    if not found and failure is not None:
        raise failure
    return found


def contact_sheet(pairs: Sequence[FramePair], marks: Mapping[int, Sequence[Mark]] | None = None) -> Picture:
    """Draw one row for each pair: RGB, the second stream, and both blended; or RGB alone.

    There is at least one pair, all of one size; `marks` are by frame index. The sheet is `(H, W, 3)` RGB.
    """
    layouts = (Layout.RGB, Layout.AUX, Layout.OVERLAY) if pairs[0].image.shape[2] > 3 else (Layout.RGB,)
    boxes = marks or {}
    rows = [
        _ruled([_cell(compose(pair, boxes.get(pair.rgb.index, ()), layout)) for layout in layouts], axis=1)
        for pair in pairs
    ]
    return _ruled(rows, axis=0)


def write_sheet(path: Path, sheet: Picture, *, overwrite: bool = False) -> None:
    """Write a sheet as PNG; `OutputError` if the file exists, is not a `.png`, or cannot be written."""
    if path.suffix.lower() != ".png":
        raise OutputError("the sheet is a PNG picture", where=path, hint="give a name that ends in .png")
    prepare_folder(path.parent, [path.name], overwrite=overwrite)
    write_atomically(path, encoded_picture(sheet))


def _cell(picture: Picture) -> Picture:
    height = max(1, round(picture.shape[0] * _CELL_WIDTH_PX / picture.shape[1]))
    shrinks = picture.shape[1] > _CELL_WIDTH_PX
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (_CELL_WIDTH_PX, height), interpolation=method), np.uint8)


def _ruled(pictures: Sequence[Picture], axis: int) -> Picture:
    """Return pictures below (axis 0) or beside each other, with rules between them."""
    shape = [*pictures[0].shape]
    shape[axis] = _RULE_PX
    rule = np.full(shape, _GROUND, np.uint8)
    return np.concatenate([part for picture in pictures for part in (picture, rule)][:-1], axis)
