"""Opens recognised clips: their pictures and ground truth as one `Sequence` for each target."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from dmtrack.datasets.ground_truth import find_ground_truth, present_frames, read_boxes, target_name
from dmtrack.datasets.image_files import ImageFiles, what_is_missing, without_partner
from dmtrack.datasets.layouts import Clip, find_clips
from dmtrack.datasets.sequence import Floats, Paths, Sequence, is_recording
from dmtrack.errors import DatasetError, InputError
from dmtrack.video.frame import Modality

logger = logging.getLogger(__name__)

_VTUAV_STEP: Final = 10
_OTB_FIRST_FRAMES: Final = {"David": 299}
"""OTB sequences whose ground truth begins later than their pictures: 0-based index of its first row."""
_CUT_TO_SHORTEST: Final = frozenset({"rgbt234", "rgbt210", "gtot"})
_SPARE_ROWS: Final = 2
"""Up to this many surplus rows or pictures at the end are dropped, if the set's own tools do so."""


def open_clip(clip: Clip) -> list[Sequence]:
    """Open a recognised clip: one sequence for each target.

    `DatasetError`: ground truth is missing, or lengths differ; `FormatError`: a ground-truth file is
    malformed.
    """
    truths = find_ground_truth(clip.rgb)
    if not truths:
        raise DatasetError(
            "there is no ground truth", where=clip.folder, hint="groundtruth.txt is the usual name"
        )
    return [_open_target(clip, truth) for truth in truths]


def find_sequences(
    root: Path, modality: Modality | None = None, *, on_error: Callable[[InputError], None] | None = None
) -> list[Sequence]:
    """Find every annotated target below `root`, in the order of the folders' names.

    Only names and ground-truth files are read. A folder that is a clip is not searched further.

    `root` is a clip, or a folder of clips at most five levels deep; only targets with `modality` count. An
    error of a clip is passed to `on_error` and the clip left out; without `on_error` it is raised.
    `DatasetError`: `root` is not a folder, nothing was found, or a clip cannot be used; `FormatError`: a
    ground-truth file is malformed.
    """
    if not root.is_dir():
        raise DatasetError("there is no such folder", where=root)
    sequences: list[Sequence] = []
    for clip in find_clips(root):
        try:
            sequences += open_clip(clip)
        except InputError as error:
            if on_error is None:
                raise
            logger.warning("left out: %s", error)
            on_error(error)
    if not sequences and on_error is None:
        raise DatasetError(
            "no annotated clip of a known layout was found", where=root, hint="each needs a groundtruth.txt"
        )
    found = [one for one in sequences if modality is None or one.modality is modality]
    if sequences and not found:
        raise DatasetError(f"no annotated clip with {modality}", where=root)
    return found


def _open_target(clip: Clip, truth: Path) -> Sequence:
    rgb, aux = _stream_paths(clip.rgb), () if clip.aux is None else _stream_paths(clip.aux)
    _require_partners(clip, rgb, aux)
    annotated = read_boxes(truth)
    rgb, boxes, step, first = _fitted(clip, rgb, annotated.boxes)
    _require_rows(clip, rgb, boxes)
    known = np.asarray(np.isfinite(boxes).all(axis=1), np.bool_)
    present = present_frames(clip.folder, known)
    visible = known & present
    sizeless = np.flatnonzero(annotated.sizeless) * step
    target = target_name(truth)
    name = clip.folder.resolve().name
    return Sequence(
        name=f"{name}_{target}" if target else name,
        modality=None if clip.aux is None else clip.layout.modality,
        rgb_paths=rgb,
        aux_paths=aux if is_recording(aux) or is_recording(rgb) else aux[: len(rgb)],
        boxes=boxes,
        visible=visible,
        start_frame=int(np.argmax(visible)),
        source_start=first,
        layout=clip.layout.name,
        annotation_step=step,
        sizeless_frames=tuple(sizeless[present[sizeless]].tolist()),
    )


def _stream_paths(source: Path) -> Paths:
    return ImageFiles.of(source) if source.is_dir() else (source,)


def _require_partners(clip: Clip, rgb: Paths, aux: Paths) -> None:
    """Check that the pictures of two streams, which are paired by position, match."""
    if not isinstance(rgb, ImageFiles) or not isinstance(aux, ImageFiles):
        return
    lone = without_partner(rgb.names, aux.names)
    if len(rgb) != len(aux):
        what = f"{len(rgb)} pictures in {clip.rgb.name}, but {len(aux)} in {aux.folder.name}"
    elif lone:
        what = f"pictures of {clip.rgb.name} and {aux.folder.name} do not go together"
    else:
        return
    lone = lone.replace("the first", clip.rgb.name).replace("the second", aux.folder.name)
    raise DatasetError(
        f"{what} ({lone})" if lone else what,
        where=clip.folder,
        hint="name both folders to have them paired by time",
    )


def _fitted(clip: Clip, rgb: Paths, boxes: Floats) -> tuple[Paths, Floats, int, int]:
    """Bring pictures and boxes to one length as the data set prescribes; `_require_rows` checks the rest.

    Returns the pictures, the boxes with one row a picture, the step between annotated frames, and the number
    of pictures dropped at the beginning.

    Source: the benchmarks' own toolkits (RGBT: cut to the shortest length).
    """
    pictures, rows, layout = len(rgb), len(boxes), clip.layout.name
    if is_recording(rgb) or pictures == rows:
        return rgb, boxes, 1, 0
    if layout == "vtuav" and rows > 1 and 0 <= pictures - 1 - _last_row(boxes) < 2 * _VTUAV_STEP:
        return rgb, _spread(boxes, pictures), _VTUAV_STEP, 0
    if rows == 1:  # the start box alone
        return rgb, np.vstack([boxes, np.full((pictures - 1, 4), np.nan)]), 1, 0
    first = _OTB_FIRST_FRAMES.get(clip.folder.resolve().name, 0)
    if layout == "otb" and first + rows <= pictures:
        return rgb[first : first + rows], boxes, 1, first
    if layout in _CUT_TO_SHORTEST and abs(pictures - rows) <= _SPARE_ROWS and not _gaps_in(rgb):
        logger.warning("%s: %d pictures, %d boxes: cut to the shorter", clip.folder, pictures, rows)
        shortest = min(pictures, rows)
        return rgb[:shortest], boxes[:shortest], 1, 0
    return rgb, boxes, 1, 0


def _require_rows(clip: Clip, rgb: Paths, boxes: Floats) -> None:
    if not is_recording(rgb) and len(rgb) != len(boxes):
        gaps = _gaps_in(rgb)
        what = f"{len(rgb)} pictures, but {len(boxes)} rows of ground truth"
        raise DatasetError(f"{what} ({gaps})" if gaps else what, where=f"{clip.folder.name} ({clip.rgb})")


def _gaps_in(paths: Paths) -> str:
    return what_is_missing(paths.names) if isinstance(paths, ImageFiles) else ""


def _last_row(boxes: Floats) -> int:
    return (len(boxes) - 1) * _VTUAV_STEP


def _spread(boxes: Floats, frames: int) -> Floats:
    """Spread rows of every tenth frame over all frames, with NaN between them."""
    spread = np.full((frames, 4), np.nan)
    spread[: _last_row(boxes) + 1 : _VTUAV_STEP] = boxes
    return spread
