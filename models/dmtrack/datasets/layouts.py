"""Recognises the folders of RGB+X and RGB tracking data sets, as they are distributed.

A clip is a folder with two streams, named as in a data set, and ground truth beside them
(`dmtrack.datasets.ground_truth`). A stream is a sub-folder of pictures or a video:

    visible/  infrared/         LasHeR, RGBT234, RGBT210        color/    depth/        DepthTrack, VOT-RGBD
    v/        i/                GTOT                            vis_imgs/ event_imgs/   VisEvent
    rgb/      ir/               VTUAV                           *_aps/    *_dvs/        COESOT, FELT
    color/    ir/               VOT-RGBT                        rgb.*     thermal.* depth.* event.*    plain

Two other streams are a clip if their names say what they show (`dmtrack.datasets.stream_names`).

VisEvent and COESOT are also distributed with the event recording itself (`.aedat4`, `.csv`) instead of event
pictures: then that file is the second stream.

One stream alone is a clip, whatever its sensor: `img/` of OTB, a sub-folder or video with a name from above,
pictures in the clip's folder itself (VOT; with `events.npz` beside them as second stream), or the folder's
only video.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from dmtrack.datasets.ground_truth import find_ground_truth, truth_files
from dmtrack.datasets.image_files import is_event_file, is_image, is_video
from dmtrack.datasets.stream_names import group_streams, is_stream
from dmtrack.errors import DatasetError, translated
from dmtrack.video.archive import is_of_system
from dmtrack.video.frame import Modality


@dataclass(frozen=True, slots=True)
class DatasetLayout:
    """The names of a data set's two streams (file-name patterns, lower case)."""

    name: str
    rgb: str
    aux: str | None
    modality: Modality | None


LAYOUTS: Final = (
    DatasetLayout("lasher", "visible", "infrared", Modality.THERMAL),
    DatasetLayout("gtot", "v", "i", Modality.THERMAL),
    DatasetLayout("vtuav", "rgb", "ir", Modality.THERMAL),
    DatasetLayout("depthtrack", "color", "depth", Modality.DEPTH),
    DatasetLayout("vot-rgbt", "color", "ir", Modality.THERMAL),
    DatasetLayout("vot-rgbt", "color", "infrared", Modality.THERMAL),
    DatasetLayout("visevent", "vis_imgs", "event_imgs", Modality.EVENT),
    DatasetLayout("coesot", "*_aps", "*_dvs", Modality.EVENT),
    DatasetLayout("coesot", "aps", "dvs", Modality.EVENT),
    DatasetLayout("coesot", "color_frames", "event_frames", Modality.EVENT),
    DatasetLayout("plain", "rgb", "thermal", Modality.THERMAL),
    DatasetLayout("plain", "rgb", "infrared", Modality.THERMAL),
    DatasetLayout("plain", "rgb", "depth", Modality.DEPTH),
    DatasetLayout("plain", "rgb", "event", Modality.EVENT),
    DatasetLayout("plain", "rgb", "events", Modality.EVENT),
    DatasetLayout("otb", "img", None, None),
    *(DatasetLayout("plain", name, None, None) for name in ("rgb", "color", "visible", "vis_imgs")),
    *(DatasetLayout("plain", name, None, None) for name in ("infrared", "thermal", "ir", "tir")),
)

_EVENT_ARCHIVE: Final = "events.npz"
_EVENT_SETS: Final = (
    DatasetLayout("coesot", "*_aps", "", Modality.EVENT),
    DatasetLayout("coesot", "color_frames", "", Modality.EVENT),
    DatasetLayout("visevent", "vis_imgs", "", Modality.EVENT),
)
"""Sets whose RGB pictures may come with an event recording instead of event pictures."""
_RGBT234_PICTURE: Final = re.compile(r"\d+v\.\w+", re.IGNORECASE)
MAX_DEPTH: Final = 5  # levels of folders in which clips are searched


@dataclass(frozen=True, slots=True)
class Clip:
    """A recognised folder, before its ground truth is read."""

    folder: Path
    layout: DatasetLayout
    rgb: Path  # the main stream
    aux: Path | None = None  # the second stream, as pictures, a video or an `events.npz`
    events: Path | None = None  # an event recording, if there are no event pictures

    @property
    def second(self) -> Path | None:
        """The second stream, in whatever kind of file."""
        return self.aux or self.events


def recognise(folder: Path) -> Clip | None:
    """Find the streams of a clip as `laid_out`, but prefer a `named_pair` to a single stream.

    `DatasetError`: the folder cannot be read.
    """
    clip = laid_out(folder)
    if clip is None or clip.second is None:
        clip = named_pair(folder, is_nameless=True) or clip
    return clip


