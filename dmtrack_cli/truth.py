"""Where the targets are when nobody says so: the ground truth of a data-set folder, or beside a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dmtrack.datasets.ground_truth import box_at, find_ground_truth
from dmtrack.datasets.sequence import Sequence as AnnotatedSequence
from dmtrack.errors import BoxError
from dmtrack.geometry.box import Box
from dmtrack.tracking.start import TargetStart, numbered
from dmtrack.video.frame import FramePair
from dmtrack_cli.boxes import WAYS, StartBoxes, require_inside


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Gives the targets for which there is ground truth.

    Attributes:
        rgb: What the person named: a stream, or a data-set folder.
        sequences: The targets of a data-set folder.
        is_start_given: The person said where to start, so that no other frame will do.
        is_live: The stream is live: there can be no ground truth.
    """

    rgb: Path
    sequences: Sequence[AnnotatedSequence] = ()
    is_start_given: bool = False
    is_live: bool = False

    def __call__(self, first: FramePair) -> StartBoxes:
        """Return the targets, given the first frame.

        Raises:
            BoxError: There is no ground truth, or the target is not in the frame that was asked for.
            FormatError: A ground-truth file cannot be read.
        """
        if self.is_live:
            raise BoxError("where is the target? A live stream has no ground truth", hint=WAYS)
        if not self.sequences:
            return beside(self.rgb, first)
        here = first.rgb.index
        found = [self._start(sequence, here) for sequence in self.sequences]
        names = ", ".join(sequence.name for sequence in self.sequences)
        return StartBoxes(
            tuple(
                replace(start, frame_index=index)
                for start, index in zip(
                    numbered([box for box, _ in found]), (i for _, i in found), strict=True
                )
            ),
            f"ground truth of {names}",
            min(index for _, index in found),
        )

    def _start(self, sequence: AnnotatedSequence, here: int) -> tuple[Box, int]:
        """Return the box of a target and the frame it starts at: `here`, or the next one that shows it."""
        offset = sequence.source_start()
        shown = np.flatnonzero(sequence.visible) + offset
        begin = here if self.is_start_given else max(here, offset + sequence.start_frame)
        later = shown[shown >= begin]
        if len(later) == 0 or (self.is_start_given and later[0] != here):
            raise BoxError(
                f"no box of {sequence.name} is known in frame {here}",
                where=self.rgb,
                hint=f"--start {later[0]} is the next frame with one" if len(later) else WAYS,
            )
        index = int(later[0])
        return sequence.box(index - offset), index


def beside(rgb: Path, first: FramePair) -> StartBoxes:
    """Return the targets of the ground-truth files beside a stream, in its first frame.

    Raises:
        BoxError: There is none, or no box in that frame.
        FormatError: A file cannot be read.
    """
    frame_index = first.rgb.index
    paths = find_ground_truth(rgb)
    if not paths:
        raise BoxError("where is the target? No ground truth lies beside this input", where=rgb, hint=WAYS)
    boxes = [box_at(path, frame_index) for path in paths]
    for path, box in zip(paths, boxes, strict=True):
        require_inside(box, first, path)
    starts: tuple[TargetStart, ...] = numbered(boxes)
    row = f"row {frame_index + 1} of {', '.join(path.name for path in paths)}"
    return StartBoxes(
        tuple(replace(start, frame_index=frame_index) for start in starts),
        f"{row}, found beside the input",
        frame_index,
    )
