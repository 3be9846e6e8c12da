"""`Sequence`: one annotated target in one recording of a data set."""

from __future__ import annotations

import collections.abc
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dmtrack.datasets.image_files import is_image
from dmtrack.errors import DatasetError
from dmtrack.geometry.box import Box
from dmtrack.video.frame import Modality

Floats = npt.NDArray[np.float64]
Paths = collections.abc.Sequence[Path]


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """A recording and the boxes of one target in it; pictures are only read on demand.

    Row `t` of the boxes belongs to frame `t` of the recording. A stream is either a list of pictures, one a
    frame (random access by index), or one recording (a video, an event archive). `DatasetError`: no frame is
    visible.
    """

    name: str  # the folder's name, with `_<target>` if it has several targets
    modality: Modality | None  # of the second stream; None if there is none
    # Pictures of the main stream, or its one video file. The only stream of a recording is this one,
    # whatever the sensor.
    rgb_paths: Paths
    aux_paths: Paths  # the second stream likewise; empty if there is none
    # `(T, 4)` float64 `x, y, w, h` in pixels of the main stream, counted from 0; NaN rows where the target
    # is absent or not annotated
    boxes: Floats
    visible: npt.NDArray[np.bool_]  # `(T,)` bool: the target is present and its box is known
    start_frame: int = 0  # 0-based index of the frame where tracking starts; its box is known
    # 0-based index of frame 0 among the frames of `sources()`; above 0 if the data set annotates only a
    # later part of a folder
    source_start: int = 0
    layout: str = "plain"  # name of its layout in `dmtrack.datasets.layouts`
    annotation_step: int = 1  # frames from one annotated frame to the next (VTUAV: 10)
    # Frames whose true box has a place but no area, mistakes in the ground truth
    sizeless_frames: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.visible.any():
            raise DatasetError("the target is visible in no frame", where=self.name)
        self.boxes.setflags(write=False)
        self.visible.setflags(write=False)

    def __len__(self) -> int:
        """The number of frames covered by the ground truth."""
        return len(self.boxes)

    @property
    def start_box(self) -> Box:
        """The box in `start_frame`."""
        return self.box(self.start_frame)

    def box(self, frame_index: int) -> Box:
        """Return the box of a visible frame; `DatasetError` if the target is not visible in it."""
        if not self.visible[frame_index]:
            raise DatasetError(f"no box is known in frame {frame_index}", where=self.name)
        x, y, w, h = (float(value) for value in self.boxes[frame_index])
        return Box(x, y, w, h)

    def main_stream(self) -> Sequence:
        """Return this sequence without its second stream."""
        return replace(self, modality=None, aux_paths=())

    def sources(self) -> tuple[Path, Path | None]:
        """Return the folder or file of the main and of the second stream, for a reader.

        Frame `t` of the sequence is frame `source_start + t` of the source.
        """
        aux = _source(self.aux_paths) if self.aux_paths else None
        return _source(self.rgb_paths), aux


def _source(paths: Paths) -> Path:
    return paths[0] if is_recording(paths) else paths[0].parent


def is_recording(paths: Paths) -> bool:
    """Return whether a stream is one file with many frames, rather than a list of pictures."""
    return len(paths) == 1 and not is_image(paths[0])
