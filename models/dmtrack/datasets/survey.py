"""The clips in a data-set folder: the only one in it, or all of them with their problems."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dmtrack.datasets.ground_truth import find_ground_truth
from dmtrack.datasets.image_files import ImageFiles, is_image, is_video, what_is_missing
from dmtrack.datasets.layouts import Clip, find_clips, named_pair, recognise
from dmtrack.datasets.opening import open_clip
from dmtrack.datasets.sequence import Sequence
from dmtrack.errors import DatasetError, InputError, listed
from dmtrack.video.frame import Modality

_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class DatasetRecording:
    """One clip of a data set, ready to be read."""

    clip: Clip
    # Its annotated targets, filled in by `survey`; empty if there is no usable ground truth
    sequences: tuple[Sequence, ...] = ()
    # Number of pictures in the main and the second stream; None: a video, no stream, or not counted
    pictures: tuple[int | None, int | None] = (None, None)
    problems: tuple[str, ...] = ()  # a sentence each

    @property
    def modality(self) -> Modality | None:
        """The second stream's modality; None without one."""
        return None if self.clip.second is None else self.clip.layout.modality

    @property
    def layout_reason(self) -> str:
        """The basis of the modality, in words."""
        return f"the folder is laid out as {self.clip.layout.name}"


def survey(root: Path) -> tuple[DatasetRecording, ...]:
    """Inspect the clips in or below `root`, if there are any; `DatasetError` if a folder cannot be read."""
    if not root.is_dir():
        return ()
    return tuple(_surveyed(clip) for clip in find_clips(root))


def _surveyed(clip: Clip) -> DatasetRecording:
    problems = []
    sequences: tuple[Sequence, ...] = ()
    counts: list[int | None] = [None, None]
    for number, stream in enumerate((clip.rgb, clip.second)):
        if stream is not None and stream.is_dir():
            names = ImageFiles.of(stream).names
            counts[number] = len(names)
            gaps = what_is_missing(names)
            problems += [f"{stream.name}: {gaps}"] if gaps else []
    if not find_ground_truth(clip.rgb):
        problems.append("there is no ground truth: boxes have to be given or drawn")
    else:
        try:
            sequences = tuple(open_clip(clip))
        except InputError as error:
            problems.append(str(error))
    return DatasetRecording(clip, sequences, (counts[0], counts[1]), tuple(problems))


def open_recording(folder: Path) -> DatasetRecording | None:
    """Find the streams of the only clip in `folder`; its ground truth is not read.

    None if `folder` is not a folder, or is a stream by itself (a folder of pictures). `DatasetError`: the
    folder holds several clips, or nothing that can be tracked; `VideoError`: a folder cannot be read.
    """
    if not folder.is_dir():
        return None
    clip = recognise(folder)
    if clip is None or clip.second is None:
        clip = named_pair(folder) or clip or _below(folder)
    return None if clip is None else DatasetRecording(clip)


def _below(folder: Path) -> Clip | None:
    """Return the only clip in the folders below; None if the folder is a stream by itself."""
    children = sorted(folder.iterdir())
    if any(is_image(child) for child in children):
        return None
    found = list(find_clips(folder))
    if len(found) == 1:
        return found[0]
    if found:
        names = [str(clip.folder.relative_to(folder)) for clip in found]
        raise DatasetError(
            f"the folder holds {len(found)} recordings ({listed(names, _NAMED)})",
            where=folder,
            hint="name one of them, or track all with dmtrack batch",
        )
    videos = [child.name for child in children if is_video(child)]
    if videos:
        raise DatasetError(
            f"the folder holds videos ({listed(videos, _NAMED)}), not one pair named by what it shows",
            where=folder,
            hint="name the video or the two videos, or track all pairs with dmtrack batch",
        )
    return None
