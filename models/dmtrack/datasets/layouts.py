"""Recognising the folders of RGB+X and RGB tracking data sets, as they are distributed.

A clip is a folder with two streams under names that a data set uses for them, and ground truth
beside them (`dmtrack.datasets.ground_truth`). A stream is a sub-folder of pictures or a video:

    visible/  infrared/         LasHeR, RGBT234, RGBT210        color/    depth/        DepthTrack, VOT-RGBD
    v/        i/                GTOT                            vis_imgs/ event_imgs/   VisEvent
    rgb/      ir/               VTUAV                           *_aps/    *_dvs/        COESOT, FELT
    color/    ir/               VOT-RGBT                        rgb.*     thermal.* depth.* event.*    plain

One stream alone is an RGB (or, when a name says so, thermal-only) clip: `img/` of OTB, a sub-folder or
video with a name from above, pictures in the clip's folder itself (VOT; `events.npz` beside them is their
second stream), or the folder's only video.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.datasets.ground_truth import find_ground_truth, read_boxes, read_flags, target_name, truth_files
from dmtrack.datasets.image_files import ImageFiles, is_image, is_video
from dmtrack.datasets.sequence import Floats, Paths, Sequence, is_recording
from dmtrack.errors import DatasetError, InputError
from dmtrack.video.frame import Modality

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Layout:
    """The names that a data set gives to its two streams (file-name patterns, lower case)."""

    name: str
    rgb: str
    aux: str | None
    modality: Modality | None
    rgb_sensor: Modality | None = None


LAYOUTS: Final = (
    Layout("lasher", "visible", "infrared", Modality.THERMAL),
    Layout("gtot", "v", "i", Modality.THERMAL),
    Layout("vtuav", "rgb", "ir", Modality.THERMAL),
    Layout("depthtrack", "color", "depth", Modality.DEPTH),
    Layout("vot-rgbt", "color", "ir", Modality.THERMAL),
    Layout("vot-rgbt", "color", "infrared", Modality.THERMAL),
    Layout("visevent", "vis_imgs", "event_imgs", Modality.EVENT),
    Layout("coesot", "*_aps", "*_dvs", Modality.EVENT),
    Layout("coesot", "aps", "dvs", Modality.EVENT),
    Layout("plain", "rgb", "thermal", Modality.THERMAL),
    Layout("plain", "rgb", "infrared", Modality.THERMAL),
    Layout("plain", "rgb", "depth", Modality.DEPTH),
    Layout("plain", "rgb", "event", Modality.EVENT),
    Layout("plain", "rgb", "events", Modality.EVENT),
    Layout("otb", "img", None, None),
    *(Layout("plain", name, None, None) for name in ("rgb", "color", "visible", "vis_imgs")),
    *(
        Layout("plain", name, None, None, rgb_sensor=Modality.THERMAL)
        for name in ("infrared", "thermal", "ir", "tir")
    ),
)

_EVENT_ARCHIVE: Final = "events.npz"
_THERMAL_WORDS: Final = frozenset({"flir", "infrared", "ir", "lwir", "thermal", "tir"})
_VTUAV_STEP: Final = 10
_OTB_FIRST_FRAMES: Final = {"David": 299}
"""OTB sequences whose ground truth begins later than their pictures: 0-based index of its first row."""
_MAX_DEPTH: Final = 5


@dataclass(frozen=True, slots=True)
class Clip:
    """A recognised folder before its ground truth is read: streams as `rgb` and `aux` paths."""

    folder: Path
    layout: Layout
    rgb: Path
    aux: Path | None = None


def open_sequence(folder: Path, target: str | None = None) -> Sequence:
    """Open the clip in `folder`.

    Args:
        folder: A folder in one of the layouts of this module.
        target: Which target, where the folder has ground truth for several; None takes the only one.

    Raises:
        DatasetError: The layout is unknown, ground truth is missing or several, or lengths differ.
        FormatError: A ground-truth file is malformed.
    """
    sequences = open_sequences(folder)
    names = [sequence.name.removeprefix(f"{folder.resolve().name}_") for sequence in sequences]
    if target is not None:
        if target not in names:
            raise DatasetError(
                f"there is no target {target!r}", where=folder, hint=f"it has {', '.join(names)}"
            )
        return sequences[names.index(target)]
    if len(sequences) > 1:
        raise DatasetError(
            f"the folder has {len(sequences)} targets", where=folder, hint=f"choose one of {', '.join(names)}"
        )
    return sequences[0]


def open_sequences(folder: Path) -> list[Sequence]:
    """Open the clip in `folder`: one sequence a target. See `open_sequence` for the errors."""
    clip = recognise(folder)
    if clip is None:
        raise DatasetError(
            "this is no clip of a known layout",
            where=folder,
            hint="two streams and a groundtruth.txt are needed",
        )
    truths = find_ground_truth(clip.rgb)
    if not truths:
        raise DatasetError("there is no ground truth", where=folder, hint="groundtruth.txt is the usual name")
    return [_open_target(clip, truth) for truth in truths]


def find_sequences(root: Path, *, on_error: Callable[[InputError], None] | None = None) -> list[Sequence]:
    """Find every annotated target below `root`, in the order of the folders' names.

    Only names and ground-truth files are read. A folder that is a clip is not searched further.

    Args:
        root: A clip, or a folder of clips at most five levels deep.
        on_error: Called with each clip that cannot be used, which is then left out; None raises.

    Raises:
        DatasetError: `root` is no folder, nothing was found, or a clip cannot be used.
        FormatError: A ground-truth file is malformed.
    """
    if not root.is_dir():
        raise DatasetError("there is no such folder", where=root)
    sequences: list[Sequence] = []
    for folder in _clip_folders(root, _MAX_DEPTH):
        try:
            sequences += open_sequences(folder)
        except InputError as error:
            if on_error is None:
                raise
            logger.warning("left out: %s", error)
            on_error(error)
    if not sequences and on_error is None:
        raise DatasetError(
            "no annotated clip of a known layout was found", where=root, hint="each needs a groundtruth.txt"
        )
    return sequences


def _clip_folders(folder: Path, depth: int) -> Iterator[Path]:
    if recognise(folder) is not None:
        yield folder
    elif depth > 0:
        for child in sorted(folder.iterdir()):
            if child.is_dir() and not child.name.startswith("."):
                yield from _clip_folders(child, depth - 1)


# --- recognising ---------------------------------------------------------------------------


def recognise(folder: Path) -> Clip | None:
    """Find the streams of a clip by their names, then by what lies in the folder itself.

    Two named streams are a clip with or without ground truth; one alone needs some beside it.

    Raises:
        DatasetError: The folder cannot be read.
    """
    streams = _named_streams(folder)
    for layout in LAYOUTS:
        rgb = _matching(streams, layout.rgb)
        aux = None if layout.aux is None else _matching(streams, layout.aux)
        if rgb is None or (layout.aux is not None and aux is None):
            continue
        if layout.aux is None and not find_ground_truth(rgb):
            continue  # any folder may be called `img`; one with ground truth beside it is a clip
        return Clip(folder, _refined(layout, folder), rgb, aux)
    return _unnamed_clip(folder, streams)


def _named_streams(folder: Path) -> dict[str, Path]:
    """The sub-folders and videos of `folder` by lower-case name, whether or not they hold pictures."""
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        raise DatasetError(f"cannot be read ({error.strerror})", where=folder) from error
    streams = {child.stem.lower(): child for child in children if is_video(child)}
    streams |= {child.name.lower(): child for child in children if child.is_dir()}
    return streams


def _matching(streams: dict[str, Path], pattern: str) -> Path | None:
    for name, path in streams.items():
        if fnmatchcase(name, pattern) and (path.is_file() or _holds_images(path)):
            return path
    return None


def _holds_images(folder: Path) -> bool:
    return any(is_image(path) for path in folder.iterdir())


def _refined(layout: Layout, folder: Path) -> Layout:
    """VOT-RGBD has DepthTrack's folders; its tool kit adds a `sequence` file."""
    if layout.name == "depthtrack" and (folder / "sequence").is_file():
        return replace(layout, name="vot-rgbd")
    return layout


