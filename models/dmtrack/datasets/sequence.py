"""`Sequence`: one annotated target in one recording of a data set."""

from __future__ import annotations

import collections.abc
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dmtrack.datasets.image_files import ImageFiles, is_image
from dmtrack.errors import DatasetError
from dmtrack.geometry.box import Box
from dmtrack.video.frame import Modality

Floats = npt.NDArray[np.float64]
Paths = collections.abc.Sequence[Path]


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """A recording and the boxes of one target in it; no picture is read until somebody asks.

    Row `t` of the boxes belongs to frame `t` of the recording. A stream is either a list of
    pictures, one a frame (random access by index), or one recording (a video, an event archive).

    Attributes:
        name: The folder's name, with `_<target>` where a folder has several targets.
        modality: What the second stream measures; None when there is no second stream.
        rgb_paths: Pictures of the main stream, or its one video file. Where a recording has one
            stream only, it is this one, whatever the sensor.
        aux_paths: The second stream alike; empty when there is none.
        boxes: `(T, 4)` float64 `x, y, w, h` in pixels of the main stream, counted from 0; NaN rows
            where the target is absent or nobody annotated it.
        visible: `(T,)` bool: the target is there and its box is known.
        start_frame: 0-based index of the frame where tracking starts; its box is known.
        layout: The name of the layout it was recognised by (`dmtrack.datasets.layouts`).
        annotation_step: Frames from one annotated frame to the next (VTUAV: 10).
        sizeless_frames: Frames of which the ground truth gives a place but no area: mistakes in it.

    Raises:
        DatasetError: The lengths differ, a visible frame has no box, or no frame is visible.
    """

    name: str
    modality: Modality | None
    rgb_paths: Paths
    aux_paths: Paths
    boxes: Floats
    visible: npt.NDArray[np.bool_]
    start_frame: int = 0
    layout: str = "plain"
    annotation_step: int = 1
    sizeless_frames: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_streams(self)
        _check_boxes(self)
        self.boxes.setflags(write=False)
        self.visible.setflags(write=False)

    def __len__(self) -> int:
        """The number of frames that the ground truth speaks of."""
        return len(self.boxes)

    @property
    def start_box(self) -> Box:
        """The box that tracking starts from."""
        return self.box(self.start_frame)

    def box(self, frame_index: int) -> Box:
        """Return the box of a visible frame.

        Raises:
            DatasetError: The target is not visible in that frame.
        """
        if not self.visible[frame_index]:
            raise DatasetError(f"no box is known in frame {frame_index}", where=self.name)
        x, y, w, h = (float(value) for value in self.boxes[frame_index])
        return Box(x, y, w, h)

    def main_stream(self) -> Sequence:
        """Return the same without its second stream."""
        return replace(self, modality=None, aux_paths=())

    def sources(self) -> tuple[Path, Path | None]:
        """Return what a reader opens: the folder or file of the main and of the second stream.

        Frame `t` of the sequence is frame `source_start() + t` of what is read.
        """
        aux = _source(self.aux_paths) if self.aux_paths else None
        return _source(self.rgb_paths), aux

    def source_start(self) -> int:
        """Return the 0-based index of this sequence's first frame among the frames of `sources()`.

        It is above 0 where a data set annotates only a later part of a folder.

        Raises:
            DatasetError: A list of pictures is no run of successive pictures of one folder, or the two
                streams do not begin at the same index.
            VideoError: The folder cannot be read.
        """
        start = self._first_index(self.rgb_paths)
        if self.aux_paths and self._first_index(self.aux_paths) != start:
            raise DatasetError(
                "the two streams begin at different pictures of their folders", where=self.name
            )
        return start

    def _first_index(self, paths: Paths) -> int:
        if is_recording(paths):
            return 0
        whole = ImageFiles.of(paths[0].parent)
        first = whole.names.index(paths[0].name) if paths[0].name in whole.names else 0
        if list(whole[first : first + len(paths)]) != list(paths):
            raise DatasetError(
                f"sequence {self.name} skips pictures, which cannot be read as one stream", where=whole.folder
            )
        return first


def _source(paths: Paths) -> Path:
    return paths[0] if is_recording(paths) else paths[0].parent


def is_recording(paths: Paths) -> bool:
    """Return whether a stream is one file with many frames, rather than a list of pictures."""
    return len(paths) == 1 and not is_image(paths[0])


def _check_streams(sequence: Sequence) -> None:
    rgb, aux, frames = sequence.rgb_paths, sequence.aux_paths, len(sequence.boxes)
    if not rgb:
        raise DatasetError("there are no pictures", where=sequence.name)
    if (sequence.modality is None) != (not aux):
        raise DatasetError("a second stream and its modality go together", where=sequence.name)
    if not is_recording(rgb) and len(rgb) != frames:
        raise DatasetError(
            f"{len(rgb)} pictures, but {frames} rows of ground truth",
            where=f"{sequence.name} ({rgb[0].parent})",
        )
    if aux and not is_recording(aux) and not is_recording(rgb) and len(aux) != len(rgb):
        raise DatasetError(
            f"{len(rgb)} pictures in {rgb[0].parent.name}, but {len(aux)} in {aux[0].parent.name}",
            where=f"{sequence.name} ({rgb[0].parent.parent})",
        )


def _check_boxes(sequence: Sequence) -> None:
    boxes, visible = sequence.boxes, sequence.visible
    frames = len(boxes)
    if boxes.shape != (frames, 4) or visible.shape != (frames,):
        raise DatasetError(
            f"boxes {boxes.shape} and visible flags {visible.shape} do not go together", where=sequence.name
        )
    known = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
    if (visible & ~known).any():
        raise DatasetError(
            f"frame {int(np.argmax(visible & ~known))} is visible but has no box", where=sequence.name
        )
    if not visible.any():
        raise DatasetError("the target is visible in no frame", where=sequence.name)
    if not 0 <= sequence.start_frame < frames or not visible[sequence.start_frame]:
        raise DatasetError(f"no box is known in start frame {sequence.start_frame}", where=sequence.name)
