"""`survey`: what a data-set folder holds, one clip or many, and what is wrong. No picture is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dmtrack.datasets.ground_truth import find_ground_truth
from dmtrack.datasets.image_files import ImageFiles
from dmtrack.datasets.layouts import Clip, clip_folders, recognise
from dmtrack.datasets.numbering import what_is_missing
from dmtrack.datasets.opening import open_clip
from dmtrack.datasets.sequence import Sequence
from dmtrack.errors import InputError


@dataclass(frozen=True, slots=True)
class SurveyedClip:
    """One clip.

    Attributes:
        clip: Its streams.
        rgb_pictures: Pictures of the main stream; None for a video.
        aux_pictures: Pictures of the second stream; None for a video, or without one.
        sequences: Its annotated targets, if they can be used.
        problems: What is wrong, a sentence each.
    """

    clip: Clip
    rgb_pictures: int | None
    aux_pictures: int | None
    sequences: tuple[Sequence, ...]
    problems: tuple[str, ...]


def survey(root: Path) -> tuple[SurveyedClip, ...]:
    """Look at the clip in `root`, or at every clip below; nothing where there is none.

    Raises:
        DatasetError: A folder cannot be read.
    """
    if not root.is_dir():
        return ()
    clips = (recognise(folder) for folder in clip_folders(root))
    return tuple(_surveyed(clip) for clip in clips if clip is not None)


def _surveyed(clip: Clip) -> SurveyedClip:
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
    return SurveyedClip(clip, counts[0], counts[1], sequences, tuple(problems))