def _unnamed_clip(folder: Path, streams: dict[str, Path]) -> Clip | None:
    """A folder that holds the pictures themselves, or one video, with ground truth beside them."""
    videos = [path for path in streams.values() if path.is_file()]
    if _holds_images(folder) and truth_files(folder, folder.name):
        archive = folder / _EVENT_ARCHIVE
        if archive.is_file():
            return Clip(folder, Layout("plain", "", "", Modality.EVENT), folder, archive)
        return Clip(folder, Layout("vot", "", None, None, _sensor_of(folder)), folder)
    if len(videos) == 1 and find_ground_truth(videos[0]):
        return Clip(folder, Layout("plain", "", None, None, _sensor_of(videos[0])), videos[0])
    return None


def _sensor_of(stream: Path) -> Modality | None:
    """Thermal when the name of a lone stream or of its folder says so in a word of its own."""
    words = re.findall(r"[a-z]+", f"{stream.parent.name} {stream.stem}".lower())
    return Modality.THERMAL if _THERMAL_WORDS.intersection(words) else None


# --- reading the ground truth of a recognised clip -----------------------------------------


def _open_target(clip: Clip, truth: Path) -> Sequence:
    rgb = _stream_paths(clip.rgb)
    annotated = read_boxes(truth)
    rgb, boxes, step = _fitted(clip, rgb, annotated.boxes)
    present = _present(clip.folder, len(boxes))
    visible = np.isfinite(boxes).all(axis=1) & present
    sizeless = np.flatnonzero(annotated.sizeless) * step
    target = target_name(truth)
    name = clip.folder.resolve().name
    return Sequence(
        name=f"{name}_{target}" if target else name,
        modality=clip.layout.modality,
        rgb_paths=rgb,
        aux_paths=() if clip.aux is None else _stream_paths(clip.aux),
        boxes=boxes,
        visible=visible,
        aux_boxes=_aux_boxes(clip, len(boxes), step),
        start_frame=int(np.argmax(visible)),
        rgb_sensor=clip.layout.rgb_sensor,
        layout=clip.layout.name,
        annotation_step=step,
        sizeless_frames=tuple(sizeless[present[sizeless]].tolist()),
    )