def laid_out(folder: Path) -> Clip | None:
    """Find the streams of a clip by a data set's names, else by the content of the folder itself.

    Two named streams are a clip with or without ground truth; a single one needs it. `DatasetError`: the
    folder cannot be read.
    """
    streams = _named_streams(folder)
    for layout in _EVENT_SETS:
        rgb, events = _matching(streams, layout.rgb), _event_recording(folder)
        if rgb is not None and events is not None and not _has_event_pictures(streams):
            return Clip(folder, layout, rgb, events=events)
    for layout in LAYOUTS:
        rgb = _matching(streams, layout.rgb)
        aux = None if layout.aux is None else _matching(streams, layout.aux)
        if rgb is None or (layout.aux is not None and aux is None):
            continue
        if layout.aux is None and not find_ground_truth(rgb):
            continue  # any folder may be called `img`; ground truth beside it makes it a clip
        return Clip(folder, _refined(layout, folder, rgb), rgb, aux)
    return _unnamed_clip(folder, streams)


def named_pair(folder: Path, *, is_nameless: bool = False) -> Clip | None:
    """Return the two streams in a folder whose names say what they show and that they belong together.

    None if there is no such pair, or several. With `is_nameless` the names must say nothing else
    (`visible.mp4`, `tir.mp4`).
    """
    groups = group_streams(path for path in sorted(folder.iterdir()) if is_stream(path))
    pairs = [one for one in groups if one.why_not() is None]
    if len(pairs) != 1 or (is_nameless and pairs[0].name):
        return None
    (rgb,), ((aux, modality),) = pairs[0].rgb, pairs[0].aux
    return Clip(folder, DatasetLayout("plain", rgb.name, aux.name, modality), rgb, aux)


def _named_streams(folder: Path) -> dict[str, Path]:
    """Return the sub-folders and videos of `folder` by lower-case name, whether or not they hold pictures."""
    with translated(DatasetError, "cannot be read", where=folder):
        children = sorted(folder.iterdir())
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


def _event_recording(folder: Path) -> Path | None:
    """Return the only event recording in a folder; a `.csv` needs the folder's name, or `event` in it."""
    files = sorted(path for path in folder.iterdir() if is_event_file(path) and path.is_file())
    named = [
        path
        for path in files
        if path.suffix.lower() != ".csv" or path.stem == folder.name or "event" in path.stem.lower()
    ]
    return named[0] if len(named) == 1 else None


def _has_event_pictures(streams: dict[str, Path]) -> bool:
    patterns = [layout.aux for layout in LAYOUTS if layout.modality is Modality.EVENT and layout.aux]
    return any(_matching(streams, pattern) is not None for pattern in patterns)


def _refined(layout: DatasetLayout, folder: Path, rgb: Path) -> DatasetLayout:
    """Tell apart data sets with the same folders.

    VOT's toolkit adds a `sequence` file to DepthTrack's; RGBT234 and RGBT210 name pictures `00001v.jpg`, and
    only RGBT234 has ground truth for each stream.
    """
    if layout.name == "depthtrack" and (folder / "sequence").is_file():
        return replace(layout, name="vot-rgbd")
    if layout.name == "lasher" and rgb.is_dir() and _is_named_like_rgbt234(rgb):
        return replace(layout, name="rgbt234" if (folder / "visible.txt").is_file() else "rgbt210")
    return layout


def _is_named_like_rgbt234(stream: Path) -> bool:
    return all(_RGBT234_PICTURE.fullmatch(path.name) for path in stream.iterdir() if is_image(path))


def _unnamed_clip(folder: Path, streams: dict[str, Path]) -> Clip | None:
    """Return the clip of a folder that holds the pictures themselves, or one video, with ground truth."""
    videos = [path for path in streams.values() if path.is_file()]
    if _holds_images(folder) and truth_files(folder, folder.name):
        archive = folder / _EVENT_ARCHIVE
        if archive.is_file():
            return Clip(folder, DatasetLayout("plain", "", "", Modality.EVENT), folder, archive)
        return Clip(folder, DatasetLayout("vot", "", None, None), folder)
    if len(videos) == 1 and find_ground_truth(videos[0]):
        return Clip(folder, DatasetLayout("plain", "", None, None), videos[0])
    return None


def find_clips(folder: Path, depth: int = MAX_DEPTH) -> Iterator[Clip]:
    """Yield the clips in or below `folder`; a clip is not searched further.

    `DatasetError`: a folder cannot be read.
    """
    clip = recognise(folder)
    if clip is not None:
        yield clip
    elif depth > 0:
        for child in sorted(folder.iterdir()):
            if is_to_search(child):
                yield from find_clips(child, depth - 1)


def is_to_search(path: Path) -> bool:
    """Return whether to search below a path: it is a folder, not the system's, and no link to one above."""
    if not path.is_dir() or is_of_system(path.name):
        return False
    above = map(os.path.realpath, path.absolute().parents)
    return not (path.is_symlink() and os.path.realpath(path) in above)