def _stream_paths(source: Path) -> Paths:
    return ImageFiles.of(source) if source.is_dir() else (source,)


def _fitted(clip: Clip, rgb: Paths, boxes: Floats) -> tuple[Paths, Floats, int]:
    """Bring pictures and boxes to one length where the data set says how; `Sequence` checks the rest.

    Returns:
        The pictures, the boxes with one row a picture, and the step between annotated frames.
    """
    if is_recording(rgb) or len(rgb) == len(boxes):
        return rgb, boxes, 1
    if (
        clip.layout.name == "vtuav"
        and len(boxes) > 1
        and 0 <= len(rgb) - 1 - _last_row(boxes) < 2 * _VTUAV_STEP
    ):
        return rgb, _spread(boxes, len(rgb)), _VTUAV_STEP
    first = _OTB_FIRST_FRAMES.get(clip.folder.resolve().name, 0)
    if clip.layout.name == "otb" and first + len(boxes) <= len(rgb):
        return rgb[first : first + len(boxes)], boxes, 1
    return rgb, boxes, 1


def _last_row(boxes: Floats) -> int:
    return (len(boxes) - 1) * _VTUAV_STEP


def _spread(boxes: Floats, frames: int) -> Floats:
    """Put the rows of every tenth frame where they belong, NaN between them."""
    spread = np.full((frames, 4), np.nan)
    spread[: _last_row(boxes) + 1 : _VTUAV_STEP] = boxes
    return spread


def _present(folder: Path, frames: int) -> npt.NDArray[np.bool_]:
    labels = folder / "absent_label.txt"
    if not labels.is_file():
        return np.ones(frames, dtype=np.bool_)
    flags = read_flags(labels)
    if len(flags) != frames:
        raise DatasetError(f"{len(flags)} flags, but {frames} boxes", where=labels)
    return flags


def _aux_boxes(clip: Clip, frames: int, step: int) -> Floats | None:
    """Boxes in the second stream (thermal sets only); a row more or less than frames is tolerated."""
    if clip.aux is None or clip.layout.modality is not Modality.THERMAL:
        return None
    stream = clip.aux.name if clip.aux.is_dir() else clip.aux.stem
    for name in (f"{stream}.txt", f"groundTruth_{stream}.txt"):
        path = clip.folder / name
        if path.is_file():
            rows = read_boxes(path).boxes
            boxes = np.full((frames, 4), np.nan)
            annotated = boxes[::step]  # a view: filling it fills every `step`-th row
            annotated[: len(rows)] = rows[: len(annotated)]
            return boxes
    return None
